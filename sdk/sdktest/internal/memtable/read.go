package memtable

import (
	"encoding/json"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	v1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// scope is what a request can name.
type scope struct {
	table *manifest.Table
	joins []manifest.Reference
}

func newScope(t *manifest.Table, joins []v1.Join) (scope, *plugin.Error) {
	s := scope{table: t}
	for _, j := range joins {
		i := slices.IndexFunc(t.References, func(r manifest.Reference) bool { return r.Name == j.Reference })
		if i < 0 {
			return s, fault(plugin.CodeInvalid, "the table %s has no reference %q", t.Name, j.Reference)
		}
		s.joins = append(s.joins, t.References[i])
	}
	return s, nil
}

// joined returns the row to which a reference leads, or nil.
func (db *DB) joined(ref manifest.Reference, r row) row {
	to := db.tables[ref.Table]
	want := row{}
	for i, c := range ref.Columns {
		if r[c] == nil {
			return nil
		}
		want[to.PrimaryKey[i]] = r[c]
	}
	if i, there := db.find(to, want); there {
		return db.rows[to.Name][i]
	}
	return nil
}

// column finds "column" or "join.column", and how to read it.
func (db *DB) column(s scope, name string) (*manifest.Column, func(row) any, *plugin.Error) {
	prefix, rest, dotted := strings.Cut(name, ".")
	if !dotted {
		if c := column(s.table, name); c != nil {
			return c, func(r row) any { return r[name] }, nil
		}
		return nil, nil, fault(plugin.CodeInvalid, "the table %s has no column %q", s.table.Name, name)
	}
	for _, ref := range s.joins {
		if ref.Name != prefix {
			continue
		}
		if c := column(db.tables[ref.Table], rest); c != nil {
			return c, func(r row) any {
				if other := db.joined(ref, r); other != nil {
					return other[rest]
				}
				return nil
			}, nil
		}
	}
	return nil, nil, fault(plugin.CodeInvalid, "there is no column %q", name)
}

// compile makes a where a function.
func (db *DB) compile(s scope, w *v1.Where) (func(row) bool, *plugin.Error) {
	if w == nil {
		return func(row) bool { return true }, nil
	}
	var args []func(row) bool
	for i := range w.Args {
		f, err := db.compile(s, &w.Args[i])
		if err != nil {
			return nil, err
		}
		args = append(args, f)
	}
	switch w.Op {
	case v1.OpAnd:
		return func(r row) bool { return !slices.ContainsFunc(args, func(f func(row) bool) bool { return !f(r) }) }, nil
	case v1.OpOr:
		return func(r row) bool { return slices.ContainsFunc(args, func(f func(row) bool) bool { return f(r) }) }, nil
	case v1.OpNot:
		if len(args) != 1 {
			return nil, fault(plugin.CodeInvalid, "not takes one of args")
		}
		return func(r row) bool { return !args[0](r) }, nil
	}
	return db.leaf(s, w)
}

func (db *DB) leaf(s scope, w *v1.Where) (func(row) bool, *plugin.Error) {
	c, read, err := db.column(s, w.Column)
	if err != nil {
		return nil, err
	}
	if w.Op == v1.OpIsNull {
		return func(r row) bool { return read(r) == nil }, nil
	}
	if c.Type == manifest.ColumnJSON {
		return nil, fault(plugin.CodeInvalid, "the column %s holds JSON, which cannot be compared", w.Column)
	}
	var list []any
	raws := w.Values
	if w.Op != v1.OpIn {
		raws = []json.RawMessage{w.Value}
	}
	for _, raw := range raws {
		v, err := parse(c.Type, raw)
		if err != nil {
			return nil, err
		}
		if v == nil && w.Op != v1.OpIn {
			return nil, fault(plugin.CodeInvalid, "%s of %s has no value to compare with", w.Op, w.Column)
		}
		list = append(list, v)
	}
	test := tests[w.Op]
	if test == nil || w.Op == v1.OpPrefix && c.Type != manifest.ColumnText && c.Type != manifest.ColumnBytes {
		return nil, fault(plugin.CodeInvalid, "the operator %q does not fit %s", w.Op, w.Column)
	}
	return func(r row) bool { return test(read(r), list) }, nil
}

// tests are the operators on one column.
var tests = map[string]func(v any, list []any) bool{
	v1.OpEq: func(v any, l []any) bool { return v != nil && compare(v, l[0]) == 0 },
	v1.OpNe: func(v any, l []any) bool { return v == nil || compare(v, l[0]) != 0 },
	v1.OpLt: func(v any, l []any) bool { return v != nil && compare(v, l[0]) < 0 },
	v1.OpLe: func(v any, l []any) bool { return v != nil && compare(v, l[0]) <= 0 },
	v1.OpGt: func(v any, l []any) bool { return v != nil && compare(v, l[0]) > 0 },
	v1.OpGe: func(v any, l []any) bool { return v != nil && compare(v, l[0]) >= 0 },
	v1.OpIn: func(v any, l []any) bool {
		return v != nil && slices.ContainsFunc(l, func(o any) bool { return o != nil && compare(v, o) == 0 })
	},
	v1.OpPrefix: func(v any, l []any) bool {
		if text, ok := v.(string); ok {
			return strings.HasPrefix(text, l[0].(string))
		}
		raw, ok := v.([]byte)
		return ok && strings.HasPrefix(string(raw), string(l[0].([]byte)))
	},
}

// Select returns one page.
func (db *DB) Select(in v1.SelectRequest) (out v1.SelectResponse, err *plugin.Error) {
	out.Rows = []json.RawMessage{}
	if in.Limit == 0 {
		in.Limit = v1.DefaultRows
	}
	if in.Limit < 0 || in.Limit > v1.MaxRows {
		return out, fault(plugin.CodeInvalid, "the limit must be from 1 to %d", v1.MaxRows)
	}
	t, err := db.table(in.Table)
	if err != nil {
		return out, err
	}
	s, err := newScope(t, in.Joins)
	if err != nil {
		return out, err
	}
	rows, err := db.sorted(s, in)
	if err != nil {
		return out, err
	}
	start := 0
	if in.Cursor != "" {
		n, bad := strconv.Atoi(in.Cursor)
		if bad != nil || n < 0 {
			return out, fault(plugin.CodeInvalid, "the cursor cannot be read")
		}
		start = min(n, len(rows))
	}
	for _, r := range rows[start:min(start+in.Limit, len(rows))] {
		doc, err := db.project(s, in, r)
		if err != nil {
			return out, err
		}
		out.Rows = append(out.Rows, doc)
	}
	if end := start + in.Limit; end < len(rows) {
		out.Next = strconv.Itoa(end)
	}
	return out, nil
}

func (db *DB) sorted(s scope, in v1.SelectRequest) ([]row, *plugin.Error) {
	match, err := db.compile(s, in.Where)
	if err != nil {
		return nil, err
	}
	for _, o := range in.Order {
		if c := column(s.table, o.Column); c == nil || c.Type == manifest.ColumnJSON {
			return nil, fault(plugin.CodeInvalid, "rows cannot be sorted by %q", o.Column)
		}
	}
	var rows []row
	for _, r := range db.rows[s.table.Name] {
		if match(r) {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		for _, o := range in.Order {
			if n := compare(a[o.Column], b[o.Column]); n != 0 && o.Desc {
				return -n
			} else if n != 0 {
				return n
			}
		}
		return 0
	})
	return rows, nil
}

func (db *DB) project(s scope, in v1.SelectRequest, r row) (json.RawMessage, *plugin.Error) {
	doc, err := object(s.table, in.Columns, r)
	if err != nil {
		return nil, err
	}
	for i, j := range in.Joins {
		inner := "null"
		if other := db.joined(s.joins[i], r); other != nil {
			if inner, err = object(db.tables[s.joins[i].Table], j.Columns, other); err != nil {
				return nil, err
			}
		}
		doc = strings.TrimSuffix(doc, "}") + "," + strconv.Quote(j.Reference) + ":" + inner + "}"
	}
	return json.RawMessage(doc), nil
}

func object(t *manifest.Table, names []string, r row) (string, *plugin.Error) {
	if len(names) == 0 {
		for _, c := range t.Columns {
			names = append(names, c.Name)
		}
	}
	parts := make([]string, len(names))
	for i, name := range names {
		if column(t, name) == nil {
			return "", fault(plugin.CodeInvalid, "the table %s has no column %q", t.Name, name)
		}
		parts[i] = strconv.Quote(name) + ":" + write(r[name])
	}
	return "{" + strings.Join(parts, ",") + "}", nil
}

// Aggregate returns figures of groups.
func (db *DB) Aggregate(in v1.AggregateRequest) (out v1.AggregateResponse, err *plugin.Error) {
	out.Groups = []json.RawMessage{}
	t, err := db.table(in.Table)
	if err != nil {
		return out, err
	}
	s, err := newScope(t, in.Joins)
	if err != nil {
		return out, err
	}
	rows, err := db.sorted(s, v1.SelectRequest{Where: in.Where})
	if err != nil {
		return out, err
	}
	if len(in.Aggregates) == 0 {
		return out, fault(plugin.CodeInvalid, "the request has no aggregates")
	}
	reads := make([]func(row) any, len(in.GroupBy))
	for i, name := range in.GroupBy {
		if _, reads[i], err = db.column(s, name); err != nil {
			return out, err
		}
	}
	groups := map[string][]row{}
	for _, r := range rows {
		group := row{}
		for i, name := range in.GroupBy {
			group[name] = reads[i](r)
		}
		id, _ := values(group, in.GroupBy)
		groups[id] = append(groups[id], r)
	}
	if len(in.GroupBy) == 0 && len(rows) == 0 {
		groups[""] = nil
	}
	ids := slices.SortedFunc(maps.Keys(groups), func(a, b string) int {
		for _, read := range reads {
			if n := compare(read(groups[a][0]), read(groups[b][0])); n != 0 {
				return n
			}
		}
		return 0
	})
	for _, id := range ids {
		var parts []string
		for i, name := range in.GroupBy {
			parts = append(parts, strconv.Quote(name)+":"+write(reads[i](groups[id][0])))
		}
		for _, a := range in.Aggregates {
			v, err := db.figure(s, a, groups[id])
			if err != nil {
				return out, err
			}
			parts = append(parts, strconv.Quote(a.As)+":"+v)
		}
		out.Groups = append(out.Groups, json.RawMessage("{"+strings.Join(parts, ",")+"}"))
	}
	return out, nil
}

func (db *DB) figure(s scope, a v1.Aggregate, rows []row) (string, *plugin.Error) {
	if a.Column == "" && a.Fn == v1.FnCount {
		return strconv.Itoa(len(rows)), nil
	}
	c, read, err := db.column(s, a.Column)
	if err != nil {
		return "", err
	}
	var list []any
	for _, r := range rows {
		if v := read(r); v != nil {
			list = append(list, v)
		}
	}
	switch {
	case a.Fn == v1.FnCount:
		return strconv.Itoa(len(list)), nil
	case len(list) == 0:
		return "null", nil
	case a.Fn == v1.FnMin:
		return write(slices.MinFunc(list, compare)), nil
	case a.Fn == v1.FnMax:
		return write(slices.MaxFunc(list, compare)), nil
	case a.Fn == v1.FnSum, a.Fn == v1.FnAvg:
		return total(c.Type, a.Fn == v1.FnAvg, list)
	}
	return "", fault(plugin.CodeInvalid, "the function is %q", a.Fn)
}

// total adds values up, or averages them.
func total(kind string, mean bool, list []any) (string, *plugin.Error) {
	exact, float := new(big.Rat), 0.0
	for _, v := range list {
		switch v := v.(type) {
		case int64:
			exact.Add(exact, new(big.Rat).SetInt64(v))
		case *big.Rat:
			exact.Add(exact, v)
		case float64:
			float += v
		default:
			return "", fault(plugin.CodeInvalid, "a %s cannot be added up", kind)
		}
	}
	if kind == manifest.ColumnNumber {
		if mean {
			float /= float64(len(list))
		}
		if math.IsInf(float, 0) {
			return "", fault(plugin.CodeLimit, "the sum is too large for the column's type")
		}
		return write(float), nil
	}
	if mean {
		return strconv.Quote(plain(halfEven(exact.Quo(exact, new(big.Rat).SetInt64(int64(len(list)))), 12))), nil
	}
	if kind == manifest.ColumnInteger {
		if !exact.Num().IsInt64() {
			return "", fault(plugin.CodeLimit, "the sum is too large for the column's type")
		}
		return exact.Num().String(), nil
	}
	return write(exact), nil
}

// halfEven rounds to so many places, of two equally near to the even one.
func halfEven(r *big.Rat, places int64) *big.Rat {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(places), nil)
	n := new(big.Int).Mul(r.Num(), scale)
	quotient, rest := new(big.Int).DivMod(n, r.Denom(), new(big.Int))
	if c := rest.Lsh(rest, 1).Cmp(r.Denom()); c > 0 || c == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(1))
	}
	return new(big.Rat).SetFrac(quotient, scale)
}
