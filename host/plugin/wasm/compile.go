package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/portable"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
	"github.com/callboard-dev/callboard/host/plugin/wasm/sandbox"
	"github.com/callboard-dev/callboard/host/plugin/wasm/vault"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	pluginv2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

// Files of a box beside the engine's own.
const (
	fileCode  = "code.wasm"
	fileImage = "image"
)

// record is what a box says of itself.
type record struct {
	// Path is PathFresh, or anything else for code of sandboxes.
	Path     string           `json:"path"`
	Why      string           `json:"why,omitempty"`
	ABI      int              `json:"abi"`
	Globals  []rewrite.Global `json:"globals,omitempty"`
	MaxPages uint32           `json:"maxPages,omitempty"`
}

// layout is raised when what is kept on disk, or how guests are initialised,
// changes.
const layout = 1

// buildTag names everything beside a module's digest that compiled code
// depends on.
func buildTag() string {
	h := sha256.New()
	fmt.Fprintln(h, layout, rewrite.Version, runtime.GOARCH, runtime.GOOS, runtime.Version())
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/tetratelabs/wazero" || d.Path == "github.com/extism/go-sdk" {
				fmt.Fprintln(h, d.Path, d.Version, d.Sum)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// Limits of a guest while it is initialised. Time is a net below fuel, so that
// images do not depend on how fast a host is.
const (
	startTimeout  = 2 * time.Minute
	startLogBytes = 4 << 10
	startOutput   = 1 << 20
	// warmCalls are made before the image is taken: what a guest sets up at its
	// first calls is set up once.
	warmCalls = 24
	// warmShare is the part of the fuel of the start that each of them gets.
	warmShare   = 25
	warmTimeout = 5 * time.Second
)

// make compiles and keeps what it made.
func (r *Runtime) make(ctx context.Context, m *rewrite.Module, draft *vault.Draft, name string) (plugin.Module, error) {
	rec := record{Path: PathFresh, Why: r.why, ABI: abiJSON, MaxPages: m.MaxPages()}
	if r.path != sandbox.None {
		if refusals := m.Refusals(); len(refusals) > 0 {
			rec.Why = "the module cannot be restored: " + strings.Join(refusals, "; ")
		} else {
			rec.Path = string(r.path)
		}
	}
	if rec.Path != PathFresh {
		return r.makeBoxed(ctx, m, draft, name, &rec)
	}
	out, err := r.makeFresh(ctx, m, draft.Dir, &rec)
	if err != nil {
		return nil, err
	}
	if draft.Dir != "" {
		if err := r.keep(draft, name, &rec); err != nil {
			r.settings.Log.Warn("compiled code cannot be kept for the next start", "box", name, "error", err)
		}
	}
	return out, nil
}

// keep seals a draft.
func (r *Runtime) keep(draft *vault.Draft, name string, rec *record) error {
	note, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return draft.Keep(name, note)
}

// write keeps a file in a draft, if there is one.
func write(dir, name string, content []byte) error {
	if dir == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, name), content, 0o600)
}

func (r *Runtime) makeFresh(ctx context.Context, m *rewrite.Module, dir string, rec *record) (plugin.Module, error) {
	code, err := m.Metered()
	if err == nil {
		err = write(dir, fileCode, code)
	}
	if err != nil {
		return nil, err
	}
	runner, free, err := r.openFresh(ctx, dir, code)
	if err != nil {
		return nil, err
	}
	if speaksABI(m) {
		job := sandbox.Job{Call: r.start(), Export: pluginv2.ExportABI}
		_, _, err := runner.Do(ctx, &job)
		if rec.ABI, err = abiOf(err); err != nil {
			return nil, errors.Join(err, runner.Close(ctx), free(ctx))
		}
	}
	return newModule(runner, free, plugin.Facts{Path: PathFresh, Why: rec.Why, ABI: rec.ABI, Bytes: size(dir, code)}), nil
}

func (r *Runtime) openFresh(ctx context.Context, dir string, code []byte) (runner, func(context.Context) error, error) {
	cache, err := openCache(dir)
	if err != nil {
		return nil, nil, err
	}
	opened, err := portable.Open(ctx, portable.Settings{Metered: code, Engine: engineConfig(cache), MaxMemory: r.settings.MaxMemory, StartFuel: r.settings.StartFuel})
	if err != nil {
		return nil, nil, errors.Join(err, cache.Close(ctx))
	}
	return opened, cache.Close, nil
}

// start is what a guest may use while it is initialised.
func (r *Runtime) start() kernel.Call {
	return kernel.Call{Memory: r.settings.MaxMemory, Output: startOutput, LogBytes: startLogBytes, Deadline: time.Now().Add(startTimeout), Host: refuse}
}

// abiOf reads the answer to the question which ABI a guest speaks: any but 0
// looks like a failure to whoever runs it.
func abiOf(answer error) (int, error) {
	var failed *sandbox.Failed
	if !errors.As(answer, &failed) {
		return 0, errors.Join(errors.New("the guest does not say which ABI it speaks"), answer)
	}
	return spoken(failed.Code), nil
}

// makeBoxed makes the image and compiles what starts there. Where it is kept, it
// is opened from there, so that what runs is what later processes load, and the
// machine code that made the image is used again: see stubOf.
func (r *Runtime) makeBoxed(ctx context.Context, m *rewrite.Module, draft *vault.Draft, name string, rec *record) (plugin.Module, error) {
	scratch := &vault.Draft{}
	if draft.Dir != "" {
		var err error
		if scratch, err = r.vault.Draft(); err != nil {
			return nil, err
		}
		defer func() { _ = scratch.Discard() }() // swept later, if it cannot be removed now
	}
	image, err := r.image(ctx, m, rec, scratch.Dir)
	if err != nil {
		return nil, err
	}
	baked, err := m.Bake(image.Rewrite())
	if err != nil {
		return nil, errors.Join(err, image.Close())
	}
	if draft.Dir == "" {
		return r.openBoxed(ctx, "", baked, image, *rec)
	}
	if err := r.keepBoxed(ctx, draft, scratch, name, baked, image, rec); err != nil {
		r.settings.Log.Warn("compiled code cannot be kept for the next start", "box", name, "error", err)
		return r.openBoxed(ctx, "", baked, image, *rec)
	}
	out, err := r.load(ctx, name)
	if err != nil {
		r.settings.Log.Warn("compiled code cannot be loaded", "box", name, "error", err)
		return r.openBoxed(ctx, "", baked, image, *rec)
	}
	return out, image.Close()
}

// keepBoxed puts everything into the draft and seals it. The machine code is in
// scratch.
func (r *Runtime) keepBoxed(ctx context.Context, draft, scratch *vault.Draft, name string, baked []byte, image *sandbox.Image, rec *record) error {
	stub, err := stubOf(baked)
	if err != nil {
		return err
	}
	if err := compileInto(ctx, draft.Dir, stub); err != nil {
		return err
	}
	if err := adopt(scratch.Dir, draft.Dir); err != nil {
		return err
	}
	var kept bytes.Buffer
	if err := image.Save(&kept); err != nil {
		return err
	}
	if err := errors.Join(write(draft.Dir, fileCode, stub), write(draft.Dir, fileImage, kept.Bytes())); err != nil {
		return err
	}
	return r.keep(draft, name, rec)
}

// compileInto leaves machine code in a folder.
func compileInto(ctx context.Context, dir string, code []byte) error {
	cache, err := openCache(dir)
	if err != nil {
		return err
	}
	engine := wazero.NewRuntimeWithConfig(ctx, engineConfig(cache))
	_, err = engine.CompileModule(ctx, code)
	return errors.Join(err, engine.Close(ctx), cache.Close(ctx))
}

// image initialises the guest. One that does not survive the warming up, which
// asks for something that no plugin offers, goes without it. The machine code
// stays in dir, if that is not empty.
func (r *Runtime) image(ctx context.Context, m *rewrite.Module, rec *record, dir string) (*sandbox.Image, error) {
	template, globals, err := m.Template()
	if err != nil {
		return nil, err
	}
	rec.Globals = globals
	engine, cache, err := newEngine(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = errors.Join(engine.Close(ctx), cache.Close(ctx)) }() // frees memory alone
	source := sandbox.Source{
		Runtime: engine, Template: template, Globals: globals, Fuel: r.settings.StartFuel,
		Start: r.start(),
	}
	asked := false
	source.Warm = func(_ context.Context, call func(*sandbox.Job) ([]byte, error)) error {
		asked = true
		if speaksABI(m) {
			job := sandbox.Job{Call: source.Start, Export: pluginv2.ExportABI}
			_, err := call(&job)
			if rec.ABI, err = abiOf(err); err != nil {
				return err
			}
		}
		limits := source.Start
		limits.Deadline = time.Now().Add(warmTimeout)
		return warm(call, sandbox.Job{Call: limits, Export: pluginv1.ExportCall, Fuel: r.settings.StartFuel / warmShare}, rec.ABI)
	}
	image, err := sandbox.NewImage(ctx, source)
	if err != nil && asked && errors.Is(err, errCold) {
		first := source.Warm
		source.Warm = func(ctx context.Context, call func(*sandbox.Job) ([]byte, error)) error {
			// Only the question for the ABI is left.
			return ignoreCold(first(ctx, func(j *sandbox.Job) ([]byte, error) {
				if j.Export == pluginv1.ExportCall {
					return nil, errCold
				}
				return call(j)
			}))
		}
		source.Start.Deadline = time.Now().Add(startTimeout)
		return sandbox.NewImage(ctx, source)
	}
	return image, err
}

// errCold means that a guest cannot be warmed up.
var errCold = errors.New("the guest does not survive a call that it does not know")

func ignoreCold(err error) error {
	if errors.Is(err, errCold) {
		return nil
	}
	return err
}

// warm makes calls with made-up data of something that no plugin offers.
func warm(call func(*sandbox.Job) ([]byte, error), like sandbox.Job, abi int) error {
	for range warmCalls {
		in, err := appendCall(nil, abi, pluginv1.Call{
			Capability: Warmup, Method: "warmup", Tenant: "warmup", DeadlineMillis: 1000,
			Caller: pluginv1.Caller{Kind: "system", Name: "warmup", Role: "viewer"}, Body: json.RawMessage(warmBody),
		})
		if err != nil {
			return err
		}
		job := like
		job.Input = in
		if _, err := call(&job); err != nil {
			return fmt.Errorf("%w: %w", errCold, err)
		}
	}
	return nil
}

// Warmup is the capability that guests are asked for before their image is
// taken. No plugin offers it: the answer is CodeUnsupported. An SDK may use the
// call to set up what it needs for others; nothing in it is anybody's data.
const Warmup = "callboard/warmup"

const warmBody = `{"text":"warm up","number":12.5,"list":[1,2,3],"yes":true,"none":null,"nested":{"key":"value"}}`

// refuse answers host calls of a guest that is being warmed up.
func refuse(_ context.Context, request []byte) []byte {
	abi := abiJSON
	if pluginv2.Is(request) {
		abi = abiBinary
	}
	return appendResult(nil, abi, refusal(pluginv1.CodeUnsupported, "host services cannot be called here"))
}

// spoken is the ABI to use with a guest that speaks up to this one.
func spoken(highest int32) int {
	if highest >= abiBinary {
		return abiBinary
	}
	return abiJSON
}

// newEngine returns a runtime with everything that metered guests import.
func newEngine(ctx context.Context, dir string) (wazero.Runtime, wazero.CompilationCache, error) {
	cache, err := openCache(dir)
	if err != nil {
		return nil, nil, err
	}
	engine := wazero.NewRuntimeWithConfig(ctx, engineConfig(cache))
	if err := errors.Join(kernel.Instantiate(ctx, engine), sandbox.Install(ctx, engine)); err != nil {
		return nil, nil, errors.Join(err, engine.Close(ctx), cache.Close(ctx))
	}
	return engine, cache, nil
}

// openBoxed compiles baked code, or loads it from dir. The image is the
// module's from now on.
func (r *Runtime) openBoxed(ctx context.Context, dir string, baked []byte, image *sandbox.Image, rec record) (plugin.Module, error) {
	engine, cache, err := newEngine(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, image.Close())
	}
	code, err := sandbox.Open(ctx, sandbox.Settings{
		Runtime: engine, Baked: baked, Globals: rec.Globals, Image: image, Path: r.path,
		MaxMemory: r.settings.MaxMemory, MaxPages: rec.MaxPages, MaxBoxes: r.settings.MaxBoxes,
	})
	if err != nil {
		return nil, errors.Join(err, image.Close(), engine.Close(ctx), cache.Close(ctx))
	}
	free := func(ctx context.Context) error { return errors.Join(engine.Close(ctx), cache.Close(ctx)) }
	return newModule(code, free, plugin.Facts{Path: string(r.path), Why: r.why, ABI: rec.ABI, Bytes: size(dir, baked) + image.Bytes()}), nil
}

// load opens what is kept on disk.
func (r *Runtime) load(ctx context.Context, name string) (plugin.Module, error) {
	box, err := r.vault.Read(name, fileCode, fileImage)
	if err != nil {
		return nil, err
	}
	var rec record
	if err := json.Unmarshal(box.Note, &rec); err != nil {
		return nil, err
	}
	code := box.File(fileCode)
	if rec.Path == PathFresh {
		runner, free, err := r.openFresh(ctx, box.Dir, code)
		if err != nil {
			return nil, err
		}
		return newModule(runner, free, plugin.Facts{Path: PathFresh, Why: rec.Why, ABI: rec.ABI, Bytes: box.Size}), nil
	}
	image, err := sandbox.Load(bytes.NewReader(box.File(fileImage)))
	if err != nil {
		return nil, err
	}
	out, err := r.openBoxed(ctx, box.Dir, code, image, rec)
	if err != nil {
		return nil, err
	}
	// The engine must have found its machine code: see stubOf.
	if err := box.Unchanged(); err != nil {
		return nil, errors.Join(err, out.Close(ctx))
	}
	return out, nil
}

// perByte is how large machine code is, by the size of the code, where it is
// not known from disk.
const perByte = 4

// size is about how much memory compiled code takes: the size of the engine's
// files.
func size(dir string, code []byte) (n int64) {
	if dir == "" {
		return int64(len(code)) * perByte
	}
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // an estimate, with what can be read
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil && d.Name() != fileImage {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
