package table

import (
	"context"
	"slices"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/schema"
	"github.com/callboard-dev/callboard/host/table/value"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// doomed are the rows that a delete removes, by table.
type doomed struct {
	order []*schema.Table
	keys  map[*schema.Table]map[string]bool
	count int
}

// add notes a row, and says whether it is new.
func (d *doomed) add(t *schema.Table, key []byte) bool {
	if d.keys[t] == nil {
		d.keys[t] = map[string]bool{}
		d.order = append(d.order, t)
	}
	if d.keys[t][string(key)] {
		return false
	}
	d.keys[t][string(key)] = true
	d.count++
	return true
}

// held is a row that a reference with restrict protects from being removed.
type held struct {
	ref *schema.Reference
	key []byte // of the row that refers
}

func (x *tx) delete(ctx context.Context, in tablev1.DeleteRequest) (int64, error) {
	t, err := x.table(in.Table)
	if err != nil {
		return 0, err
	}
	keys, err := x.matching(ctx, t, in.Where)
	if err != nil {
		return 0, err
	}
	if err := expected(in.Expect, t, len(keys)); err != nil {
		return 0, err
	}
	d := &doomed{keys: map[*schema.Table]map[string]bool{}}
	for _, key := range keys {
		d.add(t, key)
	}
	if err := x.cascade(ctx, d, t, keys); err != nil {
		return 0, err
	}
	for _, t := range d.order {
		all := make([][]byte, 0, len(d.keys[t]))
		for key := range d.keys[t] {
			all = append(all, []byte(key))
		}
		if err := x.remove(ctx, t, all); err != nil {
			return 0, err
		}
	}
	return int64(len(keys)), nil
}

// cascade adds what goes with the rows, and refuses what is protected.
func (x *tx) cascade(ctx context.Context, d *doomed, t *schema.Table, keys [][]byte) error {
	type wave struct {
		table *schema.Table
		keys  [][]byte
	}
	var protected []held
	for waves := []wave{{t, keys}}; len(waves) > 0; waves = waves[1:] {
		for _, ref := range waves[0].table.Referrers {
			var next [][]byte
			err := x.referring(ctx, ref, waves[0].keys, func(key []byte) error {
				switch {
				case !ref.Cascade:
					protected = append(protected, held{ref, key})
				case d.add(ref.From, key):
					next = append(next, key)
				}
				if d.count+len(protected) > tablev1.MaxScan {
					return host.Errorf(host.CodeLimit, "the request would remove more than %d rows, with those that refer to them", tablev1.MaxScan).
						WithHint("remove them in parts: narrow the conditions")
				}
				return nil
			})
			if err != nil {
				return err
			}
			if len(next) > 0 {
				waves = append(waves, wave{ref.From, next})
			}
		}
	}
	for _, h := range protected {
		if !d.keys[h.ref.From][string(h.key)] {
			return host.Errorf(host.CodeConflict, "a row of %s still refers to what would be removed: %s", h.ref.From.Name, show(h.ref.From, h.key)).
				WithHint("remove it first, or declare the reference %s with onDelete: cascade", h.ref.Name)
		}
	}
	return nil
}

// manyRanges is how many ranges of an index one statement looks at.
const manyRanges = 40

// referring calls f with the key of each row that refers to one of the rows.
func (x *tx) referring(ctx context.Context, ref *schema.Reference, keys [][]byte, f func(key []byte) error) error {
	for part := range slices.Chunk(keys, manyRanges) {
		found, err := x.entriesWith(ctx, ref, part)
		if err != nil {
			return err
		}
		for _, key := range found {
			if err := f(key); err != nil {
				return err
			}
		}
	}
	return nil
}

// entriesWith returns the primary keys of rows whose entries in the reference's
// index begin with one of the prefixes. It reads one more than may be removed.
func (x *tx) entriesWith(ctx context.Context, ref *schema.Reference, prefixes [][]byte) ([][]byte, error) {
	sel := x.q.NewSelect().Column("id").Where("space = ?", x.space).Limit(tablev1.MaxScan + 1)
	column := "key"
	if ref.Index.Primary() {
		sel, column = sel.Model((*rowRecord)(nil)).Where("tbl = ?", ref.From.Number), "id"
	} else {
		sel = sel.Model((*keyRecord)(nil)).Where("idx = ?", ref.Index.Number)
	}
	condition, args := "", make([]any, 0, 2*len(prefixes))
	for _, p := range prefixes {
		if condition != "" {
			condition += " OR "
		}
		// No value is the beginning of another, so there is always one after.
		condition += "(" + column + " >= ? AND " + column + " < ?)"
		args = append(args, p, value.After(p))
	}
	var found [][]byte
	err := sel.Where(condition, args...).Scan(ctx, &found)
	return found, err
}

// remove removes rows with their entries.
func (x *tx) remove(ctx context.Context, t *schema.Table, keys [][]byte) error {
	return x.eachChunk(ctx, t, keys, func(rows map[string][]value.Value, part [][]byte) error {
		changes := make([]*change, 0, len(part))
		for _, key := range part {
			if old := rows[string(key)]; old != nil {
				changes = append(changes, &change{key: key, old: old})
			}
		}
		return x.apply(ctx, t, changes, newChecks())
	})
}
