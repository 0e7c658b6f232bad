package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// discard is a writer that costs next to nothing, so that the handler is what
// is measured.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkReadEntity compares an authenticated read of one entity with a bare
// handler that writes the same bytes: over loopback, which is what the goal
// (at least 40 % of the bare throughput) is about, and without a network.
func BenchmarkReadEntity(b *testing.B) {
	h := newHouse(b)
	p := h.admin()
	p.register("a.yaml", component("cart", "service", "team-a"))
	doc := p.send("GET", "/api/v1/entities/component/default/cart", "").Body.Bytes()
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(doc)
	})
	for _, tt := range []struct {
		name    string
		handler http.Handler
	}{{"bare", bare}, {"entity", h.handler}} {
		b.Run(tt.name+"/loopback", func(b *testing.B) {
			srv := httptest.NewServer(tt.handler)
			defer srv.Close()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, _ := http.NewRequest("GET", srv.URL+"/api/v1/entities/component/default/cart", nil)
					r.Header.Set("Authorization", "Bearer "+p.token)
					res, err := client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
			})
		})
		b.Run(tt.name+"/handler", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r := httptest.NewRequest("GET", "/api/v1/entities/component/default/cart", nil)
				r.Header.Set("Authorization", "Bearer "+p.token)
				for pb.Next() {
					tt.handler.ServeHTTP(&discard{http.Header{}}, r)
				}
			})
		})
	}
}

// BenchmarkListEntities is one page of fifty.
func BenchmarkListEntities(b *testing.B) {
	h := newHouse(b)
	p := h.admin()
	var docs strings.Builder
	for i := range 60 {
		docs.WriteString(component("c"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+string(rune('a'+i/26)), "service", "team-a"))
	}
	p.register("a.yaml", docs.String())
	b.ReportAllocs()
	for b.Loop() {
		if w := p.send("GET", "/api/v1/entities?limit=50", ""); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}
