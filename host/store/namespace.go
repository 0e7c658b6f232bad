package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

// Querier is what a transaction gives: Bun's builders, and no way to send SQL
// text. A Querier is good until its Work returns and belongs to one goroutine.
type Querier interface {
	NewSelect() *bun.SelectQuery
	NewInsert() *bun.InsertQuery
	NewUpdate() *bun.UpdateQuery
	NewDelete() *bun.DeleteQuery
	// Dialect names the dialect, for the few queries that cannot be the same.
	Dialect() Dialect
}

// Work is what runs in a transaction. Its context carries the transaction:
// pass it on to everything that the Work calls. An error rolls all of it back.
type Work func(ctx context.Context, q Querier) error

// Control is the handle of the control namespace.
type Control struct{ db *DB }

// Read runs work on a snapshot of the control namespace.
func (c *Control) Read(ctx context.Context, work Work) error {
	return c.db.run(ctx, driver.Control, driver.Read, work)
}

// Write runs work in a transaction that has the control namespace for itself.
func (c *Control) Write(ctx context.Context, work Work) error {
	return c.db.run(ctx, driver.Control, driver.Write, work)
}

// Tenant is the handle of one tenant's namespace.
//
// A Work may call Read and Write of its own namespace with the context that it
// got: they join its transaction, and an inner error dooms the whole of it. Of
// other namespaces, so that two processes can never wait for each other: a
// Control.Write may use one tenant's namespace; a tenant's Work may read the
// control namespace; everything else is refused with CodeInternal, at once and
// on every database.
type Tenant struct {
	db *DB
	id host.TenantID
}

// ID returns whose namespace it is.
func (t *Tenant) ID() host.TenantID { return t.id }

// Read runs work on a snapshot of the tenant's namespace.
func (t *Tenant) Read(ctx context.Context, work Work) error {
	return t.db.run(ctx, driver.TenantScope(t.id), driver.Read, work)
}

// Write runs work in a transaction that has the tenant's namespace for itself.
func (t *Tenant) Write(ctx context.Context, work Work) error {
	return t.db.run(ctx, driver.TenantScope(t.id), driver.Write, work)
}
