package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
)

func TestBackstagePaths(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	var docs strings.Builder
	for i := range 5 {
		docs.WriteString(component(fmt.Sprintf("c%d", i), []string{"service", "website"}[i%2], "team-a"))
	}
	id := p.register("a.yaml", docs.String())

	names := func(v any) string {
		var out []string
		items, _ := v.([]any)
		for _, it := range items {
			name, _ := dig(it, "metadata", "name").(string)
			out = append(out, name)
		}
		return strings.Join(out, ",")
	}
	t.Run("Entities", func(t *testing.T) {
		for _, tt := range []struct{ query, want string }{
			{"", "c0,c1,c2,c3,c4"}, {"filter=kind=component,spec.type=website", "c1,c3"},
			{"limit=2", "c0,c1"}, {"limit=2&offset=1", "c1,c2"}, {"offset=4", "c4"},
			{"order=desc:metadata.name&limit=1", "c4"}, {"filter=metadata.name=c1&filter=metadata.name=c4", "c1,c4"},
		} {
			got := p.want(200, "GET", "/api/catalog/entities?"+tt.query, "")
			if names(got["array"]) != tt.want {
				t.Errorf("%s: found %s, want %s", tt.query, names(got["array"]), tt.want)
			}
		}
	})
	t.Run("EntitiesFollowLinks", func(t *testing.T) {
		path, all := "/api/catalog/entities?limit=2", ""
		for range 5 {
			w := p.send("GET", path, "")
			all += fmt.Sprint(strings.Count(w.Body.String(), `"apiVersion"`))
			link, _, ok := strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
			if !ok {
				break
			}
			path = link
		}
		if all != "221" {
			t.Errorf("pages of %s entities, want 221", all)
		}
	})
	t.Run("Fields", func(t *testing.T) {
		got := p.want(200, "GET", "/api/catalog/entities?limit=1&fields=kind,metadata.name,metadata.annotations.example.com/id", "")
		e, _ := dig(got["array"], 0).(map[string]any)
		if len(e) != 2 || len(e["metadata"].(map[string]any)) != 2 || dig(e, "metadata", "annotations", "example.com/id") != "c0" {
			t.Errorf("the entity is %v", e)
		}
	})
	t.Run("ByQueryPages", func(t *testing.T) {
		got := p.want(200, "GET", "/api/catalog/entities/by-query?limit=2&filter=kind=component&orderField=metadata.name,desc", "")
		seen := names(got["items"])
		for i := 0; i < 5 && dig(got, "pageInfo", "nextCursor") != nil; i++ {
			got = p.want(200, "GET", "/api/catalog/entities/by-query?limit=2&cursor="+url.QueryEscape(dig(got, "pageInfo", "nextCursor").(string)), "")
			seen += "|" + names(got["items"])
		}
		if seen != "c4,c3|c2,c1|c0" || got["totalItems"] != float64(5) {
			t.Errorf("pages are %s of %v", seen, got["totalItems"])
		}
	})
	t.Run("ByQueryCountsAlone", func(t *testing.T) {
		got := p.want(200, "GET", "/api/catalog/entities/by-query?limit=0&filter=spec.type=website", "")
		if got["totalItems"] != float64(2) || len(got["items"].([]any)) != 0 {
			t.Errorf("answers %v", got)
		}
	})
	t.Run("ByQueryText", func(t *testing.T) {
		got := p.want(200, "GET", "/api/catalog/entities/by-query?fullTextFilterTerm=c3", "")
		if names(got["items"]) != "c3" {
			t.Errorf("answers %v", names(got["items"]))
		}
	})
	t.Run("ByNameUidAndRefs", func(t *testing.T) {
		one := p.want(200, "GET", "/api/catalog/entities/by-name/component/default/c2", "")
		uid, _ := dig(one, "metadata", "uid").(string)
		if two := p.want(200, "GET", "/api/catalog/entities/by-uid/"+uid, ""); dig(two, "metadata", "name") != "c2" {
			t.Errorf("by uid: %v", two)
		}
		p.want(404, "GET", "/api/catalog/entities/by-uid/nope", "")
		refs := p.want(200, "POST", "/api/catalog/entities/by-refs", `{"entityRefs":["component:default/c4","component:default/no","Component:C0"],"fields":["metadata.name"]}`)
		if names(refs["items"]) != "c4,,c0" || dig(refs, "items", 1) != nil {
			t.Errorf("by refs: %v", refs)
		}
		p.want(400, "POST", "/api/catalog/entities/by-refs", `{"entityRefs":["::"]}`)
		p.want(400, "POST", "/api/catalog/entities/by-refs", `[`)
	})
	t.Run("Facets", func(t *testing.T) {
		got := p.want(200, "GET", "/api/catalog/entity-facets?facet=spec.type&filter=kind=component", "")
		if dig(got, "facets", "spec.type", 0, "value") != "service" || dig(got, "facets", "spec.type", 0, "count") != float64(3) {
			t.Errorf("the facets are %v", got)
		}
		p.want(400, "GET", "/api/catalog/entity-facets", "")
	})
	t.Run("Locations", func(t *testing.T) {
		all := p.want(200, "GET", "/api/catalog/locations", "")
		if dig(all["array"], 0, "data", "id") != id {
			t.Errorf("the locations are %v", all)
		}
		if one := p.want(200, "GET", "/api/catalog/locations/"+id, ""); one["type"] != "file" {
			t.Errorf("the location is %v", one)
		}
		path := h.write("b.yaml", component("new", "service", "team-a"))
		dry := p.want(201, "POST", "/api/catalog/locations?dryRun=true", `{"type":"file","target":"`+path+`"}`)
		if dry["exists"] != false || names(dry["entities"]) != "new" {
			t.Errorf("the dry run is %v", dry)
		}
		made := p.want(201, "POST", "/api/catalog/locations", `{"type":"file","target":"`+path+`"}`)
		if names(made["entities"]) != "new" {
			t.Errorf("registering answers %v", made)
		}
		newID, _ := dig(made, "location", "id").(string)
		if w := p.send("DELETE", "/api/catalog/locations/"+newID, ""); w.Code != 204 {
			t.Errorf("deleting answers %d %s", w.Code, w.Body)
		}
		p.want(400, "POST", "/api/catalog/locations", `{"type":"file"}`)
		broken := h.write("broken.yaml", "kind: Component\n")
		p.want(400, "POST", "/api/catalog/locations?dryRun=true", `{"type":"file","target":"`+broken+`"}`)
	})
	t.Run("Refresh", func(t *testing.T) {
		if w := p.send("POST", "/api/catalog/refresh", `{"entityRef":"component:default/c0"}`); w.Code != 200 {
			t.Errorf("answers %d %s", w.Code, w.Body)
		}
		p.want(404, "POST", "/api/catalog/refresh", `{"entityRef":"component:default/nope"}`)
	})
	t.Run("Validate", func(t *testing.T) {
		good := `{"location":"url:https://x/y.yaml","entity":{"apiVersion":"backstage.io/v1alpha1","kind":"Component","metadata":{"name":"a"},"spec":{"type":"service","lifecycle":"x","owner":"y"}}}`
		if w := p.send("POST", "/api/catalog/validate-entity", good); w.Code != 200 {
			t.Errorf("a good one answers %d %s", w.Code, w.Body)
		}
		bad := p.want(400, "POST", "/api/catalog/validate-entity", strings.Replace(good, `"name":"a"`, `"name":"a b"`, 1))
		if dig(bad, "errors", 0, "message") == nil {
			t.Errorf("a bad one answers %v", bad)
		}
		p.want(400, "POST", "/api/catalog/validate-entity", `{}`)
	})
	t.Run("DeleteOnlyOrphans", func(t *testing.T) {
		one := p.want(200, "GET", "/api/catalog/entities/by-name/component/default/c2", "")
		p.want(409, "DELETE", "/api/catalog/entities/by-uid/"+dig(one, "metadata", "uid").(string), "")
	})
	t.Run("ErrorsHaveItsForm", func(t *testing.T) {
		for _, path := range []string{"entities?limit=x", "entities?offset=-1", "entities/by-query?cursor=%21", "entities/by-query?limit=x", "entities?filter=" + strings.Repeat("a", 20000)} {
			got := p.want(400, "GET", "/api/catalog/"+path, "")
			if dig(got, "error", "name") != "InputError" || dig(got, "response", "statusCode") != float64(400) {
				t.Errorf("%.40s answers %v", path, got)
			}
		}
		viewer := h.as(p.tenant, host.RoleViewer)
		if got := viewer.want(403, "DELETE", "/api/catalog/locations/"+id, ""); dig(got, "error", "name") != "NotAllowedError" {
			t.Errorf("answers %v", got)
		}
		if got := (person{h: h}).want(401, "GET", "/api/catalog/entities", ""); dig(got, "error", "name") != "AuthenticationError" {
			t.Errorf("answers %v", got)
		}
	})
}

func FuzzQueries(f *testing.F) {
	h := newHouse(f)
	p := h.admin()
	p.register("a.yaml", component("cart", "service", "team-a"))
	for _, q := range []string{"filter=kind=component,spec.type", "limit=-1", "cursor=e30", "orderField=a,b", "fields=a..b,.", "facet=kind&filter=%00", "q=\"*", "after=x&offset=9"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/api/catalog/entities", "/api/catalog/entities/by-query", "/api/catalog/entity-facets", "/api/v1/entities", "/api/v1/facets"} {
			u := url.URL{Path: path, RawQuery: query}
			if _, err := url.ParseRequestURI(u.String()); err != nil {
				return // no request can carry it
			}
			func() {
				defer func() {
					if r := recover(); r != nil && !strings.Contains(fmt.Sprint(r), "invalid NewRequest") {
						panic(r)
					}
				}()
				if w := p.send("GET", u.String(), ""); w.Code >= 500 {
					t.Errorf("%s answers %d %s\nlog: %s", u.String(), w.Code, w.Body, h.log)
				}
			}()
		}
	})
}
