package postgresstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/callboard-dev/callboard/host"
)

// rollbackTime is how long a server may take to answer a ROLLBACK before its
// connection is given up.
const rollbackTime = 5 * time.Second

func rollback(pg *pgconn.PgConn) error {
	if pg.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTime)
	defer cancel()
	_, err := pg.Exec(ctx, "ROLLBACK").ReadAll()
	return err
}

// fault is what an SQLSTATE means for a person.
type fault struct {
	code    host.Code
	message string
	hint    string
}

// faults maps SQLSTATEs, whole or by their class.
var faults = map[string]fault{
	"23505": {host.CodeConflict, "it exists already", ""},
	"25006": {host.CodeInternal, "the database refused a write", "a Read writes nothing; otherwise the database is a standby: connect to the primary"},
	"42501": {host.CodeInternal, "the database refused access", "a tenant's transaction reaches its own namespace only; Callboard's own user needs CREATE on the database and CREATEROLE"},
	"54":    {host.CodeTooLarge, "the value is too large for the database", "keep less in one value"},
	"22021": {host.CodeInvalid, "text is not valid UTF-8", ""},
	"28":    {host.CodeUnavailable, "PostgreSQL refused user or password", "check the user and password of the database URL, and pg_hba.conf"},
	"3D000": {host.CodeUnavailable, "the database does not exist", "create it, or correct the name in the database URL"},
	"53":    {host.CodeUnavailable, "PostgreSQL is out of a resource", "check its disk, memory and max_connections"},
	"57":    {host.CodeUnavailable, "PostgreSQL is stopping or stopped the statement", "try again"},
	"58":    {host.CodeUnavailable, "PostgreSQL met a fault of its machine", "check its disk and log"},
	"08":    {host.CodeUnavailable, "the connection to PostgreSQL broke", "try again"},
	"40":    {host.CodeUnavailable, "the transaction lost against another one", "try again"},
}

// Explain maps SQLSTATEs and the errors of connecting.
func (e *engine) Explain(err error) *host.Error {
	var pe *pgconn.PgError
	var ce *pgconn.ConnectError
	var ne net.Error
	switch {
	case errors.As(err, &pe):
		f, ok := faults[pe.Code]
		if !ok && len(pe.Code) == 5 {
			f, ok = faults[pe.Code[:2]]
		}
		if !ok {
			return nil
		}
		return &host.Error{Code: f.code, Message: f.message, Hint: f.hint, RetryAfter: retryAfter(f.code), Err: err}
	case errors.As(err, &ce), errors.As(err, &ne):
		return &host.Error{
			Code: host.CodeUnavailable, RetryAfter: time.Second, Err: err,
			Message: fmt.Sprintf("PostgreSQL cannot be reached at %s", e.address()),
			Hint:    "check that it runs, and the host, port and TLS mode of the database URL",
		}
	}
	return nil
}

func retryAfter(c host.Code) time.Duration {
	if c == host.CodeUnavailable {
		return time.Second
	}
	return 0
}

// address names the server without user and password.
func (e *engine) address() string {
	return fmt.Sprintf("%s, port %d, database %q", e.config.Host, e.config.Port, e.config.Database)
}
