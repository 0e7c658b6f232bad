package wasm

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// BenchmarkCall makes calls of 1 KB on every path.
func BenchmarkCall(b *testing.B) {
	body := json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)
	for _, path := range paths() {
		for _, language := range runtimetest.Languages() {
			b.Run(path+"/"+language, func(b *testing.B) {
				code := runtimetest.Guest(b, language)
				m, err := open(b, path).Compile(context.Background(), manifest.DigestOf(code), code)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = m.Close(context.Background()) })
				lim := runtimetest.Limits()
				lim.Fuel = 1 << 40
				work := plugin.Work{Call: pluginv1.Call{Capability: "test/v1", Method: "echo", Tenant: "acme", Body: body}, Limits: lim}
				b.ReportAllocs()
				var fuel int64
				for b.Loop() {
					o, err := m.Call(context.Background(), work)
					if err != nil {
						b.Fatal(err)
					}
					fuel = o.Usage.Fuel
				}
				b.ReportMetric(float64(fuel), "fuel/op")
			})
		}
	}
}

// BenchmarkCompile compiles anew and loads what was kept.
func BenchmarkCompile(b *testing.B) {
	for _, path := range paths() {
		for _, language := range runtimetest.Languages() {
			code := runtimetest.Guest(b, language)
			digest := manifest.DigestOf(code)
			for _, kept := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/%s/kept=%v", path, language, kept), func(b *testing.B) {
					r := open(b, path)
					work := plugin.Work{Call: pluginv1.Call{Capability: "test/v1", Method: "echo", Tenant: "acme", Body: json.RawMessage(`1`)}, Limits: runtimetest.Limits()}
					once := func() {
						m, err := r.Compile(context.Background(), digest, code)
						if err == nil {
							_, err = m.Call(context.Background(), work)
						}
						if err == nil {
							err = m.Close(context.Background())
						}
						if err != nil {
							b.Fatal(err)
						}
					}
					once()
					for b.Loop() {
						if !kept {
							if err := r.Forget(digest); err != nil {
								b.Fatal(err)
							}
						}
						once()
					}
				})
			}
		}
	}
}
