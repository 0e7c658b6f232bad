package plugin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin"
)

// TestAWishIsRemembered: an instance that was to be switched on at install is
// switched on once it lacks nothing.
func TestAWishIsRemembered(t *testing.T) {
	url, secrets := json.RawMessage(`{"url":"https://a.example"}`), map[string]string{"token": "x"}
	t.Run("ConfigurationAndSecret", func(t *testing.T) {
		s := newStage(t, nil)
		s.install(t, museum(t, "1.0.0", configured), plugin.InstallOptions{AcceptAll: true, Enable: true})
		in, err := s.house.Configure(t.Context(), s.admin(), "museum", url, nil)
		if err != nil || in.State != plugin.StateDisabled || !strings.Contains(in.StateDetail, "Token") {
			t.Errorf("without its secret it is %s: %s, %v", in.State, in.StateDetail, err)
		}
		in, err = s.house.Configure(t.Context(), s.admin(), "museum", nil, secrets)
		if err != nil || !in.State.Serves() || !in.Enabled {
			t.Errorf("complete, it is %s: %s, %v", in.State, in.StateDetail, err)
		}
	})
	t.Run("Consent", func(t *testing.T) {
		s := newStage(t, nil)
		in := s.install(t, museum(t, "1.0.0", configured), plugin.InstallOptions{Config: url, Secrets: secrets, Enable: true})
		if in.State != plugin.StateDisabled {
			t.Fatalf("without consent it is %s", in.State)
		}
		in, err := s.house.Grant(t.Context(), s.admin(), "museum", in.Manifest.Permissions)
		if err != nil || !in.State.Serves() {
			t.Errorf("with consent it is %s: %s, %v", in.State, in.StateDetail, err)
		}
	})
	t.Run("Upgrade", func(t *testing.T) {
		s := newStage(t, nil)
		s.install(t, museum(t, "1.0.0", configured), plugin.InstallOptions{AcceptAll: true, Enable: true})
		in, err := s.house.Upgrade(t.Context(), s.admin(), "museum", museum(t, "1.1.0", ""), plugin.UpgradeOptions{})
		if err != nil || !in.State.Serves() {
			t.Errorf("as a release that needs nothing it is %s: %s, %v", in.State, in.StateDetail, err)
		}
	})
	t.Run("NotAfterDisable", func(t *testing.T) {
		s := newStage(t, nil)
		s.install(t, museum(t, "1.0.0", configured), plugin.InstallOptions{AcceptAll: true, Enable: true})
		if _, err := s.house.Disable(t.Context(), s.admin(), "museum"); err != nil {
			t.Fatal(err)
		}
		in, err := s.house.Configure(t.Context(), s.admin(), "museum", url, secrets)
		if err != nil || in.Enabled || in.State != plugin.StateDisabled {
			t.Errorf("switched off by hand it is %s, %v", in.State, err)
		}
	})
	t.Run("NotWithoutAWish", func(t *testing.T) {
		s := newStage(t, nil)
		s.install(t, museum(t, "1.0.0", configured), plugin.InstallOptions{AcceptAll: true})
		in, err := s.house.Configure(t.Context(), s.admin(), "museum", url, secrets)
		if err != nil || in.Enabled {
			t.Errorf("never asked for, it is %s, %v", in.State, err)
		}
	})
	t.Run("NotAgainAfterAnActiveOneWasDisabled", func(t *testing.T) {
		s := newStage(t, nil)
		s.install(t, museum(t, "1.0.0", configured), plugin.InstallOptions{AcceptAll: true, Config: url, Secrets: secrets, Enable: true})
		if _, err := s.house.Disable(t.Context(), s.admin(), "museum"); err != nil {
			t.Fatal(err)
		}
		if in, err := s.house.Configure(t.Context(), s.admin(), "museum", url, nil); err != nil || in.Enabled {
			t.Errorf("it is %s, %v", in.State, err)
		}
	})
}
