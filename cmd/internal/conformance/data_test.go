package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/examples/conformance/acts"
	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob"
	"github.com/callboard-dev/callboard/host/blob/folderblob"
	"github.com/callboard-dev/callboard/host/cache"
	"github.com/callboard-dev/callboard/host/cache/memorycache"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/stream"
	hostservice "github.com/callboard-dev/callboard/host/service"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/table"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// dataPermissions are what the act "data" needs.
func dataPermissions() []manifestv1.Permission {
	return []manifestv1.Permission{
		{Type: "table/v1", Quota: "1MiB", Rows: 10, Tables: []manifestv1.Table{{
			Name: "prices", PrimaryKey: []string{"id"}, Columns: []manifestv1.Column{{Name: "id", Type: "integer"}, {Name: "price", Type: "decimal"}},
		}}},
		{Type: "blob/v1", Quota: "8MiB"}, {Type: "cache/v1", Quota: "1MiB"},
	}
}

// answer is a streamed response that is kept.
type answer struct{ bytes.Buffer }

func (a *answer) Begin(stream.Head) error { return nil }

// TestDataServices runs a plugin that keeps data over the portal's own services,
// in every way there is.
func TestDataServices(t *testing.T) {
	db := storetest.SQLite(t)
	folder, err := folderblob.New(folderblob.Settings{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	services := hostservice.Set(hostservice.Settings{
		Tables: table.New(db), Blobs: blob.New(db, folder, blob.Settings{}), Caches: cache.New(memorycache.New(memorycache.Settings{}), cache.Settings{}),
	})
	tenant := storetest.Tenant(t, db)
	modules := both(t, "examples/conformance")
	modules[runtimetest.InProcess] = inProcess{acts.New()}
	for name, module := range modules {
		t.Run(name, func(t *testing.T) {
			in := &plugin.Instance{
				ID: strings.ReplaceAll("i-"+name, "_", "-"), Tenant: tenant.ID, Name: "acme/data", Short: "data",
				Grants: dataPermissions(), Manifest: &manifestv1.Manifest{Permissions: dataPermissions()},
			}
			session := plugin.NewSession(host.System(tenant, "test"), in, nil)
			out := &answer{}
			session.Attach(stream.With(t.Context(), stream.Bodies{Request: strings.NewReader("streamed"), Response: out}))
			defer func() { _ = session.Close() }()
			body, err := json.Marshal(acts.Request{Act: "data", N: 3_000_000})
			if err != nil {
				t.Fatal(err)
			}
			outcome, err := module.Call(t.Context(), plugin.Work{
				Call:   pluginv1.Call{Capability: acts.Capability, Method: acts.Method, Tenant: tenant.Slug, Body: body},
				Limits: plugin.Limits{Timeout: 20 * time.Second, Memory: 128 << 20, Output: 1 << 20, Input: 1 << 20, HostCalls: 200, HostBytes: 64 << 20, Fuel: 1 << 40},
				World: plugin.World{Host: func(ctx context.Context, call pluginv1.HostCall) pluginv1.Result {
					return serve(ctx, services, session, call)
				}},
			})
			const want = `"0.3 of 1152921504606846976, 3000000 bytes, made 1"`
			if err != nil || outcome.Result.Error != nil || string(outcome.Result.Body) != want || out.String() != "STREAMED" {
				t.Errorf("got %s and %q, %v, %v", outcome.Result.Body, out, outcome.Result.Error, err)
			}
		})
	}
}

// serve answers a host call as the house does.
func serve(ctx context.Context, services plugin.ServiceSet, s *plugin.Session, call pluginv1.HostCall) (r pluginv1.Result) {
	got, err := services[call.Service].Serve(ctx, s, call)
	if err != nil {
		return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeInternal, Message: err.Error()}}
	}
	if a, ok := got.(plugin.Attached); ok {
		got, r.Data = a.Body, a.Data
	}
	if got != nil {
		r.Body, err = json.Marshal(got)
	}
	if err != nil {
		return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeInternal, Message: err.Error()}}
	}
	return r
}
