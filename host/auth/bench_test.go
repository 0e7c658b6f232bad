package auth_test

import (
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// benchHouse is a house with the real clock, so that remembered credentials are
// looked up again as in production.
func benchHouse(b *testing.B) (*house, host.Tenant, host.Caller) {
	b.Helper()
	h := newHouse(b, storetest.SQLite(b), func(s *auth.Settings) { s.Now = time.Now })
	acme := h.tenant(b, "acme")
	_, admin := h.user(b, acme, "a@example.com", host.RoleAdmin)
	return h, acme, admin
}

func BenchmarkAuthenticate(b *testing.B) {
	h, _, admin := benchHouse(b)
	text, _ := h.token(b, admin, auth.NewToken{Role: host.RoleAdmin, Scopes: []string{"catalog.*"}})
	for name, given := range map[string]auth.Credentials{
		"Token":   {Bearer: text, HostTenant: "acme"},
		"Session": {Session: h.login(b, "acme", "a@example.com").Value},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Authenticate(b.Context(), given); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("TokenParallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := h.Authenticate(b.Context(), auth.Credentials{Bearer: text}); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkAuthorize(b *testing.B) {
	h, _, admin := benchHouse(b)
	text, _ := h.token(b, admin, auth.NewToken{Role: host.RoleAdmin, Scopes: []string{"tenant.*", "catalog.*"}})
	byToken, err := h.authenticate(text)
	if err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]host.Caller{"User": admin, "ScopedToken": byToken} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := h.Authorize(b.Context(), c, host.ActionCatalogRead, "entity:component:default/petstore"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
