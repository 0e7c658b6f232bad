package query

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/value"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// maxFigures is how many figures and columns of a group a request may ask for.
const maxFigures = 32

// Tally adds rows up to groups.
type Tally struct {
	names   []string
	by      []Column
	figures []figure
	groups  map[string]*group
}

// figure is one compiled aggregate.
type figure struct {
	fn     string
	as     string
	column Column
	counts bool // count of rows: no column
}

// group is what is known of one group so far.
type group struct {
	values []value.Value
	cells  []cell
}

type cell struct {
	count int64
	sum   value.Sum
	edge  value.Value
}

// Tally compiles what a request wants to know.
func (s Scope) Tally(in *tablev1.AggregateRequest) (*Tally, error) {
	if len(in.Aggregates) == 0 || len(in.Aggregates)+len(in.GroupBy) > maxFigures {
		return nil, host.Errorf(host.CodeInvalid, "the request has %d aggregates and %d columns to group by; it must have at least one aggregate and at most %d of both",
			len(in.Aggregates), len(in.GroupBy), maxFigures)
	}
	t := &Tally{groups: map[string]*group{}}
	for _, name := range in.GroupBy {
		c, err := s.Column(name)
		if err != nil {
			return nil, err
		}
		if !c.Kind.Sorts() {
			return nil, host.Errorf(host.CodeInvalid, "rows cannot be grouped by %s, which holds JSON", name)
		}
		if err := t.name(name); err != nil {
			return nil, err
		}
		t.by = append(t.by, c)
	}
	for _, a := range in.Aggregates {
		f, err := s.figure(a)
		if err != nil {
			return nil, err
		}
		if err := t.name(a.As); err != nil {
			return nil, err
		}
		t.figures = append(t.figures, f)
	}
	return t, nil
}

// name takes a name of the answer, once.
func (t *Tally) name(name string) error {
	if name == "" || len(name) > 100 || slices.Contains(t.names, name) {
		return host.Errorf(host.CodeInvalid, "the name %q of a figure is empty, too long or there twice", clip(name)).WithHint("give each aggregate an as of its own")
	}
	t.names = append(t.names, name)
	return nil
}

func (s Scope) figure(a tablev1.Aggregate) (figure, error) {
	f := figure{fn: a.Fn, as: a.As, counts: a.Column == ""}
	if f.counts {
		if a.Fn != tablev1.FnCount {
			return f, host.Errorf(host.CodeInvalid, "the aggregate %q names no column", clip(a.As)).WithHint("count alone does without")
		}
		return f, nil
	}
	c, err := s.Column(a.Column)
	if err != nil {
		return f, err
	}
	f.column = c
	switch a.Fn {
	case tablev1.FnCount:
	case tablev1.FnMin, tablev1.FnMax:
		if !c.Kind.Sorts() {
			return f, host.Errorf(host.CodeInvalid, "%s of %s is not possible: it holds JSON", a.Fn, a.Column)
		}
	case tablev1.FnSum, tablev1.FnAvg:
		if c.Kind != value.Integer && c.Kind != value.Number && c.Kind != value.Decimal {
			return f, host.Errorf(host.CodeInvalid, "%s of %s is not possible: it holds no numbers", a.Fn, a.Column)
		}
	default:
		return f, host.Errorf(host.CodeInvalid, "the function is %q", clip(a.Fn)).WithHint("known are count, sum, min, max, avg")
	}
	return f, nil
}

// Add adds a row.
func (t *Tally) Add(r *Row) error {
	var key []byte
	values := make([]value.Value, len(t.by))
	for i, c := range t.by {
		values[i] = r.at(c)
		key = append(key, values[i]...)
	}
	g := t.groups[string(key)]
	if g == nil {
		if len(t.groups) == tablev1.MaxGroups {
			return host.Errorf(host.CodeLimit, "the request makes more than %d groups", tablev1.MaxGroups).WithHint("narrow the conditions, or group by fewer columns")
		}
		for i := range values {
			values[i] = bytes.Clone(values[i])
		}
		g = &group{values: values, cells: make([]cell, len(t.figures))}
		t.groups[string(key)] = g
	}
	for i, f := range t.figures {
		g.cells[i].add(f, r)
	}
	return nil
}

func (c *cell) add(f figure, r *Row) {
	if f.counts {
		c.count++
		return
	}
	v := r.at(f.column)
	if v.IsNull() {
		return
	}
	switch c.count++; f.fn {
	case tablev1.FnSum, tablev1.FnAvg:
		c.sum.Add(f.column.Kind, v)
	case tablev1.FnMin:
		if c.edge == nil || value.Compare(v, c.edge) < 0 {
			c.edge = bytes.Clone(v)
		}
	case tablev1.FnMax:
		if c.edge == nil || value.Compare(v, c.edge) > 0 {
			c.edge = bytes.Clone(v)
		}
	}
}

// Groups writes the groups, sorted.
func (t *Tally) Groups() ([]json.RawMessage, error) {
	if len(t.by) == 0 && len(t.groups) == 0 {
		t.groups[""] = &group{cells: make([]cell, len(t.figures))}
	}
	out := make([]json.RawMessage, 0, len(t.groups))
	for _, key := range slices.Sorted(maps.Keys(t.groups)) {
		g := t.groups[key]
		o := object{b: []byte{'{'}}
		for i, c := range t.by {
			o.value(t.names[i], c.Kind, g.values[i])
		}
		for i, f := range t.figures {
			if err := o.figure(f, &g.cells[i]); err != nil {
				return nil, err
			}
		}
		out = append(out, o.end())
	}
	return out, nil
}

func (o *object) figure(f figure, c *cell) (err error) {
	o.key(f.as)
	switch f.fn {
	case tablev1.FnCount:
		o.b = value.AppendJSON(o.b, value.Integer, value.OfInteger(c.count))
	case tablev1.FnMin, tablev1.FnMax:
		o.b = value.AppendJSON(o.b, f.column.Kind, c.edge)
	case tablev1.FnSum:
		o.b, err = c.sum.AppendTotal(o.b, f.column.Kind)
	case tablev1.FnAvg:
		o.b, err = c.sum.AppendMean(o.b, f.column.Kind)
	}
	if err != nil {
		return host.Errorf(host.CodeLimit, "%s of %s: %v", f.fn, f.as, err).WithHint("use a decimal column")
	}
	return nil
}

// object writes a JSON object.
type object struct{ b []byte }

func (o *object) key(name string) {
	if len(o.b) > 1 {
		o.b = append(o.b, ',')
	}
	quoted, err := json.Marshal(name)
	if err != nil {
		quoted = []byte(`""`) // cannot be: strings always encode
	}
	o.b = append(append(o.b, quoted...), ':')
}

func (o *object) value(name string, k value.Kind, v value.Value) {
	o.key(name)
	o.b = value.AppendJSON(o.b, k, v)
}

func (o *object) end() json.RawMessage { return append(o.b, '}') }
