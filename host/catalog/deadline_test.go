package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/catalog/source"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// stalling reads files; those whose names hold "slow" do not answer before
// release is closed.
type stalling struct {
	catalog.Reader
	begun   chan string
	release chan struct{}
}

func (s *stalling) Open() source.Session { return stallingSession{s.Reader.Open(), s} }

type stallingSession struct {
	source.Session
	of *stalling
}

func (s stallingSession) Read(ctx context.Context, at source.Address, etag string) (source.Content, error) {
	if strings.Contains(at.Target, "slow") {
		select {
		case s.of.begun <- at.Target:
		case <-s.of.release:
		case <-ctx.Done():
		}
		select {
		case <-s.of.release:
		case <-ctx.Done():
			return source.Content{}, host.Errorf(host.CodeUpstream, "%s did not answer in time", at.Target)
		}
	}
	return s.Session.Read(ctx, at, etag)
}

// stalled is a world whose slow files do not answer.
func stalled(t *testing.T, db *store.DB, s catalog.Settings) (*world, *stalling) {
	t.Helper()
	w := newWorld(t, db, nil)
	reader, err := source.New(source.Settings{Roots: []string{w.dir}, WorkDir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	r := &stalling{Reader: reader, begun: make(chan string, 100), release: make(chan struct{})}
	s.Rules, s.Now, s.Recheck = ingest.AllKinds(), w.clock.Now, time.Nanosecond
	w.cat = catalog.New(db, r, w.policy, w.audit, s)
	return w, r
}

func pointers(name string, targets ...string) string {
	return "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata:\n  name: " + name + "\nspec:\n  targets: ['" + strings.Join(targets, "', '") + "']\n"
}

// relayed returns the jobs in the tenant's outbox.
func (w *world) relayed() []store.Job {
	w.t.Helper()
	var jobs []store.Job
	_, err := w.db.Relay(context.Background(), w.caller.TenantID(), func(_ context.Context, j store.Job) error { jobs = append(jobs, j); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return jobs
}

func TestALocationThatTakesTooLong(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		w, r := stalled(t, db, catalog.Settings{Deadline: 200 * time.Millisecond, Patience: 200 * time.Millisecond})
		w.write("all.yaml", pointers("all", "./a.yaml", "./slow-b.yaml", "./slow-c.yaml"))
		w.write("a.yaml", group("a"))
		w.write("slow-b.yaml", group("b"))
		w.write("slow-c.yaml", group("c"))
		told := func(t *testing.T, ps []catalog.Problem) {
			t.Helper()
			if len(ps) != 1 || !strings.Contains(ps[0].Message, "took longer than 200ms") || ps[0].Hint == "" {
				t.Errorf("problems: %+v", ps)
			}
		}
		report := w.register("all.yaml")
		t.Run("IsRegisteredWithWhatWasRead", func(t *testing.T) {
			told(t, report.Problems)
			if len(report.Added) != 2 || report.Location.Status != catalog.StatusError {
				t.Errorf("%+v", report)
			}
		})
		t.Run("EndsItsJobWithAProblem", func(t *testing.T) {
			jobs := w.relayed()
			w.clock.add(time.Hour)
			if err := w.cat.RunRefresh(ctx, jobs[0].Args); err != nil {
				t.Fatal(err)
			}
			ps, err := w.cat.Problems(ctx, w.caller)
			if err != nil {
				t.Fatal(err)
			}
			told(t, ps)
			if len(w.relayed()) != 1 {
				t.Error("the next refresh is not enqueued")
			}
		})
		t.Run("IsReadWholeOnceItAnswers", func(t *testing.T) {
			close(r.release)
			if again := w.refresh(report.Location.ID); len(again.Added) != 2 || len(again.Problems) != 0 {
				t.Errorf("%+v", again)
			}
		})
		t.Run("KeepsItsEntitiesMeanwhile", func(t *testing.T) {
			r.release = make(chan struct{})
			again := w.refresh(report.Location.ID)
			told(t, again.Problems)
			w.mustGet("group:a")
			if e := w.mustGet("group:c"); e.Orphan {
				t.Error("it was made an orphan")
			}
		})
		t.Run("ErrDoesNotAnswerAtAll", func(t *testing.T) {
			if _, err := w.cat.Register(ctx, w.caller, "file", "slow-c.yaml", false); host.CodeOf(err) != host.CodeUpstream {
				t.Error(err)
			}
		})
		t.Run("ErrCallerLeft", func(t *testing.T) {
			gone, cancel := context.WithCancel(ctx)
			cancel()
			if _, err := w.cat.RefreshLocation(gone, w.caller, report.Location.ID); err == nil {
				t.Error("it was refreshed")
			}
		})
	})
}

// slowJobs returns the refresh jobs of n locations that do not answer.
func (w *world) slowJobs(n int) []store.Job {
	w.t.Helper()
	ctx := context.Background()
	var targets []catalog.Target
	for i := range n {
		name := fmt.Sprintf("slow-%d.yaml", i)
		w.write(name, group(fmt.Sprintf("g%d", i)))
		targets = append(targets, catalog.Target{Type: "file", Target: name})
	}
	if err := w.cat.Configure(ctx, w.caller, targets); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.cat.Resume(ctx, w.caller.TenantID()); err != nil {
		w.t.Fatal(err)
	}
	jobs := w.relayed()
	if len(jobs) != n {
		w.t.Fatalf("%d jobs", len(jobs))
	}
	return jobs
}

// later is what the queue asks of an error.
type later interface {
	error
	Later() time.Duration
}

// short returns a context for who does not wait.
func short(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestATenantHasAShareOfTheWorkers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		w, r := stalled(t, db, catalog.Settings{Share: 2})
		jobs := w.slowJobs(3)
		var running sync.WaitGroup
		for _, j := range jobs[:2] {
			running.Go(func() {
				if err := w.cat.RunRefresh(ctx, j.Args); err != nil {
					t.Errorf("running: %v", err)
				}
			})
			<-r.begun
		}
		t.Run("JobsBeyondItComeAgain", func(t *testing.T) {
			var l later
			if err := w.cat.RunRefresh(ctx, jobs[2].Args); !errors.As(err, &l) || l.Later() <= 0 || l.Error() == "" {
				t.Errorf("%v", err)
			}
		})
		t.Run("OnlyOneForEachLocation", func(t *testing.T) {
			for _, j := range jobs {
				if err := w.cat.RunRefresh(ctx, j.Args); err != nil {
					t.Errorf("%v", err)
				}
			}
		})
		t.Run("OtherTenantsRun", func(t *testing.T) {
			w.write("a.yaml", group("a"))
			other := *w
			other.caller = host.NewCaller(storetest.Tenant(t, db), w.caller.Principal())
			report := other.register("a.yaml")
			other.clock.add(time.Hour)
			if err := w.cat.RunRefresh(ctx, other.relayed()[0].Args); err != nil {
				t.Error(err)
			}
			if got, err := w.cat.Location(ctx, other.caller, report.Location.ID); err != nil || !got.RefreshedAt.After(report.Location.RefreshedAt) {
				t.Errorf("%+v, %v", got, err)
			}
		})
		t.Run("PeopleHaveTheirOwn", func(t *testing.T) {
			w.register("a.yaml")
			held, leave := context.WithCancel(ctx)
			var asked sync.WaitGroup
			defer asked.Wait()
			defer leave()
			for i := range 2 {
				asked.Go(func() { _, _ = w.cat.Register(held, w.caller, "file", fmt.Sprintf("slow-%d.yaml", i), true) })
				<-r.begun
			}
			if _, err := w.cat.Register(short(t), w.caller, "file", "a.yaml", true); host.CodeOf(err) != host.CodeUnavailable || host.AsError(err).Hint == "" {
				t.Errorf("the third: %v", err)
			}
		})
		t.Run("ErrLocationIsBeingRead", func(t *testing.T) {
			list, err := w.cat.Locations(ctx, w.caller)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range list {
				if !strings.Contains(string(jobs[0].Args), l.ID) {
					continue
				}
				if _, err := w.cat.RefreshLocation(short(t), w.caller, l.ID); host.CodeOf(err) != host.CodeUnavailable {
					t.Errorf("%s: %v", l.Target, err)
				}
			}
		})
		close(r.release)
		running.Wait()
		t.Run("AFreeShareIsUsed", func(t *testing.T) {
			w.clock.add(time.Minute)
			if err := w.cat.RunRefresh(ctx, jobs[2].Args); err != nil {
				t.Error(err)
			}
			w.mustGet("group:g2")
		})
	})
}
