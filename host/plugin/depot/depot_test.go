package depot

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
)

var digest = "sha256:" + strings.Repeat("ab", 32)

func open(t *testing.T, dir string) *Depot {
	t.Helper()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPut(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	t.Run("OKForSeveralAtOnce", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := d.Put(digest, map[string][]byte{"a": []byte("1"), "b": []byte("2")}); err != nil {
					t.Error(err)
				}
			}()
		}
		wg.Wait()
		if b, err := d.Read(digest, "b"); err != nil || string(b) != "2" {
			t.Errorf("got %q, %v", b, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("the folder holds %v, %v", entries, err)
		}
	})
	t.Run("WhatIsThereStays", func(t *testing.T) {
		if err := d.Put(digest, map[string][]byte{"a": []byte("other")}); err != nil {
			t.Fatal(err)
		}
		if b, err := d.Read(digest, "a"); err != nil || string(b) != "1" {
			t.Errorf("got %q, %v", b, err)
		}
	})
	t.Run("BadDigest", func(t *testing.T) {
		for _, bad := range []string{"", "sha256:../../etc", "sha256:" + strings.Repeat("AB", 32)} {
			if err := d.Put(bad, nil); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("%q gave %v", bad, err)
			}
		}
	})
	t.Run("RemoveAndAgain", func(t *testing.T) {
		if list, err := d.Digests(); err != nil || !slices.Equal(list, []string{digest}) {
			t.Errorf("got %v, %v", list, err)
		}
		for range 2 {
			if err := d.Remove(digest); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d.Read(digest, "a"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("NameCannotLeadOut", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Read(digest, "../secret"); err == nil {
			t.Error("it was read")
		}
	})
}

// TestOpenAfterKill leaves what a process that was killed while it wrote
// leaves, and looks at what a start makes of it.
func TestOpenAfterKill(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	make := func(name string, age time.Duration) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		return path
	}
	gone := []string{
		make(partial+strconv.Itoa(dead.Process.Pid)+"-1", 0), make(partial+"junk", 0), make(partial+strconv.Itoa(os.Getpid())+"-2", time.Hour),
	}
	kept := make(partial+strconv.Itoa(os.Getpid())+"-3", 0)
	open(t, dir)
	for _, p := range gone {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", filepath.Base(p), err)
		}
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what this process writes was removed: %v", err)
	}
}

func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(filepath.Join(file, "releases"))
	if host.CodeOf(err) != host.CodeUnavailable || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("got %v", err)
	}
}
