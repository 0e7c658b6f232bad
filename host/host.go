// Package host holds the words of the domain that every room shares: tenant,
// principal, caller, action, and the closed set of error codes. It does no I/O
// and imports nothing of the project.
package host

import "time"

// Version is the host's SemVer, against which manifests' "callboard" ranges
// are checked.
const Version = "0.1.0"

// Tenant is a customer's isolated world.
type Tenant struct {
	// ID is opaque and never changes; it names the database namespace.
	ID TenantID
	// Slug is the name people use: in host names, headers and commands.
	Slug string
	// Name is the title that screens show.
	Name string
	// Demo marks a tenant whose upstreams are simulated.
	Demo      bool
	CreatedAt time.Time
}

// PrincipalKind says what sort of actor a principal is.
type PrincipalKind string

// The kinds of principals.
const (
	KindUser   PrincipalKind = "user"
	KindToken  PrincipalKind = "token"
	KindPlugin PrincipalKind = "plugin"
	// KindSystem is the host itself: schedules, refreshes, operators' commands.
	KindSystem PrincipalKind = "system"
)

// Role is a principal's role in its tenant.
type Role string

// The roles, from the widest to the narrowest.
const (
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
	RoleViewer Role = "viewer"
)

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return r == RoleAdmin || r == RoleMember || r == RoleViewer }

// Principal is who acts.
type Principal struct {
	Kind PrincipalKind
	// ID is stable: a user's or token's id, a plugin's name.
	ID string
	// Name is for people: an e-mail address, a token's label.
	Name string
	Role Role
	// EntityRef is the User entity that stands for the principal, or empty.
	EntityRef string
}

// Caller is a principal within one tenant. Everything that reads or writes a
// tenant's data takes one, so the tenant is carried by the type and not by
// memory. The zero Caller belongs to no tenant and is refused everywhere.
type Caller struct {
	tenant    Tenant
	principal Principal
}

// NewCaller binds p to t.
func NewCaller(t Tenant, p Principal) Caller { return Caller{tenant: t, principal: p} }

// System returns the host itself as a caller in t; name says which part of it.
func System(t Tenant, name string) Caller {
	return NewCaller(t, Principal{Kind: KindSystem, ID: name, Name: name, Role: RoleAdmin})
}

// Tenant returns the caller's tenant.
func (c Caller) Tenant() Tenant { return c.tenant }

// TenantID returns the id of the caller's tenant.
func (c Caller) TenantID() TenantID { return c.tenant.ID }

// Principal returns who acts.
func (c Caller) Principal() Principal { return c.principal }

// Valid reports whether the caller belongs to a tenant.
func (c Caller) Valid() bool { return c.tenant.ID.Valid() && c.principal.ID != "" }
