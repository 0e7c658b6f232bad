package guard

import (
	"context"
	"database/sql/driver"

	store "github.com/callboard-dev/callboard/host/store/driver"
)

// Begin starts a transaction on a connection of a database.
type Begin func(ctx context.Context, conn driver.Conn, opts driver.TxOptions) (driver.Tx, error)

// Connector returns a connector whose connections begin transactions by begin
// and let through only what Check allows, only in a transaction.
func Connector(inner driver.Connector, d store.Dialect, begin Begin) driver.Connector {
	return connector{inner, d, begin}
}

type connector struct {
	driver.Connector
	dialect store.Dialect
	begin   Begin
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: inner, dialect: c.dialect, begin: c.begin}, nil
}

// conn is one guarded connection.
type conn struct {
	driver.Conn
	dialect store.Dialect
	begin   Begin
	open    bool
}

var (
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
)

func (c *conn) check(query string) error {
	if !c.open {
		return refuse("it was sent outside of a transaction")
	}
	return Check(c.dialect, query)
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.check(query); err != nil {
		return nil, err
	}
	inner, ok := c.Conn.(driver.ExecerContext)
	if !ok {
		return nil, refuse("the driver cannot run it without preparing it")
	}
	return inner.ExecContext(ctx, query, args)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.check(query); err != nil {
		return nil, err
	}
	inner, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return nil, refuse("the driver cannot run it without preparing it")
	}
	return inner.QueryContext(ctx, query, args)
}

// Prepare refuses: a prepared statement would outlive its transaction.
func (c *conn) Prepare(string) (driver.Stmt, error) {
	return nil, refuse("statements are not prepared")
}

func (c *conn) PrepareContext(context.Context, string) (driver.Stmt, error) { return c.Prepare("") }

func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	inner, err := c.begin(ctx, c.Conn, opts)
	if err != nil {
		return nil, err
	}
	c.open = true
	return tx{inner, c}, nil
}

func (c *conn) ResetSession(ctx context.Context) error {
	if inner, ok := c.Conn.(driver.SessionResetter); ok {
		return inner.ResetSession(ctx)
	}
	return nil
}

func (c *conn) IsValid() bool {
	if inner, ok := c.Conn.(driver.Validator); ok {
		return inner.IsValid()
	}
	return true
}

func (c *conn) Ping(ctx context.Context) error {
	if inner, ok := c.Conn.(driver.Pinger); ok {
		return inner.Ping(ctx)
	}
	return nil
}

// tx closes the gate of its connection when it ends.
type tx struct {
	driver.Tx
	conn *conn
}

func (t tx) Commit() error {
	t.conn.open = false
	return t.Tx.Commit()
}

func (t tx) Rollback() error {
	t.conn.open = false
	return t.Tx.Rollback()
}
