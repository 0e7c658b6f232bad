package plugin_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/store/storetest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// wreck is code that does not compile.
const wreck = "a wreck"

// act is what a scripted plugin does in a call.
type act func(ctx context.Context, w plugin.Work) (plugin.Outcome, error)

// script is a runtime whose plugins do what a test says: for what the house
// does around a call, which guest it is does not matter.
type script struct {
	mu       sync.Mutex
	do       act
	compiles atomic.Int64
	bytes    int64
	cached   bool
	revived  []string
}

// echo answers with the body of the call.
func echo(_ context.Context, w plugin.Work) (plugin.Outcome, error) {
	n := int64(len(w.Call.Body))
	return plugin.Outcome{Result: pluginv1.Result{Body: w.Call.Body, Data: w.Call.Data}, Usage: plugin.Usage{Fuel: 100, Input: n, Output: n}}, nil
}

// crash is a guest that traps.
func crash(context.Context, plugin.Work) (plugin.Outcome, error) {
	return plugin.Outcome{Usage: plugin.Usage{Fuel: 7}}, host.Errorf(host.CodePluginTrap, "the plugin crashed")
}

func (s *script) set(do act) {
	s.mu.Lock()
	s.do = do
	s.mu.Unlock()
}

// Check accepts everything.
func (*script) Check([]byte) error { return nil }

// Compile makes a module of anything but a wreck.
func (s *script) Compile(_ context.Context, _ string, code []byte) (plugin.Module, error) {
	s.compiles.Add(1)
	if string(code) == wreck {
		return nil, host.Errorf(host.CodeInvalid, "the code is a wreck")
	}
	return scripted{s}, nil
}

// Cached says whether everything has been compiled before.
func (s *script) Cached(string) bool { return s.cached }

// Forget has nothing to forget.
func (*script) Forget(string) error { return nil }

// Close has nothing to free.
func (*script) Close(context.Context) error { return nil }

// scripted is the code of a scripted plugin.
type scripted struct{ *script }

// Call does what the test says.
func (m scripted) Call(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
	m.mu.Lock()
	do := m.do
	m.mu.Unlock()
	return do(ctx, w)
}

// Facts are those of a scripted plugin.
func (m scripted) Facts() plugin.Facts {
	return plugin.Facts{Runtime: "script", ABI: 1, Bytes: m.bytes}
}

// Revive notes for whom.
func (m scripted) Revive(tenant string) {
	m.mu.Lock()
	m.revived = append(m.revived, tenant)
	m.mu.Unlock()
}

// newScripted opens a house whose plugins do what the test says; they echo at
// first.
func newScripted(t testing.TB, set func(*plugin.Settings)) *stage {
	t.Helper()
	s := &stage{db: storetest.SQLite(t), gate: newGate(), authz: &authz{deny: map[host.Action]bool{}}, audit: &audit{}, data: t.TempDir(), set: set,
		script: &script{do: echo, cached: true}}
	s.tenant = storetest.Tenant(t, s.db)
	s.house = s.open(t)
	return s
}

const scriptYAML = `name: acme/board
version: %s
title: Board
description: Does what a test says.
callboard: ">=0.1.0 <1.0.0"
runtime: wasm
capabilities:
  - type: view/v1
    failure: {policy: stale, staleFor: 1h}
    views: [{id: hall, slot: page, title: Hall}]
  - type: schedule/v1
    failure: {policy: open}
    schedules: [{id: poll, every: 5m}]
`

// ask asks the scripted plugin.
func (s *stage) ask(t testing.TB, capability string, body any) (plugin.Answer, error) {
	t.Helper()
	return s.house.Ask(t.Context(), s.admin(), plugin.Request{Plugin: "board", Capability: capability, Method: "render", Body: body, Repeatable: true})
}

var (
	_ plugin.Runtime = (*script)(nil)
	_ plugin.Lasting = scripted{}
)
