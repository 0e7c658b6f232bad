package extension

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/schemas/capability/schedule/v1"
)

// JobKind is the kind of the queue's jobs that run schedules.
const JobKind = "plugin.schedule"

// Queue is what Schedules need of the durable job queue. A job is unique by
// its key while it waits.
type Queue interface {
	Register(kind string, run func(ctx context.Context, args json.RawMessage) error)
	Enqueue(ctx context.Context, kind, key string, args json.RawMessage, at time.Time) error
}

// Tenants names the tenants for which schedules run.
type Tenants interface {
	List(ctx context.Context) ([]host.Tenant, error)
	ByID(ctx context.Context, id host.TenantID) (host.Tenant, error)
}

// ScheduleSettings change how Schedules work; zero values take the defaults.
type ScheduleSettings struct {
	// Every is how often installations are looked at (15 s).
	Every time.Duration
	Log   *slog.Logger
	Now   func() time.Time
}

// Schedules calls plugins at the intervals of their manifests (schedule/v1).
// One job for each instance and schedule waits in the queue; it is named after
// the time at which it is due, so several hosts enqueue it once.
type Schedules struct {
	house    House
	queue    Queue
	tenants  Tenants
	settings ScheduleSettings
}

// NewSchedules returns Schedules and registers their job with the queue.
func NewSchedules(house House, queue Queue, tenants Tenants, s ScheduleSettings) *Schedules {
	if s.Every <= 0 {
		s.Every = 15 * time.Second
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	out := &Schedules{house: house, queue: queue, tenants: tenants, settings: s}
	queue.Register(JobKind, out.run)
	return out
}

// Run enqueues what becomes due until ctx is done.
func (s *Schedules) Run(ctx context.Context) {
	tick := time.NewTicker(s.settings.Every)
	defer tick.Stop()
	for {
		if err := s.Sync(ctx); err != nil && ctx.Err() == nil {
			s.settings.Log.Warn("enqueueing the schedules of plugins", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// job is what a queued run needs to know.
type job struct {
	Tenant   host.TenantID `json:"tenant"`
	Instance string        `json:"instance"`
	Short    string        `json:"short"`
	Schedule string        `json:"schedule"`
	Due      time.Time     `json:"due"`
}

// Sync enqueues the next run of each schedule of each tenant. Enqueueing a run
// twice leaves one.
func (s *Schedules) Sync(ctx context.Context) error {
	tenants, err := s.tenants.List(ctx)
	if err != nil {
		return fmt.Errorf("listing tenants: %w", err)
	}
	now := s.settings.Now().UTC()
	for _, t := range tenants {
		for _, in := range s.house.Active(t.ID) {
			capability := in.Capability(schedule.Name)
			if capability == nil || !in.State.Serves() {
				continue
			}
			for _, sc := range capability.Schedules {
				every, err := time.ParseDuration(sc.Every)
				if err != nil || every < time.Minute {
					continue // refused at install
				}
				j := job{Tenant: t.ID, Instance: in.ID, Short: in.Short, Schedule: sc.ID, Due: Due(now, every, in.ID+"/"+sc.ID)}
				if err := s.enqueue(ctx, j); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *Schedules) enqueue(ctx context.Context, j job) error {
	args, err := json.Marshal(j)
	if err != nil {
		return err
	}
	key := fmt.Sprintf("%s/%s/%d", j.Instance, j.Schedule, j.Due.Unix())
	if err := s.queue.Enqueue(ctx, JobKind, key, args, j.Due); err != nil {
		return fmt.Errorf("enqueueing the schedule %s of %s: %w", j.Schedule, j.Short, err)
	}
	return nil
}

// Due returns the first time after now at which a schedule runs. The times of
// one schedule are every apart; name shifts them, so that the schedules of a
// thousand tenants do not fall on the same second.
func Due(now time.Time, every time.Duration, name string) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash cannot fail
	seconds := int64(every / time.Second)
	offset := int64(h.Sum64() % uint64(seconds))
	n := (now.Unix() - offset) / seconds
	return time.Unix((n+1)*seconds+offset, 0).UTC()
}

// run is the job: it calls the plugin, if the instance is still there.
func (s *Schedules) run(ctx context.Context, args json.RawMessage) error {
	var j job
	if err := json.Unmarshal(args, &j); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	if !s.offers(j) {
		return nil // disabled, uninstalled or changed since
	}
	t, err := s.tenants.ByID(ctx, j.Tenant)
	if err != nil {
		if host.CodeOf(err) == host.CodeNotFound {
			return nil
		}
		return err
	}
	var out schedule.Response
	err = s.house.Call(ctx, host.System(t, "schedule"), j.Short, schedule.Name, schedule.MethodRun, schedule.Request{Schedule: j.Schedule, Due: j.Due}, &out)
	if err != nil {
		return fmt.Errorf("running the schedule %s of %s: %w", j.Schedule, j.Short, err)
	}
	if out.Message != "" {
		s.settings.Log.Info("a plugin's schedule ran", "plugin", j.Short, "schedule", j.Schedule, "tenant", t.Slug, "message", clip(out.Message))
	}
	return nil
}

// offers reports whether the instance is active and still has the schedule.
func (s *Schedules) offers(j job) bool {
	for _, in := range s.house.Active(j.Tenant) {
		if in.ID != j.Instance {
			continue
		}
		if capability := in.Capability(schedule.Name); capability != nil {
			for _, sc := range capability.Schedules {
				if sc.ID == j.Schedule {
					return true
				}
			}
		}
	}
	return false
}
