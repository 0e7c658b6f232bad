// Package memtable is table/v1 in memory, for package sdktest: the same rules
// as the portal's, done in the plainest way. It keeps no index, so it cannot
// tell which request needs one.
package memtable

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	v1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// DB holds the tables of one plugin. It is not safe for concurrent use.
type DB struct {
	tables map[string]*manifest.Table
	order  []string
	rows   map[string][]row // sorted by primary key
	most   int64
}

// row is one row: the value of each column, nil for null.
type row map[string]any

// New returns empty tables that hold at most so many rows together.
func New(tables []manifest.Table, rows int64) *DB {
	db := &DB{tables: map[string]*manifest.Table{}, rows: map[string][]row{}, most: rows}
	for i := range tables {
		db.tables[tables[i].Name] = &tables[i]
		db.order = append(db.order, tables[i].Name)
	}
	return db
}

func fault(code, format string, args ...any) *plugin.Error {
	return &plugin.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (db *DB) table(name string) (*manifest.Table, *plugin.Error) {
	if t := db.tables[name]; t != nil {
		return t, nil
	}
	return nil, fault(plugin.CodeNotFound, "the plugin has no table %q; its manifest declares: %s", name, strings.Join(db.order, ", "))
}

func column(t *manifest.Table, name string) *manifest.Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// Batch does operations, all of them or none.
func (db *DB) Batch(in v1.BatchRequest) (out v1.BatchResponse, err *plugin.Error) {
	if len(in.Operations) == 0 || len(in.Operations) > v1.MaxOperations {
		return out, fault(plugin.CodeInvalid, "a batch must have 1 to %d operations", v1.MaxOperations)
	}
	before, held := maps.Clone(db.rows), db.count()
	defer func() {
		if err != nil {
			db.rows, out = before, v1.BatchResponse{}
		}
	}()
	for _, op := range in.Operations {
		n, err := db.operate(op)
		if err != nil {
			return out, err
		}
		out.Results = append(out.Results, v1.WriteResponse{Rows: n})
	}
	if now := db.count(); now > db.most && now > held {
		return out, fault(plugin.CodeLimit, "the tables are full: they would hold %d rows, the quota is %d", now, db.most)
	}
	return out, nil
}

func (db *DB) count() (n int64) {
	for _, rows := range db.rows {
		n += int64(len(rows))
	}
	return n
}

func (db *DB) operate(op v1.Operation) (int64, *plugin.Error) {
	set := 0
	for _, there := range []bool{op.Insert != nil, op.Upsert != nil, op.Update != nil, op.Delete != nil} {
		if there {
			set++
		}
	}
	switch {
	case set != 1:
		return 0, fault(plugin.CodeInvalid, "an operation must be exactly one of insert, upsert, update and delete")
	case op.Insert != nil:
		return db.put(*op.Insert, false)
	case op.Upsert != nil:
		return db.put(*op.Upsert, true)
	case op.Update != nil:
		return db.update(*op.Update)
	default:
		return db.remove(*op.Delete)
	}
}

// key orders and compares rows by their primary keys.
func key(t *manifest.Table, a, b row) int {
	for _, c := range t.PrimaryKey {
		if n := compare(a[c], b[c]); n != 0 {
			return n
		}
	}
	return 0
}

// find returns where a row with the same primary key is, or would be.
func (db *DB) find(t *manifest.Table, r row) (int, bool) {
	return slices.BinarySearchFunc(db.rows[t.Name], r, func(a, b row) int { return key(t, a, b) })
}

// store puts a row in its place; the slice is a new one, so that what a batch
// keeps of the old one stays.
func (db *DB) store(t *manifest.Table, r row) {
	rows := slices.Clone(db.rows[t.Name])
	i, there := db.find(t, r)
	if there {
		rows[i] = r
	} else {
		rows = slices.Insert(rows, i, r)
	}
	db.rows[t.Name] = rows
}

func (db *DB) put(in v1.WriteRequest, upsert bool) (int64, *plugin.Error) {
	t, err := db.table(in.Table)
	if err != nil {
		return 0, err
	}
	if len(in.Rows) == 0 || len(in.Rows) > v1.MaxRows {
		return 0, fault(plugin.CodeInvalid, "there must be 1 to %d rows", v1.MaxRows)
	}
	for _, doc := range in.Rows {
		given, err := parseRow(t, doc)
		if err != nil {
			return 0, err
		}
		fresh := row{}
		for _, c := range t.Columns {
			if fresh[c.Name], err = parse(c.Type, c.Default); err != nil {
				return 0, err
			}
		}
		for _, c := range t.PrimaryKey {
			if v, ok := given[c]; ok {
				fresh[c] = v
			}
		}
		i, there := db.find(t, fresh)
		if there && !upsert {
			return 0, fault(plugin.CodeConflict, "a row of %s with this %s is there already", t.Name, strings.Join(t.PrimaryKey, ", "))
		}
		if there {
			fresh = maps.Clone(db.rows[t.Name][i])
		}
		maps.Copy(fresh, given)
		if err := whole(t, fresh); err != nil {
			return 0, err
		}
		db.store(t, fresh)
	}
	return int64(len(in.Rows)), db.check(t)
}

// whole refuses rows that lack what is required.
func whole(t *manifest.Table, r row) *plugin.Error {
	for _, c := range t.Columns {
		if r[c.Name] == nil && (c.Required || slices.Contains(t.PrimaryKey, c.Name)) {
			return fault(plugin.CodeInvalid, "a row of %s has no %s, which is required", t.Name, c.Name)
		}
	}
	return nil
}

func parseRow(t *manifest.Table, doc json.RawMessage) (row, *plugin.Error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(doc, &raw); err != nil || raw == nil {
		return nil, fault(plugin.CodeInvalid, "a row of %s is not a JSON object", t.Name)
	}
	out := row{}
	for name, v := range raw {
		c := column(t, name)
		if c == nil {
			return nil, fault(plugin.CodeInvalid, "the table %s has no column %q", t.Name, name)
		}
		parsed, err := parse(c.Type, v)
		if err != nil {
			err.Message = "the value of " + name + " " + err.Message
			return nil, err
		}
		out[name] = parsed
	}
	return out, nil
}

// check holds a table to its unique indexes and references.
func (db *DB) check(t *manifest.Table) *plugin.Error {
	for _, i := range t.Indexes {
		if !i.Unique {
			continue
		}
		seen := map[string]bool{}
		for _, r := range db.rows[t.Name] {
			id, null := values(r, i.Columns)
			if seen[id] && !null {
				return fault(plugin.CodeConflict, "another row of %s has the same %s", t.Name, strings.Join(i.Columns, ", "))
			}
			seen[id] = true
		}
	}
	for _, ref := range t.References {
		there := map[string]bool{}
		to := db.tables[ref.Table]
		for _, r := range db.rows[to.Name] {
			id, _ := values(r, to.PrimaryKey)
			there[id] = true
		}
		for _, r := range db.rows[t.Name] {
			if id, null := values(r, ref.Columns); !null && !there[id] {
				return fault(plugin.CodeConflict, "%s of %s names a row that %s does not have", strings.Join(ref.Columns, ", "), t.Name, to.Name)
			}
		}
	}
	return nil
}

// values writes the values of columns in a form that is the same only for the
// same values.
func values(r row, columns []string) (id string, null bool) {
	var b bytes.Buffer
	for _, c := range columns {
		null = null || r[c] == nil
		text := write(r[c])
		fmt.Fprintf(&b, "%d:%s", len(text), text)
	}
	return b.String(), null
}

func (db *DB) update(in v1.UpdateRequest) (int64, *plugin.Error) {
	t, err := db.table(in.Table)
	if err != nil {
		return 0, err
	}
	set, err := parseRow(t, in.Set)
	if err != nil {
		return 0, err
	}
	if len(set) == 0 {
		return 0, fault(plugin.CodeInvalid, "the update sets no column")
	}
	for _, c := range t.PrimaryKey {
		if _, ok := set[c]; ok {
			return 0, fault(plugin.CodeInvalid, "%s is part of the primary key of %s and cannot be set", c, t.Name)
		}
	}
	matched, err := db.matching(t, in.Where, in.Expect)
	if err != nil {
		return 0, err
	}
	for _, r := range matched {
		fresh := maps.Clone(r)
		maps.Copy(fresh, set)
		if err := whole(t, fresh); err != nil {
			return 0, err
		}
		db.store(t, fresh)
	}
	return int64(len(matched)), db.check(t)
}

func (db *DB) matching(t *manifest.Table, where *v1.Where, expect *int64) ([]row, *plugin.Error) {
	match, err := db.compile(scope{table: t}, where)
	if err != nil {
		return nil, err
	}
	var out []row
	for _, r := range db.rows[t.Name] {
		if match(r) {
			out = append(out, r)
		}
	}
	if expect != nil && *expect != int64(len(out)) {
		return nil, fault(plugin.CodeConflict, "%d rows of %s match, but %d were expected", len(out), t.Name, *expect)
	}
	return out, nil
}

func (db *DB) remove(in v1.DeleteRequest) (int64, *plugin.Error) {
	t, err := db.table(in.Table)
	if err != nil {
		return 0, err
	}
	matched, err := db.matching(t, in.Where, in.Expect)
	if err != nil {
		return 0, err
	}
	type wave struct {
		table *manifest.Table
		rows  []row
	}
	for waves := []wave{{t, matched}}; len(waves) > 0; waves = waves[1:] {
		w := waves[0]
		gone := map[string]bool{}
		for _, r := range w.rows {
			id, _ := values(r, w.table.PrimaryKey)
			gone[id] = true
		}
		db.rows[w.table.Name] = slices.DeleteFunc(slices.Clone(db.rows[w.table.Name]), func(r row) bool {
			id, _ := values(r, w.table.PrimaryKey)
			return gone[id]
		})
		for _, name := range db.order {
			from := db.tables[name]
			for _, ref := range from.References {
				if ref.Table != w.table.Name || ref.OnDelete != manifest.OnDeleteCascade {
					continue
				}
				var next []row
				for _, r := range db.rows[name] {
					if id, null := values(r, ref.Columns); !null && gone[id] {
						next = append(next, r)
					}
				}
				if len(next) > 0 {
					waves = append(waves, wave{from, next})
				}
			}
		}
	}
	for _, name := range db.order {
		if err := db.check(db.tables[name]); err != nil {
			return 0, fault(plugin.CodeConflict, "a row still refers to what would be removed: %s", err.Message)
		}
	}
	return int64(len(matched)), nil
}
