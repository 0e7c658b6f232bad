package web

import (
	"context"
	"encoding/json"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/audit"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/plugin/recording"
	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

// Doorman lets people in and out; auth.Service is one.
type Doorman interface {
	// Authenticate returns the caller, or an error of code unauthenticated or
	// tenant-mismatch.
	Authenticate(ctx context.Context, given auth.Credentials) (host.Caller, error)
	Login(ctx context.Context, tenantSlug, email, password string) (auth.Session, error)
	RedeemLink(ctx context.Context, token string) (auth.Session, error)
	Logout(ctx context.Context, session string) error
	// CSRF returns what forms of the session carry; CheckCSRF compares it.
	CSRF(session string) string
	CheckCSRF(session, value string) bool
}

// Sessions are the signed-in person's own; auth.Service is one.
type Sessions interface {
	ListSessions(ctx context.Context, c host.Caller) ([]auth.SessionInfo, error)
	RevokeSession(ctx context.Context, c host.Caller, id string) error
	ChangePassword(ctx context.Context, c host.Caller, current, text string) (auth.Session, error)
}

// Tokens are API tokens; auth.Service is one.
type Tokens interface {
	ListTokens(ctx context.Context, c host.Caller) ([]auth.Token, error)
	CreateToken(ctx context.Context, c host.Caller, n auth.NewToken) (secret string, t auth.Token, err error)
	RevokeToken(ctx context.Context, c host.Caller, id string) error
}

// Members are the people of a tenant; auth.Service is one.
type Members interface {
	ListUsers(ctx context.Context, c host.Caller) ([]auth.User, error)
	CreateUser(ctx context.Context, c host.Caller, n auth.NewUser) (auth.User, error)
	UpdateUser(ctx context.Context, c host.Caller, id string, n auth.UserChange) (auth.User, error)
	// CreateLoginLink makes a link that signs the user in once; the caller of
	// this method has made sure that it may.
	CreateLoginLink(ctx context.Context, tenant host.TenantID, userID string) (string, error)
}

// Entities reads the catalog with the reader's rights; catalog.Catalog is one.
type Entities interface {
	Get(ctx context.Context, c host.Caller, ref catalog.Ref) (catalog.Entity, error)
	List(ctx context.Context, c host.Caller, q catalog.Query) (catalog.Page, error)
	Facets(ctx context.Context, c host.Caller, q catalog.Query, keys []string) (map[string][]catalog.FacetCount, error)
	Problems(ctx context.Context, c host.Caller) ([]catalog.Problem, error)
	Refresh(ctx context.Context, c host.Caller, what string) (catalog.Report, error)
	// Revision changes whenever the tenant's entities do.
	Revision(t host.TenantID) string
}

// Locations are the places that entities come from; catalog.Catalog is one.
type Locations interface {
	Register(ctx context.Context, c host.Caller, typ, target string, dryRun bool) (catalog.Report, error)
	Locations(ctx context.Context, c host.Caller) ([]catalog.Location, error)
	Unregister(ctx context.Context, c host.Caller, id string) error
	// Delete removes an entity that no location provides any more.
	Delete(ctx context.Context, c host.Caller, ref catalog.Ref) error
}

// Plugins shows what is and what could be installed; plugin.House is one.
type Plugins interface {
	List(ctx context.Context, c host.Caller) ([]plugin.Instance, error)
	Get(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	Bundled(ctx context.Context, c host.Caller) ([]plugin.Preview, error)
	Inspect(ctx context.Context, c host.Caller, from plugin.Source) (plugin.Preview, error)
	Health(ctx context.Context, c host.Caller, name string) (plugin.Health, error)
}

// Installer brings releases in, exchanges and removes them; plugin.House is one.
type Installer interface {
	Install(ctx context.Context, c host.Caller, from plugin.Source, o plugin.InstallOptions) (plugin.Instance, error)
	Upgrade(ctx context.Context, c host.Caller, name string, from plugin.Source, o plugin.UpgradeOptions) (plugin.Instance, error)
	Rollback(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	Uninstall(ctx context.Context, c host.Caller, name string) error
}

// Changer changes one installed plugin; plugin.House is one.
type Changer interface {
	Enable(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	Disable(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	Configure(ctx context.Context, c host.Caller, name string, config json.RawMessage, secrets map[string]string) (plugin.Instance, error)
	Grant(ctx context.Context, c host.Caller, name string, grants []plugin.Grant) (plugin.Instance, error)
}

// Views are what plugins show; extension.Views is one.
type Views interface {
	List(ctx context.Context, c host.Caller, slot string, entity json.RawMessage) ([]extension.View, error)
	Render(ctx context.Context, c host.Caller, short, view string, entity json.RawMessage, params map[string]string) (viewv1.Tree, error)
}

// Operations are what plugins offer over HTTP, for the buttons and forms of
// their views; extension.Router is one.
type Operations interface {
	// Operations lists the operations of enabled plugins.
	Operations(t host.TenantID) []extension.Operation
	// Invoke calls one with the caller's rights; the operation's description
	// decides what params and body may be.
	Invoke(ctx context.Context, c host.Caller, short, operationID string, params map[string]string, body []byte) (routev1.Response, error)
}

// Trail reads the tenant's audit record; audit.Reader is one.
type Trail interface {
	List(ctx context.Context, c host.Caller, cursor string, limit int) (audit.Page, error)
}

// Contract gives the tenant's OpenAPI document as JSON.
type Contract interface {
	Document(ctx context.Context, c host.Caller) ([]byte, error)
}

// Meter tells what a plugin uses, and bounds it; plugin.House is one.
type Meter interface {
	Usage(ctx context.Context, c host.Caller, name string, q ledger.Query) (ledger.Report, error)
	Quotas(ctx context.Context, c host.Caller, name string) (ledger.Quotas, error)
	SetQuota(ctx context.Context, c host.Caller, name string, q ledger.Quota) (ledger.Quotas, error)
	// Evidence puts grants beside what was used of them in 30 days; Narrow
	// takes away what was not.
	Evidence(ctx context.Context, c host.Caller, name string) ([]grant.Finding, error)
	Narrow(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	// Retry lets a plugin that was stopped for failing work again.
	Retry(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
}

// Recordings are recorded calls of plugins; recording.Archive is one.
type Recordings interface {
	List(ctx context.Context, c host.Caller, name string, limit int) ([]recording.Entry, error)
	Export(ctx context.Context, c host.Caller, name, id string) (*recording.Recording, error)
	Rule(ctx context.Context, c host.Caller, name string) (recording.Rule, error)
	SetRule(ctx context.Context, c host.Caller, name string, rule recording.Rule) (recording.Rule, error)
}
