package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/audit"
	"github.com/callboard-dev/callboard/host/secret"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

func newLog(t *testing.T, db *store.DB) *audit.Log {
	t.Helper()
	box, err := secret.New(bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return audit.New(db, box)
}

func user(t host.Tenant) host.Caller {
	return host.NewCaller(t, host.Principal{Kind: host.KindUser, ID: "u1", Name: "guest@example.com", Role: host.RoleAdmin})
}

func entry(i int) host.AuditEntry {
	return host.AuditEntry{Action: host.ActionLocationWrite, Resource: fmt.Sprint("location:", i),
		Detail: map[string]string{"target": fmt.Sprintf("https://example.com/%d?a=<b>&c=é", i)}}
}

func fill(t *testing.T, log *audit.Log, c host.Caller, n int) {
	t.Helper()
	for i := range n {
		if err := log.Record(t.Context(), c, entry(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// authorizer answers with its error.
type authorizer struct{ err error }

func (a authorizer) Authorize(_ context.Context, _ host.Caller, action host.Action, _ string) error {
	if action != host.ActionAuditRead {
		return fmt.Errorf("asked for %s", action)
	}
	return a.err
}

func TestRecordAndList(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, log := t.Context(), newLog(t, db)
		a, b := storetest.Tenant(t, db), storetest.Tenant(t, db)
		fill(t, log, user(a), 7)
		fill(t, log, user(b), 1)
		reader := audit.NewReader(log, authorizer{})
		t.Run("PagesFromTheNewest", func(t *testing.T) {
			var seen []audit.Record
			cursor := ""
			for pages := 0; ; pages++ {
				page, err := reader.List(ctx, user(a), cursor, 3)
				if err != nil {
					t.Fatal(err)
				}
				if seen = append(seen, page.Items...); page.Next == "" {
					break
				}
				if cursor = page.Next; pages > 3 {
					t.Fatal("the pages do not end")
				}
			}
			if len(seen) != 7 {
				t.Fatalf("%d records, want 7", len(seen))
			}
			for i, r := range seen {
				want := entry(6 - i)
				if r.Seq != int64(7-i) || r.Resource != want.Resource || r.Action != want.Action || !maps.Equal(r.Detail, want.Detail) ||
					r.Kind != host.KindUser || r.Actor != "u1" || r.Name != "guest@example.com" || r.At.IsZero() || r.At.Location().String() != "UTC" {
					t.Errorf("record %d = %+v, want %+v", i, r, want)
				}
			}
		})
		t.Run("LimitIsBounded", func(t *testing.T) {
			for _, limit := range []int{0, -5, 100_000} {
				page, err := reader.List(ctx, user(a), "", limit)
				if err != nil || len(page.Items) != 7 || page.Next != "" {
					t.Errorf("limit %d: %d items, next %q, %v", limit, len(page.Items), page.Next, err)
				}
			}
			if page, err := reader.List(ctx, user(a), "", 7); err != nil || page.Next != "" {
				t.Errorf("a page that is just full has a next one: %q, %v", page.Next, err)
			}
		})
		t.Run("TenantsAreApart", func(t *testing.T) {
			page, err := reader.List(ctx, user(b), "", 0)
			if err != nil || len(page.Items) != 1 {
				t.Fatalf("%d items, %v", len(page.Items), err)
			}
		})
		for _, cursor := range []string{"x", "0", "-1", "1; DROP TABLE audit", "99999999999999999999"} {
			t.Run("ErrCursor", func(t *testing.T) {
				if _, err := reader.List(ctx, user(a), cursor, 0); host.CodeOf(err) != host.CodeInvalid {
					t.Errorf("cursor %q: %v", cursor, err)
				}
			})
		}
	})
}

func TestRecordRefuses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, log := t.Context(), newLog(t, db)
		a := storetest.Tenant(t, db)
		reader := audit.NewReader(log, authorizer{})
		t.Run("ErrForbidden", func(t *testing.T) {
			no := host.Errorf(host.CodeForbidden, "no")
			if _, err := audit.NewReader(log, authorizer{no}).List(ctx, user(a), "", 0); !errors.Is(err, no) {
				t.Errorf("error = %v", err)
			}
		})
		t.Run("ErrNoCaller", func(t *testing.T) {
			if err := log.Record(ctx, host.Caller{}, entry(1)); err == nil {
				t.Error("recorded for nobody")
			}
		})
		t.Run("ErrUnknownTenant", func(t *testing.T) {
			nobody := host.Tenant{ID: host.NewTenantID()}
			if err := log.Record(ctx, user(nobody), entry(1)); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("Record: %v", err)
			}
			if _, err := reader.List(ctx, user(nobody), "", 0); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("List: %v", err)
			}
		})
	})
}

// Writers at once, as in several processes, make one chain.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, log := t.Context(), newLog(t, db)
		a := storetest.Tenant(t, db)
		reader := audit.NewReader(log, authorizer{})
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				if err := newLog(t, db).Record(ctx, user(a), entry(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := log.Verify(ctx, a.ID); err != nil {
			t.Error(err)
		}
		if page, err := reader.List(ctx, user(a), "", 0); err != nil || len(page.Items) != 12 {
			t.Errorf("%d items, %v", len(page.Items), err)
		}
	})
}

// A record that is written within a tenant's transaction shares its fate.
func TestRecordJoinsTheTransaction(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		log, a := newLog(t, db), storetest.Tenant(t, db)
		fill(t, log, user(a), 1)
		space, err := db.Tenant(a.ID)
		if err != nil {
			t.Fatal(err)
		}
		undone := errors.New("undone")
		err = space.Write(t.Context(), func(ctx context.Context, _ store.Querier) error {
			if err := log.Record(ctx, user(a), entry(1)); err != nil {
				t.Error(err)
			}
			return undone
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		page, err := audit.NewReader(log, authorizer{}).List(t.Context(), user(a), "", 0)
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("%d records, %v; want the first alone", len(page.Items), err)
		}
		if err := log.Verify(t.Context(), a.ID); err != nil {
			t.Error(err)
		}
	})
}

// stage stages n records for c in one transaction that ends with end.
func stage(t *testing.T, db *store.DB, c host.Caller, n int, end error) error {
	t.Helper()
	log := newLog(t, db)
	return db.Control().Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		for i := range n {
			if err := log.Stage(ctx, q, c, entry(i)); err != nil {
				return err
			}
		}
		return end
	})
}

// count returns how many records the chain of c's tenant has.
func count(t *testing.T, db *store.DB, c host.Caller) int {
	t.Helper()
	page, err := audit.NewReader(newLog(t, db), authorizer{}).List(t.Context(), c, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Items)
}

func TestStage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, log, a := t.Context(), newLog(t, db), storetest.Tenant(t, db)
		undone := errors.New("undone")
		if err := stage(t, db, user(a), 1, undone); !errors.Is(err, undone) {
			t.Fatal(err)
		}
		if err := log.Flush(ctx, a.ID); err != nil || count(t, db, user(a)) != 0 {
			t.Fatalf("a change that was undone is recorded (%v)", err)
		}
		if err := stage(t, db, user(a), 3, nil); err != nil {
			t.Fatal(err)
		}
		if count(t, db, user(a)) != 0 {
			t.Fatal("staged records are in the chain already")
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := newLog(t, db).Flush(ctx, a.ID); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		page, err := audit.NewReader(log, authorizer{}).List(ctx, user(a), "", 0)
		if err != nil || len(page.Items) != 3 {
			t.Fatalf("%d records after four flushes at once, want 3 (%v)", len(page.Items), err)
		}
		if page.Items[2].Resource != "location:0" || page.Items[0].Resource != "location:2" {
			t.Errorf("the order of the changes is lost: %v", page.Items)
		}
		if err := stage(t, db, host.Caller{}, 1, nil); err == nil {
			t.Error("staged for nobody")
		}
	})
}

// What a killed process left staged is moved by the next start.
func TestFlushAll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, log := t.Context(), newLog(t, db)
		a, b, gone := storetest.Tenant(t, db), storetest.Tenant(t, db), storetest.Tenant(t, db)
		if err := errors.Join(stage(t, db, user(a), 2, nil), stage(t, db, user(b), 1, nil), stage(t, db, user(gone), 1, nil)); err != nil {
			t.Fatal(err)
		}
		if err := db.DropTenant(ctx, gone.ID); err != nil {
			t.Fatal(err)
		}
		if err := log.FlushAll(ctx); err != nil {
			t.Fatal(err)
		}
		if count(t, db, user(a)) != 2 || count(t, db, user(b)) != 1 {
			t.Errorf("%d and %d records, want 2 and 1", count(t, db, user(a)), count(t, db, user(b)))
		}
		if err := errors.Join(log.Verify(ctx, a.ID), log.Verify(ctx, b.ID), log.FlushAll(ctx)); err != nil {
			t.Error(err)
		}
		t.Run("VerifyTakesWhatIsStaged", func(t *testing.T) {
			c := storetest.Tenant(t, db)
			if err := stage(t, db, user(c), 1, nil); err != nil {
				t.Fatal(err)
			}
			if err := log.Verify(ctx, c.ID); err != nil {
				t.Error(err)
			}
		})
	})
}
