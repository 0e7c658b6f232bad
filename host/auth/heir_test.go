package auth_test

import (
	"context"
	"slices"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
)

// Who holds a leaked token may have made others with it: revoking it ends them.
func TestRevokingEndsWhatATokenMade(t *testing.T) {
	t.Parallel()
	for name, maker := range map[string]func(*testing.T, *house, host.Tenant) host.Caller{
		"OfAUser": func(t *testing.T, h *house, acme host.Tenant) host.Caller {
			_, c := h.user(t, acme, "m@example.com", host.RoleMember)
			return c
		},
		"OfAnOperator": func(_ *testing.T, _ *house, acme host.Tenant) host.Caller { return host.System(acme, "operator") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, h *house, acme host.Tenant) { revokeFamily(t, h, acme, maker(t, h, acme)) })
		})
	}
}

// family is a token, one made with it, one made with that, and a stranger.
type family struct {
	texts  map[string]string
	tokens map[string]auth.Token
}

func newFamily(t *testing.T, h *house, maker host.Caller) family {
	t.Helper()
	f := family{map[string]string{}, map[string]auth.Token{}}
	for _, m := range []struct{ name, parent string }{{"parent", ""}, {"child", "parent"}, {"grandchild", "child"}, {"stranger", ""}} {
		c := maker
		if m.parent != "" {
			var err error
			if c, err = h.authenticate(f.texts[m.parent]); err != nil {
				t.Fatal(err)
			}
		}
		f.texts[m.name], f.tokens[m.name] = h.token(t, c, auth.NewToken{Label: m.name})
		if got := f.tokens[m.name].Parent; got != f.tokens[m.parent].ID {
			t.Errorf("the parent of %s is %q", m.name, got)
		}
	}
	return f
}

func revokeFamily(t *testing.T, h *house, acme host.Tenant, maker host.Caller) {
	f := newFamily(t, h, maker)
	operator := host.System(acme, "operator")
	elsewhere := h.process()
	tokens, err := h.ListTokens(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range tokens {
		if tok.Parent != f.tokens[tok.Label].Parent {
			t.Errorf("the list says that %s comes from %q", tok.Label, tok.Parent)
		}
	}
	if err := h.RevokeToken(t.Context(), operator, f.tokens["parent"].ID); err != nil {
		t.Fatal(err)
	}
	for name, code := range map[string]host.Code{"parent": host.CodeUnauthenticated, "child": host.CodeUnauthenticated,
		"grandchild": host.CodeUnauthenticated, "stranger": ""} {
		t.Run(name, func(t *testing.T) {
			_, err := h.authenticate(f.texts[name])
			wantCode(t, err, code)
			_, err = elsewhere.Authenticate(context.Background(), auth.Credentials{Bearer: f.texts[name]})
			wantCode(t, err, code)
		})
	}
	var ended int
	for _, action := range h.actions(t, acme) {
		if action == "token.revoke" {
			ended++
		}
	}
	if ended != 3 {
		t.Errorf("the record tells %d revocations: %v", ended, h.actions(t, acme))
	}
	left, err := h.ListTokens(t.Context(), operator)
	if err != nil || !slices.ContainsFunc(left, func(t auth.Token) bool { return t.Label == "stranger" }) || len(left) != 1 {
		t.Errorf("left are %+v, %v", left, err)
	}
}

// Revoking goes down the line, never up.
func TestRevokingAChild(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		f := newFamily(t, h, host.System(acme, "operator"))
		parent, err := h.authenticate(f.texts["parent"])
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, h.RevokeToken(t.Context(), parent, f.tokens["stranger"].ID), host.CodeNotFound)
		if err := h.RevokeToken(t.Context(), host.System(acme, "operator"), f.tokens["child"].ID); err != nil {
			t.Fatal(err)
		}
		for name, code := range map[string]host.Code{"parent": "", "child": host.CodeUnauthenticated, "grandchild": host.CodeUnauthenticated, "stranger": ""} {
			if _, err := h.authenticate(f.texts[name]); host.CodeOf(err) != code {
				t.Errorf("%s: %v, want code %q", name, err, code)
			}
		}
	})
}
