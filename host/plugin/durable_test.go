package plugin_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/sqlitestore"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// TestLifeOnPostgres walks an instance's whole life on the other database.
func TestLifeOnPostgres(t *testing.T) {
	s := newStageOn(t, storetest.Postgres(t), nil)
	in := s.install(t, museum(t, "1.0.0", kvPermission), plugin.InstallOptions{AcceptAll: true, Enable: true})
	set := map[string]any{"service": "kv/v1", "method": "set", "body": map[string]any{"key": "a", "value": []byte{0, 255}}}
	if got, err := s.act(t, s.house, "host", set); err != nil || strings.Contains(string(got), "error") {
		t.Fatalf("storing gave %s, %v", got, err)
	}
	if up, err := s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, "2.0.0", kvPermission), plugin.UpgradeOptions{}); err != nil || up.ID != in.ID || up.Version != "2.0.0" {
		t.Fatalf("got %+v, %v", up, err)
	}
	elsewhere := s.make(t, t.TempDir()) // a host that has none of the files
	if err := elsewhere.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = elsewhere.Close(context.Background()) }()
	get := map[string]any{"service": "kv/v1", "method": "get", "body": map[string]any{"key": "a"}}
	if got, err := s.act(t, elsewhere, "host", get); err != nil || !strings.Contains(string(got), `"AP8="`) {
		t.Errorf("elsewhere it reads %s, %v", got, err)
	}
	if back, err := s.house.Rollback(t.Context(), s.admin(), "museum"); err != nil || back.Version != "1.0.0" {
		t.Errorf("got %s, %v", back.Version, err)
	}
	if err := s.house.Uninstall(t.Context(), s.admin(), "museum"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other host has forgotten it", func() bool { return len(elsewhere.Active(s.tenant.ID)) == 0 })
}

// killAt is set in the process that TestKilled starts: where it dies.
const killAt = "CALLBOARD_TEST_KILL"

// deadly is an audit record during which the process is killed, inside the
// transaction of a change.
type deadly struct{}

func (d *deadly) Record(_ context.Context, _ host.Caller, e host.AuditEntry) error {
	if e.Detail["change"] == os.Getenv(killAt) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal arrives
	}
	return nil
}

// onDisk opens a house whose database and files are in dir.
func onDisk(t *testing.T, dir string, tenant host.Tenant) *stage {
	t.Helper()
	db, err := store.Open(t.Context(), sqlitestore.New(sqlitestore.Settings{Dir: filepath.Join(dir, "db")}), store.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := db.CreateTenant(t.Context(), tenant.ID); err != nil {
		t.Fatal(err)
	}
	return &stage{db: db, gate: newGate(), tenant: tenant, authz: &authz{deny: map[host.Action]bool{}}, audit: &audit{}, data: dir, cache: filepath.Join(dir, "cache")}
}

// TestKilled kills a process in the middle of an installation, an upgrade and
// a removal, and starts again.
func TestKilled(t *testing.T) {
	tenant := host.Tenant{ID: "taaaaaaaaaaaaaaaa", Slug: "acme"}
	if at := os.Getenv(killAt); at != "" {
		s := onDisk(t, os.Getenv("CALLBOARD_TEST_DIR"), tenant)
		s.doomed(t)
		return
	}
	dir := t.TempDir()
	die := func(at string) *stage {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.v")
		cmd.Env = append(os.Environ(), killAt+"="+at, "CALLBOARD_TEST_DIR="+dir, "CALLBOARD_TEST_MUSEUM="+museumFile(t, dir))
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("it was not killed: %v\n%s", err, out)
		}
		s := onDisk(t, dir, tenant)
		s.house = s.open(t)
		return s
	}
	t.Run("install", func(t *testing.T) {
		s := die("install")
		if list, err := s.house.List(t.Context(), s.admin()); err != nil || len(list) != 0 {
			t.Errorf("there is %v, %v", list, err)
		}
		if left, err := os.ReadDir(filepath.Join(dir, "releases")); err != nil || len(left) != 0 {
			t.Errorf("files are left: %v, %v", left, err)
		}
		s.install(t, museum(t, "1.0.0", kvPermission), plugin.InstallOptions{AcceptAll: true, Enable: true})
		if _, err := s.act(t, s.house, "echo", 1); err != nil {
			t.Error(err)
		}
		_ = s.house.Close(t.Context())
	})
	t.Run("upgrade", func(t *testing.T) {
		s := die("upgrade")
		if v, st := version(t, s); v != "1.0.0" || !st.Serves() {
			t.Errorf("it is %s, %s", v, st)
		}
		if _, err := s.act(t, s.house, "echo", 1); err != nil {
			t.Error(err)
		}
		_ = s.house.Close(t.Context())
	})
	t.Run("uninstall", func(t *testing.T) {
		s := die("uninstall")
		if _, err := s.act(t, s.house, "echo", 1); err != nil {
			t.Errorf("the removal was not committed, yet it answers %v", err)
		}
		if err := s.house.Uninstall(t.Context(), s.admin(), "museum"); err != nil {
			t.Error(err)
		}
	})
}

// museumFile keeps the museum's code where the doomed process finds it.
func museumFile(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(dir, "museum.wasm")
	if err := os.WriteFile(file, runtimetest.Museum(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// doomed makes the change during which the process is killed.
func (s *stage) doomed(t *testing.T) {
	code, err := os.ReadFile(os.Getenv("CALLBOARD_TEST_MUSEUM"))
	if err != nil {
		t.Fatal(err)
	}
	h := s.makeWith(t, s.data, &deadly{})
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	switch os.Getenv(killAt) {
	case "install":
		_, err = h.Install(t.Context(), s.admin(), folder(t, fmt.Sprintf(museumYAML, "1.0.0")+kvPermission, code), plugin.InstallOptions{AcceptAll: true, Enable: true})
	case "upgrade":
		_, err = h.Upgrade(t.Context(), s.admin(), "museum", folder(t, fmt.Sprintf(museumYAML, "2.0.0")+kvPermission, code), plugin.UpgradeOptions{AcceptAll: true})
	case "uninstall":
		err = h.Uninstall(t.Context(), s.admin(), "museum")
	}
	t.Fatalf("the process survived: %v", err)
}

const boardYAML = `name: acme/%s
version: 1.0.0
title: Board
description: Offers one operation.
callboard: ">=0.1.0"
runtime: wasm
capabilities:
  - type: route/v1
    openapi: {paths: {/items: {get: {operationId: %s, responses: {"200": {description: The items.}}}}}}
`

func TestOperationsOfATenantAreUnique(t *testing.T) {
	s := newStage(t, func(set *plugin.Settings) { set.Reserved = []string{"listEntities"} })
	board := func(name, operation string) plugin.Source {
		return folder(t, fmt.Sprintf(boardYAML, name, operation), runtimetest.Museum(t))
	}
	s.install(t, board("one", "items"), plugin.InstallOptions{})
	for name, c := range map[string]struct {
		src  plugin.Source
		says string
	}{
		"OfAnotherPlugin": {board("two", "items"), "acme/one"},
		"OfTheCore":       {board("two", "listEntities"), "Callboard itself"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.house.Install(t.Context(), s.admin(), c.src, plugin.InstallOptions{})
			if host.CodeOf(err) != host.CodeConflict || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("AnotherName", func(t *testing.T) { s.install(t, board("two", "twoItems"), plugin.InstallOptions{}) })
	t.Run("Inspect", func(t *testing.T) {
		p, err := s.house.Inspect(t.Context(), s.admin(), board("three", "threeItems"))
		if err != nil || p.Manifest.Name != "acme/three" || p.Installed != "" || p.CodeBytes == 0 {
			t.Errorf("got %+v, %v", p, err)
		}
	})
}

func TestDropTenantWithoutAHouse(t *testing.T) {
	s := newStage(t, nil)
	s.install(t, museum(t, "1.0.0", ""), plugin.InstallOptions{})
	if _, err := record.DropTenant(t.Context(), s.db, s.tenant.ID); err != nil {
		t.Fatal(err)
	}
	again := s.make(t, s.data)
	if err := again.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close(context.Background()) }()
	if left, err := os.ReadDir(filepath.Join(s.data, "releases")); err != nil || len(left) != 0 {
		t.Errorf("the next start left %v, %v", left, err)
	}
}
