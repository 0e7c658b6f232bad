package process_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/process"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// The house around the runtime: everybody may do everything, nothing is sealed.
type open struct{}

func (open) Authorize(context.Context, host.Caller, host.Action, string) error { return nil }
func (open) Record(context.Context, host.Caller, host.AuditEntry) error        { return nil }
func (open) Seal(_ host.TenantID, _ string, plain []byte) ([]byte, error)      { return plain, nil }
func (open) Open(_ host.TenantID, _ string, sealed []byte) ([]byte, error)     { return sealed, nil }

const yaml = `name: acme/heavy
version: 0.1.0
title: Heavy
description: Runs as a process.
callboard: ">=0.1.0 <1.0.0"
runtime: process
platforms: [%s]
capabilities:
  - type: schedule/v1
    schedules: [{id: nothing, every: 24h}]
`

// release writes the conformance plugin as a process plugin into a folder.
func release(t *testing.T) plugin.Source {
	t.Helper()
	program, err := manifest.Program(runtimetest.Program(t, "examples/conformance"), process.Platform())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, body := range map[string][]byte{
		"plugin.yaml": fmt.Appendf(nil, yaml, process.Platform()),
		"plugin-" + strings.ReplaceAll(process.Platform(), "/", "-"): program,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return plugin.Source{Path: dir}
}

// TestAHouseWithProcesses installs, calls, loses and revives a process plugin.
func TestAHouseWithProcesses(t *testing.T) {
	db := storetest.SQLite(t)
	tenant := storetest.Tenant(t, db)
	admin := host.NewCaller(tenant, host.Principal{Kind: host.KindUser, ID: "u1", Name: "ann@example.com", Role: host.RoleAdmin})
	operator := host.System(tenant, "operator")
	src := release(t)
	var h *plugin.House
	r, err := process.New(process.Settings{
		Dir: filepath.Join(t.TempDir(), "programs"), Backoff: time.Millisecond,
		Failed: func(digest, tenant string, why error) { h.FailedToStay(digest, tenant, why) },
	})
	if err != nil {
		t.Fatal(err)
	}
	begin := func(db *store.DB, development bool, allowed ...string) *plugin.House {
		h, err := plugin.New(db, map[string]plugin.Runtime{manifestv1.RuntimeProcess: r}, nil, open{}, open{}, open{}, plugin.Settings{
			DataDir: t.TempDir(), LocalPaths: development, Poll: 20 * time.Millisecond, ProcessPlugins: allowed,
		})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	t.Run("lets nobody but operators install it", func(t *testing.T) { letsIn(t, begin, src) })
	h = begin(db, true)
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if _, err := h.Install(t.Context(), operator, src, plugin.InstallOptions{AcceptAll: true, Enable: true}); err != nil {
		t.Fatal(err)
	}
	call := func() error {
		var out struct{ Message string }
		err := h.Call(t.Context(), admin, "heavy", "schedule/v1", "run", map[string]any{"schedule": "nothing", "due": time.Now()}, &out)
		if err == nil && out.Message != "did nothing" {
			return fmt.Errorf("it said %q", out.Message)
		}
		return err
	}
	state := func() plugin.State {
		in, err := h.Get(t.Context(), admin, "heavy")
		if err != nil {
			t.Fatal(err)
		}
		return in.State
	}
	t.Run("calls it", func(t *testing.T) {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("stops it when it fails to stay", func(t *testing.T) {
		for range 3 {
			until(t, "it runs", func() bool { return call() == nil })
			kill(t, tenant.Slug)
		}
		until(t, "its state says so", func() bool { return state() == plugin.StateFailedToStay })
		if err := call(); err == nil {
			t.Error("it is called all the same")
		}
	})
	t.Run("revives it when an admin says so", func(t *testing.T) {
		if _, err := h.Retry(t.Context(), admin, "heavy"); err != nil {
			t.Fatal(err)
		}
		until(t, "it runs", func() bool { return call() == nil })
		if got := state(); got != plugin.StateActive {
			t.Errorf("its state is %s", got)
		}
	})
}

// kill ends the tenant's process from outside and waits until it is gone.
func kill(t *testing.T, tenant string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, file := range lines {
		line, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(line), "callboard-plugin "+tenant+" ") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed++
		until(t, "it is gone", func() bool { return syscall.Kill(pid, 0) != nil })
	}
	if killed != 1 {
		t.Fatalf("%d processes were killed", killed)
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	late := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("still not so after 30 s: %s", what)
		}
	}
}

// letsIn tries who may install a process plugin, and by which words of the
// operator: a release by its digest, in development by its name too.
func letsIn(t *testing.T, begin func(db *store.DB, development bool, allowed ...string) *plugin.House, src plugin.Source) {
	var pack bytes.Buffer
	digest, err := manifest.WritePackage(src.Path, &pack)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		allowed     string
		development bool
		in          bool
	}{
		"AnotherName":        {"acme/other", true, false},
		"NameInDevelopment":  {"acme/heavy", true, true},
		"AllInDevelopment":   {"*", true, true},
		"Name":               {"acme/heavy", false, false},
		"All":                {"*", false, false},
		"Release":            {"acme/heavy@" + digest, false, true},
		"ReleaseOfAnother":   {"acme/other@" + digest, false, false},
		"AnotherRelease":     {"acme/heavy@sha256:" + strings.Repeat("a", 64), false, false},
		"NobodySaidAnything": {"", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			db := storetest.SQLite(t)
			admin := host.NewCaller(storetest.Tenant(t, db), host.Principal{Kind: host.KindUser, ID: "u1", Role: host.RoleAdmin})
			h := begin(db, c.development, c.allowed)
			upload := plugin.Source{Upload: pack.Bytes()}
			if _, err := h.Inspect(t.Context(), admin, upload); err != nil {
				t.Errorf("looking at it: %v", err)
			}
			_, err := h.Install(t.Context(), admin, upload, plugin.InstallOptions{})
			if c.in && err != nil {
				t.Errorf("got %v", err)
			}
			if _, up := h.Upgrade(t.Context(), admin, "heavy", upload, plugin.UpgradeOptions{}); !c.in && host.CodeOf(up) != host.CodeForbidden {
				t.Errorf("an upgrade to it: %v", up)
			}
			if !c.in && (host.CodeOf(err) != host.CodeForbidden || !strings.Contains(err.Error(), "--process-plugins acme/heavy@"+digest)) {
				t.Errorf("got %v", err)
			}
		})
	}
}
