package rediscache_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/cache"
	"github.com/callboard-dev/callboard/host/cache/driver"
	"github.com/callboard-dev/callboard/host/cache/drivertest"
	"github.com/callboard-dev/callboard/host/cache/rediscache"
)

// server starts a Redis of its own and returns its URL and how to stop it.
func server(t *testing.T) (url string, stop func()) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is missing: run .ci/setup")
		}
		t.Skip("redis-server is not installed")
	}
	dir, err := os.MkdirTemp("", "redis") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir, "--daemonize", "no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	// The server tells nobody when it listens.
	for tick, over := time.Tick(20*time.Millisecond), time.After(10*time.Second); ; {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			return "unix://" + socket, stop
		}
		select {
		case <-tick:
			continue
		case <-over:
		}
		break
	}
	t.Fatal("redis-server does not listen")
	return "", nil
}

func open(t *testing.T, url string) *rediscache.Cache {
	t.Helper()
	c, err := rediscache.New(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedis(t *testing.T) {
	url, _ := server(t)
	drivertest.Run(t, func(t *testing.T) (driver.Driver, drivertest.Clock) {
		// The time of a real server passes by itself.
		return open(t, url), func(d time.Duration) { <-time.After(d) }
	})
}

func TestWithoutRedisPluginsGoOn(t *testing.T) {
	url, stop := server(t)
	d := open(t, url)
	if err := d.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := cache.New(d, cache.Settings{Rest: 50 * time.Millisecond})
	p := cache.Place{Tenant: host.NewTenantID(), Instance: "i1"}
	if err := s.Set(t.Context(), p, "k", []byte("v"), 0, 1<<20, ""); err != nil {
		t.Fatal(err)
	}
	stop()
	begin := time.Now()
	if _, found, err := s.Get(t.Context(), p, "k"); found || err != nil {
		t.Errorf("got %v, %v", found, err)
	}
	if err := s.Set(t.Context(), p, "k", []byte("v"), 0, 1<<20, ""); err != nil {
		t.Errorf("setting gave %v", err)
	}
	if a, err := s.GetOrLock(t.Context(), p, "k", 0, time.Minute); err != nil || a.Found || a.Lock == "" {
		t.Errorf("got %+v, %v", a, err)
	}
	if _, err := s.Incr(t.Context(), p, "n", 1, 0, 1<<20); host.CodeOf(err) != host.CodeUnavailable {
		t.Errorf("adding gave %v", err)
	}
	if err := s.Delete(t.Context(), p, "k"); host.CodeOf(err) != host.CodeUnavailable {
		t.Errorf("deleting gave %v", err)
	}
	if err := s.Drop(t.Context(), p.Tenant, p.Instance); err != nil {
		t.Errorf("dropping gave %v", err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestBadURLsAreNotShown(t *testing.T) {
	_, err := rediscache.New("http://user:hunter2@example.com")
	if host.CodeOf(err) != host.CodeInvalid || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
