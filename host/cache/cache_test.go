package cache_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/cache"
	"github.com/callboard-dev/callboard/host/cache/memorycache"
)

func newStore() (*cache.Store, cache.Place) {
	return cache.New(memorycache.New(memorycache.Settings{}), cache.Settings{}), cache.Place{Tenant: host.NewTenantID(), Instance: "i1"}
}

const quota = 1 << 20

func TestOneMakesWhatManyWant(t *testing.T) {
	s, p := newStore()
	var made atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			ctx := context.Background()
			a, err := s.GetOrLock(ctx, p, "k", time.Minute, 10*time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			if a.Lock != "" {
				made.Add(1)
				a.Value = []byte("made")
				if err := s.Set(ctx, p, "k", a.Value, 0, quota, a.Lock); err != nil {
					t.Error(err)
				}
			}
			if string(a.Value) != "made" {
				t.Errorf("got %+v", a)
			}
		})
	}
	wg.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("it was made %d times", n)
	}
}

func TestWhoWaitsTooLongGetsNothing(t *testing.T) {
	s, p := newStore()
	first, err := s.GetOrLock(t.Context(), p, "k", time.Minute, 0)
	if err != nil || first.Lock == "" {
		t.Fatal(first, err)
	}
	if a, err := s.GetOrLock(t.Context(), p, "k", time.Minute, 20*time.Millisecond); err != nil || a.Found || a.Lock != "" {
		t.Errorf("got %+v, %v", a, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.GetOrLock(ctx, p, "k", time.Minute, time.Hour); err == nil {
		t.Error("it waited beyond the call's time")
	}
	if err := s.Set(t.Context(), p, "k", nil, 0, quota, "forged"); host.CodeOf(err) != host.CodeConflict {
		t.Errorf("a forged lock gave %v", err)
	}
}

func TestRefused(t *testing.T) {
	s, p := newStore()
	ctx := t.Context()
	_, _, get := s.Get(ctx, p, "")
	_, incr := s.Incr(ctx, p, "k", 1, -1, quota)
	_, incrKey := s.Incr(ctx, p, "", 1, 0, quota)
	for name, err := range map[string]error{
		"NoKey": get, "LongKey": s.Delete(ctx, p, strings.Repeat("k", 513)), "NegativeTime": s.Set(ctx, p, "k", nil, -1, quota, ""), "NegativeTimeOfANumber": incr,
		"NoKeyOfANumber": incrKey, "NoKeyToSet": s.Set(ctx, p, "", nil, 0, quota, ""), "LargeValue": s.Set(ctx, p, "k", make([]byte, 2<<20), 0, 8<<20, ""),
	} {
		if code := host.CodeOf(err); code != host.CodeInvalid && code != host.CodeTooLarge {
			t.Errorf("%s gave %v", name, err)
		}
	}
	if err := s.Set(ctx, p, "k", []byte("v"), 1000*time.Hour, quota, ""); err != nil {
		t.Errorf("a long time is cut, but gave %v", err)
	}
	if err := s.Drop(ctx, p.Tenant, p.Instance); err != nil {
		t.Error(err)
	}
	if _, found, err := s.Get(ctx, p, "k"); found || err != nil {
		t.Errorf("after dropping: %v, %v", found, err)
	}
}
