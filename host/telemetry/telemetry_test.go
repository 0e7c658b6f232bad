package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host/telemetry"
)

// open returns open telemetry that logs into a buffer.
func open(t *testing.T, s telemetry.Settings) (*telemetry.Telemetry, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	s.LogTo = &log
	if s.LogFormat == "" {
		s.LogFormat = "json"
	}
	tel, err := telemetry.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Close(context.Background()) })
	return tel, &log
}

var traceparent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`)

func TestEveryAnswerHasATraceparent(t *testing.T) {
	tel, _ := open(t, telemetry.Settings{})
	var inside string
	h := tel.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside = telemetry.TraceID(r.Context())
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Run("New", func(t *testing.T) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
		got := w.Header().Get("Traceparent")
		if !traceparent.MatchString(got) || !strings.Contains(got, inside) {
			t.Errorf("Traceparent is %q, the request's id %q", got, inside)
		}
	})
	t.Run("Followed", func(t *testing.T) {
		r := httptest.NewRequest("GET", "/x", nil)
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Traceparent"); !strings.HasPrefix(got, "00-0af7651916cd43dd8448eb211c80319c-") || strings.Contains(got, "b7ad6b7169203331") {
			t.Errorf("Traceparent is %q", got)
		}
	})
	t.Run("BrokenIsReplaced", func(t *testing.T) {
		r := httptest.NewRequest("GET", "/x", nil)
		r.Header.Set("Traceparent", "00-zzz\r\n")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Traceparent"); !traceparent.MatchString(got) {
			t.Errorf("Traceparent is %q", got)
		}
	})
}

func TestSpansAreExported(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tel, _ := open(t, telemetry.Settings{SpanExporter: spans})
	h := tel.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		telemetry.NoteRoute(r.Context(), "GET /things/{id}")
		telemetry.NoteCaller(r.Context(), "acme", "u1")
		telemetry.NoteFailure(r.Context(), "internal", errors.New("boom"))
		_, child := tel.Tracer().Start(r.Context(), "inside")
		child.End()
		w.WriteHeader(500)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/things/1", nil))
	flush, ok := trace.TracerProvider(tel.Provider()).(interface{ ForceFlush(context.Context) error })
	if !ok || flush.ForceFlush(t.Context()) != nil {
		t.Fatal("the provider cannot be flushed")
	}
	got := spans.GetSpans()
	if len(got) != 2 || got[1].Name != "GET /things/{id}" || got[0].Parent.SpanID() != got[1].SpanContext.SpanID() {
		t.Fatalf("spans are %+v", got)
	}
	if got[1].Status.Description != "internal" {
		t.Errorf("the span's status is %+v", got[1].Status)
	}
}

func TestMetricsHaveBoundedLabels(t *testing.T) {
	tel, _ := open(t, telemetry.Settings{})
	h := tel.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/things/") {
			telemetry.NoteRoute(r.Context(), "GET /things/{id}")
		}
		_, _ = io.WriteString(w, "ok")
	}))
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", "/things/1", nil), httptest.NewRequest("GET", "/things/2", nil),
		httptest.NewRequest("EVIL", "/secret-path", nil),
	} {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	w := httptest.NewRecorder()
	tel.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body := w.Body.String()
	for _, want := range []string{
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/things/{id}"} 2`,
		`http_request_method="OTHER",http_response_status_code="200",http_route="none"`,
		"http_server_active_requests", "go_goroutines",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics miss %s", want)
		}
	}
	if strings.Contains(body, "EVIL") || strings.Contains(body, "secret-path") || strings.Contains(body, "/things/1") {
		t.Error("a stranger's word became a label")
	}
}

func TestRequestsAreLogged(t *testing.T) {
	serve := func(t *testing.T, s telemetry.Settings, status int) string {
		tel, log := open(t, s)
		tel.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			telemetry.NoteCaller(r.Context(), "acme", "u1")
			telemetry.NoteFailure(r.Context(), "internal", errors.New("dial postgres://u:hunter2@db: refused"))
			w.WriteHeader(status)
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil))
		return log.String()
	}
	t.Run("FailuresAlways", func(t *testing.T) {
		got := serve(t, telemetry.Settings{}, 503)
		for _, want := range []string{`"status":503`, `"tenant":"acme"`, `"traceId":"`, `"code":"internal"`, "refused"} {
			if !strings.Contains(got, want) {
				t.Errorf("the log misses %s: %s", want, got)
			}
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("the log holds a password: %s", got)
		}
	})
	t.Run("OthersNot", func(t *testing.T) {
		if got := serve(t, telemetry.Settings{}, 200); got != "" {
			t.Errorf("the log is %s", got)
		}
	})
	t.Run("OthersWhereAskedFor", func(t *testing.T) {
		if got := serve(t, telemetry.Settings{AccessLog: true}, 200); !strings.Contains(got, `"principal":"u1"`) {
			t.Errorf("the log is %s", got)
		}
	})
}

func TestSecretsDoNotReachTheLog(t *testing.T) {
	const secret = "cb_abcdefghij0123456789"
	for _, format := range []string{"json", "pretty"} {
		tel, log := open(t, telemetry.Settings{LogFormat: format})
		l := tel.Logger().With("header", "Bearer abcdefghijklmnop").WithGroup("g")
		l.Info("made " + secret + " for you")
		l.Info("x", "password", "hunter2", "sessionToken", "hunter2", "n", 3)
		l.Info("x", "error", errors.New("401 for "+secret))
		l.Info("x", "url", "https://u:hunter2@h/?token=hunter2&a=1")
		l.Info("x", "map", map[string]string{"password": "hunter2", "a": "b"}, "bytes", []byte("x"))
		l.Info("x", slog.Group("deep", slog.String("apiKey", "hunter2")), "stringer", time.Second)
		got := log.String()
		if strings.Contains(got, "hunter2") || strings.Contains(got, secret) || strings.Contains(got, "abcdefghijklmnop") {
			t.Errorf("%s: the log holds a secret: %s", format, got)
		}
		if !strings.Contains(got, "for you") || strings.Count(got, "[redacted]") < 6 {
			t.Errorf("%s: the log lost more than secrets: %s", format, got)
		}
	}
}

func TestRedact(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"nothing here", "nothing here"},
		{"GET /x?a=1&token=abc&b=2", "GET /x?a=1&token=[redacted]&b=2"},
		{"postgres://u:p@h/db", "postgres://u:[redacted]@h/db"},
		{"authorization: Bearer abc.def-ghi", "authorization: Bearer [redacted]"},
		{`{"clientSecret": "x", "a": "b"}`, `{"clientSecret": "[redacted]", "a": "b"}`},
		{"cb_12345678 and cb_x", "cb_[redacted] and cb_x"},
	} {
		if got := telemetry.Redact(tt.in); got != tt.want {
			t.Errorf("Redact(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestOpenRefusesNonsense(t *testing.T) {
	for _, s := range []telemetry.Settings{{LogFormat: "xml"}, {LogLevel: "loud"}} {
		if _, err := telemetry.Open(t.Context(), s); err == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
}

func TestOutsideOfARequest(t *testing.T) {
	ctx := t.Context()
	telemetry.NoteRoute(ctx, "x")
	telemetry.NoteCaller(ctx, "x", "y")
	telemetry.NoteFailure(ctx, "x", nil)
	if telemetry.TraceID(ctx) != "" || telemetry.Traceparent(ctx) != "" || telemetry.RequestFrom(ctx) != nil {
		t.Error("there is a request where there is none")
	}
}

func TestUnreachableCollectorCostsNothing(t *testing.T) {
	tel, _ := open(t, telemetry.Settings{OTLPEndpoint: "http://127.0.0.1:1", SampleRatio: 1})
	w := httptest.NewRecorder()
	tel.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
	})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if !traceparent.MatchString(w.Header().Get("Traceparent")) || tel.Meter() == nil {
		t.Error("no trace without a collector")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = tel.Close(ctx)
}

func TestFailuresOfTelemetryGoToTheLogOnceAMinute(t *testing.T) {
	tel, log := open(t, telemetry.Settings{})
	tel.SetGlobal()
	otel.Handle(errors.New("the collector is away"))
	otel.Handle(errors.New("the collector is still away"))
	got := log.String()
	if !strings.HasPrefix(got, "{") || strings.Count(got, "\n") != 1 || !strings.Contains(got, "the collector is away") {
		t.Errorf("the log is %q", got)
	}
}
