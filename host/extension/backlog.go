package extension

import (
	"context"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/work"
)

// Resident finds an instance by its name, with the caller's right to read
// about plugins.
type Resident interface {
	Get(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
}

// Backlog is the jobs and events of plugins as admins see them: what waits, what
// runs, and the dead letters, which can be tried again.
type Backlog struct {
	house Resident
	store *work.Store
	authz host.Authorizer
	audit host.Auditor
}

// NewBacklog returns the Backlog of store.
func NewBacklog(house Resident, store *work.Store, authz host.Authorizer, audit host.Auditor) *Backlog {
	return &Backlog{house: house, store: store, authz: authz, audit: audit}
}

// List returns the newest items of a plugin: jobs or events (lane), of one
// state if state is not empty.
func (b *Backlog) List(ctx context.Context, c host.Caller, name, lane, state string, limit int) ([]work.Item, error) {
	in, err := b.house.Get(ctx, c, name)
	if err != nil {
		return nil, err
	}
	return b.store.List(ctx, c.TenantID(), in.ID, lane, work.State(state), limit)
}

// Retry runs a dead or cancelled item again.
func (b *Backlog) Retry(ctx context.Context, c host.Caller, name, id string) error {
	return b.change(ctx, c, name, id, "retry work", b.store.Retry)
}

// Cancel keeps an item that waits from running.
func (b *Backlog) Cancel(ctx context.Context, c host.Caller, name, id string) error {
	return b.change(ctx, c, name, id, "cancel work", b.store.Cancel)
}

func (b *Backlog) change(ctx context.Context, c host.Caller, name, id, verb string, do func(ctx context.Context, t host.TenantID, instance, lane, id string) error) error {
	in, err := b.house.Get(ctx, c, name)
	if err != nil {
		return err
	}
	if err := b.authz.Authorize(ctx, c, host.ActionPluginManage, "plugin:"+in.Short); err != nil {
		return err
	}
	lane := LaneJob // ids begin with the word of their lane
	if strings.HasPrefix(id, LaneEvent) {
		lane = LaneEvent
	}
	if err := do(ctx, c.TenantID(), in.ID, lane, id); err != nil {
		return err
	}
	return b.audit.Record(ctx, c, host.AuditEntry{
		Action: host.ActionPluginManage, Resource: "plugin:" + in.Short, Detail: map[string]string{"change": verb, "plugin": in.Name, "id": clip(id)},
	})
}
