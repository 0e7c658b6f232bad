package wasm

import (
	"testing"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

func open(t testing.TB) *Runtime {
	t.Helper()
	r, err := New(Settings{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConformance(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T) plugin.Runtime { return open(t) })
}
