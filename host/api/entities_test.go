package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
)

func TestEntities(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	p.register("a.yaml", component("cart", "service", "team-a")+component("docs", "website", "team-b"))

	t.Run("ListItemsAreEntitiesWithID", func(t *testing.T) {
		got := p.want(200, "GET", "/api/v1/entities", "")
		if dig(got, "total") != float64(2) || dig(got, "items", 0, "id") != "component:default/cart" ||
			dig(got, "items", 0, "metadata", "title") != "The cart" {
			t.Errorf("the list is %v", got)
		}
	})
	for _, tt := range []struct{ name, query, want string }{
		{"ByType", "type=website", "docs"},
		{"ByOwner", "owner=team-a", "cart"},
		{"ByOwnerRef", "owner=group:default/team-b", "docs"},
		{"ByTwoValues", "type=website&type=service", "cart,docs"},
		{"ByLifecycleAndType", "lifecycle=production&type=service", "cart"},
		{"ByTag", "tag=demo", "cart,docs"},
		{"ByBackstageFilter", "filter=kind=component,spec.type=website", "docs"},
		{"ByTwoFilters", "filter=spec.type=website&filter=spec.type=service", "cart,docs"},
		{"ByText", "q=docs", "docs"},
		{"SortedDown", "sort=metadata.name,desc", "docs,cart"},
		{"Nothing", "kind=system", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := p.want(200, "GET", "/api/v1/entities?"+tt.query, "")
			var names []string
			items, _ := got["items"].([]any)
			for _, it := range items {
				names = append(names, dig(it, "metadata", "name").(string))
			}
			if strings.Join(names, ",") != tt.want {
				t.Errorf("found %q, want %q", names, tt.want)
			}
		})
	}
	t.Run("Pages", func(t *testing.T) {
		one := p.want(200, "GET", "/api/v1/entities?limit=1", "")
		next, _ := one["next"].(string)
		two := p.want(200, "GET", "/api/v1/entities?limit=1&cursor="+next, "")
		if dig(two, "items", 0, "metadata", "name") != "docs" || two["next"] != nil {
			t.Errorf("the second page is %v", two)
		}
	})
	t.Run("Facets", func(t *testing.T) {
		got := p.want(200, "GET", "/api/v1/facets?facet=spec.type&facet=kind", "")
		if len(dig(got, "facets", "spec.type").([]any)) != 2 {
			t.Errorf("the facets are %v", got)
		}
	})
	t.Run("ReadWithTag", func(t *testing.T) {
		w := p.send("GET", "/api/v1/entities/component/default/cart", "")
		etag := w.Header().Get("ETag")
		if w.Code != 200 || len(etag) < 3 || !json.Valid(w.Body.Bytes()) || w.Header().Get("Cache-Control") != "private, no-cache" {
			t.Fatalf("answers %d, ETag %q, %s", w.Code, etag, w.Body)
		}
		for _, known := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
			again := p.send("GET", "/api/v1/entities/Component/default/CART", "", header("If-None-Match", known))
			if again.Code != 304 || again.Body.Len() > 0 || again.Header().Get("ETag") != etag {
				t.Errorf("If-None-Match: %s answers %d", known, again.Code)
			}
		}
		if w := p.send("GET", "/api/v1/entities/component/default/cart", "", header("If-None-Match", `"other"`)); w.Code != 200 {
			t.Errorf("another tag answers %d", w.Code)
		}
		if w := p.send("HEAD", "/api/v1/entities/component/default/cart", ""); w.Code != 200 || w.Header().Get("ETag") != etag {
			t.Errorf("HEAD answers %d", w.Code)
		}
	})
	t.Run("Absent", func(t *testing.T) {
		got := p.want(404, "GET", "/api/v1/entities/component/default/nope", "")
		if got["type"] != "/problems/not-found" || got["instance"] != "/api/v1/entities/component/default/nope" || got["traceId"] == nil {
			t.Errorf("the problem is %v", got)
		}
	})
	t.Run("Refresh", func(t *testing.T) {
		h.write("a.yaml", component("cart", "service", "team-z")+component("docs", "website", "team-b"))
		got := p.want(200, "POST", "/api/v1/entities/component/default/cart/refresh", "")
		if dig(got, "changed", 0) != "component:default/cart" {
			t.Errorf("the report is %v", got)
		}
	})
}

func TestLocations(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	path := h.write("a.yaml", component("cart", "service", "team-a")+"kind: Component\n")
	body := `{"type":"file","target":"` + path + `"}`
	t.Run("DryRunStoresNothing", func(t *testing.T) {
		got := p.want(200, "POST", "/api/v1/locations?dryRun=true", body)
		if got["dryRun"] != true || dig(got, "added", 0) != "component:default/cart" || dig(got, "problems", 0, "where") == nil {
			t.Errorf("the report is %v", got)
		}
		if all := p.want(200, "GET", "/api/v1/locations", ""); len(all["items"].([]any)) != 0 {
			t.Errorf("stored: %v", all)
		}
	})
	var id string
	t.Run("Register", func(t *testing.T) {
		w := p.send("POST", "/api/v1/locations", body)
		var got map[string]any
		must(t, json.Unmarshal(w.Body.Bytes(), &got))
		id, _ = dig(got, "location", "id").(string)
		if w.Code != 201 || w.Header().Get("Location") != "/api/v1/locations/"+id || id == "" {
			t.Errorf("answers %d %s", w.Code, w.Body)
		}
	})
	t.Run("Problems", func(t *testing.T) {
		all := p.want(200, "GET", "/api/v1/problems", "")
		none := p.want(200, "GET", "/api/v1/problems?locationId=other", "")
		if len(all["items"].([]any)) == 0 || len(none["items"].([]any)) != 0 {
			t.Errorf("problems are %v and %v", all, none)
		}
	})
	t.Run("ReadRefreshDelete", func(t *testing.T) {
		if got := p.want(200, "GET", "/api/v1/locations/"+id, ""); got["target"] != path {
			t.Errorf("the location is %v", got)
		}
		p.want(200, "POST", "/api/v1/locations/"+id+"/refresh", "")
		p.want(204, "DELETE", "/api/v1/locations/"+id, "")
		p.want(404, "GET", "/api/v1/locations/"+id, "")
		p.want(404, "GET", "/api/v1/entities/component/default/cart", "")
	})
	t.Run("MemberMayNotRemove", func(t *testing.T) {
		viewer := h.as(p.tenant, host.RoleViewer)
		if got := viewer.want(403, "POST", "/api/v1/locations", body); got["type"] != "/problems/forbidden" {
			t.Errorf("the problem is %v", got)
		}
	})
	t.Run("BadInput", func(t *testing.T) {
		for _, tt := range []struct{ body, pointer string }{
			{`{"target":""}`, "/body/target"}, {`{"type":"ftp","target":"x"}`, "/body/type"},
			{`{"target":"x","more":1}`, "/body/more"}, {`[]`, "/body"},
		} {
			got := p.want(400, "POST", "/api/v1/locations", tt.body)
			if got["type"] != "/problems/invalid-request" || dig(got, "errors", 0, "pointer") != tt.pointer || got["status"] != float64(400) {
				t.Errorf("%s answers %v", tt.body, got)
			}
		}
		got := p.want(400, "POST", "/api/v1/locations", `{"target":`)
		if strings.Contains(got["detail"].(string), "huma") {
			t.Errorf("broken JSON answers %v", got)
		}
	})
	t.Run("TooLarge", func(t *testing.T) {
		got := p.want(413, "POST", "/api/v1/locations", `{"target":"`+strings.Repeat("x", 2<<20)+`"}`)
		if got["type"] != "/problems/too-large" {
			t.Errorf("the problem is %v", got)
		}
	})
	t.Run("Validate", func(t *testing.T) {
		got := p.want(200, "POST", "/api/v1/validate", `{"document":"kind: Component\nmetadata: {name: 'a b'}\n","file":"x.yaml"}`)
		if got["valid"] != false || !strings.HasPrefix(dig(got, "problems", 0, "where").(string), "x.yaml:") {
			t.Errorf("the answer is %v", got)
		}
		ok, err := json.Marshal(map[string]string{"document": component("a", "service", "b")})
		must(t, err)
		if got := p.want(200, "POST", "/api/v1/validate", string(ok)); got["valid"] != true {
			t.Errorf("the answer is %v", got)
		}
	})
}

func TestMe(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	got := p.want(http.StatusOK, "GET", "/api/v1/me", "")
	if got["role"] != "admin" || dig(got, "tenant", "slug") != "acme" || got["kind"] != "token" {
		t.Errorf("me is %v", got)
	}
}
