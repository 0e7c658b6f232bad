// Package sqlitestore is the store's driver for SQLite: the embedded default,
// one directory on one machine. Only cmd/callboard/serve.go and tests import
// it.
//
// The directory holds control.db and, for each tenant, tenants/<id>.db, each
// in WAL mode. A namespace has one connection that writes and a few that read,
// opened when they are needed and closed when they idle; writers of other
// processes wait for one another through SQLite's own lock. No connection can
// attach another file: the limit is set to 0 on each, so a tenant's
// transaction sees one file and nothing else.
package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

// Settings say where the files are.
type Settings struct {
	// Dir is the data directory. It is made where it does not exist.
	Dir string
	// Relaxed trades durability for speed: a commit survives a killed process
	// but perhaps not a power cut. For tests and benchmarks.
	Relaxed bool
	// Readers is how many connections may read a namespace at once; 0 means 8.
	Readers int
}

// New returns the driver for a data directory.
func New(s Settings) driver.Driver {
	if s.Readers == 0 {
		s.Readers = 8
	}
	return &engine{s}
}

type engine struct{ settings Settings }

var _ driver.Driver = (*engine)(nil)

func (e *engine) Dialect() driver.Dialect { return driver.SQLite }

func (e *engine) Bun() schema.Dialect { return sqlitedialect.New() }

// Open makes the directory and an empty control file, and refuses a directory
// that it cannot write to.
func (e *engine) Open(context.Context) (driver.Database, error) {
	dir, err := filepath.Abs(e.settings.Dir)
	if err == nil {
		err = prepareDir(dir)
	}
	if err == nil {
		err = createFile(filepath.Join(dir, "control.db"))
	}
	if err != nil {
		return nil, unwritable(dir, err)
	}
	settings := e.settings
	settings.Dir = dir
	return &database{settings: settings, open: make(map[driver.Scope]*namespace)}, nil
}

// database is an open data directory.
type database struct {
	settings Settings
	mu       sync.Mutex
	open     map[driver.Scope]*namespace
	closed   bool
}

var _ driver.Database = (*database)(nil)

func (d *database) tenants() string { return filepath.Join(d.settings.Dir, "tenants") }

func (d *database) path(scope driver.Scope) string {
	if scope == driver.Control {
		return filepath.Join(d.settings.Dir, "control.db")
	}
	return filepath.Join(d.tenants(), string(scope)+".db")
}

// namespace returns the pools of a namespace, opening them at the first call.
func (d *database) namespace(scope driver.Scope) (*namespace, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, sql.ErrConnDone
	}
	if n := d.open[scope]; n != nil {
		return n, nil
	}
	path := d.path(scope)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, host.Errorf(host.CodeNotFound, "there is no namespace %s", scope).
			WithHint("the tenant was deleted, or its creation was not finished")
	}
	n, err := openNamespace(path, d.settings)
	if err != nil {
		return nil, err
	}
	d.open[scope] = n
	return n, nil
}

func (d *database) Begin(ctx context.Context, scope driver.Scope, mode driver.Mode) (*sql.Tx, error) {
	n, err := d.namespace(scope)
	if err != nil {
		return nil, err
	}
	return n.begin(ctx, mode)
}

func (d *database) SQL() *sql.DB {
	n, err := d.namespace(driver.Control)
	if err != nil {
		return sql.OpenDB(failing{err})
	}
	return n.owner
}

func (d *database) Create(_ context.Context, id host.TenantID) error {
	return createFile(d.path(driver.TenantScope(id)))
}

// Drop removes the database file last: until it is gone the namespace is
// there, and a Drop that was killed is finished by the next.
func (d *database) Drop(_ context.Context, id host.TenantID) error {
	scope := driver.TenantScope(id)
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.open[scope]; n != nil {
		delete(d.open, scope)
		if err := n.close(); err != nil {
			return err
		}
	}
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(d.path(scope) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(d.tenants())
}

func (d *database) Tenants(context.Context) ([]host.TenantID, error) {
	entries, err := os.ReadDir(d.tenants())
	if err != nil {
		return nil, err
	}
	var ids []host.TenantID
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".db")
		if id := host.TenantID(name); ok && id.Valid() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

func (d *database) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	var errs []error
	for _, n := range d.open {
		errs = append(errs, n.close())
	}
	return errors.Join(errs...)
}
