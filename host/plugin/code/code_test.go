package code

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// module is code of a size.
type module struct {
	size   int64
	closed atomic.Bool
}

// Close notes that it was closed.
func (m *module) Close(context.Context) error { m.closed.Store(true); return nil }

func shelf(budget int64) *Shelf[*module] {
	return NewShelf(Settings[*module]{Budget: budget, Size: func(m *module) int64 { return m.size }})
}

// add puts up code of a size that is loaded at once.
func add(s *Shelf[*module], size int64) *Code[*module] {
	return s.Add(Source[*module]{
		Open:   func(context.Context) (*module, error) { return &module{size: size}, nil },
		Cached: func() bool { return true }, Changed: func() {},
	})
}

func lend(t *testing.T, c *Code[*module]) *module {
	t.Helper()
	m, _, err := c.Lend(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func TestLend(t *testing.T) {
	s := shelf(0)
	t.Run("TheFirstCallLoadsAndSaysHowLongItWaited", func(t *testing.T) {
		c := add(s, 1)
		if _, ok := c.Loaded(); ok {
			t.Fatal("it is loaded before anybody called it")
		}
		m, waited, err := c.Lend(t.Context(), time.Minute)
		if err != nil || waited <= 0 {
			t.Fatalf("waited %s: %v", waited, err)
		}
		again, waited, err := c.Lend(t.Context(), time.Minute)
		if err != nil || waited != 0 || again != m {
			t.Errorf("the second call waited %s: %v", waited, err)
		}
		c.GiveBack()
		c.Retire()
		if m.closed.Load() {
			t.Error("it was closed under a call")
		}
		c.GiveBack()
		eventually(t, "the retired code is closed", m.closed.Load)
	})
	t.Run("AFailureStaysUntilRetry", func(t *testing.T) {
		bad, opened := errors.New("bad"), 0
		c := s.Add(Source[*module]{Cached: func() bool { return true }, Changed: func() {}, Open: func(context.Context) (*module, error) {
			if opened++; opened == 1 {
				return nil, bad
			}
			return &module{}, nil
		}})
		for range 2 {
			if _, _, err := c.Lend(t.Context(), time.Minute); !errors.Is(err, bad) {
				t.Fatalf("got %v", err)
			}
		}
		if !errors.Is(c.Failure(), bad) {
			t.Error("the failure does not show")
		}
		c.Retry()
		lend(t, c)
		c.GiveBack()
	})
	t.Run("ACallerGivesUpAndTheLoadingGoesOn", func(t *testing.T) {
		open := make(chan struct{})
		c := s.Add(Source[*module]{Bytes: 1000, Cached: func() bool { return false }, Changed: func() {}, Open: func(context.Context) (*module, error) {
			<-open
			return &module{}, nil
		}})
		_, waited, err := c.Lend(t.Context(), time.Nanosecond)
		if host.CodeOf(err) != host.CodeUnavailable || host.AsError(err).RetryAfter <= 0 || waited <= 0 {
			t.Fatalf("got %v after %s", err, waited)
		}
		eventually(t, "it says that it compiles", func() bool { p := c.Progress(); return p != nil && p.Phase == "compiling" })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := c.Lend(ctx, time.Minute); host.CodeOf(err) != host.CodeUnavailable {
			t.Errorf("got %v", err)
		}
		close(open)
		lend(t, c)
		c.GiveBack()
	})
	t.Run("WarmLoadsWithoutACall", func(t *testing.T) {
		c := add(s, 1)
		c.Warm()
		eventually(t, "it is loaded", func() bool { _, ok := c.Loaded(); return ok })
	})
}

func TestRest(t *testing.T) {
	s := shelf(0)
	a, b := add(s, 1), add(s, 2)
	m := lend(t, a)
	a.GiveBack()
	lend(t, b)
	if n, bytes := s.Held(); n != 2 || bytes != 3 {
		t.Fatalf("%d releases of %d bytes are held", n, bytes)
	}
	if n := s.Rest(time.Now().Add(time.Hour)); n != 1 {
		t.Errorf("%d releases were unloaded, one is idle", n)
	}
	eventually(t, "the idle one is closed", m.closed.Load)
	b.GiveBack()
}

// TestBudget: what was not used for longest goes, what is in use stays, and
// what was loaded just now too.
func TestBudget(t *testing.T) {
	s := shelf(100)
	old, busy, recent := add(s, 40), add(s, 40), add(s, 20)
	first := lend(t, old)
	old.GiveBack()
	lend(t, busy)
	lend(t, recent)
	recent.GiveBack()
	fresh := add(s, 30)
	lend(t, fresh)
	fresh.GiveBack()
	eventually(t, "the oldest idle code is unloaded", func() bool { _, ok := old.Loaded(); return !ok && first.closed.Load() })
	for name, c := range map[string]*Code[*module]{"in use": busy, "used lately": recent, "loaded just now": fresh} {
		if _, ok := c.Loaded(); !ok {
			t.Errorf("the code %s was unloaded", name)
		}
	}
	huge := add(s, 1000)
	lend(t, huge)
	eventually(t, "everything idle is unloaded for code beyond the budget", func() bool { n, _ := s.Held(); return n == 2 })
	busy.GiveBack()
	huge.GiveBack()
}

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
	c := shelf(0).Add(Source[*module]{
		Cached: func() bool { return false }, Changed: func() {},
		Open: func(context.Context) (*module, error) {
			before = held()
			garbage := make([]byte, waste)
			for i := 0; i < len(garbage); i += 4096 {
				garbage[i] = 1
			}
			runtime.KeepAlive(garbage)
			return &module{}, nil
		},
	})
	lend(t, c)
	eventually(t, "the heap is as small as before", func() bool { return held() <= before+waste/4 })
}
