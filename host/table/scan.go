package table

import (
	"bytes"
	"context"
	"slices"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/query"
	"github.com/callboard-dev/callboard/host/table/schema"
	"github.com/callboard-dev/callboard/host/table/value"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// Sizes of what a scan reads at a time.
const (
	firstRows = 32
	mostRows  = 256
	joinRows  = 128
	mostBytes = 4 << 20
)

// scan is a walk over the rows of a plan that match.
type scan struct {
	x         *tx
	scope     query.Scope
	plan      *query.Plan
	condition *query.Condition
	// first is how many rows to read at first; 0 leaves it to the scan.
	first int

	looked, wasted int
}

// visit is called for each row; it says whether it wants more. The row is good
// until it returns.
type visit func(row *query.Row, h hit) (more bool, err error)

// run walks. unread says that the visitor stopped before the end.
func (s *scan) run(ctx context.Context, each visit) (unread bool, err error) {
	ranges := slices.Clone(s.plan.Ranges)
	if s.plan.Desc {
		slices.Reverse(ranges)
	}
	most := mostRows
	if len(s.scope.Joins) > 0 {
		most = joinRows
	}
	n := min(most, max(1, s.first))
	if s.first == 0 {
		n = firstRows
	}
	for i, r := range ranges {
		for {
			w := window{table: s.scope.Table, index: s.plan.Index, Range: r, desc: s.plan.Desc, limit: n, bytes: mostBytes}
			hits, full, err := s.x.look(ctx, w)
			if err != nil {
				return false, err
			}
			n = min(most, 4*n)
			stopped, rest, err := s.batch(ctx, hits, each)
			if err != nil || stopped {
				return rest || full || i < len(ranges)-1, err
			}
			if !full {
				break
			}
			if last := hits[len(hits)-1].entry; s.plan.Desc {
				r.Hi = last
			} else {
				r.Lo = append(bytes.Clone(last), 0)
			}
		}
	}
	return false, nil
}

// batch shows the hits that match. rest says that hits were left when the
// visitor stopped.
func (s *scan) batch(ctx context.Context, hits []hit, each visit) (stopped, rest bool, err error) {
	rows := make([]*query.Row, len(hits))
	for i, h := range hits {
		values, err := decode(s.scope.Table, h.doc)
		if err != nil {
			return false, false, err
		}
		rows[i] = &query.Row{Values: values}
	}
	if late := !s.condition.Joins(); late {
		s.filter(rows)
	}
	if err := s.x.join(ctx, s.scope, rows); err != nil {
		return false, false, err
	}
	if s.condition.Joins() {
		s.filter(rows)
	}
	for i, row := range rows {
		if s.looked++; row == nil {
			s.wasted++
		}
		if s.wasted > tablev1.MaxScan {
			return false, false, s.plan.TooWide(s.scope.Table, tablev1.MaxScan)
		}
		if s.looked > tablev1.MaxLook {
			return false, false, s.plan.TooWide(s.scope.Table, tablev1.MaxLook)
		}
		if row == nil {
			continue
		}
		if more, err := each(row, hits[i]); err != nil || !more {
			return true, i < len(rows)-1, err
		}
	}
	return false, false, ctx.Err()
}

// filter sets rows that do not match to nil.
func (s *scan) filter(rows []*query.Row) {
	for i, row := range rows {
		if !s.condition.Match(row) {
			rows[i] = nil
		}
	}
}

// join adds the rows to which references lead.
func (x *tx) join(ctx context.Context, scope query.Scope, rows []*query.Row) error {
	for n, ref := range scope.Joins {
		var keys [][]byte
		seen := map[string]bool{}
		for _, row := range rows {
			if row == nil || anyNull(row.Values, ref.Columns) {
				continue
			}
			if key := pick(row.Values, ref.Columns); !seen[string(key)] {
				seen[string(key)] = true
				keys = append(keys, key)
			}
		}
		found, err := x.byKeys(ctx, ref.To, keys)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row == nil {
				continue
			}
			if n == 0 {
				row.Joined = make([][]value.Value, len(scope.Joins))
			}
			if !anyNull(row.Values, ref.Columns) {
				row.Joined[n] = found[string(pick(row.Values, ref.Columns))]
			}
		}
	}
	return nil
}

// matching returns the primary keys of all rows of a table that match, for
// changing them.
func (x *tx) matching(ctx context.Context, t *schema.Table, where *tablev1.Where) ([][]byte, error) {
	scope := query.Scope{Table: t}
	condition, err := scope.Compile(where)
	if err != nil {
		return nil, err
	}
	plan, err := scope.Plan(condition, nil)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	s := &scan{x: x, scope: scope, plan: plan, condition: condition}
	_, err = s.run(ctx, func(_ *query.Row, h hit) (bool, error) {
		if len(keys) == tablev1.MaxScan {
			return false, host.Errorf(host.CodeLimit, "the request would change more than %d rows of %s", tablev1.MaxScan, t.Name).
				WithHint("change them in parts: narrow the conditions, for example by the primary key")
		}
		keys = append(keys, h.key)
		return true, nil
	})
	return keys, err
}
