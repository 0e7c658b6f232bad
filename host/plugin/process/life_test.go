package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	late := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("still not so after 30 s: %s", what)
		}
	}
}

func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func (s *stage) pid(tenant string) (pid int) {
	s.t.Helper()
	s.act(tenant, request{Act: "pid"}, &pid)
	return pid
}

func TestTenantsHaveProcessesOfTheirOwn(t *testing.T) {
	s := open(t, nil)
	var one, two, other int
	s.act("acme", request{Act: "count"}, &one)
	s.act("acme", request{Act: "count"}, &two)
	s.act("globex", request{Act: "count"}, &other)
	if one != 1 || two != 2 || other != 1 {
		t.Errorf("acme counted %d and %d, globex %d", one, two, other)
	}
	if s.pid("acme") == s.pid("globex") {
		t.Error("two tenants share a process")
	}
}

func TestAProcessThatIsKilledIsStartedAgain(t *testing.T) {
	s := open(t, nil)
	before := s.pid("acme")
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is buried", func() bool { return !s.runs("acme") })
	if after := s.pid("acme"); after == before {
		t.Error("the pid is the same")
	}
	if alive(before) {
		t.Error("the killed process is still in the list")
	}
}

// runs reports whether the tenant has a process that can be lent.
func (s *stage) runs(tenant string) bool {
	k := s.runtime.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	slot := k.slots[key{s.digest, tenant}]
	return slot != nil && slot.guest != nil
}

func TestAProcessThatEndsByItselfFailsItsCalls(t *testing.T) {
	for name, tt := range map[string]struct {
		request request
		says    string
	}{
		"Exit":                 {request{Act: "exit", N: 3}, "exit code 3"},
		"PanicOfOwnGoroutine":  {request{Act: "abort"}, "panic: nobody catches this"},
		"ExitAsIfAllWereRight": {request{Act: "exit"}, "exit code 0"},
	} {
		t.Run(name, func(t *testing.T) {
			err := open(t, nil).fails("acme", tt.request, runtimetest.Limits())
			if host.CodeOf(err) != host.CodePluginTrap || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %s: %v", host.CodeOf(err), err)
			}
		})
	}
}

// failures collects what Settings.Failed is told.
type failures struct {
	mu   sync.Mutex
	told []string
}

func (f *failures) note(digest, tenant string, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, fmt.Sprintf("%.10s %s %s", digest, tenant, why))
}

func (f *failures) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.told...)
}

func TestACrashLoopEnds(t *testing.T) {
	var f failures
	s := open(t, func(s *Settings) { s.Failed = f.note })
	for range 3 {
		if err := s.fails("acme", request{Act: "exit", N: 7}, runtimetest.Limits()); host.CodeOf(err) != host.CodePluginTrap {
			t.Fatalf("got %v", err)
		}
		eventually(t, "the process is buried", func() bool { return !s.runs("acme") })
	}
	eventually(t, "the house is told", func() bool { return len(f.all()) > 0 })
	t.Run("and the process stays down", func(t *testing.T) {
		for range 3 {
			err := on(t, s).fails("acme", request{Act: "echo"}, runtimetest.Limits())
			if host.CodeOf(err) != host.CodeUnavailable || !strings.Contains(err.Error(), "failed 3 times within 1h0m0s") || !strings.Contains(err.Error(), "exit code 7") {
				t.Errorf("got %v", err)
			}
		}
	})
	t.Run("of which the house is told once", func(t *testing.T) {
		if told := f.all(); len(told) != 1 || !strings.Contains(told[0], s.digest[:10]+" acme ") {
			t.Errorf("it was told %q", told)
		}
	})
	t.Run("while other tenants go on", func(t *testing.T) { on(t, s).pid("globex") })
	t.Run("over the end of the module", func(t *testing.T) {
		if err := s.module.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := on(t, s).fails("acme", request{Act: "echo"}, runtimetest.Limits()); host.CodeOf(err) != host.CodeUnavailable {
			t.Errorf("got %v", err)
		}
	})
	t.Run("until it is revived", func(t *testing.T) {
		s.module.Revive("acme")
		on(t, s).pid("acme")
	})
}

func TestFailuresThatAreLongAgoDoNotCount(t *testing.T) {
	s := open(t, func(s *Settings) { s.FailureWindow = time.Nanosecond })
	for range 5 {
		if err := s.fails("acme", request{Act: "exit"}, runtimetest.Limits()); host.CodeOf(err) != host.CodePluginTrap {
			t.Fatalf("got %v", err)
		}
		eventually(t, "the process is buried", func() bool { return !s.runs("acme") })
	}
}

func TestAPauseAfterAFailure(t *testing.T) {
	s := open(t, func(s *Settings) { s.Backoff = time.Minute })
	s.fails("acme", request{Act: "exit"}, runtimetest.Limits())
	eventually(t, "the process is buried", func() bool { return !s.runs("acme") })
	err := s.fails("acme", request{Act: "echo"}, runtimetest.Limits())
	var he *host.Error
	if !errors.As(err, &he) || he.Code != host.CodeUnavailable || he.RetryAfter < 50*time.Second || he.RetryAfter > time.Minute {
		t.Errorf("got %v", err)
	}
}

func TestAProgramThatWasChangedIsNotStarted(t *testing.T) {
	s := open(t, nil)
	s.pid("acme") // it runs while its file is changed
	file := s.module.program.file
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o500); err != nil {
		t.Fatal(err)
	}
	err = s.fails("globex", request{Act: "echo"}, runtimetest.Limits())
	if host.CodeOf(err) != host.CodeUnavailable || !strings.Contains(err.Error(), "not the one that was installed") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	err = s.fails("initech", request{Act: "echo"}, runtimetest.Limits())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is gone gives %v", err)
	}
	t.Run("until it is put down again", func(t *testing.T) {
		code := runtimetest.Program(t, conformance)
		if _, err := s.runtime.Compile(t.Context(), s.digest, code); err != nil {
			t.Fatal(err)
		}
		on(t, s).pid("hooli")
	})
}

func TestAProcessThatAnswersNoPingsIsReplaced(t *testing.T) {
	var f failures
	s := open(t, func(s *Settings) {
		s.PingEvery, s.PingTimeout, s.MaxPings, s.MaxFailures, s.Failed = 20*time.Millisecond, 100*time.Millisecond, 2, 1, f.note
	})
	pid := s.pid("acme")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is gone", func() bool { return !alive(pid) })
	eventually(t, "the house is told", func() bool { return len(f.all()) == 1 })
	if told := f.all()[0]; !strings.Contains(told, "whether it lives") {
		t.Errorf("it was told %q", told)
	}
	s.module.Revive("acme")
	if s.pid("acme") == pid {
		t.Error("the same process answers")
	}
}

// short is a time limit that a test waits for.
func short() plugin.Limits {
	lim := runtimetest.Limits()
	lim.Timeout = 200 * time.Millisecond
	return lim
}

func TestACallThatDoesNotEndCostsTheProcessItsLife(t *testing.T) {
	s := open(t, nil)
	pid := s.pid("acme")
	for _, act := range []string{"spin", "doze"} {
		begin := time.Now()
		err := s.fails("acme", request{Act: act}, short())
		if host.CodeOf(err) != host.CodePluginTimeout || !strings.Contains(err.Error(), "200ms") {
			t.Errorf("%s: got %v", act, err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s: the caller waited %s", act, took)
		}
		eventually(t, "the process is gone", func() bool { return !alive(pid) })
		next := s.pid("acme")
		if next == pid {
			t.Error("the same process answers")
		}
		pid = next
	}
	if told := len(s.runtime.keeper.slots[key{s.digest, "acme"}].failures); told != 0 {
		t.Errorf("%d failures of the process were counted: it did not fail, its call did", told)
	}
}

func TestACallThatEndsWithItsTimeCostsNothing(t *testing.T) {
	s := open(t, nil)
	pid := s.pid("acme")
	// The guest sees its deadline as well: whoever is first says so.
	o, err := s.module.Call(t.Context(), work("acme", request{Act: "late"}, short(), nil))
	said := err == nil && o.Result.Error != nil && o.Result.Error.Code == v1.CodeTimeout
	if !said && host.CodeOf(err) != host.CodePluginTimeout {
		t.Errorf("got %+v, %v", o.Result, err)
	}
	if s.pid("acme") != pid {
		t.Error("the process was replaced")
	}
}

func TestACallersEndEndsTheCall(t *testing.T) {
	s := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{})
	go func() { <-asked; cancel() }()
	w := work("acme", request{Act: "ask"}, runtimetest.Limits(), func(ctx context.Context, _ v1.HostCall) v1.Result {
		close(asked)
		<-ctx.Done()
		return v1.Result{}
	})
	if _, err := s.module.Call(ctx, w); host.CodeOf(err) != host.CodeUnavailable || !strings.Contains(err.Error(), "gave up") {
		t.Errorf("got %v", err)
	}
}

func TestCallsBesideAnEndlessOneFinish(t *testing.T) {
	s := open(t, nil)
	pid := s.pid("acme")
	asked, go_ := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		o, err := s.module.Call(context.Background(), work("acme", request{Act: "ask", Text: "x"}, runtimetest.Limits(), func(context.Context, v1.HostCall) v1.Result {
			close(asked)
			<-go_
			return v1.Result{Body: []byte(`"well"`)}
		}))
		if err == nil && string(o.Result.Body) != `"well"` {
			err = fmt.Errorf("it answered %s %v", o.Result.Body, o.Result.Error)
		}
		done <- err
	}()
	<-asked
	if err := s.fails("acme", request{Act: "spin"}, short()); host.CodeOf(err) != host.CodePluginTimeout {
		t.Errorf("got %v", err)
	}
	if next := s.pid("acme"); next == pid {
		t.Error("a new call went to the process of the endless one")
	}
	if !alive(pid) {
		t.Error("the process ended while a call was in it")
	}
	close(go_)
	if err := <-done; err != nil {
		t.Errorf("the call beside it: %v", err)
	}
	eventually(t, "the process is gone", func() bool { return !alive(pid) })
}

func TestAProcessThatRestsIsStopped(t *testing.T) {
	s := open(t, func(s *Settings) { s.IdleAfter = 50 * time.Millisecond })
	pid := s.pid("acme")
	eventually(t, "the process is gone", func() bool { return !alive(pid) })
	if s.pid("acme") == pid {
		t.Error("the same process answers")
	}
}

func TestTooManyProcesses(t *testing.T) {
	s := open(t, func(s *Settings) { s.MaxProcesses = 1 })
	pid := s.pid("acme")
	t.Run("end the one that rests", func(t *testing.T) {
		on(t, s).pid("globex")
		eventually(t, "the process is gone", func() bool { return !alive(pid) })
	})
	t.Run("make the next wait while all are busy", func(t *testing.T) {
		asked, go_ := make(chan struct{}), make(chan struct{})
		var wait sync.WaitGroup
		wait.Go(func() {
			_, _ = s.module.Call(context.Background(), work("globex", request{Act: "ask"}, runtimetest.Limits(), func(context.Context, v1.HostCall) v1.Result {
				close(asked)
				<-go_
				return v1.Result{}
			}))
		})
		<-asked
		err := on(t, s).fails("acme", request{Act: "echo"}, runtimetest.Limits())
		var he *host.Error
		if !errors.As(err, &he) || he.Code != host.CodeUnavailable || he.RetryAfter == 0 {
			t.Errorf("got %v", err)
		}
		close(go_)
		wait.Wait()
	})
}

func TestAnotherMemoryLimitNeedsAnotherProcess(t *testing.T) {
	s := open(t, nil)
	pid := s.pid("acme")
	lim := runtimetest.Limits()
	lim.Memory *= 2
	o, err := s.module.Call(t.Context(), work("acme", request{Act: "pid"}, lim, nil))
	if err != nil || string(o.Result.Body) == strconv.Itoa(pid) {
		t.Errorf("got %s, %v", o.Result.Body, err)
	}
}
