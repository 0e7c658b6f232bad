package auth

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth/policy"
	"github.com/ory/ladon"
)

// builtin begins the ids of the policies that come with the product.
const builtin = "builtin/"

// Subjects that policies name.
const (
	subjectSystem = "kind:system"
	subjectPlugin = "kind:plugin"
	subjectAdmin  = "role:admin"
	subjectMember = "role:member"
	subjectViewer = "role:viewer"
)

// BuiltinPolicies returns the policies of the roles. Each role has what the
// narrower ones have. Plugins that act by themselves read the catalog only.
func BuiltinPolicies() []*policy.Policy {
	allow := func(id, says string, subjects []string, actions ...host.Action) *policy.Policy {
		p := &policy.Policy{ID: builtin + id, Description: says, Subjects: subjects, Resources: []string{"*"}, Effect: ladon.AllowAccess}
		for _, a := range actions {
			p.Actions = append(p.Actions, string(a))
		}
		return p
	}
	return []*policy.Policy{
		allow("viewer", "Everybody reads.", []string{subjectViewer, subjectMember, subjectAdmin},
			host.ActionCatalogRead, host.ActionLocationRead, host.ActionPluginRead, host.ActionOperationRead, host.ActionTokenOwn),
		allow("member", "Members change the catalog and act through plugins.", []string{subjectMember, subjectAdmin},
			host.ActionCatalogRefresh, host.ActionLocationWrite, host.ActionOperationWrite),
		allow("admin", "Admins run the tenant.", []string{subjectAdmin},
			host.ActionPluginManage, host.ActionUserManage, host.ActionAuditRead, host.ActionOperationAdmin),
		allow("plugin", "Plugins read the catalog.", []string{subjectPlugin}, host.ActionCatalogRead),
		allow("system", "The host does its own work.", []string{subjectSystem}, "*"),
	}
}

func builtinBook() *policy.Book {
	book, err := policy.NewBook(BuiltinPolicies()...)
	if err != nil {
		panic("auth: the built-in policies are not valid: " + err.Error())
	}
	return book
}

// shelf is a tenant's book and when it was read.
type shelf struct {
	book *policy.Book
	own  []*policy.Policy
	read time.Time
}

// Explanation says why something is allowed or not.
type Explanation struct {
	Allowed bool
	// Policy is the id of the policy that decided; empty if none allows it or a
	// token's scopes stand against it.
	Policy string
	// Reason is a clause for people: "the policy … denies it".
	Reason string
}

// Authorize returns nil if the caller may do the action to the resource, else an
// Error of CodeForbidden that says why not. A caller without tenant or principal
// is CodeUnauthenticated.
func (s *Service) Authorize(ctx context.Context, c host.Caller, action host.Action, resource string) error {
	d, err := s.decide(ctx, c, action, resource)
	if err != nil {
		return err
	}
	if d.Effect == policy.Allow {
		return nil
	}
	return host.Errorf(host.CodeForbidden, "You may not do this (%s on %s): %s.", action, resource, reason(c, d)).
		WithHint("Ask an admin of %s.", c.Tenant().Name)
}

// Explain returns what Authorize decides, with the reason for both answers.
func (s *Service) Explain(ctx context.Context, c host.Caller, action host.Action, resource string) (Explanation, error) {
	d, err := s.decide(ctx, c, action, resource)
	if err != nil {
		return Explanation{}, err
	}
	return Explanation{Allowed: d.Effect == policy.Allow, Policy: d.Policy, Reason: reason(c, d)}, nil
}

// ForgetPolicies makes the next decision in the tenant read its policies again.
func (s *Service) ForgetPolicies(tenant host.TenantID) { s.shelves.Delete(tenant) }

// verdict is a decision, and what stood against it beside policies.
type verdict struct {
	policy.Decision
	scoped bool // the token's scopes leave the action out
}

func reason(c host.Caller, v verdict) string {
	switch {
	case v.scoped:
		return "the scopes of the token leave it out"
	case v.Effect == policy.Allow:
		return fmt.Sprintf("the policy %q allows it", v.Policy)
	case v.Effect == policy.Deny:
		return fmt.Sprintf("the policy %q denies it", v.Policy)
	case c.Principal().Kind == host.KindPlugin:
		return "no policy allows it to a plugin"
	}
	return fmt.Sprintf("no policy allows it to the role %q", c.Principal().Role)
}

func (s *Service) decide(ctx context.Context, c host.Caller, action host.Action, resource string) (verdict, error) {
	p := c.Principal()
	if c.TenantID() == "" || p.ID == "" {
		return verdict{}, host.Errorf(host.CodeUnauthenticated, "You are not signed in.").WithHint("Sign in first.")
	}
	book, err := s.book(ctx, c.TenantID())
	if err != nil {
		return verdict{}, err
	}
	switch p.Kind {
	case host.KindSystem:
		d, err := book.Decide(ctx, subjectSystem, string(action), resource)
		return verdict{Decision: d}, err
	case host.KindPlugin:
		return decidePlugin(ctx, book, p, action, resource)
	case host.KindToken:
		scopes, err := s.scopes(ctx, c)
		if err != nil {
			return verdict{}, err
		}
		if len(scopes) > 0 && !slices.ContainsFunc(scopes, func(scope string) bool { return policy.Covers(scope, string(action)) }) {
			return verdict{scoped: true}, nil
		}
		return decideFor(ctx, book, subject(p.Role), "token", p.ID, action, resource)
	case host.KindUser:
		return decideFor(ctx, book, subject(p.Role), "user", p.ID, action, resource)
	}
	return verdict{}, nil
}

// decideFor asks what policies say of a subject and of this very principal. A
// denial of either stands.
func decideFor(ctx context.Context, book *policy.Book, subject, kind, id string, action host.Action, resource string) (verdict, error) {
	d, err := book.Decide(ctx, subject, string(action), resource)
	if err != nil || !book.Speaks(kind) {
		return verdict{Decision: d}, err
	}
	own, err := book.Decide(ctx, kind+":"+id, string(action), resource)
	if own.Effect > d.Effect {
		d = own
	}
	return verdict{Decision: d}, err
}

// decidePlugin allows what both the plugin and, where it acts for somebody, the
// role of that one may.
func decidePlugin(ctx context.Context, book *policy.Book, p host.Principal, action host.Action, resource string) (verdict, error) {
	v, err := decideFor(ctx, book, subjectPlugin, "plugin", p.ID, action, resource)
	if err != nil || v.Effect != policy.Allow || p.Role == "" {
		return v, err
	}
	d, err := book.Decide(ctx, subject(p.Role), string(action), resource)
	return verdict{Decision: d}, err
}

// scopes returns the scopes of a token that is still good.
func (s *Service) scopes(ctx context.Context, c host.Caller) ([]string, error) {
	now, id := s.settings.Now(), c.Principal().ID
	p, known := s.tokens.Get(id)
	if !known || now.Sub(p.checked) >= 2*s.settings.Recheck {
		era := s.tokens.Era()
		fresh, err := s.lookUpToken(ctx, "id", id, now)
		if err != nil {
			return nil, err
		}
		s.tokens.Put(era, id, fresh)
		p = fresh
	}
	if p.caller.TenantID() != c.TenantID() || (!p.expires.IsZero() && !now.Before(p.expires)) {
		return nil, ended(p.kind)
	}
	return p.scopes, nil
}

// book returns the policies of a tenant: the built-in ones and its own.
func (s *Service) book(ctx context.Context, tenant host.TenantID) (*policy.Book, error) {
	if s.settings.Policies == nil {
		return s.roles, nil
	}
	now := s.settings.Now()
	last, known := s.shelves.Get(tenant)
	if known && now.Sub(last.read) < s.settings.Recheck {
		return last.book, nil
	}
	era := s.shelves.Era()
	own, err := s.settings.Policies.Policies(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("reading the policies of a tenant: %w", err)
	}
	if known && reflect.DeepEqual(own, last.own) {
		s.shelves.Put(era, tenant, shelf{book: last.book, own: own, read: now})
		return last.book, nil
	}
	book, err := TenantBook(own)
	if err != nil {
		return nil, err
	}
	s.shelves.Put(era, tenant, shelf{book: book, own: own, read: now})
	return book, nil
}

// TenantBook returns the built-in policies together with a tenant's own, or an
// Error that names the policy that a tenant may not have: one that the package
// policy refuses, or that speaks of the host itself.
func TenantBook(own []*policy.Policy) (*policy.Book, error) {
	for _, p := range own {
		if strings.HasPrefix(p.ID, builtin) || slices.Contains(p.Subjects, subjectSystem) {
			return nil, host.Errorf(host.CodeInvalid, "policy %q: a tenant's policy may not change what comes with the product", p.ID)
		}
	}
	return policy.NewBook(append(BuiltinPolicies(), own...)...)
}

// subject returns the name by which policies know a role.
func subject(r host.Role) string {
	switch r {
	case host.RoleAdmin:
		return subjectAdmin
	case host.RoleMember:
		return subjectMember
	case host.RoleViewer:
		return subjectViewer
	}
	return "role:" + string(r)
}

// width orders the roles; an unknown role is narrower than all.
func width(r host.Role) int {
	return slices.Index([]host.Role{host.RoleViewer, host.RoleMember, host.RoleAdmin}, r)
}

func narrower(a, b host.Role) host.Role {
	if width(a) < width(b) {
		return a
	}
	return b
}
