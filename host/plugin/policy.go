package plugin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/breaker"
	"github.com/callboard-dev/callboard/host/plugin/fault"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/plugin/limit"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/store"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Limits is what one call may use at most.
type Limits = limit.Limits

// Policy is what an admin decides beside what a manifest says. Empty fields
// leave it to the manifest.
type Policy struct {
	// Limits may be lower or higher than the manifest's, within the operator's
	// ceiling.
	Limits manifestv1.Limits `json:"limits,omitzero"`
	// Failure says by capability what callers get while the plugin fails.
	Failure map[string]manifestv1.Failure `json:"failure,omitempty"`
}

func policyOf(row *record.Instance) (p Policy) {
	if json.Unmarshal([]byte(row.Policy), &p) != nil {
		return Policy{} // the manifest's is the safe reading of a damaged row
	}
	return p
}

// limitsFor returns what calls of an instance may use: what an admin decided,
// else what the manifest asks for, else the host's default; never more than
// the operator's ceiling.
func (h *House) limitsFor(m *manifestv1.Manifest, p Policy) Limits {
	return limit.Of(p.Limits).Or(limit.Of(m.Limits)).Or(h.settings.Default).Within(h.settings.Ceiling)
}

// SetLimits replaces what an admin decided of an instance's limits; the zero
// value leaves all of them to the manifest.
func (h *House) SetLimits(ctx context.Context, c host.Caller, name string, l manifestv1.Limits) (Instance, error) {
	if err := limit.Check(l, h.settings.Ceiling); err != nil {
		return Instance{}, err
	}
	raw, _ := json.Marshal(l) // strings and numbers always marshal
	return h.change(ctx, c, name, "limits", map[string]string{"limits": string(raw)}, func(_ context.Context, _ store.Querier, row *record.Instance, _ *release) error {
		p := policyOf(row)
		p.Limits = l
		return setPolicy(row, p)
	})
}

func setPolicy(row *record.Instance, p Policy) error {
	raw, err := json.Marshal(p)
	row.Policy = string(raw)
	return err
}

// SetFailure decides what callers of a capability get while the plugin fails;
// an empty policy leaves it to the manifest.
func (h *House) SetFailure(ctx context.Context, c host.Caller, name, capability string, f manifestv1.Failure) (Instance, error) {
	detail := map[string]string{"capability": capability, "policy": cmp.Or(f.Policy, "the manifest's")}
	return h.change(ctx, c, name, "failure policy", detail, func(_ context.Context, _ store.Querier, row *record.Instance, r *release) error {
		if !(&Instance{Manifest: r.manifest}).Has(capability) {
			return host.Errorf(host.CodeInvalid, "%s does not offer %q", row.Name, capability).WithHint("callboard plugin info shows what it offers")
		}
		if err := breaker.Check(f); err != nil {
			return err
		}
		p := policyOf(row)
		if p.Failure == nil {
			p.Failure = map[string]manifestv1.Failure{}
		}
		p.Failure[capability] = f
		if f.Policy == "" {
			delete(p.Failure, capability)
		}
		return setPolicy(row, p)
	})
}

// Pin keeps an instance at its digest, so that no upgrade takes over, or lets
// go of it. Digest, if not empty, must be the installed one: it is what the
// admin looked at.
func (h *House) Pin(ctx context.Context, c host.Caller, name, digest string, pinned bool) (Instance, error) {
	verb := "unpin"
	if pinned {
		verb = "pin"
	}
	return h.change(ctx, c, name, verb, map[string]string{"digest": digest}, func(_ context.Context, _ store.Querier, row *record.Instance, r *release) error {
		if digest != "" && digest != row.Digest {
			return host.Errorf(host.CodeConflict, "%s %s has the digest %s, not %s", row.Name, r.row.Version, row.Digest, digest).
				WithHint("upgrade to the release that has it, then pin")
		}
		row.Pinned = pinned
		return nil
	})
}

// Usage returns what the caller's tenant used of a plugin.
func (h *House) Usage(ctx context.Context, c host.Caller, name string, q ledger.Query) (ledger.Report, error) {
	e, err := h.seen(ctx, c, name)
	if err != nil {
		return ledger.Report{}, err
	}
	return h.book.Usage(ctx, c.TenantID(), e.in.Name, q)
}

// Quotas returns how much of a plugin the caller's tenant may use.
func (h *House) Quotas(ctx context.Context, c host.Caller, name string) (ledger.Quotas, error) {
	e, err := h.seen(ctx, c, name)
	if err != nil {
		return ledger.Quotas{}, err
	}
	return h.book.QuotasOf(ctx, c.TenantID(), e.in.Name)
}

// SetQuota sets how much of a plugin the caller's tenant may use. System
// callers, who are the operator, set another quota than admins do; both hold.
func (h *House) SetQuota(ctx context.Context, c host.Caller, name string, quota ledger.Quota) (ledger.Quotas, error) {
	source := ledger.SetByTenant
	if c.Principal().Kind == host.KindSystem {
		source = ledger.SetByOperator
	}
	detail := map[string]string{"callsPerMinute": fmt.Sprint(quota.CallsPerMinute), "fuelPerDay": fmt.Sprint(quota.FuelPerDay), "by": source}
	in, err := h.change(ctx, c, name, "quota", detail, func(ctx context.Context, q store.Querier, row *record.Instance, _ *release) error {
		return h.book.SetQuota(ctx, q, c.TenantID(), row.Name, source, quota)
	})
	if err != nil {
		return ledger.Quotas{}, err
	}
	if err := h.book.Refresh(ctx); err != nil {
		return ledger.Quotas{}, err
	}
	return h.book.QuotasOf(ctx, c.TenantID(), in.Name)
}

// evidenceFor is how far back it is looked what a plugin really used.
const evidenceFor = 30 * 24 * time.Hour

// Evidence puts an instance's grants beside what it used of them in the last
// 30 days.
func (h *House) Evidence(ctx context.Context, c host.Caller, name string) ([]grant.Finding, error) {
	e, err := h.seen(ctx, c, name)
	if err != nil {
		return nil, err
	}
	used, err := h.book.EvidenceOf(ctx, c.TenantID(), e.in.Name, time.Now().Add(-evidenceFor))
	if err != nil {
		return nil, err
	}
	var uses []grant.Use
	for _, u := range used {
		uses = append(uses, grant.Use{Service: u.Service, Target: u.Target, Count: u.Uses, Last: u.LastUsedAt})
	}
	var config any
	if err := json.Unmarshal(e.in.Config, &config); err != nil {
		return nil, fmt.Errorf("reading the configuration of %s: %w", e.in.Name, err)
	}
	return grant.Compare(e.in.Grants, uses, config), nil
}

// Narrow takes away what an instance was granted and has not used in the last
// 30 days. A grant that is younger than that is taken away too: look at
// Evidence first.
func (h *House) Narrow(ctx context.Context, c host.Caller, name string) (Instance, error) {
	found, err := h.Evidence(ctx, c, name)
	if err != nil {
		return Instance{}, err
	}
	return h.Grant(ctx, c, name, grant.Narrow(found))
}

// seen finds an instance for a caller who may read about it.
func (h *House) seen(ctx context.Context, c host.Caller, name string) (*entry, error) {
	if err := h.look(ctx, c, name); err != nil {
		return nil, err
	}
	return h.find(c.TenantID(), name)
}

// probation is how long after an upgrade a plugin that fails goes back to the
// release before by itself, and burnt how often it may have to rest before.
const probation, burnt = time.Hour, 2

// halted is what callers of an instance are told that was stopped.
func halted(e *entry) error {
	return host.Errorf(host.CodeUnavailable, "the plugin %s is stopped: %s", e.in.Short, e.row.HaltReason).
		WithHint("an admin can try it again: callboard plugin retry %s", e.in.Short)
}

// unlent tells a caller that the code is not there. The details are for the
// admin, who sees them as the instance's state.
func (h *House) unlent(e *entry, err error) error {
	if host.CodeOf(err) == host.CodeUnavailable {
		return err
	}
	out := host.Errorf(host.CodeUnavailable, "the code could not be started").WithHint("an admin finds the reason on the plugin's page")
	out.Err = err
	return fault.Named(e.in.Short, out)
}

// happened acts on what a call did to its instance's breaker.
func (h *House) happened(ctx context.Context, c host.Caller, e *entry, event breaker.Event) {
	if event == breaker.Recovered {
		h.settings.Log.Info("a plugin has recovered", "plugin", e.in.Name, "tenant", c.Tenant().Slug)
		return
	}
	report := e.live.breaker.Report(time.Now())
	h.settings.Log.Warn("a plugin failed too often and rests", "plugin", e.in.Name, "tenant", c.Tenant().Slug, "until", report.Until)
	h.eyes.Opened(ctx, e.live.past)
	fresh := e.row.UpgradedAt != nil && time.Since(*e.row.UpgradedAt) < probation && e.row.PreviousDigest != "" && !e.row.Pinned
	switch {
	case fresh && (report.Opens >= burnt || event == breaker.Exhausted):
		h.later(func(ctx context.Context) error {
			return h.FallBack(ctx, c.Tenant(), e.in.Name, e.in.Digest, "the new release failed too often and had to rest")
		})
	case event == breaker.Exhausted:
		last := ""
		if failed := e.live.past.Summary().LastError; failed != nil {
			last = " Last: " + failed.Error
		}
		h.later(func(ctx context.Context) error {
			return h.halt(ctx, host.System(c.Tenant(), "breaker"), e, StateQuarantined, "It failed too often, however long it rested."+last)
		})
	}
}

// taint quarantines all instances of a release whose sandbox was not clean.
func (h *House) taint(e *entry, err error) {
	reason := "Its sandbox was not clean after a call, so it was stopped before anybody could see another's data."
	h.settings.Log.Error("a sandbox was not clean", "plugin", e.in.Name, "release", e.in.Version, "error", err)
	h.later(func(ctx context.Context) error { return h.haltRelease(ctx, e.in.Digest, "", StateQuarantined, reason) })
}

// FailedToStay stops the instances of a release for the tenant with that slug:
// its process ended too often. It returns at once.
func (h *House) FailedToStay(digest, tenant string, err error) {
	h.later(func(ctx context.Context) error {
		return h.haltRelease(ctx, digest, tenant, StateFailedToStay, host.AsError(err).Error())
	})
}

// haltRelease stops instances of a release: those of the tenant with that
// slug, or all. Digest is the release's or its code's.
func (h *House) haltRelease(ctx context.Context, digest, slug string, state State, reason string) error {
	var all []*entry
	h.tenants.Range(func(_, value any) bool {
		for _, e := range value.(*household).entries {
			if e.in.Enabled && e.row.Halted == "" && (e.in.Digest == digest || e.release.row.CodeDigest == digest) && (slug == "" || e.live.slug() == slug) {
				all = append(all, e)
			}
		}
		return true
	})
	for _, e := range all {
		tenant := host.Tenant{ID: e.in.Tenant, Slug: e.live.slug()}
		if err := h.halt(ctx, host.System(tenant, "plugins"), e, state, reason); err != nil {
			return err
		}
	}
	return nil
}

// halt stops an instance and says why, in its state and in the audit record.
func (h *House) halt(ctx context.Context, c host.Caller, e *entry, state State, reason string) error {
	_, err := h.change(ctx, c, e.in.Name, "stop", map[string]string{"state": string(state), "reason": reason}, func(_ context.Context, _ store.Querier, row *record.Instance, _ *release) error {
		row.Halted, row.HaltReason = string(state), fault.Short(reason)
		return nil
	})
	return err
}

// Retry lets an instance that failed, rests or was quarantined work again from
// a clean start.
func (h *House) Retry(ctx context.Context, c host.Caller, name string) (Instance, error) {
	return h.change(ctx, c, name, "retry", nil, func(_ context.Context, _ store.Querier, row *record.Instance, r *release) error {
		if !row.Enabled {
			return host.Errorf(host.CodeConflict, "%s is switched off", row.Name).WithHint("callboard plugin enable %s", row.Short)
		}
		h.restart(row, r)
		return r.broken
	})
}

// restart forgets what stopped an instance. What has not committed yet is in
// memory only: a failed commit costs nothing but another try.
func (h *House) restart(row *record.Instance, r *release) {
	row.Halted, row.HaltReason = "", ""
	r.code.Retry()
	e, err := h.find(host.TenantID(row.TenantID), row.Short)
	if err != nil {
		return
	}
	e.live.breaker.Reset(time.Now())
	if m, ok := r.code.Loaded(); ok {
		if lasting, ok := m.(Lasting); ok {
			lasting.Revive(e.live.slug())
		}
	}
}

// later does something beside the calls. The house does not close before it
// is done.
func (h *House) later(do func(ctx context.Context) error) {
	if !h.begin() {
		return
	}
	go func() {
		defer h.calls.Done()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := do(ctx); err != nil && host.CodeOf(err) != host.CodeConflict {
			h.settings.Log.Error("stopping a plugin that fails", "error", err)
		}
	}()
}

// keyOf names a request among the last good answers: the same caller asks the
// same of the instance as it is configured now.
func (e *entry) keyOf(c host.Caller, r *Request) (breaker.Key, error) {
	raw, err := encode(r.Body)
	if err != nil {
		return breaker.Key{}, fmt.Errorf("encoding the call: %w", err)
	}
	r.Body = json.RawMessage(raw)
	p := c.Principal()
	return breaker.KeyOf([]byte(e.in.ID), e.salt[:], []byte(r.Capability), []byte(r.Method), []byte(p.Kind), []byte(p.ID), []byte(p.Name), []byte(p.Role), []byte(p.EntityRef), raw, r.Data), nil
}
