package drivertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/guard"
)

var tenancyCases = []testCase{
	{"each namespace sees its own rows", tenancyRows},
	{"unknown tenant is not found", tenancyUnknown},
	{"id with SQL in it is refused", tenancyBadID},
	{"naming another tenant's schema is refused by the database", tenancyOtherSchema},
	{"connection remembers no tenant", tenancyForgets},
	{"dropped tenant is gone and the others stay", tenancyDrop},
}

func tenancyRows(t *testing.T, h Harness) {
	db := h.fresh(t)
	a, b := tenant(t, db), tenant(t, db)
	must(t, db.Control().Write(t.Context(), add("of control")))
	must(t, a.Write(t.Context(), add("of a")))
	must(t, b.Write(t.Context(), add("of b")))
	for want, n := range map[string]namespace{"of control": db.Control(), "of a": a, "of b": b} {
		if got := names(t, n); !slices.Equal(got, []string{want}) {
			t.Errorf("the namespace holds %q, want %q alone", got, want)
		}
	}
}

func tenancyUnknown(t *testing.T, h Harness) {
	db := h.fresh(t)
	tn := handle(t, db, host.NewTenantID())
	err := tn.Read(t.Context(), func(context.Context, store.Querier) error { return nil })
	wantCode(t, err, host.CodeNotFound)
	wantCode(t, tn.Write(t.Context(), add("x")), host.CodeNotFound)
	must(t, db.DropTenant(t.Context(), tn.ID()))
	if host.AsError(err).Hint == "" {
		t.Error("the error has no hint")
	}
}

func tenancyBadID(t *testing.T, h Harness) {
	db := h.fresh(t)
	for _, id := range []host.TenantID{
		"", "control", "callboard", "public", "../control", `t"; DROP SCHEMA callboard CASCADE; --`,
		"taaaaaaaaaaaaaaa; reset role", "TAAAAAAAAAAAAAAAA", "taaaaaaaaaaaaaaaa\n", "taaaaaaaaaaaaaaa/",
	} {
		if _, err := db.Tenant(id); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("Tenant(%q) gave %v, want code %q", id, err, host.CodeInvalid)
		}
		wantCode(t, db.CreateTenant(t.Context(), id), host.CodeInvalid)
		wantCode(t, db.DropTenant(t.Context(), id), host.CodeInvalid)
	}
}

// tenancyOtherSchema names another namespace in statements that the guard lets
// through: it is the database that must refuse them.
func tenancyOtherSchema(t *testing.T, h Harness) {
	db := h.fresh(t)
	a, b := tenant(t, db), tenant(t, db)
	must(t, b.Write(t.Context(), add("secret of b")))
	must(t, db.Control().Write(t.Context(), add("secret of control")))
	for _, schema := range []string{string(b.ID()), "callboard", "control"} {
		table := bun.Ident(schema + ".notes")
		for name, work := range map[string]store.Work{
			"select": func(ctx context.Context, q store.Querier) error {
				return q.NewSelect().TableExpr("?", table).ColumnExpr("count(*)").Scan(ctx, new(int))
			},
			"insert": func(ctx context.Context, q store.Querier) error {
				_, err := q.NewInsert().Model(&note{Name: "x"}).ModelTableExpr("?", table).Exec(ctx)
				return err
			},
			"update": func(ctx context.Context, q store.Querier) error {
				_, err := q.NewUpdate().TableExpr("?", table).Set("name = 'x'").Where("1 = 1").Exec(ctx)
				return err
			},
			"delete": func(ctx context.Context, q store.Querier) error {
				_, err := q.NewDelete().TableExpr("?", table).Where("1 = 1").Exec(ctx)
				return err
			},
		} {
			err := a.Write(t.Context(), work)
			if err == nil || errors.Is(err, guard.ErrRefused) {
				t.Errorf("%s on %s.notes gave %v, want a refusal of the database", name, schema, err)
			}
		}
	}
	if got := names(t, b); !slices.Equal(got, []string{"secret of b"}) {
		t.Errorf("b holds %q after the attacks", got)
	}
}

// tenancyForgets goes through more tenants than there are connections.
func tenancyForgets(t *testing.T, h Harness) {
	db := h.fresh(t)
	var all []*store.Tenant
	for range 4 {
		all = append(all, tenant(t, db))
	}
	boom := errors.New("boom")
	for round := range 12 {
		tn := all[round%len(all)]
		must(t, tn.Write(t.Context(), add(string(tn.ID())+strings.Repeat("+", round))))
		err := tn.Write(t.Context(), func(context.Context, store.Querier) error { return boom })
		if !errors.Is(err, boom) {
			t.Fatalf("got %v, want the error of the work", err)
		}
		_ = tn.Read(t.Context(), func(ctx context.Context, q store.Querier) error {
			return q.NewSelect().TableExpr("no_such_table").Scan(ctx) // breaks the transaction
		})
		if len(names(t, db.Control())) != 0 {
			t.Fatal("a tenant's note is in the control namespace")
		}
	}
	for _, tn := range all {
		for _, name := range names(t, tn) {
			if !strings.HasPrefix(name, string(tn.ID())) {
				t.Errorf("tenant %s holds %q", tn.ID(), name)
			}
		}
	}
}

func tenancyDrop(t *testing.T, h Harness) {
	db := h.fresh(t)
	a, b := tenant(t, db), tenant(t, db)
	must(t, a.Write(t.Context(), add("old")))
	must(t, b.Write(t.Context(), add("kept")))
	must(t, db.DropTenant(t.Context(), a.ID()))
	must(t, db.DropTenant(t.Context(), a.ID()))
	wantCode(t, a.Read(t.Context(), func(context.Context, store.Querier) error { return nil }), host.CodeNotFound)
	if ids, err := db.Tenants(t.Context()); err != nil || !slices.Equal(ids, []host.TenantID{b.ID()}) {
		t.Errorf("Tenants returned %v, %v; want %s alone", ids, err, b.ID())
	}
	must(t, db.CreateTenant(t.Context(), a.ID()))
	if got := names(t, a); len(got) != 0 {
		t.Errorf("the tenant that was made anew holds %q", got)
	}
	if got := names(t, b); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("the other tenant holds %q", got)
	}
}
