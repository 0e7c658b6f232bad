package drivertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

var togetherCases = []testCase{
	{"writers that read first lose nothing", togetherCount},
	{"two stores on one database lose nothing", togetherTwoStores},
	{"reader does not wait for a writer", togetherReader},
	{"tenants do not wait for each other", togetherTenants},
	{"waiting writer gives up with its context", togetherGiveUp},
	{"nested transactions under load do not block", togetherNested},
	{"tenants come and go meanwhile", togetherComeAndGo},
}

// increment returns a Work that reads a table's count and writes the next.
func increment(table string) store.Work {
	return func(ctx context.Context, q store.Querier) error {
		var n int64
		if err := q.NewSelect().Table(table).Column("count").Scan(ctx, &n); err != nil {
			return err
		}
		_, err := q.NewUpdate().Table(table).Set("count = ?", n+1).Where("1 = 1").Exec(ctx)
		return err
	}
}

// counted returns what increment counted to.
func counted(t testing.TB, n namespace, table string) (sum int64) {
	t.Helper()
	must(t, n.Read(t.Context(), func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Table(table).ColumnExpr("sum(count)").Scan(ctx, &sum)
	}))
	return sum
}

// count returns how many rows a table has.
func count(t testing.TB, n namespace, table string) (rows int) {
	t.Helper()
	must(t, n.Read(t.Context(), func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().TableExpr("?", bun.Ident(table)).ColumnExpr("count(*)").Scan(ctx, &rows)
	}))
	return rows
}

// together runs n copies of f, each given its number, and waits for them.
func together(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if err := f(i); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func togetherCount(t *testing.T, h Harness) {
	db := h.fresh(t)
	for _, n := range []namespace{tenant(t, db), db.Control()} {
		must(t, n.Write(t.Context(), add("counter")))
		together(t, 40, func(int) error { return n.Write(t.Context(), increment("notes")) })
		if got := counted(t, n, "notes"); got != 40 {
			t.Errorf("40 writers counted to %d", got)
		}
	}
}

func togetherTwoStores(t *testing.T, h Harness) {
	place := h.Place(t)
	s := store.Settings{Migrations: standard(t)}
	stores := []*store.DB{h.openAt(t, place, s), h.openAt(t, place, s)}
	together(t, 2, func(i int) error { return stores[i].Migrate(t.Context(), nil) })
	tn := tenant(t, stores[0])
	must(t, tn.Write(t.Context(), add("counter")))
	together(t, 20, func(i int) error {
		return handle(t, stores[i%2], tn.ID()).Write(t.Context(), increment("notes"))
	})
	if got := counted(t, tn, "notes"); got != 20 {
		t.Errorf("20 writers counted to %d", got)
	}
}

// within runs f with a deadline, as one that waits for ever must fail.
func within(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	must(t, f(ctx))
}

func togetherReader(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	must(t, tn.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		must(t, add("unseen")(ctx, q))
		within(t, func(ctx context.Context) error {
			return tn.Read(ctx, func(ctx context.Context, q store.Querier) error {
				if n, err := q.NewSelect().Model((*note)(nil)).Count(ctx); n != 0 || err != nil {
					t.Errorf("a reader beside the writer counted %d, %v", n, err)
				}
				return nil
			})
		})
		return nil
	}))
}

func togetherTenants(t *testing.T, h Harness) {
	db := h.fresh(t)
	a, b := tenant(t, db), tenant(t, db)
	must(t, a.Write(t.Context(), func(context.Context, store.Querier) error {
		within(t, func(ctx context.Context) error { return b.Write(ctx, add("meanwhile")) })
		within(t, func(ctx context.Context) error { return db.Control().Write(ctx, add("meanwhile")) })
		return nil
	}))
}

func togetherGiveUp(t *testing.T, h Harness) {
	place := h.Place(t)
	s := store.Settings{Migrations: standard(t)}
	db, other := h.openAt(t, place, s), h.openAt(t, place, s)
	must(t, db.Migrate(t.Context(), nil))
	tn := tenant(t, db)
	must(t, tn.Write(t.Context(), func(context.Context, store.Querier) error {
		for _, waiting := range []*store.Tenant{tn, handle(t, other, tn.ID())} {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := waiting.Write(ctx, add("late")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want context.DeadlineExceeded", err)
			}
		}
		return nil
	}))
	must(t, tn.Write(t.Context(), add("in time")))
	must(t, handle(t, other, tn.ID()).Write(t.Context(), add("in time, too")))
}

func togetherNested(t *testing.T, h Harness) {
	db := h.fresh(t)
	var tenants []*store.Tenant
	for range 3 {
		tenants = append(tenants, tenant(t, db))
	}
	within(t, func(ctx context.Context) error {
		together(t, 60, func(i int) error {
			tn := tenants[i%len(tenants)]
			if i%2 == 0 {
				return tn.Write(ctx, func(ctx context.Context, q store.Querier) error {
					return errors.Join(add(host.NewID("n"))(ctx, q), db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
						return q.NewSelect().Table("notes").ColumnExpr("count(*)").Scan(ctx, new(int))
					}))
				})
			}
			return db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
				return errors.Join(add(host.NewID("n"))(ctx, q), tn.Write(ctx, add(host.NewID("n"))))
			})
		})
		return ctx.Err()
	})
	if n := len(names(t, db.Control())); n != 30 {
		t.Errorf("the control namespace holds %d notes, want 30", n)
	}
}

func togetherComeAndGo(t *testing.T, h Harness) {
	db := h.fresh(t)
	within(t, func(ctx context.Context) error {
		together(t, 6, func(int) error {
			id := host.NewTenantID()
			if err := db.CreateTenant(ctx, id); err != nil {
				return err
			}
			tn, err := db.Tenant(id)
			if err != nil {
				return err
			}
			return errors.Join(tn.Write(ctx, add("a")), db.DropTenant(ctx, id))
		})
		together(t, 2, func(int) error { return db.Migrate(ctx, nil) })
		return nil
	})
	if ids, err := db.Tenants(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("Tenants returned %v, %v", ids, err)
	}
}
