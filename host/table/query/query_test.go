package query

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/schema"
	"github.com/callboard-dev/callboard/host/table/value"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

func events(t testing.TB) Scope {
	t.Helper()
	s, faults := schema.Compile([]manifestv1.Table{{
		Name: "events", PrimaryKey: []string{"id"},
		Columns: []manifestv1.Column{
			{Name: "id", Type: "integer"}, {Name: "kind", Type: "text"}, {Name: "at", Type: "timestamp"}, {Name: "n", Type: "integer"},
			{Name: "up", Type: "integer"}, {Name: "doc", Type: "json"},
		},
		Indexes:    []manifestv1.Index{{Columns: []string{"kind", "at"}}, {Columns: []string{"n"}, Unique: true}},
		References: []manifestv1.Reference{{Name: "above", Columns: []string{"up"}, Table: "events"}},
	}}, nil)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return Scope{Table: s.Table("events"), Joins: []*schema.Reference{s.Table("events").Reference("above")}}
}

func (s Scope) planOf(t testing.TB, where, order string) *Plan {
	t.Helper()
	var in tablev1.SelectRequest
	if err := json.Unmarshal([]byte(`{"where":`+where+`,"order":`+order+`}`), &in); err != nil {
		t.Fatal(err)
	}
	c, err := s.Compile(in.Where)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan(c, in.Order)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlan(t *testing.T) {
	s := events(t)
	for _, c := range []struct {
		name, where, order, index string
		ranges                    int
		sorted, desc              bool
	}{
		{"NothingAsked", `null`, `[]`, "primaryKey", 1, true, false},
		{"ByKey", `{"op":"eq","column":"id","value":1}`, `[]`, "primaryKey", 1, true, false},
		{"ByUnique", `{"op":"and","args":[{"op":"eq","column":"n","value":1},{"op":"eq","column":"kind","value":"a"}]}`, `[]`, "n", 1, true, false},
		{"Compound", `{"op":"and","args":[{"op":"eq","column":"kind","value":"a"},{"op":"ge","column":"at","value":"2026-01-01T00:00:00Z"}]}`, `[{"column":"at","desc":true}]`, "kind_at", 1, true, true},
		{"SortedWithoutConditions", `null`, `[{"column":"kind"},{"column":"at"}]`, "kind_at", 1, true, false},
		{"TwoDirections", `null`, `[{"column":"kind"},{"column":"at","desc":true}]`, "primaryKey", 1, false, false},
		{"ListUnfolds", `{"op":"in","column":"kind","values":["a","b","a"]}`, `[]`, "kind_at", 2, true, false},
		{"ListAndOrderOfTheNext", `{"op":"in","column":"kind","values":["a","b"]}`, `[{"column":"at"}]`, "kind_at", 2, false, false},
		{"ListOfOneAndOrder", `{"op":"in","column":"kind","values":["a"]}`, `[{"column":"at"}]`, "kind_at", 1, true, false},
		{"EmptyList", `{"op":"in","column":"id","values":[]}`, `[]`, "primaryKey", 0, true, false},
		{"ConditionsThatExclude", `{"op":"and","args":[{"op":"gt","column":"n","value":5},{"op":"lt","column":"n","value":3}]}`, `[]`, "n", 0, true, false},
		{"Prefix", `{"op":"prefix","column":"kind","value":"a"}`, `[]`, "kind_at", 1, true, false},
		{"Null", `{"op":"isNull","column":"up"}`, `[]`, "@above", 1, true, false},
		{"OrUsesNone", `{"op":"or","args":[{"op":"eq","column":"n","value":1},{"op":"eq","column":"n","value":2}]}`, `[]`, "primaryKey", 1, true, false},
		{"JoinedColumnsUseNone", `{"op":"eq","column":"above.n","value":1}`, `[]`, "primaryKey", 1, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := s.planOf(t, c.where, c.order)
			if p.Index.Name != c.index || len(p.Ranges) != c.ranges || p.Sorted != c.sorted || p.Desc != c.desc {
				t.Errorf("got %s with %d ranges, sorted %v, desc %v", p.Index.Name, len(p.Ranges), p.Sorted, p.Desc)
			}
			if !slices.IsSortedFunc(p.Ranges, func(a, b Range) int { return bytes.Compare(a.Lo, b.Lo) }) {
				t.Error("the ranges are not in order")
			}
		})
	}
}

func TestLongListsDoNotUnfold(t *testing.T) {
	s := events(t)
	list := `["` + strings.Repeat(`x","`, 3) + `y"]`
	if p := s.planOf(t, `{"op":"in","column":"kind","values":`+list+`}`, "[]"); len(p.Ranges) != 2 {
		t.Errorf("four values of which two differ make %d ranges", len(p.Ranges))
	}
	var many []string
	for i := range 200 {
		many = append(many, string(rune('a'+i%26))+strings.Repeat("z", i/26))
	}
	raw, _ := json.Marshal(many)
	if p := s.planOf(t, `{"op":"in","column":"kind","values":`+string(raw)+`}`, "[]"); len(p.Ranges) != 1 {
		t.Errorf("200 values make %d ranges", len(p.Ranges))
	}
}

func TestConditionNamesNoValues(t *testing.T) {
	s := events(t)
	var w tablev1.Where
	_ = json.Unmarshal([]byte(`{"op":"and","args":[{"op":"eq","column":"kind","value":"secret"},{"op":"not","args":[{"op":"isNull","column":"above.n"}]}]}`), &w)
	c, err := s.Compile(&w)
	if err != nil || c.String() != "and(eq(kind),not(isNull(above.n)))" || !c.Joins() {
		t.Errorf("got %v, %v", c, err)
	}
	if (*Condition)(nil).String() != "true" || (*Condition)(nil).Joins() || !(*Condition)(nil).Match(nil) {
		t.Error("no condition is not true")
	}
}

// FuzzSelect compiles requests of strangers and tries their conditions on a row:
// what compiles can be planned, matched and paged, and nothing panics. A row
// that matches lies in one of the plan's ranges.
func FuzzSelect(f *testing.F) {
	for _, s := range []string{
		`{"where":{"op":"eq","column":"id","value":1},"order":[{"column":"at","desc":true}],"cursor":"AAAA"}`,
		`{"where":{"op":"and","args":[{"op":"in","column":"kind","values":["a","b"]},{"op":"ge","column":"at","value":"2026-01-01T00:00:00Z"}]}}`,
		`{"where":{"op":"not","args":[{"op":"prefix","column":"kind","value":"a"}]},"columns":["id","kind"],"limit":-1}`,
		`{"where":{"op":"isNull","column":"above.n"},"joins":[{"reference":"above"}]}`,
	} {
		f.Add(s, int64(1), "a")
	}
	f.Fuzz(func(t *testing.T, raw string, n int64, text string) {
		var in tablev1.SelectRequest
		if json.Unmarshal([]byte(raw), &in) != nil {
			return
		}
		s := events(t)
		c, err := s.Compile(in.Where)
		if err != nil {
			if host.CodeOf(err) != host.CodeInvalid {
				t.Fatalf("not explained: %v", err)
			}
			return
		}
		p, err := s.Plan(c, in.Order)
		if err != nil {
			return
		}
		quoted, _ := json.Marshal(text)
		kind, err := value.Parse(value.Text, quoted)
		if err != nil {
			return
		}
		num := value.OfInteger(n)
		row := &Row{Values: []value.Value{num, kind, num, num, value.Null(), value.Null()}, Joined: [][]value.Value{nil}}
		if c.Match(row) {
			var entry []byte
			for _, column := range p.Index.Columns {
				entry = append(entry, row.Values[column]...)
			}
			within := slices.ContainsFunc(p.Ranges, func(r Range) bool {
				return bytes.Compare(r.Lo, entry) <= 0 && (r.Hi == nil || bytes.Compare(entry, r.Hi) < 0)
			})
			if !within {
				t.Fatalf("a row that matches is not in the ranges of %s", p.Index.Name)
			}
		}
		if place, err := p.Place(&in); err == nil {
			p.From(place)
		}
		again := in
		again.Cursor = p.Cursor(&in, []byte("place"))
		if place, err := p.Place(&again); err != nil || string(place) != "place" {
			t.Fatalf("a cursor came back as %q, %v", place, err)
		}
	})
}
