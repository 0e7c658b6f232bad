package eyes

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host"
)

// CallRecord is one past call, for the plugin's health page.
type CallRecord struct {
	Capability string        `json:"capability"`
	Method     string        `json:"method"`
	At         time.Time     `json:"at"`
	Took       time.Duration `json:"took"`
	// Code and Error are empty where the call succeeded.
	Code  host.Code `json:"code,omitempty"`
	Error string    `json:"error,omitempty"`
	// Fuel is what it used; TraceID is zero where it belongs to no trace.
	Fuel    int64         `json:"fuel,omitempty"`
	TraceID trace.TraceID `json:"traceId"`
}

// recentCalls is how many calls an instance remembers, recentLines how many
// lines of its log.
const (
	recentCalls = 20
	recentLines = 100
)

// Line is a line that a plugin logged.
type Line struct {
	At time.Time `json:"at"`
	// Level is debug, info, warn or error, or the stream that the guest wrote
	// to: stdout or stderr.
	Level   string            `json:"level"`
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"`
	TraceID trace.TraceID     `json:"traceId"`
}

// Bytes is how much the line counts against the log rate.
func (l *Line) Bytes() int64 {
	n := len(l.Message)
	for name, value := range l.Fields {
		n += len(name) + len(value)
	}
	return int64(n)
}

// label are the prepared labels of one outcome.
type label struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

func labelOf(kv ...attribute.KeyValue) label {
	set := metric.WithAttributeSet(attribute.NewSet(kv...))
	return label{add: []metric.AddOption{set}, record: []metric.RecordOption{set}}
}

// Past is what an instance remembers of its calls in this process.
type Past struct {
	short string
	plain label

	mu     sync.Mutex
	byCode map[string]label
	calls  int64
	errors int64
	recent [recentCalls]CallRecord
	failed *CallRecord
	logged int64
	lines  [recentLines]Line
}

// NewPast returns the memory of the instance with that short name.
func NewPast(short string) *Past {
	return &Past{short: short, plain: labelOf(attribute.String("plugin", short)), byCode: map[string]label{}}
}

// labels returns the labels of an outcome, made once.
func (p *Past) labels(code string) label {
	if code == "" {
		code = "ok"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.byCode[code]
	if !ok {
		l = labelOf(attribute.String("plugin", p.short), attribute.String("outcome", code))
		p.byCode[code] = l
	}
	return l
}

func (p *Past) note(r CallRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recent[p.calls%recentCalls] = r
	p.calls++
	if r.Code != "" {
		p.errors++
		failed := r // only a failure is kept on the heap
		p.failed = &failed
	}
}

// maxLine is how much of a line is remembered.
const maxLine = 4 << 10

// Log remembers a line. Its time and trace are taken from now and from ctx.
func (p *Past) Log(ctx context.Context, l Line) {
	l.At, l.TraceID = time.Now().UTC(), trace.SpanContextFromContext(ctx).TraceID()
	if len(l.Message) > maxLine {
		l.Message = strings.ToValidUTF8(l.Message[:maxLine], "") + "…"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines[p.logged%recentLines] = l
	p.logged++
}

// Summary is what a Past knows.
type Summary struct {
	Calls, Errors int64
	// Recent are the last calls, newest first.
	Recent []CallRecord
	// LastError is the newest call that failed, or nil.
	LastError *CallRecord
	// Logs are the last lines, newest first.
	Logs []Line
}

// Summary returns what the instance remembers now.
func (p *Past) Summary() Summary {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Summary{Calls: p.calls, Errors: p.errors, LastError: p.failed}
	for n := range min(p.calls, recentCalls) {
		s.Recent = append(s.Recent, p.recent[(p.calls-1-n)%recentCalls])
	}
	for n := range min(p.logged, recentLines) {
		s.Logs = append(s.Logs, p.lines[(p.logged-1-n)%recentLines])
	}
	return s
}
