// Package queue runs durable jobs: each is a row in the control database, runs
// at its time on one of the hosts, is tried again with growing pauses when it
// fails, and becomes a dead letter that an operator can see and retry when it
// keeps failing. It is a thin layer over River and knows no tenant; work that is
// decided in a tenant's transaction comes here through the outbox of package
// store.
//
// # What holds
//
//   - A key is unique within its kind: of jobs with the same key only the first
//     runs, for as long as its row is kept (an hour after it is done).
//   - Args are kept as a JSON value: spaces and, on PostgreSQL, the order of
//     keys are lost.
//   - A job runs at least once. It may run again after a crash, so what it does
//     must bear repeating.
//   - Start and Stop may be called once each. Stop lets running jobs finish
//     until its context ends, and cancels them then.
package queue

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// Func does a job. An error has it tried again; a context that ends must end
// it. An error that wraps a *host.Error of CodeInvalid makes it a dead letter
// at once, for trying again cannot help. One that wraps an error with the method
// Later() time.Duration is none: the job runs again after that time, as if it
// had not been tried.
type Func func(ctx context.Context, args json.RawMessage) error

// Options say how jobs of a kind run. Zero fields mean their defaults.
type Options struct {
	MaxAttempts int           // 10
	Timeout     time.Duration // 5 min
}

// Settings change how a Queue works. The zero value is right for production.
type Settings struct {
	// Workers is how many jobs run at a time in this process, 8.
	Workers int
	// Poll is how often the queue looks for due jobs, 500 ms.
	Poll time.Duration
	// RetryBase is the pause after the first failure, 5 s; it doubles with each
	// further one, up to an hour.
	RetryBase time.Duration
	// Now is the clock of Every; nil means time.Now.
	Now func() time.Time
	// Log gets what goes wrong inside the queue, and at DEBUG what River tells of
	// itself; nil means slog.Default().
	Log *slog.Logger
}

func (s Settings) filled() Settings {
	if s.Workers <= 0 {
		s.Workers = 8
	}
	if s.Poll <= 0 {
		s.Poll = 500 * time.Millisecond
	}
	if s.RetryBase <= 0 {
		s.RetryBase = 5 * time.Second
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	return s
}

// Queue is an open queue. It may be used by any number of goroutines.
type Queue struct {
	settings Settings
	driver   riverdriver.Driver[*sql.Tx]
	// insert is a River client that only inserts and lists.
	insert *river.Client[*sql.Tx]

	mu        sync.Mutex
	handlers  map[string]handler
	schedules map[string]schedule
	running   *river.Client[*sql.Tx]
	started   bool
}

type handler struct {
	run  Func
	opts Options
}

// Open brings the queue's tables in db up to date and returns the queue. db is
// the control database's pool.
func Open(ctx context.Context, db *sql.DB, dialect store.Dialect, s Settings) (*Queue, error) {
	var driver riverdriver.Driver[*sql.Tx]
	switch dialect {
	case store.SQLite:
		driver = riversqlite.New(db)
	case store.Postgres:
		driver = riverdatabasesql.New(db)
	default:
		return nil, host.Errorf(host.CodeInternal, "the job queue does not know the dialect %q", dialect).WithHint("use sqlite or postgres")
	}
	q := &Queue{settings: s.filled(), driver: driver, handlers: map[string]handler{}, schedules: map[string]schedule{}}
	if err := q.migrate(ctx); err != nil {
		return nil, fmt.Errorf("migrating the job queue: %w", err)
	}
	var err error
	q.insert, err = river.NewClient(driver, &river.Config{Logger: quieter(q.settings.Log), SkipUnknownJobCheck: true})
	if err != nil {
		return nil, fmt.Errorf("opening the job queue: %w", err)
	}
	return q, nil
}

// migrate applies what is missing. Two processes that start at once may both
// try; the one that loses finds the work done.
func (q *Queue) migrate(ctx context.Context) error {
	m, err := rivermigrate.New(q.driver, &rivermigrate.Config{Logger: quieter(q.settings.Log)})
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		have, err := m.ExistingVersions(ctx)
		if err == nil && len(have) == len(m.AllVersions()) {
			return nil
		}
		if _, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil); err == nil {
			return nil
		}
		if try == 20 {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(time.Duration(20+rand.IntN(80)) * time.Millisecond):
		}
	}
}

// Register says what does the jobs of a kind. Call it before Start; a kind has
// one function.
func (q *Queue) Register(kind string, run Func, opts Options) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.started {
		return host.Errorf(host.CodeInternal, "jobs of kind %q were registered after the queue was started", kind).WithHint("register all kinds before Start")
	}
	if _, dup := q.handlers[kind]; dup || kind == "" || run == nil {
		return host.Errorf(host.CodeInternal, "jobs of kind %q cannot be registered", kind).WithHint("give each kind one name and one function")
	}
	if opts.MaxAttempts <= 0 {
		opts.MaxAttempts = 10
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Minute
	}
	q.handlers[kind] = handler{run: run, opts: opts}
	return nil
}

// payload is a job as River keeps it.
type payload struct {
	kind string
	Key  string          `json:"key" river:"unique"`
	Args json.RawMessage `json:"args,omitempty"`
}

// Kind implements river.JobArgs.
func (p payload) Kind() string { return p.kind }

// Enqueue keeps a job of a registered kind until at (the zero time means now).
// Where the kind already has a job with the key, nothing happens. An empty key
// never equals another.
func (q *Queue) Enqueue(ctx context.Context, kind, key string, args json.RawMessage, at time.Time) error {
	if key == "" {
		key = host.NewID("k")
	}
	opts := &river.InsertOpts{ScheduledAt: at, UniqueOpts: river.UniqueOpts{ByArgs: true}}
	q.mu.Lock()
	if h, ok := q.handlers[kind]; ok {
		opts.MaxAttempts = h.opts.MaxAttempts
	}
	q.mu.Unlock()
	if _, err := q.insert.Insert(ctx, payload{kind: kind, Key: key, Args: args}, opts); err != nil {
		return fmt.Errorf("enqueueing a job of kind %q: %w", kind, err)
	}
	return nil
}

// Start runs jobs until Stop. Canceling ctx later does not stop the queue.
func (q *Queue) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.started {
		return host.Errorf(host.CodeInternal, "the job queue was started twice").WithHint("start it once")
	}
	workers := river.NewWorkers()
	for _, kind := range slices.Sorted(maps.Keys(q.handlers)) {
		river.AddWorkerArgs[payload](workers, payload{kind: kind}, &worker{queue: q, handler: q.handlers[kind]})
	}
	client, err := river.NewClient(q.driver, &river.Config{
		Logger: quieter(q.settings.Log), Workers: workers, PollOnly: true,
		FetchPollInterval: q.settings.Poll, FetchCooldown: min(q.settings.Poll, 100*time.Millisecond),
		Queues:      map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: q.settings.Workers}},
		RetryPolicy: backoff{base: q.settings.RetryBase}, JobTimeout: -1,
		RescueStuckJobsAfter: time.Hour, CompletedJobRetentionPeriod: time.Hour,
	})
	if err != nil {
		return fmt.Errorf("preparing the job queue: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting the job queue: %w", err)
	}
	q.started, q.running = true, client
	return nil
}

// Stop takes no more jobs, waits for the running ones until ctx ends, and
// cancels those that still run then. Their rows stay: they run again later.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	client := q.running
	q.running = nil
	q.mu.Unlock()
	if client == nil {
		return nil
	}
	if err := client.Stop(ctx); err == nil || ctx.Err() == nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := client.StopAndCancel(last); err != nil {
		return fmt.Errorf("stopping the job queue: %w", err)
	}
	return nil
}

// worker does the jobs of one kind.
type worker struct {
	river.WorkerDefaults[payload]
	queue   *Queue
	handler handler
}

// Timeout implements river.Worker.
func (w *worker) Timeout(*river.Job[payload]) time.Duration { return w.handler.opts.Timeout }

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, job *river.Job[payload]) error {
	wanted, err := w.queue.next(ctx, job.JobRow, job.Args)
	if err != nil || !wanted {
		return err
	}
	err = w.handler.run(ctx, compact(job.Args.Args))
	var postponed interface {
		error
		Later() time.Duration
	}
	if errors.As(err, &postponed) {
		return river.JobSnooze(max(0, postponed.Later()))
	}
	if host.CodeOf(err) == host.CodeInvalid {
		return river.JobCancel(err)
	}
	return err
}

// compact undoes the spaces that a database puts into JSON.
func compact(args json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, args) != nil {
		return args
	}
	return b.Bytes()
}

// backoff doubles the pause with each failure, with a fifth of jitter.
type backoff struct{ base time.Duration }

// NextRetry implements river.ClientRetryPolicy.
func (b backoff) NextRetry(job *rivertype.JobRow) time.Time {
	pause := b.base
	for range min(len(job.Errors), 20) {
		pause = min(pause*2, time.Hour)
	}
	return time.Now().Add(time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64())))
}
