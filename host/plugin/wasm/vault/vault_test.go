package vault

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

var key = bytes.Repeat([]byte("k"), 32)

func open(t *testing.T, dir string) *Vault {
	t.Helper()
	v, err := Open(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fill makes a box with two files.
func fill(t *testing.T, v *Vault, name, content string) {
	t.Helper()
	d, err := v.Draft()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(d.Dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"a", "sub/b"} {
		if err := os.WriteFile(filepath.Join(d.Dir, f), []byte(content+f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Keep(name, []byte("note of "+name)); err != nil {
		t.Fatal(err)
	}
	if err := d.Discard(); err != nil {
		t.Error(err)
	}
}

func TestWhatWasKeptIsRead(t *testing.T) {
	v := open(t, t.TempDir())
	if _, err := v.Read("one"); !errors.Is(err, ErrNone) || v.Has("one") {
		t.Fatalf("before it was kept: %v", err)
	}
	fill(t, v, "one", "x")
	fill(t, v, "one", "y") // in place of the first
	b, err := v.Read("one", "a")
	if err != nil || !v.Has("one") {
		t.Fatal(err)
	}
	if string(b.File("a")) != "ya" || b.File("sub/b") != nil || string(b.Note) != "note of one" || b.Size != 2+6 {
		t.Errorf("got %+v", b)
	}
	if raw, err := os.ReadFile(filepath.Join(b.Dir, "sub", "b")); err != nil || string(raw) != "ysub/b" {
		t.Errorf("got %q, %v", raw, err)
	}
	if err := b.Unchanged(); err != nil {
		t.Error(err)
	}
	change(t, b.Dir, "a", func(b []byte) []byte { return b[:1] })
	if b.Unchanged() == nil {
		t.Error("a file that was cut after it was read is not noticed")
	}
	if left, err := os.ReadDir(v.dir); err != nil || len(left) != 1 {
		t.Errorf("leftovers: %v, %v", left, err)
	}
	if err := v.Remove(func(name string) bool { return name == "one" }); err != nil || v.Has("one") {
		t.Errorf("it is still there: %v", err)
	}
}

// TestWhatWasChangedIsBroken does to a box what a disk, a restore or a person
// can do.
func TestWhatWasChangedIsBroken(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, v *Vault, dir string){
		"FlippedFile": func(t *testing.T, _ *Vault, dir string) {
			change(t, dir, "a", func(b []byte) []byte { b[0] ^= 1; return b })
		},
		"CutFile": func(t *testing.T, _ *Vault, dir string) { change(t, dir, "a", func(b []byte) []byte { return b[:1] }) },
		"LongerFile": func(t *testing.T, _ *Vault, dir string) {
			change(t, dir, "a", func(b []byte) []byte { return append(b, 0) })
		},
		"EmptyFile": func(t *testing.T, _ *Vault, dir string) { change(t, dir, "sub/b", func([]byte) []byte { return nil }) },
		"FlippedSeal": func(t *testing.T, _ *Vault, dir string) {
			change(t, dir, sealFile, func(b []byte) []byte { b[len(b)-3] ^= 1; return b })
		},
		"FlippedMAC": func(t *testing.T, _ *Vault, dir string) {
			change(t, dir, sealFile, func(b []byte) []byte { b[0] ^= 1; return b })
		},
		"CutSeal": func(t *testing.T, _ *Vault, dir string) {
			change(t, dir, sealFile, func(b []byte) []byte { return b[:20] })
		},
		"HugeSeal": func(t *testing.T, _ *Vault, dir string) {
			change(t, dir, sealFile, func([]byte) []byte { return make([]byte, maxSeal+1) })
		},
		"SwappedFiles": func(t *testing.T, _ *Vault, dir string) {
			swap(t, filepath.Join(dir, "a"), filepath.Join(dir, "sub", "b"))
		},
		"MissingFile": func(t *testing.T, _ *Vault, dir string) { must(t, os.Remove(filepath.Join(dir, "a"))) },
		"ForeignFile": func(t *testing.T, _ *Vault, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "sub", "c"), nil, 0o600))
		},
		"LinkForFile": func(t *testing.T, _ *Vault, dir string) {
			must(t, os.Remove(filepath.Join(dir, "a")))
			must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "a")))
		},
		"OtherBox": func(t *testing.T, v *Vault, dir string) {
			fill(t, v, "two", "x")
			must(t, os.RemoveAll(dir))
			must(t, os.Rename(filepath.Join(v.dir, "two"), dir))
		},
		"FileOfOtherBox": func(t *testing.T, v *Vault, dir string) {
			fill(t, v, "two", "z")
			swap(t, filepath.Join(dir, "a"), filepath.Join(v.dir, "two", "a"))
		},
		"SealOfOtherBox": func(t *testing.T, v *Vault, dir string) {
			fill(t, v, "two", "x")
			swap(t, filepath.Join(dir, sealFile), filepath.Join(v.dir, "two", sealFile))
		},
		"OtherKey": func(t *testing.T, v *Vault, _ string) { v.key = bytes.Repeat([]byte("l"), 32) },
	} {
		t.Run(name, func(t *testing.T) {
			v := open(t, t.TempDir())
			fill(t, v, "one", "x")
			harm(t, v, filepath.Join(v.dir, "one"))
			_, err := v.Read("one", "a")
			var broken *BrokenError
			if !errors.As(err, &broken) || broken.Error() == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func change(t *testing.T, dir, name string, to func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, to(b), 0o600))
}

func swap(t *testing.T, a, b string) {
	t.Helper()
	must(t, os.Rename(a, a+".tmp"))
	must(t, os.Rename(b, a))
	must(t, os.Rename(a+".tmp", b))
}

func TestOpen(t *testing.T) {
	t.Run("MakesTheFolderPrivate", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "vault")
		must(t, os.Mkdir(dir, 0o777))
		open(t, dir)
		if info, err := os.Stat(dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
			t.Errorf("its mode is %v, %v", info.Mode(), err)
		}
	})
	t.Run("SweepsWhatAKillLeft", func(t *testing.T) {
		dir := t.TempDir()
		old, young := filepath.Join(dir, partial+"1"), filepath.Join(dir, partial+"2")
		for _, p := range []string{old, young} {
			must(t, os.Mkdir(p, 0o700))
		}
		at := time.Now().Add(-2 * staleAfter)
		must(t, os.Chtimes(old, at, at))
		open(t, dir)
		if _, err := os.Stat(old); err == nil {
			t.Error("the old leftover is still there")
		}
		if _, err := os.Stat(young); err != nil {
			t.Error("another process lost what it is writing")
		}
	})
	t.Run("RefusesAFile", func(t *testing.T) {
		if _, err := Open("/dev/null/x", key); err == nil {
			t.Error("it opened")
		}
		file := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(file, nil, 0o600))
		if _, err := Open(file, key); err == nil {
			t.Error("it opened")
		}
	})
	t.Run("RefusesAShortKey", func(t *testing.T) {
		if _, err := Open(t.TempDir(), key[:8]); err == nil {
			t.Error("it opened")
		}
	})
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "key")
	one, err := KeyFile(path)
	must(t, err)
	two, err := KeyFile(path)
	must(t, err)
	if len(one) != keySize || !bytes.Equal(one, two) {
		t.Errorf("got %x and %x", one, two)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	must(t, os.WriteFile(path, []byte("cut"), 0o600))
	if three, err := KeyFile(path); err != nil || len(three) != keySize || bytes.Equal(one, three) {
		t.Errorf("a file that was cut gave %x, %v", three, err)
	}
	if _, err := KeyFile("/dev/null/x/key"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
