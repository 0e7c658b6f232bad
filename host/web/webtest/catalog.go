package webtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
)

// seed is a line of the made-up company's catalog.
type seed struct{ kind, name, typ, lifecycle, owner, about, tags string }

func seeds() []seed {
	return []seed{
		{"Component", "payments-api", "service", "production", "team-ledger", "Takes card and bank payments, refunds and payouts for every storefront.", "go payments tier-1"},
		{"Component", "ledger-core", "service", "production", "team-ledger", "Double-entry ledger of record", "go tier-1"},
		{"Component", "checkout-web", "website", "production", "team-storefront", "Storefront checkout", "typescript"},
		{"Component", "fraud-model", "service", "experimental", "team-risk", "Scores orders for fraud", "python ml"},
		{"Component", "invoice-pdf", "library", "deprecated", "team-billing", "Renders invoices", "go"},
		{"Component", "shipping-rates", "service", "production", "team-logistics", "Carrier rates and labels", "go"},
		{"Component", "search-indexer", "service", "production", "team-discovery", "Feeds product search", "java"},
		{"Component", "identity-gateway", "service", "production", "team-identity", "Sign-in for customers", "go tier-1"},
		{"API", "orders-events", "asyncapi", "production", "team-orders", "Order topics and their schemas", "kafka"},
		{"API", "payments-v2", "openapi", "production", "team-ledger", "Payments for storefronts and partners", "rest"},
		{"Resource", "payments-db", "database", "", "team-ledger", "PostgreSQL, three replicas", "postgres"},
		{"System", "checkout", "", "", "team-storefront", "Everything between basket and receipt", ""},
		{"Group", "team-ledger", "team", "", "", "Money in, money out", ""},
		{"User", "mara", "", "", "", "Mara Ruiz", ""},
	}
}

func (r *Rooms) stockCatalog() {
	for i, s := range seeds() {
		r.Stock = append(r.Stock, s.entity(r.now.Add(-time.Duration(i*i+1)*17*time.Minute)))
	}
	relate := func(name, typ, target string) {
		ref, _ := catalog.ParseRef(target, catalog.Ref{})
		for i := range r.Stock {
			if r.Stock[i].Ref.Name == name {
				r.Stock[i].Relations = append(r.Stock[i].Relations, catalog.Relation{Type: typ, Target: ref})
			}
		}
	}
	for _, x := range [][3]string{{"payments-api", "ownedBy", "group:default/team-ledger"}, {"payments-api", "partOf", "system:default/checkout"}, {"payments-api", "dependsOn", "component:default/ledger-core"},
		{"payments-api", "dependsOn", "resource:default/payments-db"}, {"payments-api", "providesApi", "api:default/payments-v2"}, {"payments-api", "dependencyOf", "component:default/checkout-web"},
		{"payments-api", "dependencyOf", "component:default/invoice-pdf"}, {"mara", "memberOf", "group:default/team-ledger"}} {
		relate(x[0], x[1], x[2])
	}
	r.Wrong = []catalog.Problem{
		{LocationID: "l2", Where: "catalog-info.yaml:14", Message: "spec.lifecycle must not be empty", Hint: "write for example lifecycle: production", Ref: "component:default/fraud-model", At: r.now},
		{LocationID: "l3", Where: "https://git.northwind.example/legacy.git", Message: "the server answered 404", Hint: "check the address and that the portal may read it", At: r.now}}
	r.Stock[3].Errors = r.Wrong[:1]
	r.Stock[4].Orphan = true
	r.Places = []catalog.Location{
		{ID: "l1", Type: "url", Target: "https://github.com/northwind/payments/blob/main/catalog-info.yaml", Status: catalog.StatusOK, Entities: 9, RefreshedAt: r.now.Add(-3 * time.Minute), NextAt: r.now.Add(2 * time.Minute)},
		{ID: "l2", Type: "file", Target: "./catalog/all.yaml", Status: catalog.StatusError, Error: &r.Wrong[0], Entities: 4, RefreshedAt: r.now.Add(-9 * time.Minute), NextAt: r.now.Add(time.Minute), Managed: true},
		{ID: "l3", Type: "git", Target: "https://git.northwind.example/legacy.git", Status: catalog.StatusPending, NextAt: r.now.Add(time.Minute)}}
	r.Report = catalog.Report{Location: r.Places[0], Added: []string{"component:default/refunds", "api:default/refunds-v1"}, Unchanged: []string{"group:default/team-ledger"}, Problems: r.Wrong[:1]}
}

func (s seed) entity(at time.Time) catalog.Entity {
	ref := catalog.Ref{Kind: s.kind, Namespace: "default", Name: s.name}
	owner := ""
	if s.owner != "" {
		owner = "group:default/" + s.owner
	}
	annotations := map[string]string{"github.com/project-slug": "northwind/" + s.name, "backstage.io/managed-by-location": "url:https://github.com/northwind/" + s.name + "/blob/main/catalog-info.yaml"}
	doc := map[string]any{"apiVersion": "backstage.io/v1alpha1", "kind": s.kind,
		"metadata": map[string]any{"name": s.name, "description": s.about, "annotations": annotations, "tags": strings.Fields(s.tags),
			"links": []map[string]string{{"url": "https://runbooks.northwind.example/" + s.name, "title": "Runbook"}, {"url": "javascript:alert(1)", "title": "Not a link"}}},
		"spec": map[string]any{"type": s.typ, "lifecycle": s.lifecycle, "owner": s.owner}}
	text, _ := json.Marshal(doc) // maps of strings always marshal
	return catalog.Entity{Ref: ref, UID: "uid-" + s.name, Doc: text, ETag: "1", UpdatedAt: at, Kind: s.kind, Type: s.typ, Owner: owner, Lifecycle: s.lifecycle,
		Description: s.about, Tags: strings.Fields(s.tags), Annotations: annotations}
}

// Get finds an entity.
func (r *Rooms) Get(_ context.Context, _ host.Caller, ref catalog.Ref) (catalog.Entity, error) {
	if err := r.note("Get", ""); err != nil {
		return catalog.Entity{}, err
	}
	for _, e := range r.Stock {
		if e.Ref.String() == ref.String() {
			return e, nil
		}
	}
	return catalog.Entity{}, host.Errorf(host.CodeNotFound, "There is no entity %s.", ref).WithHint("It may have been renamed or removed.")
}

// values are an entity's values at the paths that the list filters by.
func values(e catalog.Entity, path string) []string {
	switch path {
	case "kind":
		return []string{e.Kind}
	case "spec.type":
		return []string{e.Type}
	case "spec.lifecycle":
		return []string{e.Lifecycle}
	case "relations.ownedBy":
		return []string{e.Owner}
	case "metadata.tags":
		return e.Tags
	}
	return nil
}

func (r *Rooms) matching(q catalog.Query) []catalog.Entity {
	var out []catalog.Entity
	for _, e := range r.Stock {
		fits := strings.Contains(strings.ToLower(e.Ref.Name+" "+e.Description), strings.ToLower(q.Text))
		for path, wanted := range q.Filter {
			fits = fits && slices.ContainsFunc(values(e, path), func(v string) bool {
				return slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(v, w) })
			})
		}
		if fits {
			out = append(out, e)
		}
	}
	return out
}

// List filters, sorts by name, and has pages of ten.
func (r *Rooms) List(_ context.Context, _ host.Caller, q catalog.Query) (catalog.Page, error) {
	if err := r.note("List", ""); err != nil {
		return catalog.Page{}, err
	}
	all := r.matching(q)
	slices.SortFunc(all, func(a, b catalog.Entity) int {
		order := strings.Compare(a.Ref.Name, b.Ref.Name)
		if strings.HasSuffix(q.Sort, ",desc") {
			return -order
		}
		return order
	})
	page := catalog.Page{Items: all, Total: len(all)}
	limit := min(cmp.Or(q.Limit, 20), 10)
	if q.Cursor != "" {
		page.Items = all[min(limit, len(all)):]
	} else if len(all) > limit {
		page.Items, page.Next = all[:limit], "c1"
	}
	return page, nil
}

// Facets counts.
func (r *Rooms) Facets(_ context.Context, _ host.Caller, q catalog.Query, keys []string) (map[string][]catalog.FacetCount, error) {
	out := map[string][]catalog.FacetCount{}
	for _, key := range keys {
		counts := map[string]int{}
		for _, e := range r.matching(q) {
			for _, v := range values(e, key) {
				if v != "" {
					counts[v]++
				}
			}
		}
		for v, n := range counts {
			out[key] = append(out[key], catalog.FacetCount{Value: v, Count: n})
		}
	}
	return out, r.note("Facets", "")
}

// Problems lists.
func (r *Rooms) Problems(context.Context, host.Caller) ([]catalog.Problem, error) {
	return r.Wrong, r.note("Problems", "")
}

// Refresh is noted.
func (r *Rooms) Refresh(_ context.Context, _ host.Caller, what string) (catalog.Report, error) {
	return catalog.Report{Changed: []string{"component:default/payments-api"}}, r.note("Refresh", what)
}

// Revision is the number of entities.
func (r *Rooms) Revision(host.TenantID) string { return fmt.Sprint(len(r.Stock)) }

// Register answers with Report.
func (r *Rooms) Register(_ context.Context, _ host.Caller, typ, target string, dryRun bool) (catalog.Report, error) {
	return r.Report, r.note("Register", fmt.Sprintf("%s %s dryRun=%t", typ, target, dryRun))
}

// Locations lists.
func (r *Rooms) Locations(context.Context, host.Caller) ([]catalog.Location, error) {
	return r.Places, r.note("Locations", "")
}

// Unregister is noted.
func (r *Rooms) Unregister(_ context.Context, _ host.Caller, id string) error {
	return r.note("Unregister", id)
}

// Delete is noted.
func (r *Rooms) Delete(_ context.Context, _ host.Caller, ref catalog.Ref) error {
	return r.note("Delete", ref.String())
}
