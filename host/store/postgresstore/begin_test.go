package postgresstore

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/postgrestest"
)

// TestServerRefusesSecondStatement goes below the guard: in the protocol that
// guarded connections speak, a text is one statement.
func TestServerRefusesSecondStatement(t *testing.T) {
	config, err := pgx.ParseConfig(postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	db := sql.OpenDB(connector{stdlib.GetConnector(*config)})
	defer func() { _ = db.Close() }() // only tidies up
	for name, run := range map[string]func(string) error{
		"exec": func(s string) error { _, err := db.ExecContext(t.Context(), s); return err },
		"query": func(s string) error {
			rows, err := db.QueryContext(t.Context(), s)
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }() // the error that counts is Err
			for rows.Next() {
			}
			return rows.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run("SELECT 1"); err != nil {
				t.Fatal(err)
			}
			if err := run("SELECT 1; SELECT 2"); err == nil || !strings.Contains(err.Error(), "multiple commands") {
				t.Errorf("got %v, want a refusal of the server", err)
			}
		})
	}
	if _, err := db.ExecContext(t.Context(), "SELECT $1::text", "a"); err == nil {
		t.Error("arguments were dropped without an error")
	}
}

// TestEntry reads off a connection what a transaction entered.
func TestEntry(t *testing.T) {
	drv, err := New(Settings{URL: postgrestest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := drv.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }() // only tidies up
	id := host.NewTenantID()
	if err := opened.Create(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		scope      driver.Scope
		mode       driver.Mode
		user, path string
	}{
		"tenant read":     {driver.TenantScope(id), driver.Read, string(id), string(id)},
		"tenant write":    {driver.TenantScope(id), driver.Write, string(id), string(id)},
		"tenant migrate":  {driver.TenantScope(id), driver.Migrate, "callboard", string(id)},
		"control read":    {driver.Control, driver.Read, "callboard", "callboard"},
		"control write":   {driver.Control, driver.Write, "callboard", "callboard"},
		"control migrate": {driver.Control, driver.Migrate, "callboard", "callboard"},
	} {
		t.Run(name, func(t *testing.T) {
			tx, err := opened.Begin(t.Context(), c.scope, c.mode)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback() }() // nothing was written
			var user, path string
			if err := tx.QueryRowContext(t.Context(), "SELECT current_user, current_schema()").Scan(&user, &path); err != nil {
				t.Fatal(err)
			}
			if user != c.user || path != c.path {
				t.Errorf("user %s, path %s; want %s, %s", user, path, c.user, c.path)
			}
		})
	}
	// A transaction that names no namespace is none.
	if _, err := opened.(*database).tenant.BeginTx(context.Background(), nil); host.CodeOf(err) != host.CodeInternal {
		t.Errorf("a transaction without a namespace gave %v", err)
	}
}
