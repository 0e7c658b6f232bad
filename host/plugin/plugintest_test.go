package plugin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	"github.com/callboard-dev/callboard/host/service"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// authz allows everything but what deny names.
type authz struct {
	mu   sync.Mutex
	deny map[host.Action]bool
}

func (a *authz) Authorize(_ context.Context, _ host.Caller, action host.Action, resource string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.deny[action] {
		return host.Errorf(host.CodeForbidden, "%s on %s is not allowed", action, resource)
	}
	return nil
}

// audit remembers records, or fails.
type audit struct {
	mu      sync.Mutex
	entries []host.AuditEntry
	broken  bool
}

func (a *audit) Record(_ context.Context, _ host.Caller, e host.AuditEntry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken {
		return host.Errorf(host.CodeUnavailable, "the audit record cannot be written")
	}
	a.entries = append(a.entries, e)
	return nil
}

func (a *audit) changes() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, e := range a.entries {
		out = append(out, e.Detail["change"])
	}
	return out
}

// box seals by turning the text around, bound to tenant and name.
type box struct{}

func (box) Seal(t host.TenantID, name string, plain []byte) ([]byte, error) {
	return []byte(string(t) + "|" + name + "|" + reversed(plain)), nil
}

func (box) Open(t host.TenantID, name string, sealed []byte) ([]byte, error) {
	rest, ok := strings.CutPrefix(string(sealed), string(t)+"|"+name+"|")
	if !ok {
		return nil, fmt.Errorf("sealed for somebody else")
	}
	return []byte(reversed([]byte(rest))), nil
}

func reversed(b []byte) string {
	out := make([]byte, len(b))
	for i := range b {
		out[len(b)-1-i] = b[i]
	}
	return string(out)
}

// stage is a house with everything around it.
type stage struct {
	db     *store.DB
	tenant host.Tenant
	house  *plugin.House
	authz  *authz
	audit  *audit
	gate   *gate
	data   string
	cache  string
	set    func(*plugin.Settings)
	// script, where set, takes the place of the wasm runtime.
	script *script
}

// newStage opens a house over an own database.
func newStage(t testing.TB, set func(*plugin.Settings)) *stage {
	t.Helper()
	return newStageOn(t, storetest.SQLite(t), set)
}

func newStageOn(t testing.TB, db *store.DB, set func(*plugin.Settings)) *stage {
	t.Helper()
	s := &stage{db: db, gate: newGate(), authz: &authz{deny: map[host.Action]bool{}}, audit: &audit{}, data: t.TempDir(), cache: compiled(t), set: set}
	s.tenant = storetest.Tenant(t, s.db)
	s.house = s.open(t)
	return s
}

// compiledDir is shared by the tests of this binary: compiling the museum
// takes over a second.
var compiledDir struct {
	once sync.Once
	dir  string
}

func compiled(t testing.TB) string {
	t.Helper()
	compiledDir.once.Do(func() {
		dir, err := os.MkdirTemp("", "compiled")
		if err != nil {
			t.Fatal(err)
		}
		compiledDir.dir = dir
	})
	return compiledDir.dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if compiledDir.dir != "" {
		_ = os.RemoveAll(compiledDir.dir)
	}
	os.Exit(code)
}

// open makes and starts a house; a second one is a second process.
func (s *stage) open(t testing.TB) *plugin.House {
	t.Helper()
	h := s.make(t, s.data)
	if err := h.Start(t.Context()); err != nil {
		t.Fatalf("starting the house: %v", err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	return h
}

func (s *stage) make(t testing.TB, data string) *plugin.House { return s.makeWith(t, data, s.audit) }

func (s *stage) makeWith(t testing.TB, data string, audit host.Auditor) *plugin.House {
	t.Helper()
	var runtime plugin.Runtime = s.script
	if s.script == nil {
		sandboxes, err := wasm.New(wasm.Settings{CacheDir: s.cache, Key: []byte("shared by these tests alone")})
		if err != nil {
			t.Fatal(err)
		}
		runtime = sandboxes
	}
	settings := plugin.Settings{
		DataDir: data, LocalPaths: true, Poll: 20 * time.Millisecond, CompileWait: 3 * time.Minute,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if s.set != nil {
		s.set(&settings)
	}
	services := service.Set(service.Settings{KV: kv.New(s.db, kv.Settings{})})
	services["gate/v1"] = s.gate
	h, err := plugin.New(s.db, map[string]plugin.Runtime{manifestv1.RuntimeWASM: runtime}, services, s.authz, audit, box{}, settings)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (s *stage) admin() host.Caller {
	return host.NewCaller(s.tenant, host.Principal{Kind: host.KindUser, ID: "u1", Name: "ann@example.com", Role: host.RoleAdmin})
}

const museumYAML = `name: acme/museum
version: %s
title: Museum
description: Misbehaves on request.
callboard: ">=0.1.0 <1.0.0"
runtime: wasm
capabilities:
  - type: view/v1
    views: [{id: hall, slot: page, title: Hall}]
`

// museum writes a release of the museum into a folder; more is appended to the
// manifest.
func museum(t testing.TB, version, more string) plugin.Source {
	t.Helper()
	return folder(t, fmt.Sprintf(museumYAML, version)+more, runtimetest.Museum(t))
}

func folder(t testing.TB, yaml string, code []byte) plugin.Source {
	t.Helper()
	dir := t.TempDir()
	for name, body := range map[string][]byte{"plugin.yaml": []byte(yaml), "plugin.wasm": code} {
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return plugin.Source{Path: dir}
}

// act calls the museum.
func (s *stage) act(t testing.TB, h *plugin.House, method string, body any) (json.RawMessage, error) {
	t.Helper()
	var out json.RawMessage
	err := h.Call(t.Context(), s.admin(), "museum", "view/v1", method, body, &out)
	return out, err
}

func (s *stage) install(t testing.TB, src plugin.Source, o plugin.InstallOptions) plugin.Instance {
	t.Helper()
	in, err := s.house.Install(t.Context(), s.admin(), src, o)
	if err != nil {
		t.Fatalf("installing: %v (%v)", err, host.AsError(err).Err)
	}
	return in
}

// hold makes a call that stays inside the guest until the gate is opened, and
// returns when it is there.
func (s *stage) hold(t testing.TB) (ended chan error) {
	t.Helper()
	ended = make(chan error, 1)
	go func() {
		_, err := s.act(t, s.house, "host", map[string]string{"service": "gate/v1"})
		ended <- err
	}()
	select {
	case <-s.gate.entered:
	case err := <-ended:
		t.Fatalf("the call ended at once: %v", err)
	}
	return ended
}

// gate is a host service that keeps its caller until it is opened.
type gate struct{ entered, open chan struct{} }

func newGate() *gate { return &gate{entered: make(chan struct{}), open: make(chan struct{})} }

// Serve waits for the gate.
func (g *gate) Serve(ctx context.Context, _ *plugin.Session, _ pluginv1.HostCall) (any, error) {
	g.entered <- struct{}{}
	select {
	case <-g.open:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(3 * time.Minute)
	for !ok() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}
