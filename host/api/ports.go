package api

import (
	"context"
	"encoding/json"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/api/replay"
	"github.com/callboard-dev/callboard/host/audit"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/plugin"
	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
)

// Authenticator finds out who asks and for which tenant.
type Authenticator interface {
	// Authenticate returns the caller, or an error of code unauthenticated or
	// tenant-mismatch.
	Authenticate(ctx context.Context, cred auth.Credentials) (host.Caller, error)
	// CheckCSRF reports whether value is the token that belongs to a session.
	CheckCSRF(session, value string) bool
}

// Entities reads the catalog with the caller's rights.
type Entities interface {
	Get(ctx context.Context, c host.Caller, ref catalog.Ref) (catalog.Entity, error)
	List(ctx context.Context, c host.Caller, q catalog.Query) (catalog.Page, error)
	Facets(ctx context.Context, c host.Caller, q catalog.Query, keys []string) (map[string][]catalog.FacetCount, error)
	// GetJSON returns an entity's stored document and its tag. The bytes are
	// shared and must not be changed.
	GetJSON(ctx context.Context, c host.Caller, ref catalog.Ref) (doc []byte, etag string, err error)
	// GetByUID finds an entity by the id that the catalog gave it.
	GetByUID(ctx context.Context, c host.Caller, uid string) (catalog.Entity, error)
	// Refresh reads the location of an entity (by reference) or a location (by
	// id) now.
	Refresh(ctx context.Context, c host.Caller, what string) (catalog.Report, error)
}

// Locations registers and lists the places that entities come from.
type Locations interface {
	Register(ctx context.Context, c host.Caller, typ, target string, dryRun bool) (catalog.Report, error)
	Locations(ctx context.Context, c host.Caller) ([]catalog.Location, error)
	Location(ctx context.Context, c host.Caller, id string) (catalog.Location, error)
	// Unregister removes a location with its entities; Delete one entity that
	// no location provides any more.
	Unregister(ctx context.Context, c host.Caller, id string) error
	Delete(ctx context.Context, c host.Caller, ref catalog.Ref) error
}

// Inspector says what is wrong with descriptors.
type Inspector interface {
	Problems(ctx context.Context, c host.Caller) ([]catalog.Problem, error)
	// Validate checks a file's text and stores nothing.
	Validate(ctx context.Context, doc []byte, file string) []catalog.Problem
}

// PluginReader reads the tenant's installations and what could be installed.
type PluginReader interface {
	Bundled(ctx context.Context, c host.Caller) ([]plugin.Preview, error)
	Inspect(ctx context.Context, c host.Caller, from plugin.Source) (plugin.Preview, error)
	List(ctx context.Context, c host.Caller) ([]plugin.Instance, error)
	Get(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	Health(ctx context.Context, c host.Caller, name string) (plugin.Health, error)
}

// PluginInstaller brings releases in, exchanges and removes them.
type PluginInstaller interface {
	Install(ctx context.Context, c host.Caller, from plugin.Source, o plugin.InstallOptions) (plugin.Instance, error)
	Upgrade(ctx context.Context, c host.Caller, name string, from plugin.Source, o plugin.UpgradeOptions) (plugin.Instance, error)
	Rollback(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	Uninstall(ctx context.Context, c host.Caller, name string) error
}

// PluginChanger changes one instance.
type PluginChanger interface {
	Enable(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	Disable(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	Configure(ctx context.Context, c host.Caller, name string, config json.RawMessage, secrets map[string]string) (plugin.Instance, error)
	Grant(ctx context.Context, c host.Caller, name string, grants []plugin.Grant) (plugin.Instance, error)
}

// Operations are what the tenant's plugins offer over HTTP.
type Operations interface {
	// Parts is what plugins add to the tenant's OpenAPI document, as it is now.
	Parts(t host.TenantID) *extension.Parts
	// Serve answers a request below /api/plugins/<short>; path is the escaped
	// rest with its slash.
	Serve(ctx context.Context, c host.Caller, short, method, path string, r extension.RouteRequest) (routev1.Response, error)
	// Streams reports whether such a request's body is streamed.
	Streams(c host.Caller, short, method, path string) bool
}

// Users are the people of a tenant.
type Users interface {
	ListUsers(ctx context.Context, c host.Caller) ([]auth.User, error)
	CreateUser(ctx context.Context, c host.Caller, u auth.NewUser) (auth.User, error)
	UpdateUser(ctx context.Context, c host.Caller, userID string, u auth.UserChange) (auth.User, error)
	SetPassword(ctx context.Context, c host.Caller, userID, password string) error
}

// Tokens are the caller's API tokens.
type Tokens interface {
	ListTokens(ctx context.Context, c host.Caller) ([]auth.Token, error)
	CreateToken(ctx context.Context, c host.Caller, t auth.NewToken) (secret string, created auth.Token, err error)
	RevokeToken(ctx context.Context, c host.Caller, id string) error
}

// AuditReader reads the tenant's audit record.
type AuditReader interface {
	List(ctx context.Context, c host.Caller, cursor string, limit int) (audit.Page, error)
}

// Replays remembers the answers of unsafe requests that carry an
// Idempotency-Key.
type Replays interface {
	// Begin claims the key for a request with this fingerprint. It returns the
	// stored answer of an earlier one, or nil where this is the first. A key
	// that was used for another request is a conflict, as is one whose first
	// request is not done yet.
	Begin(ctx context.Context, c host.Caller, key, fingerprint string) (*replay.Answer, error)
	// Finish stores the answer; Abandon gives the key back where the request
	// may be tried again.
	Finish(ctx context.Context, c host.Caller, key string, a replay.Answer) error
	Abandon(ctx context.Context, c host.Caller, key string) error
}
