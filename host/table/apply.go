package table

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/schema"
	"github.com/callboard-dev/callboard/host/table/value"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// change is what becomes of one row: old is nil for a new one, new for one that
// is removed.
type change struct {
	key      []byte
	old, new []value.Value
}

// checks are the rows to which written rows refer, by reference and key. They
// must be there when the operation has ended.
type checks struct {
	order []*schema.Reference
	keys  map[*schema.Reference]map[string]bool
}

func newChecks() *checks { return &checks{keys: map[*schema.Reference]map[string]bool{}} }

func (c *checks) add(r *schema.Reference, values []value.Value) {
	if anyNull(values, r.Columns) {
		return
	}
	if c.keys[r] == nil {
		c.keys[r] = map[string]bool{}
		c.order = append(c.order, r)
	}
	c.keys[r][string(pick(values, r.Columns))] = true
}

// checkParents refuses references to rows that are not there.
func (x *tx) checkParents(ctx context.Context, c *checks) error {
	for _, r := range c.order {
		key, err := x.missing(ctx, r.To, c.keys[r])
		if err != nil {
			return err
		}
		if key != nil {
			return host.Errorf(host.CodeConflict, "%s of %s names a row that %s does not have: %s", joinNames(r.From.Names(r.Columns)), r.From.Name, r.To.Name, show(r.To, key)).
				WithHint("insert that row first, or leave the columns empty")
		}
	}
	return nil
}

// show writes a primary key for an error.
func show(t *schema.Table, key []byte) string {
	var out []byte
	for _, c := range t.Key() {
		v, rest, err := value.Next(t.Columns[c].Kind, key)
		if err != nil {
			break
		}
		if len(out) > 0 {
			out = append(out, ", "...)
		}
		out, key = value.AppendJSON(out, t.Columns[c].Kind, v), rest
	}
	if len(out) > 100 {
		out = append(out[:100], "…"...)
	}
	return string(out)
}

// apply writes changes of rows with the entries of their indexes, and notes
// what they refer to.
func (x *tx) apply(ctx context.Context, t *schema.Table, changes []*change, c *checks) error {
	for _, i := range t.Indexes[1:] {
		if err := x.reindex(ctx, t, i, changes); err != nil {
			return err
		}
	}
	var put []rowRecord
	var gone [][]byte
	for _, ch := range changes {
		if ch.old != nil {
			x.count(-1, ch.key, encode(ch.old))
		}
		if ch.new == nil {
			gone = append(gone, ch.key)
			continue
		}
		doc := encode(ch.new)
		if len(doc) > tablev1.MaxRowBytes {
			return host.Errorf(host.CodeTooLarge, "a row of %s has %d bytes, at most %d are allowed", t.Name, len(doc), tablev1.MaxRowBytes).
				WithHint("keep large content in blob/v1")
		}
		x.count(1, ch.key, doc)
		put = append(put, rowRecord{Space: x.space, Table: t.Number, Key: ch.key, Doc: doc})
		for _, r := range t.References {
			if ch.old == nil || string(pick(ch.old, r.Columns)) != string(pick(ch.new, r.Columns)) {
				c.add(r, ch.new)
			}
		}
	}
	if err := x.removeRows(ctx, t, gone); err != nil || len(put) == 0 {
		return err
	}
	_, err := x.q.NewInsert().Model(&put).On("CONFLICT (space, tbl, id) DO UPDATE").Set("doc = EXCLUDED.doc").Exec(ctx)
	return err
}

// count keeps the usage: a row, and what it takes.
func (x *tx) count(sign int64, key, doc []byte) {
	x.usage.Rows += sign
	x.usage.Bytes += sign * int64(len(key)+len(doc))
}

func (x *tx) removeRows(ctx context.Context, t *schema.Table, keys [][]byte) error {
	for len(keys) > 0 {
		n := min(chunkRows, len(keys))
		_, err := x.q.NewDelete().Model((*rowRecord)(nil)).Where("space = ?", x.space).Where("tbl = ?", t.Number).Where("id IN (?)", bun.List(keys[:n])).Exec(ctx)
		if err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// reindex removes the entries of old rows and adds those of new ones.
func (x *tx) reindex(ctx context.Context, t *schema.Table, i *schema.Index, changes []*change) error {
	var gone [][]byte
	var put []keyRecord
	fresh := map[string]bool{}
	for _, ch := range changes {
		var before, after []byte
		if ch.old != nil {
			before = entryOf(i, ch.old, ch.key)
		}
		if ch.new != nil {
			after = entryOf(i, ch.new, ch.key)
		}
		if string(before) == string(after) {
			continue
		}
		if before != nil {
			gone = append(gone, before)
			x.usage.Bytes -= int64(len(before) + len(ch.key))
		}
		if after == nil {
			continue
		}
		if err := checkLength(t, i, pick(ch.new, i.Columns)); err != nil {
			return err
		}
		if fresh[string(after)] {
			return taken(t, i)
		}
		fresh[string(after)] = true
		x.usage.Bytes += int64(len(after) + len(ch.key))
		put = append(put, keyRecord{Space: x.space, Index: i.Number, Entry: after, Key: ch.key})
	}
	if err := x.removeEntries(ctx, i, gone); err != nil || len(put) == 0 {
		return err
	}
	if i.Unique {
		if err := x.checkUnique(ctx, t, i, put); err != nil {
			return err
		}
	}
	_, err := x.q.NewInsert().Model(&put).Exec(ctx)
	return err
}

func taken(t *schema.Table, i *schema.Index) error {
	return host.Errorf(host.CodeConflict, "another row of %s has the same %s", t.Name, joinNames(t.Names(i.Columns))).
		WithHint("the index %s is unique", i.Name)
}

// checkUnique refuses entries that are there.
func (x *tx) checkUnique(ctx context.Context, t *schema.Table, i *schema.Index, put []keyRecord) error {
	entries := make([][]byte, len(put))
	for n, r := range put {
		entries[n] = r.Entry
	}
	there, err := x.q.NewSelect().Model((*keyRecord)(nil)).Where("space = ?", x.space).Where("idx = ?", i.Number).
		Where("key IN (?)", bun.List(entries)).Count(ctx)
	if err == nil && there > 0 {
		err = taken(t, i)
	}
	return err
}

func (x *tx) removeEntries(ctx context.Context, i *schema.Index, entries [][]byte) error {
	if len(entries) == 0 {
		return nil
	}
	_, err := x.q.NewDelete().Model((*keyRecord)(nil)).Where("space = ?", x.space).Where("idx = ?", i.Number).
		Where("key IN (?)", bun.List(entries)).Exec(ctx)
	return err
}
