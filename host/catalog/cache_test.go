package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
)

func TestCache(t *testing.T) {
	one := Entity{Doc: json.RawMessage(`{}`)}
	fresh := func() (*cache, *tenantCache) {
		c := newCache(20*1100, time.Second, time.Now)
		return c, c.tenant("a")
	}
	t.Run("StaysWithinItsBytesAndKeepsWhatIsAskedFor", func(t *testing.T) {
		c, a := fresh()
		b := c.tenant("b")
		c.put(a, "hot", one, 0)
		for i := range 500 {
			if _, ok, _ := c.get(a, "hot"); !ok {
				t.Fatalf("dropped after %d others", i)
			}
			c.put(b, fmt.Sprint(i), one, 0)
			if c.bytes > c.max {
				t.Fatalf("%d bytes", c.bytes)
			}
		}
		if n := len(a.entries) + len(b.entries); n < 10 || n > 21 {
			t.Errorf("%d entries", n)
		}
		c.invalidate(b, nil, true)
		c.invalidate(a, []string{"hot", "none"}, false)
		if c.bytes != 0 || c.head != nil || c.tail != nil || c.hand != nil {
			t.Errorf("%d bytes left", c.bytes)
		}
	})
	t.Run("WhatWasReadBeforeAWriteIsNotKept", func(t *testing.T) {
		c, a := fresh()
		_, _, generation := c.get(a, "x")
		c.invalidate(a, nil, false)
		c.put(a, "x", one, generation)
		if _, ok, _ := c.get(a, "x"); ok {
			t.Error("kept")
		}
	})
	t.Run("TooLargeIsNotKept", func(t *testing.T) {
		c, a := fresh()
		c.put(a, "x", Entity{Doc: make(json.RawMessage, 10_000)}, 0)
		if c.bytes != 0 {
			t.Error("kept")
		}
	})
	t.Run("FirstLookIsWaitedForAndItsErrorTold", func(t *testing.T) {
		c, a := fresh()
		boom := errors.New("boom")
		if err := c.fresh(context.Background(), a, func(context.Context) error { return boom }); !errors.Is(err, boom) {
			t.Error(err)
		}
		a.revision.Store(3)
		a.checking.Lock()
		if err := c.fresh(context.Background(), a, func(context.Context) error { return boom }); err != nil {
			t.Errorf("a second looker waited: %v", err)
		}
		a.checking.Unlock()
		a.checked.Store(c.now().UnixNano())
		if err := c.fresh(context.Background(), a, func(context.Context) error { return boom }); err != nil {
			t.Errorf("looked again at once: %v", err)
		}
	})
}

func TestKeyed(t *testing.T) {
	var k keyed
	free, err := k.lock(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := k.lock(context.Background(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := k.lock(ended, "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	got := make(chan func())
	go func() {
		f, _ := k.lock(context.Background(), "a")
		got <- f
	}()
	free()
	(<-got)()
	if len(k.locks) != 0 {
		t.Errorf("%d locks left", len(k.locks))
	}
}

func TestNewUID(t *testing.T) {
	a, b := newUID(), newUID()
	if len(a) != 36 || a[14] != '4' || a == b || host.NewID("x") == "" {
		t.Errorf("%s %s", a, b)
	}
}
