package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/filter"
	"github.com/callboard-dev/callboard/host/catalog/index"
	"github.com/callboard-dev/callboard/host/store"
)

// Get returns one entity with its problems. An unknown one is CodeNotFound.
func (k *Catalog) Get(ctx context.Context, c host.Caller, ref Ref) (Entity, error) {
	key := ref.String()
	if err := k.authz.Authorize(ctx, c, host.ActionCatalogRead, "entity:"+key); err != nil {
		return Entity{}, err
	}
	t := k.cache.tenant(c.TenantID())
	if err := k.cache.fresh(ctx, t, func(ctx context.Context) error { return k.look(ctx, c.TenantID(), t) }); err != nil {
		return Entity{}, err
	}
	e, ok, generation := k.cache.get(t, key)
	if ok {
		return e, nil
	}
	e, err := k.load(ctx, c, "ref", key)
	if err != nil {
		return Entity{}, err
	}
	k.cache.put(t, key, e, generation)
	return e, nil
}

// GetJSON returns Backstage's JSON of one entity as it is stored, and its ETag
// without quotes. Do not write into the bytes.
func (k *Catalog) GetJSON(ctx context.Context, c host.Caller, ref Ref) (doc []byte, etag string, err error) {
	e, err := k.Get(ctx, c, ref)
	return e.Doc, e.ETag, err
}

// GetByUID returns the entity with a metadata.uid.
func (k *Catalog) GetByUID(ctx context.Context, c host.Caller, uid string) (Entity, error) {
	if strings.ContainsRune(uid, 0) {
		return Entity{}, notFound("uid", uid)
	}
	e, err := k.load(ctx, c, "uid", uid)
	if err != nil {
		return Entity{}, err
	}
	return e, k.authz.Authorize(ctx, c, host.ActionCatalogRead, "entity:"+e.Ref.String())
}

func notFound(column, value string) *host.Error {
	return host.Errorf(host.CodeNotFound, "the catalog has no entity with %s %q", column, value).
		WithHint("check its spelling, or register the location that describes it")
}

func (k *Catalog) load(ctx context.Context, c host.Caller, column, value string) (Entity, error) {
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return Entity{}, err
	}
	var out Entity
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		var row entityRow
		err := q.NewSelect().Model(&row).Where("? = ?", bunIdent(column), value).Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound(column, value)
		}
		if err != nil {
			return err
		}
		out = row.entity()
		var rows []errorRow
		if err := q.NewSelect().Model(&rows).Where("ref = ?", row.Ref).Order("id").Scan(ctx); err != nil {
			return err
		}
		for _, r := range rows {
			out.Errors = append(out.Errors, r.problem())
		}
		return nil
	})
	return out, err
}

// Revision names the state of a tenant's catalog: it changes with everything
// that Get, List and Facets can see, at the latest Settings.Recheck after
// another process wrote. It is "" while the database cannot be asked.
func (k *Catalog) Revision(tenant host.TenantID) string {
	t := k.cache.tenant(tenant)
	err := k.cache.fresh(context.Background(), t, func(ctx context.Context) error { return k.look(ctx, tenant, t) })
	if err != nil {
		return ""
	}
	return strconv.FormatInt(t.revision.Load(), 10)
}

// manyChanges is from how many changed entities on a look drops them all.
const manyChanges = 5000

// look reads the tenant's revision and drops from memory what changed since
// the last look. The caller holds t.checking.
func (k *Catalog) look(ctx context.Context, id host.TenantID, t *tenantCache) error {
	db, err := k.db.Tenant(id)
	if err != nil {
		return err
	}
	started, known := k.cache.now().UnixNano(), t.revision.Load()
	var state stateRow
	var refs []string
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		if err := q.NewSelect().Model(&state).Where("id = 1").Scan(ctx); err != nil {
			return err
		}
		if known < 0 || state.Revision == known || state.Rebuilt > known {
			return nil
		}
		return q.NewSelect().Model((*entityRow)(nil)).Column("ref").Where("revision > ?", known).Limit(manyChanges).Scan(ctx, &refs)
	})
	if err != nil {
		return err
	}
	if state.Revision != known {
		k.cache.invalidate(t, refs, state.Rebuilt > known || len(refs) == manyChanges || state.Revision < known)
		t.revision.Store(state.Revision)
	}
	t.checked.Store(started)
	return nil
}

// wrote makes the next reads of this process see a write at once.
func (k *Catalog) wrote(ctx context.Context, id host.TenantID) {
	t := k.cache.tenant(id)
	t.checking.Lock()
	defer t.checking.Unlock()
	if err := k.look(context.WithoutCancel(ctx), id, t); err != nil {
		k.settings.Log.WarnContext(ctx, "looking at the catalog's revision", "tenant", id, "error", err)
		k.cache.invalidate(t, nil, true)
		t.checked.Store(0)
	}
}

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
	sort   index.Order
	after  *index.Mark
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

func parseCursor(text, digest string) (*index.Mark, error) {
	var cur cursor
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, &cur) != nil || cur.Digest != digest || strings.ContainsRune(cur.Sort+cur.Ref, 0) {
		return nil, host.Errorf(host.CodeInvalid, "the cursor does not belong to this query").
			WithHint("start again without a cursor, and change nothing but the cursor from page to page")
	}
	return &index.Mark{Value: cur.Sort, Ref: cur.Ref}, nil
}

func (c cursor) String() string {
	raw, _ := json.Marshal(c) // three strings always marshal
	return base64.RawURLEncoding.EncodeToString(raw)
}

// sortColumns are the paths that need no facet.
var sortColumns = map[string]string{
	"": "name", "metadata.name": "name", "name": "name", "kind": "kind", "metadata.namespace": "namespace",
	"metadata.title": "title", "spec.type": "type", "type": "type", "spec.owner": "owner", "owner": "owner",
	"spec.lifecycle": "lifecycle", "lifecycle": "lifecycle", "title": "title", "namespace": "namespace",
	"updatedat": index.UpdatedAt,
}

func parseSort(s string) (index.Order, error) {
	path, dir, _ := strings.Cut(strings.TrimSpace(s), ",")
	var o index.Order
	switch strings.ToLower(strings.TrimSpace(dir)) {
	case "", "asc":
	case "desc":
		o.Desc = true
	default:
		return o, host.Errorf(host.CodeInvalid, "the sort direction %q is not known", dir).WithHint("write asc or desc after the comma")
	}
	if rest, ok := strings.CutPrefix(path, "-"); ok {
		path, o.Desc = rest, true
	}
	path = strings.ToLower(path)
	if len(path) > 200 || strings.ContainsRune(path, 0) {
		return o, host.Errorf(host.CodeInvalid, "the sort field is not a path").WithHint("sort by a field like metadata.name")
	}
	if o.Column = sortColumns[path]; o.Column == "" {
		o.Facet = path
	}
	return o, nil
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
	var page Page
	err = k.selected(ctx, c, s, func(ctx context.Context, q store.Querier, view *index.View, set index.Bits) error {
		items, last, err := view.Page(ctx, set, s.sort, s.after, s.limit)
		if err != nil {
			return err
		}
		page.Total = set.Count()
		if last != nil {
			page.Next = cursor{Digest: s.digest, Sort: last.Value, Ref: last.Ref}.String()
		}
		page.Items, err = k.entities(ctx, q, c.TenantID(), items)
		return err
	})
	return page, err
}

// selected calls use with what a query selects: with memory alone (q is nil)
// where that is fresh and holds all of it, and else in a read of the tenant.
func (k *Catalog) selected(ctx context.Context, c host.Caller, s selection,
	use func(ctx context.Context, q store.Querier, view *index.View, set index.Bits) error,
) error {
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return err
	}
	matched := func(ctx context.Context, q store.Querier, view *index.View) error {
		set, err := view.Match(ctx, s.filter, s.anyOf, s.words)
		if err != nil {
			return err
		}
		return use(ctx, q, view, set)
	}
	t := k.cache.tenant(c.TenantID())
	if err := k.cache.fresh(ctx, t, func(ctx context.Context) error { return k.look(ctx, c.TenantID(), t) }); err != nil {
		return err
	}
	if view := k.index.Known(c.TenantID(), t.revision.Load()); view != nil {
		if err := matched(ctx, nil, view); !errors.Is(err, index.ErrNotKept) {
			return err
		}
	}
	return db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		view, err := k.index.At(ctx, q, c.TenantID())
		if err != nil {
			return err
		}
		return matched(ctx, q, view)
	})
}

// entities returns the entities of a page, from memory or by q.
func (k *Catalog) entities(ctx context.Context, q store.Querier, tenant host.TenantID, items []index.Item) ([]Entity, error) {
	t := k.cache.tenant(tenant)
	out := make([]Entity, len(items))
	missing := map[int64]int{} // by id, the place in out
	var generation uint64
	for i, item := range items {
		var ok bool
		if out[i], ok, generation = k.cache.get(t, item.Ref); !ok {
			missing[item.ID] = i
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	if q == nil {
		return nil, index.ErrNotKept
	}
	var rows []entityRow
	err := q.NewSelect().Model(&rows).ExcludeColumn("words").Where("id IN (?)", bun.List(slices.Collect(maps.Keys(missing)))).Scan(ctx)
	if err != nil {
		return nil, err
	}
	problems, err := problemsOf(ctx, q, rows)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		e := rows[i].entity()
		e.Errors = problems[rows[i].Ref]
		out[missing[rows[i].ID]] = e
		k.cache.put(t, rows[i].Ref, e, generation)
	}
	return out, nil
}

// problemsOf returns the problems of entities, by ref.
func problemsOf(ctx context.Context, q store.Querier, rows []entityRow) (map[string][]Problem, error) {
	refs := make([]string, len(rows))
	for i := range rows {
		refs[i] = rows[i].Ref
	}
	if len(refs) == 0 {
		return nil, nil
	}
	var errs []errorRow
	if err := q.NewSelect().Model(&errs).Where("ref IN (?)", bun.List(refs)).Order("id").Scan(ctx); err != nil {
		return nil, err
	}
	out := map[string][]Problem{}
	for _, r := range errs {
		out[r.Ref] = append(out[r.Ref], r.problem())
	}
	return out, nil
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
	out := make(map[string][]FacetCount, len(keys))
	for _, key := range keys {
		if len(keys) > 100 || len(key) > 200 || strings.ContainsRune(key, 0) {
			return nil, host.Errorf(host.CodeInvalid, "the facets ask for too much").WithHint("ask for at most 100 keys of at most 200 bytes")
		}
		out[key] = []FacetCount{}
	}
	if len(keys) == 0 {
		return out, nil
	}
	err = k.selected(ctx, c, s, func(ctx context.Context, _ store.Querier, view *index.View, set index.Bits) error {
		for key := range out {
			counts := []FacetCount{}
			if err := view.Counts(ctx, set, strings.ToLower(key), func(value string, n int) {
				counts = append(counts, FacetCount{Value: value, Count: n})
			}); err != nil {
				return err
			}
			out[key] = counts
		}
		return nil
	})
	for _, counts := range out {
		slices.SortFunc(counts, func(a, b FacetCount) int {
			return cmp.Or(b.Count-a.Count, strings.Compare(a.Value, b.Value))
		})
	}
	return out, err
}
