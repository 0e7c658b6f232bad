package catalog

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host/catalog/descriptor"
	"github.com/callboard-dev/callboard/host/catalog/descriptor/yamltree"
	"github.com/callboard-dev/callboard/host/catalog/filter"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/store"
)

// writer changes entities in one transaction: relations first, then every
// entity whose document or relations changed is put together again.
type writer struct {
	q        store.Querier
	now      time.Time
	location string
	revision int64
	stored   map[string]entityRow
	bases    map[string]ingest.Item // by ref, of documents that changed
	orphans  map[string]bool
	affected map[string]bool // refs to put together again
	changes  []Change        // what readers will see
}

// clean makes text fit for every database.
func clean(s string) string { return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "�") }

// open raises the revision. rebuilt is true where entities go away.
func (w *writer) open(ctx context.Context, rebuilt bool) error {
	var state stateRow
	if err := w.q.NewSelect().Model(&state).Where("id = 1").Scan(ctx); err != nil {
		return err
	}
	state.Revision++
	w.revision = state.Revision
	if rebuilt {
		state.Rebuilt = state.Revision
	}
	_, err := w.q.NewUpdate().Model(&state).WherePK().Exec(ctx)
	return err
}

// touch lets other processes drop entities whose problems changed.
func (w *writer) touch(ctx context.Context, refs []string) error {
	for chunk := range slices.Chunk(refs, batch) {
		_, err := w.q.NewUpdate().Model((*entityRow)(nil)).Set("revision = ?", w.revision).Where("ref IN (?)", bun.List(chunk)).Exec(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) write(ctx context.Context, p plan, deleteOrphans bool) error {
	w.orphans = map[string]bool{}
	origins := slices.Clone(p.removed)
	var edges []relationRow
	for _, item := range slices.Concat(p.added, p.changed) {
		ref := item.Ref.String()
		w.bases[ref], w.affected[ref] = item, true
		origins = append(origins, ref)
		edges = append(edges, rowsOf(ref, item.Edges)...)
	}
	if err := w.relate(ctx, origins, edges, p.removed, deleteOrphans); err != nil {
		return err
	}
	if deleteOrphans {
		if err := w.remove(ctx, p.removed); err != nil {
			return err
		}
	} else {
		for _, ref := range p.removed {
			w.orphans[ref], w.affected[ref] = true, true
		}
	}
	return w.stitch(ctx)
}

func rowsOf(origin string, edges []descriptor.Edge) []relationRow {
	seen := map[relationRow]bool{}
	var out []relationRow
	for _, e := range edges {
		r := relationRow{Origin: origin, Source: e.Source.String(), Type: e.Type, Target: e.Target.String()}
		if !seen[r] {
			seen[r] = true
			out = append(out, r)
		}
	}
	return out
}

// relate replaces the edges of the origins. An orphan keeps its edges, unless
// it is deleted. Entities at the other ends become affected.
func (w *writer) relate(ctx context.Context, origins []string, edges []relationRow, removed []string, deleted bool) error {
	if !deleted {
		origins = slices.DeleteFunc(origins, func(ref string) bool { return slices.Contains(removed, ref) })
	}
	old := map[relationRow]bool{}
	for chunk := range slices.Chunk(origins, batch) {
		var rows []relationRow
		if err := w.q.NewSelect().Model(&rows).Where("origin IN (?)", bun.List(chunk)).Scan(ctx); err != nil {
			return err
		}
		for _, r := range rows {
			old[r] = true
		}
	}
	var fresh []relationRow
	for _, r := range edges {
		if !old[r] {
			fresh = append(fresh, r)
			w.affected[r.Source] = true
		}
		delete(old, r)
	}
	for r := range old {
		w.affected[r.Source] = true
		_, err := w.q.NewDelete().Model((*relationRow)(nil)).
			Where("origin = ? AND source = ? AND type = ? AND target = ?", r.Origin, r.Source, r.Type, r.Target).Exec(ctx)
		if err != nil {
			return err
		}
	}
	return insertAll(ctx, w.q, fresh)
}

// remove deletes entities and everything that belongs to them.
func (w *writer) remove(ctx context.Context, refs []string) error {
	for chunk := range slices.Chunk(refs, batch) {
		var ids []int64
		if err := w.q.NewSelect().Model((*entityRow)(nil)).Column("id").Where("ref IN (?)", bun.List(chunk)).Scan(ctx, &ids); err != nil {
			return err
		}
		if err := w.unindex(ctx, ids); err != nil {
			return err
		}
		if _, err := w.q.NewDelete().Model((*entityRow)(nil)).Where("ref IN (?)", bun.List(chunk)).Exec(ctx); err != nil {
			return err
		}
	}
	for _, ref := range refs {
		delete(w.affected, ref)
		w.changes = append(w.changes, Change{Ref: ref, Deleted: true})
	}
	return nil
}

func (w *writer) unindex(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := w.q.NewDelete().Model((*facetRow)(nil)).Where("entity_id IN (?)", bun.List(ids)).Exec(ctx); err != nil {
		return err
	}
	if w.q.Dialect() != store.SQLite {
		return nil
	}
	_, err := w.q.NewDelete().Model((*ftsRow)(nil)).Where("rowid IN (?)", bun.List(ids)).Exec(ctx)
	return err
}

// stitch puts every affected entity together and writes those that changed.
func (w *writer) stitch(ctx context.Context) error {
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(w.affected)), batch) {
		relations, err := w.relations(ctx, chunk)
		if err != nil {
			return err
		}
		var current []entityRow
		if err := w.q.NewSelect().Model(&current).Where("ref IN (?)", bun.List(chunk)).Scan(ctx); err != nil {
			return err
		}
		have := make(map[string]entityRow, len(current))
		for _, r := range current {
			have[r.Ref] = r
		}
		var rows []entityRow
		for _, ref := range chunk {
			row, ok := have[ref]
			item, fresh := w.bases[ref]
			if !ok && !fresh {
				continue // an edge to an entity that nobody described
			}
			changed, err := w.compose(&row, ref, item, fresh, relations[ref])
			if err != nil {
				return err
			}
			if changed {
				rows = append(rows, row)
			}
		}
		if err := w.save(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) relations(ctx context.Context, refs []string) (map[string][]wireRelation, error) {
	var rows []relationRow
	if err := w.q.NewSelect().Model(&rows).Where("source IN (?)", bun.List(refs)).Scan(ctx); err != nil {
		return nil, err
	}
	out := map[string][]wireRelation{}
	for _, r := range rows {
		out[r.Source] = append(out[r.Source], wireRelation{Type: r.Type, TargetRef: r.Target})
	}
	for ref, list := range out {
		slices.SortFunc(list, func(a, b wireRelation) int {
			return strings.Compare(a.Type+"\x00"+a.TargetRef, b.Type+"\x00"+b.TargetRef)
		})
		out[ref] = slices.Compact(list)
	}
	return out, nil
}

// compose fills the row of an entity and reports whether readers would see a
// difference.
func (w *writer) compose(row *entityRow, ref string, item ingest.Item, fresh bool, relations []wireRelation) (bool, error) {
	before := *row
	base := []byte(row.Doc)
	if fresh {
		base = item.Base
		row.Ref, row.Hash, row.Source, row.LocationID, row.Orphan = ref, item.Hash, item.Source, w.location, false
		if row.UID == "" {
			row.UID = newUID()
		}
	}
	row.Orphan = row.Orphan || w.orphans[ref]
	root, problem := yamltree.ParseJSON(base, yamltree.Limits{Bytes: 1 << 30, Nodes: 1 << 30, Depth: 1 << 12})
	if problem != nil {
		return false, fmt.Errorf("stitching %s: %s", ref, problem.Message)
	}
	root = assemble(root, row.UID, row.Orphan, relations)
	bare := root.AppendJSON(make([]byte, 0, len(base)+256))
	sum := sha256.Sum256(bare)
	row.Etag = hex.EncodeToString(sum[:20])
	if row.Etag == before.Etag && row.Hash == before.Hash && row.LocationID == before.LocationID && row.Orphan == before.Orphan {
		return false, nil
	}
	root = root.With("metadata", root.Get("metadata").With("etag", yamltree.Text(row.Etag, 0)))
	row.Doc = clean(string(root.AppendJSON(make([]byte, 0, len(bare)+64))))
	row.Revision, row.UpdatedAt = w.revision, w.now
	return true, row.describe(root, relations)
}

// entities returns what the items of a result describe, without what other
// documents say about them. Items that are refused by a problem are left out.
func (p *plan) entities(items []ingest.Item) ([]Entity, error) {
	accepted := map[string]bool{}
	for _, ref := range slices.Concat(refsOf(p.added), refsOf(p.changed), p.unchanged) {
		accepted[ref] = true
	}
	var out []Entity
	for _, item := range items {
		ref := item.Ref.String()
		if !accepted[ref] {
			continue
		}
		var own []wireRelation
		for _, r := range rowsOf(ref, item.Edges) {
			if r.Source == ref {
				own = append(own, wireRelation{Type: r.Type, TargetRef: r.Target})
			}
		}
		row := entityRow{UID: p.stored[ref].UID}
		w := writer{}
		if _, err := w.compose(&row, ref, item, true, own); err != nil {
			return nil, err
		}
		out = append(out, row.entity())
	}
	slices.SortFunc(out, func(a, b Entity) int { return strings.Compare(a.Ref.String(), b.Ref.String()) })
	return out, nil
}

// assemble returns the document with uid, orphan mark and relations. Its etag
// is left out.
func assemble(root *yamltree.Node, uid string, orphan bool, relations []wireRelation) *yamltree.Node {
	meta := root.Get("metadata").Without("uid", "etag").With("uid", yamltree.Text(uid, 0))
	ann := meta.Get("annotations")
	if orphan {
		meta = meta.With("annotations", ann.With(ingest.AnnotationOrphan, yamltree.Text("true", 0)))
	} else if ann.Field(ingest.AnnotationOrphan) != nil {
		meta = meta.With("annotations", ann.Without(ingest.AnnotationOrphan))
	}
	list := &yamltree.Node{Kind: yamltree.List}
	for _, r := range relations {
		list.Items = append(list.Items, (&yamltree.Node{Kind: yamltree.Map}).
			With("type", yamltree.Text(r.Type, 0)).With("targetRef", yamltree.Text(r.TargetRef, 0)))
	}
	return root.Without("relations").With("metadata", meta).With("relations", list)
}

// describe fills the columns that lists and the full text use.
func (r *entityRow) describe(root *yamltree.Node, relations []wireRelation) error {
	meta, spec := root.Get("metadata"), root.Get("spec")
	r.Kind, r.Namespace, r.Name = clean(root.Get("kind").Str()), clean(meta.Get("namespace").Str()), clean(meta.Get("name").Str())
	r.Title, r.Description = clean(meta.Get("title").Str()), clean(meta.Get("description").Str())
	r.Type, r.Owner, r.Lifecycle = clean(spec.Get("type").Str()), clean(spec.Get("owner").Str()), clean(spec.Get("lifecycle").Str())
	x := extras{Relations: relations, Annotations: map[string]string{}}
	if tags := meta.Get("tags"); tags != nil {
		for _, t := range tags.Items {
			x.Tags = append(x.Tags, clean(t.Str()))
		}
	}
	if ann := meta.Get("annotations"); ann != nil {
		for _, f := range ann.Fields {
			x.Annotations[clean(f.Key)] = clean(f.Value.Str())
		}
	}
	words := filter.Words(strings.Join([]string{r.Name, r.Title, r.Kind, r.Namespace, r.Type, r.Owner, r.Lifecycle,
		strings.Join(x.Tags, " "), spec.Get("profile", "displayName").Str(), spec.Get("profile", "email").Str(), r.Description}, " "))
	if len(words) > 5000 {
		words = words[:5000]
	}
	r.Words = strings.Join(words, " ")
	raw, err := json.Marshal(x)
	r.Extras = string(raw)
	return err
}

// save writes rows and what is derived from them.
func (w *writer) save(ctx context.Context, rows []entityRow) error {
	if len(rows) == 0 {
		return nil
	}
	set := w.q.NewInsert().Model(&rows).ExcludeColumn("id").On("CONFLICT (ref) DO UPDATE")
	for _, col := range []string{"kind", "namespace", "name", "type", "owner", "lifecycle", "title", "description", "extras",
		"doc", "etag", "hash", "location_id", "source", "orphan", "revision", "updated_at", "words"} {
		set = set.Set("? = EXCLUDED.?", bun.Ident(col), bun.Ident(col))
	}
	if _, err := set.Returning("NULL").Exec(ctx); err != nil {
		return err
	}
	refs := make([]string, len(rows))
	for i := range rows {
		refs[i] = rows[i].Ref
		w.changes = append(w.changes, Change{Ref: rows[i].Ref, ETag: rows[i].Etag})
	}
	var saved []entityRow
	if err := w.q.NewSelect().Model(&saved).Column("id", "ref").Where("ref IN (?)", bun.List(refs)).Scan(ctx); err != nil {
		return err
	}
	ids := make(map[string]int64, len(saved))
	for _, s := range saved {
		ids[s.Ref] = s.ID
	}
	return w.index(ctx, rows, ids)
}

// index replaces facets and full text of the rows.
func (w *writer) index(ctx context.Context, rows []entityRow, ids map[string]int64) error {
	if err := w.unindex(ctx, slices.Collect(maps.Values(ids))); err != nil {
		return err
	}
	var facets []facetRow
	var texts []ftsRow
	for i := range rows {
		id := ids[rows[i].Ref]
		terms, err := filter.Flatten([]byte(rows[i].Doc))
		if err != nil {
			return err
		}
		for _, t := range terms {
			f := facetRow{Key: t.Key, Value: t.Value, EntityID: id}
			if t.Original != t.Value {
				f.Original = &t.Original
			}
			facets = append(facets, f)
		}
		texts = append(texts, ftsRow{Rowid: id, Words: rows[i].Words})
	}
	if err := insertAll(ctx, w.q, facets); err != nil {
		return err
	}
	if w.q.Dialect() != store.SQLite {
		return nil
	}
	return insertAll(ctx, w.q, texts)
}

// newUID returns a random UUID of version 4.
func newUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
