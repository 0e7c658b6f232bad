package plugin

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host"
)

// scope names this room in traces and metrics.
const scope = "github.com/callboard-dev/callboard/host/plugin"

// eyes are the traces and metrics of plugin calls. Labels are bounded: the
// plugin's short name and the outcome, which is "ok" or an error code.
type eyes struct {
	tracer  trace.Tracer
	calls   metric.Int64Counter
	seconds metric.Float64Histogram
}

func newEyes() (*eyes, error) {
	m := otel.Meter(scope)
	calls, err := m.Int64Counter("callboard.plugin.calls", metric.WithDescription("Calls of plugins by outcome."))
	if err != nil {
		return nil, fmt.Errorf("making the counter of plugin calls: %w", err)
	}
	seconds, err := m.Float64Histogram("callboard.plugin.call.duration", metric.WithUnit("s"),
		metric.WithDescription("How long plugin calls take."),
		metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
	if err != nil {
		return nil, fmt.Errorf("making the histogram of plugin calls: %w", err)
	}
	return &eyes{tracer: otel.Tracer(scope), calls: calls, seconds: seconds}, nil
}

func (e *eyes) note(ctx context.Context, short string, err error, took time.Duration) {
	outcome := "ok"
	if err != nil {
		outcome = string(host.CodeOf(err))
	}
	labels := metric.WithAttributes(attribute.String("plugin", short), attribute.String("outcome", outcome))
	e.calls.Add(ctx, 1, labels)
	e.seconds.Record(ctx, took.Seconds(), labels)
}

// CallRecord is one past call, for the plugin's health page.
type CallRecord struct {
	Capability string        `json:"capability"`
	Method     string        `json:"method"`
	At         time.Time     `json:"at"`
	Took       time.Duration `json:"took"`
	// Code and Error are empty where the call succeeded.
	Code  host.Code `json:"code,omitempty"`
	Error string    `json:"error,omitempty"`
}

// Health is how an instance has been doing in this process since it started.
type Health struct {
	Instance Instance `json:"instance"`
	Calls    int64    `json:"calls"`
	Errors   int64    `json:"errors"`
	// Recent are the last calls, newest first.
	Recent []CallRecord `json:"recent"`
	// LastError is the newest call that failed, or nil.
	LastError *CallRecord `json:"lastError,omitempty"`
	// Loaded reports whether the compiled code is in memory; it is loaded at
	// the next call where it is not.
	Loaded bool `json:"loaded"`
	// Running is how many calls run now, Limit how many may.
	Running   int   `json:"running"`
	Limit     int   `json:"limit"`
	KVBytes   int64 `json:"kvBytes"`
	CodeBytes int64 `json:"codeBytes"`
}

// recentCalls is how many calls an instance remembers.
const recentCalls = 20

type health struct {
	mu     sync.Mutex
	calls  int64
	errors int64
	recent []CallRecord // oldest first
	failed *CallRecord
}

func (h *health) note(r CallRecord) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	if r.Code != "" {
		h.errors++
		h.failed = &r
	}
	if len(h.recent) == recentCalls {
		h.recent = slices.Delete(h.recent, 0, 1)
	}
	h.recent = append(h.recent, r)
}

// Health tells how an instance has been doing.
func (h *House) Health(ctx context.Context, c host.Caller, name string) (Health, error) {
	if err := h.look(ctx, c, name); err != nil {
		return Health{}, err
	}
	e, err := h.find(c.TenantID(), name)
	if err != nil {
		return Health{}, err
	}
	used, err := h.data.Used(ctx, e.in.Tenant, e.in.ID)
	if err != nil {
		return Health{}, err
	}
	out := Health{
		Instance: e.now(), Loaded: e.release.code.loaded(), Running: len(e.live.slots), Limit: cap(e.live.slots),
		KVBytes: used, CodeBytes: e.release.row.CodeBytes,
	}
	l := &e.live.health
	l.mu.Lock()
	defer l.mu.Unlock()
	out.Calls, out.Errors, out.LastError = l.calls, l.errors, l.failed
	out.Recent = slices.Clone(l.recent)
	slices.Reverse(out.Recent)
	return out, nil
}
