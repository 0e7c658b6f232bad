package query

import (
	"bytes"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/schema"
	"github.com/callboard-dev/callboard/host/table/value"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// maxRanges is into how many ranges of an index lists of values may unfold.
const maxRanges = 64

// Range is a part of an index: entries from Lo on, before Hi. Nil is open.
type Range struct{ Lo, Hi []byte }

// Plan is how rows are found.
type Plan struct {
	Index *schema.Index
	// Ranges are sorted and do not overlap. No range means no row.
	Ranges []Range
	// Desc reads the ranges from their ends.
	Desc bool
	// Sorted says that rows come in the order that was asked for.
	Sorted bool
	// Order is what rows are sorted by.
	Order []Term
	// advice are the columns of the index that would serve the request.
	advice []string
}

// Term is one column of an order.
type Term struct {
	Place int
	Desc  bool
}

// order compiles the order of a request.
func (s Scope) order(orders []tablev1.Order) ([]Term, error) {
	var out []Term
	for _, o := range orders {
		c, err := s.Column(o.Column)
		if err != nil {
			return nil, err
		}
		if c.Join >= 0 {
			return nil, host.Errorf(host.CodeInvalid, "rows cannot be sorted by %q, a column of a joined row", clip(o.Column))
		}
		if !c.Kind.Sorts() {
			return nil, host.Errorf(host.CodeInvalid, "rows cannot be sorted by %s, which holds JSON", o.Column)
		}
		if slices.ContainsFunc(out, func(t Term) bool { return t.Place == c.Place }) {
			return nil, host.Errorf(host.CodeInvalid, "the order names %s twice", o.Column)
		}
		out = append(out, Term{Place: c.Place, Desc: o.Desc})
	}
	return out, nil
}

// Plan chooses an index for conditions and an order.
func (s Scope) Plan(c *Condition, orders []tablev1.Order) (*Plan, error) {
	terms, err := s.order(orders)
	if err != nil {
		return nil, err
	}
	b := bind(c)
	var best *Plan
	most := -1
	for _, index := range s.Table.Indexes {
		p, score := b.plan(index, terms)
		if score > most {
			best, most = p, score
		}
	}
	best.Order = terms
	best.advice = b.advice(s.Table, terms)
	return best, nil
}

// bounds are what conditions say of one column.
type bounds struct {
	points []value.Value // of eq, in and isNull; sorted
	point  bool
	lo, hi []byte // lo inclusive, hi exclusive; nil is open
	ranged bool
}

// bindings are the bounds of columns.
type bindings map[int]*bounds

// bind collects what the conjuncts say of each column. Of two that say the same
// kind of thing one is taken: the rows are checked against all of them anyway.
func bind(c *Condition) bindings {
	out := bindings{}
	for _, leaf := range c.conjuncts() {
		b := out[leaf.column.Place]
		if b == nil {
			b = &bounds{}
			out[leaf.column.Place] = b
		}
		b.add(leaf)
	}
	return out
}

func (b *bounds) add(c *Condition) {
	switch c.op {
	case tablev1.OpEq:
		b.points, b.point = []value.Value{c.value}, true
	case tablev1.OpIsNull:
		b.points, b.point = []value.Value{value.Null()}, true
	case tablev1.OpIn:
		if !b.point || len(c.values) < len(b.points) {
			b.points, b.point = c.values, true
		}
	case tablev1.OpLt:
		b.limit(nil, c.value)
	case tablev1.OpLe:
		b.limit(nil, value.After(c.value))
	case tablev1.OpGt:
		b.limit(value.After(c.value), nil)
	case tablev1.OpGe:
		b.limit(c.value, nil)
	case tablev1.OpPrefix:
		b.limit(value.Stem(c.value), value.After(value.Stem(c.value)))
	}
}

// limit narrows the range; it never holds null.
func (b *bounds) limit(lo, hi []byte) {
	if b.ranged = true; lo == nil {
		lo = value.After(value.Null())
	}
	if bytes.Compare(lo, b.lo) > 0 {
		b.lo = lo
	}
	if hi != nil && (b.hi == nil || bytes.Compare(hi, b.hi) < 0) {
		b.hi = hi
	}
}

// plan says how an index would serve, and how well.
func (b bindings) plan(index *schema.Index, terms []Term) (*Plan, int) {
	prefixes := [][]byte{nil}
	used, score := 0, 0
	for _, column := range index.Columns {
		bound := b[column]
		if bound == nil || !bound.point || len(prefixes)*len(bound.points) > maxRanges {
			break
		}
		prefixes = unfold(prefixes, bound.points)
		used++
		score += 10
	}
	p := &Plan{Index: index}
	if used < len(index.Columns) && b[index.Columns[used]] != nil && b[index.Columns[used]].ranged {
		score += 5
		p.Ranges = ranges(prefixes, b[index.Columns[used]])
	} else {
		p.Ranges = ranges(prefixes, &bounds{})
	}
	if used == len(index.Columns) && index.Unique {
		score += 1000
	}
	if p.Sorted, p.Desc = b.sorted(index, terms); p.Sorted {
		score += 3
	}
	if index.Primary() {
		score++
	}
	return p, score
}

func unfold(prefixes [][]byte, points []value.Value) [][]byte {
	out := make([][]byte, 0, len(prefixes)*len(points))
	for _, p := range prefixes {
		for _, v := range points {
			out = append(out, append(bytes.Clone(p), v...))
		}
	}
	return out
}

func ranges(prefixes [][]byte, b *bounds) []Range {
	out := make([]Range, 0, len(prefixes))
	for _, p := range prefixes {
		r := Range{Lo: append(bytes.Clone(p), b.lo...), Hi: value.After(p)}
		if b.hi != nil {
			r.Hi = append(bytes.Clone(p), b.hi...)
		}
		if r.Hi == nil || bytes.Compare(r.Lo, r.Hi) < 0 {
			out = append(out, r)
		}
	}
	return out
}

// sorted reports whether the index gives the order, and from which end.
func (b bindings) sorted(index *schema.Index, terms []Term) (ok, desc bool) {
	fixed := func(column int) bool { return b[column] != nil && b[column].point && len(b[column].points) == 1 }
	terms = slices.DeleteFunc(slices.Clone(terms), func(t Term) bool { return fixed(t.Place) })
	if len(terms) == 0 {
		return true, false
	}
	columns := slices.DeleteFunc(slices.Clone(index.Columns), fixed)
	if len(columns) < len(terms) {
		return false, false
	}
	for i, t := range terms {
		if columns[i] != t.Place || t.Desc != terms[0].Desc {
			return false, false
		}
	}
	return true, terms[0].Desc
}

// advice returns the columns of an index that would answer the request: those
// that are equal to something, then what is sorted by or ranges.
func (b bindings) advice(t *schema.Table, terms []Term) []string {
	var out []string
	add := func(column int) {
		if name := t.Columns[column].Name; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for i := range t.Columns {
		if b[i] != nil && b[i].point {
			add(i)
		}
	}
	for _, term := range terms {
		add(term.Place)
	}
	for i := range t.Columns {
		if b[i] != nil && b[i].ranged && len(terms) == 0 {
			add(i)
			break
		}
	}
	return out
}

// TooWide is the error of a request that looked at too many rows.
func (p *Plan) TooWide(t *schema.Table, limit int) error {
	e := host.Errorf(host.CodeLimit, "the request looks at more than %d rows of %s", limit, t.Name)
	if names := t.Names(p.Index.Columns); len(p.advice) > 0 && (len(names) < len(p.advice) || !slices.Equal(names[:len(p.advice)], p.advice)) {
		return e.WithHint("declare an index on [%s] of the table %s, or narrow the conditions", strings.Join(p.advice, ", "), t.Name)
	}
	return e.WithHint("narrow the conditions: only eq, in, isNull, comparisons and prefix that are joined by and use an index")
}

// SortKey is what rows are sorted by where no index does it: as bytes, the
// primary key last.
func (p *Plan) SortKey(values []value.Value, key []byte) []byte {
	var out []byte
	for _, t := range p.Order {
		v := values[t.Place]
		if !t.Desc {
			out = append(out, v...)
			continue
		}
		for _, b := range v {
			out = append(out, ^b)
		}
	}
	return append(out, key...)
}
