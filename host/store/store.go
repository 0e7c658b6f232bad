// Package store is where data lives: one control namespace and one namespace
// for each tenant, on SQLite or PostgreSQL. A room that keeps data takes a
// *DB; it never sees SQL text of a caller, a connection, or which database it
// is talking to. It is not for job queues (package queue), blobs or caches.
//
// A tenant is a namespace, not a column: inside Tenant.Read and Tenant.Write
// there is nothing but that tenant's tables, so no WHERE can be forgotten.
//
//	tenant, err := db.Tenant(c.TenantID())
//	...
//	err = tenant.Write(ctx, func(ctx context.Context, q store.Querier) error {
//		_, err := q.NewInsert().Model(&row).Exec(ctx)
//		return err
//	})
//
// # What holds on every database
//
//   - Read sees one snapshot; a write in it is refused.
//   - Writes of one namespace run one after another, in all processes: read,
//     decide and write without locks. A commit is durable when Write returns.
//   - A Work that calls Read or Write of its own namespace, with the context
//     that it got, joins the transaction that it is in (see Tenant).
//   - Times are kept as UTC to the microsecond. Text sorts by its bytes; text
//     that contains a NUL byte is refused. JSON comes back byte for byte.
//   - An error that a person can act on is a *host.Error: CodeConflict for a
//     violated uniqueness, CodeNotFound for an unknown tenant,
//     CodeUnavailable for a database that is gone, full or read-only.
//
// The suite that holds drivers to this is package drivertest; tests of other
// rooms get a ready database from package storetest.
package store

import (
	"context"
	"database/sql"
	"io/fs"
	"sync"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/migrations"
)

// Dialect names an SQL dialect.
type Dialect = driver.Dialect

// The dialects.
const (
	SQLite   = driver.SQLite
	Postgres = driver.Postgres
)

// Settings change how a DB works. The zero value is right for production.
type Settings struct {
	// Migrations holds control/*.sql and tenant/*.sql; nil means those of the
	// product (package migrations).
	Migrations fs.FS
	// Enqueued is called after the commit of a tenant's transaction in which
	// Enqueue was called. It must not block. Nil is ignored.
	Enqueued func(host.TenantID)
}

// DB is an open store. It may be used by any number of goroutines.
type DB struct {
	drv      driver.Driver
	database driver.Database
	settings Settings
	// bun builds queries. Its own connection refuses everything: queries run
	// only in a transaction of a namespace.
	bun     *bun.DB
	control []step
	tenant  []step
	writers writers
	closing sync.Once
}

// Open connects to the database of drv. It creates nothing but what the driver
// needs to connect, and does not migrate: call Migrate before the first use.
func Open(ctx context.Context, drv driver.Driver, s Settings) (*DB, error) {
	if s.Migrations == nil {
		s.Migrations = migrations.Files
	}
	db := &DB{drv: drv, settings: s, bun: bun.NewDB(sql.OpenDB(nowhere{}), drv.Bun())}
	var err error
	if db.control, err = loadSteps(s.Migrations, "control", drv.Dialect()); err != nil {
		return nil, err
	}
	if db.tenant, err = loadSteps(s.Migrations, "tenant", drv.Dialect()); err != nil {
		return nil, err
	}
	if db.database, err = drv.Open(ctx); err != nil {
		return nil, explain(drv, err)
	}
	return db, nil
}

// Close closes the store after the transactions that are running.
func (db *DB) Close() error {
	var err error
	db.closing.Do(func() { err = db.database.Close() })
	return err
}

// Dialect names the dialect of the database, for the few queries that cannot
// be the same on both (full-text search).
func (db *DB) Dialect() Dialect { return db.drv.Dialect() }

// SQL returns the control database's pool, for the job queue alone: its
// statements are not guarded.
func (db *DB) SQL() *sql.DB { return db.database.SQL() }

// Control returns the handle of the control namespace.
func (db *DB) Control() *Control { return &Control{db: db} }

// Tenant returns the handle of a tenant's namespace. It does no I/O: an
// unknown tenant is CodeNotFound at the handle's first use. An id that is not
// Valid is CodeInvalid.
func (db *DB) Tenant(id host.TenantID) (*Tenant, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	return &Tenant{db: db, id: id}, nil
}

// CreateTenant makes the namespace of a tenant and migrates it. It is
// idempotent: after a failure or a kill, call it again.
func (db *DB) CreateTenant(ctx context.Context, id host.TenantID) error {
	if err := checkID(id); err != nil {
		return err
	}
	if err := db.database.Create(ctx, id); err != nil {
		return explain(db.drv, err)
	}
	return db.migrate(ctx, driver.TenantScope(id), nil)
}

// DropTenant removes the namespace of a tenant and everything in it, for good.
// It is idempotent. It waits for the transactions that are running there.
func (db *DB) DropTenant(ctx context.Context, id host.TenantID) error {
	if err := checkID(id); err != nil {
		return err
	}
	release, err := db.writers.acquire(ctx, driver.TenantScope(id))
	if err != nil {
		return explain(db.drv, err)
	}
	defer release()
	if err := db.database.Drop(ctx, id); err != nil {
		return explain(db.drv, err)
	}
	return nil
}

// Tenants returns the tenants that have a namespace, sorted.
func (db *DB) Tenants(ctx context.Context) ([]host.TenantID, error) {
	ids, err := db.database.Tenants(ctx)
	if err != nil {
		return nil, explain(db.drv, err)
	}
	return ids, nil
}

func checkID(id host.TenantID) error {
	if !id.Valid() {
		return host.Errorf(host.CodeInvalid, "%q is not a tenant id", string(id)).
			WithHint("a tenant id is a t and 16 of the characters a-z and 2-7; names of tenants are resolved to ids by the tenant registry")
	}
	return nil
}
