// Package table is the port of the relational collections that plugins'
// instances have: typed tables with indexes and references, one space for each
// instance of each tenant, with a quota. It knows nothing of grants or callers;
// host/service checks those and then comes here. The catalog and other data of
// the house do not belong here.
//
// All tables of all instances live in two tables of the tenant's namespace, as
// rows and as entries of indexes whose bytes sort as the values do. So a plugin
// makes no relation in the database, what it may do needs no rights of its own
// there, and both databases give the same answers: nothing but bytes is ever
// compared in SQL.
package table

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/table/schema"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Declaration is what a release says of its tables.
type Declaration struct {
	Version    int // 0 means 1
	Tables     []manifestv1.Table
	Migrations []manifestv1.Migration
}

func (d Declaration) version() int { return max(1, d.Version) }

// Quota is what the tables of an instance may hold. Zero allows nothing.
type Quota struct {
	// Bytes counts rows and the entries of their indexes, as they are stored.
	Bytes int64
	Rows  int64
}

// Usage is what the tables of an instance hold.
type Usage struct {
	Bytes int64 `json:"bytes"`
	Rows  int64 `json:"rows"`
}

// Store is the port over the tenants' namespaces.
type Store struct {
	db *store.DB

	mu    sync.Mutex
	forms map[place]*form
}

// place is where an instance's tables are.
type place struct {
	tenant   host.TenantID
	instance string
}

// maxForms is how many compiled forms are kept.
const maxForms = 1024

// New returns a Store over db.
func New(db *store.DB) *Store { return &Store{db: db, forms: map[place]*form{}} }

// Tables are the tables of one instance, as one release knows them.
type Tables struct {
	store    *Store
	at       place
	declared Declaration
	quota    Quota
}

// Tables returns the tables of an instance. Nothing is read before the first
// request, which also brings the tables to the form that is declared.
func (s *Store) Tables(t host.TenantID, instance string, d Declaration, q Quota) *Tables {
	return &Tables{store: s, at: place{t, instance}, declared: d, quota: q}
}

// tx is one transaction on the tables of one instance.
type tx struct {
	q      store.Querier
	space  string
	schema *schema.Schema
	usage  Usage
}

// table finds a table by its name.
func (x *tx) table(name string) (*schema.Table, error) {
	if t := x.schema.Table(name); t != nil {
		return t, nil
	}
	if len(name) > 64 {
		name = name[:64]
	}
	e := host.Errorf(host.CodeNotFound, "the plugin has no table %q", name)
	if names := x.schema.Names(); len(names) > 0 {
		e.WithHint("its manifest declares: %s", joinNames(names))
	}
	return nil, e
}

// errStale says that the stored tables are not yet what is declared.
var errStale = errors.New("the tables are to be migrated")

// read runs work on a snapshot of the tables.
func (t *Tables) read(ctx context.Context, work func(ctx context.Context, x *tx) error) error {
	db, err := t.store.db.Tenant(t.at.tenant)
	if err != nil {
		return err
	}
	for {
		err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
			x := &tx{q: q, space: t.at.instance}
			if err := t.open(ctx, x); err != nil {
				return err
			}
			return work(ctx, x)
		})
		if !errors.Is(err, errStale) {
			return err
		}
		if err := t.store.Migrate(ctx, t.at.tenant, t.at.instance, t.declared); err != nil {
			return err
		}
	}
}

// write runs work in one transaction, and keeps the quota.
func (t *Tables) write(ctx context.Context, work func(ctx context.Context, x *tx) error) error {
	db, err := t.store.db.Tenant(t.at.tenant)
	if err != nil {
		return err
	}
	return db.Write(ctx, func(ctx context.Context, q store.Querier) error {
		x := &tx{q: q, space: t.at.instance}
		err := t.open(ctx, x)
		if errors.Is(err, errStale) {
			if err = t.store.migrate(ctx, q, t.at, t.declared); err == nil {
				err = t.open(ctx, x)
			}
		}
		if err != nil {
			return err
		}
		if x.usage, err = readUsage(ctx, q, x.space); err != nil {
			return err
		}
		before := x.usage
		if err := work(ctx, x); err != nil {
			return err
		}
		if err := t.quota.admit(before, x.usage); err != nil {
			return err
		}
		return x.writeUsage(ctx)
	})
}

// admit refuses growth beyond the quota. What is over it already, because the
// quota became smaller, may still shrink.
func (q Quota) admit(before, after Usage) error {
	const hint = "delete rows, or ask for a larger quota in the manifest"
	if after.Rows > q.Rows && after.Rows > before.Rows {
		return host.Errorf(host.CodeLimit, "the tables are full: they would hold %d rows, the quota is %d", after.Rows, q.Rows).WithHint(hint)
	}
	if after.Bytes > q.Bytes && after.Bytes > before.Bytes {
		return host.Errorf(host.CodeLimit, "the tables are full: they would hold %d bytes, the quota is %d", after.Bytes, q.Bytes).WithHint(hint)
	}
	return nil
}

// open finds the schema by which x works, or errStale.
func (t *Tables) open(ctx context.Context, x *tx) error {
	doc, err := readMeta(ctx, x.q, x.space, metaForm)
	if err != nil {
		return err
	}
	if doc == nil {
		return errStale
	}
	f, err := t.store.form(t.at, doc)
	if err != nil {
		return err
	}
	if err := t.store.agree(f, t.declared); err != nil {
		return err
	}
	x.schema = f.schema
	return nil
}

// form is a stored form, compiled.
type form struct {
	doc    []byte
	stored *schema.Stored
	schema *schema.Schema
	// agreed is the first table of a declaration that was found equal, by
	// which it is known again: manifests never change.
	agreed *manifestv1.Table
}

// form compiles what is stored, or finds it compiled.
func (s *Store) form(at place, doc []byte) (*form, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.forms[at]; f != nil && bytes.Equal(f.doc, doc) {
		return f, nil
	}
	f, err := compileForm(doc)
	if err != nil {
		return nil, err
	}
	if len(s.forms) >= maxForms {
		for other := range s.forms {
			delete(s.forms, other)
			break
		}
	}
	s.forms[at] = f
	return f, nil
}

// agree compares a stored form with a declared one.
func (s *Store) agree(f *form, d Declaration) error {
	switch {
	case f.stored.Version < d.version():
		return errStale
	case f.stored.Version > d.version():
		return host.Errorf(host.CodePrecondition, "the stored tables have the version %d, this release of the plugin knows %d", f.stored.Version, d.version()).
			WithHint("install a release that knows them, or roll back to the snapshot that was taken before them")
	case len(d.Tables) == 0:
		return host.Errorf(host.CodeInvalid, "the plugin declares no tables")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.agreed == &d.Tables[0] {
		return nil
	}
	if !schema.Same(f.stored.Tables, d.Tables) {
		return errStale
	}
	f.agreed = &d.Tables[0]
	return nil
}
