package drivertest

import (
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

var migrateCases = []testCase{
	{"empty database gets every step in order", migrateEmpty},
	{"second run changes nothing", migrateTwice},
	{"new step reaches every tenant", migrateEveryTenant},
	{"half-made tenant is finished", migrateHalfMade},
	{"failing step leaves nothing behind", migrateFailing},
	{"changed step is refused", migrateChanged},
	{"newer database is refused", migrateNewer},
	{"files of the product apply", migrateProduct},
}

// steps returns a migration set of n steps in each folder.
func steps(n int) map[string]string {
	files := make(map[string]string)
	for i := 1; i <= n; i++ {
		for _, folder := range []string{"control", "tenant"} {
			files[fmt.Sprintf("%s/%04d_step.sql", folder, i)] = fmt.Sprintf(
				"CREATE TABLE step%d (id {{.Identity}}, name TEXT);\nINSERT INTO step%d (name) VALUES ('once');", i, i)
		}
	}
	return files
}

// migrated opens place with a set, migrates it and returns the reports.
func (h Harness) migrated(t *testing.T, place string, fsys fs.FS) (*store.DB, []store.Progress) {
	t.Helper()
	db := h.openAt(t, place, store.Settings{Migrations: fsys})
	var reports []store.Progress
	must(t, db.Migrate(t.Context(), func(p store.Progress) { reports = append(reports, p) }))
	return db, reports
}

func migrateEmpty(t *testing.T, h Harness) {
	_, reports := h.migrated(t, h.Place(t), set(steps(3)))
	want := []store.Progress{
		{Scope: "control", Done: 1, Total: 3, Migration: "0001_step"},
		{Scope: "control", Done: 2, Total: 3, Migration: "0002_step"},
		{Scope: "control", Done: 3, Total: 3, Migration: "0003_step"},
		{Scope: "control", Done: 3, Total: 3},
	}
	if !reflect.DeepEqual(reports, want) {
		t.Errorf("reports were %v, want %v", reports, want)
	}
}

func migrateTwice(t *testing.T, h Harness) {
	place := h.Place(t)
	h.migrated(t, place, set(steps(2)))
	_, reports := h.migrated(t, place, set(steps(2)))
	if want := []store.Progress{{Scope: "control", Done: 2, Total: 2}}; !reflect.DeepEqual(reports, want) {
		t.Errorf("reports were %v, want %v", reports, want)
	}
}

func migrateEveryTenant(t *testing.T, h Harness) {
	place := h.Place(t)
	db, _ := h.migrated(t, place, set(steps(1)))
	a, b := tenant(t, db), tenant(t, db)
	_, reports := h.migrated(t, place, set(steps(2)))
	for _, id := range []host.TenantID{a.ID(), b.ID()} {
		want := store.Progress{Scope: string(id), Done: 2, Total: 2, Migration: "0002_step"}
		if !contains(reports, want) {
			t.Errorf("no report %v in %v", want, reports)
		}
	}
	if ids, err := db.Tenants(t.Context()); err != nil || len(ids) != 2 || ids[0] > ids[1] {
		t.Errorf("Tenants returned %v, %v; want two sorted ids", ids, err)
	}
}

func contains(all []store.Progress, one store.Progress) bool {
	for _, p := range all {
		if p == one {
			return true
		}
	}
	return false
}

// migrateHalfMade breaks a tenant's creation after its first step.
func migrateHalfMade(t *testing.T, h Harness) {
	place := h.Place(t)
	files := steps(2)
	files["tenant/0002_step.sql"] = "CREATE TABEL;"
	db, _ := h.migrated(t, place, set(files))
	id := host.NewTenantID()
	if err := db.CreateTenant(t.Context(), id); err == nil {
		t.Fatal("a broken migration was no error")
	}
	again := h.openAt(t, place, store.Settings{Migrations: set(steps(2))})
	must(t, again.CreateTenant(t.Context(), id))
	must(t, again.CreateTenant(t.Context(), id)) // a third time changes nothing
	if n := count(t, handle(t, again, id), "step2"); n != 1 {
		t.Errorf("the second step ran %d times", n)
	}
}

func migrateFailing(t *testing.T, h Harness) {
	place := h.Place(t)
	files := steps(2)
	files["control/0002_step.sql"] = steps(2)["control/0002_step.sql"] + "\nINSERT INTO nowhere VALUES (1);"
	db := h.openAt(t, place, store.Settings{Migrations: set(files)})
	err := db.Migrate(t.Context(), nil)
	wantCode(t, err, host.CodeInternal)
	if e := host.AsError(err); e.Where != "control/0002_step.sql" || e.Hint == "" {
		t.Errorf("the error says %q, without file or hint", e)
	}
	_, reports := h.migrated(t, place, set(steps(2)))
	if len(reports) != 2 || reports[0].Migration != "0002_step" {
		t.Errorf("after the repair the reports were %v, want step 2 alone", reports)
	}
}

func migrateChanged(t *testing.T, h Harness) {
	place := h.Place(t)
	h.migrated(t, place, set(steps(2)))
	files := steps(3)
	files["control/0001_step.sql"] += "\nCREATE TABLE another (id BIGINT);"
	db := h.openAt(t, place, store.Settings{Migrations: set(files)})
	err := db.Migrate(t.Context(), nil)
	wantCode(t, err, host.CodePrecondition)
	if e := host.AsError(err); e.Where != "control/0001_step.sql" || !strings.Contains(e.Hint, "new migration") {
		t.Errorf("the error says %q, not which file and what to do", e)
	}
}

func migrateNewer(t *testing.T, h Harness) {
	place := h.Place(t)
	h.migrated(t, place, set(steps(2)))
	db := h.openAt(t, place, store.Settings{Migrations: set(steps(1))})
	err := db.Migrate(t.Context(), nil)
	wantCode(t, err, host.CodePrecondition)
	if !strings.Contains(err.Error(), "newer version") || !strings.Contains(err.Error(), "0002_step") {
		t.Errorf("the error says %q, not that the database is newer", err)
	}
}

func migrateProduct(t *testing.T, h Harness) {
	db, _ := h.migrated(t, h.Place(t), nil)
	tn := tenant(t, db)
	for _, table := range []string{"kv", "outbox"} {
		if n := count(t, tn, table); n != 0 {
			t.Errorf("the new table %s holds %d rows", table, n)
		}
	}
}
