package api

import (
	"context"

	"github.com/callboard-dev/callboard/host"
)

// me is who asks, and where.
type me struct {
	ID        string             `json:"id"`
	Kind      host.PrincipalKind `json:"kind" enum:"user,token,plugin,system"`
	Name      string             `json:"name"`
	Role      host.Role          `json:"role" enum:"admin,member,viewer"`
	EntityRef string             `json:"entityRef,omitempty" doc:"The User entity that stands for the caller."`
	Tenant    meTenant           `json:"tenant"`
}

type meTenant struct {
	Slug string `json:"slug"`
	Name string `json:"name"`
	Demo bool   `json:"demo" doc:"True where the tenant's upstreams are simulated."`
}

// readMe answers who the caller is.
func (a *API) readMe(_ context.Context, c host.Caller, _ *struct{}) (*bodyOf[me], error) {
	p, t := c.Principal(), c.Tenant()
	return &bodyOf[me]{me{ID: p.ID, Kind: p.Kind, Name: p.Name, Role: p.Role, EntityRef: p.EntityRef,
		Tenant: meTenant{Slug: t.Slug, Name: t.Name, Demo: t.Demo}}}, nil
}
