package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Call calls a method of a capability of the instance with that short name.
// Body is marshalled to JSON; the guest's answer is unmarshalled into out,
// which may be nil. Whether the caller may do so is decided before, by
// host/extension. Failures are *host.Error: of the CodePlugin... codes where
// the plugin is to blame.
func (h *House) Call(ctx context.Context, c host.Caller, short, capability, method string, body, out any) (err error) {
	e, err := h.callable(c, short, capability)
	if err != nil {
		return err
	}
	begin := time.Now()
	ctx, span := h.eyes.tracer.Start(ctx, "plugin.call", trace.WithAttributes(
		attribute.String("callboard.plugin", e.in.Name), attribute.String("callboard.release", e.in.Version),
		attribute.String("callboard.capability", capability), attribute.String("callboard.method", method),
	))
	defer func() {
		took := time.Since(begin)
		e.live.health.note(CallRecord{Capability: capability, Method: method, At: begin.UTC(), Took: took, Error: textOf(err), Code: host.CodeOf(err)})
		h.eyes.note(ctx, e.in.Short, err, took)
		if err != nil {
			span.SetStatus(codes.Error, string(host.CodeOf(err)))
			span.SetAttributes(attribute.String("error.type", string(host.CodeOf(err))))
		}
		span.End()
	}()
	leave, err := h.enter(ctx, e)
	if err != nil {
		return err
	}
	defer leave()
	module, err := e.release.code.lend(ctx, h.settings.CompileWait)
	if err != nil {
		return h.unlent(e, err)
	}
	defer e.release.code.giveBack()
	call, err := h.envelope(ctx, c, e, capability, method, body)
	if err != nil {
		return err
	}
	outcome, err := module.Call(ctx, Work{Call: call, Limits: h.loggedLimits(ctx, c, e), World: World{Host: h.hostFunc(c, e)}})
	if err != nil {
		return named(e, err)
	}
	return named(e, decode(outcome.Result, out))
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
	if e.release.broken != nil {
		return nil, h.unlent(e, e.release.broken)
	}
	return e, e.ready()
}

// unlent tells a caller that the code is not there. The details are for the
// admin, who sees them as the instance's state.
func (h *House) unlent(e *entry, err error) error {
	if host.CodeOf(err) == host.CodeUnavailable {
		return named(e, err)
	}
	out := host.Errorf(host.CodeUnavailable, "the plugin %s could not be started", e.in.Short).
		WithHint("an admin finds the reason on the plugin's page")
	out.Err = err
	return out
}

// enter takes one of the instance's slots, waiting for a bounded time.
func (h *House) enter(ctx context.Context, e *entry) (leave func(), err error) {
	if !h.begin() {
		return nil, host.Errorf(host.CodeUnavailable, "the portal is stopping").WithHint("try again in a moment")
	}
	leave = func() {
		<-e.live.slots
		h.calls.Done()
	}
	select {
	case e.live.slots <- struct{}{}:
		return leave, nil
	default:
	}
	wait := time.NewTimer(h.settings.Wait)
	defer wait.Stop()
	select {
	case e.live.slots <- struct{}{}:
		return leave, nil
	case <-wait.C:
	case <-ctx.Done():
	}
	h.calls.Done()
	busy := host.Errorf(host.CodeUnavailable, "the plugin %s is busy: %d calls are running", e.in.Short, cap(e.live.slots)).
		WithHint("try again in a moment")
	busy.RetryAfter = time.Second
	return nil, busy
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

// envelope makes the call.
func (h *House) envelope(ctx context.Context, c host.Caller, e *entry, capability, method string, body any) (pluginv1.Call, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return pluginv1.Call{}, fmt.Errorf("encoding the call: %w", err)
	}
	p := c.Principal()
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	timeout := e.limits.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	return pluginv1.Call{
		Capability: capability, Method: method, Tenant: c.Tenant().Slug,
		Caller:      pluginv1.Caller{Kind: string(p.Kind), Name: p.Name, Role: string(p.Role), Ref: p.EntityRef},
		Traceparent: carrier["traceparent"], DeadlineMillis: max(1, timeout.Milliseconds()), Body: raw,
	}, nil
}

// loggedLimits returns the limits of a call whose guest writes to the log.
func (h *House) loggedLimits(ctx context.Context, c host.Caller, e *entry) Limits {
	l := e.limits
	l.Log = func(stream string, text []byte) {
		h.settings.Log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "plugin output",
			slog.String("plugin", e.in.Name), slog.String("release", e.in.Version), slog.String("tenant", c.Tenant().Slug),
			slog.String("stream", stream), slog.String("text", string(bytes.ToValidUTF8(text, []byte("\uFFFD")))))
	}
	return l
}

// hostFunc answers the guest's calls of host services.
func (h *House) hostFunc(c host.Caller, e *entry) HostFunc {
	session := NewSession(c, &e.in, func(_ context.Context, name string) (string, error) {
		sealed, ok := e.row.sealed()[name]
		if !ok {
			return "", nil
		}
		plain, err := h.box.Open(e.in.Tenant, secretName(e.in.ID, name), sealed)
		return string(plain), err
	})
	return func(ctx context.Context, call pluginv1.HostCall) (result pluginv1.Result) {
		ctx, span := h.eyes.tracer.Start(ctx, "plugin.host", trace.WithAttributes(
			attribute.String("callboard.plugin", e.in.Name), attribute.String("callboard.service", known(h.services, call.Service)),
		))
		defer span.End()
		defer func() {
			if r := recover(); r != nil {
				h.settings.Log.Error("a host service panicked", "service", call.Service, "plugin", e.in.Name, "panic", fmt.Sprint(r))
				result = pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeInternal, Message: "the host service failed"}}
			}
			if result.Error != nil {
				span.SetStatus(codes.Error, result.Error.Code)
			}
		}()
		if n := session.Spend("calls", 1); n > e.limits.HostCalls {
			return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeLimit, Message: fmt.Sprintf("one call may make at most %d calls of host services", e.limits.HostCalls)}}
		}
		service := h.services[call.Service]
		if service == nil {
			return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeUnsupported, Message: fmt.Sprintf("this host has no service %q", clip(call.Service))}}
		}
		answer, err := service.Serve(ctx, session, call)
		if err != nil {
			return pluginv1.Result{Error: h.toGuest(call, e, err)}
		}
		result, err = resultOf(answer)
		if err != nil {
			return pluginv1.Result{Error: h.toGuest(call, e, err)}
		}
		return result
	}
}

// resultOf marshals a service's answer.
func resultOf(answer any) (r pluginv1.Result, err error) {
	if a, ok := answer.(Attached); ok {
		answer, r.Data = a.Body, a.Data
	}
	if answer == nil {
		return r, nil
	}
	r.Body, err = json.Marshal(answer)
	return r, err
}

// known bounds a guest's word to those that exist.
func known(services ServiceSet, name string) string {
	if services[name] == nil {
		return "unknown"
	}
	return name
}

func clip(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return string(bytes.ToValidUTF8([]byte(s), nil))
}

// guestCodes translates the host's codes for guests; the others are internal.
var guestCodes = map[host.Code]string{
	host.CodeInvalid: pluginv1.CodeInvalid, host.CodeTooLarge: pluginv1.CodeLimit, host.CodeNotFound: pluginv1.CodeNotFound,
	host.CodeForbidden: pluginv1.CodeForbidden, host.CodeUnauthenticated: pluginv1.CodeForbidden,
	host.CodeNotGranted: pluginv1.CodeNotGranted, host.CodePluginNotReady: pluginv1.CodeNotReady,
	host.CodeConflict: pluginv1.CodeConflict, host.CodePrecondition: pluginv1.CodeConflict, host.CodeLimit: pluginv1.CodeLimit,
	host.CodeQuota:       pluginv1.CodeLimit,
	host.CodeRateLimited: pluginv1.CodeRateLimited, host.CodePluginTimeout: pluginv1.CodeTimeout,
	host.CodeUpstream: pluginv1.CodeUpstream, host.CodeUnavailable: pluginv1.CodeUpstream,
	host.CodeUnauthorised: pluginv1.CodeUnauthorised,
}

// toGuest is the one place where the host's failures become a guest's.
func (h *House) toGuest(call pluginv1.HostCall, e *entry, err error) *pluginv1.Error {
	var typed *pluginv1.Error
	if errors.As(err, &typed) {
		return typed
	}
	he := host.AsError(err)
	code, ok := guestCodes[he.Code]
	if !ok {
		h.settings.Log.Error("a host service failed", "service", call.Service, "method", call.Method, "plugin", e.in.Name, "error", err)
		return &pluginv1.Error{Code: pluginv1.CodeInternal, Message: "the host service failed"}
	}
	return &pluginv1.Error{Code: code, Message: he.Message, Hint: he.Hint, RetryAfterSeconds: int(he.RetryAfter.Seconds()), Retryable: he.Retryable}
}

// hostCodes translates a guest's codes; the others are CodePluginOutput.
var hostCodes = map[string]host.Code{
	pluginv1.CodeInvalid: host.CodeInvalid, pluginv1.CodeNotFound: host.CodeNotFound, pluginv1.CodeForbidden: host.CodeForbidden,
	pluginv1.CodeNotGranted: host.CodeNotGranted, pluginv1.CodeNotReady: host.CodePluginNotReady, pluginv1.CodeConflict: host.CodeConflict,
	pluginv1.CodeLimit: host.CodeLimit, pluginv1.CodeRateLimited: host.CodeRateLimited, pluginv1.CodeTimeout: host.CodePluginTimeout,
	pluginv1.CodeUpstream: host.CodeUpstream, pluginv1.CodeUnauthorised: host.CodeUnauthorised, pluginv1.CodeUnsupported: host.CodePluginUnsupported,
	pluginv1.CodeInternal: host.CodePluginTrap,
}

// maxText is how much of a guest's message is passed on.
const maxText = 2000

// decode reads a guest's Result into out.
func decode(r pluginv1.Result, out any) error {
	if r.Error != nil {
		code, ok := hostCodes[r.Error.Code]
		if !ok {
			code = host.CodePluginTrap
		}
		e := &host.Error{Code: code, Message: short(r.Error.Message), Hint: short(r.Error.Hint), Retryable: r.Error.Retryable}
		if r.Error.RetryAfterSeconds > 0 {
			e.RetryAfter = time.Duration(min(r.Error.RetryAfterSeconds, 86400)) * time.Second
		}
		if e.Message == "" {
			e.Message = "the plugin failed without a message"
		}
		return e
	}
	if out == nil {
		return nil
	}
	if len(r.Body) == 0 {
		return host.Errorf(host.CodePluginOutput, "the answer has neither a body nor an error")
	}
	if err := json.Unmarshal(r.Body, out); err != nil {
		return host.Errorf(host.CodePluginOutput, "the body of the answer has another form than was promised: %v", short(err.Error()))
	}
	return nil
}

func short(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return string(bytes.ToValidUTF8([]byte(s), nil))
}

// named puts the plugin's name in front of a failure for which it is to blame.
func named(e *entry, err error) error {
	if err == nil {
		return nil
	}
	var he *host.Error
	if !errors.As(err, &he) {
		return err
	}
	out := *he
	switch he.Code {
	case host.CodePluginTimeout, host.CodePluginMemory, host.CodePluginFuel, host.CodePluginTrap, host.CodePluginOutput, host.CodeUnavailable:
		out.Message = "plugin " + e.in.Short + ": " + he.Message
	}
	return &out
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return host.AsError(err).Error()
}
