package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Request is what the rings and rooms learn about one HTTP request while it is
// served. They write into it as they go; the outermost ring reads it when the
// answer is out. It belongs to one request and one goroutine.
type Request struct {
	// Route is the pattern that matched, for example
	// "GET /api/v1/entities/{kind}/{namespace}/{name}": a label of metrics, so
	// never a path.
	Route string
	// Tenant is the slug of the caller's tenant; Principal who it is.
	Tenant, Principal string
	// Code is the code of the problem that was answered, and Cause what lay
	// behind it; the cause goes to the log only.
	Code  string
	Cause error
}

type requestKey struct{}

// RequestFrom returns the request of ctx, or nil outside of one.
func RequestFrom(ctx context.Context) *Request {
	info, _ := ctx.Value(requestKey{}).(*Request)
	return info
}

// NoteRoute says which route serves the request of ctx.
func NoteRoute(ctx context.Context, route string) {
	if info := RequestFrom(ctx); info != nil {
		info.Route = route
	}
}

// NoteCaller says who made the request of ctx.
func NoteCaller(ctx context.Context, tenant, principal string) {
	if info := RequestFrom(ctx); info != nil {
		info.Tenant, info.Principal = tenant, principal
	}
}

// NoteFailure says why the request of ctx was refused or failed.
func NoteFailure(ctx context.Context, code string, cause error) {
	if info := RequestFrom(ctx); info != nil {
		info.Code, info.Cause = code, cause
	}
}

// TraceID returns the trace id of ctx in hexadecimal, or "".
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

// Traceparent returns the W3C trace context of ctx, or "".
func Traceparent(ctx context.Context) string {
	return traceparent(trace.SpanContextFromContext(ctx))
}

// traceparent writes version, trace, span and flags.
func traceparent(sc trace.SpanContext) string {
	if !sc.IsValid() {
		return ""
	}
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
}
