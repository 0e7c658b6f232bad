package author_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	"github.com/callboard-dev/callboard/host/secret"
	"github.com/callboard-dev/callboard/host/service"
	"github.com/callboard-dev/callboard/host/store/storetest"
	schedule "github.com/callboard-dev/callboard/schemas/capability/schedule/v1"
	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// allowed lets everybody do everything and writes no record: rights are tried
// in the rooms that decide them.
type allowed struct{}

func (allowed) Authorize(context.Context, host.Caller, host.Action, string) error { return nil }
func (allowed) Record(context.Context, host.Caller, host.AuditEntry) error        { return nil }

// house opens a real plugin house over a fresh store.
func house(t *testing.T) (*plugin.House, host.Caller) {
	t.Helper()
	db := storetest.SQLite(t)
	tenant := storetest.Tenant(t, db)
	runtime, err := wasm.New(wasm.Settings{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	services := service.Set(service.Settings{KV: kv.New(db, kv.Settings{})})
	h, err := plugin.New(db, map[string]plugin.Runtime{manifest.RuntimeWASM: runtime}, services, allowed{}, allowed{}, box,
		plugin.Settings{DataDir: t.TempDir(), CompileWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := runtime.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return h, host.System(tenant, "tester")
}

// TestAThirdPartysPluginRunsInAPortal builds the example as its author would,
// installs it while the house runs, and uses everything that it offers.
func TestAThirdPartysPluginRunsInAPortal(t *testing.T) {
	dir := hello(t)
	var out, errOut bytes.Buffer
	if code := run(t.Context(), settings(t, ""), []string{"plugin", "build", dir}, &out, &errOut); code != 0 {
		t.Fatalf("building ends with %d: %s", code, &errOut)
	}
	h, caller := house(t)
	ctx := t.Context()
	router, views := extension.NewRouter(h, allowed{}), extension.NewViews(h, allowed{})
	greet := func() (string, error) {
		r, err := router.Serve(ctx, caller, "hello", "GET", "/greetings/petstore", extension.RouteRequest{})
		return string(r.Body), err
	}
	if _, err := greet(); host.CodeOf(err) != host.CodeNotFound {
		t.Fatalf("before it is installed the operation gives %v", err)
	}
	if _, err := h.Install(ctx, caller, plugin.Source{Path: filepath.Clean(dir)}, plugin.InstallOptions{
		AcceptAll: true, Enable: true, Config: json.RawMessage(`{"greeting":"Moin"}`),
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"text":"Moin, petstore!","count":1}`, `{"text":"Moin, petstore!","count":2}`} {
		if got, err := greet(); err != nil || got != want {
			t.Fatalf("the operation answers %s, %v; want %s", got, err, want)
		}
	}
	entity := json.RawMessage(`{"kind":"Component","metadata":{"name":"petstore"}}`)
	tree, err := views.Render(ctx, caller, "hello", "greeting", entity, nil)
	if err != nil || tree.Nodes[0].Stats == nil || tree.Nodes[0].Stats.Items[0].Value != "2" {
		t.Errorf("the view shows %+v, %v; want the figure 2", tree.Nodes, err)
	}
	var ran schedule.Response
	err = h.Call(ctx, caller, "hello", schedule.Name, schedule.MethodRun, schedule.Request{Schedule: "tidy", Due: time.Now()}, &ran)
	if err != nil || ran.Message != "forgot 0 names" {
		t.Errorf("the schedule says %q, %v", ran.Message, err)
	}
	if _, err := h.Disable(ctx, caller, "hello"); err != nil {
		t.Fatal(err)
	}
	if got, err := greet(); err == nil || strings.Contains(got, "Moin") {
		t.Errorf("disabled it still answers %s", got)
	}
}
