package api

import (
	"context"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/breaker"
)

// instance is an installed plugin as the API tells it.
type instance struct {
	ID          string              `json:"id" doc:"The plugin's name, namespace/name." example:"callboard/prometheus"`
	Name        string              `json:"name" doc:"The part after the slash, which paths use." example:"prometheus"`
	InstanceID  string              `json:"instanceId"`
	Title       string              `json:"title"`
	Description string              `json:"description,omitempty"`
	Version     string              `json:"version"`
	Digest      string              `json:"digest"`
	State       plugin.State        `json:"state" enum:"installing,compiling,active,disabled,failed-to-start,failed-to-stay-running,quarantined,update-pending-approval"`
	StateDetail string              `json:"stateDetail,omitempty" doc:"Why, and what to do."`
	Enabled     bool                `json:"enabled" doc:"What the admin wants; state is what came of it."`
	Config      json.RawMessage     `json:"config,omitempty"`
	Secrets     []string            `json:"secrets" doc:"The names of the secrets that have a value. Values are never shown."`
	Missing     []string            `json:"missing" doc:"The required secrets that have none."`
	Grants      []plugin.Grant      `json:"grants" doc:"What the plugin may reach."`
	Permissions []plugin.Grant      `json:"permissions" doc:"What its manifest asks for."`
	Previous    string              `json:"previous,omitempty" doc:"The version to which a rollback returns."`
	Pending     *plugin.Pending     `json:"pending,omitempty" doc:"A newer release that asks for more and waits for consent."`
	Progress    *plugin.Progress    `json:"progress,omitempty" doc:"Set while the code is being compiled."`
	Trial       *plugin.TrialReport `json:"trial,omitempty" doc:"After an upgrade: what recorded calls say of the new release."`
	Pinned      bool                `json:"pinned" doc:"Whether it stays at its digest: upgrades are refused."`
	Policy      plugin.Policy       `json:"policy" doc:"What an admin decided beside the manifest: limits, and what callers get while it fails."`
	InstalledAt time.Time           `json:"installedAt"`
	UpdatedAt   time.Time           `json:"updatedAt"`
}

func instanceOf(i plugin.Instance) instance {
	out := instance{ID: i.Name, Name: i.Short, InstanceID: i.ID, Version: i.Version, Digest: i.Digest,
		State: i.State, StateDetail: i.StateDetail, Enabled: i.Enabled, Config: i.Config,
		Secrets: some(i.Secrets), Missing: some(i.Missing()), Grants: some(i.Grants), Permissions: []plugin.Grant{},
		Previous: i.Previous, Pending: i.Pending, Progress: i.Progress, Trial: i.Trial, Pinned: i.Pinned, Policy: i.Policy,
		InstalledAt: i.InstalledAt, UpdatedAt: i.UpdatedAt}
	if i.Manifest != nil {
		out.Title, out.Description = i.Manifest.Title, i.Manifest.Description
		out.Permissions = some(i.Manifest.Permissions)
	}
	return out
}

// preview is a release before it is installed.
type preview struct {
	ID          string          `json:"id" doc:"The plugin's name, namespace/name."`
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description,omitempty"`
	Version     string          `json:"version"`
	Digest      string          `json:"digest"`
	Installed   string          `json:"installed,omitempty" doc:"The version that is installed now."`
	Permissions []plugin.Grant  `json:"permissions" doc:"What it asks for, with reasons."`
	Wider       []plugin.Grant  `json:"wider" doc:"The permissions that no grant covers yet."`
	Widened     []string        `json:"widened,omitempty" doc:"What else the release could do more than the installed one, a sentence for each. It waits for consent too."`
	Manifest    json.RawMessage `json:"manifest"`
	Readme      string          `json:"readme,omitempty"`
	CodeBytes   int64           `json:"codeBytes"`
}

func previewOf(p plugin.Preview) preview {
	out := preview{Digest: p.Digest, Installed: p.Installed, Wider: some(p.Wider), Widened: p.Widened, Readme: p.Readme,
		CodeBytes: p.CodeBytes, Permissions: []plugin.Grant{}}
	if m := p.Manifest; m != nil {
		out.ID, out.Title, out.Description, out.Version = m.Name, m.Title, m.Description, m.Version
		out.Name = shortName(m.Name)
		out.Permissions = some(m.Permissions)
		out.Manifest, _ = json.Marshal(m) // a manifest was JSON before
	}
	return out
}

func (a *API) listBundled(ctx context.Context, c host.Caller, _ *struct{}) (*bodyOf[list[preview]], error) {
	all, err := a.s.Plugins.Bundled(ctx, c)
	if err != nil {
		return nil, err
	}
	return listOf(all, previewOf), nil
}

func (a *API) listPlugins(ctx context.Context, c host.Caller, _ *struct{}) (*bodyOf[list[instance]], error) {
	all, err := a.s.Plugins.List(ctx, c)
	if err != nil {
		return nil, err
	}
	return listOf(all, instanceOf), nil
}

// PluginInput names an installed plugin by the part of its name after the
// slash.
type PluginInput struct {
	Plugin string `path:"plugin" maxLength:"64" example:"prometheus"`
}

func (a *API) getPlugin(ctx context.Context, c host.Caller, in *PluginInput) (*bodyOf[instance], error) {
	return oneInstance(a.s.Plugins.Get(ctx, c, in.Plugin))
}

// oneInstance answers what a change left behind.
func oneInstance(i plugin.Instance, err error) (*bodyOf[instance], error) {
	if err != nil {
		return nil, err
	}
	return &bodyOf[instance]{instanceOf(i)}, nil
}

// health is how a plugin has been doing on the host that answers, since it
// started.
type health struct {
	Instance  instance     `json:"instance"`
	Calls     int64        `json:"calls"`
	Errors    int64        `json:"errors"`
	Recent    []callRecord `json:"recent" doc:"The last calls, the newest first."`
	LastError *callRecord  `json:"lastError,omitempty"`
	Loaded    bool         `json:"loaded" doc:"Whether its code is in memory; it is loaded at the next call where it is not."`
	Running   int          `json:"running" doc:"Calls that run now."`
	Limit     int          `json:"limit" doc:"Calls that may run at a time."`
	Waiting   int          `json:"waiting" doc:"Calls of all tenants that wait for their turn at this release."`
	KVBytes   int64        `json:"kvBytes" doc:"What it has stored."`
	CodeBytes int64        `json:"codeBytes"`
	Sandbox   *sandbox     `json:"sandbox,omitempty" doc:"How its calls are run; known once its code is loaded."`
	Limits    limits       `json:"limits" doc:"What one call may use."`
	Breaker   breakerState `json:"breaker"`
	Logs      []logLine    `json:"logs" doc:"The last lines of its log, the newest first."`
}

// sandbox is how calls of a plugin are run.
type sandbox struct {
	Runtime string `json:"runtime"`
	Path    string `json:"path" doc:"How a sandbox is made clean: page-scan, madvise or fresh; else the runtime."`
	Why     string `json:"why,omitempty" doc:"Why no faster path is taken."`
	ABI     int    `json:"abi"`
	Bytes   int64  `json:"bytes" doc:"What code and image take in memory."`
	Metered bool   `json:"metered"`
}

// limits is what one call of a plugin may use.
type limits struct {
	TimeoutMillis float64 `json:"timeoutMillis"`
	MemoryBytes   int64   `json:"memoryBytes"`
	MemoryPerByte int64   `json:"memoryPerByte" doc:"More memory for each byte of the request."`
	InputBytes    int64   `json:"inputBytes"`
	OutputBytes   int64   `json:"outputBytes"`
	Fuel          int64   `json:"fuel"`
	FuelPerByte   int64   `json:"fuelPerByte" doc:"More fuel for each byte of the request."`
	HostCalls     int64   `json:"hostCalls"`
	HostBytes     int64   `json:"hostBytes"`
	LogRate       int64   `json:"logRate" doc:"Bytes of log in a second."`
	Concurrency   int     `json:"concurrency"`
}

func limitsOf(l plugin.Limits) limits {
	return limits{millis(l.Timeout), l.Memory, l.MemoryPerByte, l.Input, l.Output, l.Fuel, l.FuelPerByte, l.HostCalls, l.HostBytes, l.LogRate, l.Concurrency}
}

// breakerState is whether a plugin rests after failures.
type breakerState struct {
	Phase    string     `json:"phase" enum:"closed,open,half-open" doc:"closed: calls run. open: calls are refused. half-open: one call tries."`
	Until    *time.Time `json:"until,omitempty" doc:"When the next call tries."`
	Calls    int        `json:"calls" doc:"Calls that were looked at lately."`
	Failures int        `json:"failures" doc:"Those of them that failed by the plugin's fault."`
	Opens    int        `json:"opens" doc:"How often it had to rest lately."`
}

func breakerOf(r breaker.Report) breakerState {
	out := breakerState{Phase: string(r.Phase), Calls: r.Calls, Failures: r.Failures, Opens: r.Opens}
	if !r.Until.IsZero() {
		out.Until = &r.Until
	}
	return out
}

// logLine is a line that a plugin logged.
type logLine struct {
	At      time.Time         `json:"at"`
	Level   string            `json:"level" doc:"debug, info, warn or error; stdout or stderr for what it printed."`
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"`
	TraceID string            `json:"traceId,omitempty"`
}

func logLineOf(l plugin.LogLine) logLine {
	return logLine{l.At, l.Level, l.Message, l.Fields, traceOf(l.TraceID)}
}

func traceOf(id trace.TraceID) string {
	if !id.IsValid() {
		return ""
	}
	return id.String()
}

// callRecord is one past call of a plugin.
type callRecord struct {
	Capability string    `json:"capability"`
	Method     string    `json:"method"`
	At         time.Time `json:"at"`
	TookMillis float64   `json:"tookMillis"`
	Code       host.Code `json:"code,omitempty" doc:"Why it failed; empty where it did not."`
	Error      string    `json:"error,omitempty"`
	Fuel       int64     `json:"fuel"`
	TraceID    string    `json:"traceId,omitempty"`
}

func callRecordOf(r plugin.CallRecord) callRecord {
	return callRecord{Capability: r.Capability, Method: r.Method, At: r.At,
		TookMillis: float64(r.Took.Microseconds()) / 1000, Code: r.Code, Error: r.Error, Fuel: r.Fuel, TraceID: traceOf(r.TraceID)}
}

func (a *API) pluginHealth(ctx context.Context, c host.Caller, in *PluginInput) (*bodyOf[health], error) {
	h, err := a.s.Plugins.Health(ctx, c, in.Plugin)
	if err != nil {
		return nil, err
	}
	out := health{Instance: instanceOf(h.Instance), Calls: h.Calls, Errors: h.Errors, Recent: listOf(h.Recent, callRecordOf).Body.Items,
		Loaded: h.Loaded, Running: h.Running, Limit: h.Limit, Waiting: h.Waiting, KVBytes: h.KVBytes, CodeBytes: h.CodeBytes,
		Limits: limitsOf(h.Limits), Breaker: breakerOf(h.Breaker), Logs: listOf(h.Logs, logLineOf).Body.Items}
	if f := h.Facts; f != nil {
		out.Sandbox = &sandbox{f.Runtime, f.Path, f.Why, f.ABI, f.Bytes, f.Metered}
	}
	if h.LastError != nil {
		last := callRecordOf(*h.LastError)
		out.LastError = &last
	}
	return &bodyOf[health]{out}, nil
}

func (a *API) enablePlugin(ctx context.Context, c host.Caller, in *PluginInput) (*bodyOf[instance], error) {
	return oneInstance(a.s.Changer.Enable(ctx, c, in.Plugin))
}

func (a *API) disablePlugin(ctx context.Context, c host.Caller, in *PluginInput) (*bodyOf[instance], error) {
	return oneInstance(a.s.Changer.Disable(ctx, c, in.Plugin))
}

func (a *API) rollbackPlugin(ctx context.Context, c host.Caller, in *PluginInput) (*bodyOf[instance], error) {
	return oneInstance(a.s.Installer.Rollback(ctx, c, in.Plugin))
}

func (a *API) uninstallPlugin(ctx context.Context, c host.Caller, in *PluginInput) (*struct{}, error) {
	return nil, a.s.Installer.Uninstall(ctx, c, in.Plugin)
}

type configureInput struct {
	PluginInput
	Body struct {
		Config  json.RawMessage   `json:"config,omitempty" doc:"The whole configuration, by the manifest's schema. Left out, it stays."`
		Secrets map[string]string `json:"secrets,omitempty" doc:"Secrets to set; an empty value removes one. Others stay."`
	}
}

func (a *API) configurePlugin(ctx context.Context, c host.Caller, in *configureInput) (*bodyOf[instance], error) {
	return oneInstance(a.s.Changer.Configure(ctx, c, in.Plugin, in.Body.Config, in.Body.Secrets))
}

type grantInput struct {
	PluginInput
	Body struct {
		Grants []plugin.Grant `json:"grants" doc:"What the plugin may reach from now on: permissions of its manifest, or narrower ones."`
	}
}

func (a *API) grantPlugin(ctx context.Context, c host.Caller, in *grantInput) (*bodyOf[instance], error) {
	return oneInstance(a.s.Changer.Grant(ctx, c, in.Plugin, in.Body.Grants))
}
