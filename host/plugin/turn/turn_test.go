package turn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// patient waits longer than any test.
const patient = time.Hour

func take(t testing.TB, l *Line, a Ask) Turn {
	t.Helper()
	got, err := l.Take(context.Background(), a)
	if err != nil {
		t.Fatalf("taking a turn for %s: %v", a.Tenant, err)
	}
	return got
}

// served is a call that got its turn.
type served struct {
	tenant host.TenantID
	turn   Turn
	err    error
}

// crowd stands in a line, one by one, so that the order is known.
func crowd(t *testing.T, l *Line, out chan served, asks ...Ask) {
	t.Helper()
	for _, a := range asks {
		before := l.State()
		go func() {
			got, err := l.Take(t.Context(), a)
			out <- served{a.Tenant, got, err}
		}()
		for l.State().Waiting == before.Waiting && l.State().Shed == before.Shed {
			runtime.Gosched()
		}
	}
}

func times(n int, a Ask) []Ask { return slices.Repeat([]Ask{a}, n) }

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		s    Settings
		asks []Ask
		want string
	}{
		{"OneTenantIsServedInOrder", Settings{Slots: 1, Wait: patient}, times(3, Ask{Tenant: "a"}), "aaa"},
		{"TenantsTakeTurns", Settings{Slots: 1, Queue: 9, Wait: patient}, append(times(4, Ask{Tenant: "a"}), times(2, Ask{Tenant: "b"})...), "ababaa"},
		{"AWeightIsTurnsInARow", Settings{Slots: 1, Queue: 9, Wait: patient},
			append(times(4, Ask{Tenant: "a", Weight: 2}), times(2, Ask{Tenant: "b"})...), "aabaab"},
		{"WhoComesLateIsNotLast", Settings{Slots: 1, Queue: 9, Wait: patient},
			append(times(5, Ask{Tenant: "a"}), Ask{Tenant: "b"}, Ask{Tenant: "c"}), "abcaaaa"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := New(c.s)
			held := take(t, l, Ask{Tenant: "z"})
			out := make(chan served)
			crowd(t, l, out, c.asks...)
			got := ""
			for range c.asks {
				held.Done()
				s := <-out
				if s.err != nil {
					t.Fatal(s.err)
				}
				got += string(s.tenant)
				held = s.turn
			}
			held.Done()
			if got != c.want {
				t.Errorf("served %s, want %s", got, c.want)
			}
			if s := l.State(); s.Running != 0 || s.Waiting != 0 || s.Turns != uint64(len(c.asks))+1 {
				t.Errorf("afterwards %+v", s)
			}
		})
	}
}

// TestFlood counts turns, not time: while other tenants keep 64 callers each in
// the line, a call lets pass at most what the round allows: Weight turns
// of each of them.
func TestFlood(t *testing.T) {
	for _, c := range []struct {
		name           string
		floods, weight int
	}{{"OneFlood", 1, 1}, {"ThreeFloods", 3, 1}, {"AHeavyFlood", 1, 4}} {
		t.Run(c.name, func(t *testing.T) {
			bound := uint64(c.floods * c.weight)
			passed := underFlood(t, c.floods, c.weight)
			t.Logf("turns of others before one's own: median %d, worst %d, bound %d", passed[len(passed)/2], passed[len(passed)-1], bound)
			if worst := passed[len(passed)-1]; worst > bound {
				t.Errorf("a call let %d turns pass, at most %d are the others' share of a round", worst, bound)
			}
		})
	}
}

// underFlood returns how many turns of others each call of a calm tenant let
// pass, sorted.
func underFlood(t *testing.T, floods, weight int) []uint64 {
	const callers, slots = 64, 4
	l := New(Settings{Slots: slots, Queue: 4 * callers * floods, Wait: patient})
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	for n := range callers * floods {
		flood.Go(func() {
			for ctx.Err() == nil {
				got, err := l.Take(ctx, Ask{Tenant: host.TenantID(fmt.Sprint("flood", n%floods)), Weight: weight})
				if err == nil {
					runtime.Gosched()
					got.Done()
				}
			}
		})
	}
	for l.State().Waiting < callers/2 {
		runtime.Gosched()
	}
	var passed []uint64
	for range 300 {
		got := take(t, l, Ask{Tenant: "calm"})
		passed = append(passed, got.Passed)
		got.Done()
	}
	stop()
	flood.Wait()
	if s := l.State(); s.Running != 0 || s.Waiting != 0 {
		t.Errorf("afterwards %+v", s)
	}
	slices.Sort(passed)
	return passed
}

func TestLimits(t *testing.T) {
	t.Run("ATenantHasItsLimit", func(t *testing.T) {
		l := New(Settings{Slots: 4, PerTenant: 2, Wait: patient})
		one, two := take(t, l, Ask{Tenant: "a"}), take(t, l, Ask{Tenant: "a"})
		out := make(chan served)
		crowd(t, l, out, Ask{Tenant: "a"})
		other := take(t, l, Ask{Tenant: "b"}) // is not held up by a's queue
		other.Done()
		if n := l.Running("a"); n != 2 {
			t.Fatalf("%d calls of a run", n)
		}
		one.Done()
		three := <-out
		if n := l.Running("a"); n != 2 {
			t.Fatalf("%d calls of a run", n)
		}
		two.Done()
		three.turn.Done()
	})
	t.Run("AnAskMayLowerIt", func(t *testing.T) {
		l := New(Settings{Slots: 4, Wait: time.Nanosecond})
		defer take(t, l, Ask{Tenant: "a", Limit: 1}).Done()
		if _, err := l.Take(t.Context(), Ask{Tenant: "a", Limit: 1}); host.CodeOf(err) != host.CodeUnavailable {
			t.Errorf("got %v", err)
		}
	})
	t.Run("TheWaitIsBounded", func(t *testing.T) {
		l := New(Settings{Slots: 1, Wait: time.Millisecond})
		defer take(t, l, Ask{Tenant: "a"}).Done()
		_, err := l.Take(t.Context(), Ask{Tenant: "b"})
		if host.CodeOf(err) != host.CodeUnavailable || host.AsError(err).RetryAfter < time.Second {
			t.Errorf("got %v", err)
		}
		if s := l.State(); s.Waiting != 0 || s.Shed != 1 {
			t.Errorf("afterwards %+v", s)
		}
	})
}

func TestFullQueue(t *testing.T) {
	l := New(Settings{Slots: 1, Queue: 4, Wait: patient})
	held := take(t, l, Ask{Tenant: "z"})
	out := make(chan served, 16)
	crowd(t, l, out, times(4, Ask{Tenant: "flood"})...)
	t.Run("TheFloodsNextCallIsRefusedAtOnce", func(t *testing.T) {
		_, err := l.Take(t.Context(), Ask{Tenant: "flood"})
		if e := host.AsError(err); e.Code != host.CodeUnavailable || e.RetryAfter < time.Second || e.Hint == "" {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("AnotherTenantTakesTheNewestPlace", func(t *testing.T) {
		go func() {
			got, err := l.Take(context.Background(), Ask{Tenant: "calm"})
			out <- served{"calm", got, err}
		}()
		if s := <-out; s.tenant != "flood" || host.CodeOf(s.err) != host.CodeUnavailable {
			t.Fatalf("sent away: %+v", s)
		}
		if s := l.State(); s.Waiting != 4 {
			t.Errorf("%d wait", s.Waiting)
		}
	})
	var order string
	for range 4 {
		held.Done()
		s := <-out
		order += string(s.tenant[0])
		held = s.turn
	}
	held.Done()
	if order != "fcff" {
		t.Errorf("served %s", order)
	}
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		mean time.Duration
		n    int
		want time.Duration
	}{{0, 10, time.Second}, {100 * time.Millisecond, 25, 3 * time.Second}, {time.Second, 4, 4 * time.Second}, {time.Minute, 9, time.Minute}} {
		p := pace{mean: c.mean}
		if got := p.retryAfter(c.n); got != c.want {
			t.Errorf("%d calls at %s: got %s, want %s", c.n, c.mean, got, c.want)
		}
	}
}

func TestCancelledCallsLeaveNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	l := New(Settings{Slots: 2, Queue: 1000, Wait: patient})
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			go cancel()
			got, err := l.Take(ctx, Ask{Tenant: host.TenantID(fmt.Sprint("t", n%7))})
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				return
			}
			runtime.Gosched()
			got.Done()
		})
	}
	all.Wait()
	if s := l.State(); s.Running != 0 || s.Waiting != 0 || l.ring.at != nil || l.queued != 0 {
		t.Errorf("afterwards %+v", s)
	}
	for i := 0; runtime.NumGoroutine() > before && i < 1000; i++ {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

func TestClose(t *testing.T) {
	l := New(Settings{Slots: 1, Wait: patient})
	held := take(t, l, Ask{Tenant: "a"})
	out := make(chan served)
	crowd(t, l, out, Ask{Tenant: "a"}, Ask{Tenant: "b"})
	l.Close()
	for range 2 {
		if s := <-out; host.CodeOf(s.err) != host.CodeUnavailable {
			t.Errorf("got %+v", s)
		}
	}
	if _, err := l.Take(t.Context(), Ask{Tenant: "a"}); host.CodeOf(err) != host.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	held.Done()
	if s := l.State(); s.Running != 0 || s.Waiting != 0 {
		t.Errorf("afterwards %+v", s)
	}
	Turn{}.Done() // has nothing to give back
}

// TestRandomCalls holds the line to its promises under random load.
func TestRandomCalls(t *testing.T) {
	const slots, perTenant = 3, 2
	l := New(Settings{Slots: slots, PerTenant: perTenant, Queue: 20, Wait: 5 * time.Millisecond})
	var all sync.WaitGroup
	for worker := range 32 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 300 {
				tenant := host.TenantID(fmt.Sprint("t", r.IntN(5)))
				got, err := l.Take(t.Context(), Ask{Tenant: tenant, Weight: 1 + r.IntN(3)})
				if err != nil {
					continue
				}
				if s, mine := l.State(), l.Running(tenant); s.Running > slots || s.Waiting > 20 || mine > perTenant || mine < 1 {
					t.Errorf("%+v, %d of %s", s, mine, tenant)
				}
				runtime.Gosched()
				got.Done()
			}
		})
	}
	all.Wait()
	if s := l.State(); s.Running != 0 || s.Waiting != 0 || l.ring.at != nil || l.queued != 0 {
		t.Errorf("afterwards %+v", s)
	}
}

func TestIdleTenantsAreForgotten(t *testing.T) {
	l := New(Settings{Slots: 1})
	for n := range 3 * manyFlows {
		take(t, l, Ask{Tenant: host.TenantID(fmt.Sprint("t", n))}).Done()
	}
	if n := len(l.flows); n > manyFlows+1 {
		t.Errorf("%d tenants are remembered", n)
	}
}

func TestAllocations(t *testing.T) {
	l := New(Settings{})
	ctx := t.Context()
	n := testing.AllocsPerRun(1000, func() {
		got, err := l.Take(ctx, Ask{Tenant: "a"})
		if err != nil {
			t.Fatal(err)
		}
		got.Done()
	})
	if n != 0 {
		t.Errorf("%v allocations for an uncontended turn", n)
	}
}

func BenchmarkUncontended(b *testing.B) {
	l, ctx := New(Settings{}), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		got, err := l.Take(ctx, Ask{Tenant: "a"})
		if err != nil {
			b.Fatal(err)
		}
		got.Done()
	}
}
