package auth_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/store"
)

func TestCreateToken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		u, member := h.user(t, acme, "m@example.com", host.RoleMember)
		soon := h.clock.Now().Add(time.Hour)
		text, made := h.token(t, member, auth.NewToken{Label: " ci ", Role: host.RoleViewer, Expires: soon,
			Scopes: []string{"plugin.*", "catalog.entity.read", "plugin.*"}})
		if made.Label != "ci" || made.Role != host.RoleViewer || !made.ExpiresAt.Equal(soon) || made.Owner != u.ID ||
			!slices.Equal(made.Scopes, []string{"catalog.entity.read", "plugin.*"}) || !strings.HasPrefix(text, "cb_"+made.ID+"_") {
			t.Errorf("token = %+v", made)
		}
		many := make([]string, 51)
		for i := range many {
			many[i] = fmt.Sprint("a.b", i)
		}
		tests := map[string]struct {
			caller host.Caller
			token  auth.NewToken
			code   host.Code
		}{
			"OKOwnRole":      {member, auth.NewToken{Role: host.RoleMember}, ""},
			"OKOperator":     {host.System(acme, "operator"), auth.NewToken{Role: host.RoleAdmin}, ""},
			"ErrWiderRole":   {member, auth.NewToken{Role: host.RoleAdmin}, host.CodeForbidden},
			"ErrRole":        {member, auth.NewToken{Role: "x"}, host.CodeInvalid},
			"ErrExpired":     {member, auth.NewToken{Role: host.RoleViewer, Expires: h.clock.Now()}, host.CodeInvalid},
			"ErrLabel":       {member, auth.NewToken{Role: host.RoleViewer, Label: strings.Repeat("x", 101)}, host.CodeInvalid},
			"ErrScope":       {member, auth.NewToken{Role: host.RoleViewer, Scopes: []string{"catalog.<.*>"}}, host.CodeInvalid},
			"ErrScopeSpace":  {member, auth.NewToken{Role: host.RoleViewer, Scopes: []string{"catalog.* *"}}, host.CodeInvalid},
			"ErrEmptyScope":  {member, auth.NewToken{Role: host.RoleViewer, Scopes: []string{""}}, host.CodeInvalid},
			"ErrManyScopes":  {member, auth.NewToken{Role: host.RoleViewer, Scopes: many}, host.CodeInvalid},
			"ErrPlugin":      {as(acme, host.KindPlugin, host.RoleAdmin), auth.NewToken{Role: host.RoleViewer}, host.CodeForbidden},
			"ErrUnknownUser": {host.Caller{}, auth.NewToken{Role: host.RoleViewer}, host.CodeUnauthenticated},
		}
		for name, tc := range tests {
			t.Run(name, func(t *testing.T) {
				_, _, err := h.CreateToken(ctx, tc.caller, tc.token)
				wantCode(t, err, tc.code)
			})
		}
		t.Run("KeptHashedAndNeverRecorded", func(t *testing.T) {
			var hashes [][]byte
			err := h.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
				return q.NewSelect().Table("tokens").Column("hash").Where("id = ?", made.ID).Scan(ctx, &hashes)
			})
			if err != nil || len(hashes) != 1 || len(hashes[0]) != 32 || strings.Contains(text, string(hashes[0])) {
				t.Errorf("kept as %x, %v", hashes, err)
			}
			h.actions(t, acme)
			space, err := h.db.Tenant(acme.ID)
			if err != nil {
				t.Fatal(err)
			}
			var details []string
			err = space.Read(ctx, func(ctx context.Context, q store.Querier) error {
				return q.NewSelect().Table("audit").Column("detail").Scan(ctx, &details)
			})
			secret := strings.Split(text, "_")[2]
			if err != nil || len(details) == 0 || strings.Contains(strings.Join(details, " "), secret) {
				t.Errorf("audit details = %v, %v", details, err)
			}
		})
	})
}

// A token that makes a token gives on no more than it has.
func TestTokenOfAToken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		u, admin := h.user(t, acme, "a@example.com", host.RoleAdmin)
		end := h.clock.Now().Add(time.Hour)
		text, _ := h.token(t, admin, auth.NewToken{Role: host.RoleMember, Expires: end, Scopes: []string{"tenant.token.own", "catalog.entity.*"}})
		parent, err := h.authenticate(text)
		if err != nil {
			t.Fatal(err)
		}
		t.Run("InheritsBounds", func(t *testing.T) {
			_, child := h.token(t, parent, auth.NewToken{Role: host.RoleMember})
			if !slices.Equal(child.Scopes, []string{"catalog.entity.*", "tenant.token.own"}) || !child.ExpiresAt.Equal(end) || child.Owner != u.ID {
				t.Errorf("child = %+v", child)
			}
			_, brief := h.token(t, parent, auth.NewToken{Expires: end.Add(-time.Minute), Scopes: []string{"catalog.entity.read"}})
			if !brief.ExpiresAt.Equal(end.Add(-time.Minute)) || !slices.Equal(brief.Scopes, []string{"catalog.entity.read"}) {
				t.Errorf("narrower child = %+v", brief)
			}
			_, long := h.token(t, parent, auth.NewToken{Expires: end.Add(time.Hour), Scopes: []string{"catalog.entity.read"}})
			if !long.ExpiresAt.Equal(end) {
				t.Errorf("child outlives its parent: %+v", long)
			}
		})
		for name, scope := range map[string]string{"ErrWiderScope": "catalog.*", "ErrAll": "*", "ErrOtherScope": "plugin.operation.read"} {
			t.Run(name, func(t *testing.T) {
				_, _, err := h.CreateToken(ctx, parent, auth.NewToken{Role: host.RoleViewer, Scopes: []string{scope}})
				wantCode(t, err, host.CodeForbidden)
			})
		}
		t.Run("ErrWiderRole", func(t *testing.T) {
			_, _, err := h.CreateToken(ctx, parent, auth.NewToken{Role: host.RoleAdmin})
			wantCode(t, err, host.CodeForbidden)
		})
		t.Run("ErrNoScopeForIt", func(t *testing.T) {
			text, _ := h.token(t, admin, auth.NewToken{Role: host.RoleAdmin, Scopes: []string{"catalog.*"}})
			c, err := h.authenticate(text)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = h.CreateToken(ctx, c, auth.NewToken{Role: host.RoleViewer})
			wantCode(t, err, host.CodeForbidden)
		})
		t.Run("ErrExpiredParent", func(t *testing.T) {
			h.clock.pass(time.Hour)
			_, _, err := h.CreateToken(ctx, parent, auth.NewToken{Role: host.RoleViewer})
			wantCode(t, err, host.CodeUnauthenticated)
		})
	})
}

func TestListAndRevokeTokens(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		_, admin := h.user(t, acme, "a@example.com", host.RoleAdmin)
		_, mine := h.user(t, acme, "m@example.com", host.RoleViewer)
		_, theirs := h.user(t, acme, "t@example.com", host.RoleViewer)
		_, operators := h.token(t, host.System(acme, "operator"), auth.NewToken{Label: "operator"})
		h.clock.pass(time.Second)
		myText, my := h.token(t, mine, auth.NewToken{Label: "mine"})
		h.clock.pass(time.Second)
		_, their := h.token(t, theirs, auth.NewToken{Label: "theirs"})
		byToken, err := h.authenticate(myText)
		if err != nil {
			t.Fatal(err)
		}
		list := func(c host.Caller) []string {
			t.Helper()
			tokens, err := h.ListTokens(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			labels := []string{}
			for _, tok := range tokens {
				labels = append(labels, tok.Label)
			}
			return labels
		}
		other := h.tenant(t, "other")
		for who, tc := range map[string]struct {
			c    host.Caller
			want []string
		}{
			"Admin": {admin, []string{"theirs", "mine", "operator"}}, "System": {host.System(acme, "x"), []string{"theirs", "mine", "operator"}},
			"Mine": {mine, []string{"mine"}}, "MyToken": {byToken, []string{"mine"}}, "Theirs": {theirs, []string{"theirs"}},
			"OtherTenant": {host.System(other, "x"), []string{}},
		} {
			if got := list(tc.c); !slices.Equal(got, tc.want) {
				t.Errorf("%s sees %v, want %v", who, got, tc.want)
			}
		}
		for name, tc := range map[string]struct {
			c  host.Caller
			id string
		}{
			"ErrTheirs": {mine, their.ID}, "ErrTheirsByToken": {byToken, their.ID}, "ErrOperators": {mine, operators.ID},
			"ErrOtherTenant": {host.System(other, "x"), my.ID}, "ErrUnknown": {admin, "x' OR '1'='1"},
		} {
			t.Run(name, func(t *testing.T) { wantCode(t, h.RevokeToken(ctx, tc.c, tc.id), host.CodeNotFound) })
		}
		if err := h.RevokeToken(ctx, byToken, my.ID); err != nil {
			t.Fatal(err)
		}
		if err := h.RevokeToken(ctx, admin, operators.ID); err != nil {
			t.Fatal(err)
		}
		wantCode(t, h.RevokeToken(ctx, admin, operators.ID), host.CodeNotFound)
		if got := list(admin); !slices.Equal(got, []string{"theirs"}) {
			t.Errorf("after revoking: %v", got)
		}
		got := h.actions(t, acme)
		if n := len(got); n < 2 || got[n-1] != "token.revoke" || got[n-2] != "token.revoke" {
			t.Errorf("audit = %v", got)
		}
	})
}

// Last use is written lazily, in batches, and by more than one process.
func TestLastUse(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		_, c := h.user(t, acme, "a@example.com", host.RoleViewer)
		text, _ := h.token(t, c, auth.NewToken{})
		use := func(s *auth.Service) time.Time {
			t.Helper()
			if _, err := s.Authenticate(ctx, auth.Credentials{Bearer: text}); err != nil {
				t.Fatal(err)
			}
			return h.clock.Now()
		}
		last := func() time.Time {
			t.Helper()
			tokens, err := h.ListTokens(ctx, c)
			if err != nil || len(tokens) != 1 {
				t.Fatalf("%v, %v", tokens, err)
			}
			return tokens[0].LastUsedAt
		}
		first := use(h.Service)
		if !last().IsZero() {
			t.Error("a use is written at once")
		}
		if err := h.FlushUses(ctx); err != nil || !last().Equal(first) {
			t.Fatalf("last use = %s, %v; want %s", last(), err, first)
		}
		h.clock.pass(30 * time.Second)
		use(h.Service)
		if err := h.FlushUses(ctx); err != nil || !last().Equal(first) {
			t.Errorf("a use within the same minute is written: %s, %v", last(), err)
		}
		h.clock.pass(time.Minute)
		elsewhere := h.process()
		older := use(h.Service)
		h.clock.pass(time.Minute)
		newer := use(elsewhere)
		if err := elsewhere.FlushUses(ctx); err != nil || !last().Equal(newer) {
			t.Fatalf("last use = %s, %v; want %s", last(), err, newer)
		}
		if err := h.FlushUses(ctx); err != nil || !last().Equal(newer) {
			t.Errorf("a late writer took it back to %s (%s), %v", last(), older, err)
		}
	})
}

// Run writes what waits when it ends.
func TestRun(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		_, c := h.user(t, acme, "a@example.com", host.RoleViewer)
		text, _ := h.token(t, c, auth.NewToken{})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { h.Run(ctx); close(done) }()
		if _, err := h.authenticate(text); err != nil {
			t.Fatal(err)
		}
		stop()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("Run does not end")
		}
		tokens, err := h.ListTokens(t.Context(), c)
		if err != nil || tokens[0].LastUsedAt.IsZero() {
			t.Errorf("tokens = %+v, %v", tokens, err)
		}
	}, func(s *auth.Settings) { s.WriteUse = time.Millisecond })
}
