package ledger

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/store"
)

// Steps of a report.
const (
	StepHour = "hour"
	StepDay  = "day"
)

// Query asks for the use of a plugin from From (inclusive) to To (exclusive).
// Zero values mean the last 24 hours by the hour; older sums are by the day.
type Query struct {
	From, To time.Time
	Step     string // StepHour or StepDay
}

// Total is the sum over calls.
type Total struct {
	Calls, Errors int64
	// ByCode counts the failed calls.
	ByCode map[host.Code]int64
	Use
}

func (t *Total) add(r record.Usage) {
	t.Calls += r.Calls
	if r.Code != "" {
		t.Errors += r.Calls
		if t.ByCode == nil {
			t.ByCode = map[host.Code]int64{}
		}
		t.ByCode[host.Code(r.Code)] += r.Calls
	}
	t.Use.add(Use{Fuel: r.Fuel, Input: r.Input, Output: r.Output, HostCalls: r.HostCalls, HostBytes: r.HostBytes,
		Wall: time.Duration(r.WallNanos), Waited: time.Duration(r.WaitNanos)})
}

// Point is one step of a report. Steps without calls are left out.
type Point struct {
	Start time.Time
	Total
}

// Share is what one capability used.
type Share struct {
	Capability string
	Total
}

// Report is what a tenant used of a plugin.
type Report struct {
	Query
	Total        Total
	Points       []Point
	Capabilities []Share
}

// maxHours is the longest report by the hour.
const maxHours = 32 * 24 * time.Hour

// normal fills in a query, or says what is wrong with it.
func (q Query) normal(now time.Time) (Query, error) {
	if q.To.IsZero() {
		q.To = now.Add(time.Minute)
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-24 * time.Hour)
	}
	if q.Step == "" {
		q.Step = StepHour
		if q.To.Sub(q.From) > maxHours {
			q.Step = StepDay
		}
	}
	switch {
	case !q.From.Before(q.To):
		return q, host.Errorf(host.CodeInvalid, "the report would end before it begins").WithHint("give from before to")
	case q.Step != StepHour && q.Step != StepDay:
		return q, host.Errorf(host.CodeInvalid, "a report has no step %q", q.Step).WithHint("write hour or day")
	case q.Step == StepHour && q.To.Sub(q.From) > maxHours:
		return q, host.Errorf(host.CodeInvalid, "a report by the hour covers at most 32 days").WithHint("ask for step=day")
	}
	length := time.Hour
	if q.Step == StepDay {
		length = 24 * time.Hour
	}
	q.From, q.To = q.From.UTC().Truncate(length), q.To.UTC()
	return q, nil
}

// Usage returns what a tenant used of a plugin, what this host has counted up
// to now included.
func (b *Book) Usage(ctx context.Context, t host.TenantID, plugin string, q Query) (Report, error) {
	q, err := q.normal(b.s.Now())
	if err != nil {
		return Report{}, err
	}
	if err := b.Flush(ctx); err != nil {
		return Report{}, err
	}
	var rows []record.Usage
	err = b.db.Control().Read(ctx, func(ctx context.Context, query store.Querier) error {
		rows = nil
		return query.NewSelect().Model(&rows).Where("tenant_id = ?", string(t)).Where("plugin = ?", plugin).
			Where("span <> ?", spanMinute).Where("starts_at >= ?", q.From).Where("starts_at < ?", q.To).Order("starts_at").Scan(ctx)
	})
	if err != nil {
		return Report{}, err
	}
	return reportOf(q, rows), nil
}

func reportOf(q Query, rows []record.Usage) Report {
	out := Report{Query: q, Points: []Point{}, Capabilities: []Share{}}
	shares := map[string]*Share{}
	for _, r := range rows {
		out.Total.add(r)
		start := r.Start.UTC()
		if q.Step == StepDay {
			start = start.Truncate(24 * time.Hour)
		}
		if n := len(out.Points); n == 0 || !out.Points[n-1].Start.Equal(start) {
			out.Points = append(out.Points, Point{Start: start})
		}
		out.Points[len(out.Points)-1].add(r)
		if shares[r.Capability] == nil {
			shares[r.Capability] = &Share{Capability: r.Capability}
		}
		shares[r.Capability].add(r)
	}
	for _, name := range slices.SortedFunc(maps.Keys(shares), strings.Compare) {
		out.Capabilities = append(out.Capabilities, *shares[name])
	}
	return out
}
