package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/breaker"
	"github.com/callboard-dev/callboard/host/plugin/eyes"
	"github.com/callboard-dev/callboard/host/plugin/fault"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/plugin/turn"
	"github.com/callboard-dev/callboard/schemas/codec"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Request is what a plugin is asked.
type Request struct {
	// Plugin is the instance's short name.
	Plugin     string
	Capability string
	Method     string
	// Body is marshalled to JSON; a json.RawMessage is taken as it is.
	Body any
	// Data goes beside it, unencoded.
	Data []byte
	// Out, if not nil, receives the body of the answer.
	Out any
	// Repeatable says that an earlier answer to the same request of the same
	// caller may be given while the plugin fails.
	Repeatable bool
}

// Answer is what came of a Request.
type Answer struct {
	Body  json.RawMessage
	Data  []byte
	Usage Usage
	// Neutral says that the plugin failed and that the capability's neutral
	// answer is to be used; Body is empty then.
	Neutral bool
	// Stale is how old the answer is, where it is an earlier one; else 0.
	Stale time.Duration
	// Reason is why the answer is neutral or stale.
	Reason error
}

// Call calls a method of a capability of the instance with that short name.
// Body is marshalled to JSON; the guest's answer is unmarshalled into out,
// which may be nil. Whether the caller may do so is decided before, by
// host/extension. Failures are *host.Error: of the CodePlugin... codes where
// the plugin is to blame. The instance's failure policies do not apply: they
// are for those who Ask.
func (h *House) Call(ctx context.Context, c host.Caller, short, capability, method string, body, out any) error {
	e, err := h.callable(c, short, capability)
	if err != nil {
		return err
	}
	_, err = h.watched(ctx, c, e, Request{Plugin: short, Capability: capability, Method: method, Body: body, Out: out})
	return err
}

// Ask is Call for those who can live with less: while the plugin fails, or its
// code cannot be fetched or compiled, the answer is what the failure policy of
// the instance and the capability says.
func (h *House) Ask(ctx context.Context, c host.Caller, r Request) (Answer, error) {
	e, err := h.callable(c, r.Plugin, r.Capability)
	if err != nil {
		return Answer{}, err
	}
	policy, bound := e.failure[r.Capability]
	key, keyed := breaker.Key{}, false
	if bound && policy.Stale() && r.Repeatable {
		if key, err = e.keyOf(c, &r); err != nil {
			return Answer{}, err
		}
		keyed = true
	}
	outcome, err := h.watched(ctx, c, e, r)
	if err != nil {
		return h.lesser(c, r.Out, policy, key, keyed, err)
	}
	if keyed {
		h.shelf.Put(c.TenantID(), key, breaker.Kept{Body: outcome.Result.Body, Data: outcome.Result.Data, At: time.Now()})
	}
	return Answer{Body: outcome.Result.Body, Data: outcome.Result.Data, Usage: outcome.Usage}, nil
}

// lesser is what a caller gets for an answer that failed.
func (h *House) lesser(c host.Caller, out any, p breaker.Policy, key breaker.Key, keyed bool, failure error) (Answer, error) {
	if !fault.Excusable(failure) {
		return Answer{}, failure
	}
	now := time.Now()
	if keyed {
		if kept, ok := h.shelf.Get(c.TenantID(), key, now, p.StaleFor); ok {
			earlier := pluginv1.Result{Body: kept.Body, Data: kept.Data}
			return Answer{Body: kept.Body, Data: kept.Data, Stale: max(now.Sub(kept.At), 1), Reason: failure}, decode(&earlier, out)
		}
	}
	if p.Open() {
		return Answer{Neutral: true, Reason: failure}, nil
	}
	return Answer{}, failure
}

// callable finds the entry and says why it cannot be called.
func (h *House) callable(c host.Caller, short, capability string) (*entry, error) {
	if !c.Valid() {
		return nil, host.Errorf(host.CodeUnauthenticated, "the caller belongs to no tenant")
	}
	e, err := h.find(c.TenantID(), short)
	if err != nil {
		return nil, err
	}
	if !e.in.Enabled {
		return nil, host.Errorf(host.CodeNotFound, "the plugin %s is switched off", e.in.Short).
			WithHint("an admin can switch it on: callboard plugin enable %s", e.in.Short)
	}
	if !e.in.Has(capability) {
		return nil, host.Errorf(host.CodeNotFound, "the plugin %s does not offer %s", e.in.Short, capability)
	}
	return e, e.ready()
}

// watched makes a call, and notes what came of it.
func (h *House) watched(ctx context.Context, c host.Caller, e *entry, r Request) (Outcome, error) {
	ctx, seen := h.eyes.Begin(ctx, e.in.Name, e.in.Version, r.Capability, r.Method)
	if e.live.tenant.Load() == nil {
		slug := c.Tenant().Slug
		e.live.tenant.Store(&slug)
	}
	outcome, err := h.guarded(ctx, c, e, r)
	u := &outcome.Usage
	e.live.tab.Note(seen.Begun(), r.Capability, host.CodeOf(err), ledger.Use{
		Fuel: u.Fuel, Input: u.Input, Output: u.Output, HostCalls: u.HostCalls, HostBytes: u.HostBytes, Wall: u.Wall, Waited: u.Waited,
	})
	seen.End(ctx, e.live.past, r.Capability, r.Method, eyes.Sums{Fuel: u.Fuel, HostBytes: u.HostBytes, Waited: u.Waited}, err)
	return outcome, err
}

// guarded makes a call if the instance is not at rest, and tells the breaker.
func (h *House) guarded(ctx context.Context, c host.Caller, e *entry, r Request) (Outcome, error) {
	if e.row.Halted != "" {
		return Outcome{}, halted(e)
	}
	if e.release.broken != nil {
		return Outcome{}, h.unlent(e, e.release.broken)
	}
	pass, err := e.live.breaker.Enter(time.Now())
	if err != nil {
		return Outcome{}, fault.Named(e.in.Short, err)
	}
	result := breaker.Unknown // also where the host panics
	defer func() {
		if event := e.live.breaker.Leave(pass, time.Now(), result); event != breaker.Nothing {
			h.happened(ctx, c, e, event)
		}
	}()
	outcome, err := h.admitted(ctx, c, e, r)
	if err == nil {
		err = decode(&outcome.Result, r.Out)
	}
	switch {
	case err == nil:
		result = breaker.Good
	case fault.Blames(err) && !errors.Is(ctx.Err(), context.Canceled):
		result = breaker.Bad
	case host.CodeOf(err) != host.CodeUnavailable && host.CodeOf(err) != host.CodeQuota && ctx.Err() == nil:
		result = breaker.Good // it answered, if only with an error
	}
	if errors.Is(err, ErrIsolation) {
		h.taint(e, err)
	}
	return outcome, fault.Named(e.in.Short, err)
}

// admitted makes a call once it is within its quota and has its turn.
func (h *House) admitted(ctx context.Context, c host.Caller, e *entry, r Request) (o Outcome, err error) {
	if !h.begin() {
		return o, host.Errorf(host.CodeUnavailable, "the portal is stopping").WithHint("try again in a moment")
	}
	defer h.calls.Done()
	fuel, err := e.live.tab.Enter(time.Now())
	if err != nil {
		return o, err
	}
	mine, err := e.release.line.Take(ctx, turn.Ask{Tenant: e.in.Tenant, Limit: e.limits.Concurrency})
	if err != nil {
		return o, gone(err)
	}
	defer mine.Done()
	waited := mine.Waited
	if ctx.Value(inside{}) == nil { // a plugin's call of a plugin has its turn already
		all, err := h.line.Take(ctx, turn.Ask{Tenant: e.in.Tenant})
		if err != nil {
			return o, gone(err)
		}
		defer all.Done()
		waited += all.Waited
		ctx = context.WithValue(ctx, inside{}, true)
	}
	module, loading, err := e.release.code.Lend(ctx, h.settings.CompileWait)
	if err != nil {
		o.Usage.Waited = waited + loading
		return o, h.unlent(e, err)
	}
	defer e.release.code.GiveBack()
	o, err = h.run(ctx, c, e, r, module, fuel)
	o.Usage.Waited = waited + loading
	return o, err
}

// inside marks the context of a call that runs in a plugin.
type inside struct{}

// gone gives the end of a caller's patience a code.
func gone(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return host.Errorf(host.CodeUnavailable, "the caller left while it waited: %w", err)
	}
	return err
}

// run hands the call to the module. Fuel is what is left of the day's quota,
// or 0.
func (h *House) run(ctx context.Context, c host.Caller, e *entry, r Request, module Module, fuel int64) (Outcome, error) {
	call, err := h.compose(ctx, c, e, &r)
	if err != nil {
		return Outcome{}, err
	}
	s := h.session(c, e)
	s.Attach(ctx)
	defer s.Close()
	if used := grant.UsedBy(r.Capability); used != "" {
		s.Reached(used, "")
	}
	w := Work{Call: call, Limits: e.limits.ForRequest(int64(len(call.Body)+len(call.Data)), &h.settings.Ceiling)}
	scarce := fuel > 0 && fuel < w.Limits.Fuel
	if scarce {
		w.Limits.Fuel = fuel
	}
	w.Limits.Log = h.logger(ctx, s)
	w.World.Host = h.hostFunc(s, e, &w.Limits)
	var end func(Outcome, error)
	if h.settings.Observer != nil {
		end = h.settings.Observer.Begin(ctx, c, &e.in, &w)
	}
	o, err := module.Call(ctx, w)
	if end != nil {
		end(o, err)
	}
	if scarce && host.CodeOf(err) == host.CodePluginFuel {
		return o, host.Errorf(host.CodeQuota, "the %d units of fuel that were left of the day's quota are used up", fuel)
	}
	return o, err
}

// begin counts a call in, unless the house is closing.
func (h *House) begin() bool {
	h.door.RLock()
	defer h.door.RUnlock()
	select {
	case <-h.closing:
		return false
	default:
		h.calls.Add(1)
		return true
	}
}

// compose makes what the guest reads. A guest sees the tenant's slug and what
// it may know of the caller, nothing else.
func (h *House) compose(ctx context.Context, c host.Caller, e *entry, r *Request) (pluginv1.Call, error) {
	raw, err := encode(r.Body)
	if err != nil {
		return pluginv1.Call{}, fmt.Errorf("encoding the call: %w", err)
	}
	if n := int64(len(raw) + len(r.Data)); n > e.limits.Input {
		return pluginv1.Call{}, host.Errorf(host.CodeTooLarge, "the call has %d bytes; the plugin takes at most %d", n, e.limits.Input)
	}
	timeout := e.limits.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	p, tenant := c.Principal(), c.Tenant().Slug
	return pluginv1.Call{
		ABI: pluginv1.ABI, Capability: r.Capability, Method: r.Method, Tenant: tenant,
		Caller:      pluginv1.Caller{Kind: string(p.Kind), Name: p.Name, Role: string(p.Role), Ref: p.EntityRef},
		Traceparent: eyes.Traceparent(ctx), DeadlineMillis: max(1, timeout.Milliseconds()), Body: raw, Data: r.Data,
	}, nil
}

// encode marshals a body; one that is JSON already is not touched.
func encode(body any) (json.RawMessage, error) {
	if raw, ok := body.(json.RawMessage); ok && len(raw) > 0 {
		return raw, nil
	}
	return codec.Marshal(body)
}

// decode reads a guest's Result into out, which may be nil.
func decode(r *pluginv1.Result, out any) error {
	switch {
	case r.Error != nil:
		return fault.FromGuest(r.Error)
	case out == nil:
		return nil
	case len(r.Body) == 0 && len(r.Data) > 0:
		return nil
	case len(r.Body) == 0:
		return host.Errorf(host.CodePluginOutput, "the answer has neither a body nor an error")
	}
	if err := codec.UnmarshalTrusted(r.Body, out); err != nil {
		return host.Errorf(host.CodePluginOutput, "the body of the answer has another form than was promised: %v", fault.Short(err.Error()))
	}
	return nil
}
