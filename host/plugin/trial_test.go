package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/recording"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/store/storetest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// broken is a release of the museum that traps whatever it is asked.
func broken(t *testing.T, version, more string) plugin.Source {
	t.Helper()
	var a runtimetest.Assembly
	a.Memory(1, 1)
	a.Export(pluginv1.ExportCall, a.Function(nil, []byte{runtimetest.I32}, nil, runtimetest.Op(0x00)))
	return folder(t, fmt.Sprintf(museumYAML, version)+more, a.Bytes())
}

// recorded is a stage whose calls are all recorded, and tried at upgrades.
func recorded(t *testing.T) (*stage, *recording.Store) {
	t.Helper()
	db := storetest.SQLite(t)
	shelf := recording.NewStore(db, box{})
	var s *stage
	recorder := recording.NewRecorder(recording.Settings{
		Shelf: shelf, Default: recording.Rule{Sample: 1, Keep: time.Hour, Most: 100},
		Lend: func(ctx context.Context, digest string) (plugin.Module, func(), error) {
			return s.house.Lend(ctx, digest)
		},
		Secrets: func(context.Context, *plugin.Instance) ([]string, error) { return []string{"hunter2"}, nil },
	})
	t.Cleanup(recorder.Close)
	s = newStageOn(t, db, func(o *plugin.Settings) { o.Observer, o.Trial = recorder, recording.Trial{Store: shelf} })
	return s, shelf
}

func TestTrial(t *testing.T) {
	s, shelf := recorded(t)
	in := s.install(t, museum(t, "1.0.0", ""), plugin.InstallOptions{Enable: true})
	for _, visitor := range []string{"ann", "hunter2"} {
		if _, err := s.act(t, s.house, "echo", visitor); err != nil {
			t.Fatal(err)
		}
	}
	var kept []recording.Entry
	eventually(t, "both calls are kept", func() bool {
		var err error
		kept, err = shelf.List(t.Context(), s.tenant.ID, in.ID, "", 0)
		return err == nil && len(kept) == 2
	})
	t.Run("SecretsAreNotKept", func(t *testing.T) {
		redacted := 0
		for _, e := range kept {
			r, err := shelf.Get(t.Context(), s.tenant.ID, in.ID, e.ID)
			if err != nil {
				t.Fatal(err)
			}
			redacted += r.Redacted
			if text := string(r.Call.Body) + string(r.Result.Body); strings.Contains(text, "hunter2") {
				t.Errorf("it holds the secret: %s", text)
			}
			m, giveBack, err := s.house.Lend(t.Context(), in.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if err := recording.Verify(t.Context(), m, r); err != nil {
				t.Error(err)
			}
			giveBack()
		}
		if redacted == 0 {
			t.Error("nothing was replaced")
		}
	})
	t.Run("AReleaseThatBreaksIsRefused", func(t *testing.T) {
		_, err := s.house.Upgrade(t.Context(), s.admin(), "museum", broken(t, "1.1.0", ""), plugin.UpgradeOptions{})
		if host.CodeOf(err) != host.CodeConflict || !strings.Contains(err.Error(), "breaks at 2 of 2") {
			t.Fatalf("got %v", err)
		}
		if v, _ := version(t, s); v != "1.0.0" {
			t.Errorf("version %s is installed", v)
		}
	})
	t.Run("AReleaseThatAnswersTheSameTakesOver", func(t *testing.T) {
		up, err := s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, "1.2.0", ""), plugin.UpgradeOptions{})
		if err != nil || up.Trial == nil || up.Trial.Replayed != 2 || up.Trial.Same != 2 || up.Version != "1.2.0" {
			t.Errorf("got %+v, %v", up.Trial, err)
		}
	})
	t.Run("ForceUpgradesAllTheSame", func(t *testing.T) {
		if _, err := s.act(t, s.house, "echo", 1); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the call is kept", func() bool {
			list, err := shelf.List(t.Context(), s.tenant.ID, in.ID, "", 0)
			return err == nil && len(list) == 3
		})
		up, err := s.house.Upgrade(t.Context(), s.admin(), "museum", broken(t, "1.3.0", ""), plugin.UpgradeOptions{Force: true})
		if err != nil || up.Version != "1.3.0" || up.Trial.Failed != 1 {
			t.Fatalf("got %s, %+v, %v", up.Version, up.Trial, err)
		}
	})
	t.Run("FallBackIsForTheReleaseThatFailed", func(t *testing.T) {
		if err := s.house.FallBack(t.Context(), s.tenant, "museum", "sha256:other", "late"); err != nil {
			t.Fatal(err)
		}
		if v, _ := version(t, s); v != "1.3.0" {
			t.Fatalf("version %s is installed", v)
		}
		now, err := s.house.Get(t.Context(), s.admin(), "museum")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.house.FallBack(t.Context(), s.tenant, "museum", now.Digest, "it fails"); err != nil {
			t.Fatal(err)
		}
		if v, _ := version(t, s); v != "1.2.0" {
			t.Errorf("version %s is installed", v)
		}
	})
	t.Run("CodeIsForWhoMayManage", func(t *testing.T) {
		code, digest, err := s.house.Code(t.Context(), s.admin(), "museum")
		if err != nil || len(code) == 0 || digest == "" {
			t.Errorf("got %d bytes of %s, %v", len(code), digest, err)
		}
		s.authz.deny[host.ActionPluginManage] = true
		if _, _, err := s.house.Code(t.Context(), s.admin(), "museum"); host.CodeOf(err) != host.CodeForbidden {
			t.Errorf("got %v", err)
		}
	})
}

// tables remember what was asked of them.
type tables struct {
	mu    sync.Mutex
	asked []string
	n     int
	full  bool
}

func (s *tables) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what)
}

func (s *tables) Snapshot(context.Context, host.TenantID, string) (string, error) {
	if s.full {
		return "", errors.New("the disk is full")
	}
	s.n++
	id := fmt.Sprint("s", s.n)
	s.note("keep " + id)
	return id, nil
}

func (s *tables) Restore(_ context.Context, _ host.TenantID, _, id string) error {
	s.note("restore " + id)
	return nil
}

func (s *tables) Migrate(_ context.Context, _ host.TenantID, _ string, m *manifestv1.Manifest) error {
	s.note("migrate to " + m.Version)
	if m.Version == "2.9.0" {
		return host.Errorf(host.CodeInvalid, "a step is missing")
	}
	return nil
}

func (s *tables) Forget(_ context.Context, _ host.TenantID, _, id string) error {
	s.note("forget " + id)
	return nil
}

// TestTables: an upgrade keeps the tables, a rollback brings them back.
func TestTables(t *testing.T) {
	kept := &tables{}
	s := newStage(t, func(o *plugin.Settings) { o.Tables = kept })
	s.install(t, museum(t, "1.0.0", kvPermission), plugin.InstallOptions{AcceptAll: true, Enable: true})
	upgrade := func(v, more string) error {
		_, err := s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, v, kvPermission+more), plugin.UpgradeOptions{})
		return err
	}
	steps := []struct {
		name string
		do   func() error
		want string
	}{
		{"UpgradeKeeps", func() error { return upgrade("1.1.0", "") }, "keep s1, migrate to 1.1.0"},
		{"TheNextForgets", func() error { return upgrade("1.2.0", "") }, "keep s2, migrate to 1.2.0, forget s1"},
		{"WaitingKeepsNothing", func() error { return upgrade("2.0.0", catalogPermission) }, ""},
		{"ConsentKeeps", func() error {
			_, err := s.house.Grant(t.Context(), s.admin(), "museum", []plugin.Grant{{Type: "kv/v1", Quota: "1KiB"}, {Type: "catalog/v1"}})
			return err
		}, "keep s3, migrate to 2.0.0, forget s2"},
		{"RollbackRestores", func() error { _, err := s.house.Rollback(t.Context(), s.admin(), "museum"); return err }, "keep s4, restore s3, forget s3"},
		{"ForwardAgain", func() error { _, err := s.house.Rollback(t.Context(), s.admin(), "museum"); return err }, "keep s5, restore s4, forget s4"},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			kept.asked = nil
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(kept.asked, ", "); got != step.want {
				t.Errorf("the tables were asked to %q, want %q", got, step.want)
			}
		})
	}
	t.Run("WithoutAWayToTheNewTablesThereIsNoUpgrade", func(t *testing.T) {
		if err := upgrade("2.9.0", catalogPermission); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("got %v", err)
		}
		if v, _ := version(t, s); v != "2.0.0" {
			t.Errorf("version %s is installed", v)
		}
	})
	t.Run("WithoutASnapshotThereIsNoUpgrade", func(t *testing.T) {
		kept.full = true
		if err := upgrade("3.0.0", catalogPermission); err == nil {
			t.Error("it took over although its tables could not be kept")
		}
		if v, _ := version(t, s); v != "2.0.0" {
			t.Errorf("version %s is installed", v)
		}
	})
}
