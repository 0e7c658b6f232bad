package author

import (
	"context"
	"encoding/json"
	"path/filepath"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/limit"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/process"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	"github.com/callboard-dev/callboard/host/plugin/wasm/vault"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// runtimeOf returns the runtime of a plugin, with the author's own cache.
func (s Settings) runtimeOf(m *manifestv1.Manifest) (plugin.Runtime, error) {
	if m.Runtime != manifestv1.RuntimeProcess {
		return s.openRuntime()
	}
	cache, err := s.cacheDir()
	if err != nil {
		return nil, err
	}
	return process.New(process.Settings{Dir: filepath.Join(cache, "programs")})
}

// openRuntime returns the runtime of WebAssembly guests, with the author's own
// cache of compiled code.
func (s Settings) openRuntime() (*wasm.Runtime, error) {
	cache, err := s.cacheDir()
	if err != nil {
		return nil, err
	}
	key, err := vault.KeyFile(filepath.Join(cache, "compiled.key"))
	if err != nil {
		return nil, err
	}
	return wasm.New(wasm.Settings{CacheDir: filepath.Join(cache, "compiled"), Key: key})
}

// checkCode looks at the guest without running it.
func (s Settings) checkCode(ctx context.Context, bundle *manifest.Bundle) (err error) {
	runtime, err := s.runtimeOf(bundle.Manifest)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := runtime.Close(ctx); err == nil {
			err = closeErr
		}
	}()
	return runtime.Check(bundle.Code)
}

// limitsOf returns what one call may use: what the manifest says, and else what
// a portal gives.
func limitsOf(m manifestv1.Limits) (plugin.Limits, error) {
	asked, err := limit.Parse(m)
	if err != nil {
		return plugin.Limits{}, err
	}
	usual, _ := limit.Defaults()
	return asked.Or(usual), nil
}

// ceilingOf returns how far a large request may raise the limits: to the ceiling
// of a portal, or to what the manifest asks for above it.
func ceilingOf(l plugin.Limits) *plugin.Limits {
	_, ceiling := limit.Defaults()
	ceiling.Fuel, ceiling.Memory = max(ceiling.Fuel, l.Fuel), max(ceiling.Memory, l.Memory)
	return &ceiling
}

// guestOf lets a compiled module answer as an SDK's plugin does. What the
// sandbox says about a broken call becomes an error of the envelope.
func guestOf(module plugin.Module, lim plugin.Limits) func(context.Context, sdk.Host, []byte) []byte {
	ceiling := ceilingOf(lim)
	return func(ctx context.Context, services sdk.Host, in []byte) []byte {
		var call pluginv1.Call
		err := json.Unmarshal(in, &call)
		var o plugin.Outcome
		if err == nil {
			mine := lim.ForRequest(int64(len(call.Body)+len(call.Data)), ceiling)
			o, err = module.Call(ctx, plugin.Work{Call: call, Limits: mine, World: plugin.World{Host: plugin.HostFunc(services)}})
		}
		if err != nil {
			e := host.AsError(err)
			o.Result = pluginv1.Result{Error: &pluginv1.Error{Code: envelopeCode(e.Code), Message: e.Message, Hint: e.Hint}}
		}
		result, err := json.Marshal(o.Result)
		if err != nil { // cannot be: a Result of strings and checked JSON
			return nil
		}
		return result
	}
}

// envelopeCode names a failure of the sandbox in the words of the envelope.
func envelopeCode(c host.Code) string {
	switch c {
	case host.CodePluginTimeout:
		return pluginv1.CodeTimeout
	case host.CodePluginMemory, host.CodeLimit, host.CodeTooLarge:
		return pluginv1.CodeLimit
	default:
		return pluginv1.CodeInternal
	}
}
