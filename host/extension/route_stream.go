package extension

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/fragment"
	"github.com/callboard-dev/callboard/host/plugin/schema"
	"github.com/callboard-dev/callboard/host/plugin/stream"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
)

// Reply receives a response that a plugin streams: Begin once, then Write. Both
// may wait for the receiver. It may be a stream.Aborter.
type Reply interface {
	io.Writer
	Begin(status int, header http.Header) error
}

// ErrBrokenOff says that a streamed response had begun when the plugin failed:
// nothing can be answered any more but that the connection ends.
var ErrBrokenOff = errors.New("the streamed response was broken off")

// Streams reports whether the operation to which a request leads streams its
// request's body, so that it must not be read, or bounded, as others are.
func (r *Router) Streams(c host.Caller, short, method, path string) bool {
	rs := r.table(c.TenantID()).routes[short]
	if rs == nil {
		return false
	}
	op, _, _ := rs.fragment.Match(method, path)
	return op != nil && op.Streams.Request
}

// stream calls an operation that streams.
func (r *Router) stream(ctx context.Context, c host.Caller, short string, op *fragment.Operation, in route.Request, req RouteRequest) (route.Response, error) {
	bodies := stream.Bodies{}
	if op.Streams.Request {
		if faults := op.CheckMedia(req.ContentType); len(faults) > 0 {
			e := host.Errorf(host.CodeInvalid, "the request does not fit the operation %s: %s", op.ID, faults[0])
			e.Fields = schema.Fields(faults)
			return route.Response{}, e
		}
		in.ContentType, bodies.Request = req.ContentType, req.source()
	}
	out := &reply{op: op, short: short, to: req.Reply}
	if op.Streams.Response {
		if req.Reply == nil {
			return route.Response{}, host.Errorf(host.CodeInvalid, "the operation %s streams its response", op.ID).
				WithHint("call it by HTTP, at /api/plugins/%s%s", short, op.Path)
		}
		bodies.Response = out
	}
	var answer route.Response
	_, err := r.house.Ask(stream.With(ctx, bodies), c, plugin.Request{
		Plugin: short, Capability: route.Name, Method: route.MethodHandle, Body: in, Out: &answer,
	})
	switch begun := out.end(); {
	case begun && (err != nil || !answer.Streamed):
		return route.Response{}, errors.Join(ErrBrokenOff, err)
	case err != nil:
		return route.Response{}, err
	case answer.Streamed && !op.Streams.Response:
		return route.Response{}, lied(short, op.ID, []schema.Fault{{Path: []string{"streamed"}, Message: "is set, but the manifest does not say that the response is streamed"}})
	case answer.Streamed && !begun:
		if err := out.begin(stream.Head{Status: http.StatusOK}); err != nil {
			return route.Response{}, err
		}
	}
	return answer, nil
}

// unread explains why a body could not be read; one that is too large says so
// itself.
func unread(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return host.Errorf(host.CodeInvalid, "the body ended before it was complete: %w", err).WithHint("send it again")
}

// source is the body, read already or not.
func (req RouteRequest) source() io.Reader {
	if req.Source != nil {
		return req.Source
	}
	return strings.NewReader(string(req.Body))
}

// reply checks what a plugin streams against the manifest.
type reply struct {
	op    *fragment.Operation
	short string
	to    Reply

	mu    sync.Mutex
	begun bool
	over  bool
}

var (
	_ stream.Response = (*reply)(nil)
	_ stream.Aborter  = (*reply)(nil)
)

// Begin sends the head.
func (r *reply) Begin(h stream.Head) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun || r.over {
		return host.Errorf(host.CodeConflict, "the response has begun already")
	}
	return r.begin(h)
}

// begin checks and sends the head; r.mu is held, or the call is over.
func (r *reply) begin(h stream.Head) error {
	contentType, faults := r.op.CheckHead(h.Status, h.ContentType)
	if len(faults) == 0 {
		faults = cleanHeader(&route.Response{Header: h.Header})
	}
	if len(faults) > 0 {
		return lied(r.short, r.op.ID, faults)
	}
	header := http.Header{}
	for name, value := range h.Header {
		header.Set(name, value)
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Disposition", disposition(header.Get("Content-Disposition")))
	r.begun = true
	return r.to.Begin(h.Status, header)
}

// disposition makes a download of what a plugin sends: a page of its own making
// must not be shown as if it were the portal's.
func disposition(value string) string {
	_, params, err := mime.ParseMediaType(value)
	if err != nil || params["filename"] == "" {
		return "attachment"
	}
	return mime.FormatMediaType("attachment", map[string]string{"filename": params["filename"]})
}

// Write sends bytes of the body.
func (r *reply) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return 0, io.ErrClosedPipe
	}
	if !r.begun {
		if err := r.begin(stream.Head{Status: http.StatusOK}); err != nil {
			return 0, err
		}
	}
	return r.to.Write(p)
}

// Abort ends a Write that waits for the receiver.
func (r *reply) Abort() {
	if a, ok := r.to.(stream.Aborter); ok {
		a.Abort()
	}
}

// end lets nothing more through, and says whether the response has begun.
func (r *reply) end() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return r.begun
}
