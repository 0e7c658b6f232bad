// Package storetest gives tests of other rooms a real, migrated store of their
// own. It is for tests alone; tests of drivers use package drivertest.
package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/postgresstore"
	"github.com/callboard-dev/callboard/host/store/postgrestest"
	"github.com/callboard-dev/callboard/host/store/sqlitestore"
)

// Each runs f as a subtest on each database.
func Each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

// SQLite returns a migrated store in a directory of its own.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	return open(t, sqlitestore.New(sqlitestore.Settings{Dir: t.TempDir(), Relaxed: true}))
}

// Postgres returns a migrated store in a database of its own, on a server that
// the tests of the binary share. Without PostgreSQL it skips the test, or
// fails it where CI is set.
func Postgres(t testing.TB) *store.DB {
	t.Helper()
	drv, err := postgresstore.New(postgresstore.Settings{URL: postgrestest.Database(t)})
	if err != nil {
		t.Fatalf("reading the URL of the test database: %v", err)
	}
	return open(t, drv)
}

// Tenant makes a tenant's namespace. It writes no row of the tenant registry.
func Tenant(t testing.TB, db *store.DB) host.Tenant {
	t.Helper()
	tenant := host.Tenant{ID: host.NewTenantID(), Slug: "acme", Name: "Acme"}
	if err := db.CreateTenant(context.Background(), tenant.ID); err != nil {
		t.Fatalf("creating a tenant's namespace: %v", err)
	}
	return tenant
}

func open(t testing.TB, drv driver.Driver) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), drv, store.Settings{})
	if err != nil {
		t.Fatalf("opening a store: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	if err := db.Migrate(context.Background(), nil); err != nil {
		t.Fatalf("migrating the store: %v: %v", err, errors.Unwrap(err))
	}
	return db
}
