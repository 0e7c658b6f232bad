package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// instruments are the metrics of the HTTP ring.
type instruments struct {
	duration metric.Float64Histogram
	active   metric.Int64UpDownCounter
	sets     *sync.Map // series -> metric.MeasurementOption
}

// series is one combination of labels. Route is a pattern of the route table,
// method one of nine, so their number is bounded by the program.
type series struct {
	method, route string
	status        int
}

func newInstruments(m metric.Meter) (instruments, error) {
	duration, err := m.Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithDescription("How long requests took, by route and status."),
		metric.WithExplicitBucketBoundaries(.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
	if err != nil {
		return instruments{}, err
	}
	active, err := m.Int64UpDownCounter("http.server.active_requests",
		metric.WithDescription("Requests being served now."))
	return instruments{duration: duration, active: active, sets: &sync.Map{}}, err
}

// labels returns the measurement option of a series, made once.
func (i instruments) labels(s series) metric.MeasurementOption {
	if o, ok := i.sets.Load(s); ok {
		return o.(metric.MeasurementOption)
	}
	o := metric.WithAttributeSet(attribute.NewSet(
		attribute.String("http.request.method", s.method),
		attribute.String("http.route", s.route),
		attribute.String("http.response.status_code", strconv.Itoa(s.status))))
	i.sets.Store(s, o)
	return o
}

// Wrap is the outermost ring of a listener: it follows or starts a trace,
// answers its Traceparent, measures, and logs. Rings inside report through
// NoteRoute, NoteCaller and NoteFailure.
func (t *Telemetry) Wrap(next http.Handler) http.Handler {
	follow := propagation.TraceContext{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx := r.Context()
		if r.Header.Get("Traceparent") != "" {
			ctx = follow.Extract(ctx, propagation.HeaderCarrier(r.Header))
		}
		ctx, span := t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		info := &Request{}
		ctx = context.WithValue(ctx, requestKey{}, info)
		w.Header()["Traceparent"] = []string{traceparent(span.SpanContext())}
		out := &recorder{ResponseWriter: w}
		t.http.active.Add(ctx, 1)
		defer func() {
			t.http.active.Add(ctx, -1)
			t.finish(ctx, span, r, info, out, time.Since(start))
		}()
		next.ServeHTTP(out, r.WithContext(ctx))
	})
}

// finish writes metric, span and log line of one request.
func (t *Telemetry) finish(ctx context.Context, span trace.Span, r *http.Request, info *Request, out *recorder, took time.Duration) {
	method, route := knownMethod(r.Method), cutMethod(info.Route)
	status := out.answered()
	t.http.duration.Record(ctx, took.Seconds(), t.http.labels(series{method, route, status}))
	if span.IsRecording() {
		span.SetName(method + " " + route)
		span.SetAttributes(
			attribute.String("http.request.method", method), attribute.String("http.route", route),
			attribute.Int("http.response.status_code", status),
			attribute.String("callboard.tenant", info.Tenant))
		if status >= 500 {
			span.SetStatus(codes.Error, info.Code)
		}
	}
	span.End()
	level := slog.LevelInfo
	switch {
	case status >= 500:
		level = slog.LevelError
	case !t.accessLog:
		level = slog.LevelDebug
	}
	if !t.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("method", method), slog.String("path", r.URL.Path),
		slog.Int("status", status), slog.Int64("bytes", out.bytes), slog.Duration("took", took)}
	if info.Principal != "" {
		attrs = append(attrs, slog.String("principal", info.Principal))
	}
	if info.Code != "" {
		attrs = append(attrs, slog.String("code", info.Code))
	}
	if info.Cause != nil {
		attrs = append(attrs, slog.Any("cause", info.Cause))
	}
	t.log.LogAttrs(ctx, level, "request", attrs...)
}

// knownMethod keeps strangers' words out of labels.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return m
	}
	return "OTHER"
}

// cutMethod takes the method off a ServeMux pattern; no pattern is "none".
func cutMethod(pattern string) string {
	if pattern == "" {
		return "none"
	}
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	return pattern
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader remembers the first final status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what is buffered, for streams.
func (w *recorder) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// answered is the status that the client sees.
func (w *recorder) answered() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
