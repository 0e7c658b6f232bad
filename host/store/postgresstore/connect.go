package postgresstore

import (
	"context"
	sqldriver "database/sql/driver"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// connector opens connections that speak the extended protocol only.
type connector struct{ sqldriver.Connector }

func (c connector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := inner.(*stdlib.Conn)
	if !ok {
		return nil, fmt.Errorf("a connection to PostgreSQL is a %T", inner)
	}
	return extendedConn{conn}, nil
}

// extendedConn never falls back to the simple protocol, which pgx uses for
// statements without arguments and in which one text may hold several.
type extendedConn struct{ *stdlib.Conn }

var _ sqldriver.ExecerContext = extendedConn{}

// ExecContext runs one statement. Bun writes values into the text, so there
// are no arguments.
func (c extendedConn) ExecContext(ctx context.Context, query string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	if len(args) > 0 {
		return nil, fmt.Errorf("a statement came with %d arguments", len(args))
	}
	result := c.Conn.Conn().PgConn().ExecParams(ctx, query, nil, nil, nil, nil).Read()
	if result.Err != nil && pgconn.SafeToRetry(result.Err) {
		return nil, sqldriver.ErrBadConn
	}
	return sqldriver.RowsAffected(result.CommandTag.RowsAffected()), result.Err
}
