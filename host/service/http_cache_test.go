package service

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
)

// TestCacheVary: an answer is only for requests with the same headers, since
// it may vary with any of them, and one that varies with all is not kept.
func TestCacheVary(t *testing.T) {
	var hits atomic.Int32
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"v1"`)
		w.Header().Add("Vary", "X-User")
		if r.URL.Path == "/all" || r.URL.Path == "/later" && hits.Load() > 1 {
			w.Header().Add("Vary", "*")
		}
		if r.URL.Path == "/later" && r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, "for %q", r.Header.Values("X-User"))
	}))
	defer up.Close()
	h := NewHTTP(HTTPSettings{})
	s := session("{}", nil, grantOf(nil, up.URL))
	step := func(path string, header map[string][]string, cached bool, wantHits int32) {
		t.Helper()
		r, err := send(t, h, s, httpv1.Request{URL: up.URL + path, Header: header})
		if err != nil {
			t.Fatal(err)
		}
		users := header["X-User"]
		if users == nil {
			users = []string{}
		}
		if want := fmt.Sprintf("for %q", users); string(r.Body) != want || r.Cached != cached || hits.Load() != wantHits {
			t.Errorf("%s %v: %s, cached %v after %d requests", path, header, r.Body, r.Cached, hits.Load())
		}
	}
	ann := map[string][]string{"X-User": {"ann"}}
	step("/a", ann, false, 1)
	step("/a", map[string][]string{"X-User": {"bob"}}, false, 2)
	step("/a", map[string][]string{"X-User": {"ann", "bob"}}, false, 3)
	step("/a", map[string][]string{"X-User": {"ann,bob"}}, false, 4)
	step("/a", nil, false, 5)
	step("/a", ann, true, 5)
	step("/a", map[string][]string{"X-User": {"ann"}, "Cache-Control": {"no-cache"}}, false, 6)
	step("/a", ann, true, 6)
	step("/all", ann, false, 7)
	step("/all", ann, false, 8)
	hits.Store(0)
	step("/later", ann, false, 1)
	step("/later", map[string][]string{"X-User": {"ann"}, "Cache-Control": {"no-cache"}}, true, 2)
	step("/later", ann, false, 3)
}
