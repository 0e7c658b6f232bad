package runtimetest

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// calls: what a well-behaved guest can rely on.
func calls(t *testing.T, b *Bench) {
	t.Run("Echo", func(t *testing.T) {
		if got := b.must(t, "echo", map[string]string{"a": "é"}, Limits(), nil); string(got) != `{"a":"é"}` {
			t.Errorf("got %s", got)
		}
	})
	t.Run("RealRandomness", func(t *testing.T) {
		one, two := b.must(t, "random", nil, Limits(), nil), b.must(t, "random", nil, Limits(), nil)
		var x, y []string
		if json.Unmarshal(one, &x) != nil || json.Unmarshal(two, &y) != nil || len(x) != 2 {
			t.Fatalf("got %s and %s", one, two)
		}
		// The second value is of math/rand, which a language's runtime seeds when
		// it is initialised: where calls start from an image, it may repeat.
		if x[0] == y[0] {
			t.Errorf("two calls drew the same random value %s", x[0])
		}
	})
	t.Run("RealClock", func(t *testing.T) {
		var at time.Time
		if err := json.Unmarshal(b.must(t, "clock", nil, Limits(), nil), &at); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(at); d < -time.Minute || d > time.Minute {
			t.Errorf("the guest's clock is off by %s", d)
		}
	})
	t.Run("RealSleep", func(t *testing.T) {
		var ms int64
		if err := json.Unmarshal(b.must(t, "nap", nil, Limits(), nil), &ms); err != nil || ms < 20 {
			t.Errorf("20 ms of sleep took %d ms (%v)", ms, err)
		}
	})
	t.Run("Goroutines", func(t *testing.T) {
		if got := b.must(t, "goroutine", nil, Limits(), nil); string(got) != "435" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("OutputIsCapturedAndLimited", func(t *testing.T) {
		lines := map[string]string{}
		lim := Limits()
		lim.Log = func(stream string, text []byte) { lines[stream] = string(text) }
		b.must(t, "log", nil, lim, nil)
		if lines["stdout"] != "hello from the guest\n" {
			t.Errorf("stdout is %q", lines["stdout"])
		}
		if n := len(lines["stderr"]); n < lim.LogBytes || n > lim.LogBytes+10 {
			t.Errorf("of stderr %d bytes were kept, the limit is %d", n, lim.LogBytes)
		}
	})
}

// isolation: nothing of the host, and nothing of another call, is in reach.
func isolation(t *testing.T, b *Bench) {
	t.Run("FreshMemoryForEachCall", func(t *testing.T) {
		for range 3 {
			if got := b.must(t, "count", nil, Limits(), nil); string(got) != "1" {
				t.Fatalf("the counter is %s: a call saw the memory of another", got)
			}
		}
	})
	t.Run("FreshMemoryForConcurrentCalls", func(t *testing.T) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				out, err := b.Act(context.Background(), "echo", i, Limits(), nil)
				if want := strconv.Itoa(i); err != nil || string(out.Body) != want {
					t.Errorf("got %s, %v; want %s", out.Body, err, want)
				}
			}()
		}
		wg.Wait()
	})
	t.Run("NoEnvironment", func(t *testing.T) {
		t.Setenv("CALLBOARD_CANARY", "canary")
		if got := b.must(t, "env", nil, Limits(), nil); strings.Contains(string(got), "canary") || strings.Contains(string(got), "PATH=") {
			t.Errorf("the guest sees %s", got)
		}
	})
	t.Run("NoFiles", func(t *testing.T) {
		for _, act := range []string{"file", "dir"} {
			got := string(b.must(t, act, nil, Limits(), nil))
			if strings.Contains(got, "root:") || strings.Contains(got, "<nil>") {
				t.Errorf("%s: the guest got %s", act, got)
			}
		}
	})
}

// limits: each is hit, is named, and costs that call alone.
func limits(t *testing.T, b *Bench) {
	cases := []struct {
		name, act string
		body      any
		set       func(*plugin.Limits)
		code      host.Code
		says      string
	}{
		{"EndlessLoop", "loop", nil, func(l *plugin.Limits) { l.Timeout = 150 * time.Millisecond }, host.CodePluginTimeout, "150ms"},
		{"EndlessSleep", "sleep", nil, func(l *plugin.Limits) { l.Timeout = 150 * time.Millisecond }, host.CodePluginTimeout, "150ms"},
		{"RecursionWithoutLoop", "fork", nil, func(l *plugin.Limits) { l.Timeout = 150 * time.Millisecond }, host.CodePluginTimeout, "150ms"},
		{"EndlessAllocation", "allocate", nil, func(l *plugin.Limits) { l.Memory = 24 << 20 }, host.CodePluginMemory, "24MiB"},
		{"StartLargerThanMemory", "echo", nil, func(l *plugin.Limits) { l.Memory = 1 << 20 }, host.CodePluginMemory, "1MiB"},
		{"HugeOutput", "flood", 100 << 20, func(l *plugin.Limits) { l.Memory = 256 << 20 }, "", ""},
		{"LargeOutput", "flood", 2 << 20, nil, host.CodePluginOutput, "1MiB"},
		{"LargeInput", "echo", strings.Repeat("x", 2<<20), nil, host.CodeTooLarge, "1048576"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			lim := Limits()
			if c.set != nil {
				c.set(&lim)
			}
			begin := time.Now()
			out, err := b.Act(t.Context(), c.act, c.body, lim, nil)
			if err == nil {
				t.Fatalf("it answered %.100s", out.Body)
			}
			got := host.CodeOf(err)
			if c.code == "" {
				// Memory or output: whichever is hit first.
				if got != host.CodePluginMemory && got != host.CodePluginOutput {
					t.Errorf("got %s: %v", got, err)
				}
				return
			}
			if got != c.code {
				t.Errorf("got %s, want %s: %v (%v)", got, c.code, err, host.AsError(err).Err)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not name the limit %s", err, c.says)
			}
			if took := time.Since(begin); c.code == host.CodePluginTimeout && took > lim.Timeout+30*time.Second {
				t.Errorf("the caller waited %s for a deadline of %s", took, lim.Timeout)
			}
		})
	}
	t.Run("CallersDeadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := b.Act(ctx, "loop", nil, Limits(), nil); host.CodeOf(err) != host.CodePluginTimeout {
			t.Errorf("got %v", err)
		}
	})
	t.Run("OutputAtTheLimit", func(t *testing.T) {
		lim := Limits()
		lim.Output = int64(len(`{"body":""}`) + 1000)
		b.must(t, "flood", 1000, lim, nil)
		if _, err := b.Act(t.Context(), "flood", 1001, lim, nil); host.CodeOf(err) != host.CodePluginOutput {
			t.Errorf("one byte more gave %v", err)
		}
	})
}

// hostCalls: the guest's way out.
func hostCalls(t *testing.T, b *Bench) {
	greet := func(_ context.Context, call pluginv1.HostCall) pluginv1.Result {
		return pluginv1.Result{Body: json.RawMessage(`"hello ` + call.Service + `"`)}
	}
	t.Run("AnswersReachTheGuest", func(t *testing.T) {
		got := b.must(t, "host", pluginv1.HostCall{Service: "a/v1", Method: "m"}, Limits(), greet)
		if string(got) != `{"body":"hello a/v1"}` {
			t.Errorf("got %s", got)
		}
	})
	t.Run("PanicsStayInside", func(t *testing.T) {
		got := b.must(t, "host", pluginv1.HostCall{Service: "a/v1"}, Limits(), func(context.Context, pluginv1.HostCall) pluginv1.Result {
			panic("boom")
		})
		if !strings.Contains(string(got), pluginv1.CodeInternal) || strings.Contains(string(got), "boom") {
			t.Errorf("got %s", got)
		}
	})
	t.Run("JunkIsRefused", func(t *testing.T) {
		if got := b.must(t, "hostjunk", nil, Limits(), greet); !strings.Contains(string(got), pluginv1.CodeInvalid) {
			t.Errorf("got %s", got)
		}
	})
	t.Run("AnswersTooLargeForTheGuestAreAnError", func(t *testing.T) {
		big := json.RawMessage(`"` + strings.Repeat("x", 60<<20) + `"`)
		out, err := b.Act(t.Context(), "host", pluginv1.HostCall{Service: "a/v1"}, Limits(), func(context.Context, pluginv1.HostCall) pluginv1.Result {
			return pluginv1.Result{Body: big}
		})
		if err == nil && !strings.Contains(string(out.Body), pluginv1.CodeLimit) {
			t.Errorf("got %.200s", out.Body)
		}
		if err != nil && host.CodeOf(err) != host.CodePluginMemory {
			t.Errorf("got %v", err)
		}
	})
	t.Run("AreCutOffAtTheDeadline", func(t *testing.T) {
		lim := Limits()
		lim.Timeout = 300 * time.Millisecond
		var ended atomic.Bool
		_, err := b.Act(t.Context(), "host", pluginv1.HostCall{Service: "a/v1"}, lim, func(ctx context.Context, _ pluginv1.HostCall) pluginv1.Result {
			<-ctx.Done()
			ended.Store(true)
			return pluginv1.Result{}
		})
		if host.CodeOf(err) != host.CodePluginTimeout || !ended.Load() {
			t.Errorf("got %v, ended %v", err, ended.Load())
		}
	})
}

// traps: guests that break.
func traps(t *testing.T, b *Bench) {
	cases := []struct{ name, act, says string }{
		{"Panic", "panic", "the museum is on fire"},
		{"Exit", "exit", "exit code 3"},
		{"BadReturnCode", "code", "returned 7"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.Act(t.Context(), c.act, nil, Limits(), nil)
			if host.CodeOf(err) != host.CodePluginTrap || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v (%s); want it to say %q", err, host.CodeOf(err), c.says)
			}
		})
	}
	t.Run("StackOverflow", func(t *testing.T) {
		// A Go guest's stack is in its memory, so either limit may come first.
		_, err := b.Act(t.Context(), "recurse", nil, Limits(), nil)
		if code := host.CodeOf(err); code != host.CodePluginTrap && code != host.CodePluginMemory {
			t.Errorf("got %v", err)
		}
	})
	t.Run("NoOutputIsNoTrap", func(t *testing.T) {
		if _, err := b.Act(t.Context(), "silent", nil, Limits(), nil); host.CodeOf(err) != host.CodePluginOutput {
			t.Errorf("got %v", err)
		}
	})
}
