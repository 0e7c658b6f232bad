//go:build linux

package sandbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// small opens the C guest, which is quickly made.
func small(t testing.TB, change func(*Settings)) *Code {
	return opened(t, runtimetest.Guest(t, runtimetest.C), []Job{act("echo", "warm")}, change)
}

func TestPoolLendsTheLastOneFirst(t *testing.T) {
	c := small(t, nil)
	a, _ := c.Take(t.Context())
	b, _ := c.Take(t.Context())
	if a == b {
		t.Fatal("two callers have the same sandbox")
	}
	a.Release()
	b.Release()
	if again, _ := c.Take(t.Context()); again != b {
		t.Error("it is not the one that was used last")
	} else {
		again.Release()
	}
	if open, lent, lost := c.Size(); open != 2 || lent != 0 || lost != 0 {
		t.Errorf("%d are open, %d lent, %d lost", open, lent, lost)
	}
}

func TestPoolHasAnEnd(t *testing.T) {
	c := small(t, func(s *Settings) { s.MaxBoxes = 2 })
	a, _ := c.Take(t.Context())
	b, _ := c.Take(t.Context())
	t.Run("WaitsForARelease", func(t *testing.T) {
		got := make(chan *Sandbox)
		go func() {
			box, _ := c.Take(context.Background())
			got <- box
		}()
		waits(t, c, 1)
		a.Release()
		if box := <-got; box != a {
			t.Error("it is another one")
		}
	})
	t.Run("ErrWhoeverGaveUp", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := c.Take(ctx)
			failed <- err
		}()
		waits(t, c, 1)
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("it answered %v", err)
		}
		waits(t, c, 0)
	})
	t.Run("MakesAnotherForOneThatIsLost", func(t *testing.T) {
		got := make(chan *Sandbox)
		go func() {
			box, _ := c.Take(context.Background())
			got <- box
		}()
		waits(t, c, 1)
		b.dirty = true
		if _, _, err := b.Invoke(t.Context(), &Job{}); !errors.Is(err, errDirty) {
			t.Errorf("a dirty sandbox answered %v", err)
		}
		b.Release()
		box := <-got
		if box == nil || box == a || box == b {
			t.Fatal("it is not a new one")
		}
		box.Release()
		if open, _, lost := c.Size(); open != 2 || lost != 1 {
			t.Errorf("%d are open, %d were lost", open, lost)
		}
	})
	a.Release()
}

// waits returns when so many callers wait.
func waits(t *testing.T, c *Code, n int) {
	t.Helper()
	for begin := time.Now(); ; runtime.Gosched() {
		c.mu.Lock()
		now := len(c.waiting)
		c.mu.Unlock()
		if now == n {
			return
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("%d callers wait, not %d", now, n)
		}
	}
}

func TestPoolRests(t *testing.T) {
	c := small(t, func(s *Settings) { s.IdleAfter, s.CloseAfter = time.Hour, 3*time.Hour })
	var boxes []*Sandbox
	for range 3 {
		b, err := c.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		j := act("count", nil)
		if _, _, err := b.Invoke(t.Context(), &j); err != nil {
			t.Fatal(err)
		}
		boxes = append(boxes, b)
	}
	for _, b := range boxes {
		b.Release()
	}
	c.sweep() // the first period ends: all are new in it
	for range 2 {
		b, _ := c.Take(t.Context())
		j := act("count", nil)
		if _, _, err := b.Invoke(t.Context(), &j); err != nil {
			t.Fatal(err)
		}
		b.Release()
		c.sweep()
	}
	if boxes[0].memory.written.pages != 0 || boxes[1].memory.written.pages != 0 {
		t.Error("idle sandboxes keep their memory")
	}
	if boxes[2].memory.written.pages == 0 && c.settings.Path == PageScan {
		t.Error("one that is used gave its memory back")
	}
	if open, _, _ := c.Size(); open != 3 {
		t.Errorf("%d are open", open)
	}
	if out := must(t, c, act("count", nil)); out != `{"body":1}` {
		t.Errorf("it answered %s", out)
	}
	c.sweep()
	if open, _, _ := c.Size(); open != 1 {
		t.Errorf("%d are open after their time", open)
	}
	if out := must(t, c, act("count", nil)); out != `{"body":1}` {
		t.Errorf("it answered %s", out)
	}
}

func TestPoolCloses(t *testing.T) {
	c := small(t, nil)
	idle, _ := c.Take(t.Context())
	busy, _ := c.Take(t.Context())
	idle.Release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("closing did not wait: %v", err)
	}
	if _, err := c.Take(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed code lends: %v", err)
	}
	j := act("count", nil)
	if out, _, err := busy.Invoke(t.Context(), &j); err != nil || string(out) != `{"body":1}` {
		t.Errorf("a call that began before answered %s, %v", out, err)
	}
	busy.Release()
	for range 2 {
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
}

// allBack makes sure that no sandbox is lent or was lost. One that is being put
// to rest counts as lent for a moment.
func allBack(t *testing.T, c *Code) {
	t.Helper()
	for begin := time.Now(); ; runtime.Gosched() {
		_, lent, lost := c.Size()
		if lost != 0 {
			t.Errorf("%d sandboxes were lost", lost)
		}
		if lent == 0 || lost != 0 {
			return
		}
		if time.Since(begin) > time.Minute {
			t.Errorf("%d sandboxes are lent", lent)
			return
		}
	}
}

// TestManyCallers is for the race detector, and for what callers do to each
// other: nothing.
func TestManyCallers(t *testing.T) {
	for _, lang := range runtimetest.Languages() {
		t.Run(lang, func(t *testing.T) {
			c := opened(t, runtimetest.Guest(t, lang), []Job{act("echo", "warm")}, func(s *Settings) {
				s.MaxBoxes, s.IdleAfter, s.CloseAfter = 6, time.Millisecond, 3*time.Millisecond
			})
			var wg sync.WaitGroup
			for n := range uint64(12) {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(n, n))
					for range 20 {
						j := mixed(r, lang)
						_, _, _ = c.Do(context.Background(), &j)
						b, err := c.Take(context.Background())
						if err != nil {
							t.Error(err)
							return
						}
						if d := b.difference(b.memory.ready); d != "" {
							t.Errorf("after %.60s: %s", j.Input, d)
						}
						b.Release()
					}
				})
			}
			wg.Wait()
			allBack(t, c)
		})
	}
}
