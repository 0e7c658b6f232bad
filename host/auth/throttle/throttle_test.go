package throttle_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/auth/throttle"
)

// clock is a time that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newThrottle(size int) (*throttle.Throttle, *clock) {
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	return throttle.New(throttle.Settings{Free: 3, First: time.Second, Longest: 5 * time.Second, Forget: time.Minute, Size: size, Now: c.Now}), c
}

func TestTry(t *testing.T) {
	t.Parallel()
	t.Run("BacksOffTwiceAsLongUpToTheLongest", func(t *testing.T) {
		t.Parallel()
		th, c := newThrottle(0)
		for i := range 3 {
			if wait := th.Try("k"); wait != 0 {
				t.Fatalf("free attempt %d has to wait %s", i, wait)
			}
		}
		for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
			if wait := th.Try("k"); wait != want {
				t.Fatalf("wait = %s, want %s", wait, want)
			}
			c.pass(want - time.Millisecond)
			if th.Try("k") == 0 {
				t.Fatal("an attempt a moment too early went through")
			}
			c.pass(time.Millisecond)
			if wait := th.Try("k"); wait != 0 {
				t.Fatalf("after waiting: %s more", wait)
			}
		}
	})
	t.Run("KeysDoNotMeet", func(t *testing.T) {
		t.Parallel()
		th, _ := newThrottle(0)
		for th.Try("a") == 0 {
		}
		if th.Try("b") != 0 {
			t.Fatal("one key's attempts slow another")
		}
	})
	t.Run("Forgets", func(t *testing.T) {
		t.Parallel()
		th, c := newThrottle(0)
		for th.Try("a") == 0 {
		}
		c.pass(time.Minute + time.Second)
		for i := range 3 {
			if th.Try("a") != 0 {
				t.Fatalf("attempt %d has to wait after the time to forget", i)
			}
		}
	})
	t.Run("ClearStartsAnew", func(t *testing.T) {
		t.Parallel()
		th, _ := newThrottle(0)
		for th.Try("a") == 0 {
		}
		th.Clear("a")
		if th.Try("a") != 0 {
			t.Fatal("has to wait after Clear")
		}
	})
	t.Run("UndoTakesBackOne", func(t *testing.T) {
		t.Parallel()
		th, _ := newThrottle(0)
		for range 100 {
			if th.Try("a") != 0 {
				t.Fatal("undone attempts are counted")
			}
			th.Undo("a")
		}
		th.Undo("never seen")
		th.Try("a")
		th.Try("a")
		th.Undo("a")
		for i, refused := range []bool{false, false, true} {
			if (th.Try("a") != 0) != refused {
				t.Fatalf("attempt %d: refused is not %v, so Undo took back more or less than one", i, refused)
			}
		}
	})
	t.Run("ManyAtOnceDoNotSlipThrough", func(t *testing.T) {
		t.Parallel()
		th, _ := newThrottle(0)
		var wg sync.WaitGroup
		var through atomic.Int64
		for range 200 {
			wg.Go(func() {
				if th.Try("a") == 0 {
					through.Add(1)
				}
			})
		}
		wg.Wait()
		if through.Load() != 3 {
			t.Fatalf("%d attempts went through, want 3", through.Load())
		}
	})
	t.Run("FloodKeepsTheGuessedKey", func(t *testing.T) {
		t.Parallel()
		th, _ := newThrottle(8)
		for th.Try("victim") == 0 {
		}
		for i := range 10_000 {
			th.Try(fmt.Sprint("flood", i))
		}
		if th.Try("victim") == 0 {
			t.Fatal("a flood of other keys reset the guessed one")
		}
	})
	t.Run("FullDropsForgottenFirst", func(t *testing.T) {
		t.Parallel()
		th, c := newThrottle(2)
		th.Try("a")
		th.Try("b")
		c.pass(2 * time.Minute)
		th.Try("c")
		if th.Try("d") != 0 {
			t.Fatal("no room was made")
		}
	})
}
