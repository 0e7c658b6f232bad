package table

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/query"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// Select returns one page of rows.
func (t *Tables) Select(ctx context.Context, in tablev1.SelectRequest) (out tablev1.SelectResponse, err error) {
	if in.Limit == 0 {
		in.Limit = tablev1.DefaultRows
	}
	if in.Limit < 0 || in.Limit > tablev1.MaxRows {
		return out, host.Errorf(host.CodeInvalid, "the limit is %d; it must be from 1 to %d", in.Limit, tablev1.MaxRows)
	}
	err = t.read(ctx, func(ctx context.Context, x *tx) error {
		s, err := x.selection(&in)
		if err != nil {
			return err
		}
		project, err := s.scope.Project(&in)
		if err != nil {
			return err
		}
		place, err := s.plan.Place(&in)
		if err != nil {
			return err
		}
		p := &page{in: &in, scan: s, project: project, size: 0}
		if s.plan.Sorted {
			s.plan.From(place)
			err = p.read(ctx)
		} else {
			err = p.sort(ctx, place)
		}
		out = tablev1.SelectResponse{Rows: p.rows, Next: p.next}
		return err
	})
	if out.Rows == nil {
		out.Rows = []json.RawMessage{}
	}
	return out, err
}

// selection compiles a request.
func (x *tx) selection(in *tablev1.SelectRequest) (*scan, error) {
	t, err := x.table(in.Table)
	if err != nil {
		return nil, err
	}
	s := &scan{x: x}
	if s.scope, err = query.NewScope(t, in.Joins); err != nil {
		return nil, err
	}
	if s.condition, err = s.scope.Compile(in.Where); err != nil {
		return nil, err
	}
	s.plan, err = s.scope.Plan(s.condition, in.Order)
	return s, err
}

// page is a page that is being read.
type page struct {
	in      *tablev1.SelectRequest
	scan    *scan
	project *query.Projection
	rows    []json.RawMessage
	size    int
	next    string
}

// add writes a row, and says whether the page has room for more.
func (p *page) add(row *query.Row) bool {
	doc := p.project.Write(row)
	p.rows = append(p.rows, doc)
	p.size += len(doc) + 1
	return len(p.rows) < p.in.Limit && p.size < tablev1.MaxPageBytes
}

// read takes the rows as the index gives them.
func (p *page) read(ctx context.Context) error {
	p.scan.first = p.in.Limit
	var last []byte
	unread, err := p.scan.run(ctx, func(row *query.Row, h hit) (bool, error) {
		last = h.entry
		return p.add(row), nil
	})
	if err == nil && unread {
		p.next = p.scan.plan.Cursor(p.in, last)
	}
	return err
}

// candidate is a row that may be on the page: where it sorts, and its key.
type candidate struct{ place, key []byte }

// sort reads all rows that match, keeps the places of those that come first
// behind the page before, and then reads these.
func (p *page) sort(ctx context.Context, after []byte) error {
	var best []candidate
	keep := func() {
		slices.SortFunc(best, func(a, b candidate) int { return bytes.Compare(a.place, b.place) })
		best = best[:min(len(best), p.in.Limit+1)]
	}
	sorted := 0
	_, err := p.scan.run(ctx, func(row *query.Row, h hit) (bool, error) {
		if sorted++; sorted > tablev1.MaxScan {
			return false, p.scan.plan.TooWide(p.scan.scope.Table, tablev1.MaxScan)
		}
		place := p.scan.plan.SortKey(row.Values, h.key)
		if len(place) > 4*tablev1.MaxKeyBytes {
			return false, host.Errorf(host.CodeLimit, "a value to sort by is longer than %d bytes", tablev1.MaxKeyBytes).
				WithHint("sort by shorter columns")
		}
		if bytes.Compare(place, after) <= 0 {
			return true, nil
		}
		if best = append(best, candidate{place, h.key}); len(best) > 4*tablev1.MaxRows {
			keep()
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	keep()
	return p.fetch(ctx, best)
}

// fetch reads the rows of the page, in parts so that few are held at a time.
func (p *page) fetch(ctx context.Context, best []candidate) error {
	for start := 0; start < len(best); start += firstRows {
		part := best[start:min(start+firstRows, len(best))]
		keys := make([][]byte, len(part))
		for i, c := range part {
			keys[i] = c.key
		}
		found, err := p.scan.x.byKeys(ctx, p.scan.scope.Table, keys)
		if err != nil {
			return err
		}
		rows := make([]*query.Row, len(part))
		for i, c := range part {
			rows[i] = &query.Row{Values: found[string(c.key)]}
		}
		if err := p.scan.x.join(ctx, p.scan.scope, rows); err != nil {
			return err
		}
		for i, row := range rows {
			if !p.add(row) {
				if start+i+1 < len(best) {
					p.next = p.scan.plan.Cursor(p.in, part[i].place)
				}
				return nil
			}
		}
	}
	return nil
}

// Aggregate returns figures of groups of rows.
func (t *Tables) Aggregate(ctx context.Context, in tablev1.AggregateRequest) (out tablev1.AggregateResponse, err error) {
	err = t.read(ctx, func(ctx context.Context, x *tx) error {
		s, err := x.selection(&tablev1.SelectRequest{Table: in.Table, Where: in.Where, Joins: in.Joins})
		if err != nil {
			return err
		}
		tally, err := s.scope.Tally(&in)
		if err != nil {
			return err
		}
		_, err = s.run(ctx, func(row *query.Row, _ hit) (bool, error) { return true, tally.Add(row) })
		if err != nil {
			return err
		}
		out.Groups, err = tally.Groups()
		return err
	})
	return out, err
}
