package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/queue"
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
const sweepEvery = 30 * time.Second

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
func (r *relay) run(ctx context.Context, d *data, q *queue.Queue) {
	tick := time.NewTicker(r.sweeps)
	defer tick.Stop()
	r.sweep(ctx, d, q)
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-r.woken:
			r.deliver(ctx, d, q, id)
		case <-tick.C:
			r.sweep(ctx, d, q)
		}
	}
}

func (r *relay) sweep(ctx context.Context, d *data, q *queue.Queue) {
	tenants, err := d.tenants.List(ctx)
	if err != nil {
		r.log.WarnContext(ctx, "the tenants' outboxes could not be listed; trying again later", "error", err)
		return
	}
	for _, t := range tenants {
		r.deliver(ctx, d, q, t.ID)
	}
}

func (r *relay) deliver(ctx context.Context, d *data, q *queue.Queue, id host.TenantID) {
	_, err := d.db.Relay(ctx, id, func(ctx context.Context, j store.Job) error {
		return q.Enqueue(ctx, j.Kind, j.Key, json.RawMessage(j.Args), j.RunAt)
	})
	if err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "a tenant's jobs could not be enqueued; trying again later", "tenant", id, "error", err)
	}
}
