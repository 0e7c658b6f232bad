package table_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/table"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

func put(name string, docs ...string) tablev1.WriteRequest {
	return tablev1.WriteRequest{Table: name, Rows: rows(docs...)}
}

// want is what a table holds, by its primary key.
func (d *desk) want(t *testing.T, name string, columns []string, want ...string) {
	t.Helper()
	if got := d.ask(t, tablev1.SelectRequest{Table: name, Columns: columns}); !slices.Equal(got, want) {
		t.Errorf("%s holds\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWrites(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, "i1", shop(), plenty)
		count := func(n tablev1.WriteResponse, err error) int64 {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return n.Rows
		}
		ids := []string{"id", "tier", "parent"}
		if n := count(d.Upsert(t.Context(), put("services", `{"id":"a"}`, `{"id":"b","tier":1,"parent":"a"}`, `{"id":"a","tier":2}`))); n != 3 {
			t.Errorf("upserted %d", n)
		}
		d.want(t, "services", ids, `{"id":"a","tier":2,"parent":null}`, `{"id":"b","tier":1,"parent":"a"}`)
		count(d.Upsert(t.Context(), put("services", `{"id":"b","parent":null}`)))
		d.want(t, "services", ids, `{"id":"a","tier":2,"parent":null}`, `{"id":"b","tier":1,"parent":null}`)
		if n := count(d.Update(t.Context(), tablev1.UpdateRequest{Table: "services", Where: is("ge", "tier", "1"), Set: json.RawMessage(`{"tier":9,"region":"eu"}`)})); n != 2 {
			t.Errorf("updated %d", n)
		}
		if got := d.ask(t, tablev1.SelectRequest{Table: "services", Columns: []string{"id"}, Where: all(is("eq", "region", `"eu"`), is("eq", "tier", "9"))}); len(got) != 2 {
			t.Errorf("the index leads to %v", got)
		}
		if got := d.ask(t, tablev1.SelectRequest{Table: "services", Columns: []string{"id"}, Where: all(is("eq", "region", `"eu"`), is("lt", "tier", "9"))}); len(got) != 0 {
			t.Errorf("old entries of the index lead to %v", got)
		}
		t.Run("ReferencesOfOneRequestMayComeInAnyOrder", func(t *testing.T) {
			count(d.Insert(t.Context(), put("services", `{"id":"x","parent":"z"}`, `{"id":"y","parent":"y"}`, `{"id":"z"}`)))
		})
		t.Run("CascadeTakesWhatRefers", func(t *testing.T) {
			if n := count(d.Delete(t.Context(), tablev1.DeleteRequest{Table: "services", Where: is("eq", "id", `"z"`)})); n != 1 {
				t.Errorf("removed %d", n)
			}
			d.want(t, "services", []string{"id"}, `{"id":"a"}`, `{"id":"b"}`, `{"id":"y"}`)
		})
		t.Run("CyclesEnd", func(t *testing.T) {
			count(d.Upsert(t.Context(), put("services", `{"id":"a","parent":"b"}`, `{"id":"b","parent":"a"}`)))
			if n := count(d.Delete(t.Context(), tablev1.DeleteRequest{Table: "services"})); n != 3 {
				t.Errorf("removed %d", n)
			}
			d.want(t, "services", []string{"id"})
		})
		if u, err := d.store.Usage(t.Context(), d.tenant, d.instance); err != nil || u != (table.Usage{}) {
			t.Errorf("nothing uses %+v, %v", u, err)
		}
	})
}

func TestWritesAreRefused(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		d := fill(t, db)
		d.insert(t, "costs", `{"service":"web","day":"2026-02-01T00:00:00Z","invoice":"one"}`)
		before := d.ask(t, tablev1.SelectRequest{Table: "costs"})
		one := int64(1)
		long := strings.Repeat("x", 1100)
		cases := []struct {
			name string
			op   tablev1.Operation
			code host.Code
			says string
		}{
			{"RowIsThere", tablev1.Operation{Insert: ptr(put("services", `{"id":"new"}`, `{"id":"web"}`))}, host.CodeConflict, "id"},
			{"RowTwice", tablev1.Operation{Insert: ptr(put("services", `{"id":"new"}`, `{"id":"new"}`))}, host.CodeConflict, "id"},
			{"UniqueIsTaken", tablev1.Operation{Insert: ptr(put("costs", `{"service":"api","day":"2026-02-01T00:00:00Z","invoice":"one"}`))}, host.CodeConflict, "invoice"},
			{"UniqueTwice", tablev1.Operation{Insert: ptr(put("costs", `{"service":"api","day":"2026-02-01T00:00:00Z","invoice":"two"}`, `{"service":"api","day":"2026-02-02T00:00:00Z","invoice":"two"}`))}, host.CodeConflict, "invoice"},
			{"UpdateToTheSameUnique", tablev1.Operation{Update: &tablev1.UpdateRequest{Table: "costs", Where: is("eq", "service", `"api"`), Set: json.RawMessage(`{"invoice":"three"}`)}}, host.CodeConflict, "invoice"},
			{"NoParent", tablev1.Operation{Insert: ptr(put("costs", `{"service":"none","day":"2026-02-01T00:00:00Z"}`))}, host.CodeConflict, `"none"`},
			{"NoParentByUpdate", tablev1.Operation{Update: &tablev1.UpdateRequest{Table: "services", Where: is("eq", "id", `"db"`), Set: json.RawMessage(`{"parent":"none"}`)}}, host.CodeConflict, `"none"`},
			{"ParentIsNeeded", tablev1.Operation{Delete: &tablev1.DeleteRequest{Table: "services", Where: is("eq", "id", `"db"`)}}, host.CodeConflict, "onDelete: cascade"},
			{"ParentIsNeededByWhatCascades", tablev1.Operation{Delete: &tablev1.DeleteRequest{Table: "services", Where: is("eq", "id", `"web"`)}}, host.CodeConflict, "costs"},
			{"UnknownTable", tablev1.Operation{Insert: ptr(put("plugin_rows", `{}`))}, host.CodeNotFound, "services, costs"},
			{"UnknownColumn", tablev1.Operation{Insert: ptr(put("services", `{"id":"n","doc":1}`))}, host.CodeInvalid, "it has: id"},
			{"NoObject", tablev1.Operation{Insert: ptr(put("services", `[1]`))}, host.CodeInvalid, "JSON object"},
			{"Null", tablev1.Operation{Insert: ptr(put("services", `null`))}, host.CodeInvalid, "JSON object"},
			{"NoKey", tablev1.Operation{Insert: ptr(put("services", `{"tier":1}`))}, host.CodeInvalid, "primary key"},
			{"NullKey", tablev1.Operation{Upsert: ptr(put("services", `{"id":null}`))}, host.CodeInvalid, "primary key"},
			{"LacksWhatIsRequired", tablev1.Operation{Insert: ptr(put("costs", `{"service":"web","day":"2026-03-01T00:00:00Z","amount":null}`))}, host.CodeInvalid, "amount"},
			{"OfAnotherType", tablev1.Operation{Insert: ptr(put("costs", `{"service":"web","day":"yesterday"}`))}, host.CodeInvalid, "RFC 3339"},
			{"LongKey", tablev1.Operation{Insert: ptr(put("services", fmt.Sprintf(`{"id":%q}`, long)))}, host.CodeInvalid, "too long for an index"},
			{"LongIndexedText", tablev1.Operation{Insert: ptr(put("services", fmt.Sprintf(`{"id":"l","region":%q}`, long)))}, host.CodeInvalid, "too long for an index"},
			{"LargeRow", tablev1.Operation{Insert: ptr(put("costs", fmt.Sprintf(`{"service":"web","day":"2026-03-01T00:00:00Z","extra":%q}`, strings.Repeat("x", 300_000))))}, host.CodeTooLarge, "blob/v1"},
			{"NoRows", tablev1.Operation{Insert: ptr(put("services"))}, host.CodeInvalid, "1 to 1000"},
			{"KeyByUpdate", tablev1.Operation{Update: &tablev1.UpdateRequest{Table: "services", Set: json.RawMessage(`{"id":"n"}`)}}, host.CodeInvalid, "primary key"},
			{"UpdateOfNothing", tablev1.Operation{Update: &tablev1.UpdateRequest{Table: "services", Set: json.RawMessage(`{}`)}}, host.CodeInvalid, "no column"},
			{"RequiredByUpdate", tablev1.Operation{Update: &tablev1.UpdateRequest{Table: "costs", Set: json.RawMessage(`{"amount":null}`)}}, host.CodeInvalid, "required"},
			{"UpdateOfUnknownTable", tablev1.Operation{Update: &tablev1.UpdateRequest{Table: "x", Set: json.RawMessage(`{}`)}}, host.CodeNotFound, ""},
			{"DeleteOfUnknownTable", tablev1.Operation{Delete: &tablev1.DeleteRequest{Table: "x"}}, host.CodeNotFound, ""},
			{"MoreThanExpected", tablev1.Operation{Update: &tablev1.UpdateRequest{Table: "services", Set: json.RawMessage(`{"tier":1}`), Expect: &one}}, host.CodeConflict, "3 rows of services match"},
			{"DeleteMoreThanExpected", tablev1.Operation{Delete: &tablev1.DeleteRequest{Table: "services", Expect: &one}}, host.CodeConflict, "3 rows"},
			{"Nothing", tablev1.Operation{}, host.CodeInvalid, "exactly one"},
			{"TwoAtOnce", tablev1.Operation{Insert: ptr(put("services", `{"id":"n"}`)), Delete: &tablev1.DeleteRequest{Table: "services"}}, host.CodeInvalid, "exactly one"},
			{"BadCondition", tablev1.Operation{Delete: &tablev1.DeleteRequest{Table: "services", Where: is("like", "id", `"%"`)}}, host.CodeInvalid, "known are"},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				// What stands before it in the batch must go with it.
				first := tablev1.Operation{Insert: ptr(put("services", `{"id":"first"}`))}
				if c.name == "MoreThanExpected" || c.name == "DeleteMoreThanExpected" {
					first = tablev1.Operation{Update: &tablev1.UpdateRequest{Table: "services", Where: is("eq", "id", `"web"`), Set: json.RawMessage(`{"tier":8}`)}}
				}
				_, err := d.Batch(t.Context(), tablev1.BatchRequest{Operations: []tablev1.Operation{first, c.op}})
				if host.CodeOf(err) != c.code || !strings.Contains(host.AsError(err).Error(), c.says) || !strings.Contains(host.AsError(err).Error(), "operation 2") {
					t.Errorf("got %v", err)
				}
			})
		}
		if after := d.ask(t, tablev1.SelectRequest{Table: "costs"}); !slices.Equal(before, after) {
			t.Error("refused writes changed something")
		}
		d.want(t, "services", []string{"id", "tier"}, `{"id":"api","tier":3}`, `{"id":"db","tier":2}`, `{"id":"web","tier":1}`)
		for name, in := range map[string]tablev1.BatchRequest{"no operations": {}, "many operations": {Operations: make([]tablev1.Operation, 101)}} {
			if _, err := d.Batch(t.Context(), in); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("%s gave %v", name, err)
			}
		}
	})
}

func ptr[T any](v T) *T { return &v }

func TestQuota(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, "i1", shop(), table.Quota{Bytes: 2000, Rows: 5})
		d.insert(t, "services", `{"id":"a"}`, `{"id":"b"}`, `{"id":"c"}`, `{"id":"d"}`, `{"id":"e"}`)
		_, err := d.Insert(t.Context(), put("services", `{"id":"f"}`))
		if host.CodeOf(err) != host.CodeLimit || !strings.Contains(err.Error(), "6 rows, the quota is 5") {
			t.Errorf("a sixth row gave %v", err)
		}
		_, err = d.Upsert(t.Context(), put("services", fmt.Sprintf(`{"id":"a","region":%q}`, strings.Repeat("x", 900))))
		if host.CodeOf(err) != host.CodeLimit || !strings.Contains(err.Error(), "bytes, the quota is 2000") {
			t.Errorf("many bytes gave %v", err)
		}
		_, err = d.Batch(t.Context(), tablev1.BatchRequest{Operations: []tablev1.Operation{
			{Insert: ptr(put("services", `{"id":"f"}`))}, {Delete: &tablev1.DeleteRequest{Table: "services", Where: is("eq", "id", `"a"`)}},
		}})
		if err != nil {
			t.Errorf("a batch that ends within the quota gave %v", err)
		}
		smaller := d.store.Tables(d.tenant, d.instance, shop(), table.Quota{Bytes: 10, Rows: 1})
		if _, err := smaller.Delete(t.Context(), tablev1.DeleteRequest{Table: "services", Where: is("eq", "id", `"b"`)}); err != nil {
			t.Errorf("making room under a smaller quota gave %v", err)
		}
		if _, err := smaller.Insert(t.Context(), put("services", `{"id":"n"}`)); host.CodeOf(err) != host.CodeLimit {
			t.Errorf("growing beyond a smaller quota gave %v", err)
		}
		t.Run("HoldsForSeveralAtOnce", func(t *testing.T) {
			d := newDesk(t, db, "i2", shop(), table.Quota{Bytes: 100_000, Rows: 10})
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					if _, err := d.Insert(t.Context(), put("services", fmt.Sprintf(`{"id":"s%d"}`, i))); err != nil && host.CodeOf(err) != host.CodeLimit {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if u, err := d.store.Usage(t.Context(), d.tenant, d.instance); err != nil || u.Rows != 10 {
				t.Errorf("%+v, %v", u, err)
			}
		})
	})
}

func TestReadsAreRefused(t *testing.T) {
	d := fill(t, storetest.SQLite(t))
	deep := is("eq", "id", `"a"`)
	for range 13 {
		deep = group("not", deep)
	}
	wide := group("or")
	for range 200 {
		wide.Args = append(wide.Args, *is("eq", "id", `"a"`))
	}
	many := &tablev1.Where{Op: "in", Column: "id"}
	for range 501 {
		many.Values = append(many.Values, json.RawMessage(`"a"`))
	}
	where := func(w *tablev1.Where) tablev1.SelectRequest {
		return tablev1.SelectRequest{Table: "services", Where: w}
	}
	for name, in := range map[string]tablev1.SelectRequest{
		"UnknownOperator": where(is("like", "id", `"a"`)), "UnknownColumn": where(is("eq", "name", `"a"`)), "NoValue": where(is("eq", "id", "null")), "OfAnotherType": where(is("eq", "tier", `"a"`)),
		"PrefixOfANumber": where(is("prefix", "tier", "1")), "NotOfTwo": where(group("not", is("eq", "id", `"a"`), is("eq", "id", `"b"`))), "Deep": where(deep), "Wide": where(wide), "LongList": where(many),
		"ListOfAnotherType": where(&tablev1.Where{Op: "in", Column: "tier", Values: rows(`"x"`)}), "ColumnOfAGroup": where(&tablev1.Where{Op: "and", Column: "id"}),
		"JoinedColumnWithoutAJoin": where(is("eq", "above.id", `"a"`)), "UnknownJoinedColumn": {Table: "services", Joins: []tablev1.Join{{Reference: "above"}}, Where: is("eq", "above.x", `1`)},
		"UnknownReference": {Table: "services", Joins: []tablev1.Join{{Reference: "below"}}}, "JoinTwice": {Table: "services", Joins: []tablev1.Join{{Reference: "above"}, {Reference: "above"}}},
		"JSONInACondition": {Table: "costs", Where: is("eq", "extra", `{}`)}, "OrderByJSON": {Table: "costs", Order: []tablev1.Order{{Column: "extra"}}}, "OrderTwice": {Table: "costs", Order: []tablev1.Order{{Column: "day"}, {Column: "day"}}},
		"OrderByAJoin": {Table: "costs", Joins: []tablev1.Join{{Reference: "of"}}, Order: []tablev1.Order{{Column: "of.id"}}}, "OrderByUnknown": {Table: "costs", Order: []tablev1.Order{{Column: "x"}}},
		"ColumnTwice": {Table: "costs", Columns: []string{"day", "day"}}, "ColumnUnknown": {Table: "costs", Columns: []string{"x"}}, "JoinColumnUnknown": {Table: "costs", Joins: []tablev1.Join{{Reference: "of", Columns: []string{"x"}}}},
		"LimitTooHigh": {Table: "costs", Limit: 1001}, "NegativeLimit": {Table: "costs", Limit: -1}, "CursorOfNobody": {Table: "costs", Cursor: "AAAA"}, "CursorIsJunk": {Table: "costs", Cursor: "%%%"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := d.Select(t.Context(), in); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("got %s, %v", got.Rows, err)
			}
		})
	}
	n := []tablev1.Aggregate{{Fn: "count", As: "n"}}
	for name, in := range map[string]tablev1.AggregateRequest{
		"NoFigure": {Table: "costs"}, "NoName": {Table: "costs", Aggregates: []tablev1.Aggregate{{Fn: "count"}}}, "NameTwice": {Table: "costs", Aggregates: append(n, n...)}, "SumOfText": {Table: "costs", Aggregates: []tablev1.Aggregate{{Fn: "sum", Column: "service", As: "s"}}},
		"SumOfNothing": {Table: "costs", Aggregates: []tablev1.Aggregate{{Fn: "sum", As: "s"}}}, "MaxOfJSON": {Table: "costs", Aggregates: []tablev1.Aggregate{{Fn: "max", Column: "extra", As: "s"}}}, "UnknownFunction": {Table: "costs", Aggregates: []tablev1.Aggregate{{Fn: "median", Column: "hits", As: "s"}}},
		"UnknownColumnOfAFigure": {Table: "costs", Aggregates: []tablev1.Aggregate{{Fn: "sum", Column: "x", As: "s"}}}, "GroupByJSON": {Table: "costs", GroupBy: []string{"extra"}, Aggregates: n}, "GroupByUnknown": {Table: "costs", GroupBy: []string{"x"}, Aggregates: n},
		"GroupNamedAsAFigure": {Table: "costs", GroupBy: []string{"hits"}, Aggregates: []tablev1.Aggregate{{Fn: "count", As: "hits"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := d.Aggregate(t.Context(), in); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("got %s, %v", got.Groups, err)
			}
		})
	}
	_, err := d.Select(t.Context(), tablev1.SelectRequest{Table: "x"})
	_, sum := d.Aggregate(t.Context(), tablev1.AggregateRequest{Table: strings.Repeat("x", 100)})
	if host.CodeOf(err) != host.CodeNotFound || host.CodeOf(sum) != host.CodeNotFound {
		t.Errorf("an unknown table gave %v", errors.Join(err, sum))
	}
}
