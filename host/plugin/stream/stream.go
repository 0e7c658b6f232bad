// Package stream holds the open ends of one call of a guest: bodies that are
// read or written in pieces, under numbers that mean nothing outside the call.
// Who opens an end decides what may be read or written; that is done in
// host/service and host/extension.
package stream

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/callboard-dev/callboard/host"
	streamv1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
)

// Head is the beginning of a streamed response.
type Head = streamv1.BeginRequest

// Response receives a streamed response. Begin comes before the first Write,
// once; without it the first Write begins by itself. Both may wait for the
// receiver.
type Response interface {
	io.Writer
	Begin(h Head) error
}

// Aborter is an end whose Read or Write may wait for somebody outside. Abort
// makes a call that waits, and all that follow, return at once; it may be
// called at any time.
type Aborter interface{ Abort() }

// Bodies are the streamed bodies of an operation; nil where one is not
// streamed.
type Bodies struct {
	Request  io.Reader
	Response Response
}

type bodiesKey struct{}

// With returns a context that carries the bodies to the call that is made with
// it.
func With(ctx context.Context, b Bodies) context.Context {
	return context.WithValue(ctx, bodiesKey{}, b)
}

// first is the first handle that Open gives: those below are fixed.
const first = 16

// Handles are the open ends of one call. The zero value has none. It is safe
// for concurrent use.
type Handles struct {
	mu     sync.Mutex
	ends   map[int64]*End
	last   int64
	closed bool
}

// End is one open end. Its methods may be called by one goroutine at a time;
// others wait.
type End struct {
	mu     sync.Mutex
	reader io.Reader
	writer io.Writer
	closer io.Closer
	gone   bool
}

// Attach opens the bodies that ctx carries, under their fixed handles.
func (h *Handles) Attach(ctx context.Context) {
	b, _ := ctx.Value(bodiesKey{}).(Bodies)
	h.mu.Lock()
	defer h.mu.Unlock()
	if b.Request != nil {
		ahead := newPump(b.Request)
		h.put(streamv1.HandleRequest, &End{reader: ahead, closer: ahead})
	}
	if b.Response != nil {
		h.put(streamv1.HandleResponse, &End{writer: b.Response})
	}
}

// put adds an end; h.mu is held.
func (h *Handles) put(n int64, e *End) {
	if h.ends == nil {
		h.ends = map[int64]*End{}
	}
	h.ends[n] = e
}

// Open adds something to read; the call owns it from now on, also where Open
// fails. CodeLimit: too many are open.
func (h *Handles) Open(r io.ReadCloser) (handle int64, err error) {
	return h.add(&End{reader: r, closer: r})
}

// Create adds something to write. It is closed with the call: what must be
// finished is finished before.
func (h *Handles) Create(w io.WriteCloser) (handle int64, err error) {
	return h.add(&End{writer: w, closer: w})
}

func (h *Handles) add(e *End) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.ends) >= streamv1.MaxHandles {
		_ = e.closer.Close() // the refusal is what matters
		return 0, host.Errorf(host.CodeLimit, "one call may have at most %d open streams", streamv1.MaxHandles).WithHint("close those that are read or written")
	}
	h.last = max(h.last, first-1) + 1
	h.put(h.last, e)
	return h.last, nil
}

// End returns the end with that handle. CodeNotFound: the call has none.
func (h *Handles) End(handle int64) (*End, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.ends[handle]; e != nil {
		return e, nil
	}
	return nil, host.Errorf(host.CodeNotFound, "this call has no open stream %d", handle).
		WithHint("a handle is good for the call that it was given to, until it is closed")
}

// Release closes one end. One that is not open is closed already.
func (h *Handles) Release(handle int64) error {
	h.mu.Lock()
	e := h.ends[handle]
	delete(h.ends, handle)
	h.mu.Unlock()
	if e == nil {
		return nil
	}
	return e.close()
}

// Close closes all ends; nothing can be opened after it.
func (h *Handles) Close() error {
	h.mu.Lock()
	ends := h.ends
	h.ends, h.closed = nil, true
	h.mu.Unlock()
	var errs []error
	for _, e := range ends {
		errs = append(errs, e.close())
	}
	return errors.Join(errs...)
}

func (e *End) close() error {
	if !e.mu.TryLock() {
		e.abort() // somebody still waits for the other side
		e.mu.Lock()
	}
	defer e.mu.Unlock()
	if e.gone {
		return nil
	}
	e.gone = true
	if e.closer == nil {
		return nil
	}
	return e.closer.Close()
}

// abort wakes a call that waits for somebody outside.
func (e *End) abort() {
	for _, v := range []any{e.reader, e.writer} {
		if a, ok := v.(Aborter); ok {
			a.Abort()
		}
	}
}

// enter takes the end for one call, which ends with ctx.
func (e *End) enter(ctx context.Context) (leave func(), err error) {
	e.mu.Lock()
	if e.gone {
		e.mu.Unlock()
		return nil, host.Errorf(host.CodeNotFound, "the stream is closed")
	}
	stop := context.AfterFunc(ctx, e.abort)
	return func() { stop(); e.mu.Unlock() }, nil
}

// Read reads at least one byte of at most len(p), unless the body is over.
func (e *End) Read(ctx context.Context, p []byte) (n int, err error) {
	if e.reader == nil {
		return 0, host.Errorf(host.CodeInvalid, "the stream can be written only")
	}
	leave, err := e.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	if n, err = e.reader.Read(p); n == 0 && err == nil {
		n, err = io.ReadAtLeast(e.reader, p, 1)
	}
	return n, failed(ctx, err, "reading")
}

// Write writes all of p.
func (e *End) Write(ctx context.Context, p []byte) error {
	if e.writer == nil {
		return host.Errorf(host.CodeInvalid, "the stream can be read only")
	}
	leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	_, err = e.writer.Write(p)
	return failed(ctx, err, "writing")
}

// Begin begins a streamed response.
func (e *End) Begin(ctx context.Context, head Head) error {
	r, ok := e.writer.(Response)
	if !ok {
		return host.Errorf(host.CodeInvalid, "the stream is no response")
	}
	leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return failed(ctx, r.Begin(head), "beginning")
}

// Finish calls f with what Create was given, while nobody writes.
func (e *End) Finish(ctx context.Context, f func(w io.Writer) error) error {
	leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return f(e.writer)
}

// failed explains why an end failed: mostly the other side has gone, or the
// time is over.
func failed(ctx context.Context, err error, doing string) error {
	var known *host.Error
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		return host.Errorf(host.CodePluginTimeout, "the time of the call was over while %s a stream", doing)
	}
	return host.Errorf(host.CodeUpstream, "%s the stream failed: the other side has gone", doing)
}
