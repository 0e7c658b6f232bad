package sqlitestore

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/guard"
)

const (
	// busyTime is how long a statement waits for a writer of another process.
	busyTime = 30 * time.Second
	// idleTime is after how long an unused connection is closed, so that
	// tenants that sleep hold no memory and no files.
	idleTime = 5 * time.Minute
)

// namespace is one database file: pools of connections with different rights.
type namespace struct {
	owner  *sql.DB // unguarded: migrations, and the job queue on control.db
	writer *sql.DB // guarded, one connection
	reader *sql.DB // guarded, refuses to write
}

// openNamespace makes the pools of a file. It connects to nothing.
func openNamespace(path string, s Settings) (*namespace, error) {
	begin := func(ctx context.Context, conn sqldriver.Conn, opts sqldriver.TxOptions) (sqldriver.Tx, error) {
		return conn.(sqldriver.ConnBeginTx).BeginTx(ctx, opts)
	}
	write, err := newConnector(path, s, false)
	if err != nil {
		return nil, err
	}
	read, err := newConnector(path, s, true)
	if err != nil {
		return nil, err
	}
	return &namespace{
		owner:  pool(write, 1),
		writer: pool(guard.Connector(write, driver.SQLite, begin), 1),
		reader: pool(guard.Connector(read, driver.SQLite, begin), s.Readers),
	}, nil
}

func pool(c sqldriver.Connector, size int) *sql.DB {
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(idleTime)
	return db
}

func (n *namespace) begin(ctx context.Context, mode driver.Mode) (*sql.Tx, error) {
	switch mode {
	case driver.Read:
		return n.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	case driver.Write:
		return n.writer.BeginTx(ctx, nil)
	default:
		return n.owner.BeginTx(ctx, nil)
	}
}

func (n *namespace) close() error {
	return errors.Join(n.reader.Close(), n.writer.Close(), n.owner.Close())
}

// connector opens connections that can attach nothing. SQLite's limits are set
// through a *sql.Conn, so each connection is held by a pool of one of its own.
type connector struct{ inner sqldriver.Connector }

// newConnector returns the connector of a file that exists already. Writing
// transactions take the file's lock when they begin and not at their first
// write, so none can fail halfway because another came first.
func newConnector(path string, s Settings, readOnly bool) (sqldriver.Connector, error) {
	params := url.Values{
		"mode": {"rw"}, "_txlock": {"immediate"}, "_defensive": {"1"}, "_dqs": {"0"}, "_error_rc": {"1"},
		"_busy_timeout": {fmt.Sprint(busyTime.Milliseconds())}, "_foreign_keys": {"1"}, "_synchronous": {"FULL"},
	}
	if s.Relaxed {
		params.Set("_synchronous", "OFF")
	}
	if readOnly {
		params.Set("_query_only", "1")
	}
	inner, err := sqlite.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params.Encode())
	if err != nil {
		return nil, err
	}
	return connector{inner}, nil
}

func (c connector) Driver() sqldriver.Driver { return c.inner.Driver() }

func (c connector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	single := sql.OpenDB(c.inner)
	single.SetMaxIdleConns(-1) // giving the connection back closes it
	held, err := single.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, single.Close())
	}
	h := &heldConn{held: held, single: single}
	if _, err := sqlite.Limit(held, sqlite3.SQLITE_LIMIT_ATTACHED, 0); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if err := held.Raw(func(raw any) error { return h.adopt(raw) }); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// rawConn is what a connection of modernc.org/sqlite can do.
type rawConn interface {
	sqldriver.Conn
	sqldriver.ConnBeginTx
	sqldriver.ExecerContext
	sqldriver.QueryerContext
	sqldriver.SessionResetter
	sqldriver.Validator
}

// heldConn is a connection that is held by its pool of one.
type heldConn struct {
	rawConn
	held   *sql.Conn
	single *sql.DB
}

func (h *heldConn) adopt(raw any) error {
	conn, ok := raw.(rawConn)
	if !ok {
		return fmt.Errorf("a connection to SQLite is a %T, which lacks a method", raw)
	}
	h.rawConn = conn
	return nil
}

func (h *heldConn) Close() error { return errors.Join(h.held.Close(), h.single.Close()) }

// failing is the connector of a pool that cannot be had.
type failing struct{ err error }

func (f failing) Connect(context.Context) (sqldriver.Conn, error) { return nil, f.err }

func (f failing) Driver() sqldriver.Driver { return f }

func (f failing) Open(string) (sqldriver.Conn, error) { return nil, f.err }
