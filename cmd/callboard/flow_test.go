package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// desk is what the example plugin release-desk shows.
type desk struct {
	Kept map[string]string `json:"kept"`
	Jobs []string          `json:"jobs"`
}

func (s *served) desk() desk {
	s.t.Helper()
	var d desk
	if err := json.Unmarshal([]byte(s.cli("api", "getDesk")), &d); err != nil {
		s.t.Fatal(err)
	}
	return d
}

// push sends what GitHub would, signed with the secret, and returns status and
// body.
func (s *served) push(secret, delivery, body string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/api/plugins/release-desk/webhooks/github", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(body))
	req.Header.Set("X-Hub-Signature-256", fmt.Sprintf("sha256=%x", sum.Sum(nil)))
	req.Header.Set("X-Github-Delivery", delivery)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(resp.Body); err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, out.String()
}

// TestBehindTheScenes runs the example plugin in a sandbox of a real portal: a
// processor, a provider, events, a webhook and jobs, each through the guest.
func TestBehindTheScenes(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	s.cli("tenant", "create", "acme", "--name", "Acme Corp", "--data", data)
	s.token = strings.TrimSpace(s.cli("token", "create", "--tenant", "acme", "--role", "admin", "--expires", "1h", "--data", data))
	dir := filepath.Join(t.TempDir(), "release-desk")
	if err := os.CopyFS(dir, os.DirFS("../../examples/release-desk")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "desk.callboard.tar")
	s.cli("plugin", "package", dir, "--out", file)
	s.cli("plugin", "install", file, "--yes")
	s.until("the plugin to be active", func() bool {
		return strings.Contains(s.cli("plugin", "list", "--output", "json"), `"active"`)
	})

	t.Run("the provider's entity comes by itself", func(t *testing.T) {
		s.until("the release train", func() bool {
			status, _ := s.get("/api/v1/entities/system/default/release-train")
			return status == http.StatusOK
		})
	})
	shop := filepath.Join(data, "catalog", "shop.yaml")
	if err := os.WriteFile(shop, []byte(shopYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cli("catalog", "register", shop)
	t.Run("the processor stamps what is read, and relates it", func(t *testing.T) {
		_, body := s.get("/api/v1/entities/component/default/shop")
		if !strings.Contains(body, `"release-desk/pager":"team"`) || !strings.Contains(body, `"system:default/release-train"`) {
			t.Errorf("%s", body)
		}
	})
	t.Run("what the processor finds is a problem of the location", func(t *testing.T) {
		nobody := strings.Replace(shopYAML, "annotations:", "annotations:\n    release-desk/pager: nobody", 1)
		if err := os.WriteFile(shop, []byte(nobody), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, _ = s.try("catalog", "refresh", "component:default/shop") // it has a problem, so it does not end with 0
		if _, problems := s.get("/api/v1/problems"); !strings.Contains(problems, "nobody wears the pager") || !strings.Contains(problems, "shop.yaml:1") {
			t.Errorf("%s", problems)
		}
	})
	t.Run("a change becomes an event, a job and an event of the plugin's own", func(t *testing.T) {
		s.until("the change to be counted and heard", func() bool {
			d := s.desk()
			return d.Kept["change component:default/shop"] != "" && d.Kept["heard change component:default/shop"] == "acme/release-desk/counted"
		})
	})
	t.Run("a webhook without its secret waits for it", func(t *testing.T) {
		if status, body := s.push("s3cret", "d0", `{"ref":"refs/heads/main"}`); status != http.StatusServiceUnavailable {
			t.Errorf("%d %s", status, body)
		}
	})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cli("plugin", "configure", "release-desk", "--secret", "signing=@"+secret)
	t.Run("a signed delivery reaches the plugin once", func(t *testing.T) {
		if status, body := s.push("s3cret", "d1", `{"ref":"refs/heads/main"}`); status != http.StatusAccepted || !strings.Contains(body, `{"job":"job`) {
			t.Fatalf("%d %s", status, body)
		}
		if status, body := s.push("s3cret", "d1", `{"ref":"refs/heads/main"}`); status != http.StatusOK || !strings.Contains(body, "duplicate") {
			t.Errorf("%d %s", status, body)
		}
		s.until("the push to be counted", func() bool { return s.desk().Kept["push refs/heads/main"] == "1" })
	})
	t.Run("a forged one does not", func(t *testing.T) {
		if status, body := s.push("wrong", "d2", `{"ref":"refs/heads/main"}`); status != http.StatusUnauthorized || strings.Contains(body, "s3cret") {
			t.Errorf("%d %s", status, body)
		}
		if status, _ := s.push("s3cret", "d3", strings.Repeat(" ", 65<<10)); status != http.StatusRequestEntityTooLarge {
			t.Errorf("a body beyond the limit: %d", status)
		}
	})
	t.Run("a permanent error is a dead letter at once", func(t *testing.T) {
		s.push("s3cret", "d4", `{"ref":"refs/heads/broken"}`)
		s.until("the job to be dead", func() bool { return strings.Contains(strings.Join(s.desk().Jobs, "\n"), "count dead") })
		var dead struct {
			Items []workItem `json:"items"`
		}
		if err := json.Unmarshal([]byte(s.cli("plugin", "work", "release-desk", "--state", "dead", "--output", "json")), &dead); err != nil || len(dead.Items) != 1 || !strings.Contains(dead.Items[0].Error, "cannot be counted") {
			t.Fatalf("%+v %v", dead, err)
		}
		s.cli("plugin", "work", "release-desk", "--retry", dead.Items[0].ID)
		s.until("it to be dead once more", func() bool {
			return strings.Contains(s.cli("plugin", "work", "release-desk", "--state", "dead"), dead.Items[0].ID)
		})
		if out := s.cli("plugin", "work", "release-desk", "--kind", "event"); strings.Contains(out, "dead") {
			t.Errorf("events: %s", out)
		}
	})
	t.Run("its metric is exported", func(t *testing.T) {
		resp, err := http.Get(strings.TrimSuffix(s.ops, "/readyz") + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out bytes.Buffer
		if _, err := out.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), `callboard_plugin_release_desk_counted`) || !strings.Contains(out.String(), `plugin="acme/release-desk"`) || !strings.Contains(out.String(), `tenant="acme"`) {
			t.Errorf("the metric is not there: %.2000s", out.String())
		}
	})
	t.Run("what it gave goes with it", func(t *testing.T) {
		s.cli("plugin", "uninstall", "release-desk", "--yes")
		s.until("the release train to leave", func() bool {
			status, _ := s.get("/api/v1/entities/system/default/release-train")
			return status == http.StatusNotFound
		})
	})
}

// TestThePagesNameWhatIsThere keeps the page about new capabilities true: each
// file and folder that it names exists.
func TestThePagesNameWhatIsThere(t *testing.T) {
	named := regexp.MustCompile("`((?:schemas|host|sdk|cmd|examples)/[A-Za-z0-9_./-]+)`")
	for _, page := range []string{"adding-a-capability.md", "plugin-background.md"} {
		raw, err := os.ReadFile(filepath.Join("../../docs", page))
		if err != nil {
			t.Fatal(err)
		}
		found := named.FindAllStringSubmatch(string(raw), -1)
		if len(found) < 3 {
			t.Errorf("%s names %d files", page, len(found))
		}
		for _, m := range found {
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
				t.Errorf("%s names %s: %v", page, m[1], err)
			}
		}
	}
}
