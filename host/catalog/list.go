package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/filter"
	"github.com/callboard-dev/callboard/host/catalog/index"
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
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return Page{}, err
	}
	var page Page
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		view, set, err := k.match(ctx, q, c, s)
		if err != nil {
			return err
		}
		ids, last, err := view.Page(ctx, set, s.sort, s.after, s.limit)
		if err != nil {
			return err
		}
		page.Total = set.Count()
		if last != nil {
			page.Next = cursor{Digest: s.digest, Sort: last.Value, Ref: last.Ref}.String()
		}
		page.Items, err = entities(ctx, q, ids)
		return err
	})
	return page, err
}

// match returns the tenant's index and what the query selects in it.
func (k *Catalog) match(ctx context.Context, q store.Querier, c host.Caller, s selection) (*index.View, index.Bits, error) {
	view, err := k.index.At(ctx, q, c.TenantID())
	if err != nil {
		return nil, nil, err
	}
	set, err := view.Match(ctx, s.filter, s.anyOf, s.words)
	return view, set, err
}

// entities reads rows in the order of their ids.
func entities(ctx context.Context, q store.Querier, ids []int64) ([]Entity, error) {
	out := make([]Entity, 0, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	var rows []entityRow
	if err := q.NewSelect().Model(&rows).ExcludeColumn("words").Where("id IN (?)", bun.In(ids)).Scan(ctx); err != nil {
		return nil, err
	}
	at := make(map[int64]int, len(rows))
	for i := range rows {
		at[rows[i].ID] = i
	}
	for _, id := range ids {
		if i, ok := at[id]; ok {
			out = append(out, rows[i].entity())
		}
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
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return nil, err
	}
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		view, set, err := k.match(ctx, q, c, s)
		if err != nil {
			return err
		}
		for key := range out {
			if err := view.Counts(ctx, set, strings.ToLower(key), func(value string, n int) {
				out[key] = append(out[key], FacetCount{Value: value, Count: n})
			}); err != nil {
				return err
			}
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
