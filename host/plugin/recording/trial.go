package recording

import (
	"context"
	"fmt"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
)

// Bounds of a trial.
const (
	trialCalls  = 50
	trialWithin = 20 * time.Second
	trialTold   = 10
)

var _ plugin.Trial = Trial{}

// Trial tries a new release on the calls that were recorded of the old one,
// before a tenant gets it.
type Trial struct{ Store *Store }

// Try replays the newest recorded calls of the instance's release on the next
// one. A call counts as failed where the old release answered it and the next
// one breaks; other answers are told, and are for an admin to judge.
func (t Trial) Try(ctx context.Context, tenant host.TenantID, old *plugin.Instance, next func(context.Context) (plugin.Module, error)) (plugin.TrialReport, error) {
	var report plugin.TrialReport
	entries, err := t.Store.List(ctx, tenant, old.ID, old.Digest, trialCalls)
	if err != nil || len(entries) == 0 {
		return report, err
	}
	m, err := next(ctx)
	if err != nil {
		return report, err
	}
	ctx, cancel := context.WithTimeout(ctx, trialWithin)
	defer cancel()
	for _, e := range entries {
		r, err := t.Store.Get(ctx, tenant, old.ID, e.ID)
		if err != nil {
			return report, err
		}
		run, err := Replay(ctx, m, r)
		if ctx.Err() != nil {
			break // what was replayed counts
		}
		if err != nil {
			return report, err
		}
		count(&report, r, run)
	}
	return report, nil
}

// count adds one replay to the report.
func count(report *plugin.TrialReport, r *Recording, run *Run) {
	report.Replayed++
	differences := Compare(r, run, false)
	switch {
	case Worse(r, run):
		report.Failed++
	case len(differences) == 0:
		report.Same++
		return
	default:
		report.Changed++
	}
	if len(report.Details) < trialTold {
		d := differences[0]
		report.Details = append(report.Details, fmt.Sprintf("%s %s (%s): %s was %q and becomes %q",
			r.Call.Capability, r.Call.Method, r.ID, d.Where, short(d.Recorded), short(d.Replayed)))
	}
}

func short(s string) string {
	if len(s) > 120 {
		s = s[:120] + "…"
	}
	return s
}
