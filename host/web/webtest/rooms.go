// Package webtest is a whole portal in memory for the tests of the pages, for
// browsers that walk them, and for designers: rooms that answer like the real
// ones, with the data of a made-up company. No production code uses it.
package webtest

import (
	"context"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/web"
)

// What signs in.
const (
	// Session is the value of a good session cookie, CSRF its token.
	Session = "session-of-mara"
	CSRF    = "csrf-of-mara"
	// LinkToken works once.
	LinkToken = "one-time-link"
	Email     = "mara.ruiz@northwind.example"
	Password  = "paper and ink"
)

// Rooms are all the rooms that pages ask. Fields may be changed before a
// request; methods are safe for concurrent use.
type Rooms struct {
	mu sync.Mutex
	// Caller is who is signed in.
	Caller host.Caller
	// Fail makes a method answer with an error, by its name.
	Fail map[string]error
	// Calls are the methods that changed something, with their arguments.
	Calls []string

	Stock     []catalog.Entity
	Places    []catalog.Location
	Wrong     []catalog.Problem
	Report    catalog.Report
	Installed []plugin.Instance
	Offered   []plugin.Preview
	People    []auth.User
	Keys      []auth.Token
	linkUsed  bool
	now       time.Time
}

// New returns rooms of the demo-like tenant Northwind at the given time, with
// an admin signed in.
func New(now time.Time) *Rooms {
	tenant := host.Tenant{ID: "tabcdefghijklmnop", Slug: "northwind", Name: "Northwind", CreatedAt: now}
	r := &Rooms{now: now, Fail: map[string]error{},
		Caller: host.NewCaller(tenant, host.Principal{Kind: host.KindUser, ID: "u1", Name: Email, Role: host.RoleAdmin, EntityRef: "user:default/mara"})}
	r.stockCatalog()
	r.stockPlugins()
	r.stockPeople()
	return r
}

// As makes somebody with that role be signed in.
func (r *Rooms) As(role host.Role) *Rooms {
	p := r.Caller.Principal()
	p.Role = role
	r.Caller = host.NewCaller(r.Caller.Tenant(), p)
	return r
}

// Demo marks the tenant as a demo.
func (r *Rooms) Demo() *Rooms {
	t := r.Caller.Tenant()
	t.Demo = true
	r.Caller = host.NewCaller(t, r.Caller.Principal())
	return r
}

// Settings are the pages' settings over these rooms.
func (r *Rooms) Settings() web.Settings {
	return web.Settings{Door: r, Authz: r, Sessions: r, Tokens: r, Members: r, Entities: r, Locations: r, Plugins: house{r}, Installer: house{r}, Changer: house{r}, Meter: meter{house{r}}, Recordings: tapes{house{r}},
		Views: shows{r}, Operations: r, Trail: trail{r}, Contract: r, Now: func() time.Time { return r.now }}
}

// note records a change, or answers with the error that the test wants.
func (r *Rooms) note(method, detail string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Fail[method]; err != nil {
		return err
	}
	if detail != "" {
		r.Calls = append(r.Calls, method+" "+detail)
	}
	return nil
}

// Authorize knows the built-in roles.
func (r *Rooms) Authorize(_ context.Context, c host.Caller, a host.Action, _ string) error {
	if err := r.note("Authorize", ""); err != nil {
		return err
	}
	role := c.Principal().Role
	switch a {
	case host.ActionPluginManage, host.ActionUserManage, host.ActionAuditRead, host.ActionOperationAdmin:
		if role != host.RoleAdmin {
			return forbidden(a)
		}
	case host.ActionCatalogRefresh, host.ActionLocationWrite, host.ActionOperationWrite:
		if role == host.RoleViewer {
			return forbidden(a)
		}
	}
	return nil
}

func forbidden(a host.Action) error {
	return host.Errorf(host.CodeForbidden, "You may not do this (%s).", a).WithHint("Ask an admin of Northwind.")
}
