package api

import (
	"context"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// PluginMeter tells and bounds what the tenant uses of plugins.
type PluginMeter interface {
	Usage(ctx context.Context, c host.Caller, name string, q ledger.Query) (ledger.Report, error)
	Quotas(ctx context.Context, c host.Caller, name string) (ledger.Quotas, error)
	SetQuota(ctx context.Context, c host.Caller, name string, q ledger.Quota) (ledger.Quotas, error)
	Evidence(ctx context.Context, c host.Caller, name string) ([]grant.Finding, error)
	Narrow(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
}

// PluginKeeper decides how an instance works and what happens when it fails.
type PluginKeeper interface {
	Retry(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	Pin(ctx context.Context, c host.Caller, name, digest string, pinned bool) (plugin.Instance, error)
	SetLimits(ctx context.Context, c host.Caller, name string, l manifestv1.Limits) (plugin.Instance, error)
	SetFailure(ctx context.Context, c host.Caller, name, capability string, f manifestv1.Failure) (plugin.Instance, error)
}

// usageRoutes are the operations on what plugins use and how they are kept.
func (a *API) usageRoutes() []row {
	return []row{
		operation(get, "/api/v1/plugins/{plugin}/usage", "getPluginUsage", tagPlugins, "Read what a plugin's calls used", a.readUsage),
		operation(get, "/api/v1/plugins/{plugin}/quota", "getPluginQuota", tagPlugins, "Read how much of a plugin may be used", a.readQuota),
		operation(put, "/api/v1/plugins/{plugin}/quota", "setPluginQuota", tagPlugins, "Set how much of a plugin may be used", a.setQuota),
		operation(get, "/api/v1/plugins/{plugin}/evidence", "getPluginEvidence", tagPlugins, "Read which grants a plugin really used in 30 days", a.readEvidence),
		operation(post, "/api/v1/plugins/{plugin}/narrow", "narrowPlugin", tagPlugins, "Take away what a plugin has not used in 30 days", a.narrowPlugin),
		operation(post, "/api/v1/plugins/{plugin}/retry", "retryPlugin", tagPlugins, "Let a plugin that was stopped work again", a.retryPlugin),
		operation(put, "/api/v1/plugins/{plugin}/pin", "pinPlugin", tagPlugins, "Keep a plugin at its digest, or let go of it", a.pinPlugin),
		operation(put, "/api/v1/plugins/{plugin}/limits", "limitPlugin", tagPlugins, "Set what one call of a plugin may use", a.limitPlugin),
		operation(put, "/api/v1/plugins/{plugin}/failure", "setPluginFailure", tagPlugins, "Set what callers get while a plugin fails", a.setFailure),
	}
}

// UsageInput asks for a time and its steps.
type UsageInput struct {
	PluginInput
	From time.Time `query:"from" doc:"From when on; 24 hours before to where it is left out."`
	To   time.Time `query:"to" doc:"Until when; now where it is left out."`
	Step string    `query:"step" enum:"hour,day" doc:"The length of a step; hours for up to 32 days, else days. What is older than 30 days is kept by the day."`
}

// usage is a sum over calls as the API tells it.
type usage struct {
	Calls        int64               `json:"calls"`
	Errors       int64               `json:"errors" doc:"Calls that failed."`
	ByCode       map[host.Code]int64 `json:"byCode" doc:"Calls that failed, by the code of their failure."`
	Fuel         int64               `json:"fuel" doc:"What the plugin executed, about one for each instruction."`
	WallMillis   float64             `json:"wallMillis" doc:"How long the plugin ran."`
	WaitedMillis float64             `json:"waitedMillis" doc:"How long calls waited for their turn and for code."`
	InputBytes   int64               `json:"inputBytes"`
	OutputBytes  int64               `json:"outputBytes"`
	HostCalls    int64               `json:"hostCalls" doc:"Calls of host services."`
	HostBytes    int64               `json:"hostBytes" doc:"What was exchanged with host services."`
}

func usageOf(t ledger.Total) usage {
	out := usage{Calls: t.Calls, Errors: t.Errors, ByCode: t.ByCode, Fuel: t.Fuel, InputBytes: t.Input, OutputBytes: t.Output,
		HostCalls: t.HostCalls, HostBytes: t.HostBytes, WallMillis: millis(t.Wall), WaitedMillis: millis(t.Waited)}
	if out.ByCode == nil {
		out.ByCode = map[host.Code]int64{}
	}
	return out
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// usageStep is one step of a report.
type usageStep struct {
	Start time.Time `json:"start"`
	usage
}

// usageShare is what one capability used.
type usageShare struct {
	Capability string `json:"capability"`
	usage
}

// usageReport is what the tenant used of a plugin.
type usageReport struct {
	From         time.Time    `json:"from"`
	To           time.Time    `json:"to"`
	Step         string       `json:"step"`
	Total        usage        `json:"total"`
	Items        []usageStep  `json:"items" doc:"The steps in which there were calls."`
	Capabilities []usageShare `json:"capabilities"`
}

func (a *API) readUsage(ctx context.Context, c host.Caller, in *UsageInput) (*bodyOf[usageReport], error) {
	r, err := a.s.Meter.Usage(ctx, c, in.Plugin, ledger.Query{From: in.From, To: in.To, Step: in.Step})
	if err != nil {
		return nil, err
	}
	out := usageReport{From: r.From, To: r.To, Step: r.Step, Total: usageOf(r.Total), Items: []usageStep{}, Capabilities: []usageShare{}}
	for _, p := range r.Points {
		out.Items = append(out.Items, usageStep{p.Start, usageOf(p.Total)})
	}
	for _, s := range r.Capabilities {
		out.Capabilities = append(out.Capabilities, usageShare{s.Capability, usageOf(s.Total)})
	}
	return &bodyOf[usageReport]{out}, nil
}

// one wraps the answer of a room.
func one[T any](v T, err error) (*bodyOf[T], error) {
	if err != nil {
		return nil, err
	}
	return &bodyOf[T]{v}, nil
}

func (a *API) readQuota(ctx context.Context, c host.Caller, in *PluginInput) (*bodyOf[ledger.Quotas], error) {
	return one(a.s.Meter.Quotas(ctx, c, in.Plugin))
}

// QuotaInput is what the tenant's admin allows; 0 is no bound.
type QuotaInput struct {
	PluginInput
	Body struct {
		CallsPerMinute int64 `json:"callsPerMinute,omitempty" minimum:"0" doc:"Calls in a minute; 0 is no bound."`
		FuelPerDay     int64 `json:"fuelPerDay,omitempty" minimum:"0" doc:"Fuel in a day in UTC; 0 is no bound."`
	}
}

func (a *API) setQuota(ctx context.Context, c host.Caller, in *QuotaInput) (*bodyOf[ledger.Quotas], error) {
	return one(a.s.Meter.SetQuota(ctx, c, in.Plugin, ledger.Quota{CallsPerMinute: in.Body.CallsPerMinute, FuelPerDay: in.Body.FuelPerDay}))
}

func (a *API) readEvidence(ctx context.Context, c host.Caller, in *PluginInput) (*bodyOf[list[grant.Finding]], error) {
	all, err := a.s.Meter.Evidence(ctx, c, in.Plugin)
	if err != nil {
		return nil, err
	}
	return listOf(all, func(f grant.Finding) grant.Finding { return f }), nil
}

func (a *API) narrowPlugin(ctx context.Context, c host.Caller, in *PluginInput) (*bodyOf[instance], error) {
	return oneInstance(a.s.Meter.Narrow(ctx, c, in.Plugin))
}

func (a *API) retryPlugin(ctx context.Context, c host.Caller, in *PluginInput) (*bodyOf[instance], error) {
	return oneInstance(a.s.Keeper.Retry(ctx, c, in.Plugin))
}

// PinInput keeps a plugin at its digest, or lets go of it.
type PinInput struct {
	PluginInput
	Body struct {
		Pinned bool   `json:"pinned"`
		Digest string `json:"digest,omitempty" doc:"The digest that must be installed; whatever it is where it is left out." maxLength:"100"`
	}
}

func (a *API) pinPlugin(ctx context.Context, c host.Caller, in *PinInput) (*bodyOf[instance], error) {
	return oneInstance(a.s.Keeper.Pin(ctx, c, in.Plugin, in.Body.Digest, in.Body.Pinned))
}

// LimitsInput is what an admin decides of a plugin's limits.
type LimitsInput struct {
	PluginInput
	Body manifestv1.Limits
}

func (a *API) limitPlugin(ctx context.Context, c host.Caller, in *LimitsInput) (*bodyOf[instance], error) {
	return oneInstance(a.s.Keeper.SetLimits(ctx, c, in.Plugin, in.Body))
}

// FailureInput is what callers of a capability get while the plugin fails.
type FailureInput struct {
	PluginInput
	Body struct {
		Capability string `json:"capability" example:"view/v1" maxLength:"64"`
		Policy     string `json:"policy" enum:"manifest,closed,open,stale" doc:"manifest leaves it to the plugin; closed gives the error, open the neutral answer, stale the last good one."`
		StaleFor   string `json:"staleFor,omitempty" example:"10m" maxLength:"32" doc:"How old an answer may be for stale, at most 24h."`
	}
}

func (a *API) setFailure(ctx context.Context, c host.Caller, in *FailureInput) (*bodyOf[instance], error) {
	f := manifestv1.Failure{Policy: in.Body.Policy, StaleFor: in.Body.StaleFor}
	if f.Policy == "manifest" {
		f = manifestv1.Failure{}
	}
	return oneInstance(a.s.Keeper.SetFailure(ctx, c, in.Plugin, in.Body.Capability, f))
}
