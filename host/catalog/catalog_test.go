package catalog_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

var ctx = context.Background()

func relation(e catalog.Entity, typ string) []string {
	var out []string
	for _, r := range e.Relations {
		if r.Type == typ {
			out = append(out, r.Target.String())
		}
	}
	return out
}

func TestRegister(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		t.Run("EntitiesAppearWithRelationsBothWays", func(t *testing.T) { registerEntitiesAppearWithRelationsBothWays(t, newWorld(t, db, nil)) })
		t.Run("DryRunWritesNothing", func(t *testing.T) { registerDryRunWritesNothing(t, newWorld(t, db, nil)) })
		t.Run("ErrRegisteredTwice", func(t *testing.T) { registerErrRegisteredTwice(t, newWorld(t, db, nil)) })
		t.Run("ErrUnreadable", func(t *testing.T) { registerErrUnreadable(t, newWorld(t, db, nil)) })
		t.Run("ErrForbidden", func(t *testing.T) { registerErrForbidden(t, newWorld(t, db, nil)) })
	})
}

func registerEntitiesAppearWithRelationsBothWays(t *testing.T, w *world) {
	w.write("a.yaml", component("Web", "team-a", "  dependsOn: ['component:db']\n")+"---\n"+group("team-a"))
	r := w.register("a.yaml")
	if len(r.Added) != 2 || len(r.Problems) != 0 || r.Location.Status != catalog.StatusOK || r.Location.Entities != 2 {
		t.Fatalf("report = %+v", r)
	}
	e := w.mustGet("Component:web")
	if e.Ref.Name != "Web" || e.Owner != "team-a" || e.Type != "service" || e.Lifecycle != "production" || e.UID == "" {
		t.Errorf("entity = %+v", e)
	}
	if got := relation(e, "ownedBy"); len(got) != 1 || got[0] != "group:default/team-a" {
		t.Errorf("ownedBy = %v", got)
	}
	if got := relation(e, "dependsOn"); len(got) != 1 || got[0] != "component:default/db" {
		t.Errorf("dependsOn = %v", got)
	}
	if got := relation(w.mustGet("group:default/team-a"), "ownerOf"); len(got) != 1 || got[0] != "component:default/web" {
		t.Errorf("ownerOf = %v", got)
	}
	var doc struct {
		Metadata struct {
			UID, Etag, Namespace string
			Annotations          map[string]string
		}
		Relations []struct{ Type, TargetRef string }
	}
	if err := json.Unmarshal(e.Doc, &doc); err != nil {
		t.Fatal(err)
	}
	place := "file:" + filepath.Join(w.dir, "a.yaml")
	if doc.Metadata.UID != e.UID || doc.Metadata.Etag != e.ETag || doc.Metadata.Namespace != "default" || len(doc.Relations) != 2 ||
		doc.Metadata.Annotations["backstage.io/managed-by-location"] != place || e.Annotations["backstage.io/managed-by-origin-location"] != place {
		t.Errorf("doc = %s", e.Doc)
	}
	if len(w.audit.entries) != 1 || w.audit.entries[0].Action != host.ActionLocationWrite {
		t.Errorf("audit = %+v", w.audit.entries)
	}
}

func registerDryRunWritesNothing(t *testing.T, w *world) {
	w.write("a.yaml", component("web", "team-a", "")+"---\n"+component("bad name", "x", ""))
	r, err := w.cat.Register(ctx, w.caller, "", "a.yaml", true)
	if err != nil || len(r.Added) != 1 || len(r.Problems) != 1 {
		t.Fatalf("report = %+v, %v", r, err)
	}
	if p := r.Problems[0]; !strings.HasSuffix(p.Where, "a.yaml:13") || p.Hint == "" {
		t.Errorf("problem = %+v", p)
	}
	if _, err := w.get("component:web"); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("get after dry run = %v", err)
	}
	if ls, _ := w.cat.Locations(ctx, w.caller); len(ls) != 0 || len(w.audit.entries) != 0 {
		t.Errorf("locations = %+v, audit = %+v", ls, w.audit.entries)
	}
}

func registerErrRegisteredTwice(t *testing.T, w *world) {
	w.write("a.yaml", group("a"))
	w.register("a.yaml")
	if _, err := w.cat.Register(ctx, w.caller, "file", w.dir+"/./a.yaml", false); host.CodeOf(err) != host.CodeConflict {
		t.Errorf("err = %v", err)
	}
}

func registerErrUnreadable(t *testing.T, w *world) {
	for target, code := range map[string]host.Code{"none.yaml": host.CodeNotFound, "../x.yaml": host.CodeForbidden, "": host.CodeInvalid} {
		if _, err := w.cat.Register(ctx, w.caller, "file", target, false); host.CodeOf(err) != code {
			t.Errorf("%q: %v", target, err)
		}
	}
	if _, err := w.cat.Register(ctx, w.caller, "ftp", "x", false); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("unknown type: %v", err)
	}
}

func registerErrForbidden(t *testing.T, w *world) {
	w.write("a.yaml", group("a"))
	w.policy.deny[host.ActionLocationWrite] = true
	if _, err := w.cat.Register(ctx, w.caller, "file", "a.yaml", true); host.CodeOf(err) != host.CodeForbidden {
		t.Errorf("err = %v", err)
	}
}

func TestRefresh(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		t.Run("UnchangedWritesNoEntity", func(t *testing.T) { refreshUnchangedWritesNoEntity(t, newWorld(t, db, nil)) })
		t.Run("ChangeReachesEntityAndOtherEnd", func(t *testing.T) { refreshChangeReachesEntityAndOtherEnd(t, newWorld(t, db, nil)) })
		t.Run("InvalidDocumentKeepsLastGoodVersion", func(t *testing.T) { refreshInvalidDocumentKeepsLastGoodVersion(t, newWorld(t, db, nil)) })
		t.Run("BrokenYAMLKeepsAllOfTheFile", func(t *testing.T) { refreshBrokenYAMLKeepsAllOfTheFile(t, newWorld(t, db, nil)) })
		t.Run("MissingFileKeepsEntitiesAndBacksOff", func(t *testing.T) { refreshMissingFileKeepsEntitiesAndBacksOff(t, newWorld(t, db, nil)) })
		t.Run("EntityThatIsGoneBecomesOrphanAndComesBack", func(t *testing.T) { refreshEntityThatIsGoneBecomesOrphanAndComesBack(t, newWorld(t, db, nil)) })
		t.Run("OrphanIsDeletedWhereConfigured", func(t *testing.T) {
			refreshOrphanIsDeletedWhereConfigured(t, newWorld(t, db, func(s *catalog.Settings) { s.DeleteOrphans = true }))
		})
		t.Run("ConflictIsAnErrorOnTheLaterLocation", func(t *testing.T) { refreshConflictIsAnErrorOnTheLaterLocation(t, newWorld(t, db, nil)) })
		t.Run("ByRefAndAudited", func(t *testing.T) { refreshByRefAndAudited(t, newWorld(t, db, nil)) })
	})
}

func refreshUnchangedWritesNoEntity(t *testing.T, w *world) {
	w.write("a.yaml", component("web", "a", "")+"---\n"+group("a"))
	r := w.register("a.yaml")
	before, revision := w.mustGet("component:web"), w.cat.Revision(w.caller.TenantID())
	r = w.refresh(r.Location.ID)
	if len(r.Unchanged) != 2 || len(r.Added)+len(r.Changed)+len(r.Removed) != 0 {
		t.Errorf("report = %+v", r)
	}
	after := w.mustGet("component:web")
	if !after.UpdatedAt.Equal(before.UpdatedAt) || after.ETag != before.ETag || w.cat.Revision(w.caller.TenantID()) != revision {
		t.Errorf("before %v %s, after %v %s", before.UpdatedAt, before.ETag, after.UpdatedAt, after.ETag)
	}
	if !r.Location.RefreshedAt.After(before.UpdatedAt) || !r.Location.NextAt.After(r.Location.RefreshedAt) {
		t.Errorf("location = %+v", r.Location)
	}
}

func refreshChangeReachesEntityAndOtherEnd(t *testing.T, w *world) {
	w.write("a.yaml", component("web", "a", "")+"---\n"+group("a")+"---\n"+group("b"))
	r := w.register("a.yaml")
	old := w.mustGet("component:web")
	groupA := w.mustGet("group:a")
	w.write("a.yaml", component("web", "b", "")+"---\n"+group("a")+"---\n"+group("b"))
	r = w.refresh(r.Location.ID)
	if len(r.Changed) != 1 || len(r.Unchanged) != 2 {
		t.Fatalf("report = %+v", r)
	}
	e := w.mustGet("component:web")
	if e.Owner != "b" || e.UID != old.UID || e.ETag == old.ETag {
		t.Errorf("entity = %+v", e)
	}
	if a := w.mustGet("group:a"); len(a.Relations) != 0 || a.ETag == groupA.ETag {
		t.Errorf("the old owner still has %v", a.Relations)
	}
	if got := relation(w.mustGet("group:b"), "ownerOf"); len(got) != 1 {
		t.Errorf("the new owner has %v", got)
	}
}

func refreshInvalidDocumentKeepsLastGoodVersion(t *testing.T, w *world) {
	w.write("a.yaml", component("web", "a", "")+"---\n"+group("a"))
	r := w.register("a.yaml")
	w.write("a.yaml", component("web", "''", "")+"---\n"+group("a"))
	r = w.refresh(r.Location.ID)
	if len(r.Removed)+len(r.Changed) != 0 || len(r.Problems) != 1 || r.Location.Status != catalog.StatusError {
		t.Fatalf("report = %+v", r)
	}
	e := w.mustGet("component:web")
	if e.Owner != "a" || len(e.Errors) != 1 || !strings.HasSuffix(e.Errors[0].Where, "a.yaml:8") || e.Errors[0].Hint == "" {
		t.Errorf("entity = %+v", e)
	}
	if ps, err := w.cat.Problems(ctx, w.caller); err != nil || len(ps) != 1 || ps[0].Ref != "component:default/web" {
		t.Errorf("problems = %+v, %v", ps, err)
	}
	w.write("a.yaml", component("web", "c", "")+"---\n"+group("a"))
	r = w.refresh(r.Location.ID)
	if e := w.mustGet("component:web"); e.Owner != "c" || len(e.Errors) != 0 || r.Location.Status != catalog.StatusOK || r.Location.Error != nil {
		t.Errorf("after the repair: %+v, %+v", e, r.Location)
	}
}

func refreshBrokenYAMLKeepsAllOfTheFile(t *testing.T, w *world) {
	w.write("a.yaml", component("web", "a", "")+"---\n"+group("a"))
	r := w.register("a.yaml")
	w.write("a.yaml", component("web", "z", "")+"---\nkind: [\n")
	r = w.refresh(r.Location.ID)
	if len(r.Removed) != 0 || len(r.Problems) != 1 || len(r.Changed) != 1 {
		t.Errorf("report = %+v", r)
	}
	w.mustGet("group:a")
}

func refreshMissingFileKeepsEntitiesAndBacksOff(t *testing.T, w *world) {
	w.write("all.yaml", "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata:\n  name: all\nspec:\n  targets: [./a.yaml]\n")
	w.write("a.yaml", group("a"))
	r := w.register("all.yaml")
	w.remove("a.yaml")
	for range 4 {
		r = w.refresh(r.Location.ID)
	}
	if len(r.Problems) != 1 || !strings.HasSuffix(r.Problems[0].Where, "all.yaml:6") || r.Location.Error == nil {
		t.Errorf("report = %+v", r)
	}
	if wait := r.Location.NextAt.Sub(r.Location.RefreshedAt).Minutes(); wait < 12 {
		t.Errorf("next refresh after %v minutes", wait)
	}
	if e := w.mustGet("group:a"); e.Orphan {
		t.Error("the entity became an orphan")
	}
}

func refreshEntityThatIsGoneBecomesOrphanAndComesBack(t *testing.T, w *world) {
	w.write("a.yaml", component("web", "a", "")+"---\n"+group("a"))
	r := w.register("a.yaml")
	w.write("a.yaml", group("a"))
	r = w.refresh(r.Location.ID)
	e := w.mustGet("component:web")
	if len(r.Removed) != 1 || !e.Orphan || e.Annotations["backstage.io/orphan"] != "true" || r.Location.Entities != 1 {
		t.Fatalf("report = %+v, entity = %+v", r, e)
	}
	if r = w.refresh(r.Location.ID); len(r.Removed) != 0 {
		t.Errorf("removed twice: %+v", r)
	}
	w.write("b.yaml", component("web", "b", ""))
	if r := w.register("b.yaml"); len(r.Changed) != 1 {
		t.Errorf("adopting: %+v", r)
	}
	if e := w.mustGet("component:web"); e.Orphan || e.Owner != "b" || e.Annotations["backstage.io/orphan"] != "" {
		t.Errorf("adopted = %+v", e)
	}
}

func refreshOrphanIsDeletedWhereConfigured(t *testing.T, w *world) {
	w.write("a.yaml", component("web", "a", "")+"---\n"+group("a"))
	r := w.register("a.yaml")
	w.mustGet("component:web")
	w.write("a.yaml", group("a"))
	w.refresh(r.Location.ID)
	if _, err := w.get("component:web"); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("err = %v", err)
	}
	if a := w.mustGet("group:a"); len(a.Relations) != 0 {
		t.Errorf("relations = %v", a.Relations)
	}
}

func refreshConflictIsAnErrorOnTheLaterLocation(t *testing.T, w *world) {
	w.write("a.yaml", component("web", "a", ""))
	w.write("b.yaml", component("WEB", "b", ""))
	first := w.register("a.yaml")
	second := w.register("b.yaml")
	if len(second.Problems) != 1 || second.Location.Status != catalog.StatusError || !strings.Contains(second.Problems[0].Message, "a.yaml") {
		t.Fatalf("second = %+v", second)
	}
	if e := w.mustGet("component:web"); e.Owner != "a" || len(e.Errors) != 1 {
		t.Errorf("entity = %+v", e)
	}
	if err := w.cat.Unregister(ctx, w.caller, first.Location.ID); err != nil {
		t.Fatal(err)
	}
	if r := w.refresh(second.Location.ID); len(r.Added) != 1 || len(r.Problems) != 0 {
		t.Errorf("after the first is gone: %+v", r)
	}
}

func refreshByRefAndAudited(t *testing.T, w *world) {
	w.write("a.yaml", group("a"))
	w.register("a.yaml")
	w.write("a.yaml", strings.Replace(group("a"), "team", "squad", 1))
	r, err := w.cat.Refresh(ctx, w.caller, "group:default/a")
	if err != nil || len(r.Changed) != 1 || len(w.audit.entries) != 2 {
		t.Errorf("report = %+v, %v", r, err)
	}
	if _, err := w.cat.Refresh(ctx, w.caller, "group:default/none"); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("unknown ref: %v", err)
	}
	w.policy.deny[host.ActionCatalogRefresh] = true
	if _, err := w.cat.Refresh(ctx, w.caller, r.Location.ID); host.CodeOf(err) != host.CodeForbidden {
		t.Errorf("denied: %v", err)
	}
}
