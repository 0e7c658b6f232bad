package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/catalog/source"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// offline reads files, and finds the Internet gone.
type offline struct{ reader *source.Reader }

func (o offline) Open() source.Session { return offlineSession{o.reader.Open()} }

type offlineSession struct{ source.Session }

func (s offlineSession) Read(ctx context.Context, at source.Address, etag string) (source.Content, error) {
	if at.Type != "file" {
		return source.Content{}, host.Errorf(host.CodeUpstream, "%s could not be reached", at.Target).WithHint("this is a test")
	}
	return s.Session.Read(ctx, at, etag)
}

func TestRealCatalogs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		root, err := filepath.Abs("testdata")
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, db, nil)
		reader, err := source.New(source.Settings{Roots: []string{root}, WorkDir: root})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(reader.Close)
		w.cat = catalog.New(db, offline{reader}, w.policy, w.audit, catalog.Settings{Rules: ingest.AllKinds(), Now: w.clock.Now, Recheck: time.Nanosecond})
		// What is left out on purpose: files that are not there (the examples
		// list more APIs than were copied) and definitions on the Internet,
		// which a test must not ask for.
		expected := map[string]int{"realworld/*.yaml": 1, "backstage-examples/all.yaml": 7, "backstage-examples/acme-corp.yaml": 0,
			"backstage-examples/ai-resources/*.yaml": 0, "validator-samples/*.yml": 1}
		for target, problems := range expected {
			r := w.register(target)
			if len(r.Problems) != problems || len(r.Added) == 0 {
				t.Errorf("%s: %d added, %d problems:", target, len(r.Added), len(r.Problems))
				for _, p := range r.Problems {
					t.Errorf("  %s: %s (%s)", p.Where, p.Message, p.Hint)
				}
			}
			for _, p := range r.Problems {
				if !strings.Contains(p.Where, ".y") || p.Hint == "" {
					t.Errorf("%+v", p)
				}
			}
		}
		page, err := w.cat.List(ctx, w.caller, catalog.Query{Limit: 1})
		if err != nil || page.Total < 80 {
			t.Errorf("%d entities, %v", page.Total, err)
		}
		if got := relation(w.mustGet("group:team-a"), "hasMember"); len(got) < 3 {
			t.Errorf("members of team-a: %v", got)
		}
		var doc struct{ Spec struct{ Definition string } }
		if err := json.Unmarshal(w.mustGet("api:petstore").Doc, &doc); err != nil || !strings.Contains(doc.Spec.Definition, "openapi:") {
			t.Errorf("definition %.40q, %v", doc.Spec.Definition, err)
		}
	})
}

func TestLocations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, nil)
		w.write("a.yaml", component("web", "a", "")+"---\n"+group("a"))
		r := w.register("a.yaml")
		if len(r.Entities) != 2 || r.Entities[0].Ref.Name != "web" || len(r.Entities[0].Doc) == 0 {
			t.Errorf("entities = %+v", r.Entities)
		}
		t.Run("ListedAndFound", func(t *testing.T) {
			ls, err := w.cat.Locations(ctx, w.caller)
			if err != nil || len(ls) != 1 || ls[0].ID != r.Location.ID || ls[0].Entities != 2 {
				t.Errorf("%+v, %v", ls, err)
			}
			if l, err := w.cat.Location(ctx, w.caller, r.Location.ID); err != nil || l.Target != filepath.Join(w.dir, "a.yaml") {
				t.Errorf("%+v, %v", l, err)
			}
			for _, id := range []string{"none", "\x00"} {
				if _, err := w.cat.Location(ctx, w.caller, id); host.CodeOf(err) != host.CodeNotFound {
					t.Errorf("%q: %v", id, err)
				}
			}
		})
		t.Run("ByUID", func(t *testing.T) {
			e := w.mustGet("group:a")
			if got, err := w.cat.GetByUID(ctx, w.caller, e.UID); err != nil || got.Ref != e.Ref {
				t.Errorf("%+v, %v", got, err)
			}
			for _, uid := range []string{"none", "\x00"} {
				if _, err := w.cat.GetByUID(ctx, w.caller, uid); host.CodeOf(err) != host.CodeNotFound {
					t.Errorf("%v", err)
				}
			}
			if doc, etag, err := w.cat.GetJSON(ctx, w.caller, e.Ref); err != nil || etag != e.ETag || !json.Valid(doc) {
				t.Errorf("%s, %v", etag, err)
			}
		})
		t.Run("OnlyOrphansAreDeleted", func(t *testing.T) {
			ref := w.mustGet("component:web").Ref
			if err := w.cat.Delete(ctx, w.caller, ref); host.CodeOf(err) != host.CodeConflict {
				t.Errorf("%v", err)
			}
			w.write("a.yaml", group("a"))
			w.refresh(r.Location.ID)
			if err := w.cat.Delete(ctx, w.caller, ref); err != nil {
				t.Error(err)
			}
			if err := w.cat.Delete(ctx, w.caller, ref); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("%v", err)
			}
			if e := w.mustGet("group:a"); len(e.Relations) != 0 {
				t.Errorf("%+v", e.Relations)
			}
		})
		t.Run("UnregisterTakesItsEntities", func(t *testing.T) {
			if err := w.cat.Unregister(ctx, w.caller, r.Location.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := w.get("group:a"); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("%v", err)
			}
			if err := w.cat.Unregister(ctx, w.caller, r.Location.ID); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("%v", err)
			}
			if got := w.names(catalog.Query{Text: "a"}); len(got) != 0 {
				t.Errorf("still found: %v", got)
			}
		})
		t.Run("ErrForbidden", func(t *testing.T) { locationsForbidden(t, w) })
	})
}

func TestSchedule(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, nil)
		id := w.caller.TenantID()
		var jobs []store.Job
		relay := func() {
			t.Helper()
			jobs = nil
			if _, err := db.Relay(ctx, id, func(_ context.Context, j store.Job) error { jobs = append(jobs, j); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		w.write("a.yaml", group("a"))
		r := w.register("a.yaml")
		t.Run("EachRefreshEnqueuesTheNext", func(t *testing.T) {
			relay()
			if len(jobs) != 1 || jobs[0].Kind != catalog.JobRefresh || !jobs[0].RunAt.Equal(r.Location.NextAt) {
				t.Fatalf("%+v", jobs)
			}
			if wait := jobs[0].RunAt.Sub(w.clock.Now()); wait < 90*time.Second || wait > 150*time.Second {
				t.Errorf("the next refresh comes after %v", wait)
			}
			first := jobs[0]
			w.write("a.yaml", strings.Replace(group("a"), "team", "squad", 1))
			if err := w.cat.RunRefresh(ctx, first.Args); err != nil {
				t.Fatal(err)
			}
			if e := w.mustGet("group:a"); e.Type != "team" {
				t.Error("a job that came too early read the location")
			}
			w.clock.add(3 * time.Minute)
			if err := w.cat.RunRefresh(ctx, first.Args); err != nil {
				t.Fatal(err)
			}
			if relay(); len(jobs) != 1 || w.mustGet("group:a").Type != "squad" {
				t.Errorf("%+v", jobs)
			}
		})
		t.Run("LostJobsAreResumed", func(t *testing.T) {
			if n, err := w.cat.Resume(ctx, id); n != 0 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			w.clock.add(time.Hour)
			due, err := w.cat.Due(ctx, id, w.clock.Now())
			if err != nil || len(due) != 1 {
				t.Fatalf("%+v, %v", due, err)
			}
			for range 2 {
				if n, err := w.cat.Resume(ctx, id); n != 1 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			}
			if relay(); len(jobs) != 1 {
				t.Errorf("%+v", jobs)
			}
		})
		t.Run("JobOfAGoneLocationIsDone", func(t *testing.T) {
			if err := w.cat.RunRefresh(ctx, json.RawMessage(fmt.Sprintf(`{"tenant":%q,"location":"gone"}`, id))); err != nil {
				t.Error(err)
			}
			if err := w.cat.RunRefresh(ctx, json.RawMessage(fmt.Sprintf(`{"tenant":%q,"location":"x"}`, host.NewTenantID()))); err != nil {
				t.Error(err)
			}
			if err := w.cat.RunRefresh(ctx, json.RawMessage(`[`)); err == nil {
				t.Error("broken arguments are done")
			}
		})
	})
}

func TestConfigure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, func(s *catalog.Settings) { s.Rules = nil })
		w.write("a.yaml", group("a"))
		w.write("b.yaml", component("b", "x", ""))
		byPerson := w.register("b.yaml").Location
		targets := []catalog.Target{{Type: "file", Target: "a.yaml", Rules: []ingest.Rule{{Allow: []string{"Group"}}}}, {Type: "file", Target: "b.yaml"}, {Type: "file", Target: "none.yaml"}}
		for range 2 {
			if err := w.cat.Configure(ctx, w.caller, targets); err != nil {
				t.Fatal(err)
			}
		}
		ls, err := w.cat.Locations(ctx, w.caller)
		if err != nil || len(ls) != 3 {
			t.Fatalf("%+v, %v", ls, err)
		}
		for _, l := range ls {
			if !l.Managed || (l.ID != byPerson.ID && l.Status != catalog.StatusPending) {
				t.Errorf("%+v", l)
			}
			r := w.refresh(l.ID)
			if missing := strings.HasSuffix(l.Target, "none.yaml"); missing != (len(r.Problems) > 0) {
				t.Errorf("%s: %+v", l.Target, r.Problems)
			}
			if err := w.cat.Unregister(ctx, w.caller, l.ID); host.CodeOf(err) != host.CodeConflict {
				t.Errorf("%v", err)
			}
		}
		w.mustGet("group:a")
		if err := w.cat.Configure(ctx, w.caller, targets[1:2]); err != nil {
			t.Fatal(err)
		}
		if _, err := w.get("group:a"); host.CodeOf(err) != host.CodeNotFound {
			t.Errorf("%v", err)
		}
		w.mustGet("component:b")
		if err := w.cat.Configure(ctx, w.caller, []catalog.Target{{Type: "smb", Target: "x"}}); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("%v", err)
		}
	})
}

func TestTwoProcesses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, nil)
		reader, err := source.New(source.Settings{Roots: []string{w.dir}, WorkDir: w.dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(reader.Close)
		other := catalog.New(db, reader, w.policy, w.audit, catalog.Settings{Rules: ingest.AllKinds(), Now: w.clock.Now, Recheck: time.Nanosecond, DeleteOrphans: true})
		w.write("a.yaml", group("a")+"---\n"+group("b"))
		r := w.register("a.yaml")
		before, revision := w.mustGet("group:a"), w.cat.Revision(w.caller.TenantID())
		w.mustGet("group:b")
		w.write("a.yaml", strings.Replace(group("a"), "team", "squad", 1))
		w.clock.add(time.Second)
		if _, err := other.RefreshLocation(ctx, w.caller, r.Location.ID); err != nil {
			t.Fatal(err)
		}
		w.clock.add(time.Second)
		if e := w.mustGet("group:a"); e.Type != "squad" || e.ETag == before.ETag {
			t.Errorf("the other process's write is not seen: %+v", e)
		}
		if _, err := w.get("group:b"); host.CodeOf(err) != host.CodeNotFound {
			t.Errorf("%v", err)
		}
		if now := w.cat.Revision(w.caller.TenantID()); now == revision || now != other.Revision(w.caller.TenantID()) {
			t.Errorf("revision %s, then %s", revision, now)
		}
		if got := w.cat.Revision(host.NewTenantID()); got != "" {
			t.Errorf("revision of no tenant: %q", got)
		}
	})
}

func TestTenantsAreApart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a, b := newWorld(t, db, nil), newWorld(t, db, nil)
		a.write("a.yaml", group("a"))
		a.register("a.yaml")
		b.caller = host.NewCaller(b.caller.Tenant(), b.caller.Principal())
		if _, err := a.cat.Get(ctx, b.caller, catalog.Ref{Kind: "group", Name: "a"}); host.CodeOf(err) != host.CodeNotFound {
			t.Errorf("%v", err)
		}
		if page, err := a.cat.List(ctx, b.caller, catalog.Query{}); err != nil || page.Total != 0 {
			t.Errorf("%+v, %v", page, err)
		}
		if _, err := a.cat.List(ctx, host.Caller{}, catalog.Query{}); err == nil {
			t.Error("a caller without a tenant is served")
		}
	})
}

func TestSplitAddress(t *testing.T) {
	for _, c := range [][4]string{
		{"", "file:/a/x.yaml", "file", "/a/x.yaml"},
		{"", "url:https://a/b.yaml", "url", "https://a/b.yaml"},
		{"", " Git: https://a/b.git#main:x.yaml ", "git", "https://a/b.git#main:x.yaml"},
		{"file", "file:./x.yaml", "file", "./x.yaml"},
		{"", "file:///a/x.yaml", "file", "file:///a/x.yaml"},
		{"", "https://a/b.yaml", "url", "https://a/b.yaml"},
		{"", "C:/x.yaml", "file", "C:/x.yaml"},
		{"url", "file:/a/x.yaml", "url", "file:/a/x.yaml"},
		{"url", "https://a/b.git", "url", "https://a/b.git"},
		{"", "", "file", ""},
	} {
		if typ, target := catalog.SplitAddress(c[0], c[1]); typ != c[2] || target != c[3] {
			t.Errorf("%q %q: %q %q", c[0], c[1], typ, target)
		}
	}
}

func TestAddressesInBackstagesForm(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, nil)
		path := w.write("a.yaml", group("a"))
		r, err := w.cat.Register(ctx, w.caller, "", "file:"+path, false)
		if err != nil || r.Location.Type != "file" || r.Location.Target != path {
			t.Errorf("%+v, %v", r.Location, err)
		}
		for target, word := range map[string]string{
			"file:/elsewhere/x.yaml": "/elsewhere/x.yaml", "ftp://a/x.yaml": "ftp", "git@host:x.git": "git@host:x.git", "git://host/x.git": "git://host/x.git",
		} {
			_, err := w.cat.Register(ctx, w.caller, "", target, true)
			if err == nil || host.AsError(err).Hint == "" || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), w.dir) {
				t.Errorf("%s: %v", target, err)
			}
		}
	})
}

func TestGuessType(t *testing.T) {
	for target, want := range map[string]string{"a.yaml": "file", "/x": "file", "https://a/b.yaml": "url", "https://a/b.git": "git", "http://a/b.git//c": "git", "https://a/b.git#x": "git", "HTTPS://a/b.git?ref=x": "git",
		"git@a:b.git": "git", "ssh://a/b.git": "git", "ftp://a/b": "url", "file:///a/b": "file"} {
		if got := catalog.GuessType(target); got != want {
			t.Errorf("%s: %s", target, got)
		}
	}
}

func TestValidate(t *testing.T) {
	w := &world{cat: catalog.New(nil, nil, nil, nil, catalog.Settings{})}
	got := w.cat.Validate(ctx, []byte(component("a b", "x", "")), "x.yaml")
	if len(got) != 1 || got[0].Where != "x.yaml:4" || got[0].Hint == "" {
		t.Errorf("%+v", got)
	}
}

func locationsForbidden(t *testing.T, w *world) {
	for _, a := range []host.Action{host.ActionLocationRead, host.ActionLocationWrite} {
		w.policy.deny[a] = true
	}
	_, err1 := w.cat.Locations(ctx, w.caller)
	_, err2 := w.cat.Location(ctx, w.caller, "x")
	_, err3 := w.cat.Problems(ctx, w.caller)
	for i, err := range []error{err1, err2, err3, w.cat.Unregister(ctx, w.caller, "x"), w.cat.Delete(ctx, w.caller, catalog.Ref{Kind: "a", Name: "b"})} {
		if host.CodeOf(err) != host.CodeForbidden {
			t.Errorf("%d: %v", i, err)
		}
	}
}
