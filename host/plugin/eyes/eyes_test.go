package eyes

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host"
)

func TestPast(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	p := NewPast("board")
	for n := range 30 {
		ctx, c := e.Begin(t.Context(), "acme/board", "1.0.0", "view/v1", fmt.Sprint("m", n))
		var failure error
		if n == 7 {
			failure = host.Errorf(host.CodePluginTrap, "it crashed")
		}
		c.End(ctx, p, "view/v1", fmt.Sprint("m", n), Sums{Fuel: int64(n), HostBytes: 1, Waited: 1}, failure)
	}
	s := p.Summary()
	if s.Calls != 30 || s.Errors != 1 || len(s.Recent) != recentCalls || s.Recent[0].Method != "m29" || s.Recent[19].Method != "m10" || s.Recent[0].Fuel != 29 {
		t.Errorf("got %+v", s)
	}
	if s.LastError == nil || s.LastError.Method != "m7" || s.LastError.Code != host.CodePluginTrap {
		t.Errorf("the last failure is %+v", s.LastError)
	}
	e.Opened(t.Context(), p)
	_, end := e.Host(t.Context(), "acme/board", "kv/v1")
	end("limit")
}

func TestLog(t *testing.T) {
	p := NewPast("board")
	for n := range recentLines + 5 {
		p.Log(t.Context(), Line{Level: "info", Message: fmt.Sprint(n, strings.Repeat("x", maxLine))})
	}
	lines := p.Summary().Logs
	if len(lines) != recentLines || !strings.HasPrefix(lines[0].Message, "104") || len(lines[0].Message) > maxLine+8 || lines[0].At.IsZero() {
		t.Errorf("%d lines, the first is %.20s", len(lines), lines[0].Message)
	}
	if n := (&Line{Message: "abc", Fields: map[string]string{"a": "bc"}}).Bytes(); n != 6 {
		t.Errorf("it counts %d", n)
	}
}

func TestTraceparent(t *testing.T) {
	if got := Traceparent(t.Context()); got != "" {
		t.Errorf("without a trace: %q", got)
	}
	id, _ := trace.TraceIDFromHex("0af7651916cd43dd8448eb211c80319c")
	span, _ := trace.SpanIDFromHex("b7ad6b7169203331")
	for flags, want := range map[trace.TraceFlags]string{0: "-00", trace.FlagsSampled: "-01"} {
		ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: flags}))
		if got := Traceparent(ctx); got != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"+want {
			t.Errorf("got %q", got)
		}
	}
}
