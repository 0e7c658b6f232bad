package kv_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

const quota = 1000

// shelf is a store with a clock of its own.
type shelf struct {
	s      *kv.Store
	tenant host.TenantID
	now    time.Time
}

func (h *shelf) set(t *testing.T, instance, key, value string, ttl time.Duration) {
	t.Helper()
	if err := h.s.Set(t.Context(), h.tenant, instance, key, []byte(value), ttl, quota); err != nil {
		t.Fatalf("setting %s: %v", key, err)
	}
}

func (h *shelf) get(t *testing.T, instance, key string) (string, bool) {
	t.Helper()
	v, ok, err := h.s.Get(t.Context(), h.tenant, instance, key)
	if err != nil {
		t.Fatalf("getting %s: %v", key, err)
	}
	return string(v), ok
}

func TestStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := &shelf{tenant: storetest.Tenant(t, db).ID, now: time.Unix(1_800_000_000, 0)}
		h.s = kv.New(db, kv.Settings{Now: func() time.Time { return h.now }})
		for _, c := range []struct {
			name string
			run  func(t *testing.T, h *shelf)
		}{
			{"SetAndReplace", testSetAndReplace},
			{"ClaimIsWonOnce", testClaim},
			{"Bytes", testBytes},
			{"InstancesAreApart", testInstancesAreApart},
			{"TimeToLive", testTimeToLive},
			{"Quota", testQuota},
			{"ListInByteOrderByPages", testListInByteOrderByPages},
			{"Delete", testDelete},
			{"Drop", testDrop},
			{"QuotaHoldsForSeveralAtOnce", testQuotaHoldsForSeveralAtOnce},
			{"Refused", testRefused},
		} {
			t.Run(c.name, func(t *testing.T) { c.run(t, h) })
		}
	})
}

func testSetAndReplace(t *testing.T, h *shelf) {
	h.set(t, "i1", "k", "one", 0)
	h.set(t, "i1", "k", "two", 0)
	if v, ok := h.get(t, "i1", "k"); !ok || v != "two" {
		t.Errorf("got %q, %v", v, ok)
	}
	if n, err := h.s.Used(t.Context(), h.tenant, "i1"); err != nil || n != 4 {
		t.Errorf("%d bytes are used, %v", n, err)
	}
}

func testBytes(t *testing.T, h *shelf) {
	want := []byte{0, 1, 0x80, 0xff, '\'', '\\', '?'}
	if err := h.s.Set(t.Context(), h.tenant, "i1", `k'"\?%_`, want, 0, quota); err != nil {
		t.Fatal(err)
	}
	if v, _ := h.get(t, "i1", `k'"\?%_`); !bytes.Equal([]byte(v), want) {
		t.Errorf("got %x", v)
	}
	h.set(t, "i1", "empty", "", 0)
	if v, ok := h.get(t, "i1", "empty"); !ok || v != "" {
		t.Errorf("an empty value came back as %q, %v", v, ok)
	}
}

func testInstancesAreApart(t *testing.T, h *shelf) {
	h.set(t, "i2", "k", "theirs", 0)
	if v, _ := h.get(t, "i1", "k"); v != "two" {
		t.Errorf("got %q", v)
	}
}

func testTimeToLive(t *testing.T, h *shelf) {
	h.set(t, "i3", "short", "x", time.Minute)
	h.now = h.now.Add(59 * time.Second)
	if _, ok := h.get(t, "i3", "short"); !ok {
		t.Error("it is gone too early")
	}
	h.now = h.now.Add(time.Second)
	if _, ok := h.get(t, "i3", "short"); ok {
		t.Error("it is still there")
	}
	if keys, _, err := h.s.List(t.Context(), h.tenant, "i3", "", "", 10); err != nil || len(keys) != 0 {
		t.Errorf("it is listed: %v, %v", keys, err)
	}
}

func testQuota(t *testing.T, h *shelf) {
	h.set(t, "i4", "a", string(make([]byte, 900)), time.Minute)
	err := h.s.Set(t.Context(), h.tenant, "i4", "b", make([]byte, 100), 0, quota)
	if host.CodeOf(err) != host.CodeLimit {
		t.Errorf("got %v", err)
	}
	if _, ok := h.get(t, "i4", "b"); ok {
		t.Error("it was stored all the same")
	}
	h.set(t, "i4", "a", string(make([]byte, 950)), time.Minute) // replaces, so it fits
	h.now = h.now.Add(time.Hour)
	h.set(t, "i4", "b", string(make([]byte, 900)), 0) // what has expired makes room
}

func testListInByteOrderByPages(t *testing.T, h *shelf) {
	want := []string{"p/A", "p/Z", "p/_", "p/a", "p/b", "p/é"}
	for _, k := range []string{"p/é", "p/b", "q", "p/Z", "p/_", "p/a", "p/A", "p"} {
		h.set(t, "i5", k, "", 0)
	}
	var got []string
	after := ""
	for range 10 {
		keys, next, err := h.s.List(t.Context(), h.tenant, "i5", "p/", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, keys...)
		if after = next; next == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func testDelete(t *testing.T, h *shelf) {
	for range 2 {
		if err := h.s.Delete(t.Context(), h.tenant, "i1", "k"); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := h.get(t, "i1", "k"); ok {
		t.Error("it is still there")
	}
}

func testDrop(t *testing.T, h *shelf) {
	if err := h.s.Drop(t.Context(), h.tenant, "i5"); err != nil {
		t.Fatal(err)
	}
	if n, err := h.s.Used(t.Context(), h.tenant, "i5"); err != nil || n != 0 {
		t.Errorf("%d bytes are used, %v", n, err)
	}
	if _, ok := h.get(t, "i2", "k"); !ok {
		t.Error("another instance lost its data")
	}
}

func testQuotaHoldsForSeveralAtOnce(t *testing.T, h *shelf) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := h.s.Set(t.Context(), h.tenant, "i6", fmt.Sprint(i), make([]byte, 299), 0, quota)
			if err != nil && host.CodeOf(err) != host.CodeLimit {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if n, err := h.s.Used(t.Context(), h.tenant, "i6"); err != nil || n != 900 {
		t.Errorf("%d bytes are used, %v", n, err)
	}
}

func testRefused(t *testing.T, h *shelf) {
	for name, err := range map[string]error{
		"an empty key":       h.s.Set(t.Context(), h.tenant, "i1", "", nil, 0, quota),
		"a control":          h.s.Set(t.Context(), h.tenant, "i1", "a\x00b", nil, 0, quota),
		"a large value":      h.s.Set(t.Context(), h.tenant, "i1", "k", make([]byte, 2<<20), 0, 1<<30),
		"a negative time":    h.s.Set(t.Context(), h.tenant, "i1", "k", nil, -1, quota),
		"an unknown tenant":  h.s.Delete(t.Context(), host.NewTenantID(), "i1", "k"),
		"no tenant":          h.s.Delete(t.Context(), "", "i1", "k"),
		"reading no tenant":  second(h.s.Used(t.Context(), "", "i1")),
		"deleting a bad key": h.s.Delete(t.Context(), h.tenant, "i1", ""),
	} {
		if err == nil || host.CodeOf(err) == host.CodeInternal {
			t.Errorf("%s gave %v", name, err)
		}
	}
}

func second(_ int64, err error) error { return err }

func testClaim(t *testing.T, h *shelf) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 8 {
		wait.Go(func() {
			ok, err := h.s.Claim(t.Context(), h.tenant, "claims", "k", time.Minute)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if ok {
				won++
			}
		})
	}
	wait.Wait()
	if won != 1 {
		t.Errorf("%d won", won)
	}
	h.now = h.now.Add(2 * time.Minute)
	if ok, err := h.s.Claim(t.Context(), h.tenant, "claims", "k", time.Minute); !ok || err != nil {
		t.Error("a claim that has ended holds", err)
	}
	if err := h.s.Delete(t.Context(), h.tenant, "claims", "k"); err != nil {
		t.Fatal(err)
	}
	if ok, err := h.s.Claim(t.Context(), h.tenant, "claims", "k", time.Minute); !ok || err != nil {
		t.Error("a claim that was given back holds", err)
	}
}
