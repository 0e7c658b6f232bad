package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/catalog/filter"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// names returns the names of all pages of a query, and fails where the total
// differs from page to page.
func (w *world) names(q catalog.Query) []string {
	w.t.Helper()
	var out []string
	total := -1
	for range 1000 {
		page, err := w.cat.List(ctx, w.caller, q)
		if err != nil {
			w.t.Fatalf("listing %+v: %v", q, err)
		}
		for _, e := range page.Items {
			out = append(out, e.Ref.Name)
		}
		if total >= 0 && page.Total != total {
			w.t.Fatalf("total %d, then %d", total, page.Total)
		}
		total = page.Total
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if total != len(out) {
		w.t.Fatalf("total %d, but %d items", total, len(out))
	}
	return out
}

func listWorld(t *testing.T, db *store.DB) *world {
	w := newWorld(t, db, nil)
	docs := []string{group("team-a"), group("team-b")}
	for i, name := range []string{"alpha", "Bravo", "charlie", "delta"} {
		doc := component(name, []string{"team-a", "team-b"}[i%2], "")
		doc = strings.Replace(doc, "metadata:\n", fmt.Sprintf("metadata:\n  title: T%d\n  tags: [go, t%d]\n  description: Käse und %s\n  annotations: {example.com/n: N%d}\n", 9-i, i, name, i), 1)
		docs = append(docs, strings.Replace(doc, "type: service", "type: "+[]string{"service", "Website"}[i/2], 1))
	}
	w.write("all.yaml", strings.Join(docs, "---\n"))
	w.register("all.yaml")
	return w
}

func TestList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := listWorld(t, db)
		type set = map[string][]string
		for name, c := range map[string]struct {
			q    catalog.Query
			want string
		}{
			"Everything":      {catalog.Query{}, "alpha Bravo charlie delta team-a team-b"},
			"OneValue":        {catalog.Query{Filter: set{"kind": {"COMPONENT"}, "spec.type": {"website"}}}, "charlie delta"},
			"SeveralValues":   {catalog.Query{Filter: set{"metadata.name": {"alpha", "DELTA", "x"}}}, "alpha delta"},
			"Exists":          {catalog.Query{Filter: set{"metadata.annotations.example.com/n": nil}}, "alpha Bravo charlie delta"},
			"ListItem":        {catalog.Query{Filter: set{"metadata.tags": {"t2"}}}, "charlie"},
			"ListItemTrue":    {catalog.Query{Filter: set{"metadata.tags.t2": {"true"}}}, "charlie"},
			"Relation":        {catalog.Query{Filter: set{"relations.ownedBy": {"Group:default/Team-B"}}}, "Bravo delta"},
			"AnyOf":           {catalog.Query{AnyOf: []set{{"kind": {"group"}}, {"metadata.name": {"alpha"}}}}, "alpha team-a team-b"},
			"FilterAndAnyOf":  {catalog.Query{Filter: set{"kind": {"component"}}, AnyOf: []set{{"kind": {"group"}}, {"metadata.name": {"alpha"}}}}, "alpha"},
			"EmptySetIsTrue":  {catalog.Query{AnyOf: []set{{}}}, "alpha Bravo charlie delta team-a team-b"},
			"Nothing":         {catalog.Query{Filter: set{"kind": {"api"}}}, ""},
			"TextPrefix":      {catalog.Query{Text: "brav"}, "Bravo"},
			"TextWords":       {catalog.Query{Text: "KASE del"}, "delta"},
			"TextOfTitle":     {catalog.Query{Text: "t7"}, "charlie"},
			"TextHostile":     {catalog.Query{Text: `") OR 1=1 -- ' :* & | ! kase" NEAR(`}, ""},
			"TextNoWord":      {catalog.Query{Text: " '\"%& "}, "alpha Bravo charlie delta team-a team-b"},
			"SortDesc":        {catalog.Query{Sort: "metadata.name,desc"}, "team-b team-a delta charlie Bravo alpha"},
			"SortTitle":       {catalog.Query{Sort: "metadata.title", Filter: set{"kind": {"component"}}}, "delta charlie Bravo alpha"},
			"SortMissingLast": {catalog.Query{Sort: "title"}, "delta charlie Bravo alpha team-a team-b"},
			"SortByFacet":     {catalog.Query{Sort: "-metadata.annotations.example.com/n"}, "delta charlie Bravo alpha team-a team-b"},
			"SortHostile":     {catalog.Query{Sort: "name'); DROP TABLE entities; --"}, "alpha Bravo charlie delta team-a team-b"},
			"FilterHostile":   {catalog.Query{Filter: set{"kind' OR '1'='1": {"x' OR 'a'='a"}}}, ""},
			"SortUpdated":     {catalog.Query{Sort: "updatedAt,desc"}, "alpha Bravo charlie delta team-a team-b"},
		} {
			t.Run(name, func(t *testing.T) {
				for _, limit := range []int{0, 1, 2, 5} {
					c.q.Limit = limit
					got := w.names(c.q)
					if name == "SortUpdated" || strings.HasPrefix(name, "SortByF") || name == "SortMissingLast" {
						// Entities without a difference come in the order of their refs.
						got, c.want = sortedTail(got), strings.Join(sortedTail(strings.Fields(c.want)), " ")
					}
					if strings.Join(got, " ") != c.want {
						t.Errorf("limit %d: %v, want %s", limit, got, c.want)
					}
				}
			})
		}
		t.Run("ItemsAreWhole", func(t *testing.T) {
			page, err := w.cat.List(ctx, w.caller, catalog.Query{Text: "alpha"})
			if err != nil || len(page.Items) != 1 {
				t.Fatal(err)
			}
			e := page.Items[0]
			if e.Title != "T9" || !slices.Equal(e.Tags, []string{"go", "t0"}) || len(e.Relations) != 1 || e.Annotations["example.com/n"] != "N0" || len(e.Doc) == 0 || e.ETag == "" {
				t.Errorf("%+v", e)
			}
		})
		t.Run("AuthorizedOncePerList", func(t *testing.T) {
			w.policy.asked = nil
			w.names(catalog.Query{Limit: 1000})
			if len(w.policy.asked) != 1 || w.policy.asked[0] != "catalog.entity.read *" {
				t.Errorf("asked %v", w.policy.asked)
			}
		})
		t.Run("ErrBadQueries", func(t *testing.T) { listBadQueries(t, db, w) })
	})
}

// sortedTail sorts what the test does not look at closer.
func sortedTail(names []string) []string {
	out := slices.Clone(names)
	slices.Sort(out)
	return out
}

func TestFacets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := listWorld(t, db)
		got, err := w.cat.Facets(ctx, w.caller, catalog.Query{Filter: map[string][]string{"kind": {"component"}}}, []string{"spec.type", "metadata.tags", "Spec.Owner", "none"})
		if err != nil {
			t.Fatal(err)
		}
		want := "map[Spec.Owner:[{team-a 2} {team-b 2}] metadata.tags:[{go 4} {t0 1} {t1 1} {t2 1} {t3 1}] none:[] spec.type:[{Website 2} {service 2}]]"
		if fmt.Sprint(got) != want {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if got, err = w.cat.Facets(ctx, w.caller, catalog.Query{Text: "alpha"}, []string{"kind"}); err != nil || fmt.Sprint(got) != "map[kind:[{Component 1}]]" {
			t.Errorf("%v, %v", got, err)
		}
		if got, err = w.cat.Facets(ctx, w.caller, catalog.Query{}, nil); err != nil || len(got) != 0 {
			t.Errorf("%v, %v", got, err)
		}
		if _, err = w.cat.Facets(ctx, w.caller, catalog.Query{}, []string{"\x00"}); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("%v", err)
		}
		w.policy.deny[host.ActionCatalogRead] = true
		if _, err := w.cat.Facets(ctx, w.caller, catalog.Query{}, []string{"kind"}); host.CodeOf(err) != host.CodeForbidden {
			t.Errorf("%v", err)
		}
		if _, err := w.cat.List(ctx, w.caller, catalog.Query{}); host.CodeOf(err) != host.CodeForbidden {
			t.Errorf("%v", err)
		}
		if _, err := w.get("group:team-a"); host.CodeOf(err) != host.CodeForbidden {
			t.Errorf("%v", err)
		}
	})
}

// TestListEqualsNaive holds the SQL of filters to package filter's plain code.
func TestListEqualsNaive(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := listWorld(t, db)
		all, err := w.cat.List(ctx, w.caller, catalog.Query{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		terms := map[string][]filter.Term{}
		var pool []filter.Term
		for _, e := range all.Items {
			ts, err := filter.Flatten(e.Doc)
			if err != nil {
				t.Fatal(err)
			}
			terms[e.Ref.Name] = ts
			pool = append(pool, ts...)
		}
		rapid.Check(t, func(rt *rapid.T) {
			drawSet := func(label string) map[string][]string {
				set := map[string][]string{}
				for range rapid.IntRange(1, 3).Draw(rt, label) {
					term := pool[rapid.IntRange(0, len(pool)-1).Draw(rt, "term")]
					if rapid.Bool().Draw(rt, "exists") {
						set[term.Key] = nil
					} else {
						set[term.Key] = []string{strings.ToUpper(term.Value), pool[rapid.IntRange(0, len(pool)-1).Draw(rt, "other")].Value}
					}
				}
				return set
			}
			q := catalog.Query{Limit: rapid.IntRange(1, 7).Draw(rt, "limit")}
			for range rapid.IntRange(0, 3).Draw(rt, "sets") {
				q.AnyOf = append(q.AnyOf, drawSet("keys"))
			}
			if rapid.Bool().Draw(rt, "and") {
				q.Filter = drawSet("filter")
			}
			var want []string
			anyOf, _ := filter.Normal(q.AnyOf)
			one, _ := filter.Normal([]map[string][]string{q.Filter})
			for _, e := range all.Items {
				if filter.Match(terms[e.Ref.Name], anyOf) && filter.Match(terms[e.Ref.Name], one) {
					want = append(want, e.Ref.Name)
				}
			}
			if got := w.names(q); !slices.Equal(got, want) {
				rt.Fatalf("%+v: %v, want %v", q, got, want)
			}
		})
	})
}

func listBadQueries(t *testing.T, db *store.DB, w *world) {
	type set = map[string][]string
	first, err := w.cat.List(ctx, w.caller, catalog.Query{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	many := make([]set, 200)
	for name, q := range map[string]catalog.Query{
		"garbage cursor": {Cursor: "%%%"}, "cursor of another query": {Cursor: first.Next, Text: "x"},
		"direction": {Sort: "name,up"}, "nul": {Filter: set{"a": {"\x00"}}}, "nul key": {Filter: set{"\x00": nil}}, "many": {AnyOf: many},
		"long sort": {Sort: strings.Repeat("x", 300)},
	} {
		if _, err := w.cat.List(ctx, w.caller, q); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := listWorld(t, db)
	if _, err := other.cat.List(ctx, other.caller, catalog.Query{Cursor: first.Next}); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("cursor of another tenant: %v", err)
	}
}
