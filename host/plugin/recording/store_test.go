package recording

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// box seals by putting tenant and name in front.
type box struct{}

func (box) Seal(t host.TenantID, name string, plain []byte) ([]byte, error) {
	return []byte(string(t) + "|" + name + "|" + string(plain)), nil
}

func (box) Open(t host.TenantID, name string, sealed []byte) ([]byte, error) {
	plain, ok := strings.CutPrefix(string(sealed), string(t)+"|"+name+"|")
	if !ok {
		return nil, errors.New("sealed for somebody else")
	}
	return []byte(plain), nil
}

func TestStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := NewStore(db, box{})
		acme, globex := storetest.Tenant(t, db).ID, storetest.Tenant(t, db).ID
		rule := DefaultRule()
		rule.Most = 3
		var ids []string
		for i := range 5 {
			r := record(t, curious, work(fmt.Sprint(i)))
			r.Version, r.Digest, r.At = "1.0.0", "sha256:1", time.Now().UTC().Add(time.Duration(i-10)*time.Second).Truncate(time.Microsecond)
			id, err := s.Save(t.Context(), acme, "one", r, rule)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		t.Run("TheNewestAreKept", func(t *testing.T) {
			list, err := s.List(t.Context(), acme, "one", "", 0)
			if err != nil || len(list) != 3 || list[0].ID != ids[4] || list[2].ID != ids[2] {
				t.Fatalf("got %+v, %v", list, err)
			}
			if e := list[0]; e.Capability != "route/v1" || e.Digest != "sha256:1" || e.Fuel == 0 || e.Bytes == 0 || e.Failed {
				t.Errorf("got %+v", e)
			}
			if other, err := s.List(t.Context(), acme, "one", "sha256:2", 0); err != nil || len(other) != 0 {
				t.Errorf("of another release: %v, %v", other, err)
			}
		})
		t.Run("WhatWasSavedReplays", func(t *testing.T) {
			r, err := s.Get(t.Context(), acme, "one", ids[4])
			if err != nil {
				t.Fatal(err)
			}
			if err := Verify(t.Context(), guest(curious), r); err != nil {
				t.Error(err)
			}
		})
		t.Run("OthersSeeNothing", func(t *testing.T) {
			for name, f := range map[string]func() error{
				"another tenant":            func() error { _, err := s.Get(t.Context(), globex, "one", ids[4]); return err },
				"another instance":          func() error { _, err := s.Get(t.Context(), acme, "two", ids[4]); return err },
				"another tenant deletes":    func() error { return s.Delete(t.Context(), globex, "one", ids[4]) },
				"another instance deletes":  func() error { return s.Delete(t.Context(), acme, "two", ids[4]) },
				"one that was not recorded": func() error { _, err := s.Get(t.Context(), acme, "one", "rec_none"); return err },
			} {
				if err := f(); host.CodeOf(err) != host.CodeNotFound {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
		t.Run("ARuleCutsWhatIsThere", func(t *testing.T) { cutsByRule(t, s, acme) })
		t.Run("OldOnesGo", func(t *testing.T) {
			r := record(t, curious, work(`1`))
			r.At = time.Now().UTC().Add(-2 * time.Hour)
			if _, err := s.Save(t.Context(), acme, "three", r, Rule{Keep: time.Hour, Most: 10}); err != nil {
				t.Fatal(err)
			}
			if list, err := s.List(t.Context(), acme, "three", "", 0); err != nil || len(list) != 0 {
				t.Errorf("got %v, %v", list, err)
			}
		})
		t.Run("DropTakesAll", func(t *testing.T) {
			if err := s.Drop(t.Context(), acme, "one"); err != nil {
				t.Fatal(err)
			}
			list, err := s.List(t.Context(), acme, "one", "", 0)
			_, own, ruleErr := s.Rule(t.Context(), acme, "one")
			if err != nil || ruleErr != nil || len(list) != 0 || own {
				t.Errorf("left: %v, own rule %v (%v, %v)", list, own, err, ruleErr)
			}
		})
	})
}

// cutsByRule sets the rule of an instance that has recordings.
func cutsByRule(t *testing.T, s *Store, acme host.TenantID) {
	if got, own, err := s.Rule(t.Context(), acme, "one"); err != nil || own || got != DefaultRule() {
		t.Errorf("got %+v, %v, %v", got, own, err)
	}
	want := Rule{Sample: 0.25, Keep: time.Hour, Most: 1}
	if err := s.SetRule(t.Context(), acme, "one", want); err != nil {
		t.Fatal(err)
	}
	if got, own, err := s.Rule(t.Context(), acme, "one"); err != nil || !own || got != want {
		t.Errorf("got %+v, %v, %v", got, own, err)
	}
	if list, err := s.List(t.Context(), acme, "one", "", 0); err != nil || len(list) != 1 {
		t.Errorf("got %v, %v", list, err)
	}
	for _, bad := range []Rule{{Sample: 2, Keep: time.Hour, Most: 1}, {Sample: -1, Keep: time.Hour, Most: 1}, {Keep: time.Second, Most: 1}, {Keep: time.Hour}, {Keep: 1e6 * time.Hour, Most: 1}} {
		if err := s.SetRule(t.Context(), acme, "one", bad); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
