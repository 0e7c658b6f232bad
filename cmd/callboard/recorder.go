package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/probation"
	"github.com/callboard-dev/callboard/host/plugin/recording"
)

// observers are several as one.
type observers []plugin.Observer

// Begin lets each see the call; the last to begin is the first to see its end.
func (all observers) Begin(ctx context.Context, c host.Caller, in *plugin.Instance, w *plugin.Work) func(plugin.Outcome, error) {
	var ends []func(plugin.Outcome, error)
	for _, o := range all {
		if end := o.Begin(ctx, c, in, w); end != nil {
			ends = append(ends, end)
		}
	}
	return func(o plugin.Outcome, err error) {
		for i := len(ends) - 1; i >= 0; i-- {
			ends[i](o, err)
		}
	}
}

// watchers are what looks at calls of plugins: a sample is recorded, and
// releases that took over are on probation.
type watchers struct {
	shelf    *recording.Store
	recorder *recording.Recorder
	watch    *probation.Watch
}

// openWatchers makes them before the house is there; house is asked for when a
// call is to be looked at.
func openWatchers(d *data, house func() *plugin.House, log *slog.Logger) *watchers {
	shelf := recording.NewStore(d.db, d.box)
	return &watchers{
		shelf: shelf,
		recorder: recording.NewRecorder(recording.Settings{
			Shelf: shelf, Log: log,
			Lend: func(ctx context.Context, digest string) (plugin.Module, func(), error) {
				return house().Lend(ctx, digest)
			},
			Secrets: func(ctx context.Context, in *plugin.Instance) ([]string, error) {
				var values []string
				for _, name := range in.Secrets {
					value, err := house().Secret(ctx, in.Tenant, in.Short, name)
					if err != nil {
						return nil, err
					}
					values = append(values, value)
				}
				return values, nil
			},
		}),
		watch: probation.New(probation.Settings{Rollback: func(ctx context.Context, in plugin.Instance, reason string) {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			t, err := d.tenants.ByID(ctx, in.Tenant)
			if err == nil {
				err = house().FallBack(ctx, t, in.Name, in.Digest, reason)
			}
			if err != nil {
				log.Error("undoing an upgrade that fails", "plugin", in.Name, "error", err)
			}
		}}),
	}
}

// observers returns what the house shows its calls to.
func (w *watchers) observers() plugin.Observer { return observers{w.watch, w.recorder} }
