package stream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/stream"
	streamv1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
)

// quiet is a sender, and a receiver, that does nothing until it is aborted.
type quiet struct {
	once    sync.Once
	aborted chan struct{}
	began   chan struct{}
}

func newQuiet() *quiet {
	return &quiet{aborted: make(chan struct{}), began: make(chan struct{}, 1)}
}

func (q *quiet) wait() (int, error) {
	select {
	case q.began <- struct{}{}:
	default:
	}
	<-q.aborted
	return 0, errors.New("aborted")
}

func (q *quiet) Read([]byte) (int, error)  { return q.wait() }
func (q *quiet) Write([]byte) (int, error) { return q.wait() }
func (q *quiet) Begin(stream.Head) error   { return nil }
func (q *quiet) Abort()                    { q.once.Do(func() { close(q.aborted) }) }

func attached(t *testing.T, b stream.Bodies) *stream.Handles {
	t.Helper()
	h := &stream.Handles{}
	h.Attach(stream.With(t.Context(), b))
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func end(t *testing.T, h *stream.Handles, handle int64) *stream.End {
	t.Helper()
	e, err := h.End(handle)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestARequestIsReadWhole(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 500_000)
	reader, writer := io.Pipe()
	go func() {
		for part := want; len(part) > 0; {
			n := min(4096, len(part))
			if _, err := writer.Write(part[:n]); err != nil {
				t.Error(err)
			}
			part = part[n:]
		}
		_ = writer.Close()
	}()
	e := end(t, attached(t, stream.Bodies{Request: reader}), streamv1.HandleRequest)
	var got []byte
	buffer := make([]byte, 1<<20)
	reads := 0
	for {
		n, err := e.Read(t.Context(), buffer)
		got = append(got, buffer[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		reads++
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came of %d", len(got), len(want))
	}
	if reads > len(want)/4096/4 {
		t.Errorf("it took %d reads: small pieces are not joined", reads)
	}
}

func TestTheCallsTimeEndsAWait(t *testing.T) {
	for name, use := range map[string]func(ctx context.Context, h *stream.Handles) error{
		"Reading": func(ctx context.Context, h *stream.Handles) error {
			_, err := end(t, h, streamv1.HandleRequest).Read(ctx, make([]byte, 10))
			return err
		},
		"Writing": func(ctx context.Context, h *stream.Handles) error {
			return end(t, h, streamv1.HandleResponse).Write(ctx, []byte("x"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := attached(t, stream.Bodies{Request: newQuiet(), Response: newQuiet()})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := use(ctx, h); host.CodeOf(err) != host.CodePluginTimeout {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestClosingEndsAWait(t *testing.T) {
	q := newQuiet()
	h := attached(t, stream.Bodies{Response: q})
	failed := make(chan error, 1)
	go func() { failed <- end(t, h, streamv1.HandleResponse).Write(context.Background(), []byte("x")) }()
	<-q.began
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; host.CodeOf(err) != host.CodeUpstream {
		t.Errorf("got %v", err)
	}
	if _, err := h.End(streamv1.HandleResponse); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := h.Open(io.NopCloser(strings.NewReader(""))); host.CodeOf(err) != host.CodeLimit {
		t.Errorf("something could be opened after the end: %v", err)
	}
}

func TestAnUnusedBodyIsNotTouched(t *testing.T) {
	q := newQuiet()
	if err := attached(t, stream.Bodies{Request: q, Response: q}).Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-q.aborted:
		t.Error("what nobody waited for was aborted: the connection would be lost")
	default:
	}
}

// closer notes that it was closed.
type closer struct {
	bytes.Buffer
	closed int
}

func (c *closer) Close() error { c.closed++; return nil }

func TestHandles(t *testing.T) {
	h := &stream.Handles{}
	c := &closer{}
	n, err := h.Create(c)
	if err != nil || n < 16 {
		t.Fatal(n, err)
	}
	e := end(t, h, n)
	if err := e.Write(t.Context(), []byte("x")); err != nil || c.String() != "x" {
		t.Errorf("wrote %q, %v", c, err)
	}
	if _, err := e.Read(t.Context(), make([]byte, 1)); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("reading what is written gave %v", err)
	}
	if err := e.Begin(t.Context(), stream.Head{}); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("beginning what is no response gave %v", err)
	}
	if err := e.Finish(t.Context(), func(w io.Writer) error { _, err := w.Write([]byte("y")); return err }); err != nil || c.String() != "xy" {
		t.Errorf("finished with %q, %v", c, err)
	}
	if err := errors.Join(h.Release(n), h.Release(n), h.Close(), h.Close()); err != nil || c.closed != 1 {
		t.Errorf("it was closed %d times, %v", c.closed, err)
	}
	for name, err := range map[string]error{
		"writing": e.Write(t.Context(), nil), "finishing": e.Finish(t.Context(), nil), "beginning": e.Begin(t.Context(), stream.Head{}),
	} {
		if code := host.CodeOf(err); code != host.CodeNotFound && code != host.CodeInvalid {
			t.Errorf("%s what is closed gave %v", name, err)
		}
	}
	if _, err := h.End(-1); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("a forged handle gave %v", err)
	}
}
