package audit_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/audit"
	"github.com/callboard-dev/callboard/host/secret"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// update changes one column of a record behind the portal's back.
func update(seq int, set string, value any) store.Work {
	return func(ctx context.Context, q store.Querier) error {
		_, err := q.NewUpdate().Table("audit").Set(set, value).Where("seq = ?", seq).Exec(ctx)
		return err
	}
}

// remove deletes records.
func remove(where string, args ...any) store.Work {
	return func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Table("audit").Where(where, args...).Exec(ctx)
		return err
	}
}

// moveEnd makes the chain seem to end at a record.
func moveEnd(ctx context.Context, q store.Querier, seq int) error {
	var hash []byte
	if err := q.NewSelect().Table("audit").Column("hash").Where("seq = ?", seq).Scan(ctx, &hash); err != nil {
		return err
	}
	_, err := q.NewUpdate().Table("audit_head").Set("seq = ?", seq).Set("hash = ?", hash).Where("id = 1").Exec(ctx)
	return err
}

// chain does one harm after another.
func chain(works ...store.Work) store.Work {
	return func(ctx context.Context, q store.Querier) error {
		for _, w := range works {
			if err := w(ctx, q); err != nil {
				return err
			}
		}
		return nil
	}
}

// harm is what is done to a record, and what Verify then says; empty if nothing
// was harmed.
type harm struct {
	does store.Work
	says string
}

// harms are the ways in which SQL can change a record of six.
func harms() map[string]harm {
	return map[string]harm{
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
}

// Every way in which SQL can change the record is found, and named.
func TestVerify(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, log := t.Context(), newLog(t, db)
		for name, tc := range harms() {
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
				if err := space.Write(ctx, tc.does); err != nil {
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
