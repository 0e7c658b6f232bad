package wasm

import (
	"bytes"
	"context"
	"os"
	"sync"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/sandbox"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// key seals the caches of the tests.
var key = bytes.Repeat([]byte("k"), 32)

// open returns a runtime of one path.
func open(t testing.TB, path string) *Runtime {
	t.Helper()
	r, err := New(Settings{CacheDir: t.TempDir(), Key: key, Path: path, StartFuel: 500_000_000})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// paths are those that this system has. The fresh one is everywhere.
func paths() []string {
	var out []string
	for _, path := range []sandbox.Path{sandbox.PageScan, sandbox.Pagemap, sandbox.Madvise} {
		if sandbox.Try(path) == nil {
			out = append(out, string(path))
		}
	}
	return append(out, PathFresh)
}

// TestSuite runs the suite of all runtimes on every path.
func TestSuite(t *testing.T) {
	for _, path := range paths() {
		t.Run(path, func(t *testing.T) {
			runtimetest.Run(t, func(t *testing.T) plugin.Runtime { return open(t, path) })
		})
	}
}

// digestOf names code.
func digestOf(code []byte) string { return manifest.DigestOf(code) }

// work is a call with the limits of the suite.
func work(method string) plugin.Work {
	lim := runtimetest.Limits()
	lim.Fuel = 1 << 40
	return plugin.Work{Call: pluginv1.Call{Capability: "test/v1", Method: method, Tenant: "acme"}, Limits: lim}
}

// compile compiles code and closes it with the test.
func compile(t testing.TB, r *Runtime, code []byte) plugin.Module {
	t.Helper()
	m, err := r.Compile(context.Background(), digestOf(code), code)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return m
}

// shared is a folder in which the tests of a binary keep what they compile.
var shared = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "callboard-wasm-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := shared(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// museum compiles the museum, or loads what another test compiled.
func museum(t testing.TB, path string) plugin.Module {
	t.Helper()
	dir, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Settings{CacheDir: dir, Key: key, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, r, runtimetest.Museum(t))
}
