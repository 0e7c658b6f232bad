// Package telemetry is the host's eyes: structured logs that never hold a
// secret, traces of every request, and metrics whose labels are bounded. It
// knows HTTP and OpenTelemetry and nothing of the portal's nouns, so every room
// may call it and it calls none.
//
// A request's trace id is its request id: it is in the Traceparent of the
// answer, in every log line written while the request lasted and in problem
// documents. That holds with no collector too; traces are exported only where
// an endpoint is given.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope names the instrumentation in exported spans and metrics.
const scope = "github.com/callboard-dev/callboard/host"

// complainEvery is how often failures of telemetry itself are logged at most.
const complainEvery = time.Minute

// Settings say where logs and traces go.
type Settings struct {
	// Version is the host's version, beside every exported span.
	Version string
	// LogTo receives the log; LogFormat is "json" or "pretty", LogLevel is
	// "debug", "info", "warn" or "error". Empty means pretty and info.
	LogTo     io.Writer
	LogFormat string
	LogLevel  string
	// AccessLog writes one line for every request, not only for failed ones.
	AccessLog bool
	// OTLPEndpoint is the URL of an OTLP gRPC collector, for example
	// "http://127.0.0.1:4317". Empty exports nothing and samples nothing.
	OTLPEndpoint string
	// SampleRatio is the part of traces that start here and are recorded,
	// from 0 to 1; 0 means all. Callers' own decisions are followed.
	SampleRatio float64
	// SpanExporter, where set, receives spans instead of a collector.
	SpanExporter sdktrace.SpanExporter
}

// Telemetry holds the open log, tracer and meter of one host.
type Telemetry struct {
	log       *slog.Logger
	tracers   *sdktrace.TracerProvider
	tracer    trace.Tracer
	meters    *sdkmetric.MeterProvider
	registry  *prometheus.Registry
	http      instruments
	accessLog bool
}

// Open starts logging, tracing and measuring. It does not wait for a collector:
// an unreachable one costs spans, never a request.
func Open(ctx context.Context, s Settings) (*Telemetry, error) {
	log, err := newLogger(s)
	if err != nil {
		return nil, err
	}
	res := resource.NewSchemaless(
		attribute.String("service.name", "callboard"),
		attribute.String("service.version", s.Version))
	tracers, err := newTracers(ctx, s, res)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("opening the metrics exporter: %w", err)
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(res))
	t := &Telemetry{log: log, tracers: tracers, tracer: tracers.Tracer(scope), meters: meters,
		registry: registry, accessLog: s.AccessLog}
	if t.http, err = newInstruments(meters.Meter(scope)); err != nil {
		return nil, fmt.Errorf("creating the HTTP metrics: %w", err)
	}
	return t, nil
}

// newTracers returns a provider that records and exports where somebody
// listens, and gives ids only where nobody does.
func newTracers(ctx context.Context, s Settings, res *resource.Resource) (*sdktrace.TracerProvider, error) {
	exporter := s.SpanExporter
	if exporter == nil && s.OTLPEndpoint != "" {
		var err error
		if exporter, err = otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(s.OTLPEndpoint)); err != nil {
			return nil, fmt.Errorf("opening the trace exporter for %s: %w", s.OTLPEndpoint, err)
		}
	}
	if exporter == nil {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()), sdktrace.WithResource(res)), nil
	}
	ratio := s.SampleRatio
	if ratio <= 0 {
		ratio = 1
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))),
		sdktrace.WithBatcher(exporter), sdktrace.WithResource(res)), nil
}

// Logger returns the log. Everything written through it is redacted.
func (t *Telemetry) Logger() *slog.Logger { return t.log }

// Tracer returns the tracer of the host's own spans.
func (t *Telemetry) Tracer() trace.Tracer { return t.tracer }

// Meter returns the meter of the host's own metrics.
func (t *Telemetry) Meter() metric.Meter { return t.meters.Meter(scope) }

// Metrics answers a Prometheus scrape.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{Registry: t.registry})
}

// SetGlobal makes t what otel.Tracer and otel.Meter return, for libraries that
// know no other way, and what their failures are written to: at most one a
// minute, for a collector that is away fails all the time. The program's wiring
// calls it once.
func (t *Telemetry) SetGlobal() {
	otel.SetTracerProvider(t.tracers)
	otel.SetMeterProvider(t.meters)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	var mu sync.Mutex
	var last time.Time
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		due := time.Since(last) >= complainEvery
		if due {
			last = time.Now()
		}
		mu.Unlock()
		if due {
			t.log.Warn("telemetry is not delivered; requests go on", "error", err)
		}
	}))
}

// Close sends what is still waiting, until ctx ends.
func (t *Telemetry) Close(ctx context.Context) error {
	return errors.Join(t.tracers.Shutdown(ctx), t.meters.Shutdown(ctx))
}

// Provider returns what makes tracers, for libraries that take one.
func (t *Telemetry) Provider() trace.TracerProvider { return t.tracers }
