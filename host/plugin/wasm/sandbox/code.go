package sandbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

// Settings of a Code.
type Settings struct {
	// Runtime compiles and runs the code. Kernel and meter are installed there.
	// It does not close modules when a context is done, and has no limit of
	// memory of its own.
	Runtime wazero.Runtime
	// Baked is the code as rewrite.Module.Bake returned it for Image, and
	// Globals are the mutable globals that it exports, as in Image.
	Baked   []byte
	Globals []rewrite.Global
	// Image belongs to the Code from now on, which closes it.
	Image *Image
	// Path is how sandboxes are restored, as Detect found it.
	Path Path
	// MaxMemory is the most linear memory that a sandbox can have, in bytes
	// (512 MiB); calls have their own limits below it. MaxPages is what the
	// guest itself declared, in pages of 64 KiB; 0 is no limit.
	MaxMemory int64
	MaxPages  uint32
	// MaxBoxes is how many sandboxes there are at most (64). Who finds none
	// free waits.
	MaxBoxes int
	// IdleAfter is after how long an unused sandbox gives its private pages
	// back (1 s), and CloseAfter after how long it is closed (1 min).
	IdleAfter, CloseAfter time.Duration
	// CompareEvery is after how many calls all of a sandbox is compared with
	// its image (4096). It takes about 0.1 ms for each MiB; what differs is
	// ErrUnclean.
	CompareEvery int
}

// Code is a compiled guest and the sandboxes in which it runs. It is safe for
// concurrent use.
type Code struct {
	settings Settings
	compiled wazero.CompiledModule
	resetter

	mu      sync.Mutex
	idle    []*Sandbox // the last one was used last
	unused  int        // how many of them, from the first, were not used in this period
	open    int
	waiting []chan *Sandbox
	closed  bool
	freed   bool
	empty   chan struct{} // closed when a closed Code has no sandbox left
	sweeper *time.Timer
	lost    int64
}

// ErrClosed is what a Code answers after Close.
var ErrClosed = errors.New("the code was closed")

// Open compiles the code.
func Open(ctx context.Context, s Settings) (*Code, error) {
	if s.MaxMemory <= 0 {
		s.MaxMemory = 512 << 20
	}
	// One page less than there can be: see Sandbox.reset.
	s.MaxMemory = min(max(s.MaxMemory/wasmPage*wasmPage, s.Image.Bytes()), (maxPages-1)*wasmPage)
	if s.MaxPages > 0 {
		s.MaxMemory = min(s.MaxMemory, int64(s.MaxPages)*wasmPage)
	}
	if s.MaxBoxes <= 0 {
		s.MaxBoxes = 64
	}
	if s.CompareEvery <= 0 {
		s.CompareEvery = 4096
	}
	if s.IdleAfter <= 0 {
		s.IdleAfter = time.Second
	}
	if s.CloseAfter <= 0 {
		s.CloseAfter = time.Minute
	}
	if len(s.Globals) != len(s.Image.globals) {
		return nil, fmt.Errorf("the image has %d globals, the code %d", len(s.Image.globals), len(s.Globals))
	}
	r, err := newResetter(s.Path)
	if err != nil {
		return nil, err
	}
	compiled, err := s.Runtime.CompileModule(ctx, s.Baked)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("compiling the guest: %w", err), r.close())
	}
	return &Code{settings: s, compiled: compiled, resetter: r, empty: make(chan struct{})}, nil
}

// Do runs one job in a sandbox of its own. See Sandbox.Invoke.
func (c *Code) Do(ctx context.Context, job *Job) ([]byte, Used, error) {
	b, err := c.Take(ctx)
	if err != nil {
		return nil, Used{}, err
	}
	turn := b.calls%turnEvery == 0
	out, used, err := b.lend(ctx, job)
	if turn {
		runtime.Gosched()
	}
	return out, used, err
}

// turnEvery is after how many calls a caller lets others have the processor. A
// caller that calls all the time would else lose it in the middle of a call,
// when it keeps its thread: then the system has to change threads twice.
const turnEvery = 32

// lend is Invoke and Release.
func (b *Sandbox) lend(ctx context.Context, job *Job) ([]byte, Used, error) {
	defer b.Release()
	return b.Invoke(ctx, job)
}

// fresh makes a sandbox.
func (c *Code) fresh(ctx context.Context) (*Sandbox, error) {
	b := &Sandbox{code: c, state: kernel.New()}
	b.state.Owner = b
	b.memory.base, b.memory.reserve = &c.settings.Image.pristine, int(c.settings.MaxMemory)
	c.equip(&b.memory)
	// Instantiating runs no code of the guest: start functions are not baked.
	if err := b.state.Begin(ctx, &kernel.Call{}); err != nil {
		return nil, err
	}
	module, err := instantiate(b.memory.within(b.state, 0), c.settings.Runtime, c.compiled)
	b.state.Reset()
	if err != nil {
		b.memory.Free()
		return nil, fmt.Errorf("making a sandbox: %w", err)
	}
	b.module = module
	if err := b.bind(c.settings.Globals, c.settings.Image.globals); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// instantiate makes an instance without a name that runs nothing by itself.
func instantiate(ctx context.Context, r wazero.Runtime, compiled wazero.CompiledModule) (m api.Module, err error) {
	defer func() {
		// The engine takes it that there is memory for a guest's beginning.
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("there is no memory for the guest: %v", p)
		}
	}()
	return r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
}

// bind finds the globals that reset sets back.
func (b *Sandbox) bind(globals []rewrite.Global, values []uint64) error {
	for i, g := range globals {
		at, ok := b.module.ExportedGlobal(g.Name).(api.MutableGlobal)
		if !ok {
			return fmt.Errorf("making a sandbox: the code does not export its global %q", g.Name)
		}
		b.globals = append(b.globals, global{at, values[i]})
	}
	if at, ok := b.module.ExportedGlobal(rewrite.FuelGlobal).(api.MutableGlobal); ok {
		b.fuel = at
		b.globals = append(b.globals, global{at, 0})
	}
	if m := b.module.Memory(); m == nil && b.memory.image() != nil || m != nil && int(m.Size()) != len(b.memory.image()) {
		return errors.New("making a sandbox: the code's memory is not the image's")
	}
	return nil
}

// close frees what the sandbox holds.
func (b *Sandbox) close() error {
	err := b.module.Close(context.Background())
	b.memory.Free()
	return err
}

// Path is how sandboxes are restored.
type Path string

// The paths, the fastest first.
const (
	// PageScan restores the pages that were written (Linux 6.7 and newer).
	PageScan Path = "page-scan"
	// Pagemap does the same and finds them by asking for each page (older ones).
	Pagemap Path = "pagemap"
	// Madvise gives the private pages back to the system after each call: those
	// that it finds like Pagemap, or all of the memory where the system does not
	// say (any Linux).
	Madvise Path = "madvise"
	// None is a system on which this package opens nothing: guests get a fresh
	// instance for each call, elsewhere.
	None Path = ""
)
