package wasm

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/sandbox"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// broken is code whose sandboxes cannot be restored.
type broken struct{ err error }

func (b broken) Do(context.Context, *sandbox.Job) ([]byte, sandbox.Used, error) {
	return nil, sandbox.Used{}, b.err
}

func (b broken) Close(context.Context) error { return nil }

// TestUncleanSandboxesAreToldApart: whatever else became of the call, that its
// sandbox was not clean is what the house must hear.
func TestUncleanSandboxesAreToldApart(t *testing.T) {
	unclean := fmt.Errorf("%w: the page at 0x1000 differs", sandbox.ErrUnclean)
	for name, c := range map[string]struct {
		err     error
		unclean bool
	}{
		"Alone":        {unclean, true},
		"AfterAFault":  {errors.Join(&kernel.Fault{Kind: kernel.Deadline}, unclean), true},
		"OtherFailure": {&kernel.Fault{Kind: kernel.Deadline}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModule(broken{c.err}, func(context.Context) error { return nil }, plugin.Facts{ABI: abiJSON})
			_, err := m.Call(t.Context(), plugin.Work{Call: pluginv1.Call{Capability: "test/v1", Method: "echo"}})
			if errors.Is(err, plugin.ErrIsolation) != c.unclean || c.unclean != (host.CodeOf(err) == host.CodeInternal) {
				t.Errorf("it answered %s, %v", host.CodeOf(err), err)
			}
		})
	}
}
