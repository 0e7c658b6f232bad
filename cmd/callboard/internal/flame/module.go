// Package flame shows where a guest's fuel goes: it makes calls in an instance
// that tells each entry and exit of a function, and draws what it heard. The
// fuel is counted by the same rewritten code as on a server, so a profile is
// exact and the same each time; it is slow and for authors alone.
package flame

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	pluginv2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

const (
	// warmCalls are made before the one that counts, as before a server takes
	// the image of a guest.
	warmCalls = 24
	// slice is how much fuel a guest gets at a time.
	slice = 1 << 20
	// allowance is how much longer a call may take than its limit says: being
	// watched costs time.
	allowance = 50
)

// Module is a guest that is watched. It makes one call at a time, each in an
// instance of its own.
type Module struct {
	runtime  wazero.Runtime
	code     wazero.CompiledModule
	heard    *recorder
	granted  int64
	abi      int
	profile  *Profile
	speaksV2 bool
}

var _ plugin.Module = (*Module)(nil)

// Open compiles the code. Function names are in the profile where the code has
// them.
func Open(ctx context.Context, code []byte) (m *Module, err error) {
	parsed, err := rewrite.Parse(code)
	if err != nil {
		return nil, host.Errorf(host.CodeInvalid, "reading the code: %w", err)
	}
	metered, err := parsed.Metered()
	if err != nil {
		return nil, host.Errorf(host.CodeInvalid, "metering the code: %w", err)
	}
	m = &Module{heard: &recorder{}, abi: pluginv1.ABI, runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig())}
	m.heard.fuel = m.used
	defer func() {
		if err != nil {
			err = errors.Join(err, m.runtime.Close(ctx))
		}
	}()
	if err := kernel.Instantiate(ctx, m.runtime); err != nil {
		return nil, err
	}
	_, err = m.runtime.NewHostModuleBuilder(rewrite.YieldModule).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(m.yield), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).
		Export(rewrite.YieldName).Instantiate(ctx)
	if err != nil {
		return nil, err
	}
	// Metering adds an import, which moves all functions behind it.
	m.heard.given, m.heard.moved = functionNames(code), 1
	if m.code, err = m.runtime.CompileModule(experimental.WithFunctionListenerFactory(ctx, m.heard), metered); err != nil {
		return nil, host.Errorf(host.CodeInvalid, "compiling the code: %w", err)
	}
	_, m.speaksV2 = m.code.ExportedFunctions()[pluginv2.ExportABI]
	return m, nil
}

// yield gives the guest its next slice; a call that is over ends here.
func (m *Module) yield(ctx context.Context, stack []uint64) {
	if state := kernel.Of(ctx); state != nil {
		if err := state.Stop(); err != nil {
			panic(err)
		}
	}
	m.granted += slice
	stack[0] = uint64(int64(stack[0]) + slice) //nolint:gosec // the fuel is negative here
}

// used is the fuel that the running call has used so far.
func (m *Module) used(module api.Module) int64 {
	fuel := module.ExportedGlobal(rewrite.FuelGlobal)
	if fuel == nil {
		return 0
	}
	return m.granted - int64(fuel.Get()) //nolint:gosec // two's complement
}

// Profile returns what the last call used, function by function; nil before
// the first.
func (m *Module) Profile() *Profile { return m.profile }

// Facts says that calls are watched.
func (m *Module) Facts() plugin.Facts {
	return plugin.Facts{Runtime: "wasm", Path: wasm.PathFresh, Why: "each function is watched", ABI: m.abi, Metered: true}
}

// Close frees the code.
func (m *Module) Close(ctx context.Context) error { return m.runtime.Close(ctx) }

// Call makes the call in an instance of its own and keeps its profile.
func (m *Module) Call(ctx context.Context, w plugin.Work) (o plugin.Outcome, err error) {
	begin := time.Now()
	state := kernel.New()
	m.granted = 0
	instance, err := m.runtime.InstantiateModule(state, m.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return o, host.Errorf(host.CodePluginTrap, "starting the guest: %w", err)
	}
	defer func() { err = errors.Join(err, instance.Close(ctx)) }()
	g := &guest{module: m, instance: instance, state: state, work: &w}
	if err := g.ready(ctx); err != nil {
		return o, err
	}
	m.heard.start(instance)
	o.Result, err = g.ask(ctx, w.Call)
	m.profile = m.heard.stop(instance)
	o.Usage = g.usage
	o.Usage.Fuel, o.Usage.Wall = m.profile.Total(), time.Since(begin)
	return o, err
}

// guest is one instance.
type guest struct {
	module   *Module
	instance api.Module
	state    *kernel.State
	work     *plugin.Work
	usage    plugin.Usage
}

// ready initialises the guest, asks for its ABI and warms it up.
func (g *guest) ready(ctx context.Context) error {
	if start := g.instance.ExportedFunction("_initialize"); start != nil {
		if _, err := g.run(ctx, "_initialize", nil); err != nil {
			return err
		}
	}
	if g.module.speaksV2 {
		word, err := g.run(ctx, pluginv2.ExportABI, nil)
		if err != nil {
			return err
		}
		if g.module.abi, err = pluginv2.Agree(word); err != nil {
			return host.Errorf(host.CodeInvalid, "%w", err)
		}
	}
	for range warmCalls {
		g.usage = plugin.Usage{}
		if _, err := g.ask(ctx, pluginv1.Call{Capability: wasm.Warmup, Method: "warmup", Tenant: "warmup", DeadlineMillis: 1000}); err != nil {
			return err
		}
	}
	g.usage = plugin.Usage{}
	return nil
}

// ask makes one call of the envelope.
func (g *guest) ask(ctx context.Context, c pluginv1.Call) (pluginv1.Result, error) {
	in, err := writeCall(g.module.abi, c)
	if err != nil {
		return pluginv1.Result{}, err
	}
	g.usage.Input = int64(len(in))
	var out []byte
	code, err := g.runWith(ctx, pluginv1.ExportCall, in, func() {
		out = append(out, g.state.Output()...)
		g.usage.Memory = int64(g.instance.Memory().Size()) + g.state.Bytes()
	})
	g.usage.Output = int64(len(out))
	switch {
	case err != nil:
		return pluginv1.Result{}, err
	case code != 0:
		return pluginv1.Result{}, host.Errorf(host.CodePluginTrap, "%s returned %d", pluginv1.ExportCall, code)
	}
	return readResult(out)
}

func (g *guest) run(ctx context.Context, export string, in []byte) (int32, error) {
	return g.runWith(ctx, export, in, func() {})
}

// runWith calls an export; look sees the kernel before it is reset.
func (g *guest) runWith(ctx context.Context, export string, in []byte, look func()) (int32, error) {
	l := g.work.Limits
	call := &kernel.Call{Input: in, Memory: l.Memory, Output: l.Output, LogBytes: l.LogBytes, Log: l.Log,
		Walltime: g.work.World.Walltime, Nanotime: g.work.World.Nanotime, Sleep: g.work.World.Sleep, Random: g.work.World.Random, Host: g.answer}
	if l.Timeout > 0 {
		call.Deadline = time.Now().Add(allowance * l.Timeout)
	}
	if err := g.state.Begin(ctx, call); err != nil {
		return 0, err
	}
	defer g.state.Reset()
	results, err := g.instance.ExportedFunction(export).Call(g.state)
	if err != nil {
		var fault *kernel.Fault
		if errors.As(err, &fault) {
			return 0, host.Errorf(host.CodePluginTrap, "%s ended: %w", export, fault)
		}
		return 0, host.Errorf(host.CodePluginTrap, "%s ended: %w", export, err)
	}
	look()
	if len(results) == 0 {
		return 0, nil
	}
	return int32(results[0]), nil //nolint:gosec // an i32 is what it is
}

// answer serves a host call in the ABI in which it came.
func (g *guest) answer(ctx context.Context, request []byte) []byte {
	g.usage.HostCalls++
	g.usage.HostBytes += int64(len(request))
	call, binary, err := readHostCall(request)
	result := pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeUnsupported, Message: "there is no host"}}
	switch {
	case err != nil:
		result.Error = &pluginv1.Error{Code: pluginv1.CodeInvalid, Message: fmt.Sprintf("reading a host call: %v", err)}
	case g.work.World.Host != nil && call.Service != wasm.Warmup:
		result = g.work.World.Host(ctx, call)
	}
	out := writeResult(binary, result)
	g.usage.HostBytes += int64(len(out))
	return out
}
