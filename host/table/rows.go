package table

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/table/query"
	"github.com/callboard-dev/callboard/host/table/schema"
	"github.com/callboard-dev/callboard/host/table/value"
)

// rowRecord is one row of a plugin's table.
type rowRecord struct {
	bun.BaseModel `bun:"table:plugin_rows,alias:r"`

	Space string `bun:"space,pk"`
	Table int64  `bun:"tbl,pk"`
	Key   []byte `bun:"id,pk"`
	Doc   []byte `bun:"doc"`
}

// keyRecord is one entry of an index.
type keyRecord struct {
	bun.BaseModel `bun:"table:plugin_keys,alias:k"`

	Space string `bun:"space,pk"`
	Index int64  `bun:"idx,pk"`
	Entry []byte `bun:"key,pk"`
	Key   []byte `bun:"id"`
}

// What stands under table 0.
const (
	metaTable = 0
	metaForm  = "form"
	metaUsage = "usage"
)

// chunkRows is how many rows one statement reads by their keys, or writes.
const chunkRows = 100

func readMeta(ctx context.Context, q store.Querier, space, name string) ([]byte, error) {
	var doc []byte
	err := q.NewSelect().Model((*rowRecord)(nil)).Column("doc").
		Where("space = ?", space).Where("tbl = ?", metaTable).Where("id = ?", []byte(name)).Scan(ctx, &doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return doc, err
}

func writeMeta(ctx context.Context, q store.Querier, space, name string, v any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the %s of tables: %w", name, err)
	}
	r := rowRecord{Space: space, Table: metaTable, Key: []byte(name), Doc: doc}
	_, err = q.NewInsert().Model(&r).On("CONFLICT (space, tbl, id) DO UPDATE").Set("doc = EXCLUDED.doc").Exec(ctx)
	return err
}

func readUsage(ctx context.Context, q store.Querier, space string) (u Usage, err error) {
	doc, err := readMeta(ctx, q, space, metaUsage)
	if err != nil || doc == nil {
		return u, err
	}
	if err := json.Unmarshal(doc, &u); err != nil {
		return u, fmt.Errorf("reading how much tables hold: %w", err)
	}
	return u, nil
}

func (x *tx) writeUsage(ctx context.Context) error {
	return writeMeta(ctx, x.q, x.space, metaUsage, x.usage)
}

func compileForm(doc []byte) (*form, error) {
	f := &form{doc: bytes.Clone(doc), stored: new(schema.Stored)}
	if err := json.Unmarshal(doc, f.stored); err != nil {
		return nil, fmt.Errorf("reading the form of tables: %w", err)
	}
	compiled, faults := schema.Compile(f.stored.Tables, f.stored.Numbers)
	if len(faults) > 0 {
		return nil, fmt.Errorf("compiling the stored form of tables: %s", faults[0].Message)
	}
	f.schema = compiled
	return f, nil
}

// decode reads the columns of a stored row.
func decode(t *schema.Table, doc []byte) ([]value.Value, error) {
	values := make([]value.Value, len(t.Columns))
	var err error
	for i, c := range t.Columns {
		if values[i], doc, err = value.Next(c.Kind, doc); err != nil {
			return nil, fmt.Errorf("table %s, column %s: %w", t.Name, c.Name, err)
		}
	}
	return values, nil
}

// encode writes the columns of a row.
func encode(values []value.Value) []byte { return bytes.Join(asBytes(values), nil) }

func asBytes(values []value.Value) [][]byte {
	out := make([][]byte, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// pick joins the values of columns to what an index holds of a row.
func pick(values []value.Value, columns []int) []byte {
	var out []byte
	for _, c := range columns {
		out = append(out, values[c]...)
	}
	return out
}

// entryOf is the entry of a row in an index that is not the primary key. Two
// rows have the same only where the index is unique and no value is null.
func entryOf(i *schema.Index, values []value.Value, key []byte) []byte {
	entry := pick(values, i.Columns)
	if i.Unique && !anyNull(values, i.Columns) {
		return entry
	}
	return append(entry, key...)
}

func anyNull(values []value.Value, columns []int) bool {
	for _, c := range columns {
		if values[c].IsNull() {
			return true
		}
	}
	return false
}

// hit is a stored row as an index leads to it.
type hit struct {
	entry []byte // its place in the index
	key   []byte
	doc   []byte
}

// window is what one statement reads of an index.
type window struct {
	table *schema.Table
	index *schema.Index
	query.Range
	desc  bool
	limit int
	// bytes is after how many bytes of rows the reading ends; it is not an
	// exact bound.
	bytes int
}

// look reads a window. full says that there may be more behind it.
func (x *tx) look(ctx context.Context, w window) (hits []hit, full bool, err error) {
	sel := x.q.NewSelect()
	column := "r.id"
	if w.index.Primary() {
		sel = sel.TableExpr("plugin_rows AS r").ColumnExpr("r.id, r.id, r.doc").Where("r.space = ?", x.space).Where("r.tbl = ?", w.table.Number)
	} else {
		column = "k.key"
		sel = sel.TableExpr("plugin_keys AS k").Join("JOIN plugin_rows AS r ON r.space = k.space AND r.tbl = ? AND r.id = k.id", w.table.Number).
			ColumnExpr("k.key, k.id, r.doc").Where("k.space = ?", x.space).Where("k.idx = ?", w.index.Number)
	}
	if len(w.Lo) > 0 {
		sel = sel.Where(column+" >= ?", w.Lo)
	}
	if w.Hi != nil {
		sel = sel.Where(column+" < ?", w.Hi)
	}
	order := column
	if w.desc {
		order += " DESC"
	}
	rows, err := sel.OrderExpr(order).Limit(int64(w.limit)).Rows(ctx)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	size := 0
	for rows.Next() {
		var h hit
		if err := rows.Scan(&h.entry, &h.key, &h.doc); err != nil {
			return nil, false, err
		}
		hits = append(hits, h)
		if size += len(h.doc); size > w.bytes {
			return hits, true, nil
		}
	}
	return hits, len(hits) == w.limit, rows.Err()
}

// byKeys reads rows by their primary keys; those that are not there are not in
// the answer.
func (x *tx) byKeys(ctx context.Context, t *schema.Table, keys [][]byte) (map[string][]value.Value, error) {
	out := make(map[string][]value.Value, len(keys))
	for len(keys) > 0 {
		n := min(chunkRows, len(keys))
		var found []rowRecord
		err := x.q.NewSelect().Model(&found).Column("id", "doc").Where("space = ?", x.space).Where("tbl = ?", t.Number).
			Where("id IN (?)", bun.List(keys[:n])).Scan(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			values, err := decode(t, r.Doc)
			if err != nil {
				return nil, err
			}
			out[string(r.Key)] = values
		}
		keys = keys[n:]
	}
	return out, nil
}

// missing returns one of the keys that lead to no row, or nil.
func (x *tx) missing(ctx context.Context, t *schema.Table, keys map[string]bool) ([]byte, error) {
	list := make([][]byte, 0, len(keys))
	for k := range keys {
		list = append(list, []byte(k))
	}
	for len(list) > 0 {
		n := min(chunkRows, len(list))
		var found [][]byte
		err := x.q.NewSelect().Model((*rowRecord)(nil)).Column("id").Where("space = ?", x.space).Where("tbl = ?", t.Number).
			Where("id IN (?)", bun.List(list[:n])).Scan(ctx, &found)
		if err != nil {
			return nil, err
		}
		if len(found) < n {
			for _, k := range found {
				delete(keys, string(k))
			}
			for _, k := range list[:n] {
				if keys[string(k)] {
					return k, nil
				}
			}
		}
		list = list[n:]
	}
	return nil, nil
}

func joinNames(names []string) string { return strings.Join(names, ", ") }
