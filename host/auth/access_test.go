package auth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/auth/policy"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/ory/ladon"
	"pgregory.net/rapid"
)

// everyAction is the closed set of actions.
func everyAction() []host.Action {
	return []host.Action{
		host.ActionCatalogRead, host.ActionCatalogRefresh, host.ActionLocationRead, host.ActionLocationWrite,
		host.ActionPluginRead, host.ActionPluginManage, host.ActionUserManage, host.ActionTokenOwn, host.ActionAuditRead,
		host.ActionOperationRead, host.ActionOperationWrite, host.ActionOperationAdmin,
	}
}

func as(of host.Tenant, kind host.PrincipalKind, role host.Role) host.Caller {
	return host.NewCaller(of, host.Principal{Kind: kind, ID: "someone", Role: role})
}

func TestRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	acme := h.tenant(t, "acme")
	viewer := []host.Action{host.ActionCatalogRead, host.ActionLocationRead, host.ActionPluginRead, host.ActionTokenOwn, host.ActionOperationRead}
	member := append(slices.Clone(viewer), host.ActionCatalogRefresh, host.ActionLocationWrite, host.ActionOperationWrite)
	tests := map[string]struct {
		caller host.Caller
		may    []host.Action
	}{
		"Viewer":           {as(acme, host.KindUser, host.RoleViewer), viewer},
		"Member":           {as(acme, host.KindUser, host.RoleMember), member},
		"Admin":            {as(acme, host.KindUser, host.RoleAdmin), everyAction()},
		"System":           {host.System(acme, "refresh"), everyAction()},
		"PluginAlone":      {as(acme, host.KindPlugin, ""), []host.Action{host.ActionCatalogRead}},
		"PluginForAdmin":   {as(acme, host.KindPlugin, host.RoleAdmin), []host.Action{host.ActionCatalogRead}},
		"PluginForNobody":  {as(acme, host.KindPlugin, "intruder"), nil},
		"ErrUnknownRole":   {as(acme, host.KindUser, "owner"), nil},
		"ErrNoRole":        {as(acme, host.KindUser, ""), nil},
		"ErrUnknownKind":   {as(acme, "robot", host.RoleAdmin), nil},
		"ErrRoleIsSubject": {as(acme, host.KindUser, "admin\x00"), nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, action := range append(everyAction(), "unknown.action", "*", "") {
				err := h.Authorize(t.Context(), tc.caller, action, "*")
				known := slices.Contains(everyAction(), action)
				if want := slices.Contains(tc.may, action) || (name == "System" && !known); (err == nil) != want {
					t.Errorf("%q: error = %v, want allowed = %v", action, err, want)
				}
				if err != nil && (host.CodeOf(err) != host.CodeForbidden || !strings.Contains(err.Error(), "no policy allows it")) {
					t.Errorf("%q: the error does not say why: %v", action, err)
				}
			}
		})
	}
	t.Run("ErrZeroCaller", func(t *testing.T) {
		t.Parallel()
		wantCode(t, h.Authorize(t.Context(), host.Caller{}, host.ActionCatalogRead, "*"), host.CodeUnauthenticated)
		nobody := host.NewCaller(host.Tenant{}, host.Principal{Kind: host.KindSystem, ID: "x", Role: host.RoleAdmin})
		wantCode(t, h.Authorize(t.Context(), nobody, host.ActionCatalogRead, "*"), host.CodeUnauthenticated)
		_, err := h.Explain(t.Context(), host.Caller{}, host.ActionCatalogRead, "*")
		wantCode(t, err, host.CodeUnauthenticated)
	})
	t.Run("ExplainNamesThePolicy", func(t *testing.T) {
		t.Parallel()
		yes, err := h.Explain(t.Context(), as(acme, host.KindUser, host.RoleMember), host.ActionCatalogRead, "entity:x")
		if err != nil || !yes.Allowed || yes.Policy != "builtin/viewer" || !strings.Contains(yes.Reason, "builtin/viewer") {
			t.Errorf("%+v, %v", yes, err)
		}
		no, err := h.Explain(t.Context(), as(acme, host.KindUser, host.RoleMember), host.ActionUserManage, "*")
		if err != nil || no.Allowed || no.Policy != "" || !strings.Contains(no.Reason, `"member"`) {
			t.Errorf("%+v, %v", no, err)
		}
	})
}

// Whoever may do something as a narrower role may do it as a wider one.
func TestRolesAreMonotonic(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	acme := h.tenant(t, "acme")
	roles := []host.Role{host.RoleViewer, host.RoleMember, host.RoleAdmin}
	rapid.Check(t, func(t *rapid.T) {
		action := rapid.SampledFrom(append(everyAction(), "x.y")).Draw(t, "action")
		resource := rapid.SampledFrom([]string{"*", "", "entity:component:default/a", "plugin:x"}).Draw(t, "resource")
		kind := rapid.SampledFrom([]host.PrincipalKind{host.KindUser, host.KindPlugin}).Draw(t, "kind")
		allowed := false
		for _, role := range roles {
			err := h.Authorize(context.Background(), as(acme, kind, role), action, resource)
			if allowed && err != nil {
				t.Fatalf("%s may not do %s, though a narrower role may: %v", role, action, err)
			}
			allowed = err == nil
		}
	})
}

// A token may do what both its role and its scopes allow, and nothing else.
func TestScopes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		_, admin := h.user(t, acme, "admin@example.com", host.RoleAdmin)
		patterns := []string{"catalog.*", "catalog.entity.*", "catalog.entity.read", "plugin.operation.read", "tenant.*", "*", "nothing.at-all"}
		covers := func(pattern string, a host.Action) bool {
			return pattern == string(a) || strings.HasSuffix(pattern, "*") && strings.HasPrefix(string(a), strings.TrimSuffix(pattern, "*"))
		}
		rapid.Check(t, func(rt *rapid.T) {
			role := rapid.SampledFrom([]host.Role{host.RoleViewer, host.RoleMember, host.RoleAdmin}).Draw(rt, "role")
			scopes := rapid.SliceOfNDistinct(rapid.SampledFrom(patterns), 0, 3, rapid.ID[string]).Draw(rt, "scopes")
			text, _ := h.token(t, admin, auth.NewToken{Role: role, Scopes: scopes})
			c, err := h.authenticate(text)
			if err != nil {
				rt.Fatal(err)
			}
			for _, a := range everyAction() {
				byRole := h.Authorize(context.Background(), as(acme, host.KindUser, role), a, "*") == nil
				byScope := len(scopes) == 0 || slices.ContainsFunc(scopes, func(p string) bool { return covers(p, a) })
				err := h.Authorize(context.Background(), c, a, "*")
				if (err == nil) != (byRole && byScope) {
					rt.Fatalf("%s: error = %v; role allows %v, scopes allow %v", a, err, byRole, byScope)
				}
				if err != nil && !byScope && !strings.Contains(err.Error(), "scopes of the token") {
					rt.Fatalf("the error does not say why: %v", err)
				}
			}
		})
		t.Run("HoldWhereTheTokenIsNotRemembered", func(t *testing.T) {
			text, made := h.token(t, admin, auth.NewToken{Role: host.RoleAdmin, Scopes: []string{"catalog.*"}})
			c, err := h.authenticate(text)
			if err != nil {
				t.Fatal(err)
			}
			elsewhere := h.process()
			if err := elsewhere.Authorize(t.Context(), c, host.ActionCatalogRead, "*"); err != nil {
				t.Error(err)
			}
			wantCode(t, elsewhere.Authorize(t.Context(), c, host.ActionUserManage, "*"), host.CodeForbidden)
			if err := h.RevokeToken(t.Context(), admin, made.ID); err != nil {
				t.Fatal(err)
			}
			wantCode(t, h.Authorize(t.Context(), c, host.ActionCatalogRead, "*"), host.CodeUnauthenticated)
			h.clock.pass(2 * time.Second)
			wantCode(t, elsewhere.Authorize(t.Context(), c, host.ActionCatalogRead, "*"), host.CodeUnauthenticated)
		})
		t.Run("ErrTokenOfAnotherTenant", func(t *testing.T) {
			other := h.tenant(t, "other")
			_, made := h.token(t, admin, auth.NewToken{})
			forged := host.NewCaller(other, host.Principal{Kind: host.KindToken, ID: made.ID, Role: host.RoleAdmin})
			wantCode(t, h.Authorize(t.Context(), forged, host.ActionCatalogRead, "*"), host.CodeUnauthenticated)
		})
	})
}

// policies are a tenant's own policies that the test changes.
type policies struct {
	mu  sync.Mutex
	of  map[host.TenantID][]*policy.Policy
	err error
}

func (p *policies) Policies(_ context.Context, id host.TenantID) ([]*policy.Policy, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[id], p.err
}

func (p *policies) set(id host.TenantID, err error, own ...*policy.Policy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of[id], p.err = own, err
}

func TestTenantPolicies(t *testing.T) {
	t.Parallel()
	source := &policies{of: map[host.TenantID][]*policy.Policy{}}
	h := newHouse(t, storetest.SQLite(t), func(s *auth.Settings) { s.Policies = source })
	acme, other := h.tenant(t, "acme"), h.tenant(t, "other")
	ctx := t.Context()
	u, c := h.user(t, acme, "a@example.com", host.RoleMember)
	_, o := h.user(t, other, "a@example.com", host.RoleMember)
	own := func(id, effect, subject, action, resource string) *policy.Policy {
		return &policy.Policy{ID: id, Subjects: []string{subject}, Actions: []string{action}, Resources: []string{resource}, Effect: effect}
	}
	read := func(c host.Caller, resource string) error {
		return h.Authorize(ctx, c, host.ActionCatalogRead, resource)
	}
	if err := read(c, "entity:component:default/secret"); err != nil {
		t.Fatal(err)
	}

	source.set(acme.ID, nil, own("no-secret", ladon.DenyAccess, "role:member", "catalog.*", "entity:component:default/secret"))
	h.ForgetPolicies(acme.ID)
	err := read(c, "entity:component:default/secret")
	wantCode(t, err, host.CodeForbidden)
	if !strings.Contains(err.Error(), `"no-secret"`) {
		t.Errorf("the error does not name the policy: %v", err)
	}
	if err := errors.Join(read(c, "entity:component:default/open"), read(o, "entity:component:default/secret")); err != nil {
		t.Errorf("the policy reaches too far: %v", err)
	}

	source.set(acme.ID, nil, own("audit-for-one", ladon.AllowAccess, "user:"+u.ID, string(host.ActionAuditRead), "*"))
	h.clock.pass(time.Second)
	if err := errors.Join(read(c, "entity:component:default/secret"), h.Authorize(ctx, c, host.ActionAuditRead, "*")); err != nil {
		t.Errorf("a changed policy is not seen after a second: %v", err)
	}
	wantCode(t, h.Authorize(ctx, as(acme, host.KindUser, host.RoleMember), host.ActionAuditRead, "*"), host.CodeForbidden)

	source.set(acme.ID, nil, own("not-this-one", ladon.DenyAccess, "user:"+u.ID, "*", "*"))
	h.clock.pass(time.Second)
	wantCode(t, read(c, "x"), host.CodeForbidden)
	// The same policies read again decide the same.
	h.clock.pass(time.Second)
	wantCode(t, read(c, "x"), host.CodeForbidden)

	source.set(acme.ID, nil, own("no-plugin", ladon.DenyAccess, "plugin:someone", "catalog.*", "*"))
	h.clock.pass(time.Second)
	wantCode(t, read(as(acme, host.KindPlugin, ""), "x"), host.CodeForbidden)

	for name, bad := range map[string]*policy.Policy{
		"ErrSystem":  own("x", ladon.DenyAccess, "kind:system", "*", "*"),
		"ErrBuiltin": own("builtin/viewer", ladon.AllowAccess, "role:viewer", "*", "*"),
		"ErrRegexp":  own("x", ladon.AllowAccess, "role:viewer", "<.*>", "*"),
	} {
		source.set(acme.ID, nil, bad)
		h.ForgetPolicies(acme.ID)
		if code := host.CodeOf(read(c, "x")); code != host.CodeInvalid {
			t.Errorf("%s: code = %q", name, code)
		}
	}
	source.set(acme.ID, errors.New("store gone"))
	h.ForgetPolicies(acme.ID)
	wantCode(t, read(c, "x"), host.CodeInternal)
}
