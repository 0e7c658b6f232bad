package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// processor answers by phase and ref.
type processor struct {
	stamp   string
	answers map[string]func(doc map[string]any) ingest.Processed
	seen    []string
}

func (p *processor) For(host.TenantID) ingest.Processor { return p }
func (p *processor) Stamp() string                      { return p.stamp }

func (p *processor) Process(_ context.Context, e ingest.Subject) ingest.Processed {
	key := e.Phase + " " + e.Ref.String()
	p.seen = append(p.seen, key)
	var doc map[string]any
	if err := json.Unmarshal(e.Doc, &doc); err != nil {
		panic(err)
	}
	if answer := p.answers[key]; answer != nil {
		return answer(doc)
	}
	return ingest.Processed{}
}

func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

func ref(t *testing.T, s string) catalog.Ref {
	t.Helper()
	r, err := catalog.ParseRef(s, catalog.Ref{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// relationsOf writes an entity's relations, one after the other.
func relationsOf(e catalog.Entity) string {
	var out []string
	for _, r := range e.Relations {
		out = append(out, r.Type+" "+r.Target.String())
	}
	return strings.Join(out, ", ")
}

func TestProcessors(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const a = "component:default/a"
		p := &processor{stamp: "1", answers: map[string]func(map[string]any) ingest.Processed{}}
		w := newWorld(t, db, func(s *catalog.Settings) { s.Processors = p })
		path := w.write("a.yaml", component("a", "team", "")+"---\n"+component("b", "team", ""))
		p.answers["pre "+a] = func(doc map[string]any) ingest.Processed {
			doc["metadata"].(map[string]any)["annotations"] = map[string]any{"acme.test/tier": "1 \u2028 <b>"}
			return ingest.Processed{Doc: encode(doc)}
		}
		p.answers["post "+a] = func(map[string]any) ingest.Processed {
			return ingest.Processed{
				Relations: []ingest.Relation{{Type: "deployedTo", Inverse: "deploys", Target: ref(t, "component:default/b")}},
				Emit:      [][]byte{encode(map[string]any{"apiVersion": "backstage.io/v1alpha1", "kind": "System", "metadata": map[string]any{"name": "made"}, "spec": map[string]any{"owner": "team"}})},
			}
		}
		report := w.register(path)
		if len(report.Problems) != 0 || len(report.Added) != 3 {
			t.Fatalf("%+v", report)
		}
		if got := w.mustGet(a); got.Annotations["acme.test/tier"] != "1 \u2028 <b>" || !strings.Contains(relationsOf(got), "deployedTo component:default/b") {
			t.Errorf("%v %s", got.Annotations, relationsOf(got))
		}
		if got := w.mustGet("component:default/b"); !strings.Contains(relationsOf(got), "deploys component:default/a") {
			t.Error(relationsOf(got))
		}
		if got := w.mustGet("system:default/made"); got.Owner == "" {
			t.Errorf("%+v", got)
		}
		if want := []string{"pre " + a, "post " + a, "pre component:default/b", "post component:default/b"}; !slices.Equal(p.seen, want) {
			t.Errorf("saw %q", p.seen)
		}

		t.Run("UnchangedIsNotProcessed", func(t *testing.T) {
			p.seen = nil
			if got := w.refresh(report.Location.ID); len(got.Unchanged) != 3 || len(p.seen) != 0 {
				t.Errorf("%+v, saw %q", got, p.seen)
			}
		})
		t.Run("AnotherStampReadsAgain", func(t *testing.T) {
			p.stamp = "2"
			p.answers["post "+a] = func(map[string]any) ingest.Processed { return ingest.Processed{} }
			if got := w.refresh(report.Location.ID); len(got.Changed) != 1 || len(got.Removed) != 1 {
				t.Errorf("%+v", got)
			}
			if got := w.mustGet(a); strings.Contains(relationsOf(got), "deployedTo") {
				t.Error(relationsOf(got))
			}
		})
		t.Run("FailureLeavesTheEntityAndIsTriedAgain", func(t *testing.T) {
			p.stamp = "3"
			broken := ingest.Processed{Failed: true, Problems: []ingest.Problem{{Message: "the processor owners failed"}}}
			p.answers["post "+a] = func(map[string]any) ingest.Processed { return broken }
			got := w.refresh(report.Location.ID)
			if len(got.Problems) != 1 || got.Problems[0].Ref != a || !strings.Contains(got.Problems[0].Message, "owners failed") || !strings.HasSuffix(got.Problems[0].Where, "a.yaml:1") {
				t.Errorf("%+v", got.Problems)
			}
			w.mustGet(a)
			p.seen = nil
			if w.refresh(report.Location.ID); len(p.seen) == 0 {
				t.Error("a failure is not tried again")
			}
		})
	})
}

func TestProcessorsAnswerBadly(t *testing.T) {
	const a = "component:default/a"
	p := &processor{answers: map[string]func(map[string]any) ingest.Processed{}}
	w := newWorld(t, storetest.SQLite(t), func(s *catalog.Settings) { s.Processors = p })
	report := w.register(w.write("a.yaml", component("a", "team", "")))
	for name, c := range map[string]struct {
		phase  string
		answer func(map[string]any) ingest.Processed
		says   string
	}{
		"OtherName": {"pre", func(doc map[string]any) ingest.Processed {
			doc["metadata"].(map[string]any)["name"] = "c"
			return ingest.Processed{Doc: encode(doc)}
		}, "names another entity"},
		"NotJSON":     {"pre", func(map[string]any) ingest.Processed { return ingest.Processed{Doc: []byte("{")} }, "not valid JSON"},
		"NotAnObject": {"pre", func(map[string]any) ingest.Processed { return ingest.Processed{Doc: []byte(`[1]`)} }, "names another"},
		"BrokenFormat": {"pre", func(doc map[string]any) ingest.Processed {
			doc["spec"].(map[string]any)["owner"] = 7
			return ingest.Processed{Doc: encode(doc)}
		}, "spec.owner must be a string"},
		"Refused": {"pre", func(map[string]any) ingest.Processed { return ingest.Processed{Refuse: true} }, "refuses"},
		"RefusedAtLast": {"post", func(map[string]any) ingest.Processed {
			return ingest.Processed{Refuse: true, Problems: []ingest.Problem{{Message: "no tier"}}}
		}, "no tier"},
		"BrokenEmission": {"post", func(map[string]any) ingest.Processed {
			return ingest.Processed{Emit: [][]byte{[]byte(`{"kind":"System"}`)}}
		}, "that a processor adds"},
		"EmitsAFileToRead": {"post", func(map[string]any) ingest.Processed {
			return ingest.Processed{Emit: [][]byte{encode(map[string]any{"apiVersion": "backstage.io/v1alpha1", "kind": "System", "metadata": map[string]any{"name": "x"}, "spec": map[string]any{"owner": map[string]any{"$text": "/etc/passwd"}}})}}
		}, "spec.owner"},
	} {
		t.Run(name, func(t *testing.T) {
			clear(p.answers)
			p.answers[c.phase+" "+a] = c.answer
			p.stamp = name
			got := w.refresh(report.Location.ID)
			if len(got.Problems) == 0 || !strings.Contains(got.Problems[0].Message, c.says) {
				t.Errorf("%+v", got.Problems)
			}
			if e := w.mustGet(a); e.Owner == "" || e.Orphan {
				t.Errorf("the last good version is gone: %+v", e)
			}
		})
	}
}

// changes notes what the catalog tells.
type changes struct {
	list []string
	fail error
}

func (c *changes) told(_ context.Context, _ host.TenantID, list []catalog.Change) error {
	for _, ch := range list {
		if (ch.ETag == "") != ch.Deleted {
			c.fail = fmt.Errorf("%+v", ch)
		}
		c.list = append(c.list, fmt.Sprintf("%s %v", ch.Ref, ch.Deleted))
	}
	return c.fail
}

func (c *changes) take() string {
	slices.Sort(c.list)
	out := strings.Join(c.list, ", ")
	c.list = nil
	return out
}

func TestChangesAreTold(t *testing.T) {
	told := &changes{}
	w := newWorld(t, storetest.SQLite(t), func(s *catalog.Settings) { s.Changed = told.told; s.DeleteOrphans = true })
	path := w.write("a.yaml", component("a", "team", "")+"---\n"+component("b", "team", ""))
	id := w.register(path).Location.ID
	if got := told.take(); got != "component:default/a false, component:default/b false" {
		t.Error(got)
	}
	w.refresh(id)
	if got := told.take(); got != "" {
		t.Error(got)
	}
	w.write("a.yaml", component("a", "other", ""))
	w.refresh(id)
	if got := told.take(); got != "component:default/a false, component:default/b true" {
		t.Error(got)
	}
	told.fail = errors.New("no room")
	w.write("a.yaml", component("a", "third", ""))
	w.clock.add(1)
	if _, err := w.cat.RefreshLocation(t.Context(), w.caller, id); !errors.Is(err, told.fail) {
		t.Error(err)
	}
	if got := w.mustGet("component:default/a"); strings.Contains(got.Owner, "third") {
		t.Error("the change is there, but nobody was told")
	}
	told.fail, told.list = nil, nil
	if err := w.cat.Unregister(t.Context(), w.caller, id); err != nil {
		t.Fatal(err)
	}
	if got := told.take(); got != "component:default/a true" {
		t.Error(got)
	}
}

func provided(name, owner string) []byte {
	return encode(map[string]any{"apiVersion": "backstage.io/v1alpha1", "kind": "System", "metadata": map[string]any{"name": name}, "spec": map[string]any{"owner": owner}})
}

func TestProviders(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, nil)
		id := w.caller.TenantID()
		run := func(p catalog.Provision) catalog.Report {
			t.Helper()
			p.Plugin, p.Provider = "board", "teams"
			r, err := w.cat.Provide(t.Context(), id, p)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		state := func() string {
			t.Helper()
			s, err := w.cat.ProviderState(t.Context(), id, "board", "teams")
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if state() != "" {
			t.Error(state())
		}
		r := run(catalog.Provision{Docs: [][]byte{provided("a", "x"), provided("b", "x")}, State: "s1"})
		if len(r.Added) != 2 || r.Location.Entities != 2 || r.Location.Type != "plugin" || r.Location.Target != "board/teams" || state() != "s1" {
			t.Fatalf("%+v", r)
		}
		if doc := string(w.mustGet("system:default/a").Doc); !strings.Contains(doc, `"backstage.io/managed-by-location":"plugin:board/teams"`) {
			t.Error(doc)
		}
		t.Run("FullTakesAway", func(t *testing.T) {
			if r := run(catalog.Provision{Docs: [][]byte{provided("b", "x"), provided("c", "x")}, State: "s2"}); len(r.Added) != 1 || len(r.Removed) != 1 {
				t.Errorf("%+v", r)
			}
			if _, err := w.get("system:default/a"); host.CodeOf(err) != host.CodeNotFound {
				t.Error(err)
			}
		})
		t.Run("DeltaLeavesTheRest", func(t *testing.T) {
			r := run(catalog.Provision{Delta: true, Docs: [][]byte{provided("d", "x")}, Removed: []string{"System:default/B", "system:default/none"}, State: "s3"})
			if len(r.Added) != 1 || len(r.Removed) != 1 || r.Location.Entities != 2 || state() != "s3" {
				t.Errorf("%+v", r)
			}
			w.mustGet("system:default/c")
		})
		t.Run("BadOnesKeepTheirLastVersion", func(t *testing.T) {
			r := run(catalog.Provision{Docs: [][]byte{provided("c", ""), []byte(`{`), provided("d", "y")}})
			if len(r.Problems) != 2 || len(r.Changed) != 1 {
				t.Errorf("%+v", r)
			}
			w.mustGet("system:default/c")
		})
		t.Run("KindsOfTheGrant", func(t *testing.T) {
			r := run(catalog.Provision{Delta: true, Kinds: []string{"Component"}, Docs: [][]byte{provided("e", "x")}})
			if len(r.Added) != 0 || len(r.Problems) != 1 {
				t.Errorf("%+v", r)
			}
		})
	})
}

func TestProvidersKeepToTheirOwn(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), nil)
	id := w.caller.TenantID()
	run := func(p catalog.Provision) catalog.Report {
		t.Helper()
		p.Plugin, p.Provider = "board", "teams"
		r, err := w.cat.Provide(t.Context(), id, p)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := run(catalog.Provision{Docs: [][]byte{provided("d", "x")}, State: "s1"})
	t.Run("NothingOfOthers", func(t *testing.T) {
		w.register(w.write("x.yaml", component("x", "team", "")))
		r := run(catalog.Provision{Delta: true, Removed: []string{"component:default/x"}, Docs: [][]byte{
			encode(map[string]any{"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": map[string]any{"name": "x"}, "spec": map[string]any{"type": "t", "lifecycle": "l", "owner": "thief"}})}})
		if len(r.Removed) != 0 || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Message, "already comes from") {
			t.Errorf("%+v", r)
		}
		if e := w.mustGet("component:default/x"); strings.Contains(e.Owner, "thief") {
			t.Error("an entity of another location was taken")
		}
	})
	t.Run("LocationsAreNotFollowed", func(t *testing.T) {
		loc := encode(map[string]any{"apiVersion": "backstage.io/v1alpha1", "kind": "Location", "metadata": map[string]any{"name": "l"}, "spec": map[string]any{"type": "file", "target": w.write("y.yaml", component("y", "team", ""))}})
		run(catalog.Provision{Delta: true, Docs: [][]byte{loc}})
		if _, err := w.get("component:default/y"); host.CodeOf(err) != host.CodeNotFound {
			t.Error(err)
		}
	})
	t.Run("FailureIsToldAndChangesNothing", func(t *testing.T) {
		run(catalog.Provision{Failed: host.Errorf(host.CodeUpstream, "the directory is down")})
		list, err := w.cat.Locations(t.Context(), w.caller)
		if err != nil || list[0].Status != catalog.StatusError || !strings.Contains(list[0].Error.Message, "directory is down") {
			t.Errorf("%+v %v", list[0], err)
		}
		w.mustGet("system:default/d")
	})
	t.Run("PeopleCannotTouchIt", func(t *testing.T) {
		loc := r.Location.ID
		if _, err := w.cat.RefreshLocation(t.Context(), w.caller, loc); host.CodeOf(err) != host.CodeConflict {
			t.Error(err)
		}
		if err := w.cat.Unregister(t.Context(), w.caller, loc); host.CodeOf(err) != host.CodeConflict {
			t.Error(err)
		}
		if _, err := w.cat.Register(t.Context(), w.caller, "plugin", "board/evil", false); err == nil {
			t.Error("a person registered a plugin's location")
		}
		if due, err := w.cat.Due(t.Context(), id, w.clock.Now()); err != nil || slices.ContainsFunc(due, func(l catalog.Location) bool { return l.Type == "plugin" }) {
			t.Error(due, err)
		}
	})
	t.Run("Withdrawn", func(t *testing.T) {
		keep := func(plugin, provider string) bool { return plugin == "board" && provider == "teams" }
		if err := w.cat.Withdraw(t.Context(), w.caller, keep); err != nil {
			t.Fatal(err)
		}
		w.mustGet("system:default/d")
		if err := w.cat.Withdraw(t.Context(), w.caller, func(string, string) bool { return false }); err != nil {
			t.Fatal(err)
		}
		if _, err := w.get("system:default/d"); host.CodeOf(err) != host.CodeNotFound {
			t.Error(err)
		}
		w.mustGet("component:default/x")
	})
}
