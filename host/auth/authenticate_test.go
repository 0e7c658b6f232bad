package auth_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"pgregory.net/rapid"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		other := h.tenant(t, "other")
		u, c := h.user(t, acme, "guest@example.com", host.RoleMember)
		text, made := h.token(t, c, auth.NewToken{Label: "ci", Role: host.RoleMember})
		session := h.login(t, "acme", "guest@example.com").Value
		_, foreign := h.user(t, other, "guest@example.com", host.RoleAdmin)
		foreignText, _ := h.token(t, foreign, auth.NewToken{})
		flipped := text[:20] + map[bool]string{true: "b", false: "a"}[text[20] == 'a'] + text[21:]
		tests := map[string]struct {
			given auth.Credentials
			code  host.Code
			who   string // the principal's id
		}{
			"OKToken":               {auth.Credentials{Bearer: text}, "", made.ID},
			"OKTokenHost":           {auth.Credentials{Bearer: text, HostTenant: "acme"}, "", made.ID},
			"OKTokenHostUpperCase":  {auth.Credentials{Bearer: text, HostTenant: "ACME"}, "", made.ID},
			"OKTokenHeader":         {auth.Credentials{Bearer: text, HeaderTenant: "acme"}, "", made.ID},
			"OKAllThree":            {auth.Credentials{Bearer: text, HostTenant: "acme", HeaderTenant: "acme"}, "", made.ID},
			"OKSession":             {auth.Credentials{Session: session}, "", u.ID},
			"OKSessionHost":         {auth.Credentials{Session: session, HostTenant: "acme"}, "", u.ID},
			"OKTokenBeforeSession":  {auth.Credentials{Bearer: text, Session: session}, "", made.ID},
			"ErrHost":               {auth.Credentials{Bearer: text, HostTenant: "other"}, host.CodeTenantMismatch, ""},
			"ErrHeader":             {auth.Credentials{Bearer: text, HeaderTenant: "other"}, host.CodeTenantMismatch, ""},
			"ErrHeaderAgainstHost":  {auth.Credentials{Bearer: text, HostTenant: "acme", HeaderTenant: "other"}, host.CodeTenantMismatch, ""},
			"ErrHostAgainstHeader":  {auth.Credentials{Bearer: text, HostTenant: "other", HeaderTenant: "acme"}, host.CodeTenantMismatch, ""},
			"ErrUnknownTenant":      {auth.Credentials{Bearer: text, HostTenant: "nobody"}, host.CodeTenantMismatch, ""},
			"ErrLookAlikeTenant":    {auth.Credentials{Bearer: text, HostTenant: "аcme"}, host.CodeTenantMismatch, ""},
			"ErrSessionHost":        {auth.Credentials{Session: session, HostTenant: "other"}, host.CodeTenantMismatch, ""},
			"ErrForeignToken":       {auth.Credentials{Bearer: foreignText, HostTenant: "acme"}, host.CodeTenantMismatch, ""},
			"ErrNothing":            {auth.Credentials{}, host.CodeUnauthenticated, ""},
			"ErrNothingButTenant":   {auth.Credentials{HostTenant: "acme", HeaderTenant: "acme"}, host.CodeUnauthenticated, ""},
			"ErrFlippedToken":       {auth.Credentials{Bearer: flipped}, host.CodeUnauthenticated, ""},
			"ErrMadeUpToken":        {auth.Credentials{Bearer: "cb_aaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, host.CodeUnauthenticated, ""},
			"ErrSessionAsToken":     {auth.Credentials{Bearer: session}, host.CodeUnauthenticated, ""},
			"ErrTokenAsSession":     {auth.Credentials{Session: text}, host.CodeUnauthenticated, ""},
			"ErrBadTokenBesideGood": {auth.Credentials{Bearer: "x", Session: session}, host.CodeUnauthenticated, ""},
			"ErrMismatchBadToken":   {auth.Credentials{Bearer: flipped, HostTenant: "other"}, host.CodeUnauthenticated, ""},
		}
		for name, tc := range tests {
			for _, round := range []string{"", "Remembered"} {
				t.Run(name+round, func(t *testing.T) {
					got, err := h.Authenticate(t.Context(), tc.given)
					wantCode(t, err, tc.code)
					if err != nil {
						if got.Valid() {
							t.Error("a caller comes with the error")
						}
						if strings.Contains(err.Error(), tc.given.Bearer+tc.given.Session) && tc.given.Bearer+tc.given.Session != "x" && tc.given.Bearer+tc.given.Session != "" {
							t.Errorf("the error repeats the credential: %v", err)
						}
						return
					}
					if got.Tenant() != acme || got.Principal().ID != tc.who || got.Principal().Role != host.RoleMember {
						t.Errorf("caller = %+v", got)
					}
				})
			}
		}
		t.Run("PrincipalsSayWhoTheyAre", func(t *testing.T) {
			byToken, _ := h.authenticate(text)
			if p := byToken.Principal(); p.Kind != host.KindToken || p.Name != "ci" {
				t.Errorf("token: %+v", p)
			}
			bySession, _ := h.Authenticate(t.Context(), auth.Credentials{Session: session})
			if p := bySession.Principal(); p.Kind != host.KindUser || p.Name != "guest@example.com" {
				t.Errorf("session: %+v", p)
			}
		})
	})
}

func TestCredentialsHideTheirSecrets(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	acme := h.tenant(t, "acme")
	_, c := h.user(t, acme, "guest@example.com", host.RoleViewer)
	text, made := h.token(t, c, auth.NewToken{})
	session := h.login(t, "", "guest@example.com")
	given := auth.Credentials{Bearer: text, Session: session.Value, HostTenant: "acme"}
	for _, shown := range []string{fmt.Sprint(given), fmt.Sprintf("%+v %#v", given, given), given.LogValue().String(),
		fmt.Sprint(session), fmt.Sprintf("%+v %#v", session, session), session.LogValue().String()} {
		if strings.Contains(shown, text) || strings.Contains(shown, session.Value) {
			t.Errorf("shown as %s", shown)
		}
	}
	if !strings.Contains(fmt.Sprint(given), made.ID) {
		t.Errorf("%v does not name the token", given)
	}
}

func TestTenantOf(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		got, err := h.TenantOf(t.Context(), "", "")
		if err != nil || got != acme {
			t.Fatalf("the only tenant: %+v, %v", got, err)
		}
		other := h.tenant(t, "other")
		tests := map[string]struct {
			host, header string
			want         host.Tenant
			code         host.Code
		}{
			"OKHost":       {"ACME", "", acme, ""},
			"OKHeader":     {"", "other", other, ""},
			"OKBoth":       {"acme", "acme", acme, ""},
			"ErrDiffer":    {"acme", "other", host.Tenant{}, host.CodeTenantMismatch},
			"ErrUnknown":   {"nobody", "", host.Tenant{}, host.CodeNotFound},
			"ErrNeither":   {"", "", host.Tenant{}, host.CodeInvalid},
			"ErrMalformed": {"", "a' OR 1=1", host.Tenant{}, host.CodeInvalid},
		}
		for name, tc := range tests {
			t.Run(name, func(t *testing.T) {
				got, err := h.TenantOf(t.Context(), tc.host, tc.header)
				wantCode(t, err, tc.code)
				if got != tc.want {
					t.Errorf("tenant = %+v", got)
				}
			})
		}
	})
}

func TestWithoutTenants(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	_, err := h.Login(t.Context(), "", "guest@example.com", "x")
	wantCode(t, err, host.CodeNotFound)
	if !strings.Contains(err.Error(), "tenant create") {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

// What is remembered ends when it must: here at once, elsewhere within two
// seconds.
func TestEndings(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	endings := map[string]func(t *testing.T, h *house, acme host.Tenant, u auth.User, token string) error{
		"Revoked": func(_ *testing.T, h *house, acme host.Tenant, _ auth.User, token string) error {
			return h.RevokeToken(ctx, host.System(acme, "operator"), token)
		},
		"OwnerDisabled": func(_ *testing.T, h *house, acme host.Tenant, u auth.User, _ string) error {
			yes := true
			_, err := h.UpdateUser(ctx, host.System(acme, "operator"), u.ID, auth.UserChange{Disabled: &yes})
			return err
		},
	}
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		h.user(t, acme, "admin@example.com", host.RoleAdmin)
		for name, end := range endings {
			t.Run(name, func(t *testing.T) {
				u, c := h.user(t, acme, strings.ToLower(name)+"@example.com", host.RoleViewer)
				text, made := h.token(t, c, auth.NewToken{})
				elsewhere := h.process()
				given := auth.Credentials{Bearer: text}
				for _, s := range []*auth.Service{h.Service, elsewhere} {
					if _, err := s.Authenticate(ctx, given); err != nil {
						t.Fatal(err)
					}
				}
				if err := end(t, h, acme, u, made.ID); err != nil {
					t.Fatal(err)
				}
				_, err := h.authenticate(text)
				wantCode(t, err, host.CodeUnauthenticated)
				h.clock.pass(2 * time.Second)
				_, err = elsewhere.Authenticate(ctx, given)
				wantCode(t, err, host.CodeUnauthenticated)
			})
		}
		t.Run("Expired", func(t *testing.T) {
			_, c := h.user(t, acme, "expired@example.com", host.RoleViewer)
			text, _ := h.token(t, c, auth.NewToken{Expires: h.clock.Now().Add(500 * time.Millisecond)})
			if _, err := h.authenticate(text); err != nil {
				t.Fatal(err)
			}
			h.clock.pass(500 * time.Millisecond)
			_, err := h.authenticate(text)
			wantCode(t, err, host.CodeUnauthenticated)
		})
		t.Run("RoleNarrowed", func(t *testing.T) {
			u, c := h.user(t, acme, "narrowed@example.com", host.RoleAdmin)
			text, _ := h.token(t, c, auth.NewToken{Role: host.RoleAdmin})
			viewer := host.RoleViewer
			if _, err := h.UpdateUser(ctx, host.System(acme, "operator"), u.ID, auth.UserChange{Role: &viewer}); err != nil {
				t.Fatal(err)
			}
			got, err := h.authenticate(text)
			if err != nil || got.Principal().Role != host.RoleViewer {
				t.Fatalf("%+v, %v", got, err)
			}
		})
		t.Run("TenantDeleted", func(t *testing.T) {
			brief := h.tenant(t, "brief")
			_, c := h.user(t, brief, "a@example.com", host.RoleAdmin)
			text, _ := h.token(t, c, auth.NewToken{})
			if _, err := h.authenticate(text); err != nil {
				t.Fatal(err)
			}
			if err := h.tenants.Delete(ctx, "brief"); err != nil {
				t.Fatal(err)
			}
			h.clock.pass(2 * time.Second)
			_, err := h.authenticate(text)
			wantCode(t, err, host.CodeUnauthenticated)
			_, err = h.CreateUser(ctx, host.System(brief, "x"), auth.NewUser{Email: "b@example.com", Role: host.RoleAdmin})
			wantCode(t, err, host.CodeNotFound)
		})
	})
}

// Many requests with one token that is due for a look-up all get their answer.
func TestAuthenticateConcurrently(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		_, c := h.user(t, acme, "a@example.com", host.RoleViewer)
		text, made := h.token(t, c, auth.NewToken{})
		for range 5 {
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if _, err := h.authenticate(text); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			h.clock.pass(1500 * time.Millisecond)
		}
		// However a revocation and look-ups fall together, none outlasts it.
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _, _ = h.authenticate(text) })
		}
		if err := h.RevokeToken(t.Context(), c, made.ID); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		_, err := h.authenticate(text)
		wantCode(t, err, host.CodeUnauthenticated)
	})
}

// A store that is gone is not taken for a bad credential, and not for a good one.
func TestStoreGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	acme := h.tenant(t, "acme")
	_, c := h.user(t, acme, "a@example.com", host.RoleViewer)
	text, made := h.token(t, c, auth.NewToken{})
	session := h.login(t, "acme", "a@example.com").Value
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	byToken := host.NewCaller(acme, host.Principal{Kind: host.KindToken, ID: made.ID, Role: host.RoleViewer})
	fails := map[string]func() error{
		"Token":   func() error { _, err := h.authenticate(text); return err },
		"Session": func() error { _, err := h.Authenticate(ctx, auth.Credentials{Session: session}); return err },
		"Login":   func() error { _, err := h.Login(ctx, "acme", "a@example.com", goodPassword); return err },
		"Scopes":  func() error { return h.Authorize(ctx, byToken, host.ActionCatalogRead, "*") },
		"Users":   func() error { _, err := h.ListUsers(ctx, host.System(acme, "x")); return err },
		"Tokens":  func() error { _, err := h.ListTokens(ctx, c); return err },
		"Purge":   func() error { return h.Purge(ctx) },
	}
	for name, f := range fails {
		t.Run(name, func(t *testing.T) {
			switch code := host.CodeOf(f()); code {
			case "", host.CodeUnauthenticated, host.CodeForbidden, host.CodeNotFound:
				t.Errorf("code %q on a store that is gone", code)
			}
		})
	}
}

// A credential of one tenant never becomes a caller of another, whatever host
// name and header say.
func TestIsolation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		slugs := []string{"aa", "ab", "ba"}
		type held struct {
			of    host.Tenant
			given auth.Credentials
		}
		var all []held
		for _, slug := range slugs {
			of := h.tenant(t, slug)
			_, c := h.user(t, of, "same@example.com", host.RoleAdmin)
			text, _ := h.token(t, c, auth.NewToken{})
			all = append(all, held{of, auth.Credentials{Bearer: text}},
				held{of, auth.Credentials{Session: h.login(t, slug, "same@example.com").Value}})
		}
		named := append([]string{"", "AA", "aB", "aa.", "a", "nobody", "aa\x00", "ａａ"}, slugs...)
		rapid.Check(t, func(t *rapid.T) {
			who := rapid.SampledFrom(all).Draw(t, "credential")
			given := who.given
			if rapid.Bool().Draw(t, "with another's cookie") {
				given.Session = rapid.SampledFrom(all).Draw(t, "cookie").given.Session
			}
			given.HostTenant = rapid.SampledFrom(named).Draw(t, "host")
			given.HeaderTenant = rapid.SampledFrom(named).Draw(t, "header")
			h.clock.pass(time.Duration(rapid.IntRange(0, 1200).Draw(t, "milliseconds pass")) * time.Millisecond)
			got, err := h.Authenticate(context.Background(), given)
			if err != nil {
				if got.TenantID() != "" {
					t.Fatal("a tenant comes with the error")
				}
				agree := func(name string) bool { return name == "" || strings.ToLower(name) == who.of.Slug }
				if given == (auth.Credentials{Bearer: who.given.Bearer, Session: who.given.Session, HostTenant: given.HostTenant, HeaderTenant: given.HeaderTenant}) &&
					agree(given.HostTenant) && agree(given.HeaderTenant) {
					t.Fatalf("a request that agrees is refused: %v", err)
				}
				return
			}
			if given.Bearer != "" && got.TenantID() != who.of.ID {
				t.Fatalf("a token of %s became a caller of %s", who.of.Slug, got.Tenant().Slug)
			}
			for _, name := range []string{given.HostTenant, given.HeaderTenant} {
				if name != "" && strings.ToLower(name) != got.Tenant().Slug {
					t.Fatalf("a request that names %q became a caller of %s", name, got.Tenant().Slug)
				}
			}
			if err := h.Authorize(context.Background(), got, host.ActionCatalogRead, "*"); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func FuzzAuthenticate(f *testing.F) {
	h := newHouse(f, storetest.SQLite(f))
	acme := h.tenant(f, "acme")
	_, c := h.user(f, acme, "a@example.com", host.RoleViewer)
	text, _ := h.token(f, c, auth.NewToken{})
	session := h.login(f, "acme", "a@example.com").Value
	f.Add(text, "", "acme", "")
	f.Add("", session, "", "acme")
	f.Add(session, text, "", "")
	f.Add(text+"\x00", session[:10], "acme", "ACME")
	f.Fuzz(func(t *testing.T, bearer, cookie, hostName, header string) {
		got, err := h.Authenticate(t.Context(), auth.Credentials{Bearer: bearer, Session: cookie, HostTenant: hostName, HeaderTenant: header})
		if err == nil {
			if bearer != text && (bearer != "" || cookie != session) {
				t.Fatalf("%q, %q is accepted as %+v", bearer, cookie, got)
			}
			return
		}
		if code := host.CodeOf(err); code != host.CodeUnauthenticated && code != host.CodeTenantMismatch {
			t.Fatalf("error %v of code %s", err, code)
		}
	})
}
