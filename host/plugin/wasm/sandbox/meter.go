package sandbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

// A slice is how much fuel a guest gets between two looks at its deadline. It is
// about 0.1 ms, and a look about 0.1 us. It has no influence on what a call
// uses or whether its fuel suffices.
const (
	slice = 100_000
	// breath is after how many slices a guest lets others have its processor.
	breath = 4
)

// meter counts the fuel of one call.
type meter struct {
	granted int64 // so far, in slices
	limit   int64 // 0: none
	slices  int   // how often the guest came back for more
}

// begin returns the fuel with which a call begins.
func (m *meter) begin(limit int64) int64 {
	*m = meter{limit: max(0, limit)}
	m.granted = m.next(0)
	return m.granted
}

// next is what is granted in all to a guest that used so much.
func (m *meter) next(used int64) int64 {
	if m.limit > 0 {
		return min(used+slice, m.limit)
	}
	return used + slice
}

// used is the fuel that is gone when so much is left.
func (m *meter) used(left int64) int64 { return m.granted - left }

// over returns the fault of a call that used more than it may, or nil.
func (m *meter) over(left int64) error {
	if n := m.used(left); m.limit > 0 && n > m.limit {
		return &kernel.Fault{Kind: kernel.Fuel, Limit: m.limit, Used: n}
	}
	return nil
}

// more gives a guest whose fuel is below zero a slice and returns its fuel, or
// says why it gets none.
func (m *meter) more(left int64, state *kernel.State) (int64, error) {
	if err := m.over(left); err != nil {
		return left, err
	}
	if err := state.Stop(); err != nil {
		return left, err
	}
	m.slices++
	used := m.used(left)
	m.granted = m.next(used)
	return m.granted - used, nil
}

// Install puts the module into a runtime from which metered guests get their
// fuel. It is called once, before guests are instantiated there.
func Install(ctx context.Context, r wazero.Runtime) error {
	_, err := r.NewHostModuleBuilder(rewrite.YieldModule).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(yield), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).
		Export(rewrite.YieldName).Instantiate(ctx)
	return err
}

// yield is where a guest that used up its slice asks for more. The Go scheduler
// gets its chance here, too: the guest's own code cannot be preempted, and the
// garbage collector waits for it.
func yield(ctx context.Context, stack []uint64) {
	state := kernel.Of(ctx)
	if state == nil {
		panic(&kernel.Fault{Kind: kernel.Refused, What: "a call without a sandbox"})
	}
	b, ok := state.Owner.(*Sandbox)
	if !ok {
		panic(&kernel.Fault{Kind: kernel.Refused, What: "a call without a sandbox"})
	}
	if err := b.deep(); err != nil {
		panic(err)
	}
	left, err := b.meter.more(int64(stack[0]), state)
	if err != nil {
		panic(err)
	}
	stack[0] = uint64(left)
	if b.meter.slices%breath == 0 {
		b.breathe()
	}
}

// breathe lets other goroutines run. The thread is let go for that long: to
// hand a processor from a goroutine that keeps its thread to another one, and
// back, takes two turns of the system's scheduler.
func (b *Sandbox) breathe() {
	b.memory.tally.pause()
	runtime.UnlockOSThread()
	runtime.Gosched()
	runtime.LockOSThread()
	b.memory.tally.resume()
}

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
		return errors.Join(b.tooLarge(n), err)
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

// tooLarge is the fault of a guest that wanted so much memory: more than its
// call may have, or else more than a sandbox can have.
func (b *Sandbox) tooLarge(wanted int64) *kernel.Fault {
	limit := b.memory.limit
	if limit <= 0 || wanted <= limit {
		limit = int64(b.memory.reserve)
	}
	return &kernel.Fault{Kind: kernel.Memory, Limit: limit, Used: wanted}
}

// clip makes what a guest said fit for a message.
func clip(b []byte) string {
	if len(b) > 500 {
		b = b[:500]
	}
	return strings.ToValidUTF8(string(b), "")
}
