package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

var ctx = context.Background()

func quick() Settings {
	return Settings{Poll: 20 * time.Millisecond, RetryBase: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
}

func open(t *testing.T, db *store.DB, s Settings) *Queue {
	t.Helper()
	q, err := Open(ctx, db.SQL(), db.Dialect(), s)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() {
		end, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := q.Stop(end); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return q
}

func start(t *testing.T, q *Queue) {
	t.Helper()
	if err := q.Start(ctx); err != nil {
		t.Fatalf("starting: %v", err)
	}
}

// log collects what jobs did.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, s)
	return len(l.lines)
}

func (l *log) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// eventually waits until ok, for at most 15 s.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

func register(t *testing.T, q *Queue, kind string, f Func, o Options) {
	t.Helper()
	if err := q.Register(kind, f, o); err != nil {
		t.Fatal(err)
	}
}

func enqueue(t *testing.T, q *Queue, kind, key, args string, at time.Time) {
	t.Helper()
	if err := q.Enqueue(ctx, kind, key, json.RawMessage(args), at); err != nil {
		t.Fatal(err)
	}
}

func TestQueue(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		t.Run("RunsOncePerKey", func(t *testing.T) { queueRunsOncePerKey(t, db) })
		t.Run("WaitsForItsTime", func(t *testing.T) { queueWaitsForItsTime(t, db) })
		t.Run("FailureIsTriedAgain", func(t *testing.T) { queueFailureIsTriedAgain(t, db) })
		t.Run("PostponedIsNoFailure", func(t *testing.T) { queuePostponedIsNoFailure(t, db) })
		t.Run("DeadLetterIsShownAndRetried", func(t *testing.T) { queueDeadLetterIsShownAndRetried(t, db) })
		t.Run("ScheduleComesAgainAndEnds", func(t *testing.T) { queueScheduleComesAgainAndEnds(t, db) })
		t.Run("StopLetsRunningJobsFinish", func(t *testing.T) { queueStopLetsRunningJobsFinish(t, db) })
		t.Run("StopCancelsWhatDoesNotEnd", func(t *testing.T) { queueStopCancelsWhatDoesNotEnd(t, db) })
		t.Run("WaitingJobsSurviveARestart", func(t *testing.T) { queueWaitingJobsSurviveARestart(t, db) })
		t.Run("TwoProcessesOpenAtOnce", func(t *testing.T) { queueTwoProcessesOpenAtOnce(t, db) })
	})
}

func TestOpen(t *testing.T) {
	t.Run("FreshDatabaseOpenedByFourAtOnce", func(t *testing.T) {
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if _, err := Open(ctx, db.SQL(), db.Dialect(), quick()); err != nil {
						t.Errorf("opening: %v", err)
					}
				})
			}
			wg.Wait()
		})
	})
	t.Run("MigratedDatabaseStartsFast", func(t *testing.T) {
		db := storetest.SQLite(t)
		open(t, db, quick())
		best := time.Hour
		for range 3 {
			begin := time.Now()
			again, err := Open(ctx, db.SQL(), db.Dialect(), quick())
			if err != nil {
				t.Fatal(err)
			}
			register(t, again, "any", func(context.Context, json.RawMessage) error { return nil }, Options{})
			start(t, again)
			best = min(best, time.Since(begin))
			if err := again.Stop(ctx); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("open and start: %v", best)
		if best > 50*time.Millisecond {
			t.Errorf("opening and starting took %v", best)
		}
	})
	t.Run("ErrDialect", func(t *testing.T) {
		if _, err := Open(ctx, nil, "mysql", quick()); err == nil {
			t.Error("opened")
		}
	})
}

func TestRegister(t *testing.T) {
	db := storetest.SQLite(t)
	q := open(t, db, quick())
	f := func(context.Context, json.RawMessage) error { return nil }
	register(t, q, "aa", f, Options{})
	for name, err := range map[string]error{"Twice": q.Register("aa", f, Options{}), "NoName": q.Register("", f, Options{}), "NoFunc": q.Register("b", nil, Options{})} {
		t.Run("Err"+name, func(t *testing.T) {
			if host.CodeOf(err) != host.CodeInternal || err == nil {
				t.Errorf("err = %v", err)
			}
		})
	}
	start(t, q)
	t.Run("ErrStarted", func(t *testing.T) {
		if q.Register("c", f, Options{}) == nil || q.Start(ctx) == nil {
			t.Error("accepted after the start")
		}
	})
}

func TestSlot(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	for _, interval := range []time.Duration{time.Second, time.Minute, 5 * time.Minute, 24 * time.Hour} {
		a, b := slot("a", interval, now), slot("b", interval, now)
		if !a.After(now) || a.Sub(now) > interval || !slot("a", interval, a.Add(-time.Millisecond)).Equal(a) {
			t.Errorf("%s: %v after %v", interval, a, now)
		}
		if interval > time.Second && a.Equal(b) {
			t.Errorf("%s: both at %v", interval, a)
		}
		if next := slot("a", interval, a); next.Sub(a) != interval {
			t.Errorf("%s: next after %v", interval, next.Sub(a))
		}
	}
}

func queueWaitsForItsTime(t *testing.T, db *store.DB) {
	q, done := open(t, db, quick()), &log{}
	register(t, q, "later", func(_ context.Context, args json.RawMessage) error { done.add(string(args)); return nil }, Options{})
	enqueue(t, q, "later", "far", `"far"`, time.Now().Add(time.Hour))
	enqueue(t, q, "later", "near", `"near"`, time.Now().Add(300*time.Millisecond))
	start(t, q)
	eventually(t, "the near one ran", func() bool { return done.len() == 1 })
	if done.lines[0] != `"near"` {
		t.Errorf("ran %v", done.lines)
	}
}

func queueFailureIsTriedAgain(t *testing.T, db *store.DB) {
	q, done := open(t, db, quick()), &log{}
	register(t, q, "flaky", func(context.Context, json.RawMessage) error {
		if done.add("try") < 3 {
			return errors.New("not yet")
		}
		return nil
	}, Options{})
	enqueue(t, q, "flaky", "", `null`, time.Time{})
	start(t, q)
	eventually(t, "the third try", func() bool { return done.len() == 3 })
}

// postponed is the error of a job that is to run again.
type postponed struct{ error }

func (postponed) Later() time.Duration { return time.Millisecond }

func queuePostponedIsNoFailure(t *testing.T, db *store.DB) {
	q, done := open(t, db, quick()), &log{}
	before, err := q.Dead(ctx, 1000)
	if err != nil {
		t.Fatal(err)
	}
	register(t, q, "busy", func(context.Context, json.RawMessage) error {
		if done.add("try") < 4 {
			return fmt.Errorf("not now: %w", postponed{errors.New("all are busy")})
		}
		return nil
	}, Options{MaxAttempts: 1})
	enqueue(t, q, "busy", "", `null`, time.Time{})
	start(t, q)
	eventually(t, "it ran after three postponements", func() bool { return done.len() == 4 })
	if dead, err := q.Dead(ctx, 1000); err != nil || len(dead) != len(before) {
		t.Errorf("dead letters: %+v, %v", dead, err)
	}
}

func queueDeadLetterIsShownAndRetried(t *testing.T, db *store.DB) {
	q, done := open(t, db, quick()), &log{}
	register(t, q, "doomed", func(context.Context, json.RawMessage) error {
		done.add("try")
		return errors.New("no luck")
	}, Options{MaxAttempts: 2})
	register(t, q, "senseless", func(context.Context, json.RawMessage) error {
		return host.Errorf(host.CodeInvalid, "bad arguments")
	}, Options{})
	enqueue(t, q, "doomed", "x", `{"a":1}`, time.Time{})
	enqueue(t, q, "senseless", "y", `{}`, time.Time{})
	start(t, q)
	var dead []Job
	eventually(t, "both are dead letters", func() bool {
		var err error
		if dead, err = q.Dead(ctx, 10); err != nil {
			t.Fatal(err)
		}
		return len(dead) == 2
	})
	for _, j := range dead {
		if j.Kind == "doomed" && (j.Key != "x" || string(j.Args) != `{"a":1}` || j.Attempts != 2 || j.Error != "no luck") {
			t.Errorf("dead letter = %+v", j)
		}
		if j.Kind == "senseless" && j.Attempts != 1 {
			t.Errorf("dead letter = %+v", j)
		}
	}
	tries := done.len()
	for _, j := range dead {
		if err := q.Retry(ctx, j.ID); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the retried job ran", func() bool { return done.len() > tries })
	if err := q.Retry(ctx, 1<<40); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("unknown id: %v", err)
	}
}

func queueScheduleComesAgainAndEnds(t *testing.T, db *store.DB) {
	q, done := open(t, db, quick()), &log{}
	register(t, q, "tick", func(_ context.Context, args json.RawMessage) error {
		done.add(string(args))
		return errors.New("even so")
	}, Options{MaxAttempts: 1})
	for range 2 {
		if err := q.Every(ctx, "pulse", time.Second, "tick", json.RawMessage(`"t"`)); err != nil {
			t.Fatal(err)
		}
	}
	start(t, q)
	eventually(t, "it ran twice", func() bool { return done.len() >= 2 })
	q.Cancel("pulse")
	if err := q.Every(ctx, "pulse", time.Millisecond, "tick", nil); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("short interval: %v", err)
	}
}

func queueStopLetsRunningJobsFinish(t *testing.T, db *store.DB) {
	q, begun, goOn := open(t, db, quick()), make(chan struct{}), make(chan struct{})
	var finished bool
	register(t, q, "slow", func(context.Context, json.RawMessage) error {
		close(begun)
		<-goOn
		finished = true
		return nil
	}, Options{})
	enqueue(t, q, "slow", "", `null`, time.Time{})
	start(t, q)
	<-begun
	stopped := make(chan error)
	go func() { stopped <- q.Stop(ctx) }()
	close(goOn)
	if err := <-stopped; err != nil || !finished {
		t.Errorf("stopped with %v, finished %v", err, finished)
	}
}

func queueStopCancelsWhatDoesNotEnd(t *testing.T, db *store.DB) {
	q, begun := open(t, db, quick()), make(chan struct{})
	var once sync.Once
	register(t, q, "stuck", func(ctx context.Context, _ json.RawMessage) error {
		once.Do(func() { close(begun) })
		<-ctx.Done()
		return ctx.Err()
	}, Options{})
	enqueue(t, q, "stuck", "", `null`, time.Time{})
	start(t, q)
	<-begun
	end, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := q.Stop(end); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func queueWaitingJobsSurviveARestart(t *testing.T, db *store.DB) {
	first, done := open(t, db, quick()), &log{}
	enqueue(t, first, "kept", "k", `"kept"`, time.Time{})
	second := open(t, db, quick())
	register(t, second, "kept", func(_ context.Context, args json.RawMessage) error { done.add(string(args)); return nil }, Options{})
	start(t, second)
	eventually(t, "it ran", func() bool { return done.len() == 1 })
}

func queueTwoProcessesOpenAtOnce(t *testing.T, db *store.DB) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Open(ctx, db.SQL(), db.Dialect(), quick()); err != nil {
				t.Errorf("opening: %v", err)
			}
		})
	}
	wg.Wait()
}

func queueRunsOncePerKey(t *testing.T, db *store.DB) {
	q, done := open(t, db, quick()), &log{}
	register(t, q, "once", func(_ context.Context, args json.RawMessage) error { done.add(string(args)); return nil }, Options{})
	enqueue(t, q, "once", "a", `{"n":1}`, time.Time{})
	enqueue(t, q, "once", "a", `{"n":2}`, time.Time{})
	start(t, q)
	eventually(t, "the first ran", func() bool { return done.len() == 1 })
	enqueue(t, q, "once", "a", `{"n":3}`, time.Time{})
	enqueue(t, q, "once", "b", `{"n":4}`, time.Time{})
	eventually(t, "the other key ran", func() bool { return done.len() == 2 })
	if got := fmt.Sprint(done.lines); got != `[{"n":1} {"n":4}]` {
		t.Errorf("ran %s", got)
	}
}
