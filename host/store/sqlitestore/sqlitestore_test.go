package sqlitestore_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/drivertest"
	"github.com/callboard-dev/callboard/host/store/sqlitestore"
)

var harness = drivertest.Harness{
	Place: func(t testing.TB) string { return t.TempDir() },
	Driver: func(place string) (driver.Driver, error) {
		return sqlitestore.New(sqlitestore.Settings{Dir: place, Relaxed: true}), nil
	},
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(openVar); dir != "" {
		os.Exit(openAsChild(dir))
	}
	os.Exit(harness.Main(m))
}

func TestConformance(t *testing.T) { harness.Run(t) }

func BenchmarkTenant(b *testing.B) { harness.Bench(b) }

// open returns a migrated store in dir.
func open(t *testing.T, dir string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), sqlitestore.New(sqlitestore.Settings{Dir: dir}), store.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // some tests break it
	if err := db.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return db
}

// TestOwnLimits tries, on the pool that no guard watches, what the limits of
// each connection must refuse by themselves.
func TestOwnLimits(t *testing.T) {
	db := open(t, t.TempDir())
	other := filepath.Join(t.TempDir(), "other.db")
	for name, c := range map[string]struct{ statement, want string }{
		"attaching a file":        {"ATTACH DATABASE '" + other + "' AS other", "too many attached databases"},
		"attaching memory":        {"ATTACH DATABASE ':memory:' AS other", "too many attached databases"},
		"writing a copy":          {"VACUUM INTO '" + other + "'", "too many attached databases"},
		"writing the schema":      {"UPDATE sqlite_master SET sql = ''", "may not be modified"},
		"double-quoted as string": {`SELECT "no such column"`, "no such column"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := db.SQL().ExecContext(t.Context(), c.statement); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := os.Stat(other); err == nil {
				t.Error("a file was made")
			}
		})
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20", "data")
	db := open(t, dir)
	id := host.NewTenantID()
	if err := db.CreateTenant(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		"": 0o700, "tenants": 0o700, "control.db": 0o600, "tenants/" + string(id) + ".db": 0o600, "tenants/" + string(id) + ".db-wal": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%q has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}

func TestDamagedFileIsExplained(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "control.db"), []byte(strings.Repeat("not a database", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), sqlitestore.New(sqlitestore.Settings{Dir: dir}), store.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it is broken anyway
	err = db.Migrate(t.Context(), nil)
	if host.CodeOf(err) != host.CodeUnavailable || !strings.Contains(err.Error(), "backup") {
		t.Errorf("got %v, want advice to restore a backup", err)
	}
}

func TestLeftoversAreSwept(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	old, young := filepath.Join(dir, "tenants", ".draft-old"), filepath.Join(dir, "tenants", ".draft-young")
	for _, path := range []string{old, young} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("what a dead process left is still there: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("what a living process makes was swept: %v", err)
	}
}

func TestClosedStoreHasNoQueuePool(t *testing.T) {
	db := open(t, t.TempDir())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.SQL().PingContext(context.Background()); err == nil {
		t.Error("the pool of a closed store connects")
	}
}
