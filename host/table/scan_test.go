package table_test

import (
	"encoding/base64"
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

// wide is a table with more rows than a request may look at for nothing.
func wide(t *testing.T, rows int) *desk {
	t.Helper()
	d := newDesk(t, storetest.SQLite(t), "i1", table.Declaration{Tables: []manifestv1.Table{{
		Name: "events", PrimaryKey: []string{"id"},
		Columns: []manifestv1.Column{{Name: "id", Type: "integer"}, {Name: "kind", Type: "text"}, {Name: "at", Type: "integer"}, {Name: "note", Type: "text"}},
		Indexes: []manifestv1.Index{{Columns: []string{"at"}}},
	}}}, table.Quota{Bytes: 1 << 30, Rows: 1 << 20})
	for start := 0; start < rows; start += 1000 {
		in := tablev1.WriteRequest{Table: "events"}
		for i := start; i < start+1000; i++ {
			in.Rows = append(in.Rows, json.RawMessage(fmt.Sprintf(`{"id":%d,"kind":"k%d","at":%d}`, i, i%7, i)))
		}
		if _, err := d.Insert(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestRequestsLookAtABoundedNumberOfRows(t *testing.T) {
	d := wide(t, 22_000)
	count := []tablev1.Aggregate{{Fn: "count", As: "n"}}
	t.Run("WithAnIndexThereIsNoBound", func(t *testing.T) {
		got, err := d.Select(t.Context(), tablev1.SelectRequest{Table: "events", Columns: []string{"id"}, Where: is("ge", "at", "21999")})
		if err != nil || len(got.Rows) != 1 {
			t.Errorf("got %s, %v", got.Rows, err)
		}
		sums, err := d.Aggregate(t.Context(), tablev1.AggregateRequest{Table: "events", Where: is("lt", "at", "21500"), Aggregates: count})
		if err != nil || string(sums.Groups[0]) != `{"n":21500}` {
			t.Errorf("got %s, %v", sums.Groups, err)
		}
	})
	t.Run("APageThatFillsUpIsCheap", func(t *testing.T) {
		if got, err := d.Select(t.Context(), tablev1.SelectRequest{Table: "events", Where: is("eq", "kind", `"k3"`), Limit: 10}); err != nil || len(got.Rows) != 10 {
			t.Errorf("got %d rows, %v", len(got.Rows), err)
		}
	})
	for _, c := range []struct {
		name, hint string
		ask        func() error
	}{
		{"SelectWithoutAnIndex", "[kind]", func() error {
			_, err := d.Select(t.Context(), tablev1.SelectRequest{Table: "events", Where: is("eq", "kind", `"none"`)})
			return err
		}},
		{"AggregateWithoutAnIndex", "[kind, at]", func() error {
			_, err := d.Aggregate(t.Context(), tablev1.AggregateRequest{Table: "events", Where: all(is("eq", "kind", `"none"`), is("ge", "at", "0")), Aggregates: count})
			return err
		}},
		{"SortWithoutAnIndex", "[kind]", func() error {
			_, err := d.Select(t.Context(), tablev1.SelectRequest{Table: "events", Order: []tablev1.Order{{Column: "kind"}}, Limit: 1})
			return err
		}},
		{"EqualAndSorted", "[kind, note]", func() error {
			_, err := d.Select(t.Context(), tablev1.SelectRequest{Table: "events", Where: is("eq", "kind", `"none"`), Order: []tablev1.Order{{Column: "note"}}})
			return err
		}},
		{"ConditionThatNoIndexAnswers", "joined by and", func() error {
			_, err := d.Select(t.Context(), tablev1.SelectRequest{Table: "events", Where: group("or", is("eq", "kind", `"a"`), is("eq", "kind", `"b"`))})
			return err
		}},
		{"UpdateOfTooMuch", "in parts", func() error {
			_, err := d.Update(t.Context(), tablev1.UpdateRequest{Table: "events", Set: json.RawMessage(`{"note":"x"}`)})
			return err
		}},
		{"DeleteOfTooMuch", "in parts", func() error {
			_, err := d.Delete(t.Context(), tablev1.DeleteRequest{Table: "events"})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.ask(); host.CodeOf(err) != host.CodeLimit || !strings.Contains(host.AsError(err).Error(), c.hint) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("ManyGroups", func(t *testing.T) {
		_, err := d.Aggregate(t.Context(), tablev1.AggregateRequest{Table: "events", GroupBy: []string{"id"}, Aggregates: count})
		if host.CodeOf(err) != host.CodeLimit || !strings.Contains(err.Error(), "1000 groups") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("PagesEndAtASize", func(t *testing.T) {
		note := strings.Repeat("x", 200_000)
		if _, err := d.Update(t.Context(), tablev1.UpdateRequest{Table: "events", Where: is("lt", "id", "20"), Set: json.RawMessage(fmt.Sprintf(`{"note":%q}`, note))}); err != nil {
			t.Fatal(err)
		}
		for _, order := range [][]tablev1.Order{nil, {{Column: "note"}}} {
			in := tablev1.SelectRequest{Table: "events", Where: is("lt", "id", "20"), Order: order}
			if order != nil {
				in.Order = []tablev1.Order{{Column: "kind"}}
			}
			got, err := d.Select(t.Context(), in)
			if err != nil || len(got.Rows) > 6 || got.Next == "" {
				t.Errorf("got %d rows, next %q, %v", len(got.Rows), got.Next, err)
			}
			if n := len(d.ask(t, in)); n != 20 {
				t.Errorf("all pages have %d rows", n)
			}
		}
		_, err := d.Select(t.Context(), tablev1.SelectRequest{Table: "events", Where: is("lt", "id", "20"), Order: []tablev1.Order{{Column: "note"}}})
		if host.CodeOf(err) != host.CodeLimit || !strings.Contains(err.Error(), "sort by") {
			t.Errorf("sorting by a long text gave %v", err)
		}
	})
}

// TestInstancesAreApart tries to reach one instance's tables from another, in
// all ways that a guest has: names, cursors, snapshots.
func TestInstancesAreApart(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		mine := fill(t, db)
		theirs := &desk{Tables: mine.store.Tables(mine.tenant, "i2", shop(), plenty), store: mine.store, tenant: mine.tenant, instance: "i2"}
		theirs.insert(t, "services", `{"id":"spy"}`)
		elsewhere := &desk{Tables: mine.store.Tables(storetest.Tenant(t, db).ID, "i1", shop(), plenty), store: mine.store, instance: "i1"}
		t.Run("RowsAreTheirOwn", func(t *testing.T) {
			theirs.want(t, "services", []string{"id"}, `{"id":"spy"}`)
			elsewhere.want(t, "services", []string{"id"})
			if _, err := theirs.Delete(t.Context(), tablev1.DeleteRequest{Table: "services"}); err != nil {
				t.Error(err)
			}
			mine.want(t, "services", []string{"id"}, `{"id":"api"}`, `{"id":"db"}`, `{"id":"web"}`)
			theirs.insert(t, "services", `{"id":"spy"}`)
		})
		t.Run("NamesLeadNowhere", func(t *testing.T) {
			for _, name := range []string{"", "plugin_rows", "i1.services", "services; DROP TABLE kv", `services" WHERE 1=1 --`, "../i1/services", "i1@services", "0", "form"} {
				if _, err := theirs.Select(t.Context(), tablev1.SelectRequest{Table: name}); host.CodeOf(err) != host.CodeNotFound {
					t.Errorf("the table %q gave %v", name, err)
				}
			}
		})
		t.Run("CursorsGiveNothing", func(t *testing.T) {
			in := tablev1.SelectRequest{Table: "costs", Order: []tablev1.Order{{Column: "day"}}, Limit: 2}
			page, err := mine.Select(t.Context(), in)
			if err != nil || page.Next == "" {
				t.Fatal(page, err)
			}
			in.Cursor = page.Next
			if got, err := theirs.Select(t.Context(), in); err != nil || len(got.Rows) != 0 {
				t.Errorf("another instance's cursor shows %s, %v", got.Rows, err)
			}
			raw, _ := base64.RawURLEncoding.DecodeString(page.Next)
			// A forged place only moves the beginning of one's own rows.
			for _, place := range []string{"\x00", "\xff\xff", "\x01i1\x00\x01", strings.Repeat("\xff", 3000)} {
				in.Cursor = base64.RawURLEncoding.EncodeToString(append(slices.Clone(raw[:8]), place...))
				got, err := theirs.Select(t.Context(), in)
				if err != nil || len(got.Rows) != 0 {
					t.Errorf("a forged cursor shows %s, %v", got.Rows, err)
				}
			}
			in.Cursor, in.Order = page.Next, nil
			if _, err := mine.Select(t.Context(), in); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("the cursor of another request gave %v", err)
			}
			in.Cursor = base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", 40_000)))
			if _, err := mine.Select(t.Context(), in); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("a huge cursor gave %v", err)
			}
		})
		t.Run("SnapshotsAreTheirOwn", func(t *testing.T) {
			id, err := mine.store.Snapshot(t.Context(), mine.tenant, "i1")
			if err != nil {
				t.Fatal(err)
			}
			for _, forged := range []string{id, "", "@", "i1", "../" + id, id + "@", strings.Repeat("x", 100)} {
				if err := mine.store.Restore(t.Context(), mine.tenant, "i2", forged); host.CodeOf(err) != host.CodeNotFound {
					t.Errorf("restoring %q into another instance gave %v", forged, err)
				}
			}
			theirs.want(t, "services", []string{"id"}, `{"id":"spy"}`)
		})
		t.Run("DropTakesOneInstance", func(t *testing.T) {
			if err := mine.store.Drop(t.Context(), mine.tenant, "i1"); err != nil {
				t.Fatal(err)
			}
			if u, err := mine.store.Usage(t.Context(), mine.tenant, "i1"); err != nil || u != (table.Usage{}) {
				t.Errorf("%+v is left, %v", u, err)
			}
			mine.want(t, "services", []string{"id"})
			theirs.want(t, "services", []string{"id"}, `{"id":"spy"}`)
		})
	})
}
