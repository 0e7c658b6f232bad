//go:build linux

package sandbox

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
)

// runaways are acts that do not end by themselves.
func runaways() []string { return []string{"spin", "recurse", "fork", "mutual", "bulk"} }

// runaway is one of them with little time.
func runaway(name string) Job {
	j := act(name, 60)
	j.Fuel = 0
	j.Deadline = time.Now().Add(20 * time.Millisecond)
	return j
}

// TestRunawaysAreStopped: how late may be as much as a busy machine needs here;
// BenchmarkRunaway says what it is.
func TestRunawaysAreStopped(t *testing.T) {
	for _, lang := range runtimetest.Languages() {
		c := opened(t, runtimetest.Guest(t, lang), []Job{act("echo", "warm")}, nil)
		for _, name := range runaways() {
			t.Run(lang+"/"+name, func(t *testing.T) {
				b, err := c.Take(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer b.Release()
				j := runaway(name)
				_, used, err := b.Invoke(t.Context(), &j)
				late := time.Since(j.Deadline)
				var fault *kernel.Fault
				var trap *Trap
				if !errors.As(err, &fault) && !errors.As(err, &trap) {
					t.Fatalf("it ended with %v", err)
				}
				if late > 2*time.Second {
					t.Errorf("it ended %s after its deadline", late)
				}
				if used.Fuel <= 0 {
					t.Error("it used no fuel")
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
		if _, _, lost := c.Size(); lost != 0 {
			t.Errorf("%d sandboxes were lost", lost)
		}
	}
}

// BenchmarkRunaway measures how long after its deadline a guest goes on.
func BenchmarkRunaway(b *testing.B) {
	for _, lang := range runtimetest.Languages() {
		c := opened(b, runtimetest.Guest(b, lang), []Job{act("echo", "warm")}, nil)
		for _, name := range runaways() {
			b.Run(lang+"/"+name, func(b *testing.B) {
				var late []float64
				for b.Loop() {
					j := runaway(name)
					if _, _, err := c.Do(context.Background(), &j); err == nil {
						b.Fatal("it ended by itself")
					}
					late = append(late, float64(time.Since(j.Deadline).Microseconds())/1000)
				}
				slices.Sort(late)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(late[len(late)/2], "ms-late")
				b.ReportMetric(late[len(late)-1], "ms-late-max")
			})
		}
	}
}

// BenchmarkCollection measures a collection of the host's garbage while guests
// spin on all processors, and while the host's own code does, to compare with.
func BenchmarkCollection(b *testing.B) {
	b.Run("host", func(b *testing.B) {
		collect(b, func() {
			for begin := time.Now(); time.Since(begin) < 200*time.Millisecond; {
			}
		})
	})
	for _, lang := range runtimetest.Languages() {
		c := opened(b, runtimetest.Guest(b, lang), []Job{act("echo", "warm")}, nil)
		b.Run(lang, func(b *testing.B) {
			collect(b, func() {
				j := act("spin", nil)
				j.Fuel = 0
				j.Deadline = time.Now().Add(200 * time.Millisecond)
				_, _, _ = c.Do(context.Background(), &j)
			})
		})
	}
}

// collect times collections while all processors spin.
func collect(b *testing.B, spin func()) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !stop.Load() {
				spin()
			}
		})
	}
	var took []float64
	for b.Loop() {
		begin := time.Now()
		runtime.GC()
		took = append(took, float64(time.Since(begin).Microseconds())/1000)
	}
	stop.Store(true)
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "ms/collection")
	b.ReportMetric(took[len(took)-1], "ms-max")
	b.ReportMetric(0, "ns/op")
}
