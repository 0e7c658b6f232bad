package work_test

import (
	"context"
	"errors"
	"fmt"
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

func TestWork(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for _, c := range []struct {
			name string
			run  func(t *testing.T, b *bench)
		}{
			{"DoneOnce", testDone}, {"RunAt", testRunAt}, {"UniqueKey", testKey}, {"Limit", testLimit},
			{"RetriesThenDead", testRetries}, {"PermanentIsDeadAtOnce", testPermanent}, {"WaitsAsLongAsItIsTold", testRetryAfter},
			{"OrderWithinAKey", testOrder}, {"Again", testAgain}, {"LaterCountsNothing", testLater}, {"PanicIsAFailure", testPanic},
			{"Cancel", testCancel}, {"RetryOfTheDead", testRetryDead}, {"LostHost", testLost}, {"LostWake", testLostWake},
			{"OldOnesGo", testOld}, {"NotCommittedIsNotKept", testRollback}, {"OthersDoNotSeeIt", testForeign}, {"Drop", testDrop},
			{"Progress", testProgress}, {"ForgottenWhenDone", testForget}, {"NeverTwiceAtATime", testClaim},
		} {
			t.Run(c.name, func(t *testing.T) { c.run(t, newBench(t, db)) })
		}
	})
}

func testDone(t *testing.T, b *bench) {
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict { return work.Verdict{Result: []byte("7")} }
	a := b.add(t, work.Item{Payload: []byte("a")}, work.Item{Payload: []byte("b")})
	b.settle(t)
	b.pass(time.Hour)
	b.settle(t)
	b.did1(t, "a b")
	if item := b.get(t, a[0].ID); item.State != work.Done || string(item.Result) != "7" || item.Attempts != 1 || item.EndedAt.IsZero() || item.Percent != 100 {
		t.Errorf("%+v", item)
	}
}

func testRunAt(t *testing.T, b *bench) {
	b.add(t, work.Item{Payload: []byte("late"), RunAt: b.now.Add(time.Minute)}, work.Item{Payload: []byte("now")})
	b.settle(t)
	b.did1(t, "now")
	b.pass(time.Minute)
	b.settle(t)
	b.did1(t, "now late")
}

func testKey(t *testing.T, b *bench) {
	first := b.add(t, work.Item{Key: "k", Payload: []byte("a")})[0]
	second := b.add(t, work.Item{Key: "k", Payload: []byte("b")}, work.Item{Key: "other", Payload: []byte("c")})
	if !second[0].Existed || second[0].ID != first.ID || second[1].Existed {
		t.Errorf("%+v %+v", first, second)
	}
	b.settle(t)
	b.did1(t, "a c")
	if again := b.add(t, work.Item{Key: "k"})[0]; again.Existed {
		t.Error("a key is taken after its item is done")
	}
}

func testLimit(t *testing.T, b *bench) {
	var items []work.Item
	for range 101 {
		items = append(items, work.Item{})
	}
	added := b.add(t, items...)
	if added[99].Dropped || !added[100].Dropped {
		t.Errorf("%+v", added[99:])
	}
	if n, err := b.s.Count(t.Context(), b.tenant, "i1", "job"); n != 100 || err != nil {
		t.Error(n, err)
	}
}

func testRetries(t *testing.T, b *bench) {
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict {
		return work.Verdict{Err: host.Errorf(host.CodeUpstream, "it is down")}
	}
	id := b.add(t, work.Item{Payload: []byte("a")})[0].ID
	b.settle(t)
	b.did1(t, "a")
	if item := b.get(t, id); item.State != work.Waiting || !strings.Contains(item.Error, "it is down") {
		t.Errorf("%+v", item)
	}
	b.pass(3 * time.Second) // less than the pause
	b.settle(t)
	b.did1(t, "a")
	b.pass(4 * time.Second)
	b.settle(t)
	b.pass(13 * time.Second)
	b.settle(t)
	b.pass(time.Hour)
	b.settle(t)
	b.did1(t, "a a a")
	if item := b.get(t, id); item.State != work.Dead || item.Attempts != 3 {
		t.Errorf("%+v", item)
	}
	dead, err := b.s.List(t.Context(), b.tenant, "i1", "job", work.Dead, 10)
	if err != nil || len(dead) != 1 || dead[0].ID != id {
		t.Error(dead, err)
	}
}

func testPermanent(t *testing.T, b *bench) {
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict {
		return work.Verdict{Err: fmt.Errorf("running: %w", host.Errorf(host.CodeInvalid, "no such thing"))}
	}
	id := b.add(t, work.Item{})[0].ID
	b.settle(t)
	if item := b.get(t, id); item.State != work.Dead || item.Attempts != 1 {
		t.Errorf("%+v", item)
	}
}

func testRetryAfter(t *testing.T, b *bench) {
	e := host.Errorf(host.CodeRateLimited, "slow down")
	e.RetryAfter = 10 * time.Minute
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict { return work.Verdict{Err: e} }
	id := b.add(t, work.Item{})[0].ID
	b.settle(t)
	if item := b.get(t, id); item.RunAt.Sub(b.now) != 10*time.Minute {
		t.Errorf("again in %s", item.RunAt.Sub(b.now))
	}
}

func testOrder(t *testing.T, b *bench) {
	fail := true
	b.do = func(_ context.Context, _ host.TenantID, item work.Item) work.Verdict {
		if string(item.Payload) == "a1" && fail {
			return work.Verdict{Err: errors.New("not now")}
		}
		return work.Verdict{}
	}
	b.add(t, work.Item{Order: "a", Payload: []byte("a1")}, work.Item{Order: "a", Payload: []byte("a2")}, work.Item{Order: "b", Payload: []byte("b1")})
	b.settle(t)
	b.did1(t, "a1 b1")
	fail = false
	b.pass(time.Minute)
	b.settle(t)
	b.did1(t, "a1 b1 a1 a2")

	// What failed for good holds up nobody.
	b.did = nil
	b.do = func(_ context.Context, _ host.TenantID, item work.Item) work.Verdict {
		if string(item.Payload) == "a3" {
			return work.Verdict{Err: host.Errorf(host.CodeInvalid, "never")}
		}
		return work.Verdict{}
	}
	b.add(t, work.Item{Order: "a", Payload: []byte("a3")}, work.Item{Order: "a", Payload: []byte("a4")})
	b.settle(t)
	b.did1(t, "a3 a4")
}

func testAgain(t *testing.T, b *bench) {
	b.do = func(_ context.Context, _ host.TenantID, item work.Item) work.Verdict {
		if len(item.Payload) < 5 {
			return work.Verdict{Again: time.Minute, Payload: append(item.Payload, 'x')}
		}
		return work.Verdict{}
	}
	id := b.add(t, work.Item{Payload: []byte("x")})[0].ID
	for range 5 {
		b.settle(t)
		b.pass(time.Minute)
	}
	b.did1(t, "x xx xxx xxxx xxxxx")
	if item := b.get(t, id); item.State != work.Done || item.Attempts != 1 {
		t.Errorf("%+v", item)
	}
}

func testLater(t *testing.T, b *bench) {
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict {
		return work.Verdict{Err: &work.Later{After: time.Minute, Why: "switched off"}}
	}
	id := b.add(t, work.Item{})[0].ID
	for range 5 {
		b.settle(t)
		b.pass(time.Minute)
	}
	if item := b.get(t, id); item.State != work.Waiting || item.Attempts != 0 || len(b.did) != 5 {
		t.Errorf("%+v after %d", item, len(b.did))
	}
}

func testPanic(t *testing.T, b *bench) {
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict { panic("hunter2") }
	id := b.add(t, work.Item{})[0].ID
	b.settle(t)
	if item := b.get(t, id); item.State != work.Waiting || item.Attempts != 1 || strings.Contains(item.Error, "hunter2") {
		t.Errorf("%+v", item)
	}
}

func testCancel(t *testing.T, b *bench) {
	a := b.add(t, work.Item{Payload: []byte("a"), RunAt: b.now.Add(time.Minute)}, work.Item{Payload: []byte("b")})
	b.do = func(ctx context.Context, tenant host.TenantID, _ work.Item) work.Verdict {
		return work.Verdict{Err: b.s.Cancel(ctx, tenant, "i1", "job", a[1].ID)} // while it runs
	}
	if err := b.s.Cancel(t.Context(), b.tenant, "i1", "job", a[0].ID); err != nil {
		t.Fatal(err)
	}
	b.settle(t)
	b.pass(time.Hour)
	b.settle(t)
	b.did1(t, "b")
	for _, x := range a {
		if item := b.get(t, x.ID); item.State != work.Cancelled {
			t.Errorf("%+v", item)
		}
	}
	if err := b.s.Cancel(t.Context(), b.tenant, "i1", "job", a[0].ID); host.CodeOf(err) != host.CodeConflict {
		t.Error(err)
	}
}

func testRetryDead(t *testing.T, b *bench) {
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict {
		return work.Verdict{Err: host.Errorf(host.CodeInvalid, "never")}
	}
	id := b.add(t, work.Item{Key: "k", Payload: []byte("a")})[0].ID
	b.settle(t)
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict { return work.Verdict{} }
	if err := b.s.Retry(t.Context(), b.tenant, "i1", "job", id); err != nil {
		t.Fatal(err)
	}
	b.settle(t)
	if item := b.get(t, id); item.State != work.Done || item.Attempts != 1 {
		t.Errorf("%+v", item)
	}
	if err := b.s.Retry(t.Context(), b.tenant, "i1", "job", id); host.CodeOf(err) != host.CodeConflict {
		t.Error(err)
	}
	if err := b.s.Retry(t.Context(), b.tenant, "i1", "job", "job_none"); host.CodeOf(err) != host.CodeNotFound {
		t.Error(err)
	}
}

func testLost(t *testing.T, b *bench) {
	id := b.add(t, work.Item{Payload: []byte("a")})[0].ID
	q := work.Queue{Instance: "i1", Lane: "job", Name: "import"}
	for n := 1; n <= 3; n++ {
		item, ok, err := b.s.Claim(t.Context(), b.tenant, q, time.Minute) // and the host dies
		if err != nil || !ok || item.Attempts != n {
			t.Fatal(item, ok, err)
		}
		if err := b.s.Recover(t.Context(), b.tenant); err != nil {
			t.Fatal(err)
		}
		if got := b.get(t, id); got.State != work.Running {
			t.Fatal("it was taken away before its lease ended")
		}
		b.pass(2 * time.Minute)
		if err := b.s.Recover(t.Context(), b.tenant); err != nil {
			t.Fatal(err)
		}
		// Whoever comes back from the dead changes nothing.
		if err := b.s.Settle(t.Context(), b.tenant, item, work.Verdict{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.get(t, id); got.State != work.Dead {
		t.Errorf("%+v", got)
	}
}

func testLostWake(t *testing.T, b *bench) {
	b.add(t, work.Item{Payload: []byte("a")})
	if _, err := b.db.Relay(t.Context(), b.tenant, func(context.Context, store.Job) error { return nil }); err != nil {
		t.Fatal(err) // the queue loses it
	}
	b.settle(t)
	b.did1(t, "")
	b.pass(2 * time.Minute)
	for range 2 {
		if err := b.s.Recover(t.Context(), b.tenant); err != nil {
			t.Fatal(err)
		}
	}
	b.settle(t)
	b.did1(t, "a")
}

func testOld(t *testing.T, b *bench) {
	done := b.add(t, work.Item{Payload: []byte("done")})[0].ID
	b.settle(t)
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict {
		return work.Verdict{Err: host.Errorf(host.CodeInvalid, "never")}
	}
	dead := b.add(t, work.Item{Payload: []byte("dead")})[0].ID
	b.settle(t)
	b.pass(25 * time.Hour)
	if err := b.s.Recover(t.Context(), b.tenant); err != nil {
		t.Fatal(err)
	}
	if _, err := b.s.Get(t.Context(), b.tenant, "i1", "job", done); host.CodeOf(err) != host.CodeNotFound {
		t.Error(err)
	}
	b.get(t, dead)
	b.pass(31 * 24 * time.Hour)
	if err := b.s.Recover(t.Context(), b.tenant); err != nil {
		t.Fatal(err)
	}
	if _, err := b.s.Get(t.Context(), b.tenant, "i1", "job", dead); host.CodeOf(err) != host.CodeNotFound {
		t.Error(err)
	}
}

func testRollback(t *testing.T, b *bench) {
	db, err := b.db.Tenant(b.tenant)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no")
	err = db.Write(t.Context(), func(ctx context.Context, _ store.Querier) error {
		if _, err := b.s.Add(ctx, b.tenant, []work.Item{{Queue: work.Queue{Instance: "i1", Lane: "job", Name: "import"}, MaxAttempts: 1}}, 10); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	b.settle(t)
	b.did1(t, "")
}

func testForeign(t *testing.T, b *bench) {
	id := b.add(t, work.Item{RunAt: b.now.Add(time.Hour)})[0].ID
	for _, instance := range []string{"i2", ""} {
		if _, err := b.s.Get(t.Context(), b.tenant, instance, "job", id); host.CodeOf(err) != host.CodeNotFound {
			t.Error(err)
		}
		if err := b.s.Cancel(t.Context(), b.tenant, instance, "job", id); host.CodeOf(err) != host.CodeNotFound {
			t.Error(err)
		}
		if err := b.s.Progress(t.Context(), b.tenant, instance, "job", id, 10, "x"); host.CodeOf(err) != host.CodeConflict {
			t.Error(err)
		}
	}
	if err := b.s.Cancel(t.Context(), b.tenant, "i1", "event", id); host.CodeOf(err) != host.CodeNotFound {
		t.Error(err)
	}
}

func testDrop(t *testing.T, b *bench) {
	b.add(t, work.Item{Payload: []byte("a")}, work.Item{Queue: work.Queue{Instance: "i2", Lane: "job", Name: "x"}, Payload: []byte("b")})
	if err := b.s.Drop(t.Context(), b.tenant, "i1"); err != nil {
		t.Fatal(err)
	}
	b.settle(t)
	b.did1(t, "b")
}

func testProgress(t *testing.T, b *bench) {
	b.do = func(ctx context.Context, tenant host.TenantID, item work.Item) work.Verdict {
		if err := b.s.Progress(ctx, tenant, "i1", "job", item.ID, 40, "half\x00way"); err != nil {
			return work.Verdict{Err: err}
		}
		return work.Verdict{Err: errors.New("again")}
	}
	id := b.add(t, work.Item{})[0].ID
	b.settle(t)
	if item := b.get(t, id); item.Percent != 40 || item.Note != "halfway" {
		t.Errorf("%+v", item)
	}
}

func testForget(t *testing.T, b *bench) {
	b.do = func(context.Context, host.TenantID, work.Item) work.Verdict { return work.Verdict{Forget: true} }
	id := b.add(t, work.Item{})[0].ID
	b.settle(t)
	if _, err := b.s.Get(t.Context(), b.tenant, "i1", "job", id); host.CodeOf(err) != host.CodeNotFound {
		t.Error(err)
	}
}

func testClaim(t *testing.T, b *bench) {
	var items []work.Item
	for i := range 40 {
		items = append(items, work.Item{Payload: fmt.Append(nil, i), Order: fmt.Sprint(i % 5)})
	}
	b.add(t, items...)
	q := work.Queue{Instance: "i1", Lane: "job", Name: "import"}
	var wait sync.WaitGroup
	var mu sync.Mutex
	held := map[string]int{}
	var order []string
	for range 4 {
		wait.Go(func() {
			for {
				item, ok, err := b.s.Claim(t.Context(), b.tenant, q, time.Minute)
				if err != nil {
					t.Error(err)
				}
				if err != nil || !ok {
					return
				}
				mu.Lock()
				if held[item.Order]++; held[item.Order] > 1 {
					t.Errorf("two items of the order %s run at a time", item.Order)
				}
				order = append(order, string(item.Payload))
				mu.Unlock()
				mu.Lock()
				held[item.Order]--
				mu.Unlock()
				if err := b.s.Settle(t.Context(), b.tenant, item, work.Verdict{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	for b.get1(t, q) {
	}
	slices.Sort(order)
	if len(slices.Compact(order)) != len(order) {
		t.Errorf("some ran twice: %v", order)
	}
}

// get1 takes one more item, which a racing worker may have left behind.
func (b *bench) get1(t *testing.T, q work.Queue) bool {
	t.Helper()
	item, ok, err := b.s.Claim(t.Context(), b.tenant, q, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if ok {
		if err := b.s.Settle(t.Context(), b.tenant, item, work.Verdict{}); err != nil {
			t.Fatal(err)
		}
	}
	return ok
}
