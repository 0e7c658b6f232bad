package author

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// lines returns what is newer than the last question, oldest first, and when
// the newest of it was.
func (t *tail) lines(ctx context.Context) (out []string, newest time.Time, err error) {
	_, body, err := t.portal.do(ctx, http.MethodGet, t.portal.at(t.portal.plugin)+"/health", nil)
	if err != nil {
		return nil, newest, err
	}
	var d doings
	if err := json.Unmarshal(body, &d); err != nil {
		return nil, newest, fmt.Errorf("reading the server's answer: %w", err)
	}
	type news struct {
		at   time.Time
		text string
	}
	newest = time.Unix(0, 1) // asked, though nothing has happened
	var all []news
	note := func(at time.Time, text string) {
		if at.After(newest) {
			newest = at
		}
		if at.After(t.since) {
			all = append(all, news{at, at.Local().Format("15:04:05.000 ") + text})
		}
	}
	for _, c := range d.Recent {
		text := fmt.Sprintf("%s %s  %.2f ms", c.Capability, c.Method, c.TookMillis)
		if c.Fuel > 0 {
			text += "  fuel " + grouped(c.Fuel)
		}
		if c.Code != "" {
			text += fmt.Sprintf("  %s: %s", c.Code, c.Error)
		}
		note(c.At, text+traceText(c.TraceID))
	}
	for _, l := range d.Logs {
		text := fmt.Sprintf("[%s] %s", l.Level, l.Message)
		for _, name := range slices.Sorted(maps.Keys(l.Fields)) {
			text += fmt.Sprintf(" %s=%q", name, l.Fields[name])
		}
		note(l.At, text+traceText(l.TraceID))
	}
	slices.SortStableFunc(all, func(a, b news) int { return a.at.Compare(b.at) })
	for _, n := range all {
		out = append(out, n.text)
	}
	return out, newest, nil
}

// traceText names the trace of a call.
func traceText(id string) string {
	if id = strings.TrimSpace(id); id == "" {
		return ""
	}
	return "  trace " + id
}
