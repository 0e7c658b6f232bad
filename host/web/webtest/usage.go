package webtest

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/plugin/recording"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// meter is the rooms' ledger: a working day of calls.
type meter struct{ house }

// Usage answers a curve with a few failures.
func (m meter) Usage(_ context.Context, _ host.Caller, name string, q ledger.Query) (ledger.Report, error) {
	if err := m.r.note("Usage", ""); err != nil {
		return ledger.Report{}, err
	}
	if _, err := m.find(name); err != nil {
		return ledger.Report{}, err
	}
	out := ledger.Report{Query: q, Total: ledger.Total{ByCode: map[host.Code]int64{host.CodePluginTimeout: 0, host.CodeUpstream: 0}}}
	step := time.Hour
	if q.Step == ledger.StepDay {
		step = 24 * time.Hour
	}
	for at := q.From.UTC(); at.Before(q.To); at = at.Add(step) {
		n := int64(40 + 25*(at.Hour()%12))
		t := ledger.Total{Calls: n, Errors: n / 60, Use: ledger.Use{Fuel: n * 28_000, Input: n * 900, Output: n * 4_000, HostCalls: 2 * n, HostBytes: n * 9_000,
			Wall: time.Duration(n) * 12 * time.Millisecond, Waited: time.Duration(n) * 90 * time.Microsecond}}
		out.Points = append(out.Points, ledger.Point{Start: at, Total: t})
		out.Total.Calls += t.Calls
		out.Total.Errors += t.Errors
		out.Total.Fuel += t.Fuel
		out.Total.Input += t.Input
		out.Total.Output += t.Output
		out.Total.HostCalls += t.HostCalls
		out.Total.HostBytes += t.HostBytes
		out.Total.Wall += t.Wall
		out.Total.Waited += t.Waited
		out.Total.ByCode[host.CodeUpstream] += t.Errors
	}
	out.Capabilities = []ledger.Share{{Capability: "view/v1", Total: out.Total}}
	return out, nil
}

// Quotas answers a bound of the operator's.
func (m meter) Quotas(context.Context, host.Caller, string) (ledger.Quotas, error) {
	return ledger.Quotas{Operator: ledger.Quota{FuelPerDay: 5_000_000_000}, Effective: ledger.Quota{FuelPerDay: 5_000_000_000}}, m.r.note("Quotas", "")
}

// SetQuota notes it.
func (m meter) SetQuota(_ context.Context, _ host.Caller, name string, q ledger.Quota) (ledger.Quotas, error) {
	return ledger.Quotas{Tenant: q, Effective: q}, m.r.note("SetQuota", fmt.Sprintf("%s %d %d", name, q.CallsPerMinute, q.FuelPerDay))
}

// Retry notes it.
func (m meter) Retry(_ context.Context, _ host.Caller, name string) (plugin.Instance, error) {
	if err := m.r.note("Retry", name); err != nil {
		return plugin.Instance{}, err
	}
	return m.find(name)
}

// tapes are the rooms' recordings: two calls, of which one failed.
type tapes struct{ house }

// List lists.
func (t tapes) List(context.Context, host.Caller, string, int) ([]recording.Entry, error) {
	return []recording.Entry{
		{ID: "rec_1", Version: "1.0.0", Capability: "view/v1", Method: "render", At: t.r.now.Add(-4 * time.Minute), Bytes: 9000, Fuel: 28_109, Redacted: 2},
		{ID: "rec_2", Version: "1.0.0", Capability: "route/v1", Method: "handle", At: t.r.now.Add(-3 * time.Hour), Bytes: 4000, Fuel: 91_000, Failed: true},
	}, t.r.note("Recordings", "")
}

// Export answers a recording.
func (t tapes) Export(_ context.Context, _ host.Caller, name, id string) (*recording.Recording, error) {
	if id != "rec_1" {
		return nil, host.Errorf(host.CodeNotFound, "there is no recording %q", id)
	}
	return &recording.Recording{Format: recording.Format, ID: id, Plugin: name, At: t.r.now, Call: pluginv1.Call{Capability: "view/v1", Method: "render", Body: json.RawMessage(`{}`)}}, t.r.note("Export", "")
}

// Rule answers the default.
func (t tapes) Rule(context.Context, host.Caller, string) (recording.Rule, error) {
	return recording.DefaultRule(), t.r.note("Rule", "")
}

// SetRule notes it, and refuses what the real one refuses.
func (t tapes) SetRule(_ context.Context, _ host.Caller, name string, rule recording.Rule) (recording.Rule, error) {
	if rule.Sample < 0 || rule.Sample > 1 {
		return rule, host.Errorf(host.CodeInvalid, "the share of recorded calls must be between 0 and 1")
	}
	return rule, t.r.note("SetRule", fmt.Sprintf("%s %g %s %d", name, rule.Sample, rule.Keep, rule.Most))
}

// Evidence says that the first grant was used and the others were not.
func (m meter) Evidence(_ context.Context, _ host.Caller, name string) ([]grant.Finding, error) {
	in, err := m.find(name)
	if err != nil {
		return nil, err
	}
	var out []grant.Finding
	for i, g := range in.Grants {
		f := grant.Finding{Grant: g, Uses: []grant.Use{}}
		if i == 0 {
			f.Used, f.Narrowed = true, &in.Grants[i]
			f.Uses = []grant.Use{{Service: g.Type, Target: "https://api.github.com", Count: 4211, Last: m.r.now.Add(-time.Hour)}}
		}
		out = append(out, f)
	}
	return out, m.r.note("Evidence", "")
}

// Narrow notes it.
func (m meter) Narrow(_ context.Context, _ host.Caller, name string) (plugin.Instance, error) {
	if err := m.r.note("Narrow", name); err != nil {
		return plugin.Instance{}, err
	}
	return m.find(name)
}
