// Package table keeps relational data that belongs to one plugin in one tenant:
// the host service table/v1. The permission in plugin.yaml declares the tables;
// what they may hold is its quota, and a write beyond it is CodeLimit.
//
//	type run struct {
//		ID      string    `json:"id"`
//		Service string    `json:"service"`
//		Started time.Time `json:"started"`
//	}
//
//	_, err := table.Insert(ctx, "runs", run{"1", "web", time.Now()})
//	...
//	for r, err := range table.All[run](ctx, table.Query{Table: "runs", Where: table.Eq("service", "web")}) {
//
// Rows are structs or maps that encode to JSON objects of columns. A decimal is
// a string there; time.Time fits a timestamp, []byte a column of bytes.
package table

import (
	"context"
	"encoding/json"
	"iter"

	v1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// Query asks for rows.
type Query = v1.SelectRequest

// Order sorts by a column.
type Order = v1.Order

// Join adds the row to which a declared reference leads.
type Join = v1.Join

// Select returns one page of rows, and the cursor of the next page or "".
func Select[T any](ctx context.Context, q Query) (rows []T, next string, err error) {
	var out v1.SelectResponse
	if err := sdk.Do(ctx, v1.Name, v1.MethodSelect, q, &out); err != nil {
		return nil, "", err
	}
	rows, err = decode[T](out.Rows)
	return rows, out.Next, err
}

// One returns the first row that matches; found is false where there is none.
func One[T any](ctx context.Context, q Query) (row T, found bool, err error) {
	q.Limit = 1
	rows, _, err := Select[T](ctx, q)
	if err != nil || len(rows) == 0 {
		return row, false, err
	}
	return rows[0], true, nil
}

// All walks all rows, page by page. An error ends the walk.
func All[T any](ctx context.Context, q Query) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			rows, next, err := Select[T](ctx, q)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
			if q.Cursor = next; next == "" {
				return
			}
		}
	}
}

// Sums asks for figures of groups of rows.
type Sums = v1.AggregateRequest

// Figure is one figure of a group.
type Figure = v1.Aggregate

// The functions of Figure.
const (
	Count = v1.FnCount
	Sum   = v1.FnSum
	Min   = v1.FnMin
	Max   = v1.FnMax
	Avg   = v1.FnAvg
)

// Aggregate returns a row for each group: its columns, and the figures by the
// names that they were given.
func Aggregate[T any](ctx context.Context, q Sums) ([]T, error) {
	var out v1.AggregateResponse
	if err := sdk.Do(ctx, v1.Name, v1.MethodAggregate, q, &out); err != nil {
		return nil, err
	}
	return decode[T](out.Groups)
}

func decode[T any](docs []json.RawMessage) ([]T, error) {
	out := make([]T, len(docs))
	for i, doc := range docs {
		if err := json.Unmarshal(doc, &out[i]); err != nil {
			return nil, sdk.Errorf(sdk.CodeInternal, "decoding a row: %w", err)
		}
	}
	return out, nil
}

// Insert adds rows. CodeConflict: one with the same primary key, or the same
// values of a unique index, is there.
func Insert(ctx context.Context, table string, rows ...any) (int64, error) {
	return write(ctx, v1.MethodInsert, table, rows)
}

// Upsert adds rows, or changes those with the same primary key: only the
// columns that a row has.
func Upsert(ctx context.Context, table string, rows ...any) (int64, error) {
	return write(ctx, v1.MethodUpsert, table, rows)
}

func write(ctx context.Context, method, table string, rows []any) (int64, error) {
	in, err := request(table, rows)
	if err != nil {
		return 0, err
	}
	var out v1.WriteResponse
	err = sdk.Do(ctx, v1.Name, method, in, &out)
	return out.Rows, err
}

func request(table string, rows []any) (*v1.WriteRequest, error) {
	in := &v1.WriteRequest{Table: table, Rows: make([]json.RawMessage, len(rows))}
	for i, r := range rows {
		doc, err := json.Marshal(r)
		if err != nil {
			return nil, sdk.Errorf(sdk.CodeInternal, "encoding a row of %s: %w", table, err)
		}
		in.Rows[i] = doc
	}
	return in, nil
}

// Update sets columns of all rows that match, and returns how many. set is an
// object of columns.
func Update(ctx context.Context, table string, where *Where, set any) (int64, error) {
	in, err := update(table, where, set)
	if err != nil {
		return 0, err
	}
	var out v1.WriteResponse
	err = sdk.Do(ctx, v1.Name, v1.MethodUpdate, in, &out)
	return out.Rows, err
}

func update(table string, where *Where, set any) (*v1.UpdateRequest, error) {
	doc, err := json.Marshal(set)
	if err != nil {
		return nil, sdk.Errorf(sdk.CodeInternal, "encoding the columns of %s: %w", table, err)
	}
	return &v1.UpdateRequest{Table: table, Where: where, Set: doc}, nil
}

// Delete removes all rows that match, with those that a cascade takes along,
// and returns how many matched. Without a condition it removes all.
func Delete(ctx context.Context, table string, where *Where) (int64, error) {
	var out v1.WriteResponse
	err := sdk.Do(ctx, v1.Name, v1.MethodDelete, v1.DeleteRequest{Table: table, Where: where}, &out)
	return out.Rows, err
}

// Batch collects operations that are done in one transaction: all of them, or
// none. The zero value is ready.
type Batch struct {
	in  v1.BatchRequest
	err error
}

func (b *Batch) add(op v1.Operation, err error) *Batch {
	if b.err == nil {
		b.err = err
	}
	b.in.Operations = append(b.in.Operations, op)
	return b
}

// Insert adds an insert.
func (b *Batch) Insert(table string, rows ...any) *Batch {
	in, err := request(table, rows)
	return b.add(v1.Operation{Insert: in}, err)
}

// Upsert adds an upsert.
func (b *Batch) Upsert(table string, rows ...any) *Batch {
	in, err := request(table, rows)
	return b.add(v1.Operation{Upsert: in}, err)
}

// Update adds an update.
func (b *Batch) Update(table string, where *Where, set any) *Batch {
	in, err := update(table, where, set)
	return b.add(v1.Operation{Update: in}, err)
}

// Delete adds a delete.
func (b *Batch) Delete(table string, where *Where) *Batch {
	return b.add(v1.Operation{Delete: &v1.DeleteRequest{Table: table, Where: where}}, nil)
}

// Expect makes the last operation, an update or a delete, fail with
// CodeConflict unless exactly n rows match: nobody else has changed them.
func (b *Batch) Expect(n int64) *Batch {
	if len(b.in.Operations) == 0 {
		return b
	}
	op := b.in.Operations[len(b.in.Operations)-1]
	if op.Update != nil {
		op.Update.Expect = &n
	}
	if op.Delete != nil {
		op.Delete.Expect = &n
	}
	return b
}

// Do does the operations, and returns for each how many rows it concerned.
func (b *Batch) Do(ctx context.Context) ([]int64, error) {
	if b.err != nil {
		return nil, b.err
	}
	var out v1.BatchResponse
	if err := sdk.Do(ctx, v1.Name, v1.MethodBatch, b.in, &out); err != nil {
		return nil, err
	}
	counts := make([]int64, len(out.Results))
	for i, r := range out.Results {
		counts[i] = r.Rows
	}
	return counts, nil
}
