// Package postgresstore is the store's driver for PostgreSQL 15 and later. Only
// cmd/callboard/serve.go and tests import it.
//
// The control namespace is the schema "callboard". A tenant's namespace is a
// schema and a role without login, both named by the tenant's opaque id. The
// role may read and write the rows of its schema's tables and nothing else;
// the user that Callboard connects as owns the tables and is a member of the
// role. Each transaction takes on role and search path for itself alone, in
// the round trip that begins it, so a pooled connection remembers no tenant.
//
// Rights that the user needs: CREATE on the database and CREATEROLE.
package postgresstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/schema"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/guard"
)

// controlSchema is where the control namespace's tables are.
const controlSchema = "callboard"

// Settings say where the database is and how many connections it may cost.
type Settings struct {
	// URL is a postgres:// URL or key=value string. It may hold a password,
	// which appears in no error.
	URL string
	// Conns is how many connections serve tenants' transactions; 0 means 16.
	// The control namespace and the job queue take up to 12 more.
	Conns int
	// ConnLifetime is after how long a connection is replaced, because
	// PostgreSQL's cache in a backend grows with the tenants that it has
	// served; 0 means 15 minutes.
	ConnLifetime time.Duration
}

// New returns the driver for a database. CodeInvalid: the URL cannot be read.
func New(s Settings) (driver.Driver, error) {
	config, err := pgx.ParseConfig(s.URL)
	if err != nil {
		// The cause may quote the password, so it is not kept.
		return nil, host.Errorf(host.CodeInvalid, "the database URL cannot be read").
			WithHint("write it as postgres://user:password@host:5432/database?sslmode=require, with %%-escapes for special characters")
	}
	if s.Conns == 0 {
		s.Conns = 16
	}
	if s.ConnLifetime == 0 {
		s.ConnLifetime = 15 * time.Minute
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	set := config.RuntimeParams
	set["search_path"] = controlSchema
	set["timezone"] = "UTC"
	set["standard_conforming_strings"] = "on" // the guard reads literals so
	if set["application_name"] == "" {
		set["application_name"] = "callboard"
	}
	return &engine{settings: s, config: config}, nil
}

type engine struct {
	settings Settings
	config   *pgx.ConnConfig
}

var _ driver.Driver = (*engine)(nil)

func (e *engine) Dialect() driver.Dialect { return driver.Postgres }

func (e *engine) Bun() schema.Dialect { return pgdialect.New() }

// Open connects and makes the control schema.
func (e *engine) Open(ctx context.Context) (driver.Database, error) {
	plain := e.config.Copy()
	guarded := e.config.Copy()
	// Bun writes values into the text, so no statement comes twice: preparing
	// them would fill the server's memory. The extended protocol stays, in
	// which the server itself refuses a second statement.
	guarded.DefaultQueryExecMode = pgx.QueryExecModeExec
	connect := guard.Connector(connector{stdlib.GetConnector(*guarded)}, driver.Postgres, begin)
	d := &database{
		owner:  e.pool(sql.OpenDB(stdlib.GetConnector(*plain)), 6),
		writer: e.pool(sql.OpenDB(connect), 2),
		reader: e.pool(sql.OpenDB(connect), 4),
		tenant: e.pool(sql.OpenDB(connect), e.settings.Conns),
	}
	if err := d.prepare(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (e *engine) pool(db *sql.DB, size int) *sql.DB {
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(e.settings.ConnLifetime)
	return db
}
