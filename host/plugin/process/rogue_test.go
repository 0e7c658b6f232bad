package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// TestAProgramThatBeginsWrongly is refused, explained, and leaves nothing.
func TestAProgramThatBeginsWrongly(t *testing.T) {
	for mode, says := range map[string]string{
		"leave":    "fatal error: no wish to begin",
		"hang":     "timeout",
		"chat":     "hello, how are you?",
		"tcp":      "outside of its folder",
		"outside":  "outside of its folder",
		"upwards":  "outside of its folder",
		"file":     "is no socket",
		"netrpc":   "is no socket",
		"old":      "incompatible",
		"swindler": "is no socket",
	} {
		t.Run(mode, func(t *testing.T) {
			s := openCode(t, runtimetest.Rogue(t, mode), func(s *Settings) { s.StartTimeout = 2 * time.Second })
			err := s.fails("acme", request{}, runtimetest.Limits())
			if host.CodeOf(err) != host.CodeUnavailable || !strings.Contains(err.Error(), says) {
				t.Errorf("got %s: %v", host.CodeOf(err), err)
			}
			if left, err := filepath.Glob(filepath.Join(s.runtime.keeper.root, "p*")); err != nil || len(left) > 0 {
				t.Errorf("it left %v, %v", left, err)
			}
			eventually(t, "no process is left", func() bool { return len(children(t)) == 0 })
		})
	}
}

// rogue makes a call that asks the rogue for one of its acts.
func (s *stage) rogue(act string, lim plugin.Limits, fn plugin.HostFunc) (plugin.Outcome, error) {
	return s.module.Call(context.Background(), plugin.Work{
		Call: v1.Call{Capability: "test/v1", Method: act, Tenant: "acme"}, Limits: lim, World: plugin.World{Host: fn},
	})
}

func TestAProgramThatBreaksTheProtocol(t *testing.T) {
	s := openCode(t, runtimetest.Rogue(t, ""), nil)
	lim := runtimetest.Limits()
	lim.Memory = 256 << 20 // "huge" needs it
	for act, tt := range map[string]struct {
		code host.Code
		says string
	}{
		"junk":    {host.CodePluginOutput, "not a result of ABI 2"},
		"empty":   {host.CodePluginOutput, "not a result of ABI 2"},
		"text":    {host.CodePluginOutput, "not JSON"},
		"latin":   {host.CodePluginOutput, "not JSON"},
		"huge":    {host.CodePluginOutput, "limit is 1MiB"},
		"silent":  {host.CodePluginTrap, "broke off"},
		"failing": {host.CodePluginTrap, "it was here a moment ago"},
	} {
		t.Run(act, func(t *testing.T) {
			if _, err := s.rogue(act, lim, nil); host.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %s: %v", host.CodeOf(err), err)
			}
		})
	}
	t.Run("in its host calls", func(t *testing.T) {
		for act, says := range map[string]string{"host": "is not one of ABI 2", "hostjunk": "is not one of ABI 2", "hosthuge": "is larger than 16MiB"} {
			o, err := s.rogue(act, lim, func(context.Context, v1.HostCall) v1.Result {
				t.Errorf("%s reached a host service", act)
				return v1.Result{}
			})
			if err != nil || o.Result.Error == nil || o.Result.Error.Code != v1.CodeInvalid || !strings.Contains(o.Result.Error.Message, says) {
				t.Errorf("%s: got %+v, %v", act, o.Result.Error, err)
			}
		}
	})
	t.Run("by host calls without an end", func(t *testing.T) {
		var asked atomic.Int64
		lim := lim
		o, err := s.rogue("chatter", lim, func(context.Context, v1.HostCall) v1.Result { asked.Add(1); return v1.Result{} })
		if host.CodeOf(err) != host.CodeLimit || asked.Load() > lim.HostCalls || o.Usage.HostCalls != lim.HostCalls {
			t.Errorf("it asked %d times and got %v; %d are counted", asked.Load(), err, o.Usage.HostCalls)
		}
	})
	t.Run("by output without an end", func(t *testing.T) {
		var logged atomic.Int64
		lim := lim
		lim.Log = func(_ string, text []byte) { logged.Add(int64(len(text))) }
		if _, err := s.rogue("mumble", lim, nil); err != nil {
			t.Fatal(err)
		}
		if n := logged.Load(); n > int64(maxLeft*lim.LogBytes) {
			t.Errorf("%d bytes were logged, the limit is %d", n, lim.LogBytes)
		}
	})
}

func TestCheckRefusesWhatCouldNotBeStarted(t *testing.T) {
	r, err := New(Settings{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	good, err := manifest.Program(runtimetest.Program(t, conformance), Platform())
	if err != nil {
		t.Fatal(err)
	}
	machine, kind := append([]byte(nil), good...), append([]byte(nil), good...)
	machine[18], kind[16] = 3, 1 // e_machine: 386; e_type: relocatable
	programs := map[string]struct {
		code []byte
		says string
	}{
		"a script":                   {[]byte("#!/bin/sh\n"), "not an ELF file"},
		"another machine":            {machine, "is for EM_386"},
		"an object":                  {kind, "cannot be executed"},
		"the beginning of a program": {good[:200], "ELF"},
	}
	if shell, err := os.ReadFile("/bin/sh"); err == nil {
		programs["shared libraries"] = struct {
			code []byte
			says string
		}{shell, "needs shared libraries"}
	}
	for name, tt := range programs {
		t.Run(name, func(t *testing.T) {
			code, err := manifest.Join(map[string][]byte{Platform(): tt.code})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Check(code); host.CodeOf(err) != host.CodeInvalid || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
			if _, err := r.Compile(t.Context(), manifest.DigestOf(code), code); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("it was put down: %v", err)
			}
		})
	}
	t.Run("another platform", func(t *testing.T) {
		code, err := manifest.Join(map[string][]byte{"plan9/mips": good})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(code); host.CodeOf(err) != host.CodeInvalid || !strings.Contains(err.Error(), "plan9/mips") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no digest", func(t *testing.T) {
		if _, err := r.Compile(t.Context(), "sha256:../x", runtimetest.Program(t, conformance)); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("got %v", err)
		}
		if r.Cached("x") || r.Forget("x") == nil {
			t.Error("it was accepted")
		}
	})
}

func TestForgetRemovesTheProgram(t *testing.T) {
	s := open(t, nil)
	if !s.runtime.Cached(s.digest) {
		t.Fatal("the program is not on disk")
	}
	if err := s.runtime.Forget(s.digest); err != nil || s.runtime.Cached(s.digest) {
		t.Errorf("the program is still there, %v", err)
	}
	if err := s.runtime.Forget(s.digest); err != nil {
		t.Errorf("forgetting it twice: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, dir := range map[string]string{"no folder": "", "a folder below a file": "/dev/null/x"} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(Settings{Dir: dir}); err == nil || host.CodeOf(err) == host.CodeInternal {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("to leave a folder open", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "programs")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		r, err := New(Settings{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("its mode is %v, %v", info.Mode(), err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAShimThatIsNoneIsExplained(t *testing.T) {
	nothing, err := exec.LookPath("true")
	if err != nil {
		t.Skip("there is no true")
	}
	for name, tt := range map[string]struct{ shim, says string }{
		"a file that is not there": {filepath.Join(t.TempDir(), "none"), "cannot be started"},
		"another program":          {nothing, "did not begin"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, func(s *Settings) { s.Shim = tt.shim })
			err := s.fails("acme", request{Act: "echo"}, runtimetest.Limits())
			if host.CodeOf(err) != host.CodeUnavailable || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestScrollKeepsLastWords(t *testing.T) {
	var s scroll
	write := func(text string) {
		if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	for range 100 {
		write(strings.Repeat("chatter\n", 200))
	}
	write("panic: oh no\n\ngoroutine 1 [running]:\n")
	for range 100 {
		write(strings.Repeat("main.main()\n", 200))
	}
	if got := lastWords(s.text()); got != "panic: oh no" || len(s.text()) > maxScroll {
		t.Errorf("of %d bytes the last words are %q", len(s.text()), got)
	}
}

func TestSpoutHandsOnLines(t *testing.T) {
	var got []string
	o := &outlet{}
	o.open(func(stream string, text []byte) { got = append(got, stream+":"+string(text)) }, 5000)
	w := o.stream("stdout")
	for _, part := range []string{"one\ntw", "o\n", strings.Repeat("x", maxHeld), "\nend"} {
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"stdout:one\n", "stdout:two\n", "stdout:" + strings.Repeat("x", maxHeld), "stdout:\n"}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("part %d is %q, want %q", i, got[i], want[i])
		}
	}
}

func TestLackingLayersAreNamedOnce(t *testing.T) {
	s := open(t, nil)
	k := s.runtime.keeper
	k.mu.Lock()
	k.note([]string{"landlock: none"})
	k.note([]string{"landlock: none", "cgroup: none"})
	k.mu.Unlock()
	if f := s.module.Facts(); f.Why != "landlock: none; cgroup: none" || f.Runtime != "process" || f.Metered {
		t.Errorf("got %+v", f)
	}
}

func TestARunnerThatWasNeverStarted(t *testing.T) {
	r := &runner{cmd: exec.Command("none"), name: "none"}
	if r.ID() != "0" || r.Name() != "none" || r.Diagnose(t.Context()) != "" || r.Kill(t.Context()) != nil || r.state() != nil {
		t.Error("it pretends to run")
	}
	if network, address, err := r.HostToPlugin("unix", "/x"); network != "unix" || address != "/x" || err != nil {
		t.Errorf("got %s %s, %v", network, address, err)
	}
	if e := endingOf(nil); e.code != -1 {
		t.Errorf("got %+v", e)
	}
}

func TestMessage(t *testing.T) {
	if got := message(host.Errorf(host.CodeInvalid, "a").WithHint("b")); got != "a" {
		t.Errorf("got %q", got)
	}
	if got := message(errors.New("c")); got != "c" {
		t.Errorf("got %q", got)
	}
}
