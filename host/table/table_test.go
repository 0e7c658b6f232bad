package table_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/table"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// shop is a declaration with something of everything.
func shop() table.Declaration {
	return table.Declaration{Tables: []manifestv1.Table{
		{
			Name: "services", PrimaryKey: []string{"id"},
			Columns: []manifestv1.Column{
				{Name: "id", Type: "text"}, {Name: "region", Type: "text"}, {Name: "tier", Type: "integer", Default: json.RawMessage("3")},
				{Name: "parent", Type: "text"},
			},
			Indexes:    []manifestv1.Index{{Columns: []string{"region", "tier"}}},
			References: []manifestv1.Reference{{Name: "above", Columns: []string{"parent"}, Table: "services", OnDelete: "cascade"}},
		},
		{
			Name: "costs", PrimaryKey: []string{"service", "day"},
			Columns: []manifestv1.Column{
				{Name: "service", Type: "text"}, {Name: "day", Type: "timestamp"}, {Name: "amount", Type: "decimal", Required: true, Default: json.RawMessage(`"0"`)},
				{Name: "units", Type: "number"}, {Name: "hits", Type: "integer"}, {Name: "final", Type: "boolean"},
				{Name: "invoice", Type: "text"}, {Name: "extra", Type: "json"}, {Name: "seal", Type: "bytes"},
			},
			Indexes: []manifestv1.Index{
				{Columns: []string{"day"}}, {Columns: []string{"amount"}}, {Name: "byInvoice", Columns: []string{"invoice"}, Unique: true},
			},
			References: []manifestv1.Reference{{Name: "of", Columns: []string{"service"}, Table: "services"}},
		},
	}}
}

// desk is an instance's tables on one database.
type desk struct {
	*table.Tables
	store    *table.Store
	tenant   host.TenantID
	instance string
}

var plenty = table.Quota{Bytes: 64 << 20, Rows: 100000}

func newDesk(t *testing.T, db *store.DB, instance string, d table.Declaration, q table.Quota) *desk {
	t.Helper()
	s := table.New(db)
	tenant := storetest.Tenant(t, db).ID
	return &desk{Tables: s.Tables(tenant, instance, d, q), store: s, tenant: tenant, instance: instance}
}

func rows(docs ...string) []json.RawMessage {
	out := make([]json.RawMessage, len(docs))
	for i, d := range docs {
		out[i] = json.RawMessage(d)
	}
	return out
}

func (d *desk) insert(t *testing.T, name string, docs ...string) {
	t.Helper()
	if _, err := d.Insert(t.Context(), tablev1.WriteRequest{Table: name, Rows: rows(docs...)}); err != nil {
		t.Fatal(err)
	}
}

// ask selects all pages and returns the rows, each as its JSON.
func (d *desk) ask(t *testing.T, in tablev1.SelectRequest) []string {
	t.Helper()
	var out []string
	for range 1000 {
		got, err := d.Select(t.Context(), in)
		if err != nil {
			t.Fatalf("%+v: %v", in, err)
		}
		for _, r := range got.Rows {
			out = append(out, string(r))
		}
		if in.Cursor = got.Next; in.Cursor == "" {
			return out
		}
	}
	t.Fatal("the pages do not end")
	return nil
}

func is(op, column, raw string) *tablev1.Where {
	return &tablev1.Where{Op: op, Column: column, Value: json.RawMessage(raw)}
}

func all(args ...*tablev1.Where) *tablev1.Where { return group("and", args...) }

func group(op string, args ...*tablev1.Where) *tablev1.Where {
	w := &tablev1.Where{Op: op}
	for _, a := range args {
		w.Args = append(w.Args, *a)
	}
	return w
}

func each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	storetest.Each(t, f)
}

// fill puts in three services and twelve costs.
func fill(t *testing.T, db *store.DB) *desk {
	t.Helper()
	d := newDesk(t, db, "i1", shop(), plenty)
	d.insert(t, "services", `{"id":"api","region":"eu","parent":"web"}`, `{"id":"web","region":"eu","tier":1}`, `{"id":"db","region":"us","tier":2}`)
	for i := range 12 {
		svc := []string{"api", "web", "db"}[i%3]
		d.insert(t, "costs", fmt.Sprintf(`{"service":%q,"day":"2026-01-%02dT00:00:00Z","amount":"%d.25","units":%d.5,"hits":%d,"final":%v,"extra":{"n":%d},"seal":"AA=="}`,
			svc, i/3+1, i, i, i, i%2 == 0, i))
	}
	return d
}

func TestSelect(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		d := fill(t, db)
		cases := []struct {
			name string
			in   tablev1.SelectRequest
			want []string
		}{
			{"ByPrimaryKey", tablev1.SelectRequest{Table: "costs", Columns: []string{"amount", "extra"}, Where: all(is("eq", "service", `"api"`), is("eq", "day", `"2026-01-02T00:00:00Z"`))},
				[]string{`{"amount":"3.25","extra":{"n":3}}`}},
			{"WholeRow", tablev1.SelectRequest{Table: "services", Where: is("eq", "id", `"db"`)}, []string{`{"id":"db","region":"us","tier":2,"parent":null}`}},
			{"RangeOfAnIndexDescending", tablev1.SelectRequest{Table: "costs", Columns: []string{"amount"}, Where: is("gt", "amount", `"8.5"`), Order: []tablev1.Order{{Column: "amount", Desc: true}}},
				[]string{`{"amount":"11.25"}`, `{"amount":"10.25"}`, `{"amount":"9.25"}`}},
			{"PagesOfTwo", tablev1.SelectRequest{Table: "costs", Columns: []string{"hits"}, Where: is("le", "amount", `"4.25"`), Order: []tablev1.Order{{Column: "amount"}}, Limit: 2},
				[]string{`{"hits":0}`, `{"hits":1}`, `{"hits":2}`, `{"hits":3}`, `{"hits":4}`}},
			{"SortedInMemoryByPages", tablev1.SelectRequest{Table: "costs", Columns: []string{"hits"}, Where: is("eq", "final", `true`), Order: []tablev1.Order{{Column: "units", Desc: true}}, Limit: 4},
				[]string{`{"hits":10}`, `{"hits":8}`, `{"hits":6}`, `{"hits":4}`, `{"hits":2}`, `{"hits":0}`}},
			{"In", tablev1.SelectRequest{Table: "services", Columns: []string{"id"}, Where: &tablev1.Where{Op: "in", Column: "id", Values: rows(`"web"`, `"none"`, `"api"`, `"web"`)}},
				[]string{`{"id":"api"}`, `{"id":"web"}`}},
			{"InOfNothing", tablev1.SelectRequest{Table: "services", Where: &tablev1.Where{Op: "in", Column: "id"}}, nil},
			{"Prefix", tablev1.SelectRequest{Table: "services", Columns: []string{"id"}, Where: is("prefix", "id", `"a"`)}, []string{`{"id":"api"}`}},
			{"Null", tablev1.SelectRequest{Table: "services", Columns: []string{"id"}, Where: &tablev1.Where{Op: "isNull", Column: "parent"}, Order: []tablev1.Order{{Column: "id"}}}, []string{`{"id":"db"}`, `{"id":"web"}`}},
			{"NotIsTheOpposite", tablev1.SelectRequest{Table: "services", Columns: []string{"id"}, Where: group("not", is("eq", "parent", `"web"`)), Order: []tablev1.Order{{Column: "id"}}}, []string{`{"id":"db"}`, `{"id":"web"}`}},
			{"OrAndNe", tablev1.SelectRequest{Table: "services", Columns: []string{"id"}, Where: group("or", is("ne", "region", `"eu"`), is("eq", "tier", `1`)), Order: []tablev1.Order{{Column: "id"}}}, []string{`{"id":"db"}`, `{"id":"web"}`}},
			{"Joined", tablev1.SelectRequest{Table: "costs", Columns: []string{"hits"}, Joins: []tablev1.Join{{Reference: "of", Columns: []string{"region"}}}, Where: all(is("eq", "of.tier", `2`), is("lt", "day", `"2026-01-03T00:00:00Z"`)), Order: []tablev1.Order{{Column: "day"}}},
				[]string{`{"hits":2,"of":{"region":"us"}}`, `{"hits":5,"of":{"region":"us"}}`}},
			{"JoinOfNothing", tablev1.SelectRequest{Table: "services", Columns: []string{"id"}, Joins: []tablev1.Join{{Reference: "above", Columns: []string{"id"}}}, Order: []tablev1.Order{{Column: "id"}}, Limit: 2},
				[]string{`{"id":"api","above":{"id":"web"}}`, `{"id":"db","above":null}`, `{"id":"web","above":null}`}},
			{"JoinSortedInMemory", tablev1.SelectRequest{Table: "services", Columns: []string{"id"}, Joins: []tablev1.Join{{Reference: "above", Columns: []string{"id"}}}, Order: []tablev1.Order{{Column: "tier"}}},
				[]string{`{"id":"web","above":null}`, `{"id":"db","above":null}`, `{"id":"api","above":{"id":"web"}}`}},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				if got := d.ask(t, c.in); !slices.Equal(got, c.want) {
					t.Errorf("got %s", strings.Join(got, "\n"))
				}
			})
		}
	})
}

func TestAggregate(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		d := fill(t, db)
		sums := []tablev1.Aggregate{
			{Fn: "count", As: "n"}, {Fn: "sum", Column: "amount", As: "total"}, {Fn: "avg", Column: "amount", As: "mean"}, {Fn: "min", Column: "day", As: "first"},
			{Fn: "max", Column: "hits", As: "most"}, {Fn: "sum", Column: "units", As: "units"}, {Fn: "count", Column: "invoice", As: "invoices"}, {Fn: "sum", Column: "hits", As: "hits"},
		}
		cases := []struct {
			name string
			in   tablev1.AggregateRequest
			want []string
		}{
			{"All", tablev1.AggregateRequest{Table: "costs", Aggregates: sums},
				[]string{`{"n":12,"total":"69","mean":"5.75","first":"2026-01-01T00:00:00Z","most":11,"units":72,"invoices":0,"hits":66}`}},
			{"OfNothing", tablev1.AggregateRequest{Table: "costs", Where: is("eq", "service", `"none"`), Aggregates: sums},
				[]string{`{"n":0,"total":null,"mean":null,"first":null,"most":null,"units":null,"invoices":0,"hits":null}`}},
			{"Grouped", tablev1.AggregateRequest{Table: "costs", GroupBy: []string{"service", "final"}, Where: is("lt", "day", `"2026-01-03T00:00:00Z"`), Aggregates: []tablev1.Aggregate{{Fn: "sum", Column: "amount", As: "sum"}}},
				[]string{`{"service":"api","final":false,"sum":"3.25"}`, `{"service":"api","final":true,"sum":"0.25"}`, `{"service":"db","final":false,"sum":"5.25"}`, `{"service":"db","final":true,"sum":"2.25"}`, `{"service":"web","final":false,"sum":"1.25"}`, `{"service":"web","final":true,"sum":"4.25"}`}},
			{"GroupedByAJoinedColumn", tablev1.AggregateRequest{Table: "costs", Joins: []tablev1.Join{{Reference: "of"}}, GroupBy: []string{"of.region"}, Aggregates: []tablev1.Aggregate{{Fn: "sum", Column: "hits", As: "hits"}, {Fn: "max", Column: "of.tier", As: "tier"}}},
				[]string{`{"of.region":"eu","hits":40,"tier":3}`, `{"of.region":"us","hits":26,"tier":2}`}},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				got, err := d.Aggregate(t.Context(), c.in)
				var docs []string
				for _, g := range got.Groups {
					docs = append(docs, string(g))
				}
				if err != nil || !slices.Equal(docs, c.want) {
					t.Errorf("got %s, %v", strings.Join(docs, "\n"), err)
				}
			})
		}
	})
}
