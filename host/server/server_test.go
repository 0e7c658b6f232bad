package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/server"
)

// running is a server under test.
type running struct {
	main, ops string
	stop      context.CancelFunc
	done      chan error
}

// start runs a server on free ports and waits until it listens.
func start(t *testing.T, s server.Settings) running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	s.Listen, s.OpsListen = "127.0.0.1:0", "127.0.0.1:0"
	addrs := make(chan [2]net.Addr, 1)
	s.Listening = func(main, ops net.Addr) { addrs <- [2]net.Addr{main, ops} }
	r := running{stop: stop, done: make(chan error, 1)}
	go func() { r.done <- server.Run(ctx, s) }()
	select {
	case a := <-addrs:
		r.main, r.ops = "http://"+a[0].String(), "http://"+a[1].String()
	case err := <-r.done:
		t.Fatalf("the server did not start: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not listen")
	}
	return r
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestOpsListener(t *testing.T) {
	var ready atomic.Bool
	r := start(t, server.Settings{
		Main:    http.NotFoundHandler(),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
		Ready: func(context.Context) error {
			if ready.Load() {
				return nil
			}
			return errors.New("the database is away")
		},
	})
	for _, tt := range []struct {
		path, want string
		status     int
	}{
		{"/healthz", "live", 200}, {"/readyz", "the database is away", 503},
		{"/metrics", "up 1", 200}, {"/debug/pprof/goroutine?debug=1", "goroutine profile", 200}, {"/nope", "404", 404},
	} {
		if status, body := get(t, r.ops+tt.path); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s answers %d %q", tt.path, status, body)
		}
	}
	ready.Store(true)
	if status, _ := get(t, r.ops+"/readyz"); status != 200 {
		t.Errorf("ready, but /readyz answers %d", status)
	}
	if status, _ := get(t, r.main+"/metrics"); status != 404 {
		t.Error("the main listener answers for the ops listener")
	}
}

func TestStopLetsAnswersFinish(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	r := start(t, server.Settings{Main: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "whole")
	})})
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get(r.main)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		answer <- string(body)
	}()
	<-begun
	r.stop()
	refused := false
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && !refused; {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(r.main, "http://"), time.Second)
		if refused = err != nil; !refused {
			_ = conn.Close()
		}
	}
	if !refused {
		t.Error("the stopping server still takes connections")
	}
	if status, body := get(t, r.ops+"/readyz"); status != 503 || !strings.Contains(body, "draining") {
		t.Errorf("while draining /readyz answers %d %s", status, body)
	}
	close(finish)
	if got := <-answer; got != "whole" {
		t.Errorf("the answer under way is %q", got)
	}
	if err := <-r.done; err != nil {
		t.Errorf("the stop failed: %v", err)
	}
}

func TestStopCutsOffWhatNeverEnds(t *testing.T) {
	begun := make(chan struct{})
	r := start(t, server.Settings{DrainFor: 50 * time.Millisecond, LingerFor: time.Millisecond,
		Main: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { close(begun); <-r.Context().Done() })})
	go func() { _, _ = http.Get(r.main) }()
	<-begun
	r.stop()
	select {
	case err := <-r.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not stop")
	}
}

func TestAddressesInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct{ name, listen, ops, flag string }{
		{"Main", taken.Addr().String(), "", "--listen"},
		{"Ops", "127.0.0.1:0", taken.Addr().String(), "--ops-listen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := server.Run(t.Context(), server.Settings{Main: http.NotFoundHandler(), Listen: tt.listen, OpsListen: tt.ops})
			if err == nil || !strings.Contains(err.Error(), tt.flag) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestRecover(t *testing.T) {
	var log bytes.Buffer
	fail := func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, fmt.Sprint(err), http.StatusInternalServerError)
	}
	serve := func(f http.HandlerFunc) (w *httptest.ResponseRecorder, cut bool) {
		w = httptest.NewRecorder()
		defer func() { cut = recover() == http.ErrAbortHandler }()
		server.Recover(slog.New(slog.NewTextHandler(&log, nil)), fail, f).ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
		return w, false
	}
	t.Run("AnswersAndLogsTheStack", func(t *testing.T) {
		w, cut := serve(func(http.ResponseWriter, *http.Request) { panic("boom") })
		if w.Code != 500 || cut || !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "server_test.go") {
			t.Errorf("answered %d, cut off %v, log %s", w.Code, cut, log.String())
		}
	})
	t.Run("CutsHalfAnAnswerOff", func(t *testing.T) {
		_, cut := serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "half"); panic("boom") })
		if !cut {
			t.Error("half an answer passes for a whole")
		}
	})
	t.Run("PassesAbortOn", func(t *testing.T) {
		log.Reset()
		_, cut := serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		if !cut || log.Len() > 0 {
			t.Errorf("cut off %v, log %s", cut, log.String())
		}
	})
	t.Run("PassesAnswersOn", func(t *testing.T) {
		w, _ := serve(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			w.(http.Flusher).Flush()
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		})
		if w.Code != 201 {
			t.Errorf("answered %d", w.Code)
		}
	})
}
