package postgresstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

// database is an open database: pools for what may wait for what. A control
// write may wait for a tenant's connection and a tenant's work for a control
// read's, so these are pools of their own and no circle can form.
type database struct {
	owner  *sql.DB // unguarded: migrations, the job queue
	writer *sql.DB // control, writing
	reader *sql.DB // control, reading
	tenant *sql.DB // all tenants
}

var _ driver.Database = (*database)(nil)

// prepareSQL makes the control schema, which the role of no tenant may enter.
// Where the database is ours, it also takes back what PostgreSQL lets everybody
// do in a new one: make temporary tables, and look into the schema public.
const prepareSQL = `
CREATE SCHEMA IF NOT EXISTS ` + controlSchema + `;
REVOKE ALL ON SCHEMA ` + controlSchema + ` FROM PUBLIC;
DO $$ BEGIN
	IF (SELECT pg_get_userbyid(datdba) = current_user FROM pg_database WHERE datname = current_database()) THEN
		EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
		IF to_regnamespace('public') IS NOT NULL THEN
			REVOKE ALL ON SCHEMA public FROM PUBLIC;
		END IF;
	END IF;
END $$;`

func (d *database) prepare(ctx context.Context) error {
	var there bool
	if err := d.owner.QueryRowContext(ctx,
		`SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, controlSchema).Scan(&there); err != nil || there {
		return err
	}
	return d.locked(ctx, driver.Control, prepareSQL)
}

// Begin starts a transaction in the pool of its scope; connections learn from
// the context which namespace to enter.
func (d *database) Begin(ctx context.Context, scope driver.Scope, mode driver.Mode) (*sql.Tx, error) {
	ctx = withEntry(ctx, entry{scope, mode})
	switch {
	case mode == driver.Migrate:
		return d.beginOwner(ctx, scope)
	case scope != driver.Control:
		return d.tenant.BeginTx(ctx, nil)
	case mode == driver.Read:
		return d.reader.BeginTx(ctx, nil)
	default:
		return d.writer.BeginTx(ctx, nil)
	}
}

// beginOwner starts an unguarded transaction as the owner of the tables, with
// the namespace for itself.
func (d *database) beginOwner(ctx context.Context, scope driver.Scope) (*sql.Tx, error) {
	tx, err := d.owner.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	// The check interval makes the server notice within a second that we died,
	// and let go of the lock, while a long step is running.
	_, err = tx.ExecContext(ctx, fmt.Sprintf(
		`SELECT pg_advisory_xact_lock(%d); SET LOCAL search_path TO %s; SET LOCAL client_connection_check_interval TO '1s'`,
		lockKey(scope), schemaOf(scope)))
	if err == nil && scope != driver.Control {
		err = d.exists(ctx, tx, scope)
	}
	if err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

func (d *database) exists(ctx context.Context, tx *sql.Tx, scope driver.Scope) error {
	var there bool
	if err := tx.QueryRowContext(ctx,
		`SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, string(scope)).Scan(&there); err != nil {
		return err
	}
	if !there {
		return unknown(scope)
	}
	return nil
}

// locked runs statements of our own in one transaction under the lock of scope.
func (d *database) locked(ctx context.Context, scope driver.Scope, statements string) error {
	tx, err := d.owner.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to roll back after a commit
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, lockKey(scope))); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, statements); err != nil {
		return err
	}
	return tx.Commit()
}

// createSQL makes role and schema %[1]s. The role owns nothing and may make
// nothing: its rights are those on rows, given with each table as it is made.
const createSQL = `
DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%[1]s') THEN
		CREATE ROLE %[1]s NOLOGIN NOINHERIT;
	END IF;
END $$;
GRANT %[1]s TO CURRENT_USER;
CREATE SCHEMA IF NOT EXISTS %[1]s;
REVOKE ALL ON SCHEMA %[1]s FROM PUBLIC;
GRANT USAGE ON SCHEMA %[1]s TO %[1]s;
ALTER DEFAULT PRIVILEGES IN SCHEMA %[1]s GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %[1]s;
ALTER DEFAULT PRIVILEGES IN SCHEMA %[1]s GRANT USAGE, SELECT ON SEQUENCES TO %[1]s;`

func (d *database) Create(ctx context.Context, id host.TenantID) error {
	return d.locked(ctx, driver.TenantScope(id), fmt.Sprintf(createSQL, id))
}

// dropSQL removes schema and role %[1]s. The role stays where another database
// of the same server, a restored copy, still uses it.
const dropSQL = `
DROP SCHEMA IF EXISTS %[1]s CASCADE;
DO $$ BEGIN
	IF EXISTS (SELECT FROM pg_roles WHERE rolname = '%[1]s') THEN
		DROP OWNED BY %[1]s;
		BEGIN
			DROP ROLE %[1]s;
		EXCEPTION WHEN dependent_objects_still_exist THEN
			NULL;
		END;
	END IF;
END $$;`

func (d *database) Drop(ctx context.Context, id host.TenantID) error {
	return d.locked(ctx, driver.TenantScope(id), fmt.Sprintf(dropSQL, id))
}

func (d *database) Tenants(ctx context.Context) ([]host.TenantID, error) {
	rows, err := d.owner.QueryContext(ctx, `SELECT nspname FROM pg_namespace WHERE nspname LIKE 't%' ORDER BY nspname COLLATE "C"`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var ids []host.TenantID
	for rows.Next() {
		var id host.TenantID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		if id.Valid() {
			ids = append(ids, id)
		}
	}
	return ids, rows.Err()
}

func (d *database) SQL() *sql.DB { return d.owner }

func (d *database) Close() error {
	return errors.Join(d.tenant.Close(), d.reader.Close(), d.writer.Close(), d.owner.Close())
}
