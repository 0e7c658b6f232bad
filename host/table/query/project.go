package query

import (
	"encoding/json"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/schema"
	"github.com/callboard-dev/callboard/host/table/value"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// Projection writes rows as a request wants them.
type Projection struct {
	table  *schema.Table
	own    []int
	joined []joined
}

type joined struct {
	name    string
	table   *schema.Table
	columns []int
}

// Project compiles the columns of a request.
func (s Scope) Project(in *tablev1.SelectRequest) (*Projection, error) {
	own, err := places(s.Table, in.Columns)
	if err != nil {
		return nil, err
	}
	p := &Projection{table: s.Table, own: own}
	for i, j := range in.Joins {
		columns, err := places(s.Joins[i].To, j.Columns)
		if err != nil {
			return nil, err
		}
		p.joined = append(p.joined, joined{name: j.Reference, table: s.Joins[i].To, columns: columns})
	}
	return p, nil
}

// places finds columns by name; no names mean all.
func places(t *schema.Table, names []string) ([]int, error) {
	if len(names) == 0 {
		out := make([]int, len(t.Columns))
		for i := range out {
			out[i] = i
		}
		return out, nil
	}
	seen := map[int]bool{}
	var out []int
	for _, name := range names {
		c, err := (Scope{Table: t}).Column(name)
		if err != nil {
			return nil, err
		}
		if seen[c.Place] {
			return nil, host.Errorf(host.CodeInvalid, "the columns name %s twice", name)
		}
		seen[c.Place] = true
		out = append(out, c.Place)
	}
	return out, nil
}

// Write writes a row as a JSON object.
func (p *Projection) Write(r *Row) json.RawMessage {
	o := object{b: []byte{'{'}}
	o.columns(p.table, p.own, r.Values)
	for i, j := range p.joined {
		o.key(j.name)
		if r.Joined[i] == nil {
			o.b = append(o.b, "null"...)
			continue
		}
		inner := object{b: []byte{'{'}}
		inner.columns(j.table, j.columns, r.Joined[i])
		o.b = append(o.b, inner.end()...)
	}
	return o.end()
}

func (o *object) columns(t *schema.Table, places []int, values []value.Value) {
	for _, c := range places {
		o.value(t.Columns[c].Name, t.Columns[c].Kind, values[c])
	}
}
