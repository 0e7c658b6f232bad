package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// relay carries jobs from the tenants' outboxes to the queue: at once after a
// commit that wrote one, and now and then for all tenants, so that a job
// survives a host that was killed between the two.
type relay struct {
	log    *slog.Logger
	woken  chan host.TenantID
	sweeps time.Duration
}

// sweepEvery is how often all outboxes are looked at.
const sweepEvery = 15 * time.Second

func newRelay(log *slog.Logger) *relay {
	return &relay{log: log, woken: make(chan host.TenantID, 256), sweeps: sweepEvery}
}

// wake notes that a tenant's outbox has something. It never blocks: a full
// channel means that the next sweep finds it.
func (r *relay) wake(id host.TenantID) {
	select {
	case r.woken <- id:
	default:
	}
}

// run relays until ctx ends.
func (r *relay) run(ctx context.Context, p *portal) {
	tick := time.NewTicker(r.sweeps)
	defer tick.Stop()
	r.sweep(ctx, p)
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-r.woken:
			r.deliver(ctx, p, id)
		case <-tick.C:
			r.sweep(ctx, p)
		}
	}
}

// sweep looks at every tenant's outbox, at tenants that are new, and at
// locations whose refresh was lost with its host.
func (r *relay) sweep(ctx context.Context, p *portal) {
	tenants, err := p.tenants.List(ctx)
	if err != nil {
		r.log.WarnContext(ctx, "the tenants' outboxes could not be listed; trying again later", "error", err)
		return
	}
	for _, t := range tenants {
		r.deliver(ctx, p, t.ID)
	}
	if err := p.configureCatalogs(ctx); err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "not every catalog is up to date with the configuration; trying again later", "error", err)
	}
}

func (r *relay) deliver(ctx context.Context, p *portal, id host.TenantID) {
	_, err := p.db.Relay(ctx, id, func(ctx context.Context, j store.Job) error {
		return p.queue.Enqueue(ctx, j.Kind, j.Key, json.RawMessage(j.Args), j.RunAt)
	})
	if err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "a tenant's jobs could not be enqueued; trying again later", "tenant", id, "error", err)
	}
}
