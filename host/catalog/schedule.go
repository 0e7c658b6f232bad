package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/catalog/source"
	"github.com/callboard-dev/callboard/host/store"
)

// JobRefresh is the kind of the jobs that RunRefresh does. Each refresh
// enqueues the next one of its location, in the same transaction.
const JobRefresh = "catalog.refresh"

// refreshArgs are the arguments of a refresh job.
type refreshArgs struct {
	Tenant   host.TenantID `json:"tenant"`
	Location string        `json:"location"`
}

// early is how much before its time a location may be refreshed; clocks of
// several processes differ.
const early = 5 * time.Second

// RunRefresh does a job of kind JobRefresh. It fails only where trying the job
// again helps; what is wrong with the location is noted on the location.
func (k *Catalog) RunRefresh(ctx context.Context, args json.RawMessage) error {
	var a refreshArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return fmt.Errorf("reading the arguments of a refresh: %w", err)
	}
	c := host.System(host.Tenant{ID: a.Tenant}, "catalog")
	key := string(a.Tenant) + " " + a.Location
	free, _ := k.locks.try(key)
	if free == nil {
		return nil // it is read just now; that enqueues the next refresh
	}
	defer free()
	leave := k.shares.take(closed(), "jobs "+string(a.Tenant), k.settings.Share)
	if leave == nil {
		return k.later.put(key, k.settings.Now())
	}
	defer leave()
	within, cancel := k.within(ctx, k.settings.Deadline)
	defer cancel()
	_, err := k.refresh(ctx, within, c, a.Location, true)
	if host.CodeOf(err) == host.CodeNotFound {
		return nil // the location or its tenant is gone
	}
	return err
}

// closed returns a channel on which nobody waits.
func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// within returns the context for reading a location.
func (k *Catalog) within(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, most, host.Errorf(host.CodeUpstream, "reading the location took longer than %s", most).
		WithHint("register its parts as locations of their own, and see that their servers answer fast"))
}

// attend is what a person's read of a location waits for: its turn among the
// tenant's, and that nobody else reads the location. within bounds waiting and
// reading.
func (k *Catalog) attend(ctx context.Context, tenant host.TenantID, what string) (within context.Context, done func(), err error) {
	within, cancel := k.within(ctx, k.settings.Patience)
	busy := host.Errorf(host.CodeUnavailable, "too many locations are being read already").WithHint("try again in a minute")
	leave := k.shares.take(within.Done(), "people "+string(tenant), k.settings.Share)
	if leave == nil {
		cancel()
		return nil, nil, busy
	}
	free, err := k.locks.lock(within, string(tenant)+" "+what)
	if err != nil {
		leave()
		cancel()
		return nil, nil, busy
	}
	return within, func() { free(); leave(); cancel() }, nil
}

// postponed remembers, by location, until when its job waits for the tenant's
// share, so that a second job of the same location need not wait too.
type postponed struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// put returns the error that has the job come again, or nil where another does.
func (p *postponed) put(key string, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.until[key]) {
		return nil
	}
	if p.until == nil {
		p.until = map[string]time.Time{}
	}
	for k, t := range p.until {
		if now.After(t) {
			delete(p.until, k)
		}
	}
	pause := time.Second + rand.N(10*time.Second)
	p.until[key] = now.Add(pause)
	return postponement(pause)
}

// postponement is the error of a job that did not fail, but could not begin.
type postponement time.Duration

// Error implements error.
func (p postponement) Error() string {
	return fmt.Sprintf("the tenant's share of refreshes is in use; again in %s", time.Duration(p))
}

// Later says to the queue after how long the job is to run again.
func (p postponement) Later() time.Duration { return time.Duration(p) }

// RefreshLocation reads a location again now and writes what changed. A
// location that cannot be read is no error here: the report says it, and the
// last good entities stay.
func (k *Catalog) RefreshLocation(ctx context.Context, c host.Caller, id string) (Report, error) {
	within, done, err := k.attend(ctx, c.TenantID(), id)
	if err != nil {
		return Report{}, err
	}
	defer done()
	return k.refresh(ctx, within, c, id, false)
}

// Refresh reads again, for a person, the location with that id, or the one
// from which the entity with that ref came.
func (k *Catalog) Refresh(ctx context.Context, c host.Caller, refOrID string) (Report, error) {
	id, resource := refOrID, "location:"+refOrID
	if strings.ContainsAny(refOrID, ":/") {
		ref, err := ParseRef(refOrID, Ref{})
		if err != nil {
			return Report{}, err
		}
		resource = "entity:" + ref.String()
		if id, err = k.locationOf(ctx, c, ref); err != nil {
			return Report{}, err
		}
	}
	if err := k.authz.Authorize(ctx, c, host.ActionCatalogRefresh, resource); err != nil {
		return Report{}, err
	}
	report, err := k.RefreshLocation(ctx, c, id)
	if err != nil {
		return report, err
	}
	return report, k.record(ctx, c, host.ActionCatalogRefresh, resource, map[string]string{"location": id})
}

func (k *Catalog) locationOf(ctx context.Context, c host.Caller, ref Ref) (string, error) {
	if _, err := k.Get(ctx, c, ref); err != nil {
		return "", err
	}
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return "", err
	}
	var id string
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model((*entityRow)(nil)).Column("location_id").Where("ref = ?", ref.String()).Scan(ctx, &id)
	})
	return id, err
}

// refresh reads one location, until the context within ends, and applies what
// changed. With onlyDue it does nothing where another process refreshed the
// location meanwhile. The caller holds the lock of the location.
func (k *Catalog) refresh(ctx, within context.Context, c host.Caller, id string, onlyDue bool) (Report, error) {
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return Report{}, err
	}
	var loc locationRow
	if err := db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		loc, err = findLocation(ctx, q, id)
		return err
	}); err != nil {
		return Report{}, err
	}
	if onlyDue && loc.NextAt.After(k.settings.Now().Add(early)) {
		return Report{Location: loc.location()}, nil
	}
	if loc.Type == typePlugin {
		return Report{}, host.Errorf(host.CodeConflict, "the entities of %s come from a plugin", loc.address()).
			WithHint("the plugin gives them at its own times; see its page")
	}
	session := k.reader.Open()
	defer session.Close()
	res := ingest.Collect(within, session, loc.address(), loc.known(), k.ingestSettings(c.TenantID()))
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	var report Report
	err = db.Write(ctx, func(ctx context.Context, q store.Querier) error {
		if loc, err = findLocation(ctx, q, id); err != nil {
			return err
		}
		report, err = k.finish(ctx, q, c, &loc, res)
		return err
	})
	if err != nil {
		return Report{}, err
	}
	if len(report.Added)+len(report.Changed)+len(report.Removed)+len(report.Problems) > 0 || !res.Unchanged {
		k.wrote(ctx, c.TenantID())
	}
	return report, nil
}

// finish applies a result, notes it on the location and enqueues the next
// refresh. An unchanged result touches the row of the location alone.
func (k *Catalog) finish(ctx context.Context, q store.Querier, c host.Caller, loc *locationRow, res ingest.Result) (Report, error) {
	now := k.settings.Now().UTC()
	report := Report{}
	if !res.Unchanged {
		var err error
		if report, err = k.apply(ctx, q, c.TenantID(), loc, res); err != nil {
			return report, err
		}
	} else if err := q.NewSelect().Model((*entityRow)(nil)).Column("ref").Where("location_id = ? AND NOT orphan", loc.ID).
		Order("ref").Scan(ctx, &report.Unchanged); err != nil {
		return report, err
	}
	loc.RefreshedAt = now
	loc.Failures++
	if res.Unchanged || len(res.Known) > 0 {
		loc.Failures = 0
	}
	loc.NextAt = now.Add(k.wait(loc.Failures)).Truncate(time.Microsecond)
	if _, err := q.NewUpdate().Model(loc).WherePK().Exec(ctx); err != nil {
		return report, err
	}
	report.Location = loc.location()
	return report, enqueue(ctx, q, c.TenantID(), *loc)
}

// wait is how long until the next refresh: the interval with jitter, doubled
// for each failure in a row.
func (k *Catalog) wait(failures int64) time.Duration {
	d := k.settings.Interval
	for i := int64(1); i < failures && d < k.settings.MaxBackoff; i++ {
		d *= 2
	}
	if failures > 1 {
		d = min(d, max(k.settings.MaxBackoff, k.settings.Interval))
	}
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
}

func enqueue(ctx context.Context, q store.Querier, tenant host.TenantID, loc locationRow) error {
	args, err := json.Marshal(refreshArgs{Tenant: tenant, Location: loc.ID})
	if err != nil {
		return err
	}
	key := fmt.Sprintf("%s/%s/%d", tenant, loc.ID, loc.NextAt.Unix())
	return store.Enqueue(ctx, q, store.Job{Kind: JobRefresh, Key: key, Args: args, RunAt: loc.NextAt})
}

// Due returns the tenant's locations whose refresh was due before now.
func (k *Catalog) Due(ctx context.Context, tenant host.TenantID, now time.Time) ([]Location, error) {
	return k.locations(ctx, tenant, func(s *bun.SelectQuery) *bun.SelectQuery { return s.Where("next_at <= ?", now.UTC()) })
}

// Resume enqueues a refresh for every location of the tenant that is due, and
// returns how many there are. Call it at start and now and then: it picks up
// locations whose job was lost.
func (k *Catalog) Resume(ctx context.Context, tenant host.TenantID) (int, error) {
	due, err := k.Due(ctx, tenant, k.settings.Now())
	if err != nil || len(due) == 0 {
		return 0, err
	}
	db, err := k.db.Tenant(tenant)
	if err != nil {
		return 0, err
	}
	// Two processes that resume in the same minute make one job.
	minute := k.settings.Now().UTC().Truncate(time.Minute)
	err = db.Write(ctx, func(ctx context.Context, q store.Querier) error {
		for _, l := range due {
			if err := enqueue(ctx, q, tenant, locationRow{ID: l.ID, NextAt: minute}); err != nil {
				return err
			}
		}
		return nil
	})
	return len(due), err
}

// Target is one location of the configuration file.
type Target struct {
	Type, Target string
	// Rules allow kinds from this location alone, beside the general ones.
	Rules []ingest.Rule
}

// Configure makes the tenant's managed locations those of the configuration
// file: new ones are registered, and due at once, without being read; those
// that are gone are unregistered with their entities. A person's registration
// of the same target becomes managed.
func (k *Catalog) Configure(ctx context.Context, c host.Caller, targets []Target) error {
	session := k.reader.Open()
	defer session.Close()
	wanted := map[source.Address]bool{}
	rules := slices.Clone(k.settings.Rules)
	for _, t := range targets {
		at, err := k.address(session, t.Type, t.Target)
		if err != nil {
			return fmt.Errorf("reading catalog.locations: %w", err)
		}
		wanted[at] = true
		for _, r := range t.Rules {
			rules = append(rules, ingest.Rule{Allow: r.Allow, Locations: []ingest.Matcher{{Type: at.Type, Exact: at.Target}}})
		}
	}
	k.rules.Store(&rules)
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return err
	}
	var gone []string
	err = db.Write(ctx, func(ctx context.Context, q store.Querier) error {
		gone, err = k.claim(ctx, q, wanted)
		return err
	})
	for _, id := range gone {
		if err == nil {
			err = k.unregister(ctx, c, id, true)
		}
	}
	return err
}

// claim registers what is wanted and returns the managed locations that are
// not.
func (k *Catalog) claim(ctx context.Context, q store.Querier, wanted map[source.Address]bool) ([]string, error) {
	var rows []locationRow
	if err := q.NewSelect().Model(&rows).ExcludeColumn("sources").Scan(ctx); err != nil {
		return nil, err
	}
	missing := make(map[source.Address]bool, len(wanted))
	for at := range wanted {
		missing[at] = true
	}
	var gone []string
	for _, r := range rows {
		switch at := r.address(); {
		case wanted[at]:
			delete(missing, at)
			if !r.Managed {
				if _, err := q.NewUpdate().Model((*locationRow)(nil)).Set("managed = ?", true).Where("id = ?", r.ID).Exec(ctx); err != nil {
					return nil, err
				}
			}
		case r.Managed:
			gone = append(gone, r.ID)
		}
	}
	for at := range missing {
		if _, err := k.insert(ctx, q, at, true); err != nil {
			return nil, err
		}
	}
	return gone, nil
}
