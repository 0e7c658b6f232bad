package catalog_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// benchWorld has n components and a hundred groups.
func benchWorld(b *testing.B, db *store.DB, n int) *world {
	w := newWorld(b, db, func(s *catalog.Settings) { s.Now, s.Recheck = nil, time.Second })
	var docs []string
	for i := range 100 {
		docs = append(docs, group(fmt.Sprintf("team-%d", i)))
	}
	for i := range n {
		docs = append(docs, component(fmt.Sprintf("service-%d", i), fmt.Sprintf("team-%d", i%100), fmt.Sprintf("  dependsOn: ['component:service-%d']\n", i/2)))
	}
	for i := 0; i < len(docs); i += 500 {
		w.write(fmt.Sprintf("part-%d.yaml", i), strings.Join(docs[i:min(i+500, len(docs))], "---\n"))
	}
	begin := time.Now()
	if r := w.register("part-*.yaml"); len(r.Problems) > 0 {
		b.Fatalf("%+v", r.Problems[0])
	}
	b.Logf("%d entities registered in %v", len(docs), time.Since(begin))
	return w
}

func BenchmarkGet(b *testing.B) {
	w := benchWorld(b, storetest.SQLite(b), 1000)
	ref := catalog.Ref{Kind: "Component", Namespace: "default", Name: "service-7"}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := w.cat.GetJSON(ctx, w.caller, ref); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *store.DB{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			w := benchWorld(b, open(b), 10_000)
			for name, q := range map[string]catalog.Query{
				"Narrow": {Filter: map[string][]string{"kind": {"component"}, "relations.ownedby": {"group:default/team-7"}}},
				"Wide":   {Filter: map[string][]string{"kind": {"component"}, "spec.type": {"service"}}},
				"Text":   {Text: "service 77"},
			} {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						if _, err := w.cat.List(ctx, w.caller, q); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			b.Run("Facets", func(b *testing.B) {
				for b.Loop() {
					if _, err := w.cat.Facets(ctx, w.caller, catalog.Query{Filter: map[string][]string{"kind": {"component"}}}, []string{"spec.type", "spec.lifecycle", "spec.owner"}); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("RefreshUnchanged", func(b *testing.B) {
				ls, err := w.cat.Locations(ctx, w.caller)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if r, err := w.cat.RefreshLocation(ctx, w.caller, ls[0].ID); err != nil || len(r.Changed) > 0 {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
