package work

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// Added says what became of an item that was to be added.
type Added struct {
	ID string
	// Existed is true where an item with the key waits or runs: ID is that one's.
	Existed bool
	// Dropped is true where the lane is full.
	Dropped bool
}

// clean makes text fit for every database.
func clean(s string) string { return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD") }

// Add keeps items until their RunAt (the zero time means now) and returns what
// became of each. An instance's lane holds at most limit items that wait or
// run; what is beyond is dropped. Within a write of the tenant, which ctx
// carries, the items are kept if that commits. Only Queue, Topic, Order, Key,
// Payload, MaxAttempts and RunAt of an item are taken.
func (s *Store) Add(ctx context.Context, t host.TenantID, items []Item, limit int) ([]Added, error) {
	var b *batch
	err := s.tenant(ctx, t, true, func(ctx context.Context, q store.Querier) error {
		b = &batch{q: q, now: moment(s.now()), limit: limit, counts: map[[2]string]int{}, wakes: map[wakeAt]bool{}}
		for i := range items {
			if err := b.add(ctx, items[i]); err != nil {
				return fmt.Errorf("keeping what a plugin is to do: %w", err)
			}
		}
		for chunk := range slices.Chunk(b.rows, 200) {
			if _, err := q.NewInsert().Model(&chunk).Returning("NULL").Exec(ctx); err != nil {
				return fmt.Errorf("keeping what a plugin is to do: %w", err)
			}
		}
		for w := range b.wakes {
			if err := wake(ctx, q, t, w.queue, w.at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b.added, nil
}

// batch are the items of one Add.
type batch struct {
	q      store.Querier
	now    time.Time
	limit  int
	added  []Added
	rows   []row
	counts map[[2]string]int // of what waits or runs, by instance and lane
	wakes  map[wakeAt]bool
}

// wakeAt is a moment at which somebody must look at a queue.
type wakeAt struct {
	queue Queue
	at    time.Time
}

func (b *batch) add(ctx context.Context, it Item) error {
	if it.Key != "" {
		there, err := b.holder(ctx, it)
		if err != nil || there != "" {
			b.added = append(b.added, Added{ID: there, Existed: true})
			return err
		}
	}
	lane := [2]string{it.Instance, it.Lane}
	if _, known := b.counts[lane]; !known {
		n, err := count(ctx, b.q, it.Instance, it.Lane)
		if err != nil {
			return err
		}
		b.counts[lane] = n
	}
	if b.counts[lane] >= b.limit {
		b.added = append(b.added, Added{Dropped: true})
		return nil
	}
	b.counts[lane]++
	r := row{
		ID: host.NewID(it.Lane), Instance: it.Instance, Lane: it.Lane, Name: it.Name, Topic: it.Topic, Ordering: it.Order, Payload: orEmpty(it.Payload),
		State: Waiting, MaxAttempts: int64(it.MaxAttempts), Result: []byte{}, CreatedAt: b.now, RunAt: moment(it.RunAt),
	}
	if r.RunAt.Before(b.now) {
		r.RunAt = b.now
	}
	if it.Key != "" {
		r.UniqueKey = &it.Key
	}
	b.rows = append(b.rows, r)
	b.added = append(b.added, Added{ID: r.ID})
	// Whole seconds, so that a thousand items of a minute wake nobody a thousand times.
	at := r.RunAt
	if at.After(b.now) {
		at = at.Add(time.Second - time.Microsecond).Truncate(time.Second)
	}
	b.wakes[wakeAt{it.Queue, at}] = true
	return nil
}

// holder returns the id of the item that has the key of it, or "".
func (b *batch) holder(ctx context.Context, it Item) (string, error) {
	for i := range b.rows {
		r := &b.rows[i]
		if r.UniqueKey != nil && *r.UniqueKey == it.Key && (Queue{r.Instance, r.Lane, r.Name}) == it.Queue {
			return r.ID, nil
		}
	}
	var there []string
	err := b.q.NewSelect().Model((*row)(nil)).Column("id").
		Where("instance = ? AND lane = ? AND name = ? AND unique_key = ?", it.Instance, it.Lane, it.Name, it.Key).Where(open).Limit(1).Scan(ctx, &there)
	return append(there, "")[0], err
}

// JobKind is the kind of the queue's jobs that look after one Queue.
const JobKind = "plugin.work"

// errand is what such a job needs to know.
type errand struct {
	Tenant host.TenantID `json:"tenant"`
	Queue
}

// wake has somebody look after the queue at that time. The tenant's
// transaction carries it: what is not committed wakes nobody.
func wake(ctx context.Context, q store.Querier, t host.TenantID, queue Queue, at time.Time) error {
	args, err := json.Marshal(errand{t, queue})
	if err != nil {
		return err
	}
	key := fmt.Sprintf("%s/%s/%s/%s/%s", t, queue.Instance, queue.Lane, queue.Name, host.NewID("w"))
	return store.Enqueue(ctx, q, store.Job{Kind: JobKind, Key: key, Args: args, RunAt: at})
}

// Cancel keeps an item that waits from running. One that runs ends as
// cancelled, whatever comes of it. One that has ended is CodeConflict.
func (s *Store) Cancel(ctx context.Context, t host.TenantID, instance, lane, id string) error {
	return s.tenant(ctx, t, true, func(ctx context.Context, q store.Querier) error {
		var r row
		if err := find(ctx, q, instance, lane, id, &r); err != nil {
			return err
		}
		if r.State != Waiting && r.State != Running {
			return host.Errorf(host.CodeConflict, "the %s has ended already: it is %s", lane, r.State)
		}
		_, err := q.NewUpdate().Model((*row)(nil)).Set("state = ?", Cancelled).Set("ended_at = ?", moment(s.now())).Set("leased_until = NULL").
			Where("seq = ?", r.Seq).Exec(ctx)
		return err
	})
}

// Retry runs a dead or cancelled item again, as if it had not been tried.
func (s *Store) Retry(ctx context.Context, t host.TenantID, instance, lane, id string) error {
	return s.tenant(ctx, t, true, func(ctx context.Context, q store.Querier) error {
		var r row
		if err := find(ctx, q, instance, lane, id, &r); err != nil {
			return err
		}
		if r.State != Dead && r.State != Cancelled {
			return host.Errorf(host.CodeConflict, "the %s is %s, so there is nothing to try again", lane, r.State)
		}
		if r.UniqueKey != nil {
			n, err := q.NewSelect().Model((*row)(nil)).
				Where("instance = ? AND lane = ? AND name = ? AND unique_key = ?", r.Instance, r.Lane, r.Name, *r.UniqueKey).Where(open).Count(ctx)
			if err != nil {
				return err
			}
			if n > 0 {
				return host.Errorf(host.CodeConflict, "another %s with its key waits or runs already", lane)
			}
		}
		now := moment(s.now())
		_, err := q.NewUpdate().Model((*row)(nil)).Set("state = ?", Waiting).Set("attempts = 0").Set("run_at = ?", now).
			Set("leased_until = NULL").Set("ended_at = NULL").Where("seq = ?", r.Seq).Exec(ctx)
		if err != nil {
			return err
		}
		return wake(ctx, q, t, Queue{r.Instance, r.Lane, r.Name}, now)
	})
}

// Progress notes how far a running item is.
func (s *Store) Progress(ctx context.Context, t host.TenantID, instance, lane, id string, percent int, note string) error {
	return s.tenant(ctx, t, true, func(ctx context.Context, q store.Querier) error {
		res, err := q.NewUpdate().Model((*row)(nil)).Set("percent = ?", percent).Set("note = ?", clip(note, 200)).
			Where("id = ? AND instance = ? AND lane = ? AND state = ?", id, instance, lane, Running).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return host.Errorf(host.CodeConflict, "the %s is not running", lane).WithHint("it was cancelled, or taken for lost and given to somebody else")
	})
}

// Claim takes the first item of a queue that is due, for the time of a lease;
// ok is false where there is none.
func (s *Store) Claim(ctx context.Context, t host.TenantID, queue Queue, lease time.Duration) (item Item, ok bool, err error) {
	for {
		var r row
		now := moment(s.now())
		found := false
		err := s.tenant(ctx, t, false, func(ctx context.Context, q store.Querier) error {
			found, err = due(ctx, q, queue, now, &r)
			return err
		})
		if err != nil || !found {
			return Item{}, false, err
		}
		until := moment(now.Add(lease))
		var n int64
		err = s.tenant(ctx, t, true, func(ctx context.Context, q store.Querier) error {
			res, err := q.NewUpdate().Model((*row)(nil)).Set("state = ?", Running).Set("leased_until = ?", until).Set("attempts = attempts + 1").
				Where("seq = ? AND state = ?", r.Seq, Waiting).Exec(ctx)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return Item{}, false, err
		}
		if n > 0 {
			r.State, r.LeasedUntil, r.Attempts = Running, &until, r.Attempts+1
			return r.item(), true, nil
		}
	}
}

// due finds the first item of a queue that may run now: nothing of its order
// that came before it waits or runs.
func due(ctx context.Context, q store.Querier, queue Queue, now time.Time, r *row) (bool, error) {
	var rows []row
	err := q.NewSelect().Model(&rows).
		Where("w.instance = ? AND w.lane = ? AND w.name = ?", queue.Instance, queue.Lane, queue.Name).
		Where("w.state = 'waiting' AND w.run_at <= ?", now).
		Where(`w.ordering = '' OR NOT EXISTS (SELECT 1 FROM work AS e WHERE e.instance = w.instance AND e.lane = w.lane AND e.name = w.name
			AND e.ordering = w.ordering AND e.seq < w.seq AND (e.state = 'waiting' OR e.state = 'running'))`).
		Order("w.seq").Limit(1).Scan(ctx)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	*r = rows[0]
	return true, nil
}

// Verdict is what came of one attempt.
type Verdict struct {
	// Err is why it failed, or nil.
	Err error
	// Result is kept with an item that is done.
	Result []byte
	// Again runs the item again after that time with Payload, without counting
	// the attempt; zero means that it is done.
	Again   time.Duration
	Payload []byte
	// Forget removes an item that is done, for nobody will ask for it.
	Forget bool
}

// Settle writes down what came of an attempt. It does nothing where the item
// was cancelled, or taken by somebody else after its lease. An error that is
// permanent, or the last attempt's, makes the item dead; another one has it
// tried again after a pause that doubles from 5 s to an hour, or the time that
// the error names.
func (s *Store) Settle(ctx context.Context, t host.TenantID, item Item, v Verdict) error {
	now := moment(s.now())
	return s.tenant(ctx, t, true, func(ctx context.Context, q store.Querier) error {
		const where = "id = ? AND state = ? AND leased_until = ?"
		args := []any{item.ID, Running, item.lease}
		if v.Err == nil && v.Again <= 0 && v.Forget {
			_, err := q.NewDelete().Model((*row)(nil)).Where(where, args...).Exec(ctx)
			return err
		}
		u := q.NewUpdate().Model((*row)(nil)).Set("leased_until = NULL").Where(where, args...)
		var again time.Time
		switch {
		case v.Err == nil && v.Again <= 0:
			u = u.Set("state = ?", Done).Set("ended_at = ?", now).Set("percent = 100").Set("error = ''").Set("result = ?", orEmpty(v.Result))
		case v.Err == nil:
			again = now.Add(v.Again)
			u = u.Set("attempts = attempts - 1").Set("error = ''").Set("payload = ?", orEmpty(v.Payload))
		case host.Permanent(v.Err) || item.Attempts >= item.MaxAttempts:
			u = u.Set("state = ?", Dead).Set("ended_at = ?", now).Set("error = ?", clip(textOf(v.Err), maxError))
		default:
			again = now.Add(pause(item.Attempts, v.Err))
			u = u.Set("error = ?", clip(textOf(v.Err), maxError))
		}
		if again.IsZero() {
			_, err := u.Exec(ctx)
			return err
		}
		return later(ctx, q, t, item, u, again)
	})
}

// Postpone gives an item back that could not begin: nothing of it is counted.
func (s *Store) Postpone(ctx context.Context, t host.TenantID, item Item, d time.Duration) error {
	return s.tenant(ctx, t, true, func(ctx context.Context, q store.Querier) error {
		u := q.NewUpdate().Model((*row)(nil)).Set("leased_until = NULL").Set("attempts = attempts - 1").
			Where("id = ? AND state = ? AND leased_until = ?", item.ID, Running, item.lease)
		return later(ctx, q, t, item, u, moment(s.now().Add(d)))
	})
}

// later lets the item wait until then.
func later(ctx context.Context, q store.Querier, t host.TenantID, item Item, u *bun.UpdateQuery, at time.Time) error {
	at = moment(at)
	res, err := u.Set("state = ?", Waiting).Set("run_at = ?", at).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return wake(ctx, q, t, item.Queue, at)
}

func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// textOf is what may be shown of an error.
func textOf(err error) string { return host.AsError(err).Error() }

// pause is how long to wait after a failure.
func pause(attempts int, err error) time.Duration {
	if he := host.AsError(err); he.RetryAfter > 0 {
		return min(he.RetryAfter, time.Hour)
	}
	d := 5 * time.Second
	for i := 1; i < attempts && d < time.Hour; i++ {
		d *= 2
	}
	return time.Duration(float64(min(d, time.Hour)) * (0.8 + 0.4*rand.Float64()))
}
