package guard

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"

	"github.com/callboard-dev/callboard/host/store/driver"
)

// pool returns a guarded pool on a real database.
func pool(t *testing.T) *sql.DB {
	t.Helper()
	inner, err := sqlite.NewConnector("file:" + filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(Connector(inner, driver.SQLite, func(ctx context.Context, c sqldriver.Conn, o sqldriver.TxOptions) (sqldriver.Tx, error) {
		return c.(sqldriver.ConnBeginTx).BeginTx(ctx, o)
	}))
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestConn(t *testing.T) {
	db := pool(t)
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func() error{
		"exec outside of a transaction":  func() error { _, err := db.ExecContext(t.Context(), "SELECT 1"); return err },
		"query outside of a transaction": func() error { return db.QueryRowContext(t.Context(), "SELECT 1").Scan(new(int)) },
		"preparing": func() error {
			stmt, err := db.PrepareContext(t.Context(), "SELECT 1")
			if err == nil {
				err = stmt.Close()
			}
			return err
		},
		"exec after commit": func() error {
			return onOne(t, db, func(conn *sql.Conn, tx *sql.Tx) error {
				if err := tx.Commit(); err != nil {
					return err
				}
				_, err := conn.ExecContext(t.Context(), "SELECT 1")
				return err
			})
		},
		"query after rollback": func() error {
			return onOne(t, db, func(conn *sql.Conn, tx *sql.Tx) error {
				if err := tx.Rollback(); err != nil {
					return err
				}
				return conn.QueryRowContext(t.Context(), "SELECT 1").Scan(new(int))
			})
		},
		"other statement in a transaction": func() error {
			return onOne(t, db, func(_ *sql.Conn, tx *sql.Tx) error {
				defer func() { _ = tx.Rollback() }() // nothing was written
				_, err := tx.ExecContext(t.Context(), "PRAGMA query_only = 0")
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(); !errors.Is(err, ErrRefused) {
				t.Errorf("got %v, want a refusal", err)
			}
		})
	}
	t.Run("select in a transaction passes", func(t *testing.T) {
		if err := onOne(t, db, func(_ *sql.Conn, tx *sql.Tx) error {
			return errors.Join(tx.QueryRowContext(t.Context(), "SELECT 1").Scan(new(int)), tx.Commit())
		}); err != nil {
			t.Error(err)
		}
	})
}

// onOne runs f with a connection and a transaction that was begun on it.
func onOne(t *testing.T, db *sql.DB, f func(*sql.Conn, *sql.Tx) error) error {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // given back to the pool
	tx, err := conn.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return f(conn, tx)
}
