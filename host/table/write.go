package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/schema"
	"github.com/callboard-dev/callboard/host/table/value"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// Insert adds rows. CodeConflict: a row with the same primary key, or the same
// values of a unique index, is there.
func (t *Tables) Insert(ctx context.Context, in tablev1.WriteRequest) (tablev1.WriteResponse, error) {
	return t.one(ctx, tablev1.Operation{Insert: &in})
}

// Upsert adds rows, or changes those that are there.
func (t *Tables) Upsert(ctx context.Context, in tablev1.WriteRequest) (tablev1.WriteResponse, error) {
	return t.one(ctx, tablev1.Operation{Upsert: &in})
}

// Update sets columns of the rows that match.
func (t *Tables) Update(ctx context.Context, in tablev1.UpdateRequest) (tablev1.WriteResponse, error) {
	return t.one(ctx, tablev1.Operation{Update: &in})
}

// Delete removes the rows that match, and what a cascade takes along.
func (t *Tables) Delete(ctx context.Context, in tablev1.DeleteRequest) (tablev1.WriteResponse, error) {
	return t.one(ctx, tablev1.Operation{Delete: &in})
}

func (t *Tables) one(ctx context.Context, op tablev1.Operation) (tablev1.WriteResponse, error) {
	out, err := t.Batch(ctx, tablev1.BatchRequest{Operations: []tablev1.Operation{op}})
	if err != nil {
		return tablev1.WriteResponse{}, err
	}
	return out.Results[0], nil
}

// Batch runs operations in one transaction: all of them, or none.
func (t *Tables) Batch(ctx context.Context, in tablev1.BatchRequest) (out tablev1.BatchResponse, err error) {
	if len(in.Operations) == 0 || len(in.Operations) > tablev1.MaxOperations {
		return out, host.Errorf(host.CodeInvalid, "a batch has %d operations; it must have 1 to %d", len(in.Operations), tablev1.MaxOperations)
	}
	err = t.write(ctx, func(ctx context.Context, x *tx) error {
		for i, op := range in.Operations {
			n, err := x.operate(ctx, op)
			if err != nil {
				if len(in.Operations) > 1 {
					return named(err, fmt.Sprintf("operation %d of the batch: ", i+1))
				}
				return err
			}
			out.Results = append(out.Results, tablev1.WriteResponse{Rows: n})
		}
		return nil
	})
	if err != nil {
		return tablev1.BatchResponse{}, err
	}
	return out, nil
}

// named puts words in front of an error's message.
func named(err error, words string) error {
	var known *host.Error
	if !errors.As(err, &known) {
		return fmt.Errorf("%s%w", words, err)
	}
	e := *known
	e.Message = words + e.Message
	return &e
}

func (x *tx) operate(ctx context.Context, op tablev1.Operation) (int64, error) {
	var steps []func() (int64, error)
	if op.Insert != nil {
		steps = append(steps, func() (int64, error) { return x.put(ctx, *op.Insert, false) })
	}
	if op.Upsert != nil {
		steps = append(steps, func() (int64, error) { return x.put(ctx, *op.Upsert, true) })
	}
	if op.Update != nil {
		steps = append(steps, func() (int64, error) { return x.update(ctx, *op.Update) })
	}
	if op.Delete != nil {
		steps = append(steps, func() (int64, error) { return x.delete(ctx, *op.Delete) })
	}
	if len(steps) != 1 {
		return 0, host.Errorf(host.CodeInvalid, "an operation must be exactly one of insert, upsert, update and delete")
	}
	return steps[0]()
}

// put inserts rows; upsert changes those that are there.
func (x *tx) put(ctx context.Context, in tablev1.WriteRequest, upsert bool) (int64, error) {
	t, err := x.table(in.Table)
	if err != nil {
		return 0, err
	}
	if len(in.Rows) == 0 || len(in.Rows) > tablev1.MaxRows {
		return 0, host.Errorf(host.CodeInvalid, "there are %d rows to write; it must be 1 to %d", len(in.Rows), tablev1.MaxRows)
	}
	checks := newChecks()
	for start := 0; start < len(in.Rows); start += chunkRows {
		changes, err := x.puts(ctx, t, in.Rows[start:min(start+chunkRows, len(in.Rows))], upsert)
		if err != nil {
			return 0, err
		}
		if err := x.apply(ctx, t, changes, checks); err != nil {
			return 0, err
		}
	}
	return int64(len(in.Rows)), x.checkParents(ctx, checks)
}

// puts turns rows of a request into changes.
func (x *tx) puts(ctx context.Context, t *schema.Table, docs []json.RawMessage, upsert bool) ([]*change, error) {
	given := make([]map[int]value.Value, len(docs))
	keys := make([][]byte, len(docs))
	for i, doc := range docs {
		var err error
		if given[i], err = columnsOf(t, doc); err != nil {
			return nil, err
		}
		if keys[i], err = keyOf(t, given[i]); err != nil {
			return nil, err
		}
	}
	there, err := x.byKeys(ctx, t, keys)
	if err != nil {
		return nil, err
	}
	var changes []*change
	byKey := map[string]*change{}
	for i, key := range keys {
		c := byKey[string(key)]
		if c == nil {
			c = &change{key: key, old: there[string(key)]}
			byKey[string(key)] = c
			changes = append(changes, c)
		}
		base := c.new
		if base == nil {
			base = c.old
		}
		if base != nil && !upsert {
			return nil, host.Errorf(host.CodeConflict, "a row of %s with this %s is there already", t.Name, strings.Join(t.Names(t.Key()), ", ")).
				WithHint("upsert changes a row that is there")
		}
		if c.new, err = merge(t, base, given[i]); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// columnsOf reads the columns of a JSON object.
func columnsOf(t *schema.Table, doc json.RawMessage) (map[int]value.Value, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(doc, &raw); err != nil || raw == nil {
		return nil, host.Errorf(host.CodeInvalid, "a row of %s is not a JSON object", t.Name)
	}
	out := make(map[int]value.Value, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		c := t.Column(name)
		if c < 0 {
			if len(name) > 64 {
				name = name[:64]
			}
			return nil, host.Errorf(host.CodeInvalid, "the table %s has no column %q", t.Name, name).WithHint("it has: %s", joinNames(t.ColumnNames()))
		}
		v, err := value.Parse(t.Columns[c].Kind, raw[name])
		if err != nil {
			return nil, host.Errorf(host.CodeInvalid, "the value of %s in a row of %s %v", name, t.Name, err)
		}
		out[c] = v
	}
	return out, nil
}

// keyOf returns the primary key of a row of which these columns are given.
func keyOf(t *schema.Table, given map[int]value.Value) ([]byte, error) {
	var key []byte
	for _, c := range t.Key() {
		v, ok := given[c]
		if !ok {
			v = t.Columns[c].Default
		}
		if v.IsNull() {
			return nil, host.Errorf(host.CodeInvalid, "a row of %s has no %s, which is part of its primary key", t.Name, t.Columns[c].Name)
		}
		key = append(key, v...)
	}
	return key, checkLength(t, t.Indexes[0], key)
}

func checkLength(t *schema.Table, i *schema.Index, entry []byte) error {
	if len(entry) <= tablev1.MaxKeyBytes {
		return nil
	}
	return host.Errorf(host.CodeInvalid, "a value of %s in %s is too long for an index: %d bytes, at most %d are allowed",
		joinNames(t.Names(i.Columns)), t.Name, len(entry), tablev1.MaxKeyBytes).WithHint("index a shorter column, for example a digest of the long one")
}

// merge makes a row of base (nil for a new one) and the columns that are given.
func merge(t *schema.Table, base []value.Value, given map[int]value.Value) ([]value.Value, error) {
	row := slices.Clone(base)
	if base == nil {
		row = make([]value.Value, len(t.Columns))
		for i, c := range t.Columns {
			row[i] = c.Default
		}
	}
	for c, v := range given {
		row[c] = v
	}
	for i, c := range t.Columns {
		if c.Required && row[i].IsNull() {
			return nil, host.Errorf(host.CodeInvalid, "a row of %s has no %s, which is required", t.Name, c.Name)
		}
	}
	return row, nil
}

func (x *tx) update(ctx context.Context, in tablev1.UpdateRequest) (int64, error) {
	t, err := x.table(in.Table)
	if err != nil {
		return 0, err
	}
	set, err := columnsOf(t, in.Set)
	if err != nil {
		return 0, err
	}
	if len(set) == 0 {
		return 0, host.Errorf(host.CodeInvalid, "the update sets no column")
	}
	for _, c := range t.Key() {
		if _, ok := set[c]; ok {
			return 0, host.Errorf(host.CodeInvalid, "%s is part of the primary key of %s and cannot be set", t.Columns[c].Name, t.Name).
				WithHint("delete the row and insert another")
		}
	}
	keys, err := x.matching(ctx, t, in.Where)
	if err != nil {
		return 0, err
	}
	if err := expected(in.Expect, t, len(keys)); err != nil {
		return 0, err
	}
	checks := newChecks()
	err = x.eachChunk(ctx, t, keys, func(rows map[string][]value.Value, part [][]byte) error {
		changes := make([]*change, 0, len(part))
		for _, key := range part {
			c := &change{key: key, old: rows[string(key)]}
			var err error
			if c.new, err = merge(t, c.old, set); err != nil {
				return err
			}
			changes = append(changes, c)
		}
		return x.apply(ctx, t, changes, checks)
	})
	if err != nil {
		return 0, err
	}
	return int64(len(keys)), x.checkParents(ctx, checks)
}

// eachChunk reads rows by their keys, some at a time.
func (x *tx) eachChunk(ctx context.Context, t *schema.Table, keys [][]byte, f func(rows map[string][]value.Value, part [][]byte) error) error {
	for part := range slices.Chunk(keys, chunkRows) {
		rows, err := x.byKeys(ctx, t, part)
		if err != nil {
			return err
		}
		if err := f(rows, part); err != nil {
			return err
		}
	}
	return nil
}

func expected(want *int64, t *schema.Table, have int) error {
	if want == nil || *want == int64(have) {
		return nil
	}
	return host.Errorf(host.CodeConflict, "%d rows of %s match, but %d were expected", have, t.Name, *want).
		WithHint("read the row again: somebody else changed it")
}
