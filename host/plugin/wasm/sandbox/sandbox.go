// Package sandbox runs each call of a guest in memory that nothing was done to
// yet. Whoever wants to know what a guest may reach looks elsewhere (kernel);
// this is about what it leaves behind: nothing.
//
// A guest is initialised once. The contents of its memory and its mutable
// globals from then are its Image. A Sandbox is an instance whose memory is a
// private mapping of the image, so all sandboxes share the pages that they do
// not write. After each call the pages that were written are copied back, the
// globals are set back, and memory that grew shrinks: the sandbox is byte for
// byte the image again, for a price that depends on what the call wrote, not on
// how large the guest is.
//
// # Which pages were written
//
// A page that was never written is a page of the image's file; writing makes
// it a private page by a page fault of the writing thread. So the system knows
// all written pages, and ioctl(PAGEMAP_SCAN) of Linux 6.7 tells (Path
// PageScan). A page stays private after it was restored, so the set only grows,
// and a call during which the thread had no page fault can have added nothing
// to it: then the known set is restored without asking. The count of page
// faults belongs to a thread, so a call keeps its thread from before its first
// write until it is restored, and nobody else writes to a guest's memory.
// An older Linux tells it for each page alone, in /proc/self/pagemap (Path
// Pagemap). Where even that is closed, all private pages are given back after
// each call (Path Madvise), which is always right and costs a page fault for
// each page that the next call uses. Elsewhere this package opens nothing.
//
// # What ends a call
//
// Guests count fuel (package rewrite) and come back to the host when a slice of
// it is used up. There it is decided whether the call may go on: by its fuel,
// its deadline, its context. A call that is ended leaves a sandbox that is
// restored like any other.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"

	"github.com/tetratelabs/wazero/api"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
)

// Job is one call of a guest.
type Job struct {
	// Call is the input, the limits and what the guest learns from outside.
	kernel.Call
	// Export is the function to call: () -> i32, where 0 is success, or () -> ().
	Export string
	// Fuel is how much the call may use; 0 or less is no limit.
	Fuel int64
}

// Used is what a call took.
type Used struct {
	// Fuel is deterministic: the same image, input, host answers, clock and
	// randomness give the same.
	Fuel int64
	// Memory is the most linear memory that the guest had, with what the kernel
	// held at the end, in bytes.
	Memory int64
}

// Sandbox is one instance of a Code. It belongs to one caller at a time, from
// Code.Take to Release, and is clean before and after each Invoke.
type Sandbox struct {
	code   *Code
	module api.Module
	state  *kernel.State
	memory arena
	fuel   api.MutableGlobal // nil where the code is not metered
	// globals are what reset sets back, in the order of the image.
	globals []global
	doors   []door
	meter   meter
	stack   [1]uint64
	running api.Function // what is called now
	// dirty is set while a call runs; a sandbox that stays so is not used again.
	dirty bool
	// rested is for how many periods it was not used, calls how many it served
	// since all of it was compared.
	rested, calls int
}

// global is one mutable global and what it is in the image.
type global struct {
	at    api.MutableGlobal
	value uint64
}

// door is an exported function with a call engine of its own.
type door struct {
	name    string
	call    api.Function
	results int
}

// errDirty is what a sandbox answers that could not be restored.
var errDirty = errors.New("the sandbox could not be restored after a call and is not used again")

// Invoke calls the guest and restores the sandbox. The output is the caller's.
// When the guest failed or was ended, the error is one of *kernel.Fault,
// *Failed, *Trap and *sys.ExitError, maybe wrapped; Used is filled in any case.
func (b *Sandbox) Invoke(ctx context.Context, job *Job) (out []byte, used Used, err error) {
	if b.dirty {
		return nil, used, errDirty
	}
	d, err := b.door(job.Export)
	if err != nil {
		return nil, used, err
	}
	if n := int64(len(b.memory.image())); job.Memory > 0 && n > job.Memory {
		return nil, used, &kernel.Fault{Kind: kernel.Memory, Limit: job.Memory, Used: n}
	}
	b.dirty = true
	// From here to the reset all writes to the guest's memory, and the page
	// faults that they cause, are this thread's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.memory.begin(job.Memory)
	if err = b.state.Begin(ctx, &job.Call); err == nil {
		out, err = b.run(d, job)
		used.Fuel = b.meter.used(b.left())
	}
	used.Memory = int64(b.memory.peak) + b.state.Bytes()
	b.state.Reset()
	if fault := b.reset(); fault != nil {
		return nil, used, errors.Join(err, fault)
	}
	b.dirty = false
	return out, used, err
}

// run executes the guest and copies its answer.
func (b *Sandbox) run(d *door, job *Job) (out []byte, err error) {
	b.fill(b.meter.begin(job.Fuel))
	b.stack[0], b.running = 0, d.call
	if err = d.call.CallWithStack(b.state, b.stack[:]); err != nil {
		err = b.explain(err)
		b.renew(d)
		return nil, err
	}
	if b.meter.slices > 0 || b.calls%stackEvery == 0 {
		b.renew(d)
	}
	if d.results > 0 && int32(b.stack[0]) != 0 {
		return nil, &Failed{Code: int32(b.stack[0]), Message: clip(b.state.Failure())}
	}
	if over := b.meter.over(b.left()); over != nil {
		return nil, over
	}
	view := b.state.Output()
	if n := b.state.Refused(); len(view) == 0 && n > 0 {
		// Guests do not look whether the kernel gave them room for their answer.
		return nil, b.tooLarge(n)
	}
	if job.Output > 0 && int64(len(view)) > job.Output {
		return nil, &kernel.Fault{Kind: kernel.Output, Limit: job.Output, Used: int64(len(view))}
	}
	out = make([]byte, len(view))
	copy(out, view)
	return out, nil
}

// fill gives the guest its first fuel.
func (b *Sandbox) fill(fuel int64) {
	if b.fuel != nil {
		b.fuel.Set(uint64(fuel))
	}
}

// left is the fuel that the guest has not used.
func (b *Sandbox) left() int64 {
	if b.fuel == nil {
		return b.meter.granted
	}
	return int64(b.fuel.Get())
}

// ErrUnclean means that a sandbox was not its image after it was restored. That
// is a defect of this package or of the system, and what other calls saw since
// the last compare cannot be told.
var ErrUnclean = errors.New("something of a call was left in its sandbox")

// reset makes the sandbox equal to its image, and now and then compares it.
func (b *Sandbox) reset() error {
	if err := b.restore(); err != nil {
		return err
	}
	if b.calls++; b.calls < b.code.settings.CompareEvery {
		return nil
	}
	b.calls = 0
	if d := b.difference(b.memory.touched); d != "" {
		return fmt.Errorf("%w: %s", ErrUnclean, d)
	}
	return nil
}

// difference says in what the sandbox is not its image, or "". It compares all
// globals, all memory, and what lies behind it up to upTo. It does not say what
// is there: that may be a secret.
func (b *Sandbox) difference(upTo int) string {
	for i, g := range b.globals {
		if g.at.Get() != g.value {
			return fmt.Sprintf("global %d differs", i)
		}
	}
	image := b.memory.image()
	if m := b.module.Memory(); m != nil && int(m.Size()) != len(image) {
		return fmt.Sprintf("the memory has %d bytes, not %d", m.Size(), len(image))
	}
	return b.memory.difference(upTo)
}

// restore sets globals, size and memory back.
func (b *Sandbox) restore() error {
	for i := range b.globals {
		b.globals[i].at.Set(b.globals[i].value)
	}
	if b.memory.grown() {
		// The module's memory has no function to shrink. Growing it asks the
		// allocator for a slice, and takes what it answers.
		b.memory.shrinking = true
		_, ok := b.module.Memory().Grow(1)
		b.memory.shrinking = false
		if !ok || b.memory.grown() {
			return fmt.Errorf("the memory of the guest cannot be shrunk from %d bytes", b.memory.size)
		}
	}
	return b.memory.restore()
}

// door returns the function of that name.
func (b *Sandbox) door(name string) (*door, error) {
	for i := range b.doors {
		if b.doors[i].name == name {
			return &b.doors[i], nil
		}
	}
	fn := b.module.ExportedFunction(name)
	if fn == nil {
		return nil, fmt.Errorf("the guest does not export %q", name)
	}
	def := fn.Definition()
	results := def.ResultTypes()
	if len(def.ParamTypes()) != 0 || len(results) > 1 || len(results) == 1 && results[0] != api.ValueTypeI32 {
		return nil, fmt.Errorf("the guest's %q is not a function () -> i32 or () -> ()", name)
	}
	b.doors = append(b.doors, door{name: name, call: fn, results: len(results)})
	return &b.doors[len(b.doors)-1], nil
}

const (
	// largestStack is how large the call stack of a guest may become, in bytes,
	// before it is ended. The engine doubles it when a guest calls deep, outside
	// of all limits of memory, and unwinding it takes a tenth of a microsecond
	// for each frame. It is looked at when the guest asks for fuel.
	largestStack = 4 << 20
	// keptStack is how large it may be to be kept for the next call. The engine
	// never shrinks it.
	keptStack = 256 << 10
	// stackEvery is after how many calls the stack is looked at although they
	// asked for no fuel.
	stackEvery = 64
)

// renew replaces the door's call engine if its stack has grown.
func (b *Sandbox) renew(d *door) {
	if size, known := stackSize(d.call); !known || size > keptStack {
		d.call = b.module.ExportedFunction(d.name)
	}
}

// deep returns the fault of a guest that calls too deep, or nil.
func (b *Sandbox) deep() error {
	if size, _ := stackSize(b.running); size > largestStack {
		return &kernel.Fault{Kind: kernel.Stack}
	}
	return nil
}

// stackSize reads how large the stack of a call engine is. The engine does not
// tell it; another engine than today's may not have that field.
func stackSize(fn api.Function) (size int, known bool) {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return 0, false
	}
	f := v.Elem().FieldByName("stack")
	if f.Kind() != reflect.Slice {
		return 0, false
	}
	return f.Len(), true
}
