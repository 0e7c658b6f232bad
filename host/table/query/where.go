// Package query makes sense of a request to a plugin's tables: it checks
// conditions against the schema, finds the index that answers them, and adds up
// figures. It is all data in and data out; reading rows is package table's.
package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/schema"
	"github.com/callboard-dev/callboard/host/table/value"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// Row is a row with the rows that were joined to it; a joined row that is not
// there is nil.
type Row struct {
	Values []value.Value
	Joined [][]value.Value
}

// at returns the value of a column.
func (r *Row) at(c Column) value.Value {
	if c.Join < 0 {
		return r.Values[c.Place]
	}
	if joined := r.Joined[c.Join]; joined != nil {
		return joined[c.Place]
	}
	return value.Null()
}

// Scope is what a request can name: a table and the references that it joins.
type Scope struct {
	Table *schema.Table
	Joins []*schema.Reference
}

// NewScope finds the joins of a request.
func NewScope(t *schema.Table, joins []tablev1.Join) (Scope, error) {
	s := Scope{Table: t}
	for _, j := range joins {
		r := t.Reference(j.Reference)
		if r == nil {
			var known []string
			for _, r := range t.References {
				known = append(known, r.Name)
			}
			return s, host.Errorf(host.CodeInvalid, "the table %s has no reference %q", t.Name, clip(j.Reference)).
				WithHint("it has: %s", orNone(known))
		}
		if slices.Contains(s.Joins, r) {
			return s, host.Errorf(host.CodeInvalid, "the reference %s is joined twice", r.Name)
		}
		s.Joins = append(s.Joins, r)
	}
	return s, nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Column is a column that a request names.
type Column struct {
	Join  int // the place in Scope.Joins, or -1 for the table's own
	Place int
	Kind  value.Kind
}

// Column finds "column" or "join.column".
func (s Scope) Column(name string) (Column, error) {
	t, join, short := s.Table, -1, name
	if prefix, rest, ok := strings.Cut(name, "."); ok {
		join = slices.IndexFunc(s.Joins, func(r *schema.Reference) bool { return r.Name == prefix })
		if join < 0 {
			return Column{}, host.Errorf(host.CodeInvalid, "the column %q is of a reference that is not joined", clip(name)).
				WithHint("add the reference to joins")
		}
		t, short = s.Joins[join].To, rest
	}
	place := t.Column(short)
	if place < 0 {
		return Column{}, host.Errorf(host.CodeInvalid, "the table %s has no column %q", t.Name, clip(short)).
			WithHint("it has: %s", strings.Join(t.ColumnNames(), ", "))
	}
	return Column{Join: join, Place: place, Kind: t.Columns[place].Kind}, nil
}

func clip(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return strings.ToValidUTF8(s, "")
}

// Condition is a compiled where; nil is always true.
type Condition struct {
	op     string
	name   string
	column Column
	value  value.Value
	values []value.Value // of in, sorted
	args   []*Condition
}

// Compile checks a where against the scope.
func (s Scope) Compile(w *tablev1.Where) (*Condition, error) {
	if w == nil {
		return nil, nil
	}
	nodes := 0
	return s.compile(w, 1, &nodes)
}

func (s Scope) compile(w *tablev1.Where, depth int, nodes *int) (*Condition, error) {
	if *nodes++; *nodes > tablev1.MaxConditions || depth > tablev1.MaxDepth {
		return nil, host.Errorf(host.CodeInvalid, "the where has more than %d conditions, or they nest deeper than %d", tablev1.MaxConditions, tablev1.MaxDepth).
			WithHint("in takes many values in one condition")
	}
	c := &Condition{op: w.Op, name: w.Column}
	switch w.Op {
	case tablev1.OpAnd, tablev1.OpOr, tablev1.OpNot:
		if w.Op == tablev1.OpNot && len(w.Args) != 1 || w.Column != "" {
			return nil, host.Errorf(host.CodeInvalid, "%s takes args, and not exactly one", w.Op)
		}
		for i := range w.Args {
			arg, err := s.compile(&w.Args[i], depth+1, nodes)
			if err != nil {
				return nil, err
			}
			c.args = append(c.args, arg)
		}
		return c, nil
	case tablev1.OpEq, tablev1.OpNe, tablev1.OpLt, tablev1.OpLe, tablev1.OpGt, tablev1.OpGe, tablev1.OpIn, tablev1.OpPrefix, tablev1.OpIsNull:
		return c, s.leaf(c, w)
	}
	return nil, host.Errorf(host.CodeInvalid, "the operator is %q", clip(w.Op)).
		WithHint("known are eq, ne, lt, le, gt, ge, in, prefix, isNull, and, or, not")
}

// leaf compiles a condition on a column.
func (s Scope) leaf(c *Condition, w *tablev1.Where) (err error) {
	if c.column, err = s.Column(w.Column); err != nil {
		return err
	}
	k := c.column.Kind
	switch {
	case w.Op == tablev1.OpIsNull:
		return nil
	case !k.Sorts():
		return host.Errorf(host.CodeInvalid, "the column %s holds JSON, which cannot be compared", w.Column).
			WithHint("keep what you look for in a column of its own")
	case w.Op == tablev1.OpPrefix && !k.Strung():
		return host.Errorf(host.CodeInvalid, "prefix is for text and bytes, which %s is not", w.Column)
	case w.Op == tablev1.OpIn:
		return c.list(w)
	}
	if c.value, err = value.Parse(k, w.Value); err != nil {
		return badValue(w.Column, err)
	}
	if c.value.IsNull() {
		return host.Errorf(host.CodeInvalid, "%s of %s has no value to compare with", w.Op, w.Column).WithHint("isNull finds what is null")
	}
	return nil
}

func (c *Condition) list(w *tablev1.Where) error {
	if len(w.Values) > tablev1.MaxIn {
		return host.Errorf(host.CodeInvalid, "in has %d values, at most %d are allowed", len(w.Values), tablev1.MaxIn)
	}
	for _, raw := range w.Values {
		v, err := value.Parse(c.column.Kind, raw)
		if err != nil {
			return badValue(w.Column, err)
		}
		if !v.IsNull() {
			c.values = append(c.values, v)
		}
	}
	slices.SortFunc(c.values, value.Compare)
	c.values = slices.CompactFunc(c.values, func(a, b value.Value) bool { return value.Compare(a, b) == 0 })
	return nil
}

func badValue(column string, err error) error {
	return host.Errorf(host.CodeInvalid, "the value for %s %v", clip(column), err)
}

// Match reports whether the row fulfils the condition.
func (c *Condition) Match(r *Row) bool {
	if c == nil {
		return true
	}
	switch c.op {
	case tablev1.OpAnd:
		return !slices.ContainsFunc(c.args, func(a *Condition) bool { return !a.Match(r) })
	case tablev1.OpOr:
		return slices.ContainsFunc(c.args, func(a *Condition) bool { return a.Match(r) })
	case tablev1.OpNot:
		return !c.args[0].Match(r)
	}
	v := r.at(c.column)
	switch c.op {
	case tablev1.OpIsNull:
		return v.IsNull()
	case tablev1.OpNe:
		return value.Compare(v, c.value) != 0
	case tablev1.OpEq:
		return value.Compare(v, c.value) == 0
	case tablev1.OpIn:
		_, found := slices.BinarySearchFunc(c.values, v, value.Compare)
		return found
	}
	if v.IsNull() {
		return false
	}
	order := value.Compare(v, c.value)
	switch c.op {
	case tablev1.OpLt:
		return order < 0
	case tablev1.OpLe:
		return order <= 0
	case tablev1.OpGt:
		return order > 0
	case tablev1.OpGe:
		return order >= 0
	default:
		return value.HasPrefix(v, c.value)
	}
}

// conjuncts returns the conditions on the table's own columns that must all
// hold.
func (c *Condition) conjuncts() []*Condition {
	switch {
	case c == nil:
		return nil
	case c.op == tablev1.OpAnd:
		var out []*Condition
		for _, a := range c.args {
			out = append(out, a.conjuncts()...)
		}
		return out
	case c.op == tablev1.OpOr, c.op == tablev1.OpNot, c.op == tablev1.OpNe, c.column.Join >= 0:
		return nil
	}
	return []*Condition{c}
}

// Joins reports whether the condition looks at joined rows.
func (c *Condition) Joins() bool {
	if c == nil {
		return false
	}
	return len(c.args) == 0 && c.column.Join >= 0 && c.name != "" || slices.ContainsFunc(c.args, (*Condition).Joins)
}

// String names the operators and columns, for logs: no values.
func (c *Condition) String() string {
	if c == nil {
		return "true"
	}
	if len(c.args) == 0 {
		return fmt.Sprintf("%s(%s)", c.op, c.name)
	}
	parts := make([]string, len(c.args))
	for i, a := range c.args {
		parts[i] = a.String()
	}
	return c.op + "(" + strings.Join(parts, ",") + ")"
}
