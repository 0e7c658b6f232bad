package plugin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/breaker"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/store/storetest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// board installs a release of the scripted plugin.
func (s *stage) board(t testing.TB, version, more string) plugin.Instance {
	t.Helper()
	return s.install(t, folder(t, fmt.Sprintf(scriptYAML, version)+more, []byte(version)), plugin.InstallOptions{AcceptAll: true, Enable: true})
}

func (s *stage) state(t testing.TB, name string) plugin.Instance {
	t.Helper()
	in, err := s.house.Get(t.Context(), s.admin(), name)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestFailurePolicies(t *testing.T) {
	s := newScripted(t, func(set *plugin.Settings) { set.Breaker.Least = 1000 })
	s.board(t, "1.0.0", "")
	if a, err := s.ask(t, "view/v1", "hello"); err != nil || string(a.Body) != `"hello"` || a.Stale != 0 || a.Usage.Fuel != 100 {
		t.Fatalf("got %+v, %v", a, err)
	}
	s.script.set(crash)
	t.Run("StaleGivesTheLastGoodAnswerToTheSameRequest", func(t *testing.T) {
		a, err := s.ask(t, "view/v1", "hello")
		if err != nil || string(a.Body) != `"hello"` || a.Stale <= 0 || host.CodeOf(a.Reason) != host.CodePluginTrap {
			t.Errorf("got %+v, %v", a, err)
		}
	})
	t.Run("AnotherRequestFails", func(t *testing.T) {
		if _, err := s.ask(t, "view/v1", "good bye"); host.CodeOf(err) != host.CodePluginTrap {
			t.Errorf("got %v", err)
		}
	})
	t.Run("AnotherCallerFails", func(t *testing.T) {
		viewer := host.NewCaller(s.tenant, host.Principal{Kind: host.KindUser, ID: "u2", Name: "bob@example.com", Role: host.RoleViewer})
		_, err := s.house.Ask(t.Context(), viewer, plugin.Request{Plugin: "board", Capability: "view/v1", Method: "render", Body: "hello", Repeatable: true})
		if host.CodeOf(err) != host.CodePluginTrap {
			t.Errorf("got %v", err)
		}
	})
	t.Run("WhatMayNotBeRepeatedFails", func(t *testing.T) {
		_, err := s.house.Ask(t.Context(), s.admin(), plugin.Request{Plugin: "board", Capability: "view/v1", Method: "render", Body: "hello"})
		if host.CodeOf(err) != host.CodePluginTrap {
			t.Errorf("got %v", err)
		}
	})
	t.Run("OpenGivesTheNeutralAnswer", func(t *testing.T) {
		if a, err := s.ask(t, "schedule/v1", 1); err != nil || !a.Neutral || host.CodeOf(a.Reason) != host.CodePluginTrap {
			t.Errorf("got %+v, %v", a, err)
		}
	})
	t.Run("CallFailsAllTheSame", func(t *testing.T) {
		if err := s.house.Call(t.Context(), s.admin(), "board", "schedule/v1", "run", 1, nil); host.CodeOf(err) != host.CodePluginTrap {
			t.Errorf("got %v", err)
		}
	})
	t.Run("AnAdminDecidesOtherwise", func(t *testing.T) {
		in, err := s.house.SetFailure(t.Context(), s.admin(), "board", "schedule/v1", manifestv1.Failure{Policy: manifestv1.FailClosed})
		if err != nil || in.Policy.Failure["schedule/v1"].Policy != "closed" {
			t.Fatalf("got %+v, %v", in.Policy, err)
		}
		if _, err := s.ask(t, "schedule/v1", 1); host.CodeOf(err) != host.CodePluginTrap {
			t.Errorf("got %v", err)
		}
		if in, err = s.house.SetFailure(t.Context(), s.admin(), "board", "schedule/v1", manifestv1.Failure{}); err != nil || len(in.Policy.Failure) != 0 {
			t.Errorf("got %+v, %v", in.Policy, err)
		}
		for _, f := range []manifestv1.Failure{{Policy: "ajar"}, {Policy: "stale", StaleFor: "48h"}, {Policy: "stale", StaleFor: "soon"}} {
			if _, err := s.house.SetFailure(t.Context(), s.admin(), "board", "view/v1", f); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("%+v: %v", f, err)
			}
		}
		if _, err := s.house.SetFailure(t.Context(), s.admin(), "board", "route/v1", manifestv1.Failure{}); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("a capability that it does not offer: %v", err)
		}
	})
	t.Run("WhatTheAdminTookAwayIsNotShownAgain", func(t *testing.T) {
		s.script.set(echo)
		if _, err := s.ask(t, "view/v1", "hello"); err != nil {
			t.Fatal(err)
		}
		s.script.set(crash)
		if _, err := s.house.Grant(t.Context(), s.admin(), "board", nil); err != nil {
			t.Fatal(err)
		}
		if a, err := s.ask(t, "view/v1", "hello"); err != nil || a.Stale == 0 {
			t.Errorf("nothing was taken away, and it is gone: %v", err)
		}
	})
}

func TestPoliciesCoverCodeThatDoesNotCompile(t *testing.T) {
	s := newScripted(t, nil)
	s.install(t, folder(t, fmt.Sprintf(scriptYAML, "1.0.0"), []byte(wreck)), plugin.InstallOptions{AcceptAll: true, Enable: true})
	if a, err := s.ask(t, "schedule/v1", 1); err != nil || !a.Neutral || host.CodeOf(a.Reason) != host.CodeUnavailable {
		t.Errorf("got %+v, %v", a, err)
	}
	if _, err := s.ask(t, "view/v1", 1); host.CodeOf(err) != host.CodeUnavailable {
		t.Errorf("without an earlier answer: %v", err)
	}
	if in := s.state(t, "board"); in.State != plugin.StateFailedToStart {
		t.Errorf("its state is %s", in.State)
	}
}

// TestAFailingPluginRestsAndIsQuarantined walks through the life of a plugin
// that fails: it rests, it is tried again, it is stopped for good, an admin
// lets it try again.
func TestAFailingPluginRestsAndIsQuarantined(t *testing.T) {
	s := newScripted(t, func(set *plugin.Settings) {
		set.Breaker = breaker.Settings{Least: 3, Rest: time.Nanosecond, MaxRest: time.Nanosecond, Opens: 3}
	})
	s.board(t, "1.0.0", "")
	s.script.set(crash)
	fail := func() error {
		_, err := s.ask(t, "view/v1", 1)
		return err
	}
	for range 3 {
		if err := fail(); host.CodeOf(err) != host.CodePluginTrap {
			t.Fatalf("got %v", err)
		}
	}
	health, err := s.house.Health(t.Context(), s.admin(), "board")
	if err != nil || health.Breaker.Phase != breaker.Open || health.Breaker.Opens != 1 {
		t.Fatalf("its breaker is %+v, %v", health.Breaker, err)
	}
	eventually(t, "it is quarantined", func() bool { _ = fail(); return s.state(t, "board").State == plugin.StateQuarantined })
	in := s.state(t, "board")
	if !strings.Contains(in.StateDetail, "failed too often") || !strings.Contains(in.StateDetail, "crashed") {
		t.Errorf("it says %q", in.StateDetail)
	}
	if err := fail(); host.CodeOf(err) != host.CodeUnavailable || !strings.Contains(err.Error(), "plugin retry board") {
		t.Errorf("a call gives %v", err)
	}
	t.Run("AnotherHostKnows", func(t *testing.T) {
		if in, err := s.open(t).Get(t.Context(), s.admin(), "board"); err != nil || in.State != plugin.StateQuarantined {
			t.Errorf("it is %s there, %v", in.State, err)
		}
	})
	s.script.set(echo)
	if in, err := s.house.Retry(t.Context(), s.admin(), "board"); err != nil || in.State != plugin.StateActive {
		t.Fatalf("after the retry it is %s, %v", in.State, err)
	}
	if err := fail(); err != nil {
		t.Errorf("after the retry: %v", err)
	}
	if got := strings.Join(s.audit.changes(), " "); got != "install stop retry" {
		t.Errorf("the audit record says %s", got)
	}
	if _, err := s.house.Disable(t.Context(), s.admin(), "board"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.house.Retry(t.Context(), s.admin(), "board"); host.CodeOf(err) != host.CodeConflict {
		t.Errorf("retrying what is switched off: %v", err)
	}
}

func TestWhatTheCallerDoesIsNoFault(t *testing.T) {
	s := newScripted(t, func(set *plugin.Settings) { set.Breaker.Least = 2 })
	s.board(t, "1.0.0", "")
	s.script.set(func(context.Context, plugin.Work) (plugin.Outcome, error) {
		return plugin.Outcome{}, host.Errorf(host.CodePluginTimeout, "stopped")
	})
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range 10 {
		_ = s.house.Call(gone, s.admin(), "board", "view/v1", "render", 1, nil)
	}
	s.script.set(func(context.Context, plugin.Work) (plugin.Outcome, error) {
		return plugin.Outcome{}, host.Errorf(host.CodeInvalid, "not this way")
	})
	for range 10 {
		_, _ = s.ask(t, "view/v1", 1)
	}
	if h, err := s.house.Health(t.Context(), s.admin(), "board"); err != nil || h.Breaker.Phase != breaker.Closed {
		t.Errorf("its breaker is %+v, %v", h.Breaker, err)
	}
}

func TestAnUncleanSandboxStopsTheReleaseEverywhere(t *testing.T) {
	s := newScripted(t, nil)
	s.board(t, "1.0.0", "")
	s.script.set(func(context.Context, plugin.Work) (plugin.Outcome, error) {
		return plugin.Outcome{}, &host.Error{Code: host.CodePluginTrap, Message: "unclean", Err: plugin.ErrIsolation}
	})
	if _, err := s.ask(t, "view/v1", 1); err == nil {
		t.Fatal("it answered")
	}
	eventually(t, "it is quarantined", func() bool { return s.state(t, "board").State == plugin.StateQuarantined })
}

func TestAProcessThatWillNotStay(t *testing.T) {
	s := newScripted(t, nil)
	in := s.board(t, "1.0.0", "")
	if _, err := s.ask(t, "view/v1", 1); err != nil {
		t.Fatal(err)
	}
	s.house.FailedToStay(in.Digest, "somebody-else", host.Errorf(host.CodeUnavailable, "it ended three times"))
	s.house.FailedToStay(in.Digest, s.tenant.Slug, host.Errorf(host.CodeUnavailable, "it ended three times"))
	eventually(t, "it is given up", func() bool { return s.state(t, "board").State == plugin.StateFailedToStay })
	if in, err := s.house.Enable(t.Context(), s.admin(), "board"); err != nil || in.State != plugin.StateActive {
		t.Fatalf("after enabling it is %s, %v", in.State, err)
	}
	if len(s.script.revived) != 1 || s.script.revived[0] != s.tenant.Slug {
		t.Errorf("revived for %q", s.script.revived)
	}
}

// TestAnUpgradeThatFailsIsUndone: the error budget of a new release burns, and
// the release before takes over again.
func TestAnUpgradeThatFailsIsUndone(t *testing.T) {
	s := newScripted(t, func(set *plugin.Settings) {
		set.Breaker = breaker.Settings{Least: 3, Rest: time.Nanosecond, MaxRest: time.Nanosecond, Opens: 100}
	})
	s.board(t, "1.0.0", "")
	if _, err := s.house.Upgrade(t.Context(), s.admin(), "board", folder(t, fmt.Sprintf(scriptYAML, "1.1.0"), []byte("1.1.0")), plugin.UpgradeOptions{}); err != nil {
		t.Fatal(err)
	}
	s.script.set(crash)
	eventually(t, "the old release is back", func() bool {
		_, _ = s.ask(t, "view/v1", 1)
		return s.state(t, "board").Version == "1.0.0"
	})
	last := s.audit.entries[len(s.audit.entries)-1]
	if last.Detail["change"] != "rollback" || last.Detail["because"] == "" {
		t.Errorf("the audit record says %v", last.Detail)
	}
}

func TestPin(t *testing.T) {
	s := newScripted(t, nil)
	in := s.board(t, "1.0.0", "")
	if _, err := s.house.Pin(t.Context(), s.admin(), "board", "sha256:other", true); host.CodeOf(err) != host.CodeConflict {
		t.Errorf("pinning another digest: %v", err)
	}
	if in, err := s.house.Pin(t.Context(), s.admin(), "board", in.Digest, true); err != nil || !in.Pinned {
		t.Fatalf("got %+v, %v", in, err)
	}
	next := folder(t, fmt.Sprintf(scriptYAML, "1.1.0"), []byte("1.1.0"))
	if _, err := s.house.Upgrade(t.Context(), s.admin(), "board", next, plugin.UpgradeOptions{}); host.CodeOf(err) != host.CodeConflict || !strings.Contains(err.Error(), "--off") {
		t.Errorf("upgrading it: %v", err)
	}
	if _, err := s.house.Pin(t.Context(), s.admin(), "board", "", false); err != nil {
		t.Fatal(err)
	}
	if in, err := s.house.Upgrade(t.Context(), s.admin(), "board", next, plugin.UpgradeOptions{}); err != nil || in.Version != "1.1.0" {
		t.Errorf("got %s, %v", in.Version, err)
	}
}

func TestLimitsOfAnAdmin(t *testing.T) {
	s := newScripted(t, nil)
	s.board(t, "1.0.0", "limits: {fuel: 5000000, timeout: 5s}\n")
	var got plugin.Limits
	s.script.set(func(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
		got = w.Limits
		return echo(ctx, w)
	})
	body := strings.Repeat("x", 998) // 1000 with its quotes
	if _, err := s.ask(t, "view/v1", body); err != nil {
		t.Fatal(err)
	}
	if got.Fuel != 5000000+1000*1000 || got.Memory != 64<<20+1000*16 || got.Timeout != 5*time.Second {
		t.Errorf("by the manifest, for 1000 bytes: %+v", got)
	}
	if _, err := s.house.SetLimits(t.Context(), s.admin(), "board", manifestv1.Limits{Fuel: 9000000, Memory: "128MiB", Concurrency: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ask(t, "view/v1", body); err != nil {
		t.Fatal(err)
	}
	if got.Fuel != 9000000+1000*1000 || got.Memory != 128<<20+1000*16 || got.Timeout != 5*time.Second || got.Concurrency != 2 {
		t.Errorf("as the admin decided: %+v", got)
	}
	for name, l := range map[string]manifestv1.Limits{
		"memory": {Memory: "64GiB"}, "timeout": {Timeout: "1h"}, "fuel": {Fuel: 1e15}, "hostCalls": {HostCalls: -1}, "output": {Output: "much"}, "input": {Timeout: "1s", Input: "1TB"},
	} {
		_, err := s.house.SetLimits(t.Context(), s.admin(), "board", l)
		if e := host.AsError(err); e.Code != host.CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Pointer != "/limits/"+name {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestQuotas(t *testing.T) {
	s := newScripted(t, nil)
	s.board(t, "1.0.0", "")
	if q, err := s.house.SetQuota(t.Context(), s.admin(), "board", ledger.Quota{FuelPerDay: 250}); err != nil || q.Effective.FuelPerDay != 250 || q.Tenant.FuelPerDay != 250 {
		t.Fatalf("got %+v, %v", q, err)
	}
	var fuel int64
	s.script.set(func(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
		fuel = w.Limits.Fuel
		return echo(ctx, w)
	})
	for n := range 3 {
		if _, err := s.ask(t, "view/v1", n); err != nil {
			t.Fatal(err)
		}
		if fuel != 250-int64(n)*100 {
			t.Errorf("call %d may use %d", n, fuel)
		}
	}
	_, err := s.ask(t, "schedule/v1", 9)
	if e := host.AsError(err); e.Code != host.CodeQuota || e.RetryAfter <= 0 || !strings.Contains(e.Message, "250 units of fuel") {
		t.Errorf("got %+v", e)
	}
	operator := host.System(s.tenant, "operator")
	if q, err := s.house.SetQuota(t.Context(), operator, "board", ledger.Quota{CallsPerMinute: 9}); err != nil || (q.Effective != ledger.Quota{CallsPerMinute: 9, FuelPerDay: 250}) {
		t.Errorf("got %+v, %v", q, err)
	}
}

// TestTheLedgerHoldsWhatWasCalled: whatever becomes of calls, the sums are
// those of all calls, on all hosts, after a stop.
func TestTheLedgerHoldsWhatWasCalled(t *testing.T) {
	s := newScripted(t, func(set *plugin.Settings) { set.Breaker.Least = 1000 })
	s.board(t, "1.0.0", "")
	other := s.make(t, t.TempDir())
	if err := other.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := range 60 {
		h := s.house
		if n%3 == 0 {
			h = other
		}
		s.script.set(echo)
		if n%4 == 0 {
			s.script.set(crash)
		}
		_ = h.Call(t.Context(), s.admin(), "board", "view/v1", "render", strings.Repeat("x", 8), nil)
	}
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := s.house.Usage(t.Context(), s.admin(), "board", ledger.Query{})
	if err != nil || r.Total.Calls != 60 || r.Total.Errors != 15 || r.Total.ByCode[host.CodePluginTrap] != 15 || r.Total.Fuel != 45*100+15*7 || r.Total.Input != 450 {
		t.Errorf("got %+v, %v", r.Total, err)
	}
}

// TestEvidence: what calls really reached stands beside the grants, and what
// was never used can be taken away.
func TestEvidence(t *testing.T) {
	s := newScripted(t, nil)
	s.board(t, "1.0.0", kvPermission+"  - {type: catalog/v1, reason: Reads what there is.}\n")
	s.script.set(func(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
		if r := w.World.Host(ctx, pluginv1.HostCall{Service: "kv/v1", Method: "get", Body: json.RawMessage(`{"key":"a"}`)}); r.Error != nil {
			return plugin.Outcome{}, r.Error
		}
		return echo(ctx, w)
	})
	if _, err := s.ask(t, "view/v1", 1); err != nil {
		t.Fatal(err)
	}
	found, err := s.house.Evidence(t.Context(), s.admin(), "board")
	if err != nil || len(found) != 2 || !found[0].Used || found[0].Uses[0].Count != 1 || found[1].Used {
		t.Fatalf("got %+v, %v", found, err)
	}
	in, err := s.house.Narrow(t.Context(), s.admin(), "board")
	if err != nil || len(in.Grants) != 1 || in.Grants[0].Type != "kv/v1" {
		t.Errorf("got %+v, %v", in.Grants, err)
	}
	if _, err := s.house.Evidence(t.Context(), s.admin(), "nothing"); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("got %v", err)
	}
}

// TestRefusedCallsAreNoEvidence: a service that refused every call was not
// used, so that its grant is taken away.
func TestRefusedCallsAreNoEvidence(t *testing.T) {
	s := newScripted(t, nil)
	s.board(t, "1.0.0", kvPermission)
	s.script.set(func(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
		for _, call := range []pluginv1.HostCall{{Method: "fly"}, {Method: "get", Body: json.RawMessage(`[]`)}} {
			call.Service = "kv/v1"
			if r := w.World.Host(ctx, call); r.Error == nil {
				t.Errorf("%s %s was not refused", call.Method, call.Body)
			}
		}
		return echo(ctx, w)
	})
	if _, err := s.ask(t, "view/v1", 1); err != nil {
		t.Fatal(err)
	}
	if found, err := s.house.Evidence(t.Context(), s.admin(), "board"); err != nil || len(found) != 1 || found[0].Used {
		t.Errorf("got %+v, %v", found, err)
	}
	if in, err := s.house.Narrow(t.Context(), s.admin(), "board"); err != nil || len(in.Grants) != 0 {
		t.Errorf("got %+v, %v", in.Grants, err)
	}
}

// TestAFloodWaitsBehindItself: while one tenant keeps its share of a release
// busy, another tenant's call runs at once; the flood's calls beyond the queue
// are refused with a time.
func TestAFloodWaitsBehindItself(t *testing.T) {
	s := newScripted(t, func(set *plugin.Settings) { set.Default.Concurrency, set.Slots, set.Wait = 2, 3, time.Hour })
	s.board(t, "1.0.0", "")
	open := make(chan struct{})
	s.script.set(func(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
		<-open
		return echo(ctx, w)
	})
	const flood = 20 // 2 run, 12 wait
	ended := make(chan error, flood)
	for range flood {
		go func() { ended <- s.house.Call(context.Background(), s.admin(), "board", "view/v1", "render", 1, nil) }()
	}
	for range flood - 2 - 12 {
		if err := <-ended; host.CodeOf(err) != host.CodeUnavailable || host.AsError(err).RetryAfter < time.Second {
			t.Errorf("a call that found no room: %v", err)
		}
	}
	calm := host.NewCaller(storetest.Tenant(t, s.db), host.Principal{Kind: host.KindUser, ID: "u9", Name: "eve@example.com", Role: host.RoleAdmin})
	if _, err := s.house.Install(t.Context(), calm, folder(t, fmt.Sprintf(scriptYAML, "1.0.0"), []byte("1.0.0")), plugin.InstallOptions{AcceptAll: true, Enable: true}); err != nil {
		t.Fatal(err)
	}
	s.script.set(echo) // those that run are held by what they began with
	if err := s.house.Call(t.Context(), calm, "board", "view/v1", "render", 1, nil); err != nil {
		t.Errorf("another tenant's call: %v", err)
	}
	close(open)
	for range 2 + 12 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestSecretOfAnInstance(t *testing.T) {
	s := newScripted(t, nil)
	s.board(t, "1.0.0", "")
	if got, err := s.house.Secret(t.Context(), s.tenant.ID, "board", "none"); err != nil || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := s.house.Secret(t.Context(), s.tenant.ID, "nothing", "none"); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("got %v", err)
	}
}
