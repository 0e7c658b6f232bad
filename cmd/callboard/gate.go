package main

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
)

// gate is the way in, with a span for each of its decisions. In a request that
// is not recorded it costs nothing.
type gate struct {
	*auth.Service
	tracer trace.Tracer
}

func (p *portal) gate() gate { return gate{p.auth, p.telemetry.Tracer()} }

// Authenticate finds out who asks.
func (g gate) Authenticate(ctx context.Context, cred auth.Credentials) (host.Caller, error) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return g.Service.Authenticate(ctx, cred)
	}
	ctx, span := g.tracer.Start(ctx, "auth.authenticate")
	defer span.End()
	c, err := g.Service.Authenticate(ctx, cred)
	decided(span, err)
	return c, err
}

// Authorize implements host.Authorizer.
func (g gate) Authorize(ctx context.Context, c host.Caller, action host.Action, resource string) error {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return g.Service.Authorize(ctx, c, action, resource)
	}
	ctx, span := g.tracer.Start(ctx, "auth.authorize", trace.WithAttributes(
		attribute.String("action", string(action)), attribute.String("resource", resource)))
	defer span.End()
	err := g.Service.Authorize(ctx, c, action, resource)
	decided(span, err)
	return err
}

// decided notes a decision. A refusal is an answer, no failure.
func decided(span trace.Span, err error) {
	outcome := "allowed"
	if err != nil {
		outcome = string(host.CodeOf(err))
	}
	span.SetAttributes(attribute.String("outcome", outcome))
}
