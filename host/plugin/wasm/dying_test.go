package wasm

import (
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// TestADyingGuestSaysWhy: a Go guest that is out of memory or of stack walks
// through all of its frames before it ends, which may take longer than its
// call has. The caller hears what happened, and soon.
func TestADyingGuestSaysWhy(t *testing.T) {
	b := runtimetest.Open(t, open(t))
	for name, c := range map[string]struct {
		says    string
		timeout time.Duration
		code    host.Code
	}{
		"out of stack":                  {"runtime: goroutine stack exceeds 250000000-byte limit\n\nfatal error: stack overflow", time.Minute, host.CodePluginTrap},
		"a log line of another program": {"fatal error: the disk is full", 500 * time.Millisecond, host.CodePluginTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			lim := runtimetest.Limits()
			lim.Timeout = c.timeout
			begin := time.Now()
			_, err := b.Act(t.Context(), "say", c.says, lim, nil)
			if host.CodeOf(err) != c.code || time.Since(begin) > 40*time.Second {
				t.Errorf("after %s: %v", time.Since(begin), err)
			}
			if c.code == host.CodePluginTrap && !strings.Contains(err.Error(), "overflowed its stack") {
				t.Errorf("it says %v", err)
			}
		})
	}
	t.Run("out of memory by recursion", func(t *testing.T) {
		lim := runtimetest.Limits()
		lim.Timeout = time.Minute
		if _, err := b.Act(t.Context(), "dive", nil, lim, nil); host.CodeOf(err) != host.CodePluginMemory {
			t.Errorf("got %v", err)
		}
	})
	t.Run("out of memory and of time", func(t *testing.T) {
		c := &call{limits: plugin.Limits{Memory: 64 << 20, Timeout: time.Second}}
		c.stderr.limit = 1 << 10
		c.memory.wanted.Store(68 << 20)
		if code := c.overdue(0).Code; code != host.CodePluginTimeout {
			t.Errorf("a guest that goes on without the memory gave %s", code)
		}
		_, _ = c.stderr.Write([]byte("runtime: out of memory: cannot allocate\nfatal error: out of memory\n"))
		if code := c.overdue(0).Code; code != host.CodePluginMemory {
			t.Errorf("a guest that dies of it gave %s", code)
		}
	})
}
