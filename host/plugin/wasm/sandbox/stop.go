package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
)

// Failed is a guest that answered that it failed.
type Failed struct {
	// Code is what the function returned; it is not 0.
	Code int32
	// Message is what the guest said (Extism's error_set), maybe empty.
	Message string
}

// Error implements error.
func (f *Failed) Error() string {
	if f.Message == "" {
		return fmt.Sprintf("the guest returned %d", f.Code)
	}
	return fmt.Sprintf("the guest returned %d: %s", f.Code, f.Message)
}

// Trap is a guest that did what WebAssembly forbids.
type Trap struct {
	// Text says what, for example "unreachable".
	Text string
	err  error
}

// Error implements error.
func (t *Trap) Error() string { return t.Text }

// Unwrap returns what the engine said, with the guest's stack.
func (t *Trap) Unwrap() error { return t.err }

// explain turns what the engine said into one of this package's errors.
func (b *Sandbox) explain(err error) error {
	var fault *kernel.Fault
	if errors.As(err, &fault) {
		return err
	}
	switch n := b.state.Refused(); {
	case n > 0:
		// A guest that goes on without the memory that it asked for, and fails
		// for another reason, does not happen: it dies where it needs it.
		return errors.Join(&kernel.Fault{Kind: kernel.Memory, Limit: b.memory.limit, Used: n}, err)
	case errors.Is(err, context.DeadlineExceeded):
		return errors.Join(&kernel.Fault{Kind: kernel.Deadline}, err)
	case errors.Is(err, context.Canceled):
		return errors.Join(&kernel.Fault{Kind: kernel.Cancelled}, err)
	}
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		return err
	}
	text := strings.TrimSpace(err.Error())
	if at := strings.Index(text, "wasm stack trace:"); at > 0 {
		text = strings.TrimSpace(text[:at])
	}
	text = strings.TrimPrefix(text, "wasm error: ")
	if text == "stack overflow" {
		return errors.Join(&kernel.Fault{Kind: kernel.Stack}, err)
	}
	return &Trap{Text: text, err: err}
}

// clip makes what a guest said fit for a message.
func clip(b []byte) string {
	if len(b) > 500 {
		b = b[:500]
	}
	return strings.ToValidUTF8(string(b), "")
}
