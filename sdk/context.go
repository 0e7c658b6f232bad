package sdk

import (
	"context"
	"time"

	"github.com/callboard-dev/callboard/schemas/codec"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Caller is who caused a call.
type Caller struct {
	Kind string // user, token, plugin or system
	Name string
	Role string // admin, member or viewer
	Ref  string // the caller's User entity, or empty
}

// Host answers the host calls of a plugin. The guest's host is the portal;
// sdktest gives an in-memory one.
type Host func(ctx context.Context, call plugin.HostCall) plugin.Result

// Context is one call: who asks, for which tenant, until when, and the way to
// the host's services. It is a context.Context, so it and what is derived from
// it can be passed to anything that takes one.
//
// In a guest the deadline ends the sandbox from outside: Done is never closed
// there, while Deadline and Err tell the truth.
type Context struct {
	context.Context
	call     plugin.Call
	host     Host
	deadline time.Time
}

// contextKey finds the Context of a derived context.Context.
type contextKey struct{}

func newContext(parent context.Context, call plugin.Call, host Host) *Context {
	c := &Context{Context: parent, call: call, host: host}
	if call.DeadlineMillis > 0 {
		c.deadline = time.Now().Add(time.Duration(call.DeadlineMillis) * time.Millisecond)
	}
	if d, ok := parent.Deadline(); ok && (c.deadline.IsZero() || d.Before(c.deadline)) {
		c.deadline = d
	}
	return c
}

// Tenant returns the slug of the tenant for which the call is made.
func (c *Context) Tenant() string { return c.call.Tenant }

// Caller returns who caused the call.
func (c *Context) Caller() Caller { return Caller(c.call.Caller) }

// Traceparent returns the W3C trace context of the call, or "".
func (c *Context) Traceparent() string { return c.call.Traceparent }

// Deadline returns when the host ends the call.
func (c *Context) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Err returns context.DeadlineExceeded after the deadline, else the parent's.
func (c *Context) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value returns c itself for the key of FromContext, else the parent's value.
func (c *Context) Value(key any) any {
	if key == (contextKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// FromContext returns the Context from which ctx is derived.
func FromContext(ctx context.Context) (*Context, bool) {
	c, ok := ctx.Value(contextKey{}).(*Context)
	return c, ok
}

// Data returns the raw bytes that came beside the call's body, or nil.
func (c *Context) Data() []byte { return c.call.Data }

// Do calls a method of a host service, for example "kv/v1" and "get", with in
// as its request and decodes the answer into out. Either may be nil. A refusal
// of the host is an *Error. The service packages are the usual way; Do is the
// way to a service that this SDK does not know yet.
func Do(ctx context.Context, service, method string, in, out any) error {
	_, err := Exchange(ctx, service, method, in, nil, out)
	return err
}

// Exchange is Do with raw bytes beside the request and the answer, which
// travel as they are. The answer's bytes belong to the caller.
func Exchange(ctx context.Context, service, method string, in any, data []byte, out any) (answer []byte, err error) {
	c, ok := FromContext(ctx)
	if !ok {
		return nil, Errorf(CodeInternal, "calling %s without a call's context", service).
			WithHint("Pass the *sdk.Context of the handler, or a context derived from it.")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call := plugin.HostCall{Service: service, Method: method, Data: data}
	if in != nil {
		if call.Body, err = codec.Marshal(in); err != nil {
			return nil, Errorf(CodeInternal, "encoding a request to %s: %w", service, err)
		}
	}
	result := c.host(ctx, call)
	if result.Error != nil {
		return nil, fromWire(result.Error)
	}
	if out == nil || len(result.Body) == 0 {
		return result.Data, nil
	}
	if err := codec.UnmarshalTrusted(result.Body, out); err != nil {
		return nil, Errorf(CodeInternal, "decoding the answer of %s: %w", service, err)
	}
	return result.Data, nil
}
