package work_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/work"
)

// bench is a store with a clock and a job queue of its own.
type bench struct {
	db     *store.DB
	s      *work.Store
	tenant host.TenantID
	run    func(ctx context.Context, args json.RawMessage) error
	jobs   []store.Job

	mu  sync.Mutex
	now time.Time
	did []string
	do  work.Do
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// Register implements work.JobQueue.
func (b *bench) Register(kind string, run func(ctx context.Context, args json.RawMessage) error) {
	if kind == work.JobKind {
		b.run = run
	}
}

func (b *bench) note(item work.Item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.did = append(b.did, string(item.Payload))
}

// settle delivers the outbox and runs what is due, until nothing is.
func (b *bench) settle(t *testing.T) {
	t.Helper()
	for range 100 {
		_, err := b.db.Relay(t.Context(), b.tenant, func(_ context.Context, j store.Job) error {
			b.jobs = append(b.jobs, j)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n := slices.IndexFunc(b.jobs, func(j store.Job) bool { return !j.RunAt.After(b.clock()) })
		if n < 0 {
			return
		}
		j := b.jobs[n]
		b.jobs = slices.Delete(b.jobs, n, n+1)
		if err := b.run(t.Context(), j.Args); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the work never ends")
}

func (b *bench) add(t *testing.T, items ...work.Item) []work.Added {
	t.Helper()
	for i := range items {
		if items[i].Instance == "" {
			items[i].Queue = work.Queue{Instance: "i1", Lane: "job", Name: "import"}
		}
		if items[i].MaxAttempts == 0 {
			items[i].MaxAttempts = 3
		}
	}
	added, err := b.s.Add(t.Context(), b.tenant, items, 100)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func (b *bench) get(t *testing.T, id string) work.Item {
	t.Helper()
	item, err := b.s.Get(t.Context(), b.tenant, "i1", "job", id)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func (b *bench) did1(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(b.did, " "); got != want {
		t.Errorf("did %q, want %q", got, want)
	}
}

func newBench(t *testing.T, db *store.DB) *bench {
	t.Helper()
	b := &bench{db: db, tenant: storetest.Tenant(t, db).ID, now: time.Unix(1_800_000_000, 0)}
	b.s = work.New(db, work.Settings{Now: b.clock})
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict { return work.Verdict{} }
	do := func(ctx context.Context, tenant host.TenantID, item work.Item) work.Verdict {
		b.note(item)
		return b.do(ctx, tenant, item)
	}
	work.NewRunner(b.s, b, map[string]work.Do{"job": do}, work.RunnerSettings{})
	return b
}
