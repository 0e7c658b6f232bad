package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/filter"
	"github.com/callboard-dev/callboard/host/store"
)

func bunIdent(name string) schema.Ident { return bun.Ident(name) }

// The size of a page.
const (
	defaultLimit = 20
	maxLimit     = 1000
)

// selection is a query that was checked.
type selection struct {
	filter []filter.Set // at most one set
	anyOf  []filter.Set
	words  []string
	sort   ordering
	after  *cursor
	limit  int
	digest string
}

// cursor is the place in a list after which a page starts.
type cursor struct {
	Digest string `json:"d"`
	Sort   string `json:"s"`
	Ref    string `json:"r"`
}

func (k *Catalog) check(c host.Caller, q Query) (selection, error) {
	var s selection
	var err error
	if len(q.Filter) > 0 {
		if s.filter, err = filter.Normal([]filter.Set{q.Filter}); err != nil {
			return s, err
		}
	}
	if s.anyOf, err = filter.Normal(q.AnyOf); err != nil {
		return s, err
	}
	if s.words = filter.Words(q.Text); len(s.words) > 20 {
		s.words = s.words[:20]
	}
	if s.sort, err = parseSort(q.Sort); err != nil {
		return s, err
	}
	if s.limit = q.Limit; s.limit <= 0 {
		s.limit = defaultLimit
	}
	s.limit = min(s.limit, maxLimit)
	// Maps print with sorted keys, so equal queries have equal digests.
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %v %v %v %v", c.TenantID(), s.filter, s.anyOf, s.words, s.sort))
	s.digest = hex.EncodeToString(sum[:6])
	if q.Cursor != "" {
		s.after, err = parseCursor(q.Cursor, s.digest)
	}
	return s, err
}

func parseCursor(text, digest string) (*cursor, error) {
	var cur cursor
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, &cur) != nil || cur.Digest != digest || strings.ContainsRune(cur.Sort+cur.Ref, 0) {
		return nil, host.Errorf(host.CodeInvalid, "the cursor does not belong to this query").
			WithHint("start again without a cursor, and change nothing but the cursor from page to page")
	}
	return &cur, nil
}

func (c cursor) String() string {
	raw, _ := json.Marshal(c) // three strings always marshal
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ordering is what a list is sorted by; the canonical ref breaks ties.
type ordering struct {
	column string // of entities, or empty
	path   string // of a facet otherwise
	desc   bool
}

// sortColumns are the paths that need no facet.
var sortColumns = map[string]string{
	"": "name", "metadata.name": "name", "name": "name", "kind": "kind", "metadata.namespace": "namespace",
	"metadata.title": "title", "spec.type": "type", "type": "type", "spec.owner": "owner", "owner": "owner",
	"spec.lifecycle": "lifecycle", "lifecycle": "lifecycle", "title": "title", "namespace": "namespace",
	"updatedat": updatedAt,
}

// updatedAt is the one column to sort by that is a time.
const updatedAt = "updated_at"

func parseSort(s string) (ordering, error) {
	path, dir, _ := strings.Cut(strings.TrimSpace(s), ",")
	var o ordering
	switch strings.ToLower(strings.TrimSpace(dir)) {
	case "", "asc":
	case "desc":
		o.desc = true
	default:
		return o, host.Errorf(host.CodeInvalid, "the sort direction %q is not known", dir).WithHint("write asc or desc after the comma")
	}
	if rest, ok := strings.CutPrefix(path, "-"); ok {
		path, o.desc = rest, true
	}
	path = strings.ToLower(path)
	if len(path) > 200 || strings.ContainsRune(path, 0) {
		return o, host.Errorf(host.CodeInvalid, "the sort field is not a path").WithHint("sort by a field like metadata.name")
	}
	if o.column = sortColumns[path]; o.column == "" {
		o.path = path
	}
	return o, nil
}

// expr is the sort value of an entity. Entities without one come last in both
// directions, as in Backstage.
func (o ordering) expr(d store.Dialect) (string, []any) {
	collate := ""
	if d == store.Postgres {
		collate = ` COLLATE "C"`
	}
	last := "\U0010FFFD"
	if o.desc {
		last = ""
	}
	switch {
	case o.column == updatedAt && d == store.Postgres:
		return `to_char(e.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')` + collate, nil
	case o.column == updatedAt:
		return "CAST(e.updated_at AS TEXT)", nil
	case o.column != "":
		return "COALESCE(NULLIF(LOWER(?), ''), ?)" + collate, []any{bunIdent("e." + o.column), last}
	}
	return "COALESCE((SELECT MIN(fs.value) FROM facets AS fs WHERE fs.entity_id = e.id AND fs.key = ?), ?)" + collate,
		[]any{o.path, last}
}

// List returns one page of the entities that a query selects.
func (k *Catalog) List(ctx context.Context, c host.Caller, query Query) (Page, error) {
	if err := k.authz.Authorize(ctx, c, host.ActionCatalogRead, "*"); err != nil {
		return Page{}, err
	}
	s, err := k.check(c, query)
	if err != nil {
		return Page{}, err
	}
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return Page{}, err
	}
	var page Page
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		total, err := s.where(q, q.NewSelect().Model((*entityRow)(nil))).Count(ctx)
		if err != nil {
			return err
		}
		var rows []sortedRow
		if err := s.page(q, &rows).Scan(ctx); err != nil {
			return err
		}
		page = s.result(rows, int(total))
		return nil
	})
	return page, err
}

type sortedRow struct {
	entityRow `bun:",extend"`
	SortValue string
}

func (s selection) page(q store.Querier, rows *[]sortedRow) *bun.SelectQuery {
	expr, args := s.sort.expr(q.Dialect())
	sel := s.where(q, q.NewSelect().Model(rows)).
		ExcludeColumn("words", "sort_value").
		ColumnExpr(expr+" AS sort_value", args...)
	op, dir := ">", "ASC"
	if s.sort.desc {
		op, dir = "<", "DESC"
	}
	ref := "e.ref"
	if q.Dialect() == store.Postgres {
		ref = `e.ref COLLATE "C"`
	}
	if a := s.after; a != nil {
		sel = sel.WhereGroup(" AND ", func(w *bun.SelectQuery) *bun.SelectQuery {
			w = w.Where(expr+" "+op+" ?", append(slices.Clone(args), a.Sort)...)
			return w.WhereOr(expr+" = ? AND "+ref+" > ?", append(slices.Clone(args), a.Sort, a.Ref)...)
		})
	}
	return sel.OrderExpr(expr+" "+dir, args...).OrderExpr(ref).Limit(int64(s.limit) + 1)
}

func (s selection) result(rows []sortedRow, total int) Page {
	page := Page{Total: total, Items: make([]Entity, 0, min(len(rows), s.limit))}
	for i := range rows {
		if i == s.limit {
			last := rows[i-1]
			page.Next = cursor{Digest: s.digest, Sort: last.SortValue, Ref: last.Ref}.String()
			break
		}
		page.Items = append(page.Items, rows[i].entity())
	}
	return page
}

// where adds the conditions of the query.
func (s selection) where(q store.Querier, sel *bun.SelectQuery) *bun.SelectQuery {
	for _, set := range s.filter {
		sel = whereSet(q, sel, set)
	}
	if len(s.anyOf) > 0 {
		sel = sel.WhereGroup(" AND ", func(w *bun.SelectQuery) *bun.SelectQuery {
			for _, set := range s.anyOf {
				w = w.WhereGroup(" OR ", func(w *bun.SelectQuery) *bun.SelectQuery { return whereSet(q, w.Where("1 = 1"), set) })
			}
			return w
		})
	}
	if len(s.words) == 0 {
		return sel
	}
	if q.Dialect() == store.Postgres {
		return sel.Where("e.search @@ to_tsquery('simple', ?)", strings.Join(s.words, ":* & ")+":*")
	}
	return sel.Where("e.id IN (SELECT rowid FROM entities_fts WHERE entities_fts MATCH ?)", `"`+strings.Join(s.words, `"* AND "`)+`"*`)
}

func whereSet(q store.Querier, sel *bun.SelectQuery, set filter.Set) *bun.SelectQuery {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		terms := q.NewSelect().Model((*facetRow)(nil)).Column("entity_id").Where("f.key = ?", key)
		if len(set[key]) > 0 {
			terms = terms.Where("f.value IN (?)", bun.In(set[key]))
		}
		sel = sel.Where("e.id IN (?)", terms)
	}
	return sel
}

// Facets counts, for each key, the values among the entities of a query, the
// most frequent first. Keys are paths like "spec.type"; cursor, limit and sort
// of the query do not count.
func (k *Catalog) Facets(ctx context.Context, c host.Caller, query Query, keys []string) (map[string][]FacetCount, error) {
	if err := k.authz.Authorize(ctx, c, host.ActionCatalogRead, "*"); err != nil {
		return nil, err
	}
	query.Cursor, query.Sort = "", ""
	s, err := k.check(c, query)
	if err != nil {
		return nil, err
	}
	asked := map[string]string{} // lower case to as asked
	out := make(map[string][]FacetCount, len(keys))
	for _, key := range keys {
		if len(keys) > 100 || len(key) > 200 || strings.ContainsRune(key, 0) {
			return nil, host.Errorf(host.CodeInvalid, "the facets ask for too much").WithHint("ask for at most 100 keys of at most 200 bytes")
		}
		asked[strings.ToLower(key)], out[key] = key, []FacetCount{}
	}
	if len(keys) == 0 {
		return out, nil
	}
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return nil, err
	}
	var rows []struct {
		Key      string
		Original string
		Count    int
	}
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		sel := q.NewSelect().Model((*facetRow)(nil)).
			ColumnExpr("f.key, COALESCE(f.original, f.value) AS original, COUNT(*) AS count").
			Where("f.key IN (?)", bun.In(slices.Sorted(maps.Keys(asked)))).Where("f.value <> ''").
			GroupExpr("f.key, COALESCE(f.original, f.value)")
		if len(s.filter)+len(s.anyOf)+len(s.words) > 0 {
			sel = sel.Where("f.entity_id IN (?)", s.where(q, q.NewSelect().Model((*entityRow)(nil)).Column("e.id")))
		}
		return sel.Scan(ctx, &rows)
	})
	for _, r := range rows {
		key := asked[r.Key]
		out[key] = append(out[key], FacetCount{Value: r.Original, Count: r.Count})
	}
	for _, counts := range out {
		slices.SortFunc(counts, func(a, b FacetCount) int {
			if a.Count != b.Count {
				return b.Count - a.Count
			}
			return strings.Compare(a.Value, b.Value)
		})
	}
	return out, err
}
