package postgresstore_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/drivertest"
	"github.com/callboard-dev/callboard/host/store/postgresstore"
	"github.com/callboard-dev/callboard/host/store/postgrestest"
)

var harness = drivertest.Harness{
	Place: func(t testing.TB) string { return postgrestest.Database(t) },
	Driver: func(place string) (driver.Driver, error) {
		return postgresstore.New(postgresstore.Settings{URL: place})
	},
}

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

func TestConformance(t *testing.T) { harness.Run(t) }

func BenchmarkTenant(b *testing.B) { harness.Bench(b) }

// open opens a URL.
func open(ctx context.Context, url string) (*store.DB, error) {
	drv, err := postgresstore.New(postgresstore.Settings{URL: url})
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, drv, store.Settings{})
}

func TestErrorsOfConnecting(t *testing.T) {
	there, err := url.Parse(postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	const secret = "hunter2%40x" // hunter2@x
	with := func(change func(u *url.URL)) string {
		u := *there
		u.User = url.UserPassword("callboard", "hunter2@x")
		change(&u)
		return u.String()
	}
	for name, c := range map[string]struct {
		url  string
		code host.Code
		hint string
	}{
		"ErrPassword":    {with(func(*url.URL) {}), host.CodeUnavailable, "password of the database URL"},
		"ErrUnreachable": {with(func(u *url.URL) { u.Host = "127.0.0.1:1" }), host.CodeUnavailable, "check that it runs"},
		"ErrNoHost":      {with(func(u *url.URL) { u.Host = "nowhere.invalid:5432" }), host.CodeUnavailable, "check that it runs"},
		"ErrNoDatabase": {
			strings.Replace(there.String(), there.Path, "/nowhere", 1), host.CodeUnavailable, "create it",
		},
		"ErrURL":           {"postgres://callboard:" + secret + "@host:port/db", host.CodeInvalid, "postgres://user:password@"},
		"ErrURLNotEscaped": {"postgres://callboard:hunter2@x:hunter2@host:99999999/db?sslmode=hunter2", host.CodeInvalid, "escapes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t.Context(), c.url)
			if host.CodeOf(err) != c.code || !strings.Contains(host.AsError(err).Hint, c.hint) {
				t.Errorf("got %v, want code %q and a hint with %q", err, c.code, c.hint)
			}
			for ; err != nil; err = errors.Unwrap(err) {
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the password is in %q", err)
				}
			}
		})
	}
}

// arena returns the owner's connection and two tenants, of whom the second has
// a row.
func arena(t *testing.T) (*sql.Conn, host.TenantID, host.TenantID) {
	t.Helper()
	db, err := open(t.Context(), postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the database goes away anyhow
	if err := db.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	a, b := host.NewTenantID(), host.NewTenantID()
	for _, id := range []host.TenantID{a, b} {
		if err := db.CreateTenant(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := db.SQL().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the store is closed after it
	return conn, a, b
}

// TestRoleReachesItsSchemaOnly tries, where no guard watches, what a tenant's
// role may do: the database itself must refuse.
func TestRoleReachesItsSchemaOnly(t *testing.T) {
	conn, a, b := arena(t)
	fill := strings.NewReplacer("{a}", string(a), "{b}", string(b))
	for _, c := range []struct {
		statement string
		ok        bool
	}{
		{"SELECT count(*) FROM {a}.kv", true},
		{"DELETE FROM {a}.outbox", true},
		{"INSERT INTO {a}.outbox (kind, key, args) VALUES ('a', 'b', 'null')", true},
		{"SELECT * FROM {b}.kv", false},
		{"INSERT INTO {b}.outbox (kind, key, args) VALUES ('a', 'b', 'null')", false},
		{"UPDATE {b}.kv SET size = 0", false},
		{"DELETE FROM {b}.kv", false},
		{"SELECT nextval('{b}.outbox_id_seq')", false},
		{"SELECT * FROM callboard.schema_migrations", false},
		{"SELECT * FROM {a}.schema_migrations", false},
		{"DELETE FROM {a}.schema_migrations", false},
		{"CREATE TABLE {a}.mine (id BIGINT)", false},
		{"CREATE TEMP TABLE mine (id BIGINT)", false},
		{"CREATE TABLE public.mine (id BIGINT)", false},
		{"CREATE SCHEMA mine", false},
		{"DROP TABLE {a}.kv", false},
		{"ALTER TABLE {a}.kv ADD COLUMN x text", false},
		{"TRUNCATE {a}.kv", false},
		{"CREATE ROLE mine", false},
		{"GRANT {a} TO {b}", false},
		{"COPY {a}.kv TO PROGRAM 'id'", false},
		{"SELECT pg_read_file('/etc/passwd')", false},
	} {
		statement := fill.Replace(c.statement)
		tx, err := conn.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "SET LOCAL ROLE "+string(a)); err != nil {
			t.Fatal(err)
		}
		_, err = tx.ExecContext(t.Context(), statement)
		if c.ok && err != nil {
			t.Errorf("%s: %v", c.statement, err)
		}
		if !c.ok && (err == nil || !strings.Contains(err.Error(), "permission denied") && !strings.Contains(err.Error(), "must ")) {
			t.Errorf("%s gave %v, want permission denied", c.statement, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRoleCannotLogIn holds that a tenant's role is no user.
func TestRoleCannotLogIn(t *testing.T) {
	conn, a, _ := arena(t)
	var login, inherit, super, createRole bool
	err := conn.QueryRowContext(t.Context(),
		"SELECT rolcanlogin, rolinherit, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = $1", string(a)).Scan(&login, &inherit, &super, &createRole)
	if err != nil || login || inherit || super || createRole {
		t.Errorf("login %v, inherit %v, superuser %v, createrole %v, %v; want none", login, inherit, super, createRole, err)
	}
}

// TestDroppedTenantLeavesNoRole holds that nothing of a tenant stays behind.
func TestDroppedTenantLeavesNoRole(t *testing.T) {
	db, err := open(t.Context(), postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // the database goes away anyhow
	id := host.NewTenantID()
	if err := errors.Join(db.CreateTenant(t.Context(), id), db.DropTenant(t.Context(), id)); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.SQL().QueryRowContext(t.Context(),
		"SELECT (SELECT count(*) FROM pg_roles WHERE rolname = $1) + (SELECT count(*) FROM pg_namespace WHERE nspname = $1)", string(id)).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d of role and schema are left, %v", n, err)
	}
}
