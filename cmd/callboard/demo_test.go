package main

import (
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// browser is a person's browser without scripts.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Jar: jar}}
}

func (b *browser) read(resp *http.Response, err error) string {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %d %v\n%s", resp.Request.URL, resp.StatusCode, err, body)
	}
	return string(body)
}

// TestDemo is the first run: everything that the demo promises is there, with
// the plugins on their production path.
func TestDemo(t *testing.T) {
	bundled := t.TempDir()
	data := t.TempDir()
	s := &served{t: t, data: data}
	for _, name := range []string{"prometheus", "github-actions"} {
		s.cli("plugin", "package", "../../plugins/"+name, "--out", filepath.Join(bundled, name+".callboard.tar"))
	}
	s = start(t, data, "--demo", "--bundled", bundled)
	var link string
	s.until("the sign-in link", func() bool { link = s.line(`sign in\s+(http://\S+)`); return link != "" })
	s.token = strings.TrimSpace(s.cli("token", "create", "--tenant", "demo", "--role", "admin", "--data", data))
	s.until("both plugins to be active", func() bool {
		return strings.Count(s.cli("plugin", "list", "--output", "json"), `"active"`) == 2
	})

	b := newBrowser(t)
	t.Run("the link signs in, once", func(t *testing.T) {
		page := b.read(b.client.Get(link))
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"token": {u.Query().Get("token")}}
		if m := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page); m != nil {
			form.Set("csrf", m[1])
		}
		if home := b.read(b.client.PostForm(s.url+"/login/link", form)); !strings.Contains(home, "Demo") {
			t.Errorf("home: %s", home)
		}
		resp, err := newBrowser(t).client.PostForm(s.url+"/login/link", form)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK && !strings.Contains(resp.Request.URL.Path, "login") {
			t.Errorf("the link works twice: %d at %s", resp.StatusCode, resp.Request.URL)
		}
	})
	t.Run("the entity's page shows live data of both plugins, without a script", func(t *testing.T) {
		for view, want := range map[string]string{"prometheus/metrics": "<svg", "github-actions/runs": "Run again"} {
			page := b.read(b.client.Get(s.url + "/catalog/default/component/seat-map?tab=" + url.QueryEscape(view)))
			if !strings.Contains(page, want) || !strings.Contains(page, "Demo tenant") {
				t.Errorf("%s lacks %q or the demo's label", view, want)
			}
		}
	})
	t.Run("operations answer through the sandbox", func(t *testing.T) {
		for path, want := range map[string]string{
			"/api/plugins/prometheus/entities/component/default/seat-map/series":   `"points"`,
			"/api/plugins/prometheus/entities/component/default/seat-map/alerts":   `"alerts"`,
			"/api/plugins/github-actions/entities/component/default/checkout/runs": `"repository":"theatre/checkout"`,
		} {
			if status, body := s.get(path); status != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s: %d %.300s", path, status, body)
			}
		}
		if status, body := s.get("/api/plugins/github-actions/entities/component/default/checkout/runs?limit=9999"); status != http.StatusBadRequest {
			t.Errorf("a limit beyond the fragment's: %d %.300s", status, body)
		}
	})
	t.Run("doctor finds nothing broken", func(t *testing.T) {
		if out := s.cli("doctor", "--data", data, "--bundled", bundled, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"); strings.Contains(out, "failed") {
			t.Error(out)
		}
	})
	t.Run("metrics have no unbounded labels", func(t *testing.T) {
		resp, err := http.Get(strings.Replace(s.ops, "/readyz", "/metrics", 1))
		if err != nil {
			t.Fatal(err)
		}
		body := b.read(resp, nil)
		if !strings.Contains(body, "plugin") || strings.Contains(body, "seat-map") || strings.Contains(body, s.token) {
			t.Error("metrics lack the plugin calls, or name an entity or a token")
		}
	})
	t.Run("a second start follows the simulators and keeps what an admin set", func(t *testing.T) { startDemoAgain(t, s, bundled) })
}

// startDemoAgain points one plugin elsewhere, takes the port of the other's
// simulator, and starts the demo once more.
func startDemoAgain(t *testing.T, s *served, bundled string) {
	own := httptest.NewServer(http.NotFoundHandler()) // loopback, as the simulators are
	defer own.Close()
	file := filepath.Join(t.TempDir(), "prometheus.yaml")
	if err := os.WriteFile(file, []byte("url: "+own.URL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cli("plugin", "configure", "prometheus", "--config", file)
	before := s.cli("plugin", "info", "github-actions", "--output", "json")
	simulator := regexp.MustCompile(`"apiUrl": "http://([^"]+)"`).FindStringSubmatch(before)
	if s.stopped() != exitDone || simulator == nil {
		t.Fatalf("before: %s", before)
	}
	taken, err := net.Listen("tcp", simulator[1])
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	again := start(t, s.data, "--demo", "--bundled", bundled)
	again.token = s.token
	if out := again.cli("plugin", "info", "prometheus", "--output", "json"); !strings.Contains(out, own.URL) {
		t.Errorf("the admin's address is gone: %s", out)
	}
	if out := again.cli("plugin", "info", "github-actions", "--output", "json"); strings.Contains(out, simulator[1]) {
		t.Errorf("the plugin still asks where the simulator was: %s", out)
	}
	if status, body := again.get("/api/plugins/github-actions/entities/component/default/checkout/runs"); status != http.StatusOK {
		t.Errorf("%d %.300s", status, body)
	}
}
