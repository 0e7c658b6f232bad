package catalog

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/catalog/source"
	"github.com/callboard-dev/callboard/host/store"
)

// typePlugin is the type of locations whose entities a plugin provides. Their
// target is "plugin/provider"; nobody can register one.
const typePlugin = "plugin"

// stateKey is the key of a provider's state among a location's sources.
const stateKey = "#state"

// Provision is what a provider gives.
type Provision struct {
	Plugin, Provider string
	// Docs are entities in Backstage's JSON. Without Delta they are all that
	// the provider has; with it they are changes, and Removed is what is gone.
	Docs    [][]byte
	Delta   bool
	Removed []string
	// State is given to the provider's next run.
	State string
	// Kinds are those that may be provided; none means all.
	Kinds []string
	// Failed is why the run failed; what was provided before stays, and the
	// location says so.
	Failed error
}

func (p *Provision) address() source.Address {
	return source.Address{Type: typePlugin, Target: p.Plugin + "/" + p.Provider}
}

// ProviderState returns what the provider's last run that was taken left, or "".
func (k *Catalog) ProviderState(ctx context.Context, t host.TenantID, plugin, provider string) (string, error) {
	db, err := k.db.Tenant(t)
	if err != nil {
		return "", err
	}
	var row locationRow
	at := (&Provision{Plugin: plugin, Provider: provider}).address()
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		row, err = findAt(ctx, q, at)
		return err
	})
	if host.CodeOf(err) == host.CodeNotFound {
		return "", nil
	}
	return row.known()[stateKey], err
}

// Provide makes the entities of a provider what it gives. Entities that are
// wrong are problems of the report and of the provider's location, and their
// last good versions stay.
func (k *Catalog) Provide(ctx context.Context, t host.TenantID, p Provision) (Report, error) {
	db, err := k.db.Tenant(t)
	if err != nil {
		return Report{}, err
	}
	at := p.address()
	free, err := k.locks.lock(ctx, string(t)+" "+at.String())
	if err != nil {
		return Report{}, err
	}
	defer free()
	set := k.ingestSettings(t)
	set.Rules = ingest.AllKinds()
	if len(p.Kinds) > 0 {
		set.Rules = []ingest.Rule{{Allow: p.Kinds}}
	}
	res := ingest.Result{Partial: true}
	if p.Failed == nil {
		res = ingest.Take(ctx, at, p.Docs, set)
	}
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	var report Report
	err = db.Write(ctx, func(ctx context.Context, q store.Querier) error {
		loc, err := findAt(ctx, q, at)
		if host.CodeOf(err) == host.CodeNotFound {
			loc, err = k.insert(ctx, q, at, false)
		}
		if err != nil {
			return err
		}
		if p.Failed != nil {
			return k.providerFailed(ctx, q, &loc, p.Failed)
		}
		report, err = k.provide(ctx, q, t, &loc, p, res)
		return err
	})
	if err != nil {
		return Report{}, err
	}
	k.wrote(ctx, t)
	return report, nil
}

// provide applies what a provider gave.
func (k *Catalog) provide(ctx context.Context, q store.Querier, t host.TenantID, loc *locationRow, p Provision, res ingest.Result) (Report, error) {
	res.Known = map[string]string{stateKey: p.State}
	if p.Delta {
		res.Partial, res.Read = true, nil // what is not named stays
	}
	report, err := k.apply(ctx, q, t, loc, res)
	if err != nil {
		return report, err
	}
	if loc.Sources == "null" {
		if err := loc.remember(res.Known); err != nil { // a conflict forgets documents, but not the state
			return report, err
		}
	}
	if p.Delta {
		if report.Removed, err = k.removeProvided(ctx, q, t, loc, p.Removed); err != nil {
			return report, err
		}
	}
	loc.RefreshedAt, loc.Failures = k.settings.Now().UTC(), 0
	if err := k.settleProvider(ctx, q, loc); err != nil {
		return report, err
	}
	report.Location = loc.location()
	return report, nil
}

func (r *locationRow) remember(known map[string]string) error {
	raw, err := json.Marshal(known)
	r.Sources = string(raw)
	return err
}

// removeProvided removes entities of the location that are said to be gone.
func (k *Catalog) removeProvided(ctx context.Context, q store.Querier, t host.TenantID, loc *locationRow, refs []string) ([]string, error) {
	var keys []string
	for _, ref := range refs {
		r, err := ParseRef(ref, Ref{Namespace: "default"})
		if err != nil {
			return nil, err
		}
		keys = append(keys, r.String())
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	var gone []string
	for chunk := range slices.Chunk(keys, batch) {
		where := func(s *bun.SelectQuery) *bun.SelectQuery {
			return s.Where("location_id = ?", loc.ID).Where("ref IN (?)", bun.List(chunk))
		}
		rows, err := storedRows(ctx, q, where)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			continue
		}
		if err := k.removeEntities(ctx, q, t, loc.ID, where); err != nil {
			return nil, err
		}
		for _, r := range rows {
			gone = append(gone, r.Ref)
		}
	}
	return gone, nil
}

// providerFailed notes on the location why its provider failed.
func (k *Catalog) providerFailed(ctx context.Context, q store.Querier, loc *locationRow, failed error) error {
	he := host.AsError(failed)
	known := loc.known()
	problem := ingest.Problem{Where: loc.Target, Message: "the provider failed: " + he.Message, Hint: he.Hint}
	if err := loc.saw(known, []ingest.Problem{problem}, k.settings.Now().UTC()); err != nil {
		return err
	}
	loc.Failures++
	return k.settleProvider(ctx, q, loc)
}

// settleProvider writes the location. It is never due: its plugin has its own
// times.
func (k *Catalog) settleProvider(ctx context.Context, q store.Querier, loc *locationRow) error {
	n, err := q.NewSelect().Model((*entityRow)(nil)).Where("location_id = ? AND NOT orphan", loc.ID).Count(ctx)
	if err != nil {
		return err
	}
	loc.Entities = n
	loc.NextAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = q.NewUpdate().Model(loc).WherePK().Exec(ctx)
	return err
}

// Withdraw removes what providers gave that are no more: keep says of each,
// by its plugin and id, whether it is still there.
func (k *Catalog) Withdraw(ctx context.Context, c host.Caller, keep func(plugin, provider string) bool) error {
	list, err := k.locations(ctx, c.TenantID(), func(s *bun.SelectQuery) *bun.SelectQuery { return s.Where("type = ?", typePlugin) })
	if err != nil {
		return err
	}
	for _, l := range list {
		plugin, provider, _ := strings.Cut(l.Target, "/")
		if keep(plugin, provider) {
			continue
		}
		if err := k.unregister(ctx, c, l.ID, true); err != nil && host.CodeOf(err) != host.CodeNotFound {
			return err
		}
	}
	return nil
}
