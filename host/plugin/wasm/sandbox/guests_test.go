//go:build linux

package sandbox

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// compiled is shared by all runtimes of the tests, so that each guest is
// compiled once: it is the same template, and the same image, each time.
var compiled = wazero.NewCompilationCache()

// installed returns a runtime in which guests can run.
func installed(t testing.TB) wazero.Runtime {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(compiled))
	t.Cleanup(func() { _ = r.Close(ctx) })
	if err := kernel.Instantiate(ctx, r); err != nil {
		t.Fatal(err)
	}
	if err := Install(ctx, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// template rewrites code for an image.
func template(t testing.TB, code []byte) (*rewrite.Module, []byte, []rewrite.Global) {
	t.Helper()
	m, err := rewrite.Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	if r := m.Refusals(); len(r) > 0 {
		t.Fatalf("refused: %v", r)
	}
	tmpl, globals, err := m.Template()
	if err != nil {
		t.Fatal(err)
	}
	return m, tmpl, globals
}

// limits are what calls of the tests may use.
func limits() kernel.Call {
	return kernel.Call{Memory: 48 << 20, Output: 1 << 20, LogBytes: 4 << 10}
}

// opened makes an image of a guest and opens it.
func opened(t testing.TB, code []byte, warm []Job, change func(*Settings)) *Code {
	t.Helper()
	ctx := context.Background()
	r := installed(t)
	m, tmpl, globals := template(t, code)
	img, err := NewImage(ctx, Source{Runtime: r, Template: tmpl, Globals: globals, Start: limits(), Warm: warming(warm)})
	if err != nil {
		t.Fatalf("making an image: %v", err)
	}
	baked, err := m.Bake(img.Rewrite())
	if err != nil {
		t.Fatal(err)
	}
	path, why := Detect()
	if path != PageScan {
		t.Logf("the path is %q: %s", path, why)
	}
	s := Settings{Runtime: r, Baked: baked, Globals: globals, Image: img, Path: path, MaxMemory: 256 << 20, MaxPages: m.MaxPages()}
	if change != nil {
		change(&s)
	}
	c, err := Open(ctx, s)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return c
}

// warming makes each job, several times.
func warming(jobs []Job) func(context.Context, func(*Job) ([]byte, error)) error {
	return func(_ context.Context, call func(*Job) ([]byte, error)) error {
		for range 10 {
			for _, j := range jobs {
				if _, err := call(&j); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// act is a call of the museum or of a guest that behaves like it.
func act(method string, body any) Job {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	in, err := json.Marshal(pluginv1.Call{ABI: 1, Capability: "test/v1", Method: method, Tenant: "acme", Body: raw})
	if err != nil {
		panic(err)
	}
	j := Job{Call: limits(), Export: pluginv1.ExportCall, Fuel: 2_000_000_000}
	j.Input = in
	j.Deadline = time.Now().Add(time.Minute)
	return j
}

// must makes a call that has to succeed.
func must(t testing.TB, c *Code, j Job) string {
	t.Helper()
	out, _, err := c.Do(context.Background(), &j)
	if err != nil {
		t.Fatalf("calling with %s: %v", j.Input, err)
	}
	return string(out)
}
