package catalog

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/store"
)

// batch is how many rows one statement carries.
const batch = 400

// plan is the difference between what a location gave and what is stored.
type plan struct {
	added, changed     []ingest.Item
	unchanged, removed []string // canonical refs
	problems           []ingest.Problem
	// conflict is true where another location holds an entity: its going away
	// must be noticed although no document changes.
	conflict bool
	stored   map[string]entityRow // by ref: id, uid, source, orphan, hash, location_id
}

// diff compares a result with what is stored. loc.ID is empty for a location
// that is not registered.
func diff(ctx context.Context, q store.Querier, loc locationRow, res ingest.Result) (plan, error) {
	p := plan{problems: res.Problems, stored: map[string]entityRow{}}
	refs := make([]string, 0, len(res.Items))
	for _, item := range res.Items {
		refs = append(refs, item.Ref.String())
	}
	own, err := storedRows(ctx, q, func(s *bun.SelectQuery) *bun.SelectQuery { return s.Where("location_id = ?", loc.ID) })
	if err != nil {
		return p, err
	}
	for _, r := range own {
		p.stored[r.Ref] = r
	}
	for chunk := range slices.Chunk(refs, batch) {
		rows, err := storedRows(ctx, q, func(s *bun.SelectQuery) *bun.SelectQuery { return s.Where("ref IN (?)", bun.List(chunk)) })
		if err != nil {
			return p, err
		}
		for _, r := range rows {
			p.stored[r.Ref] = r
		}
	}
	present := make(map[string]bool, len(refs))
	for i, item := range res.Items {
		present[refs[i]] = true
		if err := p.place(ctx, q, loc, item); err != nil {
			return p, err
		}
	}
	for _, prob := range res.Problems {
		present[prob.Ref] = true
	}
	for _, r := range own {
		if !present[r.Ref] && !r.Orphan && (res.Read[r.Source] || !res.Partial) {
			p.removed = append(p.removed, r.Ref)
		}
	}
	slices.Sort(p.unchanged)
	slices.Sort(p.removed)
	return p, nil
}

func storedRows(ctx context.Context, q store.Querier, where func(*bun.SelectQuery) *bun.SelectQuery) ([]entityRow, error) {
	var rows []entityRow
	err := where(q.NewSelect().Model(&rows).Column("id", "ref", "uid", "hash", "location_id", "source", "orphan")).Scan(ctx)
	return rows, err
}

// place puts an item where it belongs in the plan.
func (p *plan) place(ctx context.Context, q store.Querier, loc locationRow, item ingest.Item) error {
	ref := item.Ref.String()
	row, ok := p.stored[ref]
	switch {
	case !ok:
		p.added = append(p.added, item)
	case row.LocationID == loc.ID && row.Hash == item.Hash && !row.Orphan:
		p.unchanged = append(p.unchanged, ref)
	case row.LocationID == loc.ID || row.Orphan:
		p.changed = append(p.changed, item)
	default:
		var holder locationRow
		if err := q.NewSelect().Model(&holder).Where("id = ?", row.LocationID).Scan(ctx); err != nil {
			return err
		}
		p.conflict = true
		p.problems = append(p.problems, ingest.Problem{Ref: ref, Where: item.Where,
			Message: ref + " already comes from " + holder.address().String(),
			Hint:    "rename the entity, or remove it from one of the two locations; the first one registered is shown"})
	}
	return nil
}

func refsOf(items []ingest.Item) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = item.Ref.String()
	}
	slices.Sort(out)
	return out
}

func (p *plan) report(loc locationRow, now time.Time) Report {
	r := Report{Location: loc.location(), Added: refsOf(p.added), Changed: refsOf(p.changed), Unchanged: p.unchanged, Removed: p.removed}
	for _, x := range p.problems {
		r.Problems = append(r.Problems, Problem{LocationID: loc.ID, Ref: x.Ref, Where: x.Where, Message: x.Message, Hint: x.Hint, At: now})
	}
	return r
}

// apply writes the difference into the tenant's catalog and returns what it
// did. It runs in the tenant's write and leaves the row of the location to the
// caller, with its counts and error filled in.
func (k *Catalog) apply(ctx context.Context, q store.Querier, t host.TenantID, loc *locationRow, res ingest.Result) (Report, error) {
	p, err := diff(ctx, q, *loc, res)
	if err != nil {
		return Report{}, err
	}
	now := k.settings.Now().UTC()
	w := &writer{q: q, now: now, stored: p.stored, bases: map[string]ingest.Item{}, affected: map[string]bool{}, location: loc.ID}
	touched, err := w.problems(ctx, p.problems)
	if err != nil {
		return Report{}, err
	}
	// What a plugin does not provide any more nobody else will bring back.
	deleted := k.settings.DeleteOrphans || loc.Type == typePlugin
	if len(p.added)+len(p.changed)+len(p.removed)+len(touched) > 0 {
		if err := w.open(ctx, len(p.removed) > 0 && deleted); err != nil {
			return Report{}, err
		}
		if err := w.write(ctx, p, deleted); err != nil {
			return Report{}, err
		}
		if err := w.touch(ctx, touched); err != nil {
			return Report{}, err
		}
		if err := k.tell(ctx, t, w.changes); err != nil {
			return Report{}, err
		}
	}
	known := res.Known
	if p.conflict {
		known = nil
	}
	if err := loc.saw(known, p.problems, now); err != nil {
		return Report{}, err
	}
	n, err := q.NewSelect().Model((*entityRow)(nil)).Where("location_id = ? AND NOT orphan", loc.ID).Count(ctx)
	loc.Entities = int64(n)
	return p.report(*loc, now), err
}

// tell tells who wants to know what changed, in the transaction that does it.
func (k *Catalog) tell(ctx context.Context, t host.TenantID, changes []Change) error {
	if k.settings.Changed == nil || len(changes) == 0 {
		return nil
	}
	return k.settings.Changed(ctx, t, changes)
}

// saw notes on the location what its documents were and what is wrong.
func (r *locationRow) saw(known map[string]string, problems []ingest.Problem, now time.Time) error {
	sources, err := json.Marshal(known)
	if err != nil {
		return err
	}
	r.Sources, r.Status, r.Error = string(sources), StatusOK, ""
	if len(problems) > 0 {
		p := problems[0]
		raw, err := json.Marshal(Problem{LocationID: r.ID, Ref: p.Ref, Where: p.Where, Message: p.Message, Hint: p.Hint, At: now})
		if err != nil {
			return err
		}
		r.Status, r.Error = StatusError, string(raw)
	}
	return nil
}

// problems replaces what is wrong with the location, if it differs, and
// returns the refs whose problems changed. What stays keeps its time.
func (w *writer) problems(ctx context.Context, problems []ingest.Problem) ([]string, error) {
	var old []errorRow
	if err := w.q.NewSelect().Model(&old).Where("location_id = ?", w.location).Order("id").Scan(ctx); err != nil {
		return nil, err
	}
	before := map[ingest.Problem]time.Time{}
	for _, r := range old {
		before[ingest.Problem{Ref: r.Ref, Where: r.Place, Message: r.Message, Hint: r.Hint}] = r.At
	}
	const most = 1000 // of one location; more tell nobody more
	if len(problems) > most {
		problems = problems[:most]
	}
	touched := map[string]bool{}
	rows := make([]errorRow, 0, len(problems))
	for _, p := range problems {
		p.Message, p.Hint, p.Where = clean(p.Message), clean(p.Hint), clean(p.Where)
		at, was := before[p]
		if !was {
			at = w.now
			touched[p.Ref] = true
		}
		delete(before, p)
		rows = append(rows, errorRow{LocationID: w.location, Ref: p.Ref, Place: p.Where, Message: p.Message, Hint: p.Hint, At: at})
	}
	for p := range before {
		touched[p.Ref] = true
	}
	if len(touched) == 0 {
		return nil, nil
	}
	if _, err := w.q.NewDelete().Model((*errorRow)(nil)).Where("location_id = ?", w.location).Exec(ctx); err != nil {
		return nil, err
	}
	if err := insertAll(ctx, w.q, rows); err != nil {
		return nil, err
	}
	refs := make([]string, 0, len(touched))
	for ref := range touched {
		refs = append(refs, ref)
	}
	return refs, nil
}

// insertAll inserts rows in batches.
func insertAll[T any](ctx context.Context, q store.Querier, rows []T) error {
	for chunk := range slices.Chunk(rows, batch) {
		if _, err := q.NewInsert().Model(&chunk).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
