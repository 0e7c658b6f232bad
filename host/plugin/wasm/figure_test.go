package wasm

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/sandbox"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// order is a call of about 1 KB: parse a list, filter it, tell a host service of
// it, answer what that said.
func order(t testing.TB) []byte {
	t.Helper()
	var items []string
	for i := range 24 {
		items = append(items, fmt.Sprintf(`{"name":"item-%d","size":%d,"on":%v}`, i, i*7, i%3 > 0))
	}
	in, err := appendCall(nil, abiJSON, pluginv1.Call{Capability: "test/v1", Method: "order", Tenant: "acme", Body: json.RawMessage("[" + strings.Join(items, ",") + "]")})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// noted answers the host call of order, on both sides of the comparison.
func noted(_ context.Context, request []byte) []byte {
	return fmt.Appendf(nil, `{"body":%d}`, len(request))
}

// figureTimeout is the time limit of the calls that are compared.
const figureTimeout = 10 * time.Second

// warmExtism returns a call of an instance of Extism's Go SDK that all calls
// share, with its time limit, and one of a new instance for each call.
func warmExtism(b *testing.B, code []byte) (shared, anew func(in []byte) ([]byte, error)) {
	b.Helper()
	ctx := context.Background()
	compiled, err := sdk.NewCompiledPlugin(ctx, sdk.Manifest{Wasm: []sdk.Wasm{sdk.WasmData{Data: code}}, Timeout: uint64(figureTimeout.Milliseconds())},
		sdk.PluginConfig{EnableWasi: true, RuntimeConfig: wazero.NewRuntimeConfig()}, []sdk.HostFunction{
			sdk.NewHostFunctionWithStack(pluginv1.HostFunction, func(_ context.Context, p *sdk.CurrentPlugin, stack []uint64) {
				request, err := p.ReadBytes(stack[0])
				if err == nil {
					stack[0], err = p.WriteBytes(noted(context.Background(), request))
				}
				if err != nil {
					panic(err)
				}
			}, []sdk.ValueType{sdk.ValueTypeI64}, []sdk.ValueType{sdk.ValueTypeI64}),
		})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = compiled.Close(ctx) })
	one := func() *sdk.Plugin {
		p, err := compiled.Instance(ctx, sdk.PluginInstanceConfig{ModuleConfig: wazero.NewModuleConfig().WithSysWalltime().WithSysNanotime()})
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	warm := one()
	b.Cleanup(func() { _ = warm.Close(ctx) })
	call := func(p *sdk.Plugin, in []byte) ([]byte, error) {
		_, out, err := p.CallWithContext(ctx, pluginv1.ExportCall, in)
		return out, err
	}
	return func(in []byte) ([]byte, error) { return call(warm, in) }, func(in []byte) ([]byte, error) {
		p := one()
		defer p.Close(ctx)
		return call(p, in)
	}
}

// limited returns a call of ours: in a sandbox, with fuel and a deadline.
func limited(b *testing.B, code []byte) func(in []byte) ([]byte, error) {
	b.Helper()
	m, ok := compile(b, open(b, PathAuto), code).(*module)
	if !ok {
		b.Fatal("it is no module of this package")
	}
	if m.facts.Path != PathPageScan {
		b.Logf("the path is %s: %s", m.facts.Path, m.facts.Why)
	}
	job := &sandbox.Job{Export: pluginv1.ExportCall, Fuel: 1 << 40}
	job.Memory, job.Output, job.Host = 64<<20, 1<<20, noted
	return func(in []byte) ([]byte, error) {
		job.Input, job.Deadline = in, time.Now().Add(figureTimeout)
		out, _, err := m.code.Do(context.Background(), job)
		return out, err
	}
}

// median times calls for a while and returns the median.
func median(b *testing.B, call func([]byte) ([]byte, error), in []byte, want []byte, span time.Duration) time.Duration {
	b.Helper()
	var times []time.Duration
	for begin := time.Now(); time.Since(begin) < span || len(times) < 3; {
		at := time.Now()
		out, err := call(in)
		times = append(times, time.Since(at))
		if err != nil || string(out) != string(want) {
			b.Fatalf("it answered %q, %v", out, err)
		}
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// BenchmarkFigureLimited compares an isolated, metered call with a deadline to
// Extism's own Go SDK with a time limit, for the same module and input: one
// instance that all calls share, and a new one for each.
func BenchmarkFigureLimited(b *testing.B) {
	for _, language := range runtimetest.Languages() {
		b.Run(language, func(b *testing.B) {
			code, in := runtimetest.Guest(b, language), order(b)
			ours := limited(b, code)
			shared, anew := warmExtism(b, code)
			want, err := ours(in)
			if err != nil {
				b.Fatal(err)
			}
			var toShared, toAnew []float64
			for b.Loop() {
				for range 7 {
					one := float64(median(b, ours, in, want, 100*time.Millisecond))
					toShared = append(toShared, one/float64(median(b, shared, in, want, 100*time.Millisecond)))
					toAnew = append(toAnew, one/float64(median(b, anew, in, want, 100*time.Millisecond)))
				}
			}
			slices.Sort(toShared)
			slices.Sort(toAnew)
			b.ReportMetric(toShared[len(toShared)/2], "figure:runtime/limited_vs_extism_warm/"+language)
			b.ReportMetric(toAnew[len(toAnew)/2], "figure:runtime/limited_vs_extism_fresh/"+language)
		})
	}
}

// largeGuest is a Go guest of about 12 MB: net/http with all that it needs, which
// nothing may leave out.
const largeGuest = `package main

import (
	"net/http"
	"reflect"

	pdk "github.com/extism/go-pdk"
)

// keep holds on to everything: a method that is called by a name that the
// linker cannot know makes it keep all methods.
var keep = []any{http.ListenAndServeTLS, http.DefaultClient}

//go:wasmexport callboard_call
func call() int32 {
	if name := pdk.InputString(); len(name) == 7 {
		reflect.ValueOf(keep[0]).MethodByName(name)
	}
	pdk.Output([]byte("{\"body\":1}"))
	return 0
}

func main() {}
`

// large builds the large guest.
func large(b *testing.B) []byte {
	b.Helper()
	dir := b.TempDir()
	for _, f := range []string{"go.mod", "go.sum"} {
		raw, err := os.ReadFile(filepath.Join("..", "testdata", "museum", f))
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), raw, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(largeGuest), 0o600); err != nil {
		b.Fatal(err)
	}
	return runtimetest.Build(b, runtimetest.Go, dir)
}

// BenchmarkFigureFirstAnswer is the time from a digest on disk to the guest's
// first answer when its code was compiled before.
func BenchmarkFigureFirstAnswer(b *testing.B) {
	for name, code := range map[string][]byte{"small": runtimetest.Guest(b, runtimetest.Go), "large": large(b)} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			file, digest := filepath.Join(dir, "plugin.wasm"), digestOf(code)
			if err := os.WriteFile(file, code, 0o600); err != nil {
				b.Fatal(err)
			}
			first := func() time.Duration {
				begin := time.Now()
				r, err := New(Settings{CacheDir: filepath.Join(dir, "cache"), Key: key})
				if err != nil {
					b.Fatal(err)
				}
				raw, err := os.ReadFile(file)
				if err != nil {
					b.Fatal(err)
				}
				m, err := r.Compile(context.Background(), digest, raw)
				if err != nil {
					b.Fatal(err)
				}
				w := work("echo")
				w.Call.Body = json.RawMessage(`1`)
				if _, err := m.Call(context.Background(), w); err != nil {
					b.Fatal(err)
				}
				took := time.Since(begin)
				if err := m.Close(context.Background()); err != nil {
					b.Fatal(err)
				}
				return took
			}
			first()
			var times []time.Duration
			for b.Loop() {
				for range 7 {
					times = append(times, first())
				}
			}
			slices.Sort(times)
			b.ReportMetric(float64(len(code))/1e6, "MB")
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1e3, "figure:runtime/first_answer/"+name)
		})
	}
}
