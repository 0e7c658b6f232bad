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

func TestStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		tenant := storetest.Tenant(t, db).ID
		now := time.Unix(1_800_000_000, 0)
		s := kv.New(db, kv.Settings{Now: func() time.Time { return now }})
		set := func(t *testing.T, instance, key, value string, ttl time.Duration) {
			t.Helper()
			if err := s.Set(t.Context(), tenant, instance, key, []byte(value), ttl, quota); err != nil {
				t.Fatalf("setting %s: %v", key, err)
			}
		}
		get := func(t *testing.T, instance, key string) (string, bool) {
			t.Helper()
			v, ok, err := s.Get(t.Context(), tenant, instance, key)
			if err != nil {
				t.Fatalf("getting %s: %v", key, err)
			}
			return string(v), ok
		}
		t.Run("SetAndReplace", func(t *testing.T) {
			set(t, "i1", "k", "one", 0)
			set(t, "i1", "k", "two", 0)
			if v, ok := get(t, "i1", "k"); !ok || v != "two" {
				t.Errorf("got %q, %v", v, ok)
			}
			if n, err := s.Used(t.Context(), tenant, "i1"); err != nil || n != 4 {
				t.Errorf("%d bytes are used, %v", n, err)
			}
		})
		t.Run("Bytes", func(t *testing.T) {
			want := []byte{0, 1, 0x80, 0xff, '\'', '\\', '?'}
			if err := s.Set(t.Context(), tenant, "i1", `k'"\?%_`, want, 0, quota); err != nil {
				t.Fatal(err)
			}
			if v, _ := get(t, "i1", `k'"\?%_`); !bytes.Equal([]byte(v), want) {
				t.Errorf("got %x", v)
			}
			set(t, "i1", "empty", "", 0)
			if v, ok := get(t, "i1", "empty"); !ok || v != "" {
				t.Errorf("an empty value came back as %q, %v", v, ok)
			}
		})
		t.Run("InstancesAreApart", func(t *testing.T) {
			set(t, "i2", "k", "theirs", 0)
			if v, _ := get(t, "i1", "k"); v != "two" {
				t.Errorf("got %q", v)
			}
		})
		t.Run("TimeToLive", func(t *testing.T) {
			set(t, "i3", "short", "x", time.Minute)
			now = now.Add(59 * time.Second)
			if _, ok := get(t, "i3", "short"); !ok {
				t.Error("it is gone too early")
			}
			now = now.Add(time.Second)
			if _, ok := get(t, "i3", "short"); ok {
				t.Error("it is still there")
			}
			if keys, _, err := s.List(t.Context(), tenant, "i3", "", "", 10); err != nil || len(keys) != 0 {
				t.Errorf("it is listed: %v, %v", keys, err)
			}
		})
		t.Run("Quota", func(t *testing.T) {
			set(t, "i4", "a", string(make([]byte, 900)), time.Minute)
			err := s.Set(t.Context(), tenant, "i4", "b", make([]byte, 100), 0, quota)
			if host.CodeOf(err) != host.CodeLimit {
				t.Errorf("got %v", err)
			}
			if _, ok := get(t, "i4", "b"); ok {
				t.Error("it was stored all the same")
			}
			set(t, "i4", "a", string(make([]byte, 950)), time.Minute) // replaces, so it fits
			now = now.Add(time.Hour)
			set(t, "i4", "b", string(make([]byte, 900)), 0) // what has expired makes room
		})
		t.Run("ListInByteOrderByPages", func(t *testing.T) {
			want := []string{"p/A", "p/Z", "p/_", "p/a", "p/b", "p/é"}
			for _, k := range []string{"p/é", "p/b", "q", "p/Z", "p/_", "p/a", "p/A", "p"} {
				set(t, "i5", k, "", 0)
			}
			var got []string
			after := ""
			for range 10 {
				keys, next, err := s.List(t.Context(), tenant, "i5", "p/", after, 2)
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
		})
		t.Run("Delete", func(t *testing.T) {
			for range 2 {
				if err := s.Delete(t.Context(), tenant, "i1", "k"); err != nil {
					t.Fatal(err)
				}
			}
			if _, ok := get(t, "i1", "k"); ok {
				t.Error("it is still there")
			}
		})
		t.Run("Drop", func(t *testing.T) {
			if err := s.Drop(t.Context(), tenant, "i5"); err != nil {
				t.Fatal(err)
			}
			if n, err := s.Used(t.Context(), tenant, "i5"); err != nil || n != 0 {
				t.Errorf("%d bytes are used, %v", n, err)
			}
			if _, ok := get(t, "i2", "k"); !ok {
				t.Error("another instance lost its data")
			}
		})
		t.Run("QuotaHoldsForSeveralAtOnce", func(t *testing.T) {
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					err := s.Set(t.Context(), tenant, "i6", fmt.Sprint(i), make([]byte, 299), 0, quota)
					if err != nil && host.CodeOf(err) != host.CodeLimit {
						t.Error(err)
					}
				}()
			}
			wg.Wait()
			if n, err := s.Used(t.Context(), tenant, "i6"); err != nil || n != 900 {
				t.Errorf("%d bytes are used, %v", n, err)
			}
		})
		t.Run("Refused", func(t *testing.T) {
			for name, err := range map[string]error{
				"an empty key":       s.Set(t.Context(), tenant, "i1", "", nil, 0, quota),
				"a control":          s.Set(t.Context(), tenant, "i1", "a\x00b", nil, 0, quota),
				"a large value":      s.Set(t.Context(), tenant, "i1", "k", make([]byte, 2<<20), 0, 1<<30),
				"a negative time":    s.Set(t.Context(), tenant, "i1", "k", nil, -1, quota),
				"an unknown tenant":  s.Delete(t.Context(), host.NewTenantID(), "i1", "k"),
				"no tenant":          s.Delete(t.Context(), "", "i1", "k"),
				"reading no tenant":  second(s.Used(t.Context(), "", "i1")),
				"deleting a bad key": s.Delete(t.Context(), tenant, "i1", ""),
			} {
				if err == nil || host.CodeOf(err) == host.CodeInternal {
					t.Errorf("%s gave %v", name, err)
				}
			}
		})
	})
}

func second(_ int64, err error) error { return err }
