//go:build !linux

package sandbox

import (
	"context"
	"errors"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
)

// errNotHere is what this package answers on systems that cannot restore
// memory. Detect says so before.
var errNotHere = errors.New("sandboxes that are restored need Linux")

// Detect finds no path on this system.
func Detect() (Path, string) { return None, "this system is not Linux" }

// Try says that no path works on this system.
func Try(Path) error { return errNotHere }

// pristine holds nothing here.
type pristine struct{ view []byte }

func (p *pristine) store([]byte) error { return errNotHere }

func (p *pristine) receive(int, func(func(uint32, []byte) error) error) error { return errNotHere }

func (p *pristine) free() error { return nil }

// resetter can do nothing here.
type resetter struct{}

func newResetter(Path) (resetter, error) { return resetter{}, errNotHere }

func (r *resetter) equip(*arena) {}

func (r *resetter) close() error { return nil }

// arena is never used here, as no image can be made.
type arena struct {
	state     *kernel.State
	base      *pristine
	reserve   int
	size      int
	peak      int
	touched   int
	limit     int64
	shrinking bool
	tally     tally
}

func (a *arena) within(state *kernel.State, _ int64) context.Context { return state }

func (a *arena) image() []byte { return nil }

func (a *arena) begin(int64) {}

func (a *arena) grown() bool { return false }

func (a *arena) restore() error { return errNotHere }

func (a *arena) difference(int) string { return "" }

func (a *arena) purge() error { return errNotHere }

// Free does nothing.
func (a *arena) Free() {}

// tally counts nothing here.
type tally struct{}

func (t *tally) pause() {}

func (t *tally) resume() {}
