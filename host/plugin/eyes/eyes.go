// Package eyes watches plugin calls: traces, metrics with bounded labels, and
// the last calls of each instance. It sees calls and never changes one.
package eyes

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host"
)

// scope names this room in traces and metrics.
const scope = "github.com/callboard-dev/callboard/host/plugin"

// Eyes are the instruments of one house. Labels are bounded: the plugin's short
// name and the outcome, which is "ok" or an error code.
type Eyes struct {
	tracer  trace.Tracer
	calls   metric.Int64Counter
	fuel    metric.Int64Counter
	bytes   metric.Int64Counter
	seconds metric.Float64Histogram
	waits   metric.Float64Histogram
	opens   metric.Int64Counter
}

// New opens the instruments.
func New() (*Eyes, error) {
	m, e := otel.Meter(scope), &Eyes{tracer: otel.Tracer(scope)}
	var failed error
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		if err != nil && failed == nil {
			failed = fmt.Errorf("making the counter %s: %w", name, err)
		}
		return c
	}
	histogram := func(name, what string) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what),
			metric.WithExplicitBucketBoundaries(.0001, .001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
		if err != nil && failed == nil {
			failed = fmt.Errorf("making the histogram %s: %w", name, err)
		}
		return h
	}
	e.calls = counter("callboard.plugin.calls", "", "Calls of plugins by outcome.")
	e.fuel = counter("callboard.plugin.fuel", "", "Fuel that plugin calls used: about one for each instruction.")
	e.bytes = counter("callboard.plugin.host.bytes", "By", "Bytes that plugins exchanged with host services.")
	e.opens = counter("callboard.plugin.breaker.opens", "", "How often plugins were rested after failures.")
	e.seconds = histogram("callboard.plugin.call.duration", "How long plugin calls take, waiting included.")
	e.waits = histogram("callboard.plugin.call.wait", "How long plugin calls wait for their turn and for code.")
	return e, failed
}

// Call is one call, as it is watched.
type Call struct {
	eyes  *Eyes
	span  trace.Span
	begin time.Time
}

// Begin begins a call. Attributes are made only for a span that is recorded.
func (e *Eyes) Begin(ctx context.Context, name, version, capability, method string) (context.Context, Call) {
	ctx, span := e.tracer.Start(ctx, "plugin.call")
	if span.IsRecording() {
		span.SetAttributes(attribute.String("callboard.plugin", name), attribute.String("callboard.release", version),
			attribute.String("callboard.capability", capability), attribute.String("callboard.method", method))
	}
	return ctx, Call{eyes: e, span: span, begin: time.Now()}
}

// Begun is when the call began.
func (c Call) Begun() time.Time { return c.begin }

// Sums is what a call used, for the metrics.
type Sums struct {
	Fuel, HostBytes int64
	Waited          time.Duration
}

// End ends the call.
func (c Call) End(ctx context.Context, p *Past, capability, method string, used Sums, err error) {
	took := time.Since(c.begin)
	code := host.CodeOf(err)
	p.note(CallRecord{Capability: capability, Method: method, At: c.begin.UTC(), Took: took, Error: textOf(err), Code: code,
		Fuel: used.Fuel, TraceID: c.span.SpanContext().TraceID()})
	l := p.labels(string(code))
	c.eyes.calls.Add(ctx, 1, l.add...)
	c.eyes.seconds.Record(ctx, took.Seconds(), l.record...)
	if used.Fuel > 0 {
		c.eyes.fuel.Add(ctx, used.Fuel, p.plain.add...)
	}
	if used.HostBytes > 0 {
		c.eyes.bytes.Add(ctx, used.HostBytes, p.plain.add...)
	}
	if used.Waited > 0 {
		c.eyes.waits.Record(ctx, used.Waited.Seconds(), p.plain.record...)
	}
	if c.span.IsRecording() {
		c.span.SetAttributes(attribute.Int64("callboard.fuel", used.Fuel), attribute.Float64("callboard.waited", used.Waited.Seconds()))
		if err != nil {
			c.span.SetStatus(codes.Error, string(code))
			c.span.SetAttributes(attribute.String("error.type", string(code)))
		}
	}
	c.span.End()
}

// Opened counts that a plugin is rested after failures.
func (e *Eyes) Opened(ctx context.Context, p *Past) { e.opens.Add(ctx, 1, p.plain.add...) }

// Host begins a call of a host service; the returned function ends it with the
// code of its failure, or "".
func (e *Eyes) Host(ctx context.Context, name, service string) (context.Context, func(code string)) {
	ctx, span := e.tracer.Start(ctx, "plugin.host")
	if span.IsRecording() {
		span.SetAttributes(attribute.String("callboard.plugin", name), attribute.String("callboard.service", service))
	}
	return ctx, func(code string) {
		if code != "" {
			span.SetStatus(codes.Error, code)
		}
		span.End()
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return host.AsError(err).Error()
}

// Traceparent writes the W3C trace context of the call, or nothing.
func Traceparent(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return ""
	}
	flags := "-00"
	if sc.IsSampled() {
		flags = "-01"
	}
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + flags
}
