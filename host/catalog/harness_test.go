package catalog_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/catalog/source"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// policy allows everything but what deny holds, and counts its questions.
type policy struct {
	mu    sync.Mutex
	deny  map[host.Action]bool
	asked []string
}

func (p *policy) Authorize(_ context.Context, _ host.Caller, a host.Action, resource string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked) < 100 {
		p.asked = append(p.asked, string(a)+" "+resource)
	}
	if p.deny[a] {
		return host.Errorf(host.CodeForbidden, "%s is denied", a)
	}
	return nil
}

// record keeps audit entries.
type record struct {
	mu      sync.Mutex
	entries []host.AuditEntry
}

func (r *record) Record(_ context.Context, _ host.Caller, e host.AuditEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = append(r.entries, e)
	return nil
}

// clock is a time that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is one tenant with a catalog that reads files below dir.
type world struct {
	t      testing.TB
	db     *store.DB
	cat    *catalog.Catalog
	caller host.Caller
	dir    string
	policy *policy
	audit  *record
	clock  *clock
}

func newWorld(t testing.TB, db *store.DB, change func(*catalog.Settings)) *world {
	t.Helper()
	w := &world{t: t, db: db, dir: t.TempDir(), policy: &policy{deny: map[host.Action]bool{}}, audit: &record{},
		clock: &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	tenant := storetest.Tenant(t, db)
	w.caller = host.NewCaller(tenant, host.Principal{Kind: host.KindUser, ID: "u1", Name: "ann@acme.test", Role: host.RoleAdmin})
	reader, err := source.New(source.Settings{Roots: []string{w.dir}, WorkDir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	s := catalog.Settings{Rules: ingest.AllKinds(), Now: w.clock.Now, Recheck: time.Nanosecond}
	if change != nil {
		change(&s)
	}
	w.cat = catalog.New(db, reader, w.policy, w.audit, s)
	return w
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.clock.add(time.Second)
	return path
}

func (w *world) register(target string) catalog.Report {
	w.t.Helper()
	r, err := w.cat.Register(context.Background(), w.caller, "file", target, false)
	if err != nil {
		w.t.Fatalf("registering %s: %v", target, err)
	}
	return r
}

func (w *world) refresh(id string) catalog.Report {
	w.t.Helper()
	w.clock.add(time.Minute)
	r, err := w.cat.RefreshLocation(context.Background(), w.caller, id)
	if err != nil {
		w.t.Fatalf("refreshing %s: %v", id, err)
	}
	return r
}

func (w *world) get(ref string) (catalog.Entity, error) {
	w.t.Helper()
	r, err := catalog.ParseRef(ref, catalog.Ref{})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.cat.Get(context.Background(), w.caller, r)
}

func (w *world) mustGet(ref string) catalog.Entity {
	w.t.Helper()
	e, err := w.get(ref)
	if err != nil {
		w.t.Fatalf("getting %s: %v", ref, err)
	}
	return e
}

// component returns a document; more is further YAML of its spec.
func component(name, owner, more string) string {
	return "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: " + name +
		"\nspec:\n  type: service\n  lifecycle: production\n  owner: " + owner + "\n" + more
}

func group(name string) string {
	return "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata:\n  name: " + name + "\nspec:\n  type: team\n  children: []\n"
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
		w.t.Fatal(err)
	}
}
