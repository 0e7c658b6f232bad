// Package driver is what a database technology implements to carry the store.
// Only drivers, package store and their suite (drivertest) import it: a room
// that wants to read or write data takes a *store.DB.
//
// A driver is dumb on purpose. It opens namespaces, begins transactions that
// cannot leave them, and explains its errors. Everything that must be the same
// on all databases (migrations, nesting, the outbox, error texts) is written
// once, in package store.
//
// # What a transaction promises
//
// A transaction of mode Read sees one unchanging snapshot of its namespace and
// every write in it is refused by the database. A transaction of mode Write
// has its namespace for itself: other writers of the same namespace wait, in
// this process and in others, so reading, deciding and writing needs no locks
// in SQL. Both refuse, before the database sees it, any statement that is not
// a single SELECT, INSERT, UPDATE or DELETE (package guard), and both refuse,
// by means of the database, anything that lies in another namespace. Mode
// Migrate has the namespace for itself too, runs as its owner and is not
// guarded; nothing but the migrations of this repository runs in it.
package driver

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun/schema"

	"github.com/callboard-dev/callboard/host"
)

// Dialect names an SQL dialect.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Scope names one namespace: Control, or a tenant's id.
type Scope string

// Control is the namespace of the data that belongs to no tenant.
const Control Scope = "control"

// TenantScope returns the namespace of a tenant.
func TenantScope(id host.TenantID) Scope { return Scope(id) }

// Tenant returns whose namespace it is; it is not Valid for Control.
func (s Scope) Tenant() host.TenantID { return host.TenantID(s) }

// Mode says what a transaction may do. See the package documentation.
type Mode int

// The modes.
const (
	Read Mode = iota
	Write
	Migrate
)

// Driver is one database technology at one place: a directory, a URL.
type Driver interface {
	// Dialect names the dialect that migrations are written for.
	Dialect() Dialect
	// Bun returns a new Bun dialect.
	Bun() schema.Dialect
	// Open connects, and prepares the control namespace so that it can be
	// migrated. An Error with a hint tells what an operator can do.
	Open(ctx context.Context) (Database, error)
	// Explain turns an error of the database into an Error with a code
	// (CodeConflict for a violated uniqueness, CodeUnavailable for a database
	// that cannot be reached or written, CodeNotFound for an unknown
	// namespace), or returns nil where it knows nothing better. No text that
	// it returns contains a password.
	Explain(err error) *host.Error
}

// Database is an open database. Its methods may be called at any time from
// any goroutine.
type Database interface {
	// Begin starts a transaction. CodeNotFound: there is no such namespace.
	Begin(ctx context.Context, scope Scope, mode Mode) (*sql.Tx, error)
	// Create makes an empty namespace for a tenant. It succeeds where the
	// namespace, or half of it, is there already.
	Create(ctx context.Context, id host.TenantID) error
	// Drop removes a tenant's namespace and all that is in it. It succeeds
	// where the namespace, or half of it, is gone already.
	Drop(ctx context.Context, id host.TenantID) error
	// Tenants returns whose namespaces exist, sorted.
	Tenants(ctx context.Context) ([]host.TenantID, error)
	// SQL returns an unguarded pool on the control namespace, for the job
	// queue alone.
	SQL() *sql.DB
	// Close closes the database after the statements that are running.
	Close() error
}
