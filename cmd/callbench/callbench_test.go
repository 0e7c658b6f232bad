package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the processes that the harness starts: the
// bare handler, and a stand-in for the portal.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "bare-handler":
		main()
	case len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-"):
		if err := standIn(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// standIn answers the portal's commands as far as the harness calls them.
func standIn(args []string) error {
	switch args[0] {
	case "token":
		fmt.Println("secret")
	case "serve":
		flags := flag.NewFlagSet("serve", flag.ContinueOnError)
		listen, ops := flags.String("listen", "", ""), flags.String("ops-listen", "", "")
		for _, ignored := range []string{"data", "bundled", "log-format"} {
			flags.String(ignored, "", "")
		}
		flags.Bool("demo", false, "")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		for _, address := range []string{*listen, *ops} {
			l, err := net.Listen("tcp", address)
			if err != nil {
				return err
			}
			go func() { _ = http.Serve(l, answers()) }() // ends with the process
		}
		<-ctx.Done()
	}
	return nil
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		f    figure
		want string
	}{
		{"NoGoal", figure{Value: 1}, ""},
		{"AtMostMet", figure{Value: 300, Goal: "<=300"}, "<=300 ok"},
		{"AtMostMissed", figure{Value: 300.1, Goal: "<=300"}, "<=300 MISSED"},
		{"AtLeastMet", figure{Value: 0.41, Goal: ">=0.4"}, ">=0.4 ok"},
		{"AtLeastMissed", figure{Value: 0.39, Goal: ">=0.4"}, ">=0.4 MISSED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := verdict(tt.f); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOnlyChoosesFamilies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		only   string
		family string
		want   bool
	}{
		{"", "http", true}, {"http/", "http", true}, {"http/entity", "http", true},
		{"http/", "start", false}, {"http/,peer/", "peer", true}, {"st", "start", true},
	}
	for _, tt := range tests {
		if got := (options{only: tt.only}).wantedFamily(tt.family); got != tt.want {
			t.Errorf("ONLY=%q and %s: %v", tt.only, tt.family, got)
		}
	}
}

func TestSkipAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, answers, wantErr string }{
		{"Length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""},
		{"Chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
		{"OtherStatus", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "401"},
		{"CutShort", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "EOF"},
		{"BadLength", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "invalid syntax"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := bufio.NewReader(strings.NewReader(tt.answers))
			err := skipAnswer(in)
			if err == nil {
				err = skipAnswer(in) // the second answer starts where the first ends
			}
			if tt.wantErr == "" && err != nil || tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Fatalf("got %v, want %q", err, tt.wantErr)
			}
		})
	}
}

// stand is a server with the portal's paths, so that the harness itself can be
// tried without one.
func stand(t *testing.T) (*portal, options) {
	t.Helper()
	srv := httptest.NewServer(answers())
	t.Cleanup(srv.Close)
	o := options{duration: 50 * time.Millisecond, connections: 2, rounds: 1}
	return &portal{o: o, dir: t.TempDir(), url: srv.URL, token: "secret"}, o
}

// answers are what the stand-in says on the portal's paths.
func answers() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /api/catalog/entities/by-query", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"items":[{"metadata":{"name":"petstore"}}]}`)
	})
	mux.HandleFunc("GET /api/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 5000)) // long enough to be sent in chunks
	})
	return mux
}

// A whole run: the stand-in is started, prepared, restarted, measured, installed
// into and stopped, and the figures are written.
func TestRunWritesAllFamilies(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "bench.json")
	var said strings.Builder
	err = run(t.Context(), []string{"-callboard", self, "-out", out, "-hello", t.TempDir(), "-rounds", "1", "-duration", "50ms",
		"-idle", "1ms", "-only", "start/,memory/,http/entity_get,install/"}, &said)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"start/ready", "memory/idle", "http/entity_get/vs_bare_handler", "install/first_answer"} {
		if !strings.Contains(string(text), `"name": "`+name+`"`) || !strings.Contains(said.String(), name) {
			t.Errorf("no figure %s in\n%s", name, text)
		}
	}
	if strings.Contains(string(text), "http/entity_list") {
		t.Error("a figure that nobody asked for")
	}
}

func TestHTTPFiguresStandBesideTheBareHandler(t *testing.T) {
	t.Parallel()
	p, o := stand(t)
	if !p.chooseEntity(t.Context()) || p.entity != "/api/catalog/entities/by-name/component/default/petstore" {
		t.Fatalf("entity %q", p.entity)
	}
	got := map[string]figure{}
	if err := benchHTTP(t.Context(), o, p, func(f figure) { got[f.Name] = f }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"http/entity_get", "http/entity_get/bare_handler", "http/entity_get/vs_bare_handler", "http/plugin_operation/p99"} {
		if got[name].Value <= 0 {
			t.Errorf("%s is %v", name, got[name].Value)
		}
	}
	if got["http/entity_get/vs_bare_handler"].Goal != ">=0.4" {
		t.Error("the ratio has no goal")
	}
}

func TestPeerIsAskedTheSame(t *testing.T) {
	p, o := stand(t)
	p.chooseEntity(t.Context())
	t.Setenv("PEER_TOKEN", "secret")
	o.peer, o.peerPID = p.url+"/", os.Getpid()
	got := map[string]figure{}
	if err := benchPeer(t.Context(), o, p, func(f figure) { got[f.Name] = f }); err != nil {
		t.Fatal(err)
	}
	if got["peer/entity_get"].Value <= 0 || got["peer/memory"].Value <= 0 {
		t.Errorf("figures %v", got)
	}
}

func TestWrongTokenIsAFailureNotAFigure(t *testing.T) {
	t.Parallel()
	p, o := stand(t)
	p.token, p.entity = "other", "/api/x"
	err := benchHTTP(t.Context(), o, p, func(f figure) { t.Errorf("figure %v", f) })
	if err == nil || !strings.Contains(err.Error(), "401") {
		t.Fatalf("got %v", err)
	}
}

func TestMissingPortalSaysWhoBuildsIt(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"-callboard", filepath.Join(t.TempDir(), "none")}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "make build makes it") {
		t.Fatalf("got %v", err)
	}
}

func TestPortalThatEndsIsReportedWithItsWords(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "portal")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho no room\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{"-callboard", script}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "no room") || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("got %v", err)
	}
}

func TestFiguresFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bin", "bench.json")
	if err := write(file, []figure{{Name: "a/b", Value: 1.5, Unit: "ms", Goal: "<=2"}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Figures []figure }
	if err := json.Unmarshal(text, &got); err != nil || len(got.Figures) != 1 || got.Figures[0].Goal != "<=2" {
		t.Fatalf("%v: %s", err, text)
	}
}

func TestFiguresOf(t *testing.T) {
	out := `goos: linux
BenchmarkFigureX/go-2   1   5 ns/op   1.05 figure:runtime/sdk_vs_encoding_json   2 pages
BenchmarkFigureX/go-2   1   5 ns/op   1.15 figure:runtime/sdk_vs_encoding_json
BenchmarkIsolated/go/order-2   1   0 ns/op   0.95 x/warm   1.5 x/warm-madvise   300 ns/warm
BenchmarkReset/100-2   1   8200 ns/reset
BenchmarkRunaway/c/loop-2   1   3.5 ms-late
BenchmarkFigureY-2      1   NaNope figure:runtime/soak_lost
PASS`
	got := figuresOf([]byte(out))
	for name, want := range map[string][]float64{
		"runtime/sdk_vs_encoding_json": {1.05, 1.15}, "runtime/isolated_vs_warm/go": {0.95}, "runtime/madvise_vs_warm/go": {1.5},
		"runtime/reset_100_pages": {8.2}, "runtime/runaway_stop/c/loop": {3.5},
	} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
	if len(got) != 5 {
		t.Errorf("got %v", got)
	}
}

func TestMissed(t *testing.T) {
	for name, c := range map[string]struct {
		value float64
		goal  string
		late  bool
	}{
		"WithinTheGoal":    {1.0, "<=1.08", false},
		"WithinATenthOfIt": {1.18, "<=1.08", false},
		"BeyondATenth":     {1.2, "<=1.08", true},
		"TooFew":           {4500, ">=5000", true},
		"NearlyEnough":     {4600, ">=5000", false},
		"NothingMayDiffer": {1, "<=0", true},
		"WithoutAGoal":     {1e9, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := missed([]figure{{Name: "x", Value: c.value, Goal: c.goal}}); (len(got) > 0) != c.late {
				t.Errorf("got %v", got)
			}
		})
	}
	if goalOf("runtime/limited_vs_extism_fresh/go") != "<=0.035" || goalOf("runtime/runaway_stop/c/loop") != "<=10" || goalOf("http/x") != "" {
		t.Error("a family's goal is not that of its members")
	}
}
