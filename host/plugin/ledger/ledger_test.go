package ledger

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

const acme = host.TenantID("tacmeacmeacmeacme")

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func noon() *clock { return &clock{now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)} }

// truth is what was really called, by capability and code.
type truth struct {
	mu   sync.Mutex
	want map[[2]string]sums
}

func (w *truth) note(capability string, code host.Code, u Use) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.want[[2]string{capability, string(code)}]
	s.calls++
	s.use.add(u)
	w.want[[2]string{capability, string(code)}] = s
}

// written is what the database says, by capability and code.
func written(t *testing.T, db *store.DB, plugin string, spans ...int64) map[[2]string]sums {
	t.Helper()
	out := map[[2]string]sums{}
	err := db.Control().Read(t.Context(), func(ctx context.Context, q store.Querier) error {
		for _, span := range spans {
			var rows []record.Usage
			if err := q.NewSelect().Model(&rows).Where("tenant_id = ?", string(acme)).Where("plugin = ?", plugin).Where("span = ?", span).Scan(ctx); err != nil {
				return err
			}
			for _, r := range rows {
				s := out[[2]string{r.Capability, r.Code}]
				s.calls += r.Calls
				s.use.add(Use{r.Fuel, r.Input, r.Output, r.HostCalls, r.HostBytes, time.Duration(r.WallNanos), time.Duration(r.WaitNanos)})
				out[[2]string{r.Capability, r.Code}] = s
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func randomUse(r *rand.Rand) Use {
	return Use{Fuel: r.Int64N(1e6), Input: r.Int64N(1e4), Output: r.Int64N(1e4), HostCalls: r.Int64N(9), HostBytes: r.Int64N(1e5),
		Wall: time.Duration(r.Int64N(1e9)), Waited: time.Duration(r.Int64N(1e6))}
}

// TestSumsEqualWhatWasCalled: several hosts count random calls at once, in
// several hours, write at random moments, are cut off while they write, and
// are stopped; what is in the database is what was called, to the unit.
func TestSumsEqualWhatWasCalled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		now, w := noon(), &truth{want: map[[2]string]sums{}}
		var hosts sync.WaitGroup
		for n := range 3 {
			hosts.Go(func() { runHost(t, db, now, w, uint64(n)) })
		}
		hosts.Wait()
		if got := written(t, db, "acme/board", spanHour); !maps.Equal(got, w.want) {
			t.Errorf("got  %+v\nwant %+v", got, w.want)
		}
		now.move(31 * 24 * time.Hour)
		b := New(db, Settings{Now: now.Now})
		if err := b.Fold(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := written(t, db, "acme/board", spanHour); len(left) > 0 {
			t.Errorf("hours are left: %+v", left)
		}
		if got := written(t, db, "acme/board", spanDay); !maps.Equal(got, w.want) {
			t.Errorf("folded: got %+v\nwant %+v", got, w.want)
		}
		now.move(500 * 24 * time.Hour)
		if err := b.Fold(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := written(t, db, "acme/board", spanHour, spanDay); len(left) > 0 {
			t.Errorf("old days are left: %+v", left)
		}
	})
}

// runHost is one host's life: calls from several goroutines, writes between
// them, some of which are cut off.
func runHost(t *testing.T, db *store.DB, now *clock, w *truth, seed uint64) {
	b := New(db, Settings{Now: now.Now})
	var callers sync.WaitGroup
	stop := make(chan struct{})
	for n := range 4 {
		callers.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			for range 500 {
				capability, code := []string{"route/v1", "view/v1"}[r.IntN(2)], []host.Code{"", "", host.CodePluginTrap, host.CodePluginTimeout}[r.IntN(4)]
				u := randomUse(r)
				at := now.Now()
				if r.IntN(100) == 0 {
					now.move(20 * time.Minute)
				}
				b.Tab(acme, "acme/board").Note(at, capability, code, u)
				w.note(capability, code, u)
			}
		})
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		r := rand.New(rand.NewPCG(seed, 99))
		for {
			select {
			case <-stop:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(3000))*time.Microsecond)
			_ = b.Flush(ctx) // may be cut off; what it left is written later
			cancel()
		}
	})
	callers.Wait()
	close(stop)
	writer.Wait()
	if err := b.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestABatchIsWrittenOnce: the commit of a batch was not heard of, so the same
// batch is written again.
func TestABatchIsWrittenOnce(t *testing.T) {
	db := storetest.SQLite(t)
	b := New(db, Settings{})
	b.Tab(acme, "acme/board").Note(time.Now(), "view/v1", "", Use{Fuel: 7})
	b.Tab(acme, "acme/board").Reached(time.Now(), "kv/v1", "")
	batch := b.collect()
	for range 2 {
		if err := b.write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if got := written(t, db, "acme/board", spanHour)[[2]string{"view/v1", ""}]; got.calls != 1 || got.use.Fuel != 7 {
		t.Errorf("got %+v", got)
	}
	if e, err := b.EvidenceOf(t.Context(), acme, "acme/board", time.Now().Add(-time.Hour)); err != nil || len(e) != 1 || e[0].Uses != 1 {
		t.Errorf("evidence %+v, %v", e, err)
	}
	if b.collect() != nil {
		t.Error("something is left")
	}
}

func TestRunWritesAtTheEnd(t *testing.T) {
	db := storetest.SQLite(t)
	b := New(db, Settings{Every: time.Hour})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { b.Run(ctx); close(ended) }()
	b.Tab(acme, "acme/board").Note(time.Now(), "view/v1", "", Use{Fuel: 7})
	stop()
	<-ended
	if got := written(t, db, "acme/board", spanHour)[[2]string{"view/v1", ""}]; got.calls != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestUsage(t *testing.T) {
	db, now := storetest.SQLite(t), noon()
	b := New(db, Settings{Now: now.Now})
	tab := b.Tab(acme, "acme/board")
	for h := range 5 {
		for range h + 1 {
			tab.Note(now.Now().Add(-time.Duration(h)*time.Hour), "view/v1", "", Use{Fuel: 10})
		}
	}
	tab.Note(now.Now(), "route/v1", host.CodePluginTrap, Use{Fuel: 5, Wall: time.Second})
	b.Tab(acme, "acme/other").Note(now.Now(), "view/v1", "", Use{Fuel: 1000})
	b.Tab("tother", "acme/board").Note(now.Now(), "view/v1", "", Use{Fuel: 1000})
	t.Run("ByTheHour", func(t *testing.T) {
		r, err := b.Usage(t.Context(), acme, "acme/board", Query{})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Points) != 5 || r.Points[4].Calls != 2 || r.Points[4].ByCode[host.CodePluginTrap] != 1 || r.Points[0].Calls != 5 {
			t.Errorf("points %+v", r.Points)
		}
		if r.Total.Calls != 16 || r.Total.Errors != 1 || r.Total.Fuel != 155 || r.Total.Wall != time.Second {
			t.Errorf("total %+v", r.Total)
		}
		if len(r.Capabilities) != 2 || r.Capabilities[0].Capability != "route/v1" || r.Capabilities[1].Calls != 15 {
			t.Errorf("capabilities %+v", r.Capabilities)
		}
	})
	t.Run("ByTheDay", func(t *testing.T) {
		r, err := b.Usage(t.Context(), acme, "acme/board", Query{From: now.Now().Add(-48 * time.Hour), Step: StepDay})
		if err != nil || len(r.Points) != 1 || r.Points[0].Calls != 16 {
			t.Errorf("got %+v, %v", r, err)
		}
	})
	t.Run("PartOfTheTime", func(t *testing.T) {
		r, err := b.Usage(t.Context(), acme, "acme/board", Query{From: now.Now().Add(-2 * time.Hour), To: now.Now()})
		if err != nil || r.Total.Calls != 5 {
			t.Errorf("got %+v, %v", r.Total, err)
		}
	})
	for name, q := range map[string]Query{
		"Backwards": {From: now.Now(), To: now.Now().Add(-time.Hour)},
		"NoStep":    {Step: "week"},
		"TooLong":   {From: now.Now().Add(-90 * 24 * time.Hour), Step: StepHour},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := b.Usage(t.Context(), acme, "acme/board", q); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("got %v", err)
			}
		})
	}
	if r, err := b.Usage(t.Context(), acme, "acme/board", Query{From: now.Now().Add(-90 * 24 * time.Hour)}); err != nil || r.Step != StepDay {
		t.Errorf("a long report has the step %q: %v", r.Step, err)
	}
}

func TestAllocations(t *testing.T) {
	tab, at := New(nil, Settings{}).Tab(acme, "acme/board"), time.Now()
	if n := testing.AllocsPerRun(1000, func() { tab.Note(at, "view/v1", "", Use{Fuel: 1}) }); n != 0 {
		t.Errorf("%v allocations for a note", n)
	}
}

func BenchmarkNote(b *testing.B) {
	tab, at := New(nil, Settings{}).Tab(acme, "acme/board"), time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			tab.Note(at, "view/v1", "", Use{Fuel: 1, Input: 10, Output: 10, Wall: 5})
		}
	})
}
