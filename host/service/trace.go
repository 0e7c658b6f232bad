package service

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	tracev1 "github.com/callboard-dev/callboard/schemas/service/trace/v1"
)

// traceWindow is how far from now a span may lie: no call takes longer.
const traceWindow = 10 * time.Minute

// Traces is trace/v1: spans of the guest's own work in the call's trace.
type Traces struct {
	tracer trace.Tracer
	now    func() time.Time
}

var _ plugin.Service = (*Traces)(nil)

// NewTraces returns the service; a nil tracer is the process's.
func NewTraces(t trace.Tracer) *Traces {
	if t == nil {
		t = otel.Tracer("github.com/callboard-dev/callboard/host/service/plugins")
	}
	return &Traces{tracer: t, now: time.Now}
}

// Serve answers one call.
func (t *Traces) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	if call.Method != tracev1.MethodRecord {
		return nil, unknownMethod(tracev1.Name, call.Method)
	}
	in, err := read[tracev1.RecordRequest](call.Body)
	if err != nil {
		return nil, err
	}
	if s.Spend("trace.spans", int64(len(in.Spans))) > tracev1.MaxSpans {
		return nil, nil // as with log lines: what is too much is dropped, the guest goes on
	}
	now := t.now()
	for i, span := range in.Spans {
		if span.Name == "" || span.End.Before(span.Start) || span.Start.Before(now.Add(-traceWindow)) || span.End.After(now.Add(traceWindow)) {
			return nil, host.Errorf(host.CodeInvalid, "the span %d has no name, or times that cannot be", i+1)
		}
		if span.Parent < 0 || span.Parent > i {
			return nil, host.Errorf(host.CodeInvalid, "the span %d has the parent %d, which does not stand before it", i+1, span.Parent)
		}
	}
	root := callOf(ctx)
	contexts := []context.Context{root}
	for _, span := range in.Spans {
		inner, made := t.tracer.Start(contexts[span.Parent], clip(span.Name, tracev1.MaxText), trace.WithTimestamp(span.Start), trace.WithAttributes(attributesOf(s, span)...))
		if span.Error != "" {
			made.SetStatus(codes.Error, clip(span.Error, tracev1.MaxText))
		}
		made.End(trace.WithTimestamp(span.End))
		contexts = append(contexts, inner)
	}
	return nil, nil
}

// callOf returns ctx within the span of the guest's call: the one around this
// host call is its child, as the guest's own spans are.
func callOf(ctx context.Context) context.Context {
	if span, ok := trace.SpanFromContext(ctx).(interface{ Parent() trace.SpanContext }); ok && span.Parent().IsValid() {
		return trace.ContextWithSpanContext(ctx, span.Parent())
	}
	return ctx
}

func attributesOf(s *plugin.Session, span tracev1.Span) []attribute.KeyValue {
	out := []attribute.KeyValue{attribute.String("callboard.plugin", s.Instance.Name)}
	for key, value := range span.Attributes {
		if len(out) > tracev1.MaxAttributes {
			break
		}
		out = append(out, attribute.String(fmt.Sprintf("plugin.%s", clip(key, 64)), clip(value, tracev1.MaxText)))
	}
	return out
}
