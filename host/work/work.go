// Package work keeps what plugins are to do later, durably and for each tenant:
// jobs that a plugin enqueued, and events on their way to a subscription. It
// knows when an item is due, in which order, how often it was tried and what
// became of it, and it runs what it is told to run (Runner). What an item
// means, and who may make one, is for host/service and host/extension.
//
// # What holds
//
//   - An item runs at least once. It may run again after a crash, so what is
//     done with it must bear repeating.
//   - Items of a queue with the same order run one after the other, as they
//     came. One that fails for good no longer holds up those behind it.
//   - Of items of a queue with the same key one alone waits or runs.
package work

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// State is how an item stands.
type State string

// The states of an item.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Done      State = "done"
	Dead      State = "dead" // it failed for good, and waits for somebody to look
	Cancelled State = "cancelled"
)

// Queue names the items that belong together: one job or subscription of one
// instance.
type Queue struct {
	Instance string `json:"instance"`
	// Lane says what kind of thing Name is, for example "job".
	Lane string `json:"lane"`
	Name string `json:"name"`
}

// Item is one thing to do.
type Item struct {
	Queue
	ID string
	// Topic and Order are those of an event; Order is empty where the order
	// does not matter.
	Topic, Order string
	// Key, if not empty, is unique among the queue's items that wait or run.
	Key     string
	Payload []byte
	State   State
	// Attempts counts those that were begun; after MaxAttempts the item is dead.
	Attempts, MaxAttempts int
	// Percent and Note are what the item's work said of itself.
	Percent int
	Note    string
	Result  []byte
	// Error is that of the last attempt.
	Error                     string
	CreatedAt, RunAt, EndedAt time.Time

	lease time.Time
}

// Bounds of what is kept.
const (
	// keepDone and keepDead are for how long ended items can be looked at.
	keepDone = 24 * time.Hour
	keepDead = 30 * 24 * time.Hour
	maxError = 2000
)

// Settings of a Store. The zero value is right for production.
type Settings struct {
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Store is the port over the tenants' namespaces.
type Store struct {
	db  *store.DB
	now func() time.Time
}

// New returns a Store over db.
func New(db *store.DB, s Settings) *Store {
	if s.Now == nil {
		s.Now = time.Now
	}
	return &Store{db: db, now: s.Now}
}

// row is an item as it is stored.
type row struct {
	bun.BaseModel `bun:"table:work,alias:w"`

	Seq         int64 `bun:",pk,autoincrement"`
	ID          string
	Instance    string
	Lane        string
	Name        string
	Topic       string
	Ordering    string
	UniqueKey   *string
	Payload     []byte
	State       State
	Attempts    int64
	MaxAttempts int64
	Percent     int64
	Note        string
	Result      []byte
	Error       string
	CreatedAt   time.Time
	RunAt       time.Time
	LeasedUntil *time.Time
	EndedAt     *time.Time
}

func (r *row) item() Item {
	i := Item{
		Queue: Queue{r.Instance, r.Lane, r.Name}, ID: r.ID, Topic: r.Topic, Order: r.Ordering, Payload: r.Payload, State: r.State,
		Attempts: int(r.Attempts), MaxAttempts: int(r.MaxAttempts), Percent: int(r.Percent), Note: r.Note, Result: r.Result, Error: r.Error,
		CreatedAt: r.CreatedAt.UTC(), RunAt: r.RunAt.UTC(),
	}
	if r.UniqueKey != nil {
		i.Key = *r.UniqueKey
	}
	if r.LeasedUntil != nil {
		i.lease = *r.LeasedUntil
	}
	if r.EndedAt != nil {
		i.EndedAt = r.EndedAt.UTC()
	}
	return i
}

// open is the condition of items that wait or run, as the indexes spell it.
const open = "state = 'waiting' OR state = 'running'"

func (s *Store) tenant(ctx context.Context, t host.TenantID, write bool, work store.Work) error {
	db, err := s.db.Tenant(t)
	if err != nil {
		return err
	}
	if write {
		return db.Write(ctx, work)
	}
	return db.Read(ctx, work)
}

// moment is a time as the database keeps it.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Get returns an item of an instance. An unknown one is CodeNotFound.
func (s *Store) Get(ctx context.Context, t host.TenantID, instance, lane, id string) (Item, error) {
	var r row
	err := s.tenant(ctx, t, false, func(ctx context.Context, q store.Querier) error {
		return find(ctx, q, instance, lane, id, &r)
	})
	return r.item(), err
}

func find(ctx context.Context, q store.Querier, instance, lane, id string, r *row) error {
	err := q.NewSelect().Model(r).Where("id = ? AND instance = ? AND lane = ?", id, instance, lane).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return host.Errorf(host.CodeNotFound, "there is no %s %q", lane, clip(id, 60)).WithHint("what ended is kept for a day, what failed for 30 days")
	}
	return err
}

// List returns the newest items of an instance, without payloads and results;
// an empty state means all.
func (s *Store) List(ctx context.Context, t host.TenantID, instance, lane string, state State, limit int) ([]Item, error) {
	var rows []row
	err := s.tenant(ctx, t, false, func(ctx context.Context, q store.Querier) error {
		sel := q.NewSelect().Model(&rows).ExcludeColumn("payload", "result").Where("instance = ? AND lane = ?", instance, lane).Order("seq DESC").Limit(int64(limit))
		if state != "" {
			sel = sel.Where("state = ?", state)
		}
		return sel.Scan(ctx)
	})
	out := make([]Item, 0, len(rows))
	for i := range rows {
		out = append(out, rows[i].item())
	}
	return out, err
}

// Count returns how many items of an instance's lane wait or run.
func (s *Store) Count(ctx context.Context, t host.TenantID, instance, lane string) (n int, err error) {
	err = s.tenant(ctx, t, false, func(ctx context.Context, q store.Querier) error {
		n, err = count(ctx, q, instance, lane)
		return err
	})
	return n, err
}

func count(ctx context.Context, q store.Querier, instance, lane string) (int, error) {
	n, err := q.NewSelect().Model((*row)(nil)).Where("instance = ? AND lane = ?", instance, lane).Where(open).Count(ctx)
	return int(n), err
}

// Drop forgets everything of an instance.
func (s *Store) Drop(ctx context.Context, t host.TenantID, instance string) error {
	return s.tenant(ctx, t, true, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*row)(nil)).Where("instance = ?", instance).Exec(ctx)
		if err != nil {
			return fmt.Errorf("forgetting the work of an instance: %w", err)
		}
		return nil
	})
}

// clip shortens text that came from outside.
func clip(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return clean(s)
}
