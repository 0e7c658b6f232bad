//go:build !linux

package process

import (
	"errors"
	"os"
	"os/exec"
)

var errNotHere = errors.New("plugins run as processes on Linux only")

func confine(*exec.Cmd) {}

func beginIn(*exec.Cmd, *os.File) {}

func killGroup(p *os.Process) { _ = p.Kill() }

func endingOf(*os.ProcessState) ending { return ending{code: -1} }

func newLauncher() (launch func(func() error) error, stop func()) {
	return func(func() error) error { return errNotHere }, func() {}
}

func makeRoot() (root string, lock *os.File, err error) { return "", nil, errNotHere }

// footprint is the memory of a process, in bytes.
type footprint struct {
	mapped, resident, private int64
}

func memoryOf(int) (footprint, error) { return footprint{}, errNotHere }

func capMemory(int, int64) error { return errNotHere }
