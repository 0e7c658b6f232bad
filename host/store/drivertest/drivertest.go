// Package drivertest is the conformance suite of the store: what package store
// promises, tried on a real database. Every driver's tests run all of it; the
// product never imports it.
//
// A driver's tests need two lines:
//
//	func TestMain(m *testing.M)         { os.Exit(harness.Main(m)) }
//	func TestConformance(t *testing.T)  { harness.Run(t) }
//
// Each file holds one topic. A case gets a database of its own and may run in
// any order.
package drivertest

import (
	"context"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/migrations"
)

// Harness makes the driver under test.
type Harness struct {
	// Place makes an empty database and returns where it is: a directory, a
	// URL. It removes it at the end of the test.
	Place func(t testing.TB) string
	// Driver returns a driver for a place. It is called once for each time
	// that the place is opened, in other processes too.
	Driver func(place string) (driver.Driver, error)
}

// testCase is one promise.
type testCase struct {
	name string
	run  func(t *testing.T, h Harness)
}

// Run runs the suite.
func (h Harness) Run(t *testing.T) {
	for _, topic := range []struct {
		name  string
		cases []testCase
	}{
		{"migrate", migrateCases},      // tables come into being, once and whole
		{"processes", processCases},    // and so they do with several processes, one of them killed
		{"tenancy", tenancyCases},      // nobody reaches another's namespace
		{"attacks", attackCases},       // not on purpose either
		{"tx", txCases},                // all or nothing, and what nests
		{"values", valueCases},         // what goes in comes out
		{"outbox", outboxCases},        // a decided job is handed over
		{"concurrency", togetherCases}, // and all of it at the same time
	} {
		t.Run(topic.name, func(t *testing.T) {
			for _, c := range topic.cases {
				t.Run(c.name, func(t *testing.T) { c.run(t, h) })
			}
		})
	}
}

// wait is how long a test waits for something that must happen.
const wait = 30 * time.Second

// notes is a migration that makes the table of the suite.
const notes = `CREATE TABLE notes (
	id    {{.Identity}},
	name  TEXT NOT NULL UNIQUE,
	count BIGINT NOT NULL DEFAULT 0,
	data  {{.Bytes}},
	doc   {{.JSON}},
	at    {{.Timestamp}},
	flag  BOOLEAN NOT NULL DEFAULT FALSE,
	ratio DOUBLE PRECISION NOT NULL DEFAULT 0
);`

// note is a row of it.
type note struct {
	bun.BaseModel `bun:"table:notes"`

	ID    int64 `bun:",pk,autoincrement"`
	Name  string
	Count int64
	Data  []byte
	Doc   *string
	At    *time.Time
	Flag  bool
	Ratio float64
}

// set returns migrations: files by path.
func set(files map[string]string) fs.FS {
	fsys := fstest.MapFS{}
	for path, source := range files {
		fsys[path] = &fstest.MapFile{Data: []byte(source)}
	}
	return fsys
}

// standard returns the migrations that most cases use: notes in each
// namespace, and the product's outbox.
func standard(t testing.TB) fs.FS {
	t.Helper()
	outbox, err := fs.ReadFile(migrations.Files, "tenant/0002_kv_outbox.sql")
	if err != nil {
		t.Fatalf("reading the outbox's migration: %v", err)
	}
	return set(map[string]string{
		"control/0001_notes.sql":    notes,
		"tenant/0001_notes.sql":     notes,
		"tenant/0002_kv_outbox.sql": string(outbox),
	})
}

// openAt opens a place and closes it at the end of the test.
func (h Harness) openAt(t testing.TB, place string, s store.Settings) *store.DB {
	t.Helper()
	drv, err := h.Driver(place)
	if err != nil {
		t.Fatalf("making the driver: %v", err)
	}
	db, err := store.Open(t.Context(), drv, s)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return db
}

// fresh returns a migrated store in a new place.
func (h Harness) fresh(t testing.TB) *store.DB {
	t.Helper()
	db := h.openAt(t, h.Place(t), store.Settings{Migrations: standard(t)})
	must(t, db.Migrate(t.Context(), nil))
	return db
}

// tenant makes a namespace and returns its handle.
func tenant(t testing.TB, db *store.DB) *store.Tenant {
	t.Helper()
	id := host.NewTenantID()
	must(t, db.CreateTenant(t.Context(), id))
	return handle(t, db, id)
}

func handle(t testing.TB, db *store.DB, id host.TenantID) *store.Tenant {
	t.Helper()
	tn, err := db.Tenant(id)
	must(t, err)
	return tn
}

// namespace is what Control and Tenant have in common.
type namespace interface {
	Read(ctx context.Context, work store.Work) error
	Write(ctx context.Context, work store.Work) error
}

// add returns a Work that inserts a note.
func add(name string) store.Work {
	return func(ctx context.Context, q store.Querier) error {
		_, err := q.NewInsert().Model(&note{Name: name}).Exec(ctx)
		return err
	}
}

// names returns the names of a namespace's notes, sorted.
func names(t testing.TB, n namespace) []string {
	t.Helper()
	var out []string
	must(t, n.Read(t.Context(), func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model((*note)(nil)).Column("name").Order("name").Scan(ctx, &out)
	}))
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode checks an error's code, and that it says something.
func wantCode(t testing.TB, err error, code host.Code) {
	t.Helper()
	if host.CodeOf(err) != code {
		t.Fatalf("got the error %v of code %q, want code %q", err, host.CodeOf(err), code)
	}
}
