//go:build linux

package sandbox

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
)

// fixed makes what a job learns from outside the same each time.
func fixed(j Job) Job {
	newWorld().apply(&j.Call)
	return j
}

func TestFuel(t *testing.T) {
	for _, lang := range runtimetest.Languages() {
		t.Run(lang, func(t *testing.T) {
			c := opened(t, runtimetest.Guest(t, lang), []Job{act("echo", "warm")}, nil)
			task := func(fuel int64) (Used, error) {
				// More than one slice, so that refills are part of it.
				j := fixed(act("work", 100_000))
				j.Fuel = fuel
				_, used, err := c.Do(t.Context(), &j)
				return used, err
			}
			first, err := task(0)
			if err != nil || first.Fuel <= slice {
				t.Fatalf("it used %+v, %v", first, err)
			}
			for range 5 {
				if again, err := task(0); err != nil || again != first {
					t.Errorf("the same call used %+v, then %+v, %v", first, again, err)
				}
			}
			if used, err := task(first.Fuel); err != nil || used != first {
				t.Errorf("with just enough it used %+v, %v", used, err)
			}
			used, err := task(first.Fuel - 1)
			var fault *kernel.Fault
			if !errors.As(err, &fault) || fault.Kind != kernel.Fuel || fault.Limit != first.Fuel-1 || fault.Used <= fault.Limit {
				t.Errorf("with one too little: %+v, %v", used, err)
			}
			a, _ := task(first.Fuel / 2)
			if b, err := task(first.Fuel / 2); a != b || !errors.As(err, &fault) {
				t.Errorf("with half it used %+v, then %+v, %v", a, b, err)
			}
		})
	}
}

// TestLimitsSayWhatTheyAre: each limit has an error of its own, with figures.
func TestLimitsSayWhatTheyAre(t *testing.T) {
	c := opened(t, runtimetest.Guest(t, runtimetest.AssemblyScript), []Job{act("echo", "warm")}, nil)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	overdue, stop := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer stop()
	for name, k := range map[string]struct {
		ctx    context.Context
		job    func() Job
		kind   kernel.Kind
		limits bool
	}{
		"Fuel":      {t.Context(), func() Job { j := act("spin", nil); j.Fuel = 1e6; return j }, kernel.Fuel, true},
		"Deadline":  {t.Context(), func() Job { j := act("spin", nil); j.Deadline = time.Now().Add(5 * time.Millisecond); return j }, kernel.Deadline, true},
		"Context":   {overdue, func() Job { return act("spin", nil) }, kernel.Deadline, false},
		"Cancelled": {cancelled, func() Job { return act("spin", nil) }, kernel.Cancelled, false},
		"Memory":    {t.Context(), func() Job { j := act("grow", nil); j.Memory = 4 << 20; return j }, kernel.Memory, true},
		"NoRoom":    {t.Context(), func() Job { j := act("echo", nil); j.Memory = 64 << 10; return j }, kernel.Memory, true},
		"Output":    {t.Context(), func() Job { j := act("echo", strings.Repeat("x", 100)); j.Output = 99; return j }, kernel.Output, true},
		"Stack":     {t.Context(), func() Job { return act("recurse", nil) }, kernel.Stack, false},
	} {
		t.Run(name, func(t *testing.T) {
			j := k.job()
			out, _, err := c.Do(k.ctx, &j)
			var fault *kernel.Fault
			if !errors.As(err, &fault) || fault.Kind != k.kind || out != nil {
				t.Fatalf("it answered %q, %v", out, err)
			}
			if err.Error() == "" {
				t.Error("it says nothing")
			}
			if k.limits && (fault.Limit <= 0 || fault.Used < fault.Limit) {
				t.Errorf("the figures are %d of %d", fault.Used, fault.Limit)
			}
		})
	}
	if open, _, lost := c.Size(); open != 1 || lost != 0 {
		t.Errorf("%d sandboxes are open, %d were lost", open, lost)
	}
}

// TestExitLeavesTheSandbox: a guest that ends itself, as Go does after a panic,
// does not end its sandbox.
func TestExitLeavesTheSandbox(t *testing.T) {
	c := opened(t, runtimetest.Museum(t), []Job{act("echo", "warm")}, nil)
	b, err := c.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	for _, name := range []string{"exit", "panic"} {
		t.Run(name, func(t *testing.T) {
			var said []string
			j := act(name, nil)
			j.Log = func(stream string, text []byte) { said = append(said, stream+": "+string(text)) }
			_, _, err := b.Invoke(t.Context(), &j)
			var exit *sys.ExitError
			var trap *Trap // what a panic ends with, by the version of Go
			if ended := errors.As(err, &exit) && (exit.ExitCode() == 3 || name == "panic"); !ended && !(name == "panic" && errors.As(err, &trap)) {
				t.Fatalf("it ended with %v", err)
			}
			if name == "panic" && !strings.Contains(strings.Join(said, ""), "the museum is on fire") {
				t.Errorf("it said %q", said)
			}
			if d := b.difference(b.memory.ready); d != "" {
				t.Error(d)
			}
			j = act("count", nil)
			if out, _, err := b.Invoke(t.Context(), &j); err != nil || string(out) != `{"body":1}` {
				t.Errorf("the next call answered %s, %v", out, err)
			}
		})
	}
	t.Run("sleep", func(t *testing.T) {
		j := act("sleep", nil)
		j.Deadline = time.Now().Add(20 * time.Millisecond)
		_, _, err := b.Invoke(t.Context(), &j)
		var fault *kernel.Fault
		if !errors.As(err, &fault) || fault.Kind != kernel.Deadline {
			t.Errorf("it ended with %v", err)
		}
		if late := time.Since(j.Deadline); late > 2*time.Second {
			t.Errorf("it slept %s beyond its deadline", late)
		}
	})
	t.Run("code", func(t *testing.T) {
		j := act("code", nil)
		_, _, err := b.Invoke(t.Context(), &j)
		var failed *Failed
		if !errors.As(err, &failed) || failed.Code != 7 || !strings.Contains(err.Error(), "returned 7") {
			t.Errorf("it ended with %v", err)
		}
	})
}
