// Package trace adds spans of the plugin's own work to the trace of the call:
// the host service trace/v1. A span is recorded when it ends, with all that
// began in it, in one call of the host. Tracing never fails a call.
//
//	ctx, span := trace.Start(ctx, "parse the report", "lines", "1200")
//	defer span.End()
package trace

import (
	"context"
	"sync"
	"time"

	v1 "github.com/callboard-dev/callboard/schemas/service/trace/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// Span is one piece of work.
type Span struct {
	tree  *tree
	place int // in the tree, from 1
}

// tree are the spans that began within one outermost span.
type tree struct {
	ctx context.Context

	mu    sync.Mutex
	spans []v1.Span
	sent  bool
}

type spanKey struct{}

// Start begins a span within the one of ctx, or within the call. Attributes are
// pairs of a name and a value. The span ends with End or Fail; what has not
// ended when the outermost one does ends with it.
func Start(ctx context.Context, name string, attributes ...string) (context.Context, *Span) {
	t, parent := &tree{ctx: ctx}, 0
	if outer, ok := ctx.Value(spanKey{}).(*Span); ok && outer.tree.open() {
		t, parent = outer.tree, outer.place
	}
	span := v1.Span{Name: name, Start: time.Now(), Parent: parent}
	for i := 0; i+1 < len(attributes); i += 2 {
		if span.Attributes == nil {
			span.Attributes = make(map[string]string, len(attributes)/2)
		}
		span.Attributes[attributes[i]] = attributes[i+1]
	}
	t.mu.Lock()
	t.spans = append(t.spans, span)
	s := &Span{tree: t, place: len(t.spans)}
	t.mu.Unlock()
	return context.WithValue(ctx, spanKey{}, s), s
}

func (t *tree) open() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.sent && len(t.spans) < v1.MaxSpans
}

// End ends the span.
func (s *Span) End() { s.end("") }

// Fail ends the span and says why it failed; a nil error is End.
func (s *Span) Fail(err error) {
	if err == nil {
		s.end("")
		return
	}
	s.end(err.Error())
}

func (s *Span) end(why string) {
	t := s.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent || !t.spans[s.place-1].End.IsZero() {
		return
	}
	now := time.Now()
	t.spans[s.place-1].End, t.spans[s.place-1].Error = now, why
	if s.place != 1 {
		return
	}
	for i := range t.spans {
		if t.spans[i].End.IsZero() {
			t.spans[i].End = now
		}
	}
	t.sent = true
	_ = sdk.Do(t.ctx, v1.Name, v1.MethodRecord, v1.RecordRequest{Spans: t.spans}, nil)
}
