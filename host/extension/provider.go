package extension

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	providerv1 "github.com/callboard-dev/callboard/schemas/capability/provider/v1"
)

// ProviderJobKind is the kind of the queue's jobs that run providers.
const ProviderJobKind = "plugin.provider"

// maxState bounds what a provider's run leaves for the next one, in bytes.
const maxState = 4 << 10

// Provision is what one run of a provider gives.
type Provision struct {
	Plugin, Provider string // the plugin's short name, the provider's id
	Docs             []json.RawMessage
	Delta            bool
	Removed          []string
	State            string
	Kinds            []string // of the grant; empty means all
	Failed           error    // why the run failed, or nil
}

// Entities is what Providers need of the catalog.
type Entities interface {
	// State returns what the provider's last run that was taken left.
	State(ctx context.Context, t host.TenantID, plugin, provider string) (string, error)
	// Provide takes a run over, or notes its failure.
	Provide(ctx context.Context, t host.TenantID, p Provision) error
	// Withdraw removes what providers gave that keep does not know any more.
	Withdraw(ctx context.Context, t host.Tenant, keep func(plugin, provider string) bool) error
}

// Residents lists a tenant's instances, also those that do not answer calls.
type Residents interface {
	List(ctx context.Context, c host.Caller) ([]plugin.Instance, error)
}

// fresh is for how long after a change of an instance its providers' first
// runs are enqueued; the queue remembers longer that it did them.
const fresh = 30 * time.Minute

// Providers asks plugins for entities at the intervals of their manifests
// (provider/v1).
type Providers struct {
	house    House
	all      Residents
	queue    Queue
	tenants  Tenants
	entities Entities
	settings ScheduleSettings
	// cleared is the revision at which each tenant's leftovers were last looked
	// for. Sync alone touches it.
	cleared map[host.TenantID]int64
}

// NewProviders returns Providers and registers their job with the queue.
func NewProviders(house House, all Residents, queue Queue, tenants Tenants, entities Entities, s ScheduleSettings) *Providers {
	if s.Every <= 0 {
		s.Every = 15 * time.Second
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	p := &Providers{house: house, all: all, queue: queue, tenants: tenants, entities: entities, settings: s, cleared: map[host.TenantID]int64{}}
	queue.Register(ProviderJobKind, p.run)
	return p
}

// Run enqueues what becomes due until ctx is done.
func (p *Providers) Run(ctx context.Context) {
	tick := time.NewTicker(p.settings.Every)
	defer tick.Stop()
	for {
		if err := p.Sync(ctx); err != nil && ctx.Err() == nil {
			p.settings.Log.Warn("enqueueing the providers of plugins", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sync enqueues the next run of each provider of each tenant, and a first one
// at once for an instance that is new or was changed. What instances gave that
// are gone, or may not write any more, is withdrawn.
func (p *Providers) Sync(ctx context.Context) error {
	tenants, err := p.tenants.List(ctx)
	if err != nil {
		return fmt.Errorf("listing tenants: %w", err)
	}
	now := p.settings.Now().UTC()
	for _, t := range tenants {
		if err := p.sync(ctx, t, now); err != nil {
			return fmt.Errorf("looking after the providers of %s: %w", t.Slug, err)
		}
	}
	return nil
}

func (p *Providers) sync(ctx context.Context, t host.Tenant, now time.Time) error {
	list, err := p.all.List(ctx, host.System(t, "catalog"))
	if err != nil {
		return err
	}
	here := map[[2]string]bool{}
	for _, in := range list {
		capability := in.Capability(providerv1.Name)
		if _, writes := writable(&in); capability == nil || !writes {
			continue
		}
		for _, pr := range capability.Providers {
			here[[2]string{in.Short, pr.ID}] = true
			every, err := time.ParseDuration(pr.Every)
			if err != nil || every < time.Minute || !in.State.Serves() {
				continue
			}
			j := job{Tenant: t.ID, Instance: in.ID, Short: in.Short, Schedule: pr.ID}
			if now.Sub(in.UpdatedAt) < fresh {
				if err := p.enqueue(ctx, j, fmt.Sprintf("%s/%s/first/%d", in.ID, pr.ID, in.Revision), now); err != nil {
					return err
				}
			}
			due := Due(now, every, in.ID+"/"+pr.ID)
			if err := p.enqueue(ctx, j, fmt.Sprintf("%s/%s/%d", in.ID, pr.ID, due.Unix()), due); err != nil {
				return err
			}
		}
	}
	revision := p.house.Revision(t.ID)
	if last, looked := p.cleared[t.ID]; looked && last == revision {
		return nil
	}
	if err := p.entities.Withdraw(ctx, t, func(plugin, provider string) bool { return here[[2]string{plugin, provider}] }); err != nil {
		return err
	}
	p.cleared[t.ID] = revision
	return nil
}

func (p *Providers) enqueue(ctx context.Context, j job, key string, at time.Time) error {
	j.Due = at
	args, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if err := p.queue.Enqueue(ctx, ProviderJobKind, key, args, at); err != nil {
		return fmt.Errorf("enqueueing the provider %s of %s: %w", j.Schedule, j.Short, err)
	}
	return nil
}

// run is the job: it reads all pages and hands them to the catalog.
func (p *Providers) run(ctx context.Context, args json.RawMessage) error {
	var j job
	if err := json.Unmarshal(args, &j); err != nil {
		return host.Errorf(host.CodeInvalid, "reading the job: %w", err)
	}
	in, kinds := p.offer(j)
	if in == nil {
		return nil // disabled, uninstalled or changed since
	}
	t, err := p.tenants.ByID(ctx, j.Tenant)
	if host.CodeOf(err) == host.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	give := Provision{Plugin: in.Short, Provider: j.Schedule, Kinds: kinds}
	message, failed := p.read(ctx, t, &give)
	if failed != nil {
		if ctx.Err() != nil {
			return failed
		}
		give.Failed = failed
	}
	if in, _ := p.offer(j); in == nil {
		return nil // uninstalled while it answered: nobody would take its entities away
	}
	if err := p.entities.Provide(ctx, j.Tenant, give); err != nil {
		return fmt.Errorf("taking over what the provider %s of %s gave: %w", j.Schedule, in.Short, err)
	}
	if failed != nil {
		if host.Permanent(failed) {
			p.settings.Log.Warn("a plugin's provider failed", "plugin", in.Short, "provider", j.Schedule, "tenant", t.Slug, "error", failed)
			return nil // the next run is planned; the location says what is wrong
		}
		return fmt.Errorf("running the provider %s of %s: %w", j.Schedule, in.Short, failed)
	}
	if message != "" {
		p.settings.Log.Info("a plugin's provider ran", "plugin", in.Short, "provider", j.Schedule, "tenant", t.Slug, "message", clip(message))
	}
	return nil
}

// offer finds the instance, if it is active, has the provider and may write.
func (p *Providers) offer(j job) (*plugin.Instance, []string) {
	for _, in := range p.house.Active(j.Tenant) {
		if in.ID != j.Instance {
			continue
		}
		kinds, writes := writable(&in)
		capability := in.Capability(providerv1.Name)
		if capability == nil || !writes {
			return nil, nil
		}
		for _, pr := range capability.Providers {
			if pr.ID == j.Schedule {
				return &in, kinds
			}
		}
	}
	return nil, nil
}

// read asks for all pages of a run.
func (p *Providers) read(ctx context.Context, t host.Tenant, give *Provision) (message string, err error) {
	state, err := p.entities.State(ctx, t.ID, give.Plugin, give.Provider)
	if err != nil {
		return "", err
	}
	page := ""
	for n := 0; ; n++ {
		if n == providerv1.MaxPages {
			return "", host.Errorf(host.CodePluginOutput, "the provider answers more than %d pages", providerv1.MaxPages).WithHint("put more entities on a page")
		}
		var out providerv1.Response
		req := providerv1.Request{Provider: give.Provider, State: state, Page: page}
		if err := p.house.Call(ctx, host.System(t, "catalog"), give.Plugin, providerv1.Name, providerv1.MethodRead, req, &out); err != nil {
			return "", err
		}
		if n == 0 {
			give.Delta = out.Delta
		}
		if err := give.take(&out); err != nil {
			return "", err
		}
		if out.Next == "" {
			give.State = out.State
			return out.Message, nil
		}
		if out.Next == page {
			return "", host.Errorf(host.CodePluginOutput, "the provider answers the same page again and again")
		}
		page = out.Next
	}
}

// take adds one page, within the limits of a run.
func (g *Provision) take(out *providerv1.Response) error {
	g.Docs = append(g.Docs, out.Entities...)
	g.Removed = append(g.Removed, out.Removed...)
	switch {
	case out.Delta != g.Delta:
		return host.Errorf(host.CodePluginOutput, "some pages of the provider are changes and others are not")
	case !g.Delta && len(g.Removed) > 0:
		return host.Errorf(host.CodePluginOutput, "the provider says what is gone, but its answer is not delta")
	case len(out.Entities) > providerv1.MaxPage || len(g.Docs)+len(g.Removed) > providerv1.MaxTotal:
		return host.Errorf(host.CodePluginOutput, "the provider answers more than %d entities on a page or %d in all", providerv1.MaxPage, providerv1.MaxTotal)
	case len(out.State) > maxState:
		return host.Errorf(host.CodePluginOutput, "the provider's state has %d bytes, at most %d are kept", len(out.State), maxState)
	}
	return nil
}
