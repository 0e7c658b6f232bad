package agreement_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/service"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/table"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	v1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/sdktest"
)

// side is one of the two that must agree: it answers a request of table/v1.
type side func(method string, in any) (json.RawMessage, string)

// oneOperation is a plugin whose operation does what the test says.
func oneOperation(do *func(ctx *sdk.Context) error) *sdk.Plugin {
	return sdk.New(route.Handle("do", func(ctx *sdk.Context, _ route.Request) (route.Response, error) {
		if err := (*do)(ctx); err != nil {
			return route.Response{}, err
		}
		return route.JSON(map[string]bool{"done": true})
	}))
}

// author is the side of package sdktest, reached as a plugin reaches it.
func author(t *testing.T) (side, *manifestv1.Manifest) {
	t.Helper()
	var do func(ctx *sdk.Context) error
	h := sdktest.New(t, oneOperation(&do), sdktest.Manifest("testdata/plugin.yaml"))
	return func(method string, in any) (out json.RawMessage, code string) {
		do = func(ctx *sdk.Context) error {
			err := sdk.Do(ctx, v1.Name, method, in, &out)
			code = string(sdk.CodeOf(err))
			return nil
		}
		if _, err := h.Route(route.Request{OperationID: "do"}); err != nil {
			t.Fatal(err)
		}
		return out, code
	}, h.Manifest()
}

// codes are the host's as a guest sees them.
var codes = map[host.Code]string{
	host.CodeInvalid: pluginv1.CodeInvalid, host.CodeNotFound: pluginv1.CodeNotFound, host.CodeConflict: pluginv1.CodeConflict,
	host.CodeLimit: pluginv1.CodeLimit, host.CodeTooLarge: pluginv1.CodeLimit, host.CodePrecondition: pluginv1.CodeConflict,
}

// portal is the side of the host, on a real database.
func portal(t *testing.T, db *store.DB, tenant host.Tenant, instance string, m *manifestv1.Manifest) side {
	t.Helper()
	svc := service.NewTables(table.New(db))
	in := &plugin.Instance{ID: instance, Tenant: tenant.ID, Name: m.Name, Short: "ledger", Manifest: m, Grants: m.Permissions}
	session := plugin.NewSession(host.System(tenant, "test"), in, nil)
	return func(method string, request any) (json.RawMessage, string) {
		body, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := svc.Serve(context.Background(), session, pluginv1.HostCall{Service: v1.Name, Method: method, Body: body})
		if err != nil {
			code, ok := codes[host.CodeOf(err)]
			if !ok {
				t.Fatalf("%s of %s failed: %v: %v", method, body, err, errors.Unwrap(err))
			}
			return nil, code
		}
		out, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		return out, ""
	}
}

// TestTables does the same random work on tables in memory, done in the
// plainest way, and on those of the portal, on each database: rows, figures and
// refusals must be the same.
func TestTables(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		tenant := storetest.Tenant(t, db)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			model, m := author(t)
			w := &world{t: rt, model: model, real: portal(t, db, tenant, fmt.Sprint("i", n), m)}
			rt.Repeat(map[string]func(*rapid.T){
				"": func(*rapid.T) {}, "insert": w.insert, "upsert": w.upsert, "update": w.update, "delete": w.remove,
				"batch": w.batch, "select": w.selectRows, "aggregate": w.aggregate, "whole": w.whole,
			})
			w.whole(rt)
		})
	})
}

// world is the two sides.
type world struct {
	t           *rapid.T
	model, real side
}

// both asks both sides and compares what they say. Where a request has several
// faults, which of them is told first is left open.
func (w *world) both(t *rapid.T, method string, in any) json.RawMessage {
	want, code := w.model(method, in)
	got, bad := w.real(method, in)
	if (code == "") != (bad == "") || code == "" && !same(want, got) {
		raw, _ := json.Marshal(in)
		t.Fatalf("%s of %s\nin memory: %s %s\nportal:    %s %s", method, raw, code, want, bad, got)
	}
	return got
}

// same compares JSON.
func same(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

var columns = map[string][]string{
	"owners": {"id", "name", "boss"},
	"items":  {"kind", "n", "num", "dec", "flag", "at", "raw", "doc", "owner", "code", "big"},
}

// values are few for each column, so that they meet; some are wrong.
var values = map[string][]string{
	"id": {"1", "2", "3", "4"}, "boss": {"1", "2", "3", "null"}, "owner": {"1", "2", "9", "null"}, "name": {`"a"`, `"ab"`, `"b\u0000"`, `""`, "null", `"é"`},
	"kind": {`"x"`, `"xy"`, `"y"`}, "n": {"-1", "0", "1", "9007199254740993", `"2"`}, "num": {"0", "-0.5", "1e10", "null", "-0"},
	"dec": {`"0.10"`, `0.1`, `"-12.5"`, `"100"`, "null", `"99999999999999999999.5"`}, "flag": {"true", "false", "null"},
	"at":  {`"2026-01-01T00:00:00Z"`, `"2025-12-31T23:00:00-01:00"`, `"2026-01-01T00:00:00.000001Z"`, "null"},
	"raw": {`"AA=="`, `"AAE="`, `"/w=="`, "null", `""`}, "doc": {`{"a": 1}`, "null", `[]`}, "code": {`"c1"`, `"c2"`, "null", "null"}, "big": {"7", "-9223372036854775808", "3"},
}

func (w *world) value(t *rapid.T, column string) json.RawMessage {
	if rapid.IntRange(0, 60).Draw(t, "wrong") == 0 {
		return json.RawMessage(`{"wrong":true}`)
	}
	return json.RawMessage(rapid.SampledFrom(values[column]).Draw(t, column))
}

func (w *world) table(t *rapid.T) string {
	return rapid.SampledFrom([]string{"owners", "items", "items"}).Draw(t, "table")
}

func (w *world) row(t *rapid.T, table string, all bool) json.RawMessage {
	out := map[string]json.RawMessage{}
	for i, c := range columns[table] {
		key := i == 0 || table == "items" && i == 1
		if key && all || !key && rapid.Bool().Draw(t, "has "+c) {
			out[c] = w.value(t, c)
		}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (w *world) write(t *rapid.T) *v1.WriteRequest {
	in := &v1.WriteRequest{Table: w.table(t)}
	for range rapid.IntRange(1, 3).Draw(t, "rows") {
		in.Rows = append(in.Rows, w.row(t, in.Table, true))
	}
	return in
}

func (w *world) insert(t *rapid.T) { w.both(t, v1.MethodInsert, w.write(t)) }
func (w *world) upsert(t *rapid.T) { w.both(t, v1.MethodUpsert, w.write(t)) }

func (w *world) change(t *rapid.T) *v1.UpdateRequest {
	table := w.table(t)
	return &v1.UpdateRequest{Table: table, Where: w.where(t, table, false, 2), Set: w.row(t, table, false), Expect: w.expect(t)}
}

func (w *world) expect(t *rapid.T) *int64 {
	if rapid.IntRange(0, 4).Draw(t, "expect") > 0 {
		return nil
	}
	n := rapid.Int64Range(0, 2).Draw(t, "expected")
	return &n
}

func (w *world) update(t *rapid.T) { w.both(t, v1.MethodUpdate, w.change(t)) }

func (w *world) end(t *rapid.T) *v1.DeleteRequest {
	table := w.table(t)
	return &v1.DeleteRequest{Table: table, Where: w.where(t, table, false, 2), Expect: w.expect(t)}
}

func (w *world) remove(t *rapid.T) { w.both(t, v1.MethodDelete, w.end(t)) }

func (w *world) batch(t *rapid.T) {
	in := v1.BatchRequest{}
	for range rapid.IntRange(1, 4).Draw(t, "operations") {
		switch rapid.IntRange(0, 3).Draw(t, "operation") {
		case 0:
			in.Operations = append(in.Operations, v1.Operation{Insert: w.write(t)})
		case 1:
			in.Operations = append(in.Operations, v1.Operation{Upsert: w.write(t)})
		case 2:
			in.Operations = append(in.Operations, v1.Operation{Update: w.change(t)})
		default:
			in.Operations = append(in.Operations, v1.Operation{Delete: w.end(t)})
		}
	}
	w.both(t, v1.MethodBatch, in)
}

var operators = []string{v1.OpEq, v1.OpNe, v1.OpLt, v1.OpLe, v1.OpGt, v1.OpGe, v1.OpIn, v1.OpPrefix, v1.OpIsNull}

// where draws a condition; joined ones may name the row of "of".
func (w *world) where(t *rapid.T, table string, joined bool, depth int) *v1.Where {
	switch kind := rapid.IntRange(0, 7).Draw(t, "kind"); {
	case kind == 0:
		return nil
	case kind > 3 || depth == 0:
		return w.leaf(t, table, joined)
	default:
		out := &v1.Where{Op: []string{"", v1.OpAnd, v1.OpOr, v1.OpNot}[kind]}
		n := rapid.IntRange(1, 3).Draw(t, "args")
		if out.Op == v1.OpNot {
			n = 1
		}
		for range n {
			if arg := w.where(t, table, joined, depth-1); arg != nil {
				out.Args = append(out.Args, *arg)
			} else {
				out.Args = append(out.Args, *w.leaf(t, table, joined))
			}
		}
		return out
	}
}

func (w *world) leaf(t *rapid.T, table string, joined bool) *v1.Where {
	prefix := ""
	if joined && rapid.IntRange(0, 3).Draw(t, "of") == 0 {
		prefix, table = "of.", "owners"
	}
	c := rapid.SampledFrom(columns[table]).Draw(t, "column")
	out := &v1.Where{Op: rapid.SampledFrom(operators).Draw(t, "op"), Column: prefix + c}
	switch out.Op {
	case v1.OpIsNull:
	case v1.OpIn:
		for range rapid.IntRange(0, 3).Draw(t, "in") {
			out.Values = append(out.Values, w.value(t, c))
		}
	default:
		out.Value = w.value(t, c)
	}
	return out
}

// selectRows compares all pages. Which of equal rows comes first is left open.
func (w *world) selectRows(t *rapid.T) {
	in := v1.SelectRequest{Table: w.table(t), Limit: rapid.IntRange(1, 7).Draw(t, "limit")}
	joined := in.Table == "items" && rapid.Bool().Draw(t, "join")
	if joined {
		in.Joins = []v1.Join{{Reference: "of"}}
	}
	in.Where = w.where(t, in.Table, joined, 3)
	for _, c := range rapid.SliceOfNDistinct(rapid.SampledFrom(columns[in.Table]), 0, 2, rapid.ID).Draw(t, "order") {
		in.Order = append(in.Order, v1.Order{Column: c, Desc: rapid.Bool().Draw(t, "desc")})
	}
	want, code := pages(t, w.model, in)
	got, bad := pages(t, w.real, in)
	raw, _ := json.Marshal(in)
	if (code == "") != (bad == "") {
		t.Fatalf("select %s\nin memory: %s\nportal:    %s", raw, code, bad)
	}
	if w, g := sorted(want, in.Order), sorted(got, in.Order); !slices.Equal(w, g) {
		t.Fatalf("select %s comes in the order\n%s\nwant\n%s", raw, strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Fatalf("select %s gives\n%s\nwant\n%s", raw, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func pages(t *rapid.T, s side, in v1.SelectRequest) (rows []string, code string) {
	for range 100 {
		raw, code := s(v1.MethodSelect, in)
		if code != "" {
			return nil, code
		}
		var page v1.SelectResponse
		if err := json.Unmarshal(raw, &page); err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Rows {
			rows = append(rows, string(r))
		}
		if in.Cursor = page.Next; in.Cursor == "" {
			return rows, ""
		}
	}
	t.Fatal("the pages do not end")
	return nil, ""
}

// sorted returns what the rows are sorted by, in the order in which they came.
func sorted(rows []string, order []v1.Order) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		var row map[string]json.RawMessage
		_ = json.Unmarshal([]byte(r), &row)
		for _, o := range order {
			out[i] += string(row[o.Column]) + " "
		}
	}
	return out
}

var functions = []string{v1.FnCount, v1.FnSum, v1.FnMin, v1.FnMax, v1.FnAvg}

func (w *world) aggregate(t *rapid.T) {
	in := v1.AggregateRequest{Table: "items", Where: w.where(t, "items", true, 2), Joins: []v1.Join{{Reference: "of"}}}
	groups := []string{"kind", "flag", "dec", "at", "of.name", "owner", "raw"}
	in.GroupBy = rapid.SliceOfNDistinct(rapid.SampledFrom(groups), 0, 2, rapid.ID).Draw(t, "groupBy")
	for i := range rapid.IntRange(1, 3).Draw(t, "figures") {
		fn := rapid.SampledFrom(functions).Draw(t, "fn")
		// The order in which doubles are added is the index's, and their sum
		// depends on it: they are left out.
		of := []string{"n", "dec", "big", "of.id"}
		if fn != v1.FnSum && fn != v1.FnAvg {
			of = append(of, "num", "at", "code", "of.name")
		}
		in.Aggregates = append(in.Aggregates, v1.Aggregate{Fn: fn, Column: rapid.SampledFrom(of).Draw(t, "of"), As: fmt.Sprint("f", i)})
	}
	w.both(t, v1.MethodAggregate, in)
}

// whole compares everything that the tables hold.
func (w *world) whole(t *rapid.T) {
	for table := range columns {
		w.both(t, v1.MethodSelect, v1.SelectRequest{Table: table, Limit: v1.MaxRows})
	}
}
