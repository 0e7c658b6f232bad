package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/audit"
	"github.com/callboard-dev/callboard/host/secret"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/tenant"
)

func newLog(t *testing.T, db *store.DB) *audit.Log {
	t.Helper()
	box, err := secret.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return audit.New(db, box)
}

// records returns the audit records of a tenant, as "action resource".
func records(t *testing.T, log *audit.Log, of host.Tenant) []string {
	t.Helper()
	page, err := audit.NewReader(log, anyone{}).List(t.Context(), host.System(of, "test"), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range page.Items {
		out = append(out, string(r.Action)+" "+r.Resource)
	}
	return out
}

type anyone struct{}

func (anyone) Authorize(context.Context, host.Caller, host.Action, string) error { return nil }

func TestCheckSlug(t *testing.T) {
	t.Parallel()
	for _, slug := range []string{"ab", "acme", "a1", "a-b", strings.Repeat("a", 39)} {
		if err := tenant.CheckSlug(slug); err != nil {
			t.Errorf("%q is refused: %v", slug, err)
		}
	}
	bad := map[string]string{
		"ErrEmpty": "", "ErrOneLetter": "a", "ErrTooLong": strings.Repeat("a", 40), "ErrUpperCase": "Acme",
		"ErrDigitFirst": "1acme", "ErrHyphenFirst": "-acme", "ErrHyphenLast": "acme-", "ErrDot": "a.b",
		"ErrUnderscore": "a_b", "ErrSpace": "a b", "ErrUnicode": "acmé", "ErrLookAlike": "аcme", "ErrNewline": "acme\n",
		"ErrSQL": `acme"; DROP SCHEMA public CASCADE; --`, "ErrSQLQuote": `x' OR '1'='1`, "ErrPath": "../etc/passwd",
		"ErrNotUTF8": "ac\xffme", "ErrHuge": strings.Repeat("x'", 100_000), "ErrNUL": "acme\x00",
	}
	for name, slug := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tenant.CheckSlug(slug)
			if host.CodeOf(err) != host.CodeInvalid {
				t.Fatalf("error = %v, want %s", err, host.CodeInvalid)
			}
			e := host.AsError(err)
			if !strings.Contains(e.Hint, "2 to 39") || len(e.Fields) != 1 || len(e.Message) > 300 {
				t.Errorf("the error does not say what to do: %+v", e)
			}
		})
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		log := newLog(t, db)
		r := tenant.New(db, log)
		ctx := t.Context()
		acme, err := r.Create(ctx, "acme", "  Acme Inc. ", true)
		if err != nil {
			t.Fatal(err)
		}
		if acme.Slug != "acme" || acme.Name != "Acme Inc." || !acme.Demo || !acme.ID.Valid() || acme.CreatedAt.IsZero() {
			t.Errorf("created %+v", acme)
		}
		t.Run("IsFoundEverywhere", func(t *testing.T) {
			for what, find := range map[string]func() (host.Tenant, error){
				"BySlug":                 func() (host.Tenant, error) { return r.BySlug(ctx, "acme") },
				"ByID":                   func() (host.Tenant, error) { return r.ByID(ctx, acme.ID) },
				"BySlug in another host": func() (host.Tenant, error) { return tenant.New(db, log).BySlug(ctx, "acme") },
			} {
				if got, err := find(); err != nil || got != acme {
					t.Errorf("%s = %+v, %v; want %+v", what, got, err, acme)
				}
			}
		})
		t.Run("HasANamespaceAndARecord", func(t *testing.T) {
			if got := records(t, log, acme); len(got) != 1 || got[0] != "tenant.create tenant:acme" {
				t.Errorf("audit records = %v", got)
			}
			if err := log.Verify(ctx, acme.ID); err != nil {
				t.Error(err)
			}
		})
		t.Run("ErrUnknown", func(t *testing.T) {
			if _, err := r.BySlug(ctx, "nobody"); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("BySlug: %v", err)
			}
			if _, err := r.ByID(ctx, host.NewTenantID()); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("ByID: %v", err)
			}
		})
	})
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, log := t.Context(), newLog(t, db)
		r := tenant.New(db, log)
		if _, err := r.Create(ctx, "acme", "", false); err != nil {
			t.Fatal(err)
		}
		t.Run("ErrTaken", func(t *testing.T) {
			if _, err := r.Create(ctx, "acme", "", false); host.CodeOf(err) != host.CodeConflict {
				t.Errorf("error = %v", err)
			}
		})
		t.Run("ErrSlug", func(t *testing.T) {
			if _, err := r.Create(ctx, `a"; DROP TABLE tenants; --`, "", false); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("error = %v", err)
			}
			if _, err := r.BySlug(ctx, `a' OR 1=1`); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("looking it up: %v", err)
			}
		})
		for name, title := range map[string]string{"ErrTitleLong": strings.Repeat("x", 101), "ErrTitleControl": "a\x07b", "ErrTitleNotUTF8": "\xff", "ErrTitleBidi": "a\u202eb"} {
			t.Run(name, func(t *testing.T) {
				if _, err := r.Create(ctx, "titled", title, false); host.CodeOf(err) != host.CodeInvalid {
					t.Errorf("error = %v", err)
				}
			})
		}
		t.Run("TitleMayBeMissingOrHoldSQL", func(t *testing.T) {
			plain, err := r.Create(ctx, "plain", "", false)
			if err != nil || plain.Name != "plain" {
				t.Fatalf("%+v, %v", plain, err)
			}
			odd, err := r.Create(ctx, "odd", `Robert'); DROP TABLE tenants;--`, false)
			if err != nil {
				t.Fatal(err)
			}
			all, err := r.List(ctx)
			if err != nil || len(all) != 3 || all[1] != odd {
				t.Fatalf("List = %v, %v", all, err)
			}
		})
	})
}

// Several processes on one store see one another's tenants.
func TestCreateInManyProcesses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, log := t.Context(), newLog(t, db)
		r := tenant.New(db, log)
		t.Run("AnotherHostsTenantIsFoundAtOnce", func(t *testing.T) {
			other := tenant.New(db, log)
			if _, err := other.List(ctx); err != nil {
				t.Fatal(err)
			}
			late, err := r.Create(ctx, "late", "", false)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := other.BySlug(ctx, "late"); err != nil || got != late {
				t.Errorf("BySlug = %+v, %v", got, err)
			}
		})
		t.Run("OneOfManyAtOnceWins", func(t *testing.T) {
			var wg sync.WaitGroup
			var made, refused atomic.Int64
			for range 6 {
				wg.Go(func() {
					switch _, err := tenant.New(db, log).Create(ctx, "race", "", false); {
					case err == nil:
						made.Add(1)
					case host.CodeOf(err) == host.CodeConflict:
						refused.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if made.Load() != 1 || refused.Load() != 5 {
				t.Errorf("%d made, %d refused", made.Load(), refused.Load())
			}
		})
	})
}

// stumbling is an Auditor that fails as if the process were killed there.
type stumbling struct {
	*audit.Log
	fails bool
}

var errKilled = errors.New("killed")

func (s *stumbling) Stage(ctx context.Context, q store.Querier, c host.Caller, e host.AuditEntry) error {
	if s.fails {
		return errKilled
	}
	return s.Log.Stage(ctx, q, c, e)
}

func TestHalfDoneCreation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		log := &stumbling{Log: newLog(t, db)}
		r := tenant.New(db, log)
		half := func(slug string) {
			t.Helper()
			log.fails = true
			if _, err := r.Create(ctx, slug, "first", false); !errors.Is(err, errKilled) {
				t.Fatalf("error = %v", err)
			}
			log.fails = false
			if _, err := r.BySlug(ctx, slug); host.CodeOf(err) != host.CodeNotFound {
				t.Fatalf("a half-made tenant is found: %v", err)
			}
			if all, err := r.List(ctx); err != nil || containsSlug(all, slug) {
				t.Fatalf("a half-made tenant is listed: %v, %v", all, err)
			}
		}
		t.Run("IsFinishedByTheNextCreate", func(t *testing.T) {
			half("again")
			got, err := r.Create(ctx, "again", "second", true)
			if err != nil || got.Name != "second" || !got.Demo {
				t.Fatalf("%+v, %v", got, err)
			}
			if found, err := r.BySlug(ctx, "again"); err != nil || found != got {
				t.Fatalf("%+v, %v; want %+v", found, err, got)
			}
			if got := records(t, log.Log, got); len(got) != 1 {
				t.Errorf("audit records = %v", got)
			}
		})
		t.Run("IsFinishedByResume", func(t *testing.T) {
			half("resumed")
			for range 2 {
				if err := r.Resume(ctx); err != nil {
					t.Fatal(err)
				}
			}
			got, err := r.BySlug(ctx, "resumed")
			if err != nil || got.Name != "first" {
				t.Fatalf("%+v, %v", got, err)
			}
			if err := log.Verify(ctx, got.ID); err != nil {
				t.Error(err)
			}
		})
		t.Run("CanBeDeleted", func(t *testing.T) {
			half("unwanted")
			if err := r.Delete(ctx, "unwanted"); err != nil {
				t.Fatal(err)
			}
			if err := r.Resume(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := r.BySlug(ctx, "unwanted"); host.CodeOf(err) != host.CodeNotFound {
				t.Fatalf("error = %v", err)
			}
		})
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		log := newLog(t, db)
		r := tenant.New(db, log)
		gone, err := r.Create(ctx, "gone", "Gone", false)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := r.Create(ctx, "kept", "Kept", false)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Delete(ctx, "gone"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ByID(ctx, gone.ID); host.CodeOf(err) != host.CodeNotFound {
			t.Errorf("still found: %v", err)
		}
		if spaces, err := db.Tenants(ctx); err != nil || len(spaces) != 1 || spaces[0] != kept.ID {
			t.Errorf("namespaces = %v, %v; want that of %s alone", spaces, err, kept.ID)
		}
		if err := log.Record(ctx, host.System(gone, "test"), host.AuditEntry{}); host.CodeOf(err) != host.CodeNotFound {
			t.Errorf("writing to the deleted tenant: %v", err)
		}
		if err := r.Delete(ctx, "gone"); host.CodeOf(err) != host.CodeNotFound {
			t.Errorf("deleting twice: %v", err)
		}
		if err := r.Delete(ctx, `x"; DROP`); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("deleting an impossible name: %v", err)
		}
		var proof []struct {
			ID, Slug, Name, State string
		}
		err = db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
			return q.NewSelect().Table("tenants").Column("id", "slug", "name", "state").
				Where("id = ?", string(gone.ID)).Where("deleted_at IS NOT NULL").Scan(ctx, &proof)
		})
		if err != nil || len(proof) != 1 || proof[0].State != "deleted" || strings.Contains(fmt.Sprint(proof), "Gone") {
			t.Errorf("proof of deletion = %+v, %v", proof, err)
		}
		again, err := r.Create(ctx, "gone", "", false)
		if err != nil || again.ID == gone.ID {
			t.Errorf("the name is not free: %+v, %v", again, err)
		}
	})
}

func TestHalfDoneDeletionIsFinished(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		r := tenant.New(db, newLog(t, db))
		doomed, err := r.Create(ctx, "doomed", "", false)
		if err != nil {
			t.Fatal(err)
		}
		// What a process leaves that is killed after the first step.
		err = db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
			_, err := q.NewUpdate().Table("tenants").Set("state = ?", "deleting").Where("id = ?", string(doomed.ID)).Exec(ctx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		fresh := tenant.New(db, newLog(t, db))
		if _, err := fresh.Create(ctx, "doomed", "", false); host.CodeOf(err) != host.CodeConflict {
			t.Errorf("creating over it: %v", err)
		}
		if err := fresh.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		if spaces, err := db.Tenants(ctx); err != nil || len(spaces) != 0 {
			t.Errorf("namespaces = %v, %v", spaces, err)
		}
		if _, err := fresh.Create(ctx, "doomed", "", false); err != nil {
			t.Error(err)
		}
	})
}

// A store that cannot be reached is told as such, not as a missing tenant.
func TestClosedStore(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	r := tenant.New(db, newLog(t, db))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, errList := r.List(ctx)
	_, errSlug := r.BySlug(ctx, "acme")
	_, errID := r.ByID(ctx, host.NewTenantID())
	_, errCreate := r.Create(ctx, "acme", "", false)
	for what, err := range map[string]error{"List": errList, "BySlug": errSlug, "ByID": errID, "Create": errCreate,
		"Delete": r.Delete(ctx, "acme"), "Resume": r.Resume(ctx)} {
		if code := host.CodeOf(err); err == nil || code == host.CodeNotFound || code == host.CodeConflict {
			t.Errorf("%s on a closed store: %v", what, err)
		}
	}
}

func containsSlug(all []host.Tenant, slug string) bool {
	for _, t := range all {
		if t.Slug == slug {
			return true
		}
	}
	return false
}
