package plugin_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
)

const catalogPermission = `  - {type: catalog/v1, reason: Reads who the visitors are.}
`

func version(t *testing.T, s *stage) (string, plugin.State) {
	t.Helper()
	in, err := s.house.Get(t.Context(), s.admin(), "museum")
	if err != nil {
		t.Fatal(err)
	}
	return in.Version, in.State
}

func TestUpgrade(t *testing.T) {
	s := newStage(t, nil)
	s.install(t, museum(t, "1.0.0", kvPermission), plugin.InstallOptions{Grants: []plugin.Grant{{Type: "kv/v1", Quota: "100B"}}, Enable: true})
	if _, err := s.act(t, s.house, "echo", 1); err != nil {
		t.Fatal(err)
	}
	t.Run("SamePermissionsTakeOverAtOnceAndKeepTheNarrowerGrant", func(t *testing.T) {
		in, err := s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, "1.1.0", kvPermission), plugin.UpgradeOptions{})
		if err != nil || in.Version != "1.1.0" || in.Previous != "1.0.0" || !in.State.Serves() {
			t.Fatalf("got %s after %s in state %s, %v", in.Version, in.Previous, in.State, err)
		}
		if len(in.Grants) != 1 || in.Grants[0].Quota != "100B" {
			t.Errorf("the grants are %+v", in.Grants)
		}
	})
	t.Run("NewPermissionsWait", func(t *testing.T) {
		in, err := s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, "2.0.0", kvPermission+catalogPermission), plugin.UpgradeOptions{})
		if err != nil || in.Version != "1.1.0" || in.Pending == nil || in.Pending.Version != "2.0.0" {
			t.Fatalf("got %+v, %v", in, err)
		}
		if len(in.Pending.Wider) != 1 || in.Pending.Wider[0].Type != "catalog/v1" {
			t.Errorf("it waits for %+v", in.Pending.Wider)
		}
		eventually(t, "the state says so", func() bool { _, st := version(t, s); return st == plugin.StateUpdatePending })
		if _, err := s.act(t, s.house, "echo", 1); err != nil {
			t.Errorf("meanwhile the old release answers %v", err)
		}
	})
	t.Run("ConsentLetsItTakeOver", func(t *testing.T) {
		in, err := s.house.Grant(t.Context(), s.admin(), "museum", []plugin.Grant{{Type: "kv/v1", Quota: "1KiB"}, {Type: "catalog/v1", Kinds: []string{"Component"}}})
		if err != nil || in.Version != "2.0.0" || in.Pending != nil || len(in.Grants) != 2 {
			t.Fatalf("got %+v, %v", in, err)
		}
	})
	t.Run("RollbackAndForward", func(t *testing.T) {
		in, err := s.house.Rollback(t.Context(), s.admin(), "museum")
		if err != nil || in.Version != "1.1.0" || len(in.Grants) != 1 || in.Grants[0].Quota != "100B" {
			t.Fatalf("got %s with %+v, %v", in.Version, in.Grants, err)
		}
		if in, err = s.house.Rollback(t.Context(), s.admin(), "museum"); err != nil || in.Version != "2.0.0" || len(in.Grants) != 2 {
			t.Errorf("forward: got %s with %+v, %v", in.Version, in.Grants, err)
		}
	})
	t.Run("RollbackOfAPendingUpdateDropsIt", func(t *testing.T) {
		more := kvPermission + catalogPermission + "  - {type: http/v1, hosts: [\"https://a.example\"], reason: Calls the press.}\n"
		if _, err := s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, "3.0.0", more), plugin.UpgradeOptions{}); err != nil {
			t.Fatal(err)
		}
		in, err := s.house.Rollback(t.Context(), s.admin(), "museum")
		if err != nil || in.Version != "2.0.0" || in.Pending != nil {
			t.Errorf("got %+v, %v", in, err)
		}
	})
}

// TestUpgradeThatCouldDoMore: what is more beside the permissions waits too.
func TestUpgradeThatCouldDoMore(t *testing.T) {
	const entrance = `  - type: webhook/v1
    webhooks: [{id: push, scheme: github, secret: signing}]
secrets: [{name: signing, title: Secret, reason: Checks who sends.}]
`
	for name, c := range map[string]struct{ had, asks, says string }{
		"AWebhook":   {kvPermission, entrance + kvPermission, "webhook “push”"},
		"HigherFuel": {"limits: {fuel: 1000000000}\n" + kvPermission, "limits: {fuel: 2000000000}\n" + kvPermission, "fuel: 2000000000, before 1000000000"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil)
			few := []plugin.Grant{{Type: "kv/v1", Quota: "100B"}}
			s.install(t, museum(t, "1.0.0", c.had), plugin.InstallOptions{Grants: few, Enable: true})
			next := museum(t, "1.1.0", c.asks)
			if p, err := s.house.Inspect(t.Context(), s.admin(), next); err != nil || !strings.Contains(strings.Join(p.Widened, " "), c.says) {
				t.Errorf("before the upgrade it says %q, %v", p.Widened, err)
			}
			for _, end := range []string{"dropped", "granted"} {
				in, err := s.house.Upgrade(t.Context(), s.admin(), "museum", next, plugin.UpgradeOptions{})
				if err != nil || in.Version != "1.0.0" || in.Pending == nil || len(in.Pending.Wider) != 0 || len(in.Grants) != 1 || in.Grants[0].Quota != "100B" {
					t.Fatalf("got %+v, %v", in, err)
				}
				if !strings.Contains(strings.Join(in.Pending.Widened, " "), c.says) {
					t.Errorf("it waits for %q", in.Pending.Widened)
				}
				if end == "dropped" {
					if in, err = s.house.Rollback(t.Context(), s.admin(), "museum"); err != nil || in.Version != "1.0.0" || in.Pending != nil {
						t.Fatalf("got %+v, %v", in, err)
					}
				} else if in, err = s.house.Grant(t.Context(), s.admin(), "museum", few); err != nil || in.Version != "1.1.0" || in.Pending != nil {
					t.Errorf("got %+v, %v", in, err)
				}
			}
		})
	}
}

func TestUpgradeRefuses(t *testing.T) {
	s := newStage(t, nil)
	src := museum(t, "1.5.0", "")
	s.install(t, src, plugin.InstallOptions{Enable: true})
	needy := `config: {schema: {type: object, required: [url], properties: {url: {type: string}}}}` + "\n"
	cases := []struct {
		name string
		src  plugin.Source
		o    plugin.UpgradeOptions
		code host.Code
		says string
	}{
		{"TheSame", src, plugin.UpgradeOptions{}, host.CodeConflict, "already"},
		{"AnOlderOne", museum(t, "1.4.9", ""), plugin.UpgradeOptions{}, host.CodeConflict, "rollback"},
		{"AnotherPlugin", folder(t, strings.Replace(museumManifest("2.0.0"), "acme/museum", "acme/other", 1), mustRead(t, src)), plugin.UpgradeOptions{}, host.CodeConflict, "acme/other"},
		{"AConfigurationThatNoLongerFits", museum(t, "2.0.0", needy), plugin.UpgradeOptions{}, host.CodeInvalid, "url"},
		{"AWiderGrant", museum(t, "2.0.0", kvPermission), plugin.UpgradeOptions{Grants: []plugin.Grant{{Type: "catalog/v1"}}}, host.CodeInvalid, "wider"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.house.Upgrade(t.Context(), s.admin(), "museum", c.src, c.o)
			if host.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("NoEarlierRelease", func(t *testing.T) {
		if _, err := s.house.Rollback(t.Context(), s.admin(), "museum"); host.CodeOf(err) != host.CodeConflict {
			t.Errorf("got %v", err)
		}
	})
	t.Run("WithAConfigurationThatFits", func(t *testing.T) {
		in, err := s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, "2.0.0", needy), plugin.UpgradeOptions{Config: json.RawMessage(`{"url":"x"}`)})
		if err != nil || in.Version != "2.0.0" {
			t.Errorf("got %s, %v", in.Version, err)
		}
	})
}

// TestUpgradeWhileRunning holds a call inside the old release while the new
// one takes over and the old one is removed.
func TestUpgradeWhileRunning(t *testing.T) {
	s := newStage(t, nil)
	s.install(t, museum(t, "1.0.0", "limits: {timeout: 30s}\n"), plugin.InstallOptions{Enable: true})
	if _, err := s.act(t, s.house, "echo", 1); err != nil {
		t.Fatal(err)
	}
	ended := s.hold(t)
	for _, v := range []string{"1.1.0", "1.2.0"} { // the first release is unused after the second
		if _, err := s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, v, ""), plugin.UpgradeOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.act(t, s.house, "echo", 1); err != nil {
		t.Errorf("the new release answers %v", err)
	}
	close(s.gate.open)
	if err := <-ended; err != nil {
		t.Errorf("the call on the old release ended with %v", err)
	}
	if got, _ := version(t, s); got != "1.2.0" {
		t.Errorf("the version is %s", got)
	}
}

func TestCloseDrains(t *testing.T) {
	s := newStage(t, nil)
	s.install(t, museum(t, "1.0.0", "limits: {timeout: 30s}\n"), plugin.InstallOptions{Enable: true})
	if _, err := s.act(t, s.house, "echo", 1); err != nil {
		t.Fatal(err)
	}
	ended := s.hold(t)
	hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.house.Close(hurried); host.CodeOf(err) != host.CodeUnavailable {
		t.Errorf("closing in no time gave %v", err)
	}
	close(s.gate.open)
	if err := s.house.Close(t.Context()); err != nil {
		t.Errorf("closing gave %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the running call ended with %v", err)
	}
	if _, err := s.act(t, s.house, "echo", 1); host.CodeOf(err) != host.CodeUnavailable {
		t.Errorf("a call after that gave %v", err)
	}
}

func TestDefaultsAreThoseOfTheReleaseThatRuns(t *testing.T) {
	greets := func(word string) string {
		return `config: {schema: {type: object, properties: {greeting: {type: string, default: ` + word + `}, tone: {type: string}}}}` + "\n"
	}
	s := newStage(t, nil)
	in := s.install(t, museum(t, "1.0.0", greets("Hello")), plugin.InstallOptions{Enable: true, Config: json.RawMessage(`{"tone": "warm"}`)})
	expect := func(in plugin.Instance, err error, want string) {
		t.Helper()
		if err != nil || string(in.Config) != want {
			t.Errorf("the configuration is %s, %v; want %s", in.Config, err, want)
		}
	}
	expect(in, nil, `{"greeting":"Hello","tone":"warm"}`)
	in, err := s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, "1.1.0", greets("Moin")), plugin.UpgradeOptions{})
	expect(in, err, `{"greeting":"Moin","tone":"warm"}`)
	in, err = s.house.Configure(t.Context(), s.admin(), "museum", json.RawMessage(`{"greeting": "Ahoy"}`), nil)
	expect(in, err, `{"greeting":"Ahoy"}`)
	in, err = s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, "1.2.0", greets("Hi")), plugin.UpgradeOptions{})
	expect(in, err, `{"greeting":"Ahoy"}`)
	in, err = s.house.Configure(t.Context(), s.admin(), "museum", json.RawMessage("null"), nil)
	expect(in, err, `{"greeting":"Hi"}`)
	in, err = s.house.Rollback(t.Context(), s.admin(), "museum")
	expect(in, err, `{"greeting":"Ahoy"}`)
}
