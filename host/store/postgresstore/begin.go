package postgresstore

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

// entry says which namespace a transaction enters, and how.
type entry struct {
	scope driver.Scope
	mode  driver.Mode
}

type entryKey struct{}

func withEntry(ctx context.Context, e entry) context.Context {
	return context.WithValue(ctx, entryKey{}, e)
}

// begin starts a transaction and enters the namespace that ctx names, in one
// round trip.
func begin(ctx context.Context, conn sqldriver.Conn, _ sqldriver.TxOptions) (sqldriver.Tx, error) {
	e, ok := ctx.Value(entryKey{}).(entry)
	if !ok {
		return nil, host.Errorf(host.CodeInternal, "a transaction was begun without a namespace")
	}
	pg := conn.(extendedConn).Conn.Conn().PgConn()
	if _, err := pg.Exec(ctx, e.statements()).ReadAll(); err != nil {
		if pg.IsClosed() && pgconn.SafeToRetry(err) {
			return nil, sqldriver.ErrBadConn
		}
		return nil, errors.Join(e.explain(err), rollback(pg))
	}
	return transaction{ctx: ctx, pg: pg}, nil
}

// statements begins the transaction. Text of others never comes in here: a
// scope is Control or a valid tenant id. A writer takes the namespace's lock
// before its first snapshot, so it sees all that the writer before it did.
func (e entry) statements() string {
	sql := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	if e.mode == driver.Write {
		sql = fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(%d)", lockKey(e.scope))
	}
	if e.scope == driver.Control {
		return sql
	}
	return fmt.Sprintf("%s; SET LOCAL ROLE %[2]s; SET LOCAL search_path TO %[2]s", sql, e.scope)
}

// explain recognises a namespace that is not there: its role is unknown.
func (e entry) explain(err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && e.scope != driver.Control && (pe.Code == "22023" || pe.Code == "42704") {
		return unknown(e.scope)
	}
	return err
}

func unknown(scope driver.Scope) error {
	return host.Errorf(host.CodeNotFound, "there is no namespace %s", scope).
		WithHint("the tenant was deleted, or its creation was not finished")
}

// schemaOf names the schema of a scope.
func schemaOf(scope driver.Scope) string {
	if scope == driver.Control {
		return controlSchema
	}
	return string(scope)
}

// lockKey is the number of a namespace's advisory lock. Two namespaces with
// one number would only wait for each other.
func lockKey(scope driver.Scope) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("callboard/" + scope))
	return int64(h.Sum64())
}

// transaction ends what begin began.
type transaction struct {
	ctx context.Context
	pg  *pgconn.PgConn
}

var _ sqldriver.Tx = transaction{}

// Commit reports a transaction that the server rolled back because a statement
// in it had failed as what it is.
func (t transaction) Commit() error {
	results, err := t.pg.Exec(t.ctx, "COMMIT").ReadAll()
	if err != nil {
		return err
	}
	if len(results) == 1 && results[0].CommandTag.String() == "ROLLBACK" {
		return host.Errorf(host.CodeInternal, "the transaction was rolled back, as a statement in it had failed")
	}
	return nil
}

// Rollback runs after the transaction's context is done, too.
func (t transaction) Rollback() error { return rollback(t.pg) }
