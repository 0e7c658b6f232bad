package webtest

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

//go:embed testdata/argo-cd.yaml
var argo []byte

//go:embed testdata/builds.yaml
var builds []byte

// Manifest parses one of the manifests of the tests.
func Manifest(src []byte) *manifestv1.Manifest {
	m, err := manifest.Parse(src, manifestv1.FileName)
	if err != nil {
		panic(err) // the file lies beside this one and is tested
	}
	return m
}

func (r *Rooms) stockPlugins() {
	cd, ci := Manifest(argo), Manifest(builds)
	old := *cd
	old.Version = "2.2.1"
	old.Permissions = slices.Clone(cd.Permissions[1:3])
	digest := func(c string) string {
		return "sha256:9b1c" + c + "0f83a4e1d2c7b6a59f0e8d7c6b5a4938271605f4e3d2c1b0a9f8e7d6e07"
	}
	r.Installed = []plugin.Instance{
		{ID: "i1", Name: cd.Name, Short: "argo-cd", Version: "2.2.1", Digest: digest("a"), State: plugin.StateUpdatePending, Enabled: true, Manifest: &old, Grants: old.Permissions,
			Config: json.RawMessage(`{"url": "https://argocd.northwind.example", "interval": 60}`), Secrets: []string{"token"}, Previous: "2.2.0", Readme: "# Argo CD\n\nShows **sync and health**.\n",
			Pending: &plugin.Pending{Version: cd.Version, Digest: digest("b"), Manifest: cd, Wider: cd.Permissions[:1], Widened: []string{"It has a new schedule: “sync”, every 1m."}}, InstalledAt: r.now.Add(-900 * time.Hour), UpdatedAt: r.now.Add(-2 * time.Hour)},
		{ID: "i2", Name: ci.Name, Short: "builds", Version: "1.0.0", Digest: digest("c"), State: plugin.StateActive, Enabled: true, Manifest: ci, Grants: ci.Permissions, Config: json.RawMessage(`{}`),
			InstalledAt: r.now.Add(-50 * time.Hour), UpdatedAt: r.now.Add(-12 * time.Minute)}}
	fresh := *ci
	fresh.Name, fresh.Title, fresh.Description = "callboard/metrics", "Metrics", "Charts and alerts of a service, where you already are."
	r.Offered = []plugin.Preview{{Manifest: &fresh, Digest: digest("d"), CodeBytes: 3 << 20, Wider: fresh.Permissions}, {Manifest: ci, Digest: digest("c"), CodeBytes: 4 << 20, Installed: "1.0.0"}}
}

// house is the plugins' side of the rooms, whose method names others have too.
type house struct{ r *Rooms }

func (h house) find(name string) (plugin.Instance, error) {
	for _, in := range h.r.Installed {
		if in.Short == name || in.Name == name {
			return in, nil
		}
	}
	return plugin.Instance{}, host.Errorf(host.CodeNotFound, "There is no plugin %q.", name)
}

// List lists.
func (h house) List(context.Context, host.Caller) ([]plugin.Instance, error) {
	return h.r.Installed, h.r.note("Plugins", "")
}

// Get finds.
func (h house) Get(_ context.Context, _ host.Caller, name string) (plugin.Instance, error) {
	return h.find(name)
}

// Bundled lists.
func (h house) Bundled(context.Context, host.Caller) ([]plugin.Preview, error) {
	return h.r.Offered, h.r.note("Bundled", "")
}

// Inspect finds a bundled release; any upload is the first.
func (h house) Inspect(_ context.Context, _ host.Caller, from plugin.Source) (plugin.Preview, error) {
	if err := h.r.note("Inspect", ""); err != nil {
		return plugin.Preview{}, err
	}
	for _, p := range h.r.Offered {
		if p.Manifest.Name == from.Bundled || len(from.Upload) > 0 {
			return p, nil
		}
	}
	return plugin.Preview{}, host.Errorf(host.CodeNotFound, "No plugin %q is bundled with this host.", from.Bundled)
}

// Health is that of a plugin at work.
func (h house) Health(_ context.Context, _ host.Caller, name string) (plugin.Health, error) {
	in, err := h.find(name)
	failed := plugin.CallRecord{Capability: "view/v1", Method: "render", At: h.r.now.Add(-3 * time.Minute), Took: 10 * time.Second, Code: host.CodePluginTimeout, Error: "the call took longer than 10s"}
	return plugin.Health{Instance: in, Calls: 48210, Errors: 3, Loaded: true, Running: 1, Limit: 8, KVBytes: 34211, CodeBytes: 3 << 20, LastError: &failed,
		Recent: []plugin.CallRecord{{Capability: "view/v1", Method: "render", At: h.r.now.Add(-time.Minute), Took: 7 * time.Millisecond}, failed}}, err
}

// Install is noted and answers with the second instance.
func (h house) Install(_ context.Context, _ host.Caller, from plugin.Source, o plugin.InstallOptions) (plugin.Instance, error) {
	return h.r.Installed[1], h.r.note("Install", fmt.Sprintf("%s grants=%d config=%s secrets=%v enable=%t", from.Bundled, len(o.Grants), o.Config, o.Secrets, o.Enable))
}

// Upgrade is noted.
func (h house) Upgrade(_ context.Context, _ host.Caller, name string, _ plugin.Source, o plugin.UpgradeOptions) (plugin.Instance, error) {
	return h.r.Installed[1], h.r.note("Upgrade", fmt.Sprintf("%s all=%t", name, o.AcceptAll))
}

func (h house) change(method, name, detail string) (plugin.Instance, error) {
	if err := h.r.note(method, name+detail); err != nil {
		return plugin.Instance{}, err
	}
	return h.find(name)
}

// Rollback is noted.
func (h house) Rollback(_ context.Context, _ host.Caller, name string) (plugin.Instance, error) {
	return h.change("Rollback", name, "")
}

// Uninstall is noted.
func (h house) Uninstall(_ context.Context, _ host.Caller, name string) error {
	_, err := h.change("Uninstall", name, "")
	return err
}

// Enable is noted.
func (h house) Enable(_ context.Context, _ host.Caller, name string) (plugin.Instance, error) {
	return h.change("Enable", name, "")
}

// Disable is noted.
func (h house) Disable(_ context.Context, _ host.Caller, name string) (plugin.Instance, error) {
	return h.change("Disable", name, "")
}

// Configure is noted.
func (h house) Configure(_ context.Context, _ host.Caller, name string, config json.RawMessage, secrets map[string]string) (plugin.Instance, error) {
	return h.change("Configure", name, fmt.Sprintf(" %s %v", config, secrets))
}

// Grant is noted.
func (h house) Grant(_ context.Context, _ host.Caller, name string, grants []plugin.Grant) (plugin.Instance, error) {
	return h.change("Grant", name, fmt.Sprintf(" %d", len(grants)))
}

// Operations are those of the builds plugin.
func (r *Rooms) Operations(host.TenantID) []extension.Operation {
	return []extension.Operation{{Plugin: "callboard/builds", Short: "builds", OperationID: "buildsRerun", Method: "POST", Path: "/runs/{run}/rerun", Summary: "Run again", Access: host.ActionOperationWrite,
		Fragment: json.RawMessage(`{"parameters": [{"name": "run", "in": "path"}]}`)}}
}

// Invoke is noted.
func (r *Rooms) Invoke(_ context.Context, _ host.Caller, short, id string, params map[string]string, body []byte) (routev1.Response, error) {
	return routev1.Response{Status: 202, Body: json.RawMessage(`{"message": "Run 812 starts again."}`)}, r.note("Invoke", fmt.Sprintf("%s %s %v %s", short, id, params, body))
}

// shows are the views of the installed plugins.
type shows struct{ r *Rooms }

// List offers views of the slots of the builds and Argo CD plugins.
func (s shows) List(_ context.Context, _ host.Caller, slot string, entity json.RawMessage) ([]extension.View, error) {
	all := []extension.View{
		{Plugin: "callboard/builds", Short: "builds", PluginTitle: "Builds", ID: "runs", Slot: viewv1.SlotEntityTab, Title: "CI"},
		{Plugin: "callboard/builds", Short: "builds", PluginTitle: "Builds", ID: "latest", Slot: viewv1.SlotEntityCard, Title: "Pipelines"},
		{Plugin: "callboard/argo-cd", Short: "argo-cd", PluginTitle: "Argo CD", ID: "metrics", Slot: viewv1.SlotEntityCard, Title: "Latency"},
		{Plugin: "callboard/argo-cd", Short: "argo-cd", PluginTitle: "Argo CD", ID: "broken", Slot: viewv1.SlotEntityCard, Title: "Deployed"},
		{Plugin: "callboard/argo-cd", Short: "argo-cd", PluginTitle: "Argo CD", ID: "fleet", Slot: viewv1.SlotPage, Title: "Fleet"},
		{Plugin: "callboard/argo-cd", Short: "argo-cd", PluginTitle: "Argo CD", ID: "servers", Slot: viewv1.SlotSettings, Title: "Servers"}}
	entitySlot := slot == viewv1.SlotEntityCard || slot == viewv1.SlotEntityTab
	return slices.DeleteFunc(all, func(v extension.View) bool { return v.Slot != slot || entitySlot && len(entity) == 0 }), s.r.note("Views", "")
}

// Render shows each view's own tree.
func (s shows) Render(_ context.Context, _ host.Caller, _, id string, _ json.RawMessage, params map[string]string) (viewv1.Tree, error) {
	if err := s.r.note("Render", ""); err != nil {
		return viewv1.Tree{}, err
	}
	switch id {
	case "broken":
		return viewv1.Tree{}, host.Errorf(host.CodePluginTimeout, "Argo CD did not answer within 10 s.").WithHint("Try again, or look at the plugin's health.")
	case "metrics":
		return s.metrics(params), nil
	}
	return s.runs(), nil
}
