package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// Do works on one item. A *Later error gives the item back uncounted.
type Do func(ctx context.Context, t host.TenantID, item Item) Verdict

// Later says that an item cannot begin now: its plugin is switched off, or
// busy. It is tried again after that time, and the attempt is not counted.
type Later struct {
	After time.Duration
	Why   string
}

// Error says why.
func (l *Later) Error() string { return l.Why }

// JobQueue is what a Runner needs of the durable job queue.
type JobQueue interface {
	Register(kind string, run func(ctx context.Context, args json.RawMessage) error)
}

// RunnerSettings change how a Runner works; zero values take the defaults.
type RunnerSettings struct {
	// Share is how many queues of one tenant are worked on at a time in this
	// process (3): fewer than the workers of the job queue.
	Share int
	// Turn is how long one queue is worked on before others get their turn
	// (20 s).
	Turn time.Duration
	// Lease is after how long an item is taken for lost (2 min). It must be
	// longer than any call of a plugin.
	Lease time.Duration
	Log   *slog.Logger
}

// Runner works on the items of all tenants.
type Runner struct {
	store    *Store
	settings RunnerSettings
	lanes    map[string]Do

	mu      sync.Mutex
	running map[host.TenantID]int
}

// NewRunner returns a Runner over s and registers its jobs with queue. Lanes
// say what is done with the items of each lane.
func NewRunner(s *Store, queue JobQueue, lanes map[string]Do, set RunnerSettings) *Runner {
	if set.Share <= 0 {
		set.Share = 3
	}
	if set.Turn <= 0 {
		set.Turn = 20 * time.Second
	}
	if set.Lease <= 0 {
		set.Lease = 2 * time.Minute
	}
	if set.Log == nil {
		set.Log = slog.New(slog.DiscardHandler)
	}
	r := &Runner{store: s, settings: set, lanes: lanes, running: map[host.TenantID]int{}}
	queue.Register(JobKind, r.run)
	return r
}

// busy is the error of a job that could not begin.
type busy time.Duration

func (b busy) Error() string        { return "the tenant's share of workers is in use" }
func (b busy) Later() time.Duration { return time.Duration(b) }

// enter takes one of the tenant's places.
func (r *Runner) enter(t host.TenantID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[t] >= r.settings.Share {
		return false
	}
	r.running[t]++
	return true
}

func (r *Runner) leave(t host.TenantID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[t]--; r.running[t] <= 0 {
		delete(r.running, t)
	}
}

// run works on one queue until nothing of it is due, or its turn is over.
func (r *Runner) run(ctx context.Context, args json.RawMessage) error {
	var e errand
	if err := json.Unmarshal(args, &e); err != nil {
		return host.Errorf(host.CodeInvalid, "reading the job: %w", err)
	}
	do := r.lanes[e.Lane]
	if do == nil {
		return nil
	}
	if !r.enter(e.Tenant) {
		return busy(time.Second)
	}
	defer r.leave(e.Tenant)
	err := r.drain(ctx, e, do)
	if host.CodeOf(err) == host.CodeNotFound {
		return nil // the tenant is gone
	}
	return err
}

func (r *Runner) drain(ctx context.Context, e errand, do Do) error {
	end := r.store.now().Add(r.settings.Turn)
	for ctx.Err() == nil {
		if r.store.now().After(end) {
			return r.store.tenant(ctx, e.Tenant, true, func(ctx context.Context, q store.Querier) error {
				return wake(ctx, q, e.Tenant, e.Queue, time.Time{})
			})
		}
		item, ok, err := r.store.Claim(ctx, e.Tenant, e.Queue, r.settings.Lease)
		if err != nil || !ok {
			return err
		}
		if err := r.one(ctx, e, item, do); err != nil {
			return err
		}
	}
	return nil
}

// one works on an item and writes down what came of it. Where the host is
// stopping, the item is given back.
func (r *Runner) one(ctx context.Context, e errand, item Item, do Do) error {
	v := r.guarded(ctx, e, item, do)
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var later *Later
	switch {
	case errors.As(v.Err, &later):
		return r.store.Postpone(settle, e.Tenant, item, later.After)
	case v.Err != nil && ctx.Err() != nil:
		return r.store.Postpone(settle, e.Tenant, item, 0)
	}
	if v.Err != nil {
		r.settings.Log.LogAttrs(ctx, slog.LevelDebug, "work of a plugin failed", slog.String("lane", e.Lane), slog.String("name", e.Name),
			slog.String("tenant", string(e.Tenant)), slog.Int("attempt", item.Attempts), slog.Any("error", v.Err))
	}
	return r.store.Settle(settle, e.Tenant, item, v)
}

// guarded turns a panic into a failure, so that one item cannot stop others.
func (r *Runner) guarded(ctx context.Context, e errand, item Item, do Do) (v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = Verdict{Err: fmt.Errorf("working on %s %s: panic: %v", e.Lane, item.ID, p)}
			r.settings.Log.Error("working on an item panicked", "lane", e.Lane, "name", e.Name, "panic", fmt.Sprint(p))
		}
	}()
	return do(ctx, e.Tenant, item)
}

// Recover gives back what a process that died had taken, wakes what is due and
// was forgotten, and removes what ended long ago. Call it at start and now and
// then for each tenant; it writes only where there is something.
func (s *Store) Recover(ctx context.Context, t host.TenantID) error {
	now := moment(s.now())
	var lost, late []row
	var old int64
	err := s.tenant(ctx, t, false, func(ctx context.Context, q store.Querier) error {
		err := q.NewSelect().Model(&lost).ExcludeColumn("payload", "result").Where("state = ? AND leased_until < ?", Running, now).Limit(500).Scan(ctx)
		if err != nil {
			return err
		}
		// A minute is more than the outbox and the job queue need together.
		err = q.NewSelect().Model(&late).Column("instance", "lane", "name").Where("state = ? AND run_at < ?", Waiting, now.Add(-time.Minute)).
			Group("instance", "lane", "name").Limit(500).Scan(ctx)
		if err != nil {
			return err
		}
		old, err = q.NewSelect().Model((*row)(nil)).Where(expired, Dead, now.Add(-keepDone), now.Add(-keepDead)).Count(ctx)
		return err
	})
	if err != nil || len(lost)+len(late) == 0 && old == 0 {
		return err
	}
	return s.tenant(ctx, t, true, func(ctx context.Context, q store.Querier) error {
		for i := range lost {
			if err := release(ctx, q, t, &lost[i], now); err != nil {
				return err
			}
		}
		minute := now.Truncate(time.Minute)
		for _, r := range late {
			args, err := json.Marshal(errand{t, Queue{r.Instance, r.Lane, r.Name}})
			if err != nil {
				return err
			}
			// Hosts that recover in the same minute make one job.
			key := fmt.Sprintf("%s/%s/%s/%s@%d", t, r.Instance, r.Lane, r.Name, minute.Unix())
			if err := store.Enqueue(ctx, q, store.Job{Kind: JobKind, Key: key, Args: args}); err != nil {
				return err
			}
		}
		_, err := q.NewDelete().Model((*row)(nil)).Where(expired, Dead, now.Add(-keepDone), now.Add(-keepDead)).Exec(ctx)
		return err
	})
}

// expired is the condition of what ended long ago.
const expired = "ended_at IS NOT NULL AND ((state <> ? AND ended_at < ?) OR ended_at < ?)"

// release ends the lease of an item whose worker is gone. The attempt counts:
// an item that kills its host must not do so for ever.
func release(ctx context.Context, q store.Querier, t host.TenantID, r *row, now time.Time) error {
	u := q.NewUpdate().Model((*row)(nil)).Set("leased_until = NULL").Set("error = ?", "the host that worked on it stopped").
		Where("seq = ? AND state = ? AND leased_until < ?", r.Seq, Running, now)
	if r.Attempts >= r.MaxAttempts {
		_, err := u.Set("state = ?", Dead).Set("ended_at = ?", now).Exec(ctx)
		return err
	}
	return later(ctx, q, t, r.item(), u, now)
}
