package index

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/filter"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

var ctx = context.Background()

// fill gives a tenant n entities with ids that leave gaps; every third is of
// kind "a", the others of "b"; titles go down.
func fill(t *testing.T, db *store.DB, n int) (host.TenantID, *store.Tenant) {
	t.Helper()
	id := storetest.Tenant(t, db).ID
	tenant, err := db.Tenant(id)
	if err != nil {
		t.Fatal(err)
	}
	err = tenant.Write(ctx, func(ctx context.Context, q store.Querier) error {
		for i := range n {
			row := map[string]any{"id": 10 + 7*i, "ref": fmt.Sprintf("r%03d", i), "uid": fmt.Sprint(i), "title": fmt.Sprintf("T%03d", n-i), "words": fmt.Sprintf("word%d all", i),
				"orphan": false, "revision": 0, "updated_at": time.Unix(int64(1e9-i), 0).UTC()}
			for _, col := range strings.Fields("kind namespace name type owner lifecycle description extras doc etag hash location_id source") {
				row[col] = ""
			}
			if _, err := q.NewInsert().Model(&row).TableExpr("entities").Exec(ctx); err != nil {
				return err
			}
			facet := map[string]any{"key": "kind", "value": string("abb"[i%3]), "entity_id": 10 + 7*i, "original": strings.ToUpper(string("abb"[i%3]))}
			if _, err := q.NewInsert().Model(&facet).TableExpr("facets").Exec(ctx); err != nil {
				return err
			}
			if q.Dialect() == store.SQLite {
				words := map[string]any{"rowid": 10 + 7*i, "words": row["words"]}
				if _, err := q.NewInsert().Model(&words).TableExpr("entities_fts").Exec(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return id, tenant
}

// within calls f with the view of a read.
func within(t *testing.T, c *Cache, id host.TenantID, tenant *store.Tenant, f func(ctx context.Context, v *View)) {
	t.Helper()
	err := tenant.Read(ctx, func(ctx context.Context, q store.Querier) error {
		v, err := c.At(ctx, q, id)
		if err != nil {
			return err
		}
		f(ctx, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestView(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		id, tenant := fill(t, db, 100)
		c := New(1 << 20)
		within(t, c, id, tenant, func(ctx context.Context, v *View) {
			count := func(must, anyOf []filter.Set, words ...string) int {
				t.Helper()
				set, err := v.Match(ctx, must, anyOf, words)
				if err != nil {
					t.Fatal(err)
				}
				return set.Count()
			}
			for name, c := range map[string]struct{ got, want int }{
				"all": {count(nil, nil), 100}, "kind a": {count([]filter.Set{{"kind": {"a"}}}, nil), 34}, "exists": {count([]filter.Set{{"kind": nil}}, nil), 100},
				"any": {count(nil, []filter.Set{{"kind": {"a"}}, {"kind": {"b"}}}), 100}, "none": {count([]filter.Set{{"x": nil}}, nil), 0},
				"text": {count(nil, nil, "word1"), 11}, "texts": {count([]filter.Set{{"kind": {"a"}}}, nil, "word1", "all"), 3},
			} {
				if c.got != c.want {
					t.Errorf("%s: %d, want %d", name, c.got, c.want)
				}
			}
			set, _ := v.Match(ctx, nil, nil, nil)
			pages(ctx, t, v, set)
			got := map[string]int{}
			if err := v.Counts(ctx, set, "kind", func(value string, n int) { got[value] = n }); err != nil || got["A"] != 34 || got["B"] != 66 {
				t.Errorf("%v, %v", got, err)
			}
		})
		t.Run("MemoryAloneKnowsWhatWasAsked", func(t *testing.T) {
			v := c.Known(id, 0)
			if v == nil || c.Known(id, 1) != nil {
				t.Fatal("wrong revision")
			}
			if set, err := v.Match(ctx, []filter.Set{{"kind": {"a"}}}, nil, nil); err != nil || set.Count() != 34 {
				t.Errorf("%v", err)
			}
			if _, err := v.Match(ctx, []filter.Set{{"kind": {"new"}}}, nil, nil); !errors.Is(err, ErrNotKept) {
				t.Errorf("%v", err)
			}
		})
		t.Run("NewRevisionReadsAgain", func(t *testing.T) {
			err := tenant.Write(ctx, func(ctx context.Context, q store.Querier) error {
				if _, err := q.NewDelete().TableExpr("entities").Where("ref = 'r000'").Exec(ctx); err != nil {
					return err
				}
				_, err := q.NewUpdate().TableExpr("catalog_state").Set("revision = 5").Where("id = 1").Exec(ctx)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			within(t, c, id, tenant, func(ctx context.Context, v *View) {
				if set, err := v.Match(ctx, []filter.Set{{"kind": {"a"}}}, nil, nil); err != nil || set.Count() != 33 {
					t.Errorf("%v", err)
				}
			})
			if c.Known(id, 0) != nil || c.Known(id, 5) == nil {
				t.Error("the old revision is kept")
			}
		})
	})
}

// pages walks through every order and must meet each entity once.
func pages(ctx context.Context, t *testing.T, v *View, set Bits) {
	t.Helper()
	for o, first := range map[Order]string{{Column: "title"}: "r099", {Column: "title", Desc: true}: "r000", {Column: UpdatedAt}: "r099", {Facet: "kind"}: "r000", {Facet: "kind", Desc: true}: "r001", {Facet: "none"}: "r000"} {
		seen := map[string]bool{}
		var after *Mark
		for {
			items, last, err := v.Page(ctx, set, o, after, 7)
			if err != nil {
				t.Fatal(err)
			}
			if len(seen) == 0 && items[0].Ref != first {
				t.Errorf("%+v begins with %s", o, items[0].Ref)
			}
			for _, item := range items {
				seen[item.Ref] = true
			}
			if after = last; last == nil {
				break
			}
		}
		if len(seen) != 100 {
			t.Errorf("%+v: %d entities", o, len(seen))
		}
	}
}

func TestBudget(t *testing.T) {
	db := storetest.SQLite(t)
	a, tenantA := fill(t, db, 50)
	b, tenantB := fill(t, db, 50)
	c := New(6000)
	ask := func(ctx context.Context, v *View) {
		set, err := v.Match(ctx, nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := v.Page(ctx, set, Order{Column: "title"}, nil, 5); err != nil {
			t.Fatal(err)
		}
	}
	within(t, c, a, tenantA, ask)
	if c.Known(a, 0) == nil {
		t.Error("the first tenant is not kept")
	}
	within(t, c, b, tenantB, ask)
	if c.Known(a, 0) != nil || c.Known(b, 0) == nil || c.bytes > 6000 {
		t.Errorf("the budget is exceeded: %d bytes", c.bytes)
	}
	within(t, c, b, tenantB, func(ctx context.Context, v *View) {
		for i := range 100 {
			if _, err := v.Match(ctx, []filter.Set{{fmt.Sprint(i): nil}}, nil, nil); err != nil {
				t.Fatal(err)
			}
			if c.bytes > 6000 || c.bytes < 0 {
				t.Fatalf("%d bytes", c.bytes)
			}
		}
	})
}
