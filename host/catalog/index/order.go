package index

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// UpdatedAt is the column to sort by that holds a time.
const UpdatedAt = "updated_at"

// Order is what a list is sorted by: a column of the entities, or the smallest
// value of a facet. Case does not count, entities without a value come last,
// and the canonical ref breaks ties.
type Order struct {
	Column string
	Facet  string // where Column is empty
	Desc   bool
}

// Mark is a place in an order: the value and ref of an entity.
type Mark struct {
	Value, Ref string
}

// place is one entity of an order.
type place struct {
	ordinal int32
	mark    Mark
}

// sorted is all entities in an order.
type sorted struct{ places []place }

// compare is the order of two marks.
func (o Order) compare(a, b Mark) int {
	if (a.Value == "") != (b.Value == "") {
		if a.Value == "" {
			return 1
		}
		return -1
	}
	c := strings.Compare(a.Value, b.Value)
	if o.Desc {
		c = -c
	}
	return cmp.Or(c, strings.Compare(a.Ref, b.Ref))
}

// Item is one entity of a page.
type Item struct {
	ID  int64
	Ref string
}

// Page returns at most limit entities of the set that come after the mark (nil:
// from the start), and the mark of the last of them, or nil where no more
// follow.
func (v *View) Page(ctx context.Context, set Bits, o Order, after *Mark, limit int) ([]Item, *Mark, error) {
	s, err := v.order(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	start := 0
	if after != nil {
		var found bool
		start, found = slices.BinarySearchFunc(s.places, *after, func(p place, m Mark) int { return o.compare(p.mark, m) })
		if found {
			start++
		}
	}
	items := make([]Item, 0, limit)
	var last Mark
	for _, p := range s.places[start:] {
		if !set.has(p.ordinal) {
			continue
		}
		if len(items) == limit {
			return items, &last, nil
		}
		items, last = append(items, Item{v.rev.ids[p.ordinal], p.mark.Ref}), p.mark
	}
	return items, nil, nil
}

func (v *View) order(ctx context.Context, o Order) (*sorted, error) {
	return kept(ctx, v,
		func(r *revision) (*sorted, bool) { s, ok := r.orders[o]; return s, ok },
		func(ctx context.Context) (*sorted, int64, error) { return v.sort(ctx, o) },
		func(r *revision, s *sorted) { r.orders[o] = s })
}

func (v *View) sort(ctx context.Context, o Order) (*sorted, int64, error) {
	refs, values, err := v.sortValues(ctx, o)
	if err != nil {
		return nil, 0, err
	}
	s := &sorted{places: make([]place, len(refs))}
	bytes := int64(128)
	for i, ref := range refs {
		s.places[i] = place{int32(i), Mark{values[i], ref}}
		bytes += int64(len(values[i]) + len(ref) + 40)
	}
	slices.SortFunc(s.places, func(a, b place) int { return o.compare(a.mark, b.mark) })
	return s, bytes, nil
}

// sortValues returns ref and sort value of every entity, by ordinal.
func (v *View) sortValues(ctx context.Context, o Order) (refs, values []string, err error) {
	sel := v.q.NewSelect().Model((*entity)(nil)).Column("ref").Order("id")
	switch o.Column {
	case "":
		if err := sel.Scan(ctx, &refs); err != nil {
			return nil, nil, err
		}
		values, err = v.facetValues(ctx, o.Facet, len(refs))
		return refs, values, err
	case UpdatedAt:
		var times []time.Time
		if err := sel.Column(UpdatedAt).Scan(ctx, &refs, &times); err != nil {
			return nil, nil, err
		}
		for _, t := range times {
			values = append(values, t.UTC().Format("2006-01-02T15:04:05.000000Z"))
		}
		return refs, values, nil
	default:
		if err := sel.ColumnExpr("?", bun.Ident(o.Column)).Scan(ctx, &refs, &values); err != nil {
			return nil, nil, err
		}
		for i := range values {
			values[i] = strings.ToLower(values[i])
		}
		return refs, values, nil
	}
}

func (v *View) facetValues(ctx context.Context, key string, n int) ([]string, error) {
	column, err := v.column(ctx, key)
	if err != nil {
		return nil, err
	}
	values := make([]string, n)
	for _, c := range column {
		low := strings.ToLower(c.Value)
		for _, at := range c.ordinals {
			if values[at] == "" || low < values[at] {
				values[at] = low
			}
		}
	}
	return values, nil
}

// Value is one value of a facet with the entities that have it.
type Value struct {
	Value    string
	ordinals []int32
}

// Counts calls f with each value that entities of the set have for the key, and
// how many of them do.
func (v *View) Counts(ctx context.Context, set Bits, key string, f func(value string, count int)) error {
	column, err := v.column(ctx, key)
	if err != nil {
		return err
	}
	for _, c := range column {
		n := 0
		for _, at := range c.ordinals {
			if set.has(at) {
				n++
			}
		}
		if n > 0 {
			f(c.Value, n)
		}
	}
	return nil
}

// column returns all values of a key, as written, without empty ones.
func (v *View) column(ctx context.Context, key string) ([]Value, error) {
	return kept(ctx, v,
		func(r *revision) ([]Value, bool) { c, ok := r.columns[key]; return c, ok },
		func(ctx context.Context) ([]Value, int64, error) {
			var values []string
			var ids []int64
			err := v.q.NewSelect().TableExpr("facets").ColumnExpr("COALESCE(original, value)").Column("entity_id").
				Where("key = ? AND value <> ''", key).Scan(ctx, &values, &ids)
			if err != nil {
				return nil, 0, err
			}
			places := map[string]int{}
			var out []Value
			bytes := int64(128 + len(key) + 4*len(ids))
			for i, value := range values {
				at, ok := slices.BinarySearch(v.rev.ids, ids[i])
				if !ok {
					continue
				}
				p, seen := places[value]
				if !seen {
					p = len(out)
					places[value] = p
					out = append(out, Value{Value: value})
					bytes += int64(len(value) + 48)
				}
				out[p].ordinals = append(out[p].ordinals, int32(at))
			}
			return out, bytes, nil
		},
		func(r *revision, c []Value) { r.columns[key] = c })
}
