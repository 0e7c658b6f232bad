package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/config"
	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/mail"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/service"
	"github.com/callboard-dev/callboard/host/work"
	eventv1 "github.com/callboard-dev/callboard/schemas/capability/event/v1"
	processorv1 "github.com/callboard-dev/callboard/schemas/capability/processor/v1"
)

// flow is what plugins do behind the scenes: jobs, events, processors,
// providers and webhooks. The catalog and the host services are opened before
// the house of plugins and reach it through here; nothing runs before all are.
type flow struct {
	work       *work.Store
	seen       *kv.Store
	mail       service.Mailer
	events     *extension.Events
	processors *extension.Processors
	webhooks   *extension.Webhooks
	providers  *extension.Providers
}

// openFlow opens what needs no plugin yet.
func (p *portal) openFlow() error {
	p.flow = &flow{work: work.New(p.db, work.Settings{}), seen: kv.New(p.db, kv.Settings{})}
	sender, err := mailSender(p.config)
	if sender != nil {
		p.flow.mail = sender
	}
	return err
}

// mailSender returns the operator's mail server, or nil where there is none.
func mailSender(c config.Config) (*mail.Sender, error) {
	if c.MailHost == "" {
		return nil, nil
	}
	return mail.New(mail.Settings{Server: c.MailHost, From: c.MailFrom, Username: c.MailUsername, Password: c.MailPassword.Reveal(), TLS: c.MailTLS})
}

// joinFlow adds what calls plugins, and registers its jobs.
func (p *portal) joinFlow(jobs *pluginJobs) {
	f, log := p.flow, p.telemetry.Logger()
	f.events = extension.NewEvents(p.house, p.tenants, f.work, log)
	f.processors = extension.NewProcessors(p.house, p.tenants)
	f.webhooks = extension.NewWebhooks(p.house, p.house, f.seen, log)
	f.providers = extension.NewProviders(p.house, p.house, jobs, p.tenants, providedEntities{p.catalog}, extension.ScheduleSettings{Log: log})
	lanes := map[string]work.Do{extension.LaneJob: extension.NewJobs(p.house, p.tenants).Do, extension.LaneEvent: f.events.Do}
	work.NewRunner(f.work, jobs, lanes, work.RunnerSettings{Log: log})
}

// run looks after what is due, and what a host that died left behind.
func (f *flow) run(ctx context.Context, p *portal) {
	go f.providers.Run(ctx)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := f.recover(ctx, p); err != nil && ctx.Err() == nil {
			p.telemetry.Logger().WarnContext(ctx, "the work of plugins could not be looked through; trying again later", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (f *flow) recover(ctx context.Context, p *portal) error {
	tenants, err := p.tenants.List(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, t := range tenants {
		if err := f.work.Recover(ctx, t.ID); err != nil {
			failed = append(failed, fmt.Errorf("tenant %s: %w", t.Slug, err))
		}
	}
	return errors.Join(failed...)
}

// stores are where this part of the house keeps data of instances.
func (f *flow) stores() []plugin.Dropper {
	return []plugin.Dropper{f.work, extension.Seen{Store: f.seen}}
}

// Publish brings the events of a plugin to their subscribers.
func (f *flow) Publish(ctx context.Context, t host.TenantID, events []service.Event) ([]string, error) {
	list := make([]extension.Event, len(events))
	for i, e := range events {
		list[i] = extension.Event(e)
	}
	return f.events.Publish(ctx, t, list)
}

// changed tells subscribers what changed in the catalog.
func (f *flow) changed(ctx context.Context, t host.TenantID, changes []catalog.Change) error {
	if f.events == nil {
		return nil
	}
	wanted := map[string]bool{}
	for _, topic := range []string{eventv1.TopicEntityChanged, eventv1.TopicEntityDeleted} {
		wanted[topic] = f.events.Wanted(t, topic)
	}
	var list []extension.Event
	for _, c := range changes {
		topic := eventv1.TopicEntityChanged
		if c.Deleted {
			topic = eventv1.TopicEntityDeleted
		}
		if !wanted[topic] {
			continue
		}
		payload, err := json.Marshal(eventv1.Entity{Ref: c.Ref, ETag: c.ETag})
		if err != nil {
			return err
		}
		list = append(list, extension.Event{Topic: topic, Key: c.Ref, Payload: payload})
	}
	if len(list) == 0 {
		return nil
	}
	_, err := f.events.Publish(ctx, t, list)
	return err
}

// For returns what sees a tenant's entities while they are read.
func (f *flow) For(t host.TenantID) ingest.Processor {
	if f.processors == nil {
		return nil
	}
	r := f.processors.Reading(t)
	if r == nil {
		return nil
	}
	return processing{r}
}

// processing is the processors of plugins as the catalog calls them.
type processing struct{ *extension.Reading }

// Process runs the processors on one entity.
func (r processing) Process(ctx context.Context, e ingest.Subject) ingest.Processed {
	got := r.Reading.Process(ctx, e.Phase, e.Location, e.Doc)
	out := ingest.Processed{Doc: got.Doc, Refuse: got.Refuse, Failed: got.Failed}
	for _, raw := range got.Emit {
		out.Emit = append(out.Emit, raw)
	}
	for _, p := range got.Problems {
		out.Problems = append(out.Problems, ingest.Problem{Message: p.Message, Hint: p.Hint})
	}
	for _, rel := range got.Relations {
		target, err := catalog.ParseRef(rel.Target, catalog.Ref{Namespace: e.Ref.Namespace})
		if err != nil {
			he := host.AsError(err)
			out.Problems = append(out.Problems, ingest.Problem{Message: "a processor adds a relation that cannot be used: " + he.Message, Hint: he.Hint})
			continue
		}
		out.Relations = append(out.Relations, ingest.Relation{Type: rel.Type, Inverse: rel.Inverse, Target: target})
	}
	return out
}

// The phases are one word in both rooms.
var (
	_ = [1]struct{}{}[len(ingest.PhasePre)-len(processorv1.PhasePre)]
	_ = [1]struct{}{}[len(ingest.PhasePost)-len(processorv1.PhasePost)]
)

// providedEntities is the catalog as the providers of plugins need it.
type providedEntities struct{ catalog *catalog.Catalog }

// State returns what a provider's last run left.
func (e providedEntities) State(ctx context.Context, t host.TenantID, plugin, provider string) (string, error) {
	return e.catalog.ProviderState(ctx, t, plugin, provider)
}

// Provide takes a run over.
func (e providedEntities) Provide(ctx context.Context, t host.TenantID, p extension.Provision) error {
	docs := make([][]byte, len(p.Docs))
	for i, d := range p.Docs {
		docs[i] = d
	}
	_, err := e.catalog.Provide(ctx, t, catalog.Provision{
		Plugin: p.Plugin, Provider: p.Provider, Docs: docs, Delta: p.Delta, Removed: p.Removed, State: p.State, Kinds: p.Kinds, Failed: p.Failed,
	})
	return err
}

// Withdraw removes what providers gave that are no more.
func (e providedEntities) Withdraw(ctx context.Context, t host.Tenant, keep func(plugin, provider string) bool) error {
	return e.catalog.Withdraw(ctx, host.System(t, "catalog"), keep)
}

// announcer records what happens to plugins, and tells subscribers.
type announcer struct {
	host.Auditor
	flow *flow
}

// pluginTopics are the topics of changes by their word in the audit record.
var pluginTopics = map[string]string{
	"install": eventv1.TopicPluginInstalled, "enable": eventv1.TopicPluginEnabled, "disable": eventv1.TopicPluginDisabled,
	"upgrade": eventv1.TopicPluginUpgraded, "rollback": eventv1.TopicPluginUpgraded, "configure": eventv1.TopicPluginConfigured,
	"uninstall": eventv1.TopicPluginUninstalled,
}

// Record writes the entry, and publishes the change it stands for.
func (a announcer) Record(ctx context.Context, c host.Caller, e host.AuditEntry) error {
	if err := a.Auditor.Record(ctx, c, e); err != nil {
		return err
	}
	topic := pluginTopics[e.Detail["change"]]
	if e.Action != host.ActionPluginManage || topic == "" || a.flow.events == nil || !a.flow.events.Wanted(c.TenantID(), topic) {
		return nil
	}
	payload, err := json.Marshal(eventv1.Plugin{Name: e.Detail["plugin"], Version: e.Detail["version"]})
	if err != nil {
		return err
	}
	_, err = a.flow.events.Publish(ctx, c.TenantID(), []extension.Event{{Topic: topic, Key: e.Detail["plugin"], Payload: payload}})
	return err
}
