// Package stream reads and writes bodies that do not fit into one call: the
// host service stream/v1. Readers and writers come from packages blob, http and
// route; they are good for the call in which they were opened. Reading waits
// for the sender and writing for the receiver; the call's deadline ends both.
package stream

import (
	"context"
	"errors"
	"io"

	v1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// bulk is how much is moved at once where nobody says: a call of the host is
// dear, and a plugin may make some hundred of them.
const bulk = v1.MaxChunk

// Reader reads a stream. It belongs to one goroutine.
type Reader struct {
	ctx    context.Context
	handle int64
	left   []byte
	eof    bool
	closed bool
}

var (
	_ io.ReadCloser = (*Reader)(nil)
	_ io.WriterTo   = (*Reader)(nil)
)

// NewReader returns a reader of a handle that the host gave in this call.
func NewReader(ctx context.Context, handle int64) *Reader {
	return &Reader{ctx: ctx, handle: handle}
}

// Read reads the next bytes.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(max(len(p), v1.DefaultChunk)); err != nil {
		return 0, err
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// WriteTo writes all that follows to w, in large pieces.
func (r *Reader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if err := r.fill(bulk); errors.Is(err, io.EOF) {
			return total, nil
		} else if err != nil {
			return total, err
		}
		n, err := w.Write(r.left)
		r.left, total = r.left[n:], total+int64(n)
		if err != nil {
			return total, err
		}
	}
}

// fill makes sure that something is left to give, or returns io.EOF.
func (r *Reader) fill(most int) error {
	for len(r.left) == 0 {
		if r.eof || r.closed {
			return io.EOF
		}
		var out v1.ReadResponse
		data, err := sdk.Exchange(r.ctx, v1.Name, v1.MethodRead, v1.ReadRequest{Handle: r.handle, Max: min(most, v1.MaxChunk)}, nil, &out)
		if err != nil {
			return err
		}
		r.left, r.eof = data, out.EOF
	}
	return nil
}

// Close ends the reading. The host does it with the call where the plugin does
// not.
func (r *Reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed, r.left = true, nil
	return sdk.Do(r.ctx, v1.Name, v1.MethodClose, v1.CloseRequest{Handle: r.handle}, nil)
}

// Writer writes a stream. It belongs to one goroutine and keeps nothing back:
// what Write took is with the host. Write in pieces of some 100 KiB, or through
// a bufio.Writer: each Write is a call of the host.
type Writer struct {
	ctx    context.Context
	handle int64
}

var (
	_ io.Writer     = (*Writer)(nil)
	_ io.ReaderFrom = (*Writer)(nil)
)

// NewWriter returns a writer of a handle that the host gave in this call.
func NewWriter(ctx context.Context, handle int64) *Writer {
	return &Writer{ctx: ctx, handle: handle}
}

// Handle returns the stream's handle.
func (w *Writer) Handle() int64 { return w.handle }

// Write writes all of p.
func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), v1.MaxChunk)]
		if _, err := sdk.Exchange(w.ctx, v1.Name, v1.MethodWrite, v1.WriteRequest{Handle: w.handle}, part, nil); err != nil {
			return n, err
		}
		n, p = n+len(part), p[len(part):]
	}
	return n, nil
}

// ReadFrom writes all that r gives, in large pieces.
func (w *Writer) ReadFrom(r io.Reader) (total int64, err error) {
	buffer := make([]byte, bulk)
	for {
		n, err := io.ReadFull(r, buffer)
		if n > 0 {
			wrote, bad := w.Write(buffer[:n])
			if total += int64(wrote); bad != nil {
				return total, bad
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// Begin sends the head of a streamed response, before its first byte.
func (w *Writer) Begin(status int, contentType string, header map[string]string) error {
	return sdk.Do(w.ctx, v1.Name, v1.MethodBegin, v1.BeginRequest{Handle: w.handle, Status: status, ContentType: contentType, Header: header}, nil)
}

// Close ends the writing; what must be finished is finished before.
func (w *Writer) Close() error {
	return sdk.Do(w.ctx, v1.Name, v1.MethodClose, v1.CloseRequest{Handle: w.handle}, nil)
}
