package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
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
		t.Run("ManyAtOnceMakeOneChain", func(t *testing.T) {
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() {
					if err := newLog(t, db).Record(ctx, user(b), entry(i)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if err := log.Verify(ctx, b.ID); err != nil {
				t.Error(err)
			}
			if page, err := reader.List(ctx, user(b), "", 0); err != nil || len(page.Items) != 13 {
				t.Errorf("%d items, %v", len(page.Items), err)
			}
		})
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

func TestStage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, log := t.Context(), newLog(t, db)
		a, b := storetest.Tenant(t, db), storetest.Tenant(t, db)
		reader := audit.NewReader(log, authorizer{})
		stage := func(c host.Caller, n int, end error) error {
			return db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
				for i := range n {
					if err := log.Stage(ctx, q, c, entry(i)); err != nil {
						return err
					}
				}
				return end
			})
		}
		count := func(c host.Caller) int {
			page, err := reader.List(ctx, c, "", 0)
			if err != nil {
				t.Fatal(err)
			}
			return len(page.Items)
		}
		undone := errors.New("undone")
		if err := stage(user(a), 1, undone); !errors.Is(err, undone) {
			t.Fatal(err)
		}
		if err := log.Flush(ctx, a.ID); err != nil || count(user(a)) != 0 {
			t.Fatalf("a change that was undone is recorded (%v)", err)
		}
		if err := stage(user(a), 3, nil); err != nil {
			t.Fatal(err)
		}
		if count(user(a)) != 0 {
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
		if n := count(user(a)); n != 3 {
			t.Fatalf("%d records after four flushes at once, want 3", n)
		}
		page, _ := reader.List(ctx, user(a), "", 0)
		if page.Items[2].Resource != "location:0" || page.Items[0].Resource != "location:2" {
			t.Errorf("the order of the changes is lost: %v", page.Items)
		}
		t.Run("FlushAllAfterAKill", func(t *testing.T) {
			if err := errors.Join(stage(user(a), 2, nil), stage(user(b), 1, nil)); err != nil {
				t.Fatal(err)
			}
			gone := storetest.Tenant(t, db)
			if err := stage(user(gone), 1, nil); err != nil {
				t.Fatal(err)
			}
			if err := db.DropTenant(ctx, gone.ID); err != nil {
				t.Fatal(err)
			}
			if err := log.FlushAll(ctx); err != nil {
				t.Fatal(err)
			}
			if count(user(a)) != 5 || count(user(b)) != 1 {
				t.Errorf("%d and %d records, want 5 and 1", count(user(a)), count(user(b)))
			}
			if err := errors.Join(log.Verify(ctx, a.ID), log.Verify(ctx, b.ID), log.FlushAll(ctx)); err != nil {
				t.Error(err)
			}
		})
		t.Run("VerifyTakesWhatIsStaged", func(t *testing.T) {
			c := storetest.Tenant(t, db)
			if err := stage(user(c), 1, nil); err != nil {
				t.Fatal(err)
			}
			if err := log.Verify(ctx, c.ID); err != nil {
				t.Error(err)
			}
		})
		t.Run("ErrNoCaller", func(t *testing.T) {
			if err := stage(host.Caller{}, 1, nil); err == nil {
				t.Error("staged for nobody")
			}
		})
	})
}

// Every way in which SQL can change the record is found, and named.
func TestVerify(t *testing.T) {
	t.Parallel()
	update := func(seq int, set string, value any) store.Work {
		return func(ctx context.Context, q store.Querier) error {
			_, err := q.NewUpdate().Table("audit").Set(set, value).Where("seq = ?", seq).Exec(ctx)
			return err
		}
	}
	remove := func(where string, args ...any) store.Work {
		return func(ctx context.Context, q store.Querier) error {
			_, err := q.NewDelete().Table("audit").Where(where, args...).Exec(ctx)
			return err
		}
	}
	moveEnd := func(ctx context.Context, q store.Querier, seq int) error {
		var hash []byte
		if err := q.NewSelect().Table("audit").Column("hash").Where("seq = ?", seq).Scan(ctx, &hash); err != nil {
			return err
		}
		_, err := q.NewUpdate().Table("audit_head").Set("seq = ?", seq).Set("hash = ?", hash).Where("id = 1").Exec(ctx)
		return err
	}
	chain := func(works ...store.Work) store.Work {
		return func(ctx context.Context, q store.Querier) error {
			for _, w := range works {
				if err := w(ctx, q); err != nil {
					return err
				}
			}
			return nil
		}
	}
	tests := map[string]struct {
		harm store.Work
		says string // empty: nothing was harmed
	}{
		"OK":                   {func(context.Context, store.Querier) error { return nil }, ""},
		"ErrDetailEdited":      {update(3, "detail = ?", `{"target":"x"}`), "record 3"},
		"ErrActorEdited":       {update(1, "actor_id = ?", "u2"), "record 1"},
		"ErrActorNameEdited":   {update(5, "actor_name = ?", "other"), "record 5"},
		"ErrActorKindEdited":   {update(2, "actor_kind = ?", "system"), "record 2"},
		"ErrActionEdited":      {update(2, "action = ?", "x"), "record 2"},
		"ErrResourceEdited":    {update(2, "resource = ?", "x"), "record 2"},
		"ErrTimeEdited":        {update(2, "at = ?", "2020-01-01 00:00:00+00:00"), "record 2"},
		"ErrIDEdited":          {update(2, "id = ?", "x"), "record 2"},
		"ErrHashEdited":        {update(4, "hash = ?", []byte("x")), "record 4"},
		"ErrPrevEdited":        {update(4, "prev = ?", []byte("x")), "record 4"},
		"ErrTextMoved":         {chain(update(2, "action = ?", "catalog.location.writelo"), update(2, "resource = ?", "cation:1")), "record 2"},
		"ErrMiddleRemoved":     {remove("seq = 3"), "record 3"},
		"ErrFirstRemoved":      {remove("seq = 1"), "record 1"},
		"ErrLastRemoved":       {remove("seq = 6"), "record 6"},
		"ErrEndRemoved":        {remove("seq > 2"), "those after 2 are gone"},
		"ErrEndRemovedAndHead": {chain(remove("seq > 2"), func(ctx context.Context, q store.Querier) error { return moveEnd(ctx, q, 2) }), "record 2"},
		"ErrAllRemoved":        {remove("seq > 0"), "record 1"},
		"ErrAllRemovedAndHead": {chain(remove("seq > 0"), func(ctx context.Context, q store.Querier) error {
			_, err := q.NewUpdate().Table("audit_head").Set("seq = 0").Set("hash = ?", []byte{}).Set("seal = ?", []byte{}).Where("id = 1").Exec(ctx)
			return err
		}), "no record at all"},
		"ErrHeadRemoved": {func(ctx context.Context, q store.Querier) error {
			_, err := q.NewDelete().Table("audit_head").Where("id = 1").Exec(ctx)
			return err
		}, "was deleted"},
		"ErrSwapped": {chain(update(2, "seq = ?", 100), update(3, "seq = ?", 2), update(100, "seq = ?", 3)), "record 2"},
		"ErrRenumbered": {chain(remove("seq = 2"), update(3, "seq = ?", 2), update(4, "seq = ?", 3),
			update(5, "seq = ?", 4), update(6, "seq = ?", 5)), "record 2"},
		"ErrAdded": {func(ctx context.Context, q store.Querier) error {
			type forged struct {
				Seq                                                             int64
				ID, At, ActorKind, ActorID, ActorName, Action, Resource, Detail string
				Prev, Hash                                                      []byte
			}
			row := forged{7, "forged", "2026-01-01 00:00:00+00:00", "user", "u1", "n", "a", "r", "{}", []byte("p"), []byte("h")}
			_, err := q.NewInsert().Model(&row).ModelTableExpr("audit").Exec(ctx)
			return err
		}, "record 7"},
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, log := t.Context(), newLog(t, db)
		for name, tc := range tests {
			t.Run(name, func(t *testing.T) {
				a := storetest.Tenant(t, db)
				fill(t, log, user(a), 6)
				space, err := db.Tenant(a.ID)
				if err != nil {
					t.Fatal(err)
				}
				if err := log.Verify(ctx, a.ID); err != nil {
					t.Fatalf("before any harm: %v", err)
				}
				if err := space.Write(ctx, tc.harm); err != nil {
					t.Fatalf("doing harm: %v", err)
				}
				err = log.Verify(ctx, a.ID)
				if tc.says == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), tc.says) || host.AsError(err).Hint == "" {
					t.Fatalf("error = %v, want one that says %q and what to do", err, tc.says)
				}
			})
		}
		t.Run("ErrOtherKey", func(t *testing.T) {
			a := storetest.Tenant(t, db)
			fill(t, log, user(a), 1)
			box, err := secret.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.New(db, box).Verify(ctx, a.ID); host.CodeOf(err) != host.CodeConflict {
				t.Fatalf("error = %v", err)
			}
		})
		t.Run("ErrUnknownTenant", func(t *testing.T) {
			if err := log.Verify(ctx, host.NewTenantID()); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("error = %v", err)
			}
			if err := log.Verify(ctx, "x"); err == nil {
				t.Error("verified what is no tenant")
			}
		})
	})
}

// A chain that is longer than one read is walked to its end.
func TestVerifyLongChain(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	log, a := newLog(t, db), storetest.Tenant(t, db)
	space, err := db.Tenant(a.ID)
	if err != nil {
		t.Fatal(err)
	}
	const n = 1203
	err = space.Write(t.Context(), func(ctx context.Context, _ store.Querier) error {
		for i := range n {
			if err := log.Record(ctx, user(a), entry(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Verify(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	err = space.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		_, err := q.NewUpdate().Table("audit").Set("resource = ?", "x").Where("seq = ?", n-1).Exec(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Verify(t.Context(), a.ID); err == nil || !strings.Contains(err.Error(), fmt.Sprint("record ", n-1)) {
		t.Fatalf("error = %v", err)
	}
}
