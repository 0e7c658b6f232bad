package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/config"
)

// deadline bounds each wait of the journey; a guest may have to be compiled on
// a busy machine.
const deadline = 90 * time.Second

// output is what a running command wrote so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// served is a portal that runs in the test's own process, through the same
// entry as the program.
type served struct {
	t         *testing.T
	data      string
	url, ops  string
	out, log  *output
	stop      context.CancelFunc
	exit      chan int
	token     string
	extraArgs []string
}

// start serves a data directory until the test ends or stopped is called.
func start(t *testing.T, data string, args ...string) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{t: t, data: data, out: &output{}, log: &output{}, stop: cancel, exit: make(chan int, 1), extraArgs: args}
	all := append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, args...)
	go func() { s.exit <- run(ctx, all, strings.NewReader(""), s.out, s.log) }()
	t.Cleanup(func() {
		if code := s.stopped(); code != exitDone {
			t.Errorf("serve ended with %d\n%s", code, s.log)
		}
	})
	s.until("the portal to listen", func() bool {
		select {
		case code := <-s.exit:
			t.Fatalf("serve ended with %d\n%s%s", code, s.out, s.log)
		default:
		}
		s.url, s.ops = s.line(`portal\s+(http://\S+)`), s.line(`ops\s+(http://\S+)`)
		return s.url != "" && s.ops != ""
	})
	return s
}

// line returns the first group of a pattern in what serve printed.
func (s *served) line(pattern string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(s.out.String()); m != nil {
		return m[1]
	}
	return ""
}

// stopped stops the portal, once, and returns its exit code.
func (s *served) stopped() int {
	s.stop()
	select {
	case code := <-s.exit:
		s.exit <- code
		return code
	case <-time.After(deadline):
		s.t.Error("the portal does not stop")
		return -1
	}
}

// until waits for a condition.
func (s *served) until(what string, done func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(deadline)
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			s.t.Fatalf("waited too long for %s\n%s%s", what, s.out, s.log)
		}
	}
}

// cli runs a command line as its user would and returns standard output.
func (s *served) cli(args ...string) string {
	s.t.Helper()
	out, errOut, code := s.try(args...)
	if code != exitDone {
		s.t.Fatalf("callboard %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errOut)
	}
	return out
}

// try is cli for commands that may fail.
func (s *served) try(args ...string) (out, errOut string, code int) {
	s.t.Helper()
	s.t.Setenv("CALLBOARD_SERVER", s.url)
	s.t.Setenv("CALLBOARD_TOKEN", s.token)
	var stdout, stderr bytes.Buffer
	code = run(s.t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

// get asks the portal with the token and returns status and body.
func (s *served) get(path string, header ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// hasOperation reports whether the tenant's document names the operation.
func (s *served) hasOperation(id string) bool {
	status, doc := s.get("/openapi.json")
	if status != http.StatusOK || !json.Valid([]byte(doc)) {
		s.t.Fatalf("openapi.json: status %d", status)
	}
	return strings.Contains(doc, fmt.Sprintf("%q", id))
}

const shopYAML = `apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: shop
  annotations:
    prometheus.io/rule: vector(42)
    prometheus.io/alert: all
spec: {type: service, owner: team-a, lifecycle: production}
`

// hello builds and packages the example plugin with the author's commands, in
// a folder outside of the repository.
func hello(t *testing.T, s *served) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hello-plugin")
	if err := os.CopyFS(dir, os.DirFS("../../examples/hello-plugin")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hello.callboard.tar")
	s.cli("plugin", "package", dir, "--out", file)
	return file
}

// TestJourney is the way of a new team: a tenant, its catalog, a plugin while
// the host runs, and out again.
func TestJourney(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	s.cli("tenant", "create", "acme", "--name", "Acme Corp", "--data", data)
	s.token = strings.TrimSpace(s.cli("token", "create", "--tenant", "acme", "--role", "admin", "--expires", "1h", "--data", data))

	t.Run("a location shows what it will add, then adds it", func(t *testing.T) {
		file := filepath.Join(data, "catalog", "shop.yaml")
		if err := os.WriteFile(file, []byte(shopYAML), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := s.cli("catalog", "register", file, "--dry-run"); !strings.Contains(out, "component:default/shop") {
			t.Errorf("dry run: %s", out)
		}
		if status, _ := s.get("/api/v1/entities/component/default/shop"); status != http.StatusNotFound {
			t.Errorf("the dry run stored something: %d", status)
		}
		s.cli("catalog", "register", file)
		status, body := s.get("/api/v1/entities/component/default/shop")
		if status != http.StatusOK || !strings.Contains(body, `"shop"`) {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("a broken file is an error with its line, and the good version stays", func(t *testing.T) {
		file := filepath.Join(data, "catalog", "shop.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(shopYAML, "kind: Component", "kind: [", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, _ = s.try("catalog", "refresh", "component:default/shop")
		if _, problems := s.get("/api/v1/problems"); !strings.Contains(problems, "shop.yaml:") {
			t.Errorf("problems: %s", problems)
		}
		if status, _ := s.get("/api/v1/entities/component/default/shop"); status != http.StatusOK {
			t.Errorf("the good version is gone: %d", status)
		}
		if err := os.WriteFile(file, []byte(shopYAML), 0o600); err != nil {
			t.Fatal(err)
		}
		s.cli("catalog", "refresh", "component:default/shop")
	})
	models := s.model()
	t.Run("a plugin is installed while the host runs, and appears everywhere", func(t *testing.T) {
		file := hello(t, s)
		if s.hasTool(models, "getGreeting") {
			t.Fatal("the tool is there before the plugin")
		}
		if s.hasOperation("getGreeting") {
			t.Fatal("the operation is there before the plugin")
		}
		s.cli("plugin", "install", file, "--yes")
		s.until("the plugin to be active", func() bool {
			return strings.Contains(s.cli("plugin", "list", "--output", "json"), `"active"`)
		})
		var list struct {
			Items []struct{ ID, Version, State string } `json:"items"`
		}
		if err := json.Unmarshal([]byte(s.cli("plugin", "list", "--output", "json")), &list); err != nil || len(list.Items) != 1 || list.Items[0].State != "active" {
			t.Fatalf("list: %v %+v", err, list)
		}
		if !s.hasOperation("getGreeting") {
			t.Error("the tenant's document lacks the operation")
		}
		if out := s.cli("api", "getGreeting", "--param", "name=Ann"); !strings.Contains(out, "Ann") {
			t.Errorf("api getGreeting: %s", out)
		}
		s.until("the tool", func() bool { return s.hasTool(models, "getGreeting") })
		if text, failed := s.ask(models, "getGreeting", map[string]any{"name": "Ann"}); failed || !strings.Contains(text, "Ann") {
			t.Errorf("the tool getGreeting: %s", text)
		}
	})
	t.Run("disabled it is gone from the document and answers 404", func(t *testing.T) {
		s.cli("plugin", "disable", "hello")
		if s.hasOperation("getGreeting") {
			t.Error("the operation is still in the document")
		}
		if status, body := s.get("/api/plugins/hello/greetings/Ann"); status != http.StatusNotFound {
			t.Errorf("%d %s", status, body)
		}
		s.until("the tool to go", func() bool { return !s.hasTool(models, "getGreeting") })
		if text, failed := s.ask(models, "getGreeting", map[string]any{"name": "Ann"}); !failed {
			t.Errorf("a model that still knows the tool got %s", text)
		}
		s.cli("plugin", "enable", "hello")
		s.until("the operation to return", func() bool { return s.hasOperation("getGreeting") })
		s.cli("plugin", "uninstall", "hello", "--yes")
		if out := s.cli("plugin", "list", "--output", "json"); strings.Contains(out, "hello") {
			t.Errorf("list after uninstall: %s", out)
		}
	})
	t.Run("the reference is there for a program with a token", func(t *testing.T) {
		if status, page := s.get("/docs"); status != http.StatusOK || !strings.Contains(page, "listEntities") {
			t.Errorf("status %d", status)
		}
	})
	t.Run("another tenant sees nothing of it", func(t *testing.T) {
		s.cli("tenant", "create", "globex", "--data", data)
		if status, body := s.get("/api/v1/entities", "Callboard-Tenant", "globex"); status != http.StatusForbidden || !strings.Contains(body, "tenant-mismatch") {
			t.Errorf("a token of acme at globex: %d %s", status, body)
		}
		own := s.token
		defer func() { s.token = own }()
		s.token = strings.TrimSpace(s.cli("token", "create", "--tenant", "globex", "--role", "viewer", "--data", data))
		if status, _ := s.get("/api/v1/entities/component/default/shop"); status != http.StatusNotFound {
			t.Errorf("globex reads acme's entity: %d", status)
		}
		if _, errOut, code := s.try("catalog", "register", "https://example.com/catalog-info.yaml"); code != exitFailed || !strings.Contains(errOut, "Hint") {
			t.Errorf("a viewer registers: exit %d %s", code, errOut)
		}
		if text, failed := s.ask(s.model(), "registerLocation", map[string]any{"body": map[string]any{"target": "https://example.com/catalog-info.yaml"}}); !failed || !strings.Contains(text, "forbidden") {
			t.Errorf("a viewer registers through a model: %s", text)
		}
	})
	t.Run("a second start keeps everything", func(t *testing.T) {
		if code := s.stopped(); code != exitDone {
			t.Fatalf("exit %d", code)
		}
		again := start(t, data)
		again.token = s.token
		if status, _ := again.get("/api/v1/entities/component/default/shop"); status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	})
}

func TestUsage(t *testing.T) {
	s := &served{t: t}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"an unknown flag is wrong usage":                   {[]string{"serve", "--moon"}, exitUsage, "--help"},
		"an unknown command is wrong usage":                {[]string{"dance"}, exitUsage, "dance"},
		"a missing argument is wrong usage":                {[]string{"tenant", "create"}, exitUsage, "arg"},
		"a tenant name with SQL in it is refused":          {[]string{"tenant", "create", "a'; DROP TABLE tenants;--", "--data", t.TempDir()}, exitFailed, "Hint"},
		"a data directory that is a file is explained":     {[]string{"migrate", "--data", "main.go"}, exitFailed, "--data"},
		"a value that is none of the words is wrong usage": {[]string{"serve", "--log-level", "nope", "--data", t.TempDir()}, exitUsage, "--log-level"},
		"every wrong value is told":                        {[]string{"serve", "--log-level", "nope", "--listen", "127.0.0.1:99999", "--data", t.TempDir()}, exitUsage, "99999"},
		"a role that is none is wrong usage":               {[]string{"token", "create", "--role", "boss", "--data", t.TempDir()}, exitUsage, "boss"},
		"help is no error":                                 {[]string{"--help"}, exitDone, ""},
		"an unknown tenant is named":                       {[]string{"tenant", "show", "nobody", "--data", t.TempDir()}, exitFailed, "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			_, errOut, code := s.try(c.args...)
			if code != c.code || !strings.Contains(errOut, c.says) {
				t.Errorf("exit %d, want %d; %q lacks %q", code, c.code, errOut, c.says)
			}
		})
	}
}

func TestFileRoots(t *testing.T) {
	for target, want := range map[string]string{
		"/srv/a/all.yaml": "/srv/a", "/srv/a/**/catalog-info.yaml": "/srv/a", "/srv/a/b*/x.yaml": "/srv/a", "/srv/[ab].yaml": "/srv", "/*.yaml": "/",
	} {
		roots := fileRoots(config.Config{Data: "/d", Locations: []config.Location{{Type: "url", Target: "https://a.test/*"}, {Type: "file", Target: target}}})
		if got := strings.Join(roots, " "); got != "/d/catalog "+want {
			t.Errorf("%s: roots %s, want %s", target, got, want)
		}
	}
}

func TestFirstSteps(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	s.until("the first steps", func() bool { return strings.Contains(s.out.String(), "user create") })
	for _, line := range regexp.MustCompile(`callboard (.+)`).FindAllStringSubmatch(s.out.String(), -1) {
		out := s.cli(strings.Fields(line[1])...)
		if strings.Contains(line[1], "user create") && !strings.Contains(out, s.url+"/login/link") {
			t.Errorf("the link leads elsewhere: %s", out)
		}
	}
	if _, errOut, code := s.try("tenant", "delete", "acme", "--data", data); code != exitFailed || !strings.Contains(errOut, "--yes") {
		t.Errorf("deleting without consent: exit %d %s", code, errOut)
	}
	s.token = strings.TrimSpace(s.cli("token", "create", "--role", "admin", "--data", data))
	_, errOut, code := s.try("catalog", "register", "/elsewhere/x.yaml")
	if code != exitFailed || !strings.Contains(errOut, "folder catalog of the portal's data directory") || strings.Contains(errOut, data) {
		t.Errorf("exit %d %s", code, errOut)
	}
}

func TestEveryLineOfTheJSONLogIsJSON(t *testing.T) {
	s := start(t, t.TempDir(), "--log-format", "json")
	s.stopped()
	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	for _, line := range lines {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Level == "" {
			t.Errorf("%q is no entry: %v", line, err)
		}
		if strings.Contains(entry.Msg, "river") || strings.Contains(entry.Msg, "River") {
			t.Errorf("%q is no operator's business", line)
		}
	}
	if len(lines) < 2 || !strings.Contains(lines[0], "migrating control: 1 of") {
		t.Errorf("the log is %q", lines)
	}
}

func TestOpsListener(t *testing.T) {
	s := start(t, t.TempDir())
	for _, path := range []string{"/readyz", "/healthz", "/metrics"} {
		t.Run(path+" carries its trace", func(t *testing.T) {
			resp, err := http.Get(strings.Replace(s.ops, "/readyz", path, 1))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK || resp.Header.Get("Traceparent") == "" {
				t.Errorf("status %d, header %v", resp.StatusCode, resp.Header)
			}
		})
	}
	t.Run("doctor --probe says whether it is ready", func(t *testing.T) {
		s.cli("doctor", "--probe", s.ops)
		if _, errOut, code := s.try("doctor", "--probe", strings.Replace(s.ops, "/readyz", "/nowhere", 1)); code != exitFailed || !strings.Contains(errOut, "404") {
			t.Errorf("exit %d: %s", code, errOut)
		}
	})
}

// TestRelativeData: the default directory is a relative one, as is what most
// people type.
func TestRelativeData(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, visit := range []string{"on an empty directory", "and again on what it made"} {
		t.Run("serves "+visit, func(t *testing.T) {
			s := start(t, "data", "--development")
			if status, _ := s.get("/login"); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		})
	}
}

// TestConfiguredLocations: what the configuration file manages is in the
// catalog of every tenant, also of the one that the first start makes.
func TestConfiguredLocations(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"shop.yaml":       shopYAML,
		"app-config.yaml": "catalog:\n  locations:\n    - {type: file, target: shop.yaml}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data := t.TempDir()
	s := start(t, data, "--demo", "--config", filepath.Join(dir, "app-config.yaml"), "--bundled", t.TempDir())
	s.token = strings.TrimSpace(s.cli("token", "create", "--tenant", "demo", "--role", "viewer", "--data", data))
	s.until("the configured entity", func() bool {
		status, _ := s.get("/api/v1/entities/component/default/shop")
		return status == http.StatusOK
	})
}
