package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree writes a folder that looks like a delegated part of the tree.
func tree(t *testing.T, controllers string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"cgroup.controllers": controllers, "cgroup.subtree_control": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestFind(t *testing.T) {
	dir := tree(t, "cpu memory pids\n")
	own := "9:name=systemd:/x\n0::/" + filepath.Base(dir) + "/host\n"
	yes, no := func(string) bool { return true }, func(string) bool { return false }
	t.Run("what was given", func(t *testing.T) {
		got, err := find(filepath.Dir(dir), own, yes)
		if err != nil || got.dir != dir || read(t, dir, "cgroup.subtree_control") != "+memory +pids" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	for name, tt := range map[string]struct {
		own   string
		given func(string) bool
	}{
		"nothing that was not given": {own, no},
		"nothing at the root":        {"0::/\n", yes},
		"nothing of version 1":       {"4:memory:/a/b\n", yes},
		"nothing where nothing is":   {"", yes},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := find(filepath.Dir(dir), tt.own, tt.given); !errors.Is(err, ErrNone) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("nothing without controllers", func(t *testing.T) {
		bare := tree(t, "cpu io\n")
		if _, err := find(filepath.Dir(bare), "0::/"+filepath.Base(bare)+"/host", yes); err == nil || !strings.Contains(err.Error(), "memory") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nothing here that was not given", func(t *testing.T) {
		if _, err := Find(); err != nil && !errors.Is(err, ErrNone) {
			t.Error(err)
		}
	})
}

func TestGroup(t *testing.T) {
	t.Run("has its limits", func(t *testing.T) {
		dir := tree(t, "memory pids")
		parent, err := openAt(dir)
		if err != nil {
			t.Fatal(err)
		}
		// A kernel puts the files there by itself; this folder's do not exist,
		// as on a system that has the controllers no more.
		if _, err := parent.Make("a", Limits{Memory: 5 << 20, Tasks: 7}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "plugin-a")); !errors.Is(err, os.ErrNotExist) {
			t.Error("half a group is left")
		}
	})
	t.Run("of controllers that are there alone", func(t *testing.T) {
		parent := &Tree{dir: tree(t, "cpu")}
		g, err := parent.Make("b", Limits{Memory: 5 << 20})
		if err != nil {
			t.Fatal(err)
		}
		f, err := g.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Close(), g.Remove()); err != nil {
			t.Error(err)
		}
	})
	t.Run("is made once", func(t *testing.T) {
		parent := &Tree{dir: tree(t, "cpu")}
		if _, err := parent.Make("c", Limits{}); err != nil {
			t.Fatal(err)
		}
		if _, err := parent.Make("c", Limits{}); !errors.Is(err, os.ErrExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("tells of what its process died", func(t *testing.T) {
		g := &Group{dir: t.TempDir()}
		for events, want := range map[string]bool{"low 0\noom 1\noom_kill 1\n": true, "oom_kill 0\n": false, "": false} {
			if err := os.WriteFile(filepath.Join(g.dir, "memory.events"), []byte(events), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := g.OutOfMemory(); got != want {
				t.Errorf("%q: got %v", events, got)
			}
		}
		if (&Group{dir: "/nowhere"}).OutOfMemory() {
			t.Error("a group that is gone died of memory")
		}
	})
}

func TestNumber(t *testing.T) {
	for n, want := range map[int64]string{0: "max", -1: "max", 7: "7"} {
		if got := number(n); got != want {
			t.Errorf("%d: got %s", n, got)
		}
	}
}

func TestSetWritesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "memory.max"), []byte("max\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&Tree{}).set(dir, "memory.max", "5242880"); err != nil || read(t, dir, "memory.max") != "5242880" {
		t.Errorf("got %q, %v", read(t, dir, "memory.max"), err)
	}
}
