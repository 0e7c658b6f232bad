package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// bind sets a quota and lets a book know it.
func bind(t *testing.T, b *Book, source string, quota Quota) {
	t.Helper()
	err := b.db.Control().Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		return b.SetQuota(ctx, q, acme, "acme/board", source, quota)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestCallsPerMinute(t *testing.T) {
	db, now := storetest.SQLite(t), noon()
	b := New(db, Settings{Now: now.Now})
	tab := b.Tab(acme, "acme/board")
	if _, err := tab.Enter(now.Now()); err != nil {
		t.Fatalf("without a quota: %v", err)
	}
	bind(t, b, SetByTenant, Quota{CallsPerMinute: 3})
	now.move(10 * time.Second)
	for range 3 {
		if _, err := tab.Enter(now.Now()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := tab.Enter(now.Now())
	if e := host.AsError(err); e.Code != host.CodeQuota || e.RetryAfter != 51*time.Second {
		t.Fatalf("got %v, again after %s", err, e.RetryAfter)
	}
	t.Run("AnotherHostCountsThem", func(t *testing.T) {
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		other := New(db, Settings{Now: now.Now})
		tab := other.Tab(acme, "acme/board")
		if err := other.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := tab.Enter(now.Now()); host.CodeOf(err) != host.CodeQuota {
			t.Errorf("got %v", err)
		}
		if err := b.Refresh(t.Context()); err != nil || b.Tab(acme, "acme/board").gate.others != 0 {
			t.Errorf("a host counts its own calls as others': %d", b.Tab(acme, "acme/board").gate.others)
		}
	})
	now.move(time.Minute)
	if _, err := tab.Enter(now.Now()); err != nil {
		t.Errorf("in the next minute: %v", err)
	}
	bind(t, b, SetByTenant, Quota{})
	for range 10 {
		if _, err := tab.Enter(now.Now()); err != nil {
			t.Fatalf("after the quota was removed: %v", err)
		}
	}
}

func TestFuelPerDay(t *testing.T) {
	db, now := storetest.SQLite(t), noon()
	b := New(db, Settings{Now: now.Now})
	tab := b.Tab(acme, "acme/board")
	tab.Note(now.Now(), "view/v1", "", Use{Fuel: 400}) // before there was a quota
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	bind(t, b, SetByOperator, Quota{FuelPerDay: 1000})
	left, err := tab.Enter(now.Now())
	if err != nil || left != 600 {
		t.Fatalf("%d is left, %v", left, err)
	}
	tab.Note(now.Now(), "view/v1", host.CodePluginTrap, Use{Fuel: 599})
	if left, err := tab.Enter(now.Now()); err != nil || left != 1 {
		t.Fatalf("%d is left, %v", left, err)
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := tab.Enter(now.Now()); err != nil || left != 1 {
		t.Fatalf("after writing %d is left, %v", left, err)
	}
	tab.Note(now.Now(), "view/v1", "", Use{Fuel: 50})
	_, err = tab.Enter(now.Now())
	if e := host.AsError(err); e.Code != host.CodeQuota || e.RetryAfter != 12*time.Hour+time.Second {
		t.Fatalf("got %v, again after %s", err, e.RetryAfter)
	}
	now.move(12 * time.Hour)
	if left, err := tab.Enter(now.Now()); err != nil || left != 1000 {
		t.Errorf("on the next day %d is left, %v", left, err)
	}
}

func TestQuotasOf(t *testing.T) {
	b := New(storetest.SQLite(t), Settings{Quota: Quota{CallsPerMinute: 100}})
	bind(t, b, SetByTenant, Quota{CallsPerMinute: 500, FuelPerDay: 9})
	bind(t, b, SetByOperator, Quota{FuelPerDay: 7})
	q, err := b.QuotasOf(t.Context(), acme, "acme/board")
	if err != nil || q.Tenant.FuelPerDay != 9 || q.Operator.FuelPerDay != 7 || (q.Effective != Quota{100, 7}) {
		t.Errorf("got %+v, %v", q, err)
	}
	err = b.db.Control().Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		return b.SetQuota(ctx, q, acme, "acme/board", SetByTenant, Quota{FuelPerDay: -1})
	})
	if host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("a negative quota: %v", err)
	}
}

func TestEvidence(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		now := noon()
		b := New(db, Settings{Now: now.Now})
		tab := b.Tab(acme, "acme/board")
		tab.Reached(now.Now(), "http/v1", "https://old.example")
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		now.move(40 * 24 * time.Hour)
		for range 3 {
			tab.Reached(now.Now(), "http/v1", "https://new.example")
			if err := b.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		tab.Reached(now.Now(), "kv/v1", "")
		got, err := b.EvidenceOf(t.Context(), acme, "acme/board", now.Now().Add(-30*24*time.Hour))
		if err != nil || len(got) != 2 || got[0].Target != "https://new.example" || got[0].Uses != 3 || !got[0].LastUsedAt.Equal(now.Now()) || got[1].Service != "kv/v1" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
