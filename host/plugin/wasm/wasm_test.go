package wasm

import (
	"bytes"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/sandbox"
)

// key seals the caches of the tests.
var key = bytes.Repeat([]byte("k"), 32)

// open returns a runtime of one path.
func open(t testing.TB, path string) *Runtime {
	t.Helper()
	r, err := New(Settings{CacheDir: t.TempDir(), Key: key, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// paths are those that this system has. The fresh one is everywhere.
func paths() []string {
	switch found, _ := sandbox.Detect(); found {
	case sandbox.PageScan:
		return []string{PathPageScan, PathMadvise, PathFresh}
	case sandbox.Madvise:
		return []string{PathMadvise, PathFresh}
	}
	return []string{PathFresh}
}

// TestSuite runs the suite of all runtimes on every path.
func TestSuite(t *testing.T) {
	for _, path := range paths() {
		t.Run(path, func(t *testing.T) {
			runtimetest.Run(t, func(t *testing.T) plugin.Runtime { return open(t, path) })
		})
	}
}
