package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

// Progress is how far the migration of one namespace is.
type Progress struct {
	// Scope is "control" or a tenant's id.
	Scope string
	// Done of Total migrations are applied.
	Done, Total int
	// Migration is the one that was just applied; empty in the report that
	// ends a namespace.
	Migration string
}

// Migrate brings the control namespace and every tenant's to the tables of
// this version. It is idempotent, and safe when several processes do it at
// once: each step is one transaction that has the namespace for itself. A
// process that dies leaves whole steps; the next Migrate goes on after them.
//
// progress, which may be nil, is called after each step and at the end of each
// namespace. CodePrecondition: the database was migrated by a newer version,
// or an applied migration's file was changed.
func (db *DB) Migrate(ctx context.Context, progress func(Progress)) error {
	if err := db.migrate(ctx, driver.Control, progress); err != nil {
		return err
	}
	ids, err := db.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		err := db.migrate(ctx, driver.TenantScope(id), progress)
		if host.CodeOf(err) == host.CodeNotFound {
			continue // dropped meanwhile
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// migrate applies what is missing in one namespace, step by step.
func (db *DB) migrate(ctx context.Context, scope driver.Scope, progress func(Progress)) error {
	steps := db.tenant
	if scope == driver.Control {
		steps = db.control
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	for {
		name, done, err := db.advance(ctx, scope, steps)
		if err != nil {
			return explain(db.drv, err)
		}
		progress(Progress{Scope: string(scope), Done: done, Total: len(steps), Migration: name})
		if name == "" {
			return nil
		}
	}
}

// advance applies the first step that is missing. It returns the step's name,
// empty where none is missing, and how many are applied then.
func (db *DB) advance(ctx context.Context, scope driver.Scope, steps []step) (name string, done int, err error) {
	release, err := db.writers.acquire(ctx, scope)
	if err != nil {
		return "", 0, err
	}
	defer release()
	tx, err := db.database.Begin(ctx, scope, driver.Migrate)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to roll back after a commit
	ledger, err := render("schema_migrations.sql", ledgerSQL, db.Dialect())
	if err != nil {
		return "", 0, err
	}
	if _, err := tx.ExecContext(ctx, ledger.sql); err != nil {
		return "", 0, err
	}
	var rows []applied
	if err := db.bun.NewSelect().Model(&rows).Conn(tx).Order("name").Scan(ctx); err != nil {
		return "", 0, err
	}
	next, err := missing(scope, rows, steps)
	if err != nil {
		return "", 0, err
	}
	if next == nil {
		return "", len(rows), tx.Commit()
	}
	if _, err := tx.ExecContext(ctx, next.sql); err != nil {
		return "", 0, broken(db.drv, scope, *next, err)
	}
	row := applied{Name: next.name, Checksum: next.sum, AppliedAt: time.Now()}
	if _, err := db.bun.NewInsert().Model(&row).Conn(tx).Exec(ctx); err != nil {
		return "", 0, err
	}
	return next.name, len(rows) + 1, tx.Commit()
}

// applied is a row of the ledger of migrations, one per namespace.
type applied struct {
	bun.BaseModel `bun:"table:schema_migrations"`

	Name      string `bun:",pk"`
	Checksum  string
	AppliedAt time.Time
}

// ledgerSQL makes the ledger, which no tenant's transaction may touch.
const ledgerSQL = `{{if eq .Dialect "sqlite"}}
CREATE TABLE IF NOT EXISTS schema_migrations (
	name TEXT PRIMARY KEY, checksum TEXT NOT NULL, applied_at {{.Timestamp}} NOT NULL
);{{else}}
DO $$ BEGIN
	IF to_regclass(format('%I.schema_migrations', current_schema())) IS NULL THEN
		CREATE TABLE schema_migrations (
			name TEXT PRIMARY KEY, checksum TEXT NOT NULL, applied_at {{.Timestamp}} NOT NULL
		);
		IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_schema() AND rolname <> current_user) THEN
			EXECUTE format('REVOKE ALL ON schema_migrations FROM %I', current_schema());
		END IF;
	END IF;
END $$;{{end}}`

// missing compares the ledger with the steps and returns the first step that
// is not applied, or nil.
func missing(scope driver.Scope, rows []applied, steps []step) (*step, error) {
	sums := make(map[string]string, len(rows))
	for _, row := range rows {
		sums[row.Name] = row.Checksum
	}
	var first *step
	for i := range steps {
		sum, ok := sums[steps[i].name]
		switch {
		case !ok && first == nil:
			first = &steps[i]
		case ok && sum != steps[i].sum:
			return nil, host.Errorf(host.CodePrecondition, "the migration was changed after it was applied to %s", scope).
				At(steps[i].file).WithHint("put the file back as it was released and add a new migration for the change")
		}
		delete(sums, steps[i].name)
	}
	for _, row := range rows {
		if _, unknown := sums[row.Name]; unknown {
			return nil, host.Errorf(host.CodePrecondition, "the database was migrated by a newer version: %s knows the migration %q", scope, row.Name).
				WithHint("start the newer version, or restore a backup from before it")
		}
	}
	return first, nil
}

// broken says which migration failed, and why.
func broken(drv driver.Driver, scope driver.Scope, s step, err error) error {
	if e := drv.Explain(err); e != nil {
		return e.At(s.file)
	}
	if err := explain(drv, err); host.CodeOf(err) != host.CodeInternal {
		return err
	}
	return host.Errorf(host.CodeInternal, "applying the migration to %s: %w", scope, err).
		At(s.file).WithHint("nothing of it was applied; the database is as the step before left it")
}
