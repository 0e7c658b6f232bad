package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/eyes"
	"github.com/callboard-dev/callboard/host/plugin/fault"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/plugin/limit"
	"github.com/callboard-dev/callboard/host/plugin/stream"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
)

// Session is one call of a guest, as host services see it: for whom, by which
// instance, and what it has used up so far.
type Session struct {
	Caller   host.Caller
	Instance *Instance
	// Handles are the bodies that the call reads and writes in pieces. Who
	// runs the call attaches and closes them.
	stream.Handles

	secret func(ctx context.Context, name string) (string, error)
	tab    *ledger.Tab // nil where nothing is counted
	log    *limit.Rate // nil where logs have no rate
	past   *eyes.Past
	calls  int64 // of host services; guests call one after another
	bytes  int64

	mu    sync.Mutex
	spent map[string]int64
}

// NewSession returns a session; secret opens the instance's secrets by name
// and may be nil.
func NewSession(c host.Caller, in *Instance, secret func(ctx context.Context, name string) (string, error)) *Session {
	return &Session{Caller: c, Instance: in, secret: secret}
}

// Secret returns the value of one of the instance's secrets, empty if it has
// none. It is for host services only and must not reach the guest.
func (s *Session) Secret(ctx context.Context, name string) (string, error) {
	if s.secret == nil {
		return "", nil
	}
	return s.secret(ctx, name)
}

// Spend adds n to what the call has used of a budget and returns the sum.
func (s *Session) Spend(budget string, n int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spent == nil {
		s.spent = map[string]int64{}
	}
	s.spent[budget] += n
	return s.spent[budget]
}

// Reached notes which target of a granted service the call used, for example
// "https://api.example.com" of http/v1: what grants can be narrowed to.
func (s *Session) Reached(service, target string) {
	if s.tab != nil {
		s.tab.Reached(time.Now(), service, target)
	}
}

// LogLine is a line that a plugin logged.
type LogLine = eyes.Line

// MayLog reports whether a line may be logged now, and keeps it for the
// plugin's health page. The instance logs at the rate of its limits, and twice
// as much at once.
func (s *Session) MayLog(ctx context.Context, l LogLine) bool {
	if s.log != nil && !s.log.Take(time.Now(), l.Bytes()) {
		return false
	}
	if s.past != nil {
		s.past.Log(ctx, l)
	}
	return true
}

// session makes the session of a call.
func (h *House) session(c host.Caller, e *entry) *Session {
	return &Session{Caller: c, Instance: &e.in, tab: e.live.tab, log: e.live.log, past: e.live.past, secret: func(_ context.Context, name string) (string, error) {
		sealed, ok := e.sealed[name]
		if !ok {
			return "", nil
		}
		plain, err := h.box.Open(e.in.Tenant, secretName(e.in.ID, name), sealed)
		return string(plain), err
	}}
}

// Secret returns one secret of a tenant's instance, empty if it has no value.
// It is for the host's own checks, such as those of signatures: nothing of it
// may reach a guest.
func (h *House) Secret(ctx context.Context, t host.TenantID, short, name string) (string, error) {
	e, err := h.find(t, short)
	if err != nil {
		return "", err
	}
	return h.session(host.Caller{}, e).Secret(ctx, name)
}

// logger writes what a guest writes to its standard output and error to the
// log, at the instance's rate.
func (h *House) logger(ctx context.Context, s *Session) func(stream string, text []byte) {
	return func(stream string, text []byte) {
		line := string(bytes.ToValidUTF8(text, []byte("\uFFFD")))
		if !s.MayLog(ctx, LogLine{Level: stream, Message: line}) {
			return
		}
		h.settings.Log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "plugin output",
			slog.String("plugin", s.Instance.Name), slog.String("release", s.Instance.Version), slog.String("tenant", s.Caller.Tenant().Slug),
			slog.String("stream", stream), slog.String("text", line))
	}
}

// hostFunc answers the guest's calls of host services, within the limits of
// the call.
func (h *House) hostFunc(s *Session, e *entry, l *Limits) HostFunc {
	return func(ctx context.Context, call pluginv1.HostCall) (result pluginv1.Result) {
		service := h.services[call.Service]
		known := call.Service
		if service == nil {
			known = "unknown"
		}
		ctx, end := h.eyes.Host(ctx, e.in.Name, known)
		defer func() {
			if r := recover(); r != nil {
				h.settings.Log.Error("a host service panicked", "service", call.Service, "plugin", e.in.Name, "panic", fmt.Sprint(r))
				result = refused(pluginv1.CodeInternal, "the host service failed")
			}
			if result.Error != nil {
				end(result.Error.Code)
				return
			}
			end("")
		}()
		s.calls++
		s.bytes += int64(len(call.Body) + len(call.Data))
		switch {
		case s.calls > l.HostCalls:
			return refused(pluginv1.CodeLimit, "one call may make at most %d calls of host services", l.HostCalls)
		case s.bytes > l.HostBytes:
			return refused(pluginv1.CodeLimit, "one call may exchange at most %d bytes with host services", l.HostBytes)
		case service == nil:
			return refused(pluginv1.CodeUnsupported, "this host has no service %.64q", call.Service)
		}
		result = h.serve(ctx, s, service, call)
		if call.Service != catalogv1.Name && !fault.Refuses(result.Error) { // the catalog says itself which kinds were read
			s.Reached(call.Service, "")
		}
		if s.bytes += int64(len(result.Body) + len(result.Data)); s.bytes > l.HostBytes {
			return refused(pluginv1.CodeLimit, "one call may exchange at most %d bytes with host services", l.HostBytes)
		}
		return result
	}
}

// serve calls a host service and makes a guest's answer of what it says.
func (h *House) serve(ctx context.Context, s *Session, service Service, call pluginv1.HostCall) pluginv1.Result {
	answer, err := service.Serve(ctx, s, call)
	var data []byte
	if attached, ok := answer.(Attached); ok {
		answer, data = attached.Body, attached.Data
	}
	if err == nil && answer == nil {
		return pluginv1.Result{Data: data}
	}
	var raw json.RawMessage
	if err == nil {
		raw, err = encode(answer)
	}
	if err == nil {
		return pluginv1.Result{Body: raw, Data: data}
	}
	e, ours := fault.ToGuest(err)
	if !ours {
		h.settings.Log.Error("a host service failed", "service", call.Service, "method", call.Method, "plugin", s.Instance.Name, "error", err)
	}
	return pluginv1.Result{Error: e}
}

func refused(code, format string, args ...any) pluginv1.Result {
	return pluginv1.Result{Error: &pluginv1.Error{Code: code, Message: fmt.Sprintf(format, args...)}}
}
