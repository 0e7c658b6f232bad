package plugin

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// nothing is a module of no code.
type nothing struct{ Module }

func (nothing) Close(context.Context) error { return nil }

// TestCompilingGivesItsMemoryBack: a compiler needs many times the memory of
// what it makes, and a host that then idles would keep it.
func TestCompilingGivesItsMemoryBack(t *testing.T) {
	const waste = 128 << 20
	held := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapSys - m.HeapReleased
	}
	var before uint64
	c := &code{
		gate: make(chan struct{}, 1), pace: &pace{}, cached: func() bool { return false }, changed: func() {},
		open: func(context.Context) (Module, error) {
			before = held()
			garbage := make([]byte, waste)
			for i := 0; i < len(garbage); i += 4096 {
				garbage[i] = 1
			}
			runtime.KeepAlive(garbage)
			return nothing{}, nil
		},
	}
	if _, err := c.lend(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(20 * time.Second)
	for held() > before+waste/4 {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("the heap holds %d bytes, before compiling it held %d", held(), before)
		}
	}
}
