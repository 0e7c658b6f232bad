package service

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	logv1 "github.com/callboard-dev/callboard/schemas/service/log/v1"
)

const (
	maxLine       = 4 << 10 // bytes of a message
	maxFields     = 20
	maxField      = 1 << 10 // bytes of a field's value
	linesPerCall  = 100
	linesPerMin   = 600
	forgetLogging = 10 * time.Minute
)

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// Log is log/v1: lines in the host's log, limited in rate and size. Lines
// beyond the rate are counted and dropped; the guest goes on.
type Log struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	rates map[string]*rate
}

var _ plugin.Service = (*Log)(nil)

// rate counts one instance's lines within a minute.
type rate struct {
	since   time.Time
	lines   int
	dropped int
}

// NewLog returns the service that writes to log.
func NewLog(log *slog.Logger) *Log {
	return &Log{log: log, now: time.Now, rates: map[string]*rate{}}
}

// Serve answers one call.
func (l *Log) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	if call.Method != logv1.MethodWrite {
		return nil, unknownMethod(logv1.Name, call.Method)
	}
	line, err := read[logv1.Line](call.Body)
	if err != nil {
		return nil, err
	}
	level, ok := levels[line.Level]
	if !ok {
		return nil, host.Errorf(host.CodeInvalid, "the level is %q", clip(line.Level, 20)).WithHint("write debug, info, warn or error")
	}
	if s.Spend("log.lines", 1) > linesPerCall {
		return nil, nil
	}
	allowed, dropped := l.allow(s.Instance.ID)
	if dropped > 0 {
		l.log.LogAttrs(ctx, slog.LevelWarn, "lines of a plugin were dropped", append(attributes(s), slog.Int("dropped", dropped))...)
	}
	if !allowed || !s.MayLog(ctx, plugin.LogLine{Level: line.Level, Message: clip(line.Message, maxLine), Fields: line.Fields}) {
		return nil, nil
	}
	l.log.LogAttrs(ctx, level, clip(line.Message, maxLine), append(attributes(s), slog.Attr{Key: "fields", Value: slog.GroupValue(fields(line.Fields)...)})...)
	return nil, nil
}

// attributes say who wrote a line.
func attributes(s *plugin.Session) []slog.Attr {
	return []slog.Attr{
		slog.String("plugin", s.Instance.Name), slog.String("release", s.Instance.Version),
		slog.String("tenant", s.Caller.Tenant().Slug),
	}
}

func fields(in map[string]string) []slog.Attr {
	names := make([]string, 0, len(in))
	for name := range in {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []slog.Attr
	for _, name := range names[:min(len(names), maxFields)] {
		out = append(out, slog.String(clip(name, 60), clip(in[name], maxField)))
	}
	return out
}

// allow counts a line; dropped is how many were lost in the minute before.
func (l *Log) allow(instance string) (ok bool, dropped int) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rates[instance]
	if r == nil {
		for id, old := range l.rates {
			if now.Sub(old.since) > forgetLogging {
				delete(l.rates, id)
			}
		}
		r = &rate{since: now}
		l.rates[instance] = r
	}
	if now.Sub(r.since) >= time.Minute {
		dropped = r.dropped
		*r = rate{since: now}
	}
	if r.lines >= linesPerMin {
		r.dropped++
		return false, 0
	}
	r.lines++
	return true, dropped
}

// clip shortens a guest's text and keeps it one line of UTF-8.
func clip(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
