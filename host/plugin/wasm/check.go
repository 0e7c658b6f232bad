package wasm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	pluginv2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

const buildHint = "build it with callboard plugin build, or GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared"

// refusedFunctions of extism:host/env reach around the host services.
var refusedFunctions = []string{"http_request", "http_status_code", "http_headers"}

// parse reads code and refuses what cannot be a plugin, without compiling it.
func parse(code []byte) (m *rewrite.Module, err error) {
	m, err = rewrite.Parse(code)
	if err != nil {
		return nil, host.Errorf(host.CodeInvalid, "the code is not a WebAssembly module that can be run: %v", err).WithHint("%s", buildHint)
	}
	if !exportsFunction(m, pluginv1.ExportCall) {
		return nil, host.Errorf(host.CodeInvalid, "the module does not export %s", pluginv1.ExportCall).
			WithHint("call sdk.Serve in main and build with -buildmode=c-shared")
	}
	if m.HasStart() {
		return nil, host.Errorf(host.CodeInvalid, "the module has a start function; it must be a reactor, which has _initialize").WithHint("%s", buildHint)
	}
	for _, i := range m.Imports() {
		if err := checkImport(i); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func exportsFunction(m *rewrite.Module, name string) bool {
	return slices.ContainsFunc(m.Exports(), func(e rewrite.Export) bool { return e.Kind == rewrite.KindFunction && e.Name == name })
}

// speaksABI reports whether the guest says which ABI it speaks.
func speaksABI(m *rewrite.Module) bool { return exportsFunction(m, pluginv2.ExportABI) }

func checkImport(i rewrite.Import) error {
	known := kernel.Names(i.Module)
	switch {
	case i.Kind == rewrite.KindMemory, i.Kind == rewrite.KindTable:
		what := map[byte]string{rewrite.KindMemory: "memory", rewrite.KindTable: "table"}[i.Kind]
		return host.Errorf(host.CodeInvalid, "the module imports a %s; it must have its own", what)
	case known == nil:
		return host.Errorf(host.CodeInvalid, "the module imports %s of %q, which this host does not have", clip(i.Name), clip(i.Module)).
			WithHint("a plugin may import WASI preview 1, extism:host/env and %s of %s", pluginv1.HostFunction, pluginv1.HostNamespace)
	case i.Module == pluginv1.HostNamespace && i.Name != pluginv1.HostFunction:
		return host.Errorf(host.CodeInvalid, "the module imports the host function %q, which this host does not have", clip(i.Name)).
			WithHint("there is one: %s", pluginv1.HostFunction)
	case i.Module == kernel.ModuleExtism && slices.Contains(refusedFunctions, i.Name):
		return host.Errorf(host.CodeInvalid, "the module uses Extism's own %s", i.Name).
			WithHint("use the host service http/v1: sdk/http")
	case i.Kind != rewrite.KindFunction || !slices.Contains(known, i.Name):
		return host.Errorf(host.CodeInvalid, "the module imports %s of %q, which is not a function of this host", clip(i.Name), clip(i.Module)).
			WithHint("%s", buildHint)
	}
	return nil
}

// invalid explains why code does not compile.
func invalid(err error) error {
	if host.CodeOf(err) != host.CodeInternal {
		return err
	}
	text := err.Error()
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	e := host.Errorf(host.CodeInvalid, "the code cannot be run: %s", text).WithHint("%s", buildHint)
	e.Err = err
	return e
}

// guarded turns a panic of the compiler, which meets strangers' code and
// damaged caches, into an error.
func guarded[T any](do func() (T, error)) (out T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("compiling: %v", p)
		}
	}()
	return do()
}

func clip(s string) string {
	if len(s) > 60 {
		s = s[:60]
	}
	return strings.ToValidUTF8(s, "")
}
