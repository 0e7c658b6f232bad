package index

import (
	"context"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host/catalog/filter"
	"github.com/callboard-dev/callboard/host/store"
)

// Bits is a set of entities, one bit for each ordinal. Shared sets are never
// written to.
type Bits []uint64

// Count returns how many entities the set has.
func (b Bits) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

func (b Bits) has(ordinal int32) bool { return b[ordinal>>6]&(1<<(ordinal&63)) != 0 }

func (b Bits) and(o Bits) {
	for i := range b {
		b[i] &= o[i]
	}
}

func (b Bits) or(o Bits) {
	for i := range b {
		b[i] |= o[i]
	}
}

// all returns the set of every entity.
func (v *View) all() Bits {
	n := len(v.rev.ids)
	b := make(Bits, (n+63)/64)
	for i := range b {
		b[i] = ^uint64(0)
	}
	if n%64 != 0 {
		b[len(b)-1] = 1<<(n%64) - 1
	}
	return b
}

// Match returns the entities that satisfy the set must, any of the sets anyOf,
// and all words. Sets are as filter.Normal returns them, words as filter.Words
// does; what is empty asks for nothing.
func (v *View) Match(ctx context.Context, must, anyOf []filter.Set, words []string) (Bits, error) {
	out := v.all()
	for _, set := range must {
		if err := v.narrow(ctx, out, set); err != nil {
			return nil, err
		}
	}
	if len(anyOf) > 0 {
		union := make(Bits, len(out))
		for _, set := range anyOf {
			one := slices.Clone(out)
			if err := v.narrow(ctx, one, set); err != nil {
				return nil, err
			}
			union.or(one)
		}
		out = union
	}
	if len(words) > 0 {
		found, err := v.text(ctx, words)
		if err != nil {
			return nil, err
		}
		out.and(found)
	}
	return out, nil
}

// narrow takes out of b what does not satisfy the set.
func (v *View) narrow(ctx context.Context, b Bits, set filter.Set) error {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		found, err := v.posting(ctx, key, set[key])
		if err != nil {
			return err
		}
		b.and(found)
	}
	return nil
}

// posting returns the entities that have the key with any of the values, or at
// all where there are none.
func (v *View) posting(ctx context.Context, key string, values []string) (Bits, error) {
	name := "f" + key + "\x00" + strings.Join(values, "\x00")
	if len(values) == 0 {
		name = "x" + key
	}
	return v.bits(ctx, name, func(ctx context.Context, ids *[]int64) error {
		sel := v.q.NewSelect().TableExpr("facets").Column("entity_id").Where("key = ?", key)
		if len(values) > 0 {
			sel = sel.Where("value IN (?)", bun.List(values))
		}
		return sel.Scan(ctx, ids)
	})
}

// text returns the entities in whose words all of these are prefixes.
func (v *View) text(ctx context.Context, words []string) (Bits, error) {
	return v.bits(ctx, "t"+strings.Join(words, " "), func(ctx context.Context, ids *[]int64) error {
		if v.q.Dialect() == store.Postgres {
			return v.q.NewSelect().TableExpr("entities").Column("id").
				Where("search @@ to_tsquery('simple', ?)", strings.Join(words, ":* & ")+":*").Scan(ctx, ids)
		}
		return v.q.NewSelect().TableExpr("entities_fts").Column("rowid").
			Where("entities_fts MATCH ?", `"`+strings.Join(words, `"* AND "`)+`"*`).Scan(ctx, ids)
	})
}

// bits keeps the set that load reads as ids.
func (v *View) bits(ctx context.Context, name string, load func(context.Context, *[]int64) error) (Bits, error) {
	return kept(ctx, v,
		func(r *revision) (Bits, bool) { b, ok := r.postings[name]; return b, ok },
		func(ctx context.Context) (Bits, int64, error) {
			var ids []int64
			if err := load(ctx, &ids); err != nil {
				return nil, 0, err
			}
			b := make(Bits, (len(v.rev.ids)+63)/64)
			for _, id := range ids {
				if at, ok := slices.BinarySearch(v.rev.ids, id); ok {
					b[at>>6] |= 1 << (at & 63)
				}
			}
			return b, int64(len(b)*8 + len(name) + 128), nil
		},
		func(r *revision, b Bits) { r.postings[name] = b })
}
