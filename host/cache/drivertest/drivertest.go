// Package drivertest is the suite that every driver of the cache port passes.
package drivertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/cache/driver"
)

// Clock moves the time of a driver.
type Clock func(d time.Duration)

// Run tries a driver. open returns one that holds nothing, and its clock.
func Run(t *testing.T, open func(t *testing.T) (driver.Driver, Clock)) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, h *harness)
	}{
		{"ValuesComeBack", testValues},
		{"PlacesAreApart", testPlaces},
		{"ValuesDieOfAge", testAge},
		{"TheQuotaHolds", testQuota},
		{"NumbersAddUp", testIncr},
		{"OneHoldsALock", testLock},
		{"ALockEnds", testLockEnds},
		{"DropTakesAll", testDrop},
		{"ManyAtOnce", testMany},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &harness{place: driver.Place{Tenant: host.NewTenantID(), Instance: "i1"}}
			h.Driver, h.pass = open(t)
			c.run(t, h)
		})
	}
}

type harness struct {
	driver.Driver
	pass  Clock
	place driver.Place
}

const plenty = 1 << 20

func (h *harness) set(t *testing.T, p driver.Place, key, value string, quota int64) {
	t.Helper()
	kept, err := h.Set(t.Context(), p, driver.Item{Key: key, Value: []byte(value), TTL: time.Minute, Quota: quota})
	if err != nil || !kept {
		t.Fatalf("setting %q: %v, %v", key, kept, err)
	}
}

func (h *harness) has(t *testing.T, p driver.Place, key, want string) bool {
	t.Helper()
	value, found, err := h.Get(t.Context(), p, key)
	if err != nil {
		t.Fatalf("getting %q: %v", key, err)
	}
	if found && string(value) != want {
		t.Errorf("%q is %q, want %q", key, value, want)
	}
	return found
}

func testValues(t *testing.T, h *harness) {
	for _, v := range []string{"", "a", "\x00\xff'{}"} {
		h.set(t, h.place, "k {x}:\x00", v, plenty)
		if !h.has(t, h.place, "k {x}:\x00", v) {
			t.Errorf("%q is not there", v)
		}
	}
	for range 2 {
		if err := h.Delete(t.Context(), h.place, "k {x}:\x00"); err != nil {
			t.Fatal(err)
		}
	}
	if h.has(t, h.place, "k {x}:\x00", "") {
		t.Error("it is still there")
	}
}

func testPlaces(t *testing.T, h *harness) {
	h.set(t, h.place, "k", "mine", plenty)
	for _, other := range []driver.Place{{Tenant: h.place.Tenant, Instance: "i2"}, {Tenant: host.NewTenantID(), Instance: "i1"}} {
		if h.has(t, other, "k", "") {
			t.Errorf("%v sees it", other)
		}
	}
}

func testAge(t *testing.T, h *harness) {
	if _, err := h.Set(t.Context(), h.place, driver.Item{Key: "k", Value: []byte("v"), TTL: 100 * time.Millisecond, Quota: plenty}); err != nil {
		t.Fatal(err)
	}
	if !h.has(t, h.place, "k", "v") {
		t.Error("it is gone too early")
	}
	h.pass(150 * time.Millisecond)
	if h.has(t, h.place, "k", "v") {
		t.Error("it is still there")
	}
}

func testQuota(t *testing.T, h *harness) {
	const room = 2000 // for fewer than ten values
	for i := range 10 {
		h.set(t, h.place, fmt.Sprint(i), "value", room)
	}
	there := 0
	for i := range 10 {
		if h.has(t, h.place, fmt.Sprint(i), "value") {
			there++
		}
	}
	if there == 0 || there > 9 || !h.has(t, h.place, "9", "value") || h.has(t, h.place, "0", "value") {
		t.Errorf("%d are there", there)
	}
	h.set(t, h.place, "large", string(make([]byte, 5000)), room)
	if h.has(t, h.place, "large", string(make([]byte, 5000))) {
		t.Error("a value beyond the quota was kept")
	}
	h.set(t, h.place, "0", "value", room)
	if !h.has(t, h.place, "0", "value") {
		t.Error("a value beyond the quota spoilt the place")
	}
}

func testIncr(t *testing.T, h *harness) {
	item := driver.Item{Key: "n", TTL: time.Minute, Quota: plenty}
	for _, c := range []struct{ by, want int64 }{{5, 5}, {-7, -2}, {math.MaxInt64, math.MaxInt64 - 2}, {0, math.MaxInt64 - 2}} {
		if n, err := h.Incr(t.Context(), h.place, item, c.by); err != nil || n != c.want {
			t.Errorf("adding %d gave %d, %v", c.by, n, err)
		}
	}
	if _, err := h.Incr(t.Context(), h.place, item, 5); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("an overflow gave %v", err)
	}
	h.set(t, h.place, "n", "text", plenty)
	if _, err := h.Incr(t.Context(), h.place, item, 1); host.CodeOf(err) != host.CodeConflict {
		t.Errorf("adding to a text gave %v", err)
	}
}

func testLock(t *testing.T, h *harness) {
	ctx := t.Context()
	take := func(token string) bool {
		taken, err := h.Lock(ctx, h.place, "k", token, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return taken
	}
	if !take("a") || take("b") || !take("a") {
		t.Error("the lock is not a's alone")
	}
	if kept, err := h.Set(ctx, h.place, driver.Item{Key: "k", Value: []byte("b"), TTL: time.Minute, Quota: plenty, Lock: "b"}); err != nil || kept {
		t.Errorf("b stored a value, %v", err)
	}
	if kept, err := h.Set(ctx, h.place, driver.Item{Key: "k", Value: []byte("a"), TTL: time.Minute, Quota: plenty, Lock: "a"}); err != nil || !kept {
		t.Errorf("a could not store a value, %v", err)
	}
	if !h.has(t, h.place, "k", "a") || !take("b") {
		t.Error("the lock was not given back")
	}
	other := driver.Place{Tenant: h.place.Tenant, Instance: "i2"}
	if taken, err := h.Lock(ctx, other, "k", "c", time.Minute); err != nil || !taken {
		t.Errorf("another instance waits for the lock: %v", err)
	}
}

func testLockEnds(t *testing.T, h *harness) {
	if taken, err := h.Lock(t.Context(), h.place, "k", "a", 100*time.Millisecond); err != nil || !taken {
		t.Fatal(taken, err)
	}
	h.pass(150 * time.Millisecond)
	if kept, err := h.Set(t.Context(), h.place, driver.Item{Key: "k", TTL: time.Minute, Quota: plenty, Lock: "a"}); err != nil || kept {
		t.Errorf("a value was stored with a lock that had ended, %v", err)
	}
	if taken, err := h.Lock(t.Context(), h.place, "k", "b", time.Minute); err != nil || !taken {
		t.Errorf("the lock has not ended: %v", err)
	}
}

func testDrop(t *testing.T, h *harness) {
	second := driver.Place{Tenant: h.place.Tenant, Instance: "i2"}
	h.set(t, h.place, "k", "v", plenty)
	h.set(t, second, "k", "v", plenty)
	if err := errors.Join(h.Drop(t.Context(), h.place), h.Drop(t.Context(), h.place)); err != nil {
		t.Fatal(err)
	}
	if h.has(t, h.place, "k", "v") || !h.has(t, second, "k", "v") {
		t.Error("dropping one instance did too little or too much")
	}
}

func testMany(t *testing.T, h *harness) {
	var wg sync.WaitGroup
	var winners atomic.Int64
	for i := range 16 {
		wg.Go(func() {
			ctx := context.Background()
			for n := range 20 {
				if _, err := h.Incr(ctx, h.place, driver.Item{Key: "n", TTL: time.Minute, Quota: plenty}, 1); err != nil {
					t.Error(err)
				}
				key := fmt.Sprint(n)
				taken, err := h.Lock(ctx, h.place, key, fmt.Sprintf("%d-%d", i, n), time.Minute)
				if err != nil {
					t.Error(err)
				}
				if taken {
					winners.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := winners.Load(); n != 20 {
		t.Errorf("%d took one of 20 locks", n)
	}
	if n, err := h.Incr(t.Context(), h.place, driver.Item{Key: "n", TTL: time.Minute, Quota: plenty}, 0); err != nil || n != 320 {
		t.Errorf("the number is %d, %v", n, err)
	}
}
