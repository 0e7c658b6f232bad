// Package portable runs each call of a guest in an instance of its own, by
// Extism's Go SDK. It is for systems on which memory cannot be restored, and for
// modules that hold state outside of what can be: slower than package sandbox,
// with the same limits, errors and guarantee, as nothing of an instance outlives
// its call.
package portable

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
	"github.com/callboard-dev/callboard/host/plugin/wasm/sandbox"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Settings of a Code.
type Settings struct {
	// Metered is the code as rewrite.Module.Metered returned it.
	Metered []byte
	// Engine is how it is compiled.
	Engine wazero.RuntimeConfig
	// MaxMemory is the most linear memory that a call can have, in bytes.
	MaxMemory int64
	// StartFuel is how much a guest may use to initialise itself, beside what
	// the call may use.
	StartFuel int64
}

// Code is a compiled guest. It is safe for concurrent use.
type Code struct {
	compiled  *extism.CompiledPlugin
	startFuel int64

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// Open compiles the code.
func Open(ctx context.Context, s Settings) (*Code, error) {
	compiled, err := extism.NewCompiledPlugin(
		watched(ctx),
		extism.Manifest{
			Wasm:   []extism.Wasm{extism.WasmData{Data: s.Metered}},
			Memory: &extism.ManifestMemory{MaxPages: uint32(s.MaxMemory >> 16), MaxHttpResponseBytes: 0, MaxVarBytes: 1 << 20},
		},
		extism.PluginConfig{RuntimeConfig: s.Engine, EnableWasi: true},
		[]extism.HostFunction{
			hostFunction(pluginv1.HostNamespace, pluginv1.HostFunction, (*call).answer),
			hostFunction(rewrite.YieldModule, rewrite.YieldName, func(c *call, _ *extism.CurrentPlugin, left uint64) uint64 {
				return uint64(c.meter.more(int64(left), c.look))
			}),
		},
	)
	if err != nil {
		return nil, err
	}
	return &Code{compiled: compiled, startFuel: s.StartFuel}, nil
}

type callKey struct{}

func hostFunction(module, name string, do func(c *call, p *extism.CurrentPlugin, arg uint64) uint64) extism.HostFunction {
	f := extism.NewHostFunctionWithStack(name, func(ctx context.Context, p *extism.CurrentPlugin, stack []uint64) {
		c, ok := ctx.Value(callKey{}).(*call)
		if !ok {
			panic(&kernel.Fault{Kind: kernel.Refused, What: name + " outside of a call"})
		}
		stack[0] = do(c, p, stack[0])
	}, []extism.ValueType{extism.ValueTypeI64}, []extism.ValueType{extism.ValueTypeI64})
	f.SetNamespace(module)
	return f
}

// Close frees the code after the calls that still run.
func (m *Code) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.running.Wait()
	return m.compiled.Close(ctx)
}

// Do runs one job in an instance of its own. It answers as sandbox.Code.Do does.
func (m *Code) Do(ctx context.Context, job *sandbox.Job) ([]byte, sandbox.Used, error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, sandbox.Used{}, sandbox.ErrClosed
	}
	m.running.Add(1)
	m.mu.Unlock()
	defer m.running.Done()
	c := &call{job: job, begin: time.Now(), memory: budget{limit: job.Memory}, meter: meter{limit: m.startFuel}}
	c.stdout.limit, c.stderr.limit = job.LogBytes, job.LogBytes
	if !job.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, job.Deadline)
		defer cancel()
	}
	c.ctx = ctx
	c.deadline, _ = ctx.Deadline()
	out, err := c.run(ctx, m.compiled)
	c.meter.finish()
	switch over := c.meter.limit > 0 && c.meter.total > c.meter.limit; {
	case err == nil && over:
		err = c.meter.over()
	case err == nil && len(out) == 0 && c.memory.wanted > 0:
		err = c.outOfMemory()
	}
	c.flush()
	if err != nil {
		out = nil
	}
	return out, sandbox.Used{Fuel: c.meter.total, Memory: c.memory.used}, err
}

// call is the state of one call.
type call struct {
	job            *sandbox.Job
	ctx            context.Context
	begin          time.Time
	deadline       time.Time
	memory         budget
	meter          meter
	stdout, stderr scroll
	exited         bool
}

// run instantiates, calls and frees.
func (c *call) run(ctx context.Context, compiled *extism.CompiledPlugin) (out []byte, err error) {
	defer c.memory.free()
	defer func() {
		// An initial memory above the limit, and defects of the engine.
		if p := recover(); p != nil {
			out, err = nil, c.ended(0, fmt.Errorf("running the guest: %v", p))
		}
	}()
	ctx = context.WithValue(ctx, callKey{}, c)
	instance, err := compiled.Instance(experimental.WithMemoryAllocator(ctx, &c.memory), extism.PluginInstanceConfig{ModuleConfig: c.module(ctx)})
	if err != nil {
		return nil, c.ended(0, fmt.Errorf("instantiating the guest: %w", err))
	}
	// Close stops at its first error; the memory goes in any case.
	defer func() { _ = instance.CloseWithContext(context.WithoutCancel(ctx)) }()
	instance.Config = c.job.Config
	code, out, err := instance.CallWithContext(ctx, c.job.Export, c.job.Input)
	switch limit := c.job.Output; {
	case err != nil && code == 0:
		// A message of error_set in a call that succeeded all the same.
	case err != nil:
		return nil, c.ended(int32(code), err)
	case c.exited:
		return nil, sys.NewExitError(0)
	case code != 0:
		return nil, &sandbox.Failed{Code: int32(code)}
	case limit > 0 && int64(len(out)) > limit:
		return nil, &kernel.Fault{Kind: kernel.Output, Limit: limit, Used: int64(len(out))}
	}
	return out, nil
}

// maxMessage is how much of what a guest says is repeated, in bytes.
const maxMessage = 500

// ended turns what the engine or the SDK said into the errors that sandboxes
// give. Code is what the function returned, if it did.
func (c *call) ended(code int32, err error) error {
	var fault *kernel.Fault
	var exit *sys.ExitError
	text := strings.TrimSpace(err.Error())
	trace := strings.Index(text, "wasm stack trace:")
	switch {
	case errors.As(err, &fault):
		return err
	case c.memory.wanted > 0:
		return errors.Join(c.outOfMemory(), err)
	case errors.As(err, &exit):
		return err
	case strings.HasSuffix(text, "stack overflow"):
		return errors.Join(&kernel.Fault{Kind: kernel.Stack}, err)
	case trace >= 0:
		return &sandbox.Trap{Text: strings.TrimPrefix(strings.TrimSpace(text[:trace]), "wasm error: ")}
	case code == 0:
		return err
	}
	return &sandbox.Failed{Code: code, Message: strings.ToValidUTF8(text[:min(len(text), maxMessage)], "")}
}

func (c *call) outOfMemory() error {
	return &kernel.Fault{Kind: kernel.Memory, Limit: c.memory.limit, Used: c.memory.wanted}
}

// look ends the call with a panic once its time is over or it was given up.
func (c *call) look() {
	now, err := time.Now(), c.ctx.Err()
	switch {
	case !c.deadline.IsZero() && !now.Before(c.deadline), errors.Is(err, context.DeadlineExceeded):
		panic(&kernel.Fault{Kind: kernel.Deadline, Limit: int64(c.deadline.Sub(c.begin)), Used: int64(now.Sub(c.begin))})
	case err != nil:
		panic(&kernel.Fault{Kind: kernel.Cancelled})
	}
}

// module gives the guest the world of its call, the real one where it has no
// own, and nothing else.
func (c *call) module(ctx context.Context) wazero.ModuleConfig {
	random := c.job.Random
	if random == nil {
		random = rand.Reader
	}
	config := wazero.NewModuleConfig().WithRandSource(watchedReader{c, random}).WithStdout(&c.stdout).WithStderr(&c.stderr).
		WithSysWalltime().WithSysNanotime()
	if c.job.Walltime != nil {
		config = config.WithWalltime(c.job.Walltime, sys.ClockResolution(time.Microsecond))
	}
	if c.job.Nanotime != nil {
		config = config.WithNanotime(c.job.Nanotime, 1)
	}
	return config.WithNanosleep(func(ns int64) {
		if c.job.Sleep != nil {
			c.job.Sleep(time.Duration(ns))
			return
		}
		t := time.NewTimer(time.Duration(ns))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	})
}

// watchedReader looks at the clock while randomness is drawn.
type watchedReader struct {
	c *call
	r io.Reader
}

// Read implements io.Reader, a piece at a time.
func (r watchedReader) Read(b []byte) (int, error) {
	r.c.look()
	return r.r.Read(b[:min(len(b), 64<<10)])
}

// flush hands what the guest wrote to the log.
func (c *call) flush() {
	if c.job.Log == nil {
		return
	}
	if text := c.stdout.text(); len(text) > 0 {
		c.job.Log("stdout", text)
	}
	if text := c.stderr.text(); len(text) > 0 {
		c.job.Log("stderr", text)
	}
}

// maxRequest is the largest host call that is copied out of a guest; larger
// ones are refused by whoever answers.
const maxRequest = 16 << 20

// answer serves one host call; it returns the offset of the answer, 0 where the
// guest has no memory left to hold it.
func (c *call) answer(p *extism.CurrentPlugin, offset uint64) uint64 {
	if c.job.Host == nil {
		panic(&kernel.Fault{Kind: kernel.Refused, What: pluginv1.HostFunction})
	}
	var request []byte
	if n, err := p.LengthWithContext(c.ctx, offset); err == nil && n > 0 && n <= maxRequest {
		request, _ = p.ReadBytes(offset) // nil is refused
	}
	answer := c.job.Host(c.ctx, request)
	c.look()
	at, err := p.WriteBytes(answer)
	if err == nil && (at != 0 || len(answer) == 0) {
		return at
	}
	if at, err = p.WriteBytes(c.job.NoRoom); err != nil {
		return 0
	}
	return at
}
