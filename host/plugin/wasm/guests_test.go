package wasm

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// TestADyingGuestSaysWhy: a Go guest that is out of memory or of stack walks
// through all of its frames before it ends, which may take longer than its
// call has. The caller hears what happened, and soon.
func TestADyingGuestSaysWhy(t *testing.T) {
	for _, path := range paths() {
		b := &runtimetest.Bench{Module: museum(t, path)}
		for name, c := range map[string]struct {
			act     string
			body    any
			timeout time.Duration
			code    host.Code
			says    string
		}{
			"OutOfStack":          {"recurse", nil, time.Minute, host.CodePluginTrap, "overflowed its stack"},
			"OutOfMemory":         {"allocate", nil, time.Minute, host.CodePluginMemory, "64MiB"},
			"TooDeep":             {"dive", nil, time.Minute, host.CodePluginTrap, "overflowed its stack"},
			"ALineOfAnotherGuest": {"say", "fatal error: the disk is full", 500 * time.Millisecond, host.CodePluginTimeout, "500ms"},
		} {
			t.Run(path+"/"+name, func(t *testing.T) {
				lim := runtimetest.Limits()
				lim.Timeout = c.timeout
				if name == "OutOfStack" {
					lim.Memory = 512 << 20
				}
				begin := time.Now()
				_, err := b.Act(t.Context(), c.act, c.body, lim, nil)
				if path == PathFresh && c.code == host.CodePluginTrap && host.CodeOf(err) == host.CodePluginMemory {
					return // a Go guest's stack is in its memory, so either limit may come first
				}
				if host.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) || time.Since(begin) > 40*time.Second {
					t.Errorf("after %s: %s, %v", time.Since(begin), host.CodeOf(err), err)
				}
			})
		}
	}
}

// TestMemoryIsGivenBack: after many calls, traps and refusals no sandbox is
// left mapped but those that are kept.
func TestMemoryIsGivenBack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("only Linux shows what is mapped")
		return
	}
	mapped := func() int {
		raw, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.Fields(string(raw))[0])
		if err != nil {
			t.Fatal(err)
		}
		return n * os.Getpagesize()
	}
	for _, path := range paths() {
		t.Run(path, func(t *testing.T) {
			b := &runtimetest.Bench{Module: museum(t, path)}
			lim := runtimetest.Limits()
			lim.Timeout = 100 * time.Millisecond
			burn := func() {
				for _, act := range []string{"echo", "panic", "exit", "flood"} {
					_, _ = b.Act(context.Background(), act, 2<<20, lim, nil)
				}
			}
			burn()
			before := mapped()
			for range 20 {
				burn()
			}
			if grown := mapped() - before; grown > 20*int(lim.Memory)/4 {
				t.Errorf("80 calls left %d MiB mapped", grown>>20)
			}
		})
	}
}

// TestUsage: what a call used is counted the same way on every path.
func TestUsage(t *testing.T) {
	for _, path := range paths() {
		t.Run(path, func(t *testing.T) {
			m := museum(t, path)
			w := work("host")
			w.Call.Body = json.RawMessage(`{"service":"a/v1","method":"m"}`)
			w.World.Host = func(context.Context, pluginv1.HostCall) pluginv1.Result {
				return pluginv1.Result{Body: json.RawMessage(`"0123456789"`)}
			}
			o, err := m.Call(t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			u := o.Usage
			if u.HostCalls != 1 || u.HostBytes < 40 || u.HostBytes > 80 || u.Input < 100 || u.Output != int64(len(`{"body":{"body":"0123456789"}}`)) {
				t.Errorf("sizes: %+v", u)
			}
			if u.Fuel < 1000 || u.Memory < 1<<20 || u.Memory > w.Limits.Memory || u.Wall <= 0 {
				t.Errorf("effort: %+v", u)
			}
			w.Limits.Fuel = u.Fuel / 2
			o, err = m.Call(t.Context(), w)
			if host.CodeOf(err) != host.CodePluginFuel || o.Usage.Fuel <= w.Limits.Fuel || !strings.Contains(err.Error(), strconv.FormatInt(w.Limits.Fuel, 10)) {
				t.Errorf("with half of the fuel: %+v, %v", o.Usage, err)
			}
			// Only an image fixes the order of Go's maps.
			w.Limits.Fuel = u.Fuel
			if path == PathFresh {
				w.Limits.Fuel += u.Fuel / 10
			}
			if o, err = m.Call(t.Context(), w); err != nil || o.Usage.Fuel != u.Fuel && path != PathFresh {
				t.Errorf("with as much fuel as it needs: %+v, %v", o.Usage, err)
			}
			w.Limits.HostBytes, w.Limits.Fuel = 30, 0
			if o, err = m.Call(t.Context(), w); err != nil || !strings.Contains(string(o.Result.Body), pluginv1.CodeLimit) {
				t.Errorf("with few bytes: %s, %v", o.Result.Body, err)
			}
		})
	}
}

// TestGivenWorld: a call learns what its World says, and the same World gives
// the same answer.
func TestGivenWorld(t *testing.T) {
	for _, path := range paths() {
		t.Run(path, func(t *testing.T) {
			m := museum(t, path)
			ask := func(act string) string {
				w := work(act)
				n := int64(100 * time.Hour)
				w.World = plugin.World{
					Walltime: func() (int64, int32) { return 1_000_000_000, 5 },
					Nanotime: func() int64 { n += 1000; return n },
					Sleep:    func(d time.Duration) { n += int64(d) },
					Random:   strings.NewReader(strings.Repeat("0123456789abcdef", 1000)),
				}
				o, err := m.Call(t.Context(), w)
				if err != nil {
					t.Fatal(err)
				}
				return string(o.Result.Body)
			}
			if got := ask("clock"); got != `"2001-09-09T01:46:40.000000005Z"` {
				t.Errorf("the time is %s", got)
			}
			if one, two := ask("random"), ask("random"); one != two {
				t.Errorf("the same randomness gave %s and %s", one, two)
			}
			if n, err := strconv.Atoi(ask("nap")); err != nil || n < 20 || n > 40 {
				t.Errorf("20 ms of sleep took %d ms", n)
			}
		})
	}
}

// TestWritesToTheLog: what a guest writes is kept up to a limit, whatever it
// ends with.
func TestWritesToTheLog(t *testing.T) {
	for _, path := range paths() {
		t.Run(path, func(t *testing.T) {
			m := museum(t, path)
			w := work("panic")
			got := map[string]string{}
			w.Limits.Log = func(stream string, text []byte) { got[stream] += string(text) }
			if _, err := m.Call(t.Context(), w); host.CodeOf(err) != host.CodePluginTrap || !strings.Contains(err.Error(), "on fire") {
				t.Errorf("got %v", err)
			}
			if !strings.Contains(got["stderr"], "panic: the museum is on fire") || len(got["stderr"]) > w.Limits.LogBytes+10 {
				t.Errorf("the log got %q", got)
			}
		})
	}
}
