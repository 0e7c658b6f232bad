package store

import (
	"context"
	"database/sql"
	"sync/atomic"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

// transaction is one open transaction; the context of its Work carries it.
type transaction struct {
	db    *DB
	scope driver.Scope
	mode  driver.Mode
	sql   *sql.Tx
	// outer is the transaction of another namespace that this one was begun in.
	outer *transaction
	// doom is the error of a joined Work; it refuses the commit.
	doom     atomic.Pointer[error]
	enqueued atomic.Bool
	// over is set at the end, for contexts that outlive their Work.
	over atomic.Bool
}

var _ Querier = (*transaction)(nil)

func (t *transaction) NewSelect() *bun.SelectQuery { return t.db.bun.NewSelect().Conn(t.sql) }
func (t *transaction) NewInsert() *bun.InsertQuery { return t.db.bun.NewInsert().Conn(t.sql) }
func (t *transaction) NewUpdate() *bun.UpdateQuery { return t.db.bun.NewUpdate().Conn(t.sql) }
func (t *transaction) NewDelete() *bun.DeleteQuery { return t.db.bun.NewDelete().Conn(t.sql) }
func (t *transaction) Dialect() Dialect            { return t.db.Dialect() }

type transactionKey struct{}

// current returns the innermost transaction of db that ctx carries, or nil.
func (db *DB) current(ctx context.Context) *transaction {
	t, _ := ctx.Value(transactionKey{}).(*transaction)
	for ; t != nil; t = t.outer {
		if t.db == db && !t.over.Load() {
			return t
		}
	}
	return nil
}

// run runs work in the transaction of scope that ctx carries, or in a new one.
func (db *DB) run(ctx context.Context, scope driver.Scope, mode driver.Mode, work Work) error {
	outer := db.current(ctx)
	for t := outer; t != nil; t = t.outer {
		if t.db == db && t.scope == scope && !t.over.Load() {
			return t.join(ctx, mode, work)
		}
	}
	if err := admit(outer, scope, mode); err != nil {
		return err
	}
	if mode == driver.Write {
		release, err := db.writers.acquire(ctx, scope)
		if err != nil {
			return explain(db.drv, err)
		}
		defer release()
	}
	tx, err := db.database.Begin(ctx, scope, mode)
	if err != nil {
		return explain(db.drv, err)
	}
	t := &transaction{db: db, scope: scope, mode: mode, sql: tx, outer: outer}
	if err := t.carry(ctx, work); err != nil {
		return explain(db.drv, err)
	}
	if t.enqueued.Load() && db.settings.Enqueued != nil {
		db.settings.Enqueued(scope.Tenant())
	}
	return nil
}

// carry runs work and commits; an error or a panic of work rolls back.
func (t *transaction) carry(ctx context.Context, work Work) error {
	defer func() {
		t.over.Store(true)
		_ = t.sql.Rollback() // nothing is left to roll back after a commit
	}()
	if err := work(context.WithValue(ctx, transactionKey{}, t), t); err != nil {
		return err
	}
	if doom := t.doom.Load(); doom != nil {
		return *doom
	}
	return t.sql.Commit()
}

// join runs work in t, which ctx carries.
func (t *transaction) join(ctx context.Context, mode driver.Mode, work Work) error {
	if mode == driver.Write && t.mode == driver.Read {
		return host.Errorf(host.CodeInternal, "a write was begun inside a read of the namespace %s", t.scope).
			WithHint("begin with Write where something may be written")
	}
	err := explain(t.db.drv, work(ctx, t))
	if err != nil && t.mode == driver.Write {
		t.doom.CompareAndSwap(nil, &err)
	}
	return err
}

// admit decides whether a transaction may begin inside outer. The order
// "control for writing, a tenant, control for reading" has no cycle, so
// neither locks nor connections can be waited for in a circle.
func admit(outer *transaction, scope driver.Scope, mode driver.Mode) error {
	switch {
	case outer == nil,
		outer.scope == driver.Control && outer.mode == driver.Write,
		outer.scope != driver.Control && scope == driver.Control && mode == driver.Read:
		return nil
	}
	return host.Errorf(host.CodeInternal, "a transaction of the namespace %s was begun inside one of %s", scope, outer.scope).
		WithHint("finish one before the other, or hand the work to a job with Enqueue")
}
