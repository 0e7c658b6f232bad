package table_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/table"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

func column(name, kind string) manifestv1.Column { return manifestv1.Column{Name: name, Type: kind} }

// teams is the first version of a plugin's tables.
func teams() table.Declaration {
	return table.Declaration{Version: 1, Tables: []manifestv1.Table{
		{Name: "teams", PrimaryKey: []string{"id"}, Columns: []manifestv1.Column{column("id", "text"), column("boss", "text")}},
		{
			Name: "people", PrimaryKey: []string{"id"},
			Columns: []manifestv1.Column{column("id", "integer"), column("name", "text"), column("team", "text"), column("old", "text")},
			Indexes: []manifestv1.Index{{Name: "byName", Columns: []string{"name"}}},
		},
		{Name: "junk", PrimaryKey: []string{"id"}, Columns: []manifestv1.Column{column("id", "text")}},
	}}
}

// groups is the third: much was renamed, added and dropped.
func groups() table.Declaration {
	return table.Declaration{
		Version: 3,
		Tables: []manifestv1.Table{
			{Name: "groups", PrimaryKey: []string{"id"}, Columns: []manifestv1.Column{column("id", "text"), column("boss", "text")}},
			{
				Name: "people", PrimaryKey: []string{"id"},
				Columns: []manifestv1.Column{
					column("id", "integer"), {Name: "label", Type: "text", Required: true}, column("team", "text"),
					{Name: "level", Type: "integer", Required: true, Default: json.RawMessage("5")}, {Name: "nick", Type: "text", Required: true},
				},
				Indexes:    []manifestv1.Index{{Name: "byName", Columns: []string{"label", "level"}, Unique: true}, {Columns: []string{"level"}}},
				References: []manifestv1.Reference{{Name: "of", Columns: []string{"team"}, Table: "groups"}},
			},
			{Name: "fresh", PrimaryKey: []string{"id"}, Columns: []manifestv1.Column{column("id", "text")}},
		},
		Migrations: []manifestv1.Migration{
			{Version: 2, Steps: []manifestv1.MigrationStep{
				{Do: "renameColumn", Table: "people", Column: "name", To: "label"},
				{Do: "backfill", Table: "people", Column: "label", Value: json.RawMessage(`"nobody"`)},
				{Do: "addColumn", Table: "people", Column: "alias"},
				{Do: "backfill", Table: "people", Column: "alias", From: "label"},
				{Do: "dropColumn", Table: "people", Column: "old"},
			}},
			{Version: 3, Steps: []manifestv1.MigrationStep{
				{Do: "renameColumn", Table: "people", Column: "alias", To: "nick"},
				{Do: "renameTable", Table: "teams", To: "groups"},
				{Do: "dropTable", Table: "junk"},
				{Do: "addTable", Table: "fresh"}, {Do: "addIndex", Table: "people", Index: "level"},
			}},
		},
	}
}

// oldDesk holds rows in the first form.
func oldDesk(t *testing.T, db *store.DB) *desk {
	t.Helper()
	d := newDesk(t, db, "i1", teams(), plenty)
	d.insert(t, "teams", `{"id":"a","boss":"Ann"}`, `{"id":"b"}`)
	d.insert(t, "junk", `{"id":"x"}`)
	for start := 0; start < 250; start += 50 {
		var docs []string
		for i := start; i < start+50; i++ {
			docs = append(docs, fmt.Sprintf(`{"id":%d,"name":"p%d","team":"a","old":"o"}`, i, i))
		}
		d.insert(t, "people", docs...)
	}
	d.insert(t, "people", `{"id":1000}`)
	return d
}

func (d *desk) as(declared table.Declaration) *desk {
	return &desk{Tables: d.store.Tables(d.tenant, d.instance, declared, plenty), store: d.store, tenant: d.tenant, instance: d.instance}
}

func TestMigrate(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		old := oldDesk(t, db)
		id, err := old.store.Snapshot(t.Context(), old.tenant, old.instance)
		if err != nil {
			t.Fatal(err)
		}
		before, err := old.store.Usage(t.Context(), old.tenant, old.instance)
		if err != nil || before.Rows != 254 {
			t.Fatal(before, err)
		}
		next := old.as(groups())
		t.Run("AtTheFirstUse", func(t *testing.T) {
			next.want(t, "groups", nil, `{"id":"a","boss":"Ann"}`, `{"id":"b","boss":null}`)
			got := next.ask(t, tablev1.SelectRequest{Table: "people", Where: &tablev1.Where{Op: "in", Column: "id", Values: rows("7", "1000")}})
			if strings.Join(got, "") != `{"id":7,"label":"p7","team":"a","level":5,"nick":"p7"}{"id":1000,"label":"nobody","team":null,"level":5,"nick":"nobody"}` {
				t.Errorf("got %s", got)
			}
			next.want(t, "fresh", nil)
		})
		t.Run("NewIndexesHold", func(t *testing.T) {
			if got := next.ask(t, tablev1.SelectRequest{Table: "people", Columns: []string{"id"}, Where: all(is("eq", "label", `"p9"`), is("eq", "level", "5"))}); len(got) != 1 {
				t.Errorf("got %s", got)
			}
			if _, err := next.Insert(t.Context(), put("people", `{"id":2000,"label":"p9","nick":"x"}`)); host.CodeOf(err) != host.CodeConflict {
				t.Errorf("a second p9 gave %v", err)
			}
			if _, err := next.Insert(t.Context(), put("people", `{"id":2000,"label":"new","nick":"x","team":"none"}`)); host.CodeOf(err) != host.CodeConflict {
				t.Errorf("a team that is not there gave %v", err)
			}
		})
		t.Run("TheOldReleaseIsTold", func(t *testing.T) {
			if _, err := old.Select(t.Context(), tablev1.SelectRequest{Table: "teams"}); host.CodeOf(err) != host.CodePrecondition {
				t.Errorf("got %v", err)
			}
			if _, err := old.Insert(t.Context(), put("teams", `{"id":"z"}`)); host.CodeOf(err) != host.CodePrecondition {
				t.Errorf("got %v", err)
			}
		})
		t.Run("RestoreReturnsToTheSnapshot", func(t *testing.T) {
			next.insert(t, "groups", `{"id":"lost"}`)
			if err := old.store.Restore(t.Context(), old.tenant, old.instance, id); err != nil {
				t.Fatal(err)
			}
			old.want(t, "teams", nil, `{"id":"a","boss":"Ann"}`, `{"id":"b","boss":null}`)
			old.want(t, "junk", nil, `{"id":"x"}`)
			if got := old.ask(t, tablev1.SelectRequest{Table: "people", Where: is("eq", "name", `"p9"`)}); len(got) != 1 || got[0] != `{"id":9,"name":"p9","team":"a","old":"o"}` {
				t.Errorf("got %s", got)
			}
			if u, err := old.store.Usage(t.Context(), old.tenant, old.instance); err != nil || u != before {
				t.Errorf("%+v are used, before it was %+v, %v", u, before, err)
			}
			old.insert(t, "teams", `{"id":"c"}`)
			next.want(t, "groups", []string{"id"}, `{"id":"a"}`, `{"id":"b"}`, `{"id":"c"}`)
		})
		t.Run("ForgetAndDrop", func(t *testing.T) {
			for range 2 {
				if err := old.store.Forget(t.Context(), old.tenant, old.instance, id); err != nil {
					t.Fatal(err)
				}
			}
			if err := old.store.Restore(t.Context(), old.tenant, old.instance, id); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("a forgotten snapshot gave %v", err)
			}
		})
	})
}

// TestUsageCountsWhatIsStored compares what is counted with what the counted
// rows take, after many changes and a migration.
func TestUsageCountsWhatIsStored(t *testing.T) {
	db := storetest.SQLite(t)
	next := oldDesk(t, db).as(groups())
	next.want(t, "fresh", nil)
	before, err := next.store.Usage(t.Context(), next.tenant, next.instance)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"people", "groups"} {
		if _, err := next.Delete(t.Context(), tablev1.DeleteRequest{Table: name}); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := next.store.Usage(t.Context(), next.tenant, next.instance); err != nil || after != (table.Usage{}) || before.Bytes == 0 {
		t.Errorf("%+v are left of %+v, %v", after, before, err)
	}
}

func TestMigrationsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		old := oldDesk(t, db)
		old.insert(t, "people", `{"id":2000,"name":"p1","team":"nowhere"}`)
		edit := func(f func(d *table.Declaration)) table.Declaration {
			d := groups()
			f(&d)
			return d
		}
		steps := func(do ...manifestv1.MigrationStep) func(d *table.Declaration) {
			return func(d *table.Declaration) { d.Migrations[1].Steps = append(d.Migrations[1].Steps, do...) }
		}
		for _, c := range []struct {
			name string
			d    table.Declaration
			code host.Code
			says string
		}{
			{"NoSteps", edit(func(d *table.Declaration) { d.Migrations = nil }), host.CodeInvalid, "not declared any more"},
			{"ColumnForgotten", edit(func(d *table.Declaration) { d.Migrations[0].Steps = d.Migrations[0].Steps[:4] }), host.CodeInvalid, "stored column old"},
			{"RowsDoNotFitAReference", edit(func(d *table.Declaration) { d.Tables[1].Indexes[0].Unique = false }), host.CodeConflict, `"nowhere"`},
			{"RowsDoNotFitAUniqueIndex", edit(func(d *table.Declaration) { d.Tables[1].References = nil }), host.CodeConflict, "same label, level"},
			{"RequiredWithoutAValue", edit(func(d *table.Declaration) { d.Tables[1].Columns[3].Default = nil }), host.CodeInvalid, "backfill"},
			{"AnotherType", edit(func(d *table.Declaration) { d.Tables[0].Columns[1].Type = "integer" }), host.CodeInvalid, "another type"},
			{"AnotherKey", edit(func(d *table.Declaration) { d.Tables[0].PrimaryKey = []string{"boss"} }), host.CodeInvalid, "cannot change"},
			{"StepOnNothing", edit(steps(manifestv1.MigrationStep{Do: "dropTable", Table: "none"})), host.CodeInvalid, "no such table"},
			{"StepOnNoColumn", edit(steps(manifestv1.MigrationStep{Do: "dropColumn", Table: "people", Column: "none"})), host.CodeInvalid, "no column none"},
			{"BackfillFromNothing", edit(steps(manifestv1.MigrationStep{Do: "backfill", Table: "people", Column: "label", From: "none"})), host.CodeInvalid, "no column none"},
			{"BackfillFromAnotherType", edit(steps(manifestv1.MigrationStep{Do: "backfill", Table: "people", Column: "label", From: "id"})), host.CodeInvalid, "different types"},
			{"BackfillWithAnotherType", edit(steps(manifestv1.MigrationStep{Do: "backfill", Table: "people", Column: "label", Value: json.RawMessage("1")})), host.CodeInvalid, "not a string"},
			{"ColumnIsThere", edit(steps(manifestv1.MigrationStep{Do: "addColumn", Table: "people", Column: "label"})), host.CodeInvalid, "already"},
			{"ColumnIsNotDeclared", edit(steps(manifestv1.MigrationStep{Do: "addColumn", Table: "people", Column: "none"})), host.CodeInvalid, "has no column none"},
			{"AddedAndDropped", edit(steps(manifestv1.MigrationStep{Do: "addColumn", Table: "people", Column: "x"}, manifestv1.MigrationStep{Do: "dropColumn", Table: "people", Column: "x"})), host.CodeInvalid, "leave both out"},
			{"RenamedOntoAnother", edit(steps(manifestv1.MigrationStep{Do: "renameColumn", Table: "people", Column: "label", To: "team"})), host.CodeInvalid, "already"},
			{"TableRenamedOntoAnother", edit(steps(manifestv1.MigrationStep{Do: "renameTable", Table: "groups", To: "people"})), host.CodeInvalid, "already"},
			{"TableIsThere", edit(steps(manifestv1.MigrationStep{Do: "addTable", Table: "people"})), host.CodeInvalid, "already"},
			{"BadDeclaration", edit(func(d *table.Declaration) { d.Tables[0].PrimaryKey = nil }), host.CodeInvalid, "not valid"},
			{"SameVersionOtherForm", edit(func(d *table.Declaration) { d.Version = 1 }), host.CodePrecondition, "raise the version"},
			{"NoTables", table.Declaration{Version: 1}, host.CodeInvalid, "no tables"},
		} {
			t.Run(c.name, func(t *testing.T) {
				err := old.store.Migrate(t.Context(), old.tenant, old.instance, c.d)
				if host.CodeOf(err) != c.code || !strings.Contains(host.AsError(err).Error(), c.says) {
					t.Errorf("got %v", err)
				}
			})
		}
		old.want(t, "junk", nil, `{"id":"x"}`) // nothing of all that was done
	})
}

func TestFormsOfEmptyTablesMayStillChange(t *testing.T) {
	db := storetest.SQLite(t)
	d := newDesk(t, db, "i1", teams(), plenty)
	d.want(t, "teams", nil)
	other := groups()
	other.Version, other.Migrations = 1, nil
	d.as(other).want(t, "groups", nil)
	empty := table.New(db).Tables(d.tenant, "i9", table.Declaration{}, plenty)
	if _, err := empty.Select(t.Context(), tablev1.SelectRequest{Table: "x"}); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("a plugin without tables gave %v", err)
	}
	if _, err := empty.Insert(t.Context(), put("x", `{}`)); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("a plugin without tables gave %v", err)
	}
	// A snapshot of tables that were not there yet brings that back, too.
	id, err := d.store.Snapshot(t.Context(), d.tenant, "i5")
	if err != nil {
		t.Fatal(err)
	}
	fresh := &desk{Tables: d.store.Tables(d.tenant, "i5", teams(), plenty), store: d.store, tenant: d.tenant, instance: "i5"}
	fresh.insert(t, "teams", `{"id":"a"}`)
	if err := d.store.Restore(t.Context(), d.tenant, "i5", id); err != nil {
		t.Fatal(err)
	}
	fresh.want(t, "teams", nil)
	for name, err := range map[string]error{
		"an unknown tenant":  d.store.Drop(t.Context(), host.NewTenantID(), "i1"),
		"no tenant":          d.store.Forget(t.Context(), "", "i1", "x"),
		"no tenant's tables": d.store.Migrate(t.Context(), "", "i1", teams()),
	} {
		if code := host.CodeOf(err); code != host.CodeNotFound && code != host.CodeInvalid {
			t.Errorf("%s gave %v", name, err)
		}
	}
}
