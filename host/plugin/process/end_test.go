package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

func TestCloseLeavesNothing(t *testing.T) {
	s := open(t, nil)
	pids := []int{s.pid("acme"), s.pid("globex")}
	s.fails("acme", request{Act: "exit"}, runtimetest.Limits())
	root := s.runtime.keeper.root
	if err := s.runtime.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is still in the list", pid)
		}
	}
	if zombies := children(t); len(zombies) > 0 {
		t.Errorf("children are left: %q", zombies)
	}
	if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder %s is left: %v", root, err)
	}
	if err := s.fails("acme", request{Act: "echo"}, runtimetest.Limits()); host.CodeOf(err) != host.CodeUnavailable {
		t.Errorf("a call after the end gives %v", err)
	}
}

// children lists the processes that this one has started and not waited for.
func children(t *testing.T) (found []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // gone since it was listed
		}
		// pid (name) state ppid ...
		_, after, _ := strings.Cut(string(raw), ") ")
		if f := strings.Fields(after); len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			found = append(found, string(raw))
		}
	}
	return found
}

func TestFoldersOfHostsThatWereKilledAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	old := time.Now().Add(-2 * staleAfter)
	folder := func(name string, at time.Time) string {
		dir := filepath.Join(os.TempDir(), rootName+name)
		if err := os.MkdirAll(filepath.Join(dir, "p1", "plugin-dir1"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	dead, young, living := folder("dead", old), folder("young", time.Now()), folder("living", old)
	lock, err := lockRoot(living)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := os.Chtimes(living, old, old); err != nil {
		t.Fatal(err)
	}
	root, own, err := makeRoot()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for dir, want := range map[string]bool{dead: false, young: true, living: true, root: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestCloseEndsACallThatDoesNotEnd(t *testing.T) {
	s := open(t, nil)
	pid := s.pid("acme")
	asked := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		lim := runtimetest.Limits()
		_, err := s.module.Call(context.Background(), work("acme", request{Act: "ask"}, lim, func(context.Context, v1.HostCall) v1.Result {
			close(asked)
			return v1.Result{Error: &v1.Error{Code: v1.CodeInternal, Message: "no"}}
		}))
		if err == nil {
			_, err = s.module.Call(context.Background(), work("acme", request{Act: "spin"}, lim, nil))
		}
		ended <- err
	}()
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.runtime.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := <-ended; host.CodeOf(err) != host.CodeUnavailable {
		t.Errorf("the call ended with %v", err)
	}
	if alive(pid) {
		t.Error("its process is still there")
	}
}

func TestCloseDoesNotWaitForAProcessThatNeverBegins(t *testing.T) {
	s := openCode(t, runtimetest.Rogue(t, "hang"), func(s *Settings) { s.StartTimeout = 15 * time.Second })
	go func() {
		_, _ = s.module.Call(context.Background(), work("acme", request{}, runtimetest.Limits(), nil))
	}()
	k := s.runtime.keeper
	eventually(t, "it is being started", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.running == 1
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	if err := s.runtime.Close(ctx); host.CodeOf(err) != host.CodeUnavailable || time.Since(begin) > 10*time.Second {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}

// TestTheHostsEndEndsItsProcesses runs a host in a process of its own and
// kills it.
func TestTheHostsEndEndsItsProcesses(t *testing.T) {
	if os.Getenv("CALLBOARD_TEST_HOST") != "" {
		fmt.Println(open(t, nil).pid("acme"))
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), "CALLBOARD_TEST_HOST=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	eventually(t, "the plugin's process is gone", func() bool { return !alive(pid) })
}
