package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

const (
	// wasmPage is the unit of WebAssembly's memory, in bytes.
	wasmPage = 64 << 10
	// page is the unit in which images are stored, in bytes.
	page = 4 << 10
)

// Image is what a guest is after it was initialised: the contents of its
// memory and its mutable globals. It is immutable and safe for concurrent use.
// Its memory is a file without a name that nobody can write any more.
type Image struct {
	pages   uint32
	globals []uint64
	pristine
}

// Source is what an Image is made from.
type Source struct {
	// Runtime compiles and runs the template. Kernel and meter are installed
	// there, and it does not close modules when a context is done.
	Runtime wazero.Runtime
	// Template is the code as rewrite.Module.Template returned it, and Globals
	// are its mutable globals.
	Template []byte
	Globals  []rewrite.Global
	// Start limits the initialisation: memory, output, deadline.
	Start kernel.Call
	// Fuel limits the initialisation, and each call of Warm that has no limit
	// of its own.
	Fuel int64
	// Warm makes the guest's first calls, with made-up data: what it sets up
	// when it is first used (caches of types, buffers) becomes part of the
	// image. Clock, sleep and randomness of the jobs are replaced by fixed
	// ones. It may be nil. What a call returns as an error is Warm's to judge.
	Warm func(ctx context.Context, call func(*Job) ([]byte, error)) error
}

// Images are made in a world that is the same everywhere, so that the same
// code gives the same image on every host.
const (
	worldBegan = 1_700_000_000 // seconds since 1970
	worldTick  = 1_000         // nanoseconds, from one look at the clock to the next
)

// world is a clock that moves when it is looked at, and a seeded source of
// randomness.
type world struct {
	nanoseconds int64
	random      *rand.ChaCha8
}

func newWorld() *world {
	return &world{random: rand.NewChaCha8([32]byte([]byte("the same bytes on every host ...")))}
}

func (w *world) nanotime() int64 {
	w.nanoseconds += worldTick
	return w.nanoseconds
}

func (w *world) walltime() (int64, int32) {
	n := w.nanotime()
	return worldBegan + n/1e9, int32(n % 1e9)
}

func (w *world) sleep(d time.Duration) { w.nanoseconds += max(0, int64(d)) }

// apply makes a call happen in this world.
func (w *world) apply(c *kernel.Call) {
	c.Walltime, c.Nanotime, c.Sleep, c.Random = w.walltime, w.nanotime, w.sleep, w.random
}

// starts are the functions that set a guest up, as Extism's hosts call them:
// a reactor's, else that of a language that has no reactors.
var starts = [...]string{"_initialize", "__wasm_call_ctors"}

// NewImage initialises a guest and returns what it is then.
func NewImage(ctx context.Context, s Source) (*Image, error) {
	compiled, err := s.Runtime.CompileModule(ctx, s.Template)
	if err != nil {
		return nil, fmt.Errorf("compiling the guest: %w", err)
	}
	defer compiled.Close(context.WithoutCancel(ctx))
	state := kernel.New()
	b := &Sandbox{state: state}
	state.Owner = b
	// A start function runs here, in the limits of Start.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := newWorld()
	start := s.Start
	w.apply(&start)
	if err := state.Begin(ctx, &start); err != nil {
		return nil, err
	}
	b.meter.begin(s.Fuel)
	module, err := instantiate(b.memory.within(state, start.Memory), s.Runtime, compiled)
	if err != nil {
		err = fmt.Errorf("instantiating the guest: %w", b.explain(err))
	}
	state.Reset()
	if err != nil {
		b.memory.Free()
		return nil, err
	}
	defer module.Close(context.WithoutCancel(ctx))
	b.module = module
	if g, ok := module.ExportedGlobal(rewrite.FuelGlobal).(api.MutableGlobal); ok {
		b.fuel = g
	}
	job := Job{Call: s.Start, Export: "", Fuel: s.Fuel}
	for _, name := range starts {
		if module.ExportedFunction(name) == nil {
			continue
		}
		job.Export = name
		if _, err := b.warm(ctx, &job, w); err != nil {
			return nil, fmt.Errorf("initialising the guest: %w", err)
		}
		break
	}
	if s.Warm != nil {
		err := s.Warm(ctx, func(j *Job) ([]byte, error) {
			if j.Fuel <= 0 {
				j.Fuel = s.Fuel
			}
			return b.warm(ctx, j, w)
		})
		if err != nil {
			return nil, fmt.Errorf("warming the guest up: %w", err)
		}
	}
	return b.take(s.Globals)
}

// warm makes a call after which the guest stays as it is.
func (b *Sandbox) warm(ctx context.Context, job *Job, w *world) ([]byte, error) {
	d, err := b.door(job.Export)
	if err != nil {
		return nil, err
	}
	w.apply(&job.Call)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer b.state.Reset()
	b.memory.begin(job.Memory)
	if err := b.state.Begin(ctx, &job.Call); err != nil {
		return nil, err
	}
	return b.run(d, job)
}

// take copies the guest as it is now.
func (b *Sandbox) take(globals []rewrite.Global) (*Image, error) {
	img := &Image{}
	for _, g := range globals {
		at := b.module.ExportedGlobal(g.Name)
		if at == nil {
			return nil, fmt.Errorf("the template does not export its global %q", g.Name)
		}
		img.globals = append(img.globals, at.Get())
	}
	var memory []byte
	if m := b.module.Memory(); m != nil {
		view, ok := m.Read(0, m.Size())
		if !ok {
			return nil, errors.New("the guest's memory cannot be read")
		}
		memory = view
	}
	img.pages = uint32(len(memory) / wasmPage)
	if err := img.store(memory); err != nil {
		return nil, fmt.Errorf("storing the image of the guest: %w", err)
	}
	return img, nil
}

// Rewrite returns what rewrite.Module.Bake needs.
func (i *Image) Rewrite() rewrite.Image {
	return rewrite.Image{Pages: i.pages, Globals: append([]uint64(nil), i.globals...)}
}

// Bytes is the size of the guest's memory in the image.
func (i *Image) Bytes() int64 { return int64(i.pages) * wasmPage }

// Digest names the contents of the image: "sha256:" and hexadecimal digits. It
// is the same on every host.
func (i *Image) Digest() string {
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, i.pages) // a hash takes everything
	_ = binary.Write(h, binary.LittleEndian, i.globals)
	_, _ = h.Write(i.view)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Close gives the image's memory back. Nobody may use it any more: the Code
// that was opened with it is closed, and closes it.
func (i *Image) Close() error { return i.free() }
