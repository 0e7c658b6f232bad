package host

import "context"

// Action is what a principal wants to do. The set is closed: plugins' actions
// are the three of their operations' access.
type Action string

// The actions of the core.
const (
	ActionCatalogRead    Action = "catalog.entity.read"
	ActionCatalogRefresh Action = "catalog.entity.refresh"
	ActionLocationRead   Action = "catalog.location.read"
	ActionLocationWrite  Action = "catalog.location.write" // register and delete
	ActionPluginRead     Action = "plugin.instance.read"
	ActionPluginManage   Action = "plugin.instance.manage" // install, configure, enable, ...
	ActionUserManage     Action = "tenant.user.manage"
	ActionTokenOwn       Action = "tenant.token.own" // one's own API tokens
	ActionAuditRead      Action = "tenant.audit.read"

	// Calls of a plugin's operations, by the access that they declare.
	ActionOperationRead  Action = "plugin.operation.read"
	ActionOperationWrite Action = "plugin.operation.write"
	ActionOperationAdmin Action = "plugin.operation.admin"
)

// Authorizer decides. It returns nil, or an Error of CodeForbidden that names
// the policy (or its absence). Resource is a name like
// "entity:component:default/petstore" or "plugin:prometheus"; "*" where the
// action has no single resource.
type Authorizer interface {
	Authorize(ctx context.Context, c Caller, action Action, resource string) error
}

// AuditEntry is one change that somebody made, for the tenant's audit record.
type AuditEntry struct {
	Action   Action
	Resource string
	// Detail says what changed, without secrets.
	Detail map[string]string
}

// Auditor writes audit records. A change whose record cannot be written fails.
type Auditor interface {
	Record(ctx context.Context, c Caller, e AuditEntry) error
}
