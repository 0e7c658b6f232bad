package plugin_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
)

const kvPermission = `permissions:
  - {type: kv/v1, quota: 1KiB, reason: Keeps what it saw last.}
`

func TestInstall(t *testing.T) {
	s := newStage(t, nil)
	src := museum(t, "1.0.0", kvPermission)

	t.Run("WithoutConsentItWaits", func(t *testing.T) {
		in := s.install(t, src, plugin.InstallOptions{Enable: true})
		if in.State != plugin.StateDisabled || !strings.Contains(in.StateDetail, "consent") {
			t.Errorf("got %s: %s", in.State, in.StateDetail)
		}
		if _, err := s.house.Enable(t.Context(), s.admin(), "museum"); host.CodeOf(err) != host.CodePluginNotReady {
			t.Errorf("enabling it gave %v", err)
		}
		if len(s.house.Active(s.tenant.ID)) != 0 {
			t.Error("it is active")
		}
	})
	t.Run("Twice", func(t *testing.T) {
		_, err := s.house.Install(t.Context(), s.admin(), src, plugin.InstallOptions{})
		if host.CodeOf(err) != host.CodeConflict || !strings.Contains(err.Error(), "upgrade") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("SameShortNameOfAnotherNamespace", func(t *testing.T) {
		other := folder(t, strings.Replace(museumManifest("1.0.0"), "acme/museum", "globex/museum", 1), mustRead(t, src))
		_, err := s.house.Install(t.Context(), s.admin(), other, plugin.InstallOptions{})
		if host.CodeOf(err) != host.CodeConflict || !strings.Contains(err.Error(), "acme/museum") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("ConsentAndEnable", func(t *testing.T) {
		before := s.house.Revision(s.tenant.ID)
		if _, err := s.house.Grant(t.Context(), s.admin(), "museum", []plugin.Grant{{Type: "kv/v1", Quota: "100B"}}); err != nil {
			t.Fatal(err)
		}
		in, err := s.house.Enable(t.Context(), s.admin(), "acme/museum")
		if err != nil || !in.State.Serves() {
			t.Fatalf("got %s (%s), %v", in.State, in.StateDetail, err)
		}
		if in.Grants[0].Quota != "100B" || in.Grants[0].Reason != "Keeps what it saw last." {
			t.Errorf("the grant is %+v", in.Grants[0])
		}
		if after := s.house.Revision(s.tenant.ID); after <= before {
			t.Errorf("the revision went from %d to %d", before, after)
		}
		got, err := s.act(t, s.house, "echo", map[string]int{"a": 1})
		if err != nil || string(got) != `{"a":1}` {
			t.Errorf("calling it gave %s, %v", got, err)
		}
	})
	t.Run("WiderGrantIsRefused", func(t *testing.T) {
		_, err := s.house.Grant(t.Context(), s.admin(), "museum", []plugin.Grant{{Type: "kv/v1", Quota: "1GiB"}})
		if host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("got %v", err)
		}
	})
	t.Run("EveryChangeIsAudited", func(t *testing.T) {
		if got := s.audit.changes(); !slices.Equal(got, []string{"install", "grant", "enable"}) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("DisableKeepsItAndAnswersClearly", func(t *testing.T) {
		if _, err := s.house.Disable(t.Context(), s.admin(), "museum"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.act(t, s.house, "echo", 1); host.CodeOf(err) != host.CodeNotFound || !strings.Contains(err.Error(), "switched off") {
			t.Errorf("got %v", err)
		}
	})
}

func museumManifest(version string) string { return strings.Replace(museumYAML, "%s", version, 1) }

func mustRead(t testing.TB, src plugin.Source) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(src.Path, "plugin.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInstallRefuses(t *testing.T) {
	s := newStage(t, nil)
	good := museum(t, "1.0.0", "")
	cases := []struct {
		name string
		src  plugin.Source
		code host.Code
		says string
	}{
		{"NotWASM", folder(t, museumManifest("1.0.0"), []byte("#!/bin/sh")), host.CodeInvalid, "not a WebAssembly module"},
		{"NoExports", folder(t, museumManifest("1.0.0"), []byte("\x00asm\x01\x00\x00\x00")), host.CodeInvalid, "callboard_call"},
		{"UnknownField", folder(t, museumManifest("1.0.0")+"permisions: []\n", mustRead(t, good)), host.CodeInvalid, `did you mean "permissions"`},
		{"ImpossibleHostRange", folder(t, strings.Replace(museumManifest("1.0.0"), ">=0.1.0 <1.0.0", ">2.0.0 <1.0.0", 1), mustRead(t, good)), host.CodeInvalid, "no version can satisfy"},
		{"ProcessRuntime", folder(t, strings.Replace(museumManifest("1.0.0"), "runtime: wasm", "runtime: process\nplatforms: [linux/amd64]", 1), mustRead(t, good)), host.CodeInvalid, ""},
		{"NoSource", plugin.Source{}, host.CodeInvalid, "source"},
		{"UnknownBundle", plugin.Source{Bundled: "acme/nothing"}, host.CodeNotFound, "bundled"},
		{"Junk", plugin.Source{Upload: []byte("junk")}, host.CodeInvalid, "not a plugin package"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.house.Install(t.Context(), s.admin(), c.src, plugin.InstallOptions{AcceptAll: true, Enable: true})
			if host.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v (%s), want %s saying %q", err, host.CodeOf(err), c.code, c.says)
			}
		})
	}
	t.Run("ForbiddenCaller", func(t *testing.T) {
		s.authz.deny[host.ActionPluginManage] = true
		defer delete(s.authz.deny, host.ActionPluginManage)
		if _, err := s.house.Install(t.Context(), s.admin(), good, plugin.InstallOptions{}); host.CodeOf(err) != host.CodeForbidden {
			t.Errorf("got %v", err)
		}
	})
	t.Run("WithoutAuditRecordNothingChanges", func(t *testing.T) {
		s.audit.broken = true
		defer func() { s.audit.broken = false }()
		if _, err := s.house.Install(t.Context(), s.admin(), good, plugin.InstallOptions{}); err == nil {
			t.Error("it was installed without a record")
		}
		if list, err := s.house.List(t.Context(), s.admin()); err != nil || len(list) != 0 {
			t.Errorf("there are %d plugins, %v", len(list), err)
		}
	})
	t.Run("PathOfTheHostByAUser", func(t *testing.T) {
		strict := newStage(t, func(set *plugin.Settings) { set.LocalPaths = false })
		if _, err := strict.house.Install(t.Context(), strict.admin(), good, plugin.InstallOptions{}); host.CodeOf(err) != host.CodeForbidden {
			t.Errorf("got %v", err)
		}
		if _, err := strict.house.Install(t.Context(), host.System(strict.tenant, "operator"), good, plugin.InstallOptions{}); err != nil {
			t.Errorf("an operator got %v", err)
		}
	})
}

const configured = `permissions:
  - {type: http/v1, hosts: ["${config.url}"], auth: {type: bearer, secret: token}, reason: Reads the exhibits.}
config:
  schema:
    type: object
    additionalProperties: false
    required: [url]
    properties:
      url: {type: string, pattern: "^https?://"}
      size: {type: integer, default: 3}
secrets:
  - {name: token, title: Token, reason: Opens the door., required: true}
`

func TestConfigure(t *testing.T) {
	s := newStage(t, nil)
	in := s.install(t, museum(t, "1.0.0", configured), plugin.InstallOptions{AcceptAll: true, Enable: true})
	if in.State != plugin.StateDisabled || !strings.Contains(in.StateDetail, "url") {
		t.Fatalf("without its configuration it is %s: %s", in.State, in.StateDetail)
	}
	refuse := func(name, config string, secrets map[string]string, says string) {
		t.Run(name, func(t *testing.T) {
			_, err := s.house.Configure(t.Context(), s.admin(), "museum", json.RawMessage(config), secrets)
			if host.CodeOf(err) != host.CodeInvalid || !strings.Contains(err.Error(), says) || len(host.AsError(err).Fields) == 0 {
				t.Errorf("got %v", err)
			}
		})
	}
	refuse("UnknownKey", `{"url":"https://a.example","sise":1}`, nil, `did you mean "size"`)
	refuse("WrongType", `{"url":7}`, nil, "must be a string")
	refuse("NoJSON", `{`, nil, "not JSON")
	refuse("UnknownSecret", `{"url":"https://a.example"}`, map[string]string{"tokn": "x"}, `did you mean "token"`)
	refuse("SecretOfTwoLines", `{"url":"https://a.example"}`, map[string]string{"token": "a\nb"}, "one line")

	t.Run("DefaultsAreFilledIn", func(t *testing.T) {
		in, err := s.house.Configure(t.Context(), s.admin(), "museum", json.RawMessage(`{"url":"https://a.example"}`), nil)
		if err != nil || !strings.Contains(string(in.Config), `"size":3`) {
			t.Fatalf("got %s, %v", in.Config, err)
		}
		if _, err := s.house.Enable(t.Context(), s.admin(), "museum"); host.CodeOf(err) != host.CodePluginNotReady || !strings.Contains(err.Error(), "Token") {
			t.Errorf("without its secret, enabling gave %v", err)
		}
	})
	t.Run("SecretsAreSealedAndNamedOnly", func(t *testing.T) {
		in, err := s.house.Configure(t.Context(), s.admin(), "museum", nil, map[string]string{"token": "hunter2"})
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal(in)
		if strings.Contains(string(raw), "hunter2") || !slices.Equal(in.Secrets, []string{"token"}) {
			t.Errorf("the instance shows %s", raw)
		}
		if in, err = s.house.Enable(t.Context(), s.admin(), "museum"); err != nil || !in.State.Serves() {
			t.Errorf("got %s, %v", in.State, err)
		}
		got, err := s.act(t, s.house, "host", map[string]any{"service": "config/v1", "method": "get"})
		if err != nil || !strings.Contains(string(got), `"token"`) || strings.Contains(string(got), "hunter2") || !strings.Contains(string(got), "a.example") {
			t.Errorf("the guest sees %s, %v", got, err)
		}
	})
	t.Run("ARemovedSecretStopsCallsClearly", func(t *testing.T) {
		if _, err := s.house.Configure(t.Context(), s.admin(), "museum", nil, map[string]string{"token": ""}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.act(t, s.house, "echo", 1); host.CodeOf(err) != host.CodePluginNotReady {
			t.Errorf("got %v", err)
		}
	})
}

func TestUninstallRemovesData(t *testing.T) {
	s := newStage(t, nil)
	in := s.install(t, museum(t, "1.0.0", kvPermission), plugin.InstallOptions{AcceptAll: true, Enable: true})
	set := map[string]any{"service": "kv/v1", "method": "set", "body": map[string]any{"key": "a", "value": []byte("b")}}
	if got, err := s.act(t, s.house, "host", set); err != nil || strings.Contains(string(got), "error") {
		t.Fatalf("storing gave %s, %v", got, err)
	}
	data := kv.New(s.db, kv.Settings{})
	if n, err := data.Used(t.Context(), s.tenant.ID, in.ID); err != nil || n != 2 {
		t.Fatalf("it uses %d bytes, %v", n, err)
	}
	if err := s.house.Uninstall(t.Context(), s.admin(), "museum"); err != nil {
		t.Fatal(err)
	}
	if n, err := data.Used(t.Context(), s.tenant.ID, in.ID); err != nil || n != 0 {
		t.Errorf("after the removal it uses %d bytes, %v", n, err)
	}
	if _, err := s.house.Get(t.Context(), s.admin(), "museum"); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("it is still there: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(s.data, "releases")); err != nil || len(left) != 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	if err := s.house.Uninstall(t.Context(), s.admin(), "museum"); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("removing it again gave %v", err)
	}
	if in := s.install(t, museum(t, "1.0.0", kvPermission), plugin.InstallOptions{AcceptAll: true, Enable: true}); !in.State.Serves() {
		t.Errorf("installed again, it is %s", in.State)
	}
}

func TestBundled(t *testing.T) {
	dir := t.TempDir()
	src := museum(t, "1.0.0", "")
	file, err := os.Create(filepath.Join(dir, "museum.callboard"))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := manifest.WritePackage(src.Path, file)
	if err := errors.Join(err, file.Close(), os.WriteFile(filepath.Join(dir, "broken.tar"), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, func(set *plugin.Settings) { set.BundledDir = dir })
	list, err := s.house.Bundled(t.Context(), s.admin())
	if err != nil || len(list) != 1 || list[0].Digest != digest || list[0].Installed != "" {
		t.Fatalf("got %+v, %v", list, err)
	}
	in := s.install(t, plugin.Source{Bundled: "acme/museum"}, plugin.InstallOptions{AcceptAll: true, Enable: true})
	if in.Digest != digest {
		t.Errorf("installed %s, the package is %s", in.Digest, digest)
	}
	if list, err = s.house.Bundled(t.Context(), s.admin()); err != nil || list[0].Installed != "1.0.0" {
		t.Errorf("afterwards it shows %+v, %v", list, err)
	}
}

func TestStart(t *testing.T) {
	t.Run("WhatWasInstalledIsThere", func(t *testing.T) {
		s := newStage(t, nil)
		s.install(t, museum(t, "1.0.0", ""), plugin.InstallOptions{AcceptAll: true, Enable: true})
		again := s.open(t)
		if got, err := s.act(t, again, "echo", "back"); err != nil || string(got) != `"back"` {
			t.Errorf("got %s, %v", got, err)
		}
	})
	t.Run("ABadPluginStopsNothing", func(t *testing.T) {
		s := newScripted(t, nil)
		s.script.cached = false
		s.install(t, museum(t, "1.0.0", ""), plugin.InstallOptions{AcceptAll: true, Enable: true})
		// What Check lets pass may still fail to compile.
		bad := folder(t, strings.NewReplacer("acme/museum", "acme/wreck", "%s", "1.0.0").Replace(museumYAML), []byte(wreck))
		s.install(t, bad, plugin.InstallOptions{AcceptAll: true, Enable: true})
		again := s.open(t)
		eventually(t, "the wreck has failed to start", func() bool {
			in, err := again.Get(t.Context(), s.admin(), "wreck")
			return err == nil && in.State == plugin.StateFailedToStart && strings.Contains(in.StateDetail, "a wreck")
		})
		if active := again.Active(s.tenant.ID); len(active) != 2 || active[1].State.Serves() || !active[1].State.Offers() {
			t.Errorf("the wreck is not shown with what it offers: %+v", active)
		}
		if _, err := s.act(t, again, "echo", 1); err != nil {
			t.Errorf("its sibling answers %v", err)
		}
		var out any
		if err := again.Call(t.Context(), s.admin(), "wreck", "view/v1", "render", nil, &out); host.CodeOf(err) != host.CodeUnavailable {
			t.Errorf("calling the wreck gave %v", err)
		}
	})
	t.Run("FilesThatWereLostComeFromTheDatabase", func(t *testing.T) {
		s := newStage(t, nil)
		in := s.install(t, museum(t, "1.0.0", ""), plugin.InstallOptions{AcceptAll: true, Enable: true})
		folder := filepath.Join(s.data, "releases", strings.TrimPrefix(in.Digest, "sha256:"))
		if err := os.WriteFile(filepath.Join(folder, "plugin.wasm"), []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		again := s.open(t)
		if _, err := s.act(t, again, "echo", 1); err != nil {
			t.Errorf("damaged: %v", err)
		}
		elsewhere := s.make(t, t.TempDir())
		if err := elsewhere.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = elsewhere.Close(t.Context()) }()
		if _, err := s.act(t, elsewhere, "echo", 1); err != nil {
			t.Errorf("on a host without the files: %v", err)
		}
	})
}

func TestTwoProcesses(t *testing.T) {
	s := newStage(t, nil)
	other := s.open(t)
	s.install(t, museum(t, "1.0.0", ""), plugin.InstallOptions{AcceptAll: true, Enable: true})
	eventually(t, "the other process sees the installation", func() bool { return len(other.Active(s.tenant.ID)) == 1 })
	if _, err := s.act(t, other, "echo", 1); err != nil {
		t.Errorf("there, it answers %v", err)
	}
	before := other.Revision(s.tenant.ID)
	if _, err := s.house.Disable(t.Context(), s.admin(), "museum"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other process sees that it is off", func() bool {
		return len(other.Active(s.tenant.ID)) == 0 && other.Revision(s.tenant.ID) > before
	})
	if err := s.house.DropTenant(t.Context(), s.tenant.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other process has forgotten the tenant", func() bool { return other.Revision(s.tenant.ID) == 0 })
}

func TestIdleCodeIsUnloaded(t *testing.T) {
	s := newStage(t, func(set *plugin.Settings) { set.IdleAfter = 50 * time.Millisecond })
	s.install(t, museum(t, "1.0.0", ""), plugin.InstallOptions{AcceptAll: true, Enable: true})
	if _, err := s.act(t, s.house, "echo", 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the code has left memory", func() bool {
		health, err := s.house.Health(t.Context(), s.admin(), "museum")
		return err == nil && !health.Loaded && health.Calls == 1
	})
	if in, err := s.house.Get(t.Context(), s.admin(), "museum"); err != nil || in.State != plugin.StateActive {
		t.Errorf("idle, it is %s, %v", in.State, err)
	}
	if _, err := s.act(t, s.house, "echo", 1); err != nil {
		t.Errorf("the call after that: %v", err)
	}
}
