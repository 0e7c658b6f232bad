package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

// Job is work for the job queue.
type Job struct {
	// Kind says which worker does it.
	Kind string
	// Key is unique among the jobs of a kind: of jobs with the same key that
	// wait, the last one replaces the others. Empty means a key of its own.
	Key string
	// Args are for the worker; empty means null.
	Args json.RawMessage
	// RunAt is when to run it; the zero time means at once.
	RunAt time.Time
}

// outboxRow is a job that waits to be handed to the queue.
type outboxRow struct {
	bun.BaseModel `bun:"table:outbox"`

	ID          int64 `bun:",pk,autoincrement"`
	Kind        string
	Key         string
	Args        string
	RunAt       time.Time `bun:",nullzero"`
	LeasedUntil time.Time `bun:",nullzero"`
}

const (
	// relayBatch is how many jobs one turn of Relay hands over.
	relayBatch = 64
	// leaseTime is after how long a job is handed over again by another
	// relay, where the one that took it died.
	leaseTime = time.Minute
	// retryTime is how long a job waits whose handing over failed.
	retryTime = 5 * time.Second
)

// Enqueue writes job into the outbox of the tenant whose Write q belongs to.
// It is handed to the queue if, and only if, that transaction commits.
func Enqueue(ctx context.Context, q Querier, job Job) error {
	t, ok := q.(*transaction)
	if !ok || t.scope == driver.Control || t.mode != driver.Write {
		return host.Errorf(host.CodeInternal, "a job was enqueued outside of a tenant's write").
			WithHint("use the Querier of Tenant.Write, or hand the job to the queue itself")
	}
	if job.Key == "" {
		job.Key = host.NewID("k")
	}
	if len(job.Args) == 0 {
		job.Args = json.RawMessage("null")
	}
	if job.Kind == "" || !json.Valid(job.Args) {
		return host.Errorf(host.CodeInvalid, "a job needs a kind and JSON for its arguments")
	}
	row := outboxRow{Kind: job.Kind, Key: job.Key, Args: string(job.Args), RunAt: job.RunAt}
	// Taking away the lease makes a relay that is handing over the older job
	// keep the row, so the newer one is handed over too.
	_, err := q.NewInsert().Model(&row).
		On("CONFLICT (kind, key) DO UPDATE").
		Set("args = EXCLUDED.args, run_at = EXCLUDED.run_at, leased_until = NULL").
		Exec(ctx)
	if err == nil {
		t.enqueued.Store(true)
	}
	return err
}

// Relay hands the jobs that wait in a tenant's outbox to deliver, oldest first
// and outside of any transaction, and removes those that were delivered. It
// returns how many. A job is delivered at least once: deliver must ignore a
// kind and key that the queue has. Several relays may run at once; they share
// the jobs. Where deliver fails, that job is tried again after some seconds by
// a later Relay, the others go on, and the errors are returned joined.
func (db *DB) Relay(ctx context.Context, id host.TenantID, deliver func(context.Context, Job) error) (n int, err error) {
	tenant, err := db.Tenant(id)
	if err != nil {
		return 0, err
	}
	for {
		rows, err := lease(ctx, tenant)
		if err != nil || len(rows) == 0 {
			return n, err
		}
		var faults []error
		var done []outboxRow
		for _, row := range rows {
			if err := deliver(ctx, row.job()); err != nil {
				faults = append(faults, err)
				continue
			}
			done = append(done, row)
		}
		n += len(done)
		if err := settle(ctx, tenant, rows, done); err != nil {
			faults = append(faults, err)
		}
		if len(faults) > 0 {
			return n, errors.Join(faults...)
		}
	}
}

func (r outboxRow) job() Job {
	return Job{Kind: r.Kind, Key: r.Key, Args: json.RawMessage(r.Args), RunAt: r.RunAt.UTC()}
}

// waiting narrows a query to the jobs that no relay holds.
func waiting(q *bun.SelectQuery, now time.Time) *bun.SelectQuery {
	return q.Where("leased_until IS NULL OR leased_until <= ?", now).Order("id").Limit(relayBatch)
}

// lease takes the oldest jobs that wait. It writes only where there are some.
func lease(ctx context.Context, tenant *Tenant) ([]outboxRow, error) {
	now := time.Now()
	var rows []outboxRow
	find := func(ctx context.Context, q Querier) error {
		rows = nil
		return waiting(q.NewSelect().Model(&rows), now).Scan(ctx)
	}
	if err := tenant.Read(ctx, find); err != nil || len(rows) == 0 {
		return nil, err
	}
	until := now.Add(leaseTime).UTC().Truncate(time.Microsecond)
	err := tenant.Write(ctx, func(ctx context.Context, q Querier) error {
		if err := find(ctx, q); err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			rows[i].LeasedUntil = until
		}
		_, err := q.NewUpdate().Model((*outboxRow)(nil)).
			Set("leased_until = ?", until).Where("id IN (?)", bun.List(ids(rows))).Exec(ctx)
		return err
	})
	return rows, err
}

// settle removes the jobs that are done and lets go of the others. A row whose
// lease is not the one that was taken holds a newer job, and stays.
func settle(ctx context.Context, tenant *Tenant, rows, done []outboxRow) error {
	until := rows[0].LeasedUntil
	return tenant.Write(ctx, func(ctx context.Context, q Querier) error {
		if len(done) > 0 {
			if _, err := q.NewDelete().Model((*outboxRow)(nil)).
				Where("id IN (?)", bun.List(ids(done))).Where("leased_until = ?", until).Exec(ctx); err != nil {
				return err
			}
		}
		if len(done) == len(rows) {
			return nil
		}
		_, err := q.NewUpdate().Model((*outboxRow)(nil)).Set("leased_until = ?", time.Now().Add(retryTime)).
			Where("id IN (?)", bun.List(ids(rows))).Where("leased_until = ?", until).Exec(ctx)
		return err
	})
}

func ids(rows []outboxRow) []int64 {
	out := make([]int64, len(rows))
	for i, row := range rows {
		out[i] = row.ID
	}
	return out
}
