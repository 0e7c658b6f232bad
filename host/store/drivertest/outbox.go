package drivertest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

var outboxCases = []testCase{
	{"job is handed over as it was enqueued", outboxDelivers},
	{"job of a failed write is never handed over", outboxRollback},
	{"last of several with one key is handed over once", outboxKey},
	{"failed delivery is kept and holds up nobody", outboxFailure},
	{"job replaced during its delivery is handed over again", outboxReplaced},
	{"two relays share the jobs", outboxShared},
	{"enqueueing elsewhere is refused", outboxRefused},
	{"commit is told", outboxTold},
}

func enqueue(jobs ...store.Job) store.Work {
	return func(ctx context.Context, q store.Querier) error {
		for _, job := range jobs {
			if err := store.Enqueue(ctx, q, job); err != nil {
				return err
			}
		}
		return nil
	}
}

// relayed relays once and returns the keys that were handed over.
func relayed(t *testing.T, db *store.DB, tn *store.Tenant) []string {
	t.Helper()
	var keys []string
	n, err := db.Relay(t.Context(), tn.ID(), func(_ context.Context, j store.Job) error {
		keys = append(keys, j.Key)
		return nil
	})
	must(t, err)
	if n != len(keys) {
		t.Errorf("Relay returned %d for %d jobs", n, len(keys))
	}
	return keys
}

func outboxDelivers(t *testing.T, h Harness) {
	db := h.fresh(t)
	tn := tenant(t, db)
	at := time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC)
	must(t, tn.Write(t.Context(), enqueue(
		store.Job{Kind: "refresh", Key: "k1", Args: json.RawMessage(`{"a": "\u0000 ' "}`), RunAt: at},
		store.Job{Kind: "refresh"},
	)))
	var got []store.Job
	n, err := db.Relay(t.Context(), tn.ID(), func(_ context.Context, j store.Job) error {
		got = append(got, j)
		return nil
	})
	if err != nil || n != 2 {
		t.Fatalf("Relay returned %d, %v", n, err)
	}
	if j := got[0]; j.Kind != "refresh" || j.Key != "k1" || string(j.Args) != `{"a": "\u0000 ' "}` || !j.RunAt.Equal(at) {
		t.Errorf("the first job came as %+v", j)
	}
	if j := got[1]; j.Key == "" || string(j.Args) != "null" || !j.RunAt.IsZero() {
		t.Errorf("the second job came as %+v", j)
	}
	if again := relayed(t, db, tn); len(again) != 0 {
		t.Errorf("handed over again: %q", again)
	}
}

func outboxRollback(t *testing.T, h Harness) {
	db := h.fresh(t)
	tn := tenant(t, db)
	_ = tn.Write(t.Context(), failing(enqueue(store.Job{Kind: "a", Key: "k"}))) // fails on purpose
	if keys := relayed(t, db, tn); len(keys) != 0 {
		t.Errorf("handed over: %q", keys)
	}
}

func outboxKey(t *testing.T, h Harness) {
	db := h.fresh(t)
	tn := tenant(t, db)
	for _, args := range []string{"1", "2", "3"} {
		must(t, tn.Write(t.Context(), enqueue(store.Job{Kind: "a", Key: "k", Args: json.RawMessage(args)})))
	}
	must(t, tn.Write(t.Context(), enqueue(store.Job{Kind: "b", Key: "k"})))
	var got []string
	_, err := db.Relay(t.Context(), tn.ID(), func(_ context.Context, j store.Job) error {
		got = append(got, j.Kind+string(j.Args))
		return nil
	})
	must(t, err)
	if !slices.Equal(got, []string{"a3", "bnull"}) {
		t.Errorf("handed over: %q", got)
	}
}

func outboxFailure(t *testing.T, h Harness) {
	db := h.fresh(t)
	tn := tenant(t, db)
	must(t, tn.Write(t.Context(), enqueue(store.Job{Kind: "bad", Key: "1"}, store.Job{Kind: "good", Key: "2"})))
	n, err := db.Relay(t.Context(), tn.ID(), func(_ context.Context, j store.Job) error {
		if j.Kind == "bad" {
			return errBoom
		}
		return nil
	})
	if n != 1 || !errors.Is(err, errBoom) {
		t.Errorf("Relay returned %d, %v", n, err)
	}
	if keys := relayed(t, db, tn); len(keys) != 0 {
		t.Errorf("the failed job was tried again at once: %q", keys)
	}
	var kinds []string
	must(t, tn.Read(t.Context(), func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().TableExpr("outbox").Column("kind").Where("leased_until < ?", time.Now().Add(10*time.Second)).Scan(ctx, &kinds)
	}))
	if !slices.Equal(kinds, []string{"bad"}) {
		t.Errorf("jobs that wait for another try: %q", kinds)
	}
}

func outboxReplaced(t *testing.T, h Harness) {
	db := h.fresh(t)
	tn := tenant(t, db)
	must(t, tn.Write(t.Context(), enqueue(store.Job{Kind: "a", Key: "k", Args: json.RawMessage("1")})))
	var got []string
	_, err := db.Relay(t.Context(), tn.ID(), func(ctx context.Context, j store.Job) error {
		got = append(got, string(j.Args))
		if len(got) > 1 {
			return nil
		}
		return tn.Write(ctx, enqueue(store.Job{Kind: "a", Key: "k", Args: json.RawMessage("2")}))
	})
	must(t, err)
	if !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("handed over: %q", got)
	}
}

func outboxShared(t *testing.T, h Harness) {
	db := h.fresh(t)
	tn := tenant(t, db)
	const jobs = 200
	must(t, tn.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		for range jobs {
			if err := store.Enqueue(ctx, q, store.Job{Kind: "a"}); err != nil {
				return err
			}
		}
		return nil
	}))
	var mu sync.Mutex
	seen := make(map[string]int)
	var relays sync.WaitGroup
	for range 3 {
		relays.Go(func() {
			if _, err := db.Relay(t.Context(), tn.ID(), func(_ context.Context, j store.Job) error {
				mu.Lock()
				defer mu.Unlock()
				seen[j.Key]++
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	relays.Wait()
	if len(seen) != jobs {
		t.Errorf("%d of %d jobs were handed over", len(seen), jobs)
	}
	for key, n := range seen {
		if n != 1 {
			t.Errorf("%s was handed over %d times", key, n)
		}
	}
}

func outboxRefused(t *testing.T, h Harness) {
	db := h.fresh(t)
	tn := tenant(t, db)
	job := store.Job{Kind: "a"}
	wantCode(t, db.Control().Write(t.Context(), enqueue(job)), host.CodeInternal)
	wantCode(t, tn.Read(t.Context(), enqueue(job)), host.CodeInternal)
	wantCode(t, store.Enqueue(t.Context(), nil, job), host.CodeInternal)
	wantCode(t, tn.Write(t.Context(), enqueue(store.Job{})), host.CodeInvalid)
	wantCode(t, tn.Write(t.Context(), enqueue(store.Job{Kind: "a", Args: json.RawMessage("{")})), host.CodeInvalid)
	_, err := db.Relay(t.Context(), "nobody", nil)
	wantCode(t, err, host.CodeInvalid)
	_, err = db.Relay(t.Context(), host.NewTenantID(), nil)
	wantCode(t, err, host.CodeNotFound)
}

func outboxTold(t *testing.T, h Harness) {
	var told []host.TenantID
	db := h.openAt(t, h.Place(t), store.Settings{
		Migrations: standard(t), Enqueued: func(id host.TenantID) { told = append(told, id) },
	})
	must(t, db.Migrate(t.Context(), nil))
	tn := tenant(t, db)
	must(t, tn.Write(t.Context(), add("a")))
	_ = tn.Write(t.Context(), failing(enqueue(store.Job{Kind: "a"}))) // fails on purpose
	must(t, tn.Write(t.Context(), enqueue(store.Job{Kind: "a"}, store.Job{Kind: "a"})))
	if !slices.Equal(told, []host.TenantID{tn.ID()}) {
		t.Errorf("told %q, want %s once", told, tn.ID())
	}
}
