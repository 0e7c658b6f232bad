package service

import (
	"context"
	"encoding/json"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/table"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// Tables is table/v1: relational collections of each instance, as its manifest
// declares them, within the quota of its grant.
type Tables struct{ store *table.Store }

var _ plugin.Service = (*Tables)(nil)

// NewTables returns the service over its port.
func NewTables(store *table.Store) *Tables { return &Tables{store: store} }

// Serve answers one call.
func (k *Tables) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	grants, err := granted(s, tablev1.Name)
	if err != nil {
		return nil, err
	}
	t := k.store.Tables(s.Instance.Tenant, s.Instance.ID, Declared(s.Instance.Manifest), tableQuota(grants))
	switch call.Method {
	case tablev1.MethodSelect:
		return serve(ctx, call.Body, t.Select)
	case tablev1.MethodAggregate:
		return serve(ctx, call.Body, t.Aggregate)
	case tablev1.MethodInsert:
		return serve(ctx, call.Body, t.Insert)
	case tablev1.MethodUpsert:
		return serve(ctx, call.Body, t.Upsert)
	case tablev1.MethodUpdate:
		return serve(ctx, call.Body, t.Update)
	case tablev1.MethodDelete:
		return serve(ctx, call.Body, t.Delete)
	case tablev1.MethodBatch:
		return serve(ctx, call.Body, t.Batch)
	}
	return nil, unknownMethod(tablev1.Name, call.Method)
}

// serve reads a request and answers it.
func serve[In, Out any](ctx context.Context, body json.RawMessage, f func(context.Context, In) (Out, error)) (any, error) {
	in, err := read[In](body)
	if err != nil {
		return nil, err
	}
	out, err := f(ctx, in)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Declared returns the tables that a manifest declares. What is granted may be
// smaller, but the form of the tables is the release's own.
func Declared(m *manifestv1.Manifest) table.Declaration {
	for i := range m.Permissions {
		if p := &m.Permissions[i]; p.Type == tablev1.Name {
			return table.Declaration{Version: p.Version, Tables: p.Tables, Migrations: p.Migrations}
		}
	}
	return table.Declaration{}
}

// tableQuota is the largest quota of the grants.
func tableQuota(grants []plugin.Grant) table.Quota {
	q := table.Quota{Bytes: quotaOf(grants)}
	for _, g := range grants {
		q.Rows = max(q.Rows, g.Rows)
	}
	return q
}
