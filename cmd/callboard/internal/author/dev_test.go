package author_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/cmd/callboard/internal/author"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
)

// server stands for a portal: it installs and upgrades packages.
type server struct {
	mu        sync.Mutex
	installed string   // the digest
	log       []string // "POST /path?query token"
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, r.Method+" "+r.URL.RequestURI())
	switch {
	case r.Header.Get("Authorization") != "Bearer right":
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"title":"Unauthenticated","detail":"The token is unknown."}`)
	case strings.HasSuffix(r.URL.Path, "/health"):
		s.log = s.log[:len(s.log)-1]
		fmt.Fprint(w, `{"recent":[{"capability":"route/v1","method":"handle","at":"2026-05-01T10:00:01Z","tookMillis":1.5,"fuel":1234567,"traceId":"0af7"},
			{"capability":"view/v1","method":"render","at":"2026-05-01T10:00:03Z","tookMillis":9,"code":"plugin-timeout","error":"it took too long"}],
			"logs":[{"at":"2026-05-01T10:00:02Z","level":"info","message":"greeted","fields":{"name":"Ann"}}]}`)
	case r.Method == http.MethodGet && s.installed == "":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"title":"Not found"}`)
	case r.Method == http.MethodGet:
		fmt.Fprint(w, `{}`)
	default:
		s.take(w, r)
	}
}

// take opens the package as a portal does.
func (s *server) take(w http.ResponseWriter, r *http.Request) {
	packed, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	bundle, err := manifest.OpenBytes(packed)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"detail":%q}`, err)
		return
	}
	s.installed = bundle.Digest
	fmt.Fprint(w, `{"state":"active","stateDetail":"ready"}`)
}

func (s *server) requests() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

// buffer is a bytes.Buffer that two goroutines may use and one may wait for.
type buffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written chan struct{} // holds a token after each Write
}

func newBuffer() *buffer { return &buffer{written: make(chan struct{}, 1)} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.written <- struct{}{}:
	default:
	}
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// reaches waits until the buffer holds the words.
func (b *buffer) reaches(t *testing.T, words string) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for !strings.Contains(b.String(), words) {
		select {
		case <-b.written:
		case <-deadline.C:
			t.Fatalf("waited for %q, there is\n%s", words, b)
		}
	}
}

// hello copies the example plugin.
func hello(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hello")
	if err := os.CopyFS(dir, os.DirFS("../../../../examples/hello-plugin")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// settings reads CALLBOARD_TOKEN as token.
func settings(t *testing.T, token string) author.Settings {
	t.Helper()
	return author.Settings{CacheDir: t.TempDir(), Getenv: func(name string) string {
		return map[string]string{"CALLBOARD_TOKEN": token}[name]
	}}
}

func TestDevUpgradesAtEachChange(t *testing.T) {
	s := &server{}
	portal := httptest.NewServer(s)
	defer portal.Close()
	dir := hello(t)
	out, errOut := newBuffer(), newBuffer()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int)
	go func() {
		ended <- run(ctx, settings(t, "right"), []string{"plugin", "dev", dir, "--server", portal.URL + "/", "--yes"}, out, errOut)
	}()
	out.reaches(t, "installed acme/hello 0.1.0 in ")
	out.reaches(t, "view/v1 render  9.00 ms  plugin-timeout: it took too long")
	calls := out.String()
	first, second := strings.Index(calls, "route/v1 handle  1.50 ms  fuel 1 234 567  trace 0af7"), strings.Index(calls, `[info] greeted name="Ann"`)
	if first < 0 || second < first {
		t.Errorf("the calls and logs are not there in their order:\n%s", calls)
	}

	readme := filepath.Join(dir, "README.md")
	if err := os.WriteFile(readme, []byte("# Changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out.reaches(t, "upgraded acme/hello 0.1.0 in ")

	broken := filepath.Join(dir, "broken.go")
	if err := os.WriteFile(broken, []byte("package main\n\nfunc broken( {\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	errOut.reaches(t, "Error: go build")
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("it ends with %d:\n%s", code, errOut)
	}
	want := "GET /api/v1/plugins/hello\nPOST /api/v1/plugins?acceptPermissions=true\n" +
		"GET /api/v1/plugins/hello\nPOST /api/v1/plugins/hello/upgrade?acceptPermissions=true"
	if got := s.requests(); got != want {
		t.Errorf("the server was asked\n%s\nwant\n%s", got, want)
	}
	if !strings.Contains(out.String(), "active (ready)") {
		t.Errorf("it does not say the state:\n%s", out)
	}
}

func TestDevFails(t *testing.T) {
	portal := httptest.NewServer(&server{})
	defer portal.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer page.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	dir := hello(t)
	tests := map[string]struct {
		token string
		args  []string
		code  int
		want  string
	}{
		"without a right token":      {"wrong", []string{dir, "--server", portal.URL}, 1, "The token is unknown."},
		"when the server is gone":    {"right", []string{dir, "--server", gone.URL}, 1, "callboard serve"},
		"when it is no portal":       {"right", []string{dir, "--server", page.URL}, 1, "418"},
		"when the URL is none":       {"right", []string{dir, "--server", "portal"}, 2, "--server"},
		"when the folder is nowhere": {"right", []string{filepath.Join(dir, "no"), "--server", portal.URL}, 1, "no"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := run(t.Context(), settings(t, tt.token), append([]string{"plugin", "dev", "--once"}, tt.args...), &out, &errOut)
			if code != tt.code || !strings.Contains(errOut.String(), tt.want) {
				t.Errorf("it ends with %d and says %s; want %d with %q", code, &errOut, tt.code, tt.want)
			}
		})
	}
}
