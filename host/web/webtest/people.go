package webtest

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/audit"
	"github.com/callboard-dev/callboard/host/auth"
)

//go:embed testdata/openapi.json
var document []byte

func (r *Rooms) stockPeople() {
	ago := func(d time.Duration) time.Time { return r.now.Add(-d) }
	r.People = []auth.User{
		{ID: "u1", Email: Email, Name: "Mara Ruiz", Role: host.RoleAdmin, EntityRef: "user:default/mara", HasPassword: true, CreatedAt: ago(9000 * time.Hour), LastLoginAt: ago(20 * time.Minute)},
		{ID: "u2", Email: "jonas@northwind.example", Name: "Jonas Lind", Role: host.RoleMember, CreatedAt: ago(4000 * time.Hour), LastLoginAt: ago(30 * time.Hour)},
		{ID: "u3", Email: "contractor@agency.example", Name: "contractor@agency.example", Role: host.RoleViewer, Disabled: true, CreatedAt: ago(500 * time.Hour)}}
	r.Keys = []auth.Token{{ID: "k7f3", Label: "deploy from CI", Role: host.RoleMember, Scopes: []string{"catalog.*"}, CreatedAt: ago(700 * time.Hour), ExpiresAt: r.now.Add(600 * time.Hour), LastUsedAt: ago(3 * time.Minute)},
		{ID: "k9a1", Label: "laptop", Role: host.RoleAdmin, CreatedAt: ago(50 * time.Hour)}}
}

// Authenticate knows one session.
func (r *Rooms) Authenticate(_ context.Context, given auth.Credentials) (host.Caller, error) {
	if err := r.note("Authenticate", ""); err != nil {
		return host.Caller{}, err
	}
	if given.Session != Session {
		return host.Caller{}, host.Errorf(host.CodeUnauthenticated, "Your session has ended.")
	}
	return r.Caller, nil
}

func (r *Rooms) session() auth.Session {
	return auth.Session{Value: Session, Expires: time.Now().Add(time.Hour), Caller: r.Caller}
}

// Login knows one person.
func (r *Rooms) Login(_ context.Context, tenant, email, password string) (auth.Session, error) {
	if err := r.note("Login", tenant+" "+email); err != nil {
		return auth.Session{}, err
	}
	if email != Email || password != Password {
		return auth.Session{}, host.Errorf(host.CodeUnauthenticated, "E-mail address or password is not right.").WithHint("Try again, or ask an admin for a one-time link.")
	}
	return r.session(), nil
}

// RedeemLink knows one link, once.
func (r *Rooms) RedeemLink(_ context.Context, token string) (auth.Session, error) {
	if err := r.note("RedeemLink", token); err != nil {
		return auth.Session{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if token != LinkToken || r.linkUsed {
		return auth.Session{}, host.Errorf(host.CodeUnauthenticated, "The link was used already, or it is too old.").WithHint("Ask for a new one.")
	}
	r.linkUsed = true
	return r.session(), nil
}

// Logout ends nothing: the session is always good.
func (r *Rooms) Logout(_ context.Context, session string) error { return r.note("Logout", session) }

// CSRF knows one session.
func (r *Rooms) CSRF(session string) string {
	if session != Session {
		return ""
	}
	return CSRF
}

// CheckCSRF compares.
func (r *Rooms) CheckCSRF(session, value string) bool { return session == Session && value == CSRF }

// ListSessions has two.
func (r *Rooms) ListSessions(context.Context, host.Caller) ([]auth.SessionInfo, error) {
	return []auth.SessionInfo{{ID: "s1", Method: "password", CreatedAt: r.now.Add(-20 * time.Minute), SeenAt: r.now, Expires: r.now.Add(300 * time.Hour)},
		{ID: "s2", Method: "link", CreatedAt: r.now.Add(-50 * time.Hour), SeenAt: r.now.Add(-5 * time.Hour), Expires: r.now.Add(200 * time.Hour)}}, r.note("ListSessions", "")
}

// RevokeSession is noted.
func (r *Rooms) RevokeSession(_ context.Context, _ host.Caller, id string) error {
	return r.note("RevokeSession", id)
}

// ChangePassword compares the current one.
func (r *Rooms) ChangePassword(_ context.Context, _ host.Caller, current, _ string) (auth.Session, error) {
	if current != Password {
		return auth.Session{}, host.Errorf(host.CodeUnauthenticated, "The current password is not right.")
	}
	return r.session(), r.note("ChangePassword", "changed")
}

// ListTokens lists.
func (r *Rooms) ListTokens(context.Context, host.Caller) ([]auth.Token, error) {
	return r.Keys, r.note("ListTokens", "")
}

// CreateToken is noted.
func (r *Rooms) CreateToken(_ context.Context, _ host.Caller, n auth.NewToken) (string, auth.Token, error) {
	t := auth.Token{ID: "k0", Label: n.Label, Role: n.Role, Scopes: n.Scopes}
	return "cb_k0_secretshownonce", t, r.note("CreateToken", fmt.Sprintf("%s %s %v", n.Label, n.Role, n.Scopes))
}

// RevokeToken is noted.
func (r *Rooms) RevokeToken(_ context.Context, _ host.Caller, id string) error {
	return r.note("RevokeToken", id)
}

// ListUsers lists to admins.
func (r *Rooms) ListUsers(ctx context.Context, c host.Caller) ([]auth.User, error) {
	return r.People, r.Authorize(ctx, c, host.ActionUserManage, "*")
}

// CreateUser is noted.
func (r *Rooms) CreateUser(_ context.Context, _ host.Caller, n auth.NewUser) (auth.User, error) {
	return auth.User{ID: "u9", Email: n.Email, Name: n.Email, Role: n.Role}, r.note("CreateUser", n.Email+" "+string(n.Role))
}

// UpdateUser is noted.
func (r *Rooms) UpdateUser(_ context.Context, _ host.Caller, id string, n auth.UserChange) (auth.User, error) {
	detail := id
	if n.Role != nil {
		detail += " role " + string(*n.Role)
	}
	if n.Disabled != nil {
		detail += fmt.Sprintf(" disabled %t", *n.Disabled)
	}
	if n.EntityRef != nil {
		detail += " entity " + *n.EntityRef
	}
	return auth.User{ID: id, Name: "Jonas Lind"}, r.note("UpdateUser", detail)
}

// CreateLoginLink is noted.
func (r *Rooms) CreateLoginLink(_ context.Context, _ host.TenantID, user string) (string, error) {
	return "fresh-link", r.note("CreateLoginLink", user)
}

// Document is a small one.
func (r *Rooms) Document(context.Context, host.Caller) ([]byte, error) {
	return document, r.note("Document", "")
}

// trail is a small audit record.
type trail struct{ r *Rooms }

// List has two pages.
func (t trail) List(ctx context.Context, c host.Caller, cursor string, _ int) (audit.Page, error) {
	if err := t.r.Authorize(ctx, c, host.ActionAuditRead, "*"); err != nil {
		return audit.Page{}, err
	}
	record := func(seq int64, ago time.Duration, kind host.PrincipalKind, name string, a host.Action, resource string, detail map[string]string) audit.Record {
		return audit.Record{Seq: seq, At: t.r.now.Add(-ago), Kind: kind, Name: name, Action: a, Resource: resource, Detail: detail}
	}
	if cursor != "" {
		return audit.Page{Items: []audit.Record{record(1, 900*time.Hour, host.KindSystem, "callboard tenant create", host.ActionUserManage, "tenant:northwind", nil)}}, nil
	}
	return audit.Page{Next: "2", Items: []audit.Record{
		record(4, 12*time.Minute, host.KindUser, Email, host.ActionPluginManage, "plugin:prometheus", map[string]string{"change": "enable"}),
		record(3, 3*time.Hour, host.KindToken, "deploy from CI", host.ActionLocationWrite, "location:l1", map[string]string{"target": "https://github.com/northwind/payments"}),
		record(2, 30*time.Hour, host.KindUser, Email, host.ActionUserManage, "user:u2", map[string]string{"role": "member"})}}, nil
}
