// Package runtimetest is the suite that every runtime of plugins passes: what
// a guest may do, what happens to one that misbehaves, and that nothing of one
// call is left for the next. It is for tests alone.
//
// The guest is the museum, host/plugin/testdata/museum: a program that
// misbehaves in the way that the call asks for.
package runtimetest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// built holds the museum, which is built once in a test binary.
var built struct {
	once sync.Once
	code []byte
	out  []byte
	err  error
}

// Museum returns the museum's code, building it with the Go toolchain.
func Museum(t testing.TB) []byte {
	t.Helper()
	built.once.Do(func() {
		_, here, _, _ := runtime.Caller(0)
		dir, err := os.MkdirTemp("", "museum")
		if err != nil {
			built.err = err
			return
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "museum.wasm")
		cmd := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, ".")
		cmd.Dir = filepath.Join(filepath.Dir(here), "..", "testdata", "museum")
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")
		if built.out, built.err = cmd.CombinedOutput(); built.err == nil {
			built.code, built.err = os.ReadFile(file)
		}
	})
	if built.err != nil {
		t.Fatalf("building the museum: %v\n%s", built.err, built.out)
	}
	return built.code
}

// Limits are what the suite's calls may use, unless a test needs others. The
// time is for slow machines: no test waits for it to pass.
func Limits() plugin.Limits {
	return plugin.Limits{Timeout: 2 * time.Minute, Memory: 64 << 20, Output: 1 << 20, Input: 1 << 20, HostCalls: 100, LogBytes: 1 << 10}
}

// Bench is a module on the table: it makes calls of the museum's acts.
type Bench struct {
	Module plugin.Module
}

// Open compiles the museum.
func Open(t testing.TB, r plugin.Runtime) *Bench {
	t.Helper()
	code := Museum(t)
	m, err := r.Compile(context.Background(), manifest.DigestOf(code), code)
	if err != nil {
		t.Fatalf("compiling the museum: %v", err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("closing the museum: %v", err)
		}
	})
	return &Bench{Module: m}
}

// Act makes one call and returns what the guest answers.
func (b *Bench) Act(ctx context.Context, act string, body any, lim plugin.Limits, fn plugin.HostFunc) (pluginv1.Result, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return pluginv1.Result{}, err
	}
	out, err := b.Module.Call(ctx, plugin.Work{
		Call:   pluginv1.Call{Capability: "test/v1", Method: act, Tenant: "acme", Body: raw},
		Limits: lim, World: plugin.World{Host: fn},
	})
	return out.Result, err
}

// must makes a call that has to succeed and returns the body of its answer.
func (b *Bench) must(t *testing.T, act string, body any, lim plugin.Limits, fn plugin.HostFunc) json.RawMessage {
	t.Helper()
	r, err := b.Act(t.Context(), act, body, lim, fn)
	if err != nil {
		t.Fatalf("calling %s: %v (%v)", act, err, host.AsError(err).Err)
	}
	if r.Error != nil {
		t.Fatalf("calling %s answered %v", act, r.Error)
	}
	return r.Body
}

// Run runs the suite. Open makes a runtime of its own for each test.
func Run(t *testing.T, open func(t *testing.T) plugin.Runtime) {
	b := Open(t, open(t))
	t.Run("calls", func(t *testing.T) { calls(t, b) })
	t.Run("isolation", func(t *testing.T) { isolation(t, b) })
	t.Run("limits", func(t *testing.T) { limits(t, b) })
	t.Run("host", func(t *testing.T) { hostCalls(t, b) })
	t.Run("traps", func(t *testing.T) { traps(t, b) })
	// Whatever happened above, the module still works.
	if got := b.must(t, "echo", "still here", Limits(), nil); !bytes.Equal(got, []byte(`"still here"`)) {
		t.Errorf("after the suite, echo answered %s", got)
	}
}
