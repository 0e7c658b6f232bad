package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"go.opentelemetry.io/otel/trace"
)

// newLogger builds the chain: trace ids are added, secrets are taken out, then
// the line is written.
func newLogger(s Settings) (*slog.Logger, error) {
	level := slog.LevelInfo
	if s.LogLevel != "" {
		if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
			return nil, fmt.Errorf("log level %q is none of debug, info, warn, error", s.LogLevel)
		}
	}
	to := s.LogTo
	if to == nil {
		to = os.Stderr
	}
	var inner slog.Handler
	switch s.LogFormat {
	case "", "pretty":
		inner = tint.NewTextHandler(to, &tint.Options{Level: level, ReplaceAttr: redactAttr,
			TimeFormat: time.TimeOnly, NoColor: !isTerminal(to)})
	case "json":
		inner = slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr})
	default:
		return nil, fmt.Errorf("log format %q is neither json nor pretty", s.LogFormat)
	}
	return slog.New(contextHandler{inner}), nil
}

// isTerminal reports whether w is a character device, where colour helps.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}

// contextHandler adds what the context knows of the request: its trace and its
// tenant.
type contextHandler struct{ slog.Handler }

// Handle adds the ids and passes the record on.
func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		r.AddAttrs(slog.String("traceId", sc.TraceID().String()))
	}
	if info := RequestFrom(ctx); info != nil && info.Tenant != "" {
		r.AddAttrs(slog.String("tenant", info.Tenant))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the wrapping.
func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the wrapping.
func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}

// redactAttr takes secrets out of one attribute: all of it where its key says
// that it is one, else what looks like one inside its text.
func redactAttr(_ []string, a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	if secretKey(a.Key) && v.Kind() != slog.KindBool && v.Kind() != slog.KindInt64 {
		return slog.String(a.Key, redacted)
	}
	switch v.Kind() {
	case slog.KindString:
		if s := v.String(); mayHoldSecret(s) {
			return slog.String(a.Key, Redact(s))
		}
	case slog.KindAny:
		return redactAny(a.Key, v.Any())
	}
	return a
}

// redactAny turns a value of any type into text that holds no secret. Levels
// and times keep their type: the handlers write them in their own way.
func redactAny(key string, value any) slog.Attr {
	switch x := value.(type) {
	case slog.Level, *slog.Source:
		return slog.Any(key, x)
	case error:
		return slog.String(key, Redact(x.Error()))
	case fmt.Stringer:
		return slog.String(key, Redact(x.String()))
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return slog.String(key, Redact(fmt.Sprint(value)))
	}
	if !mayHoldSecret(string(raw)) {
		return slog.Any(key, value)
	}
	return slog.String(key, Redact(string(raw)))
}

// secretKey reports whether a value under this key is never written.
func secretKey(key string) bool {
	k := strings.ToLower(key)
	for _, word := range [...]string{"password", "secret", "token", "authorization", "cookie", "apikey", "api_key", "credential"} {
		if strings.Contains(k, word) {
			return true
		}
	}
	return false
}
