package wasm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// answering builds a guest that answers a body of one letter.
func answering(letter byte) []byte {
	answer := `{"body":"` + string(letter) + `"}`
	b := &runtimetest.Assembly{}
	alloc := b.Import("extism:host/env", "alloc", []byte{runtimetest.I64}, []byte{runtimetest.I64})
	store := b.Import("extism:host/env", "store_u8", []byte{runtimetest.I64, runtimetest.I32}, nil)
	output := b.Import("extism:host/env", "output_set", []byte{runtimetest.I64, runtimetest.I64}, nil)
	b.Memory(1, 0)
	body := [][]byte{runtimetest.Int64(int64(len(answer))), runtimetest.Call(alloc), runtimetest.Set(0)}
	for i := range len(answer) {
		body = append(body, runtimetest.Get(0), runtimetest.Int64(int64(i)), runtimetest.Op(0x7c), runtimetest.Int32(int32(answer[i])), runtimetest.Call(store))
	}
	body = append(body, runtimetest.Get(0), runtimetest.Int64(int64(len(answer))), runtimetest.Call(output), runtimetest.Int32(0))
	b.Export(pluginv1.ExportCall, b.Function(nil, []byte{runtimetest.I32}, []byte{runtimetest.I64}, body...))
	return b.Bytes()
}

// answers makes one call.
func answers(t *testing.T, r *Runtime, code []byte) string {
	t.Helper()
	m, err := r.Compile(t.Context(), digestOf(code), code)
	if err != nil {
		t.Fatal(err)
	}
	o, err := m.Call(t.Context(), work("x"))
	if err != nil {
		t.Errorf("calling: %v", err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Errorf("closing: %v", err)
	}
	return string(o.Result.Body)
}

// TestCache damages what is on disk in the ways a disk or a person can: the
// code is compiled anew and answers what it should.
func TestCache(t *testing.T) {
	for _, path := range paths() {
		t.Run(path, func(t *testing.T) { cacheOf(t, path) })
	}
}

func cacheOf(t *testing.T, path string) {
	r := open(t, path)
	one, two := answering('1'), answering('2')
	boxOf := func(code []byte) string {
		name, err := r.boxName(digestOf(code))
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(r.settings.CacheDir, name)
	}
	if r.Cached(digestOf(one)) {
		t.Fatal("it is cached before it was compiled")
	}
	if got := answers(t, r, one) + answers(t, r, two); got != `"1""2"` {
		t.Fatalf("got %s", got)
	}
	files := func() (list []string) {
		err := filepath.WalkDir(boxOf(one), func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				list = append(list, p)
			}
			return err
		})
		if err != nil || len(list) < 3 {
			t.Fatalf("the box has %v, %v", list, err)
		}
		return list
	}
	for _, f := range files() {
		name := strings.TrimPrefix(f, boxOf(one))
		for what, harm := range map[string]func([]byte) []byte{
			"Flipped": func(b []byte) []byte { b[len(b)/2] ^= 0x40; return b },
			"Cut":     func(b []byte) []byte { return b[:len(b)/3] },
			"Empty":   func([]byte) []byte { return nil },
		} {
			t.Run(what+name, func(t *testing.T) {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(f, harm(b), 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := r.load(t.Context(), filepath.Base(boxOf(one))); err == nil {
					t.Error("it was loaded")
				}
				if got := answers(t, r, one); got != `"1"` {
					t.Errorf("got %s", got)
				}
				if _, err := os.Stat(f); err != nil {
					t.Errorf("it was not made anew: %v", err)
				}
			})
		}
	}
	t.Run("AnotherDigestsBox", func(t *testing.T) {
		if err := errors.Join(os.RemoveAll(boxOf(one)), os.CopyFS(boxOf(one), os.DirFS(boxOf(two)))); err != nil {
			t.Fatal(err)
		}
		if got := answers(t, r, one); got != `"1"` {
			t.Errorf("got %s: another module's code ran", got)
		}
	})
	t.Run("TheEngineMissesItsCode", func(t *testing.T) {
		// As on another processor: the seal is right, but the engine looks for
		// its code under another name.
		name := filepath.Base(boxOf(one))
		if got := answers(t, r, one); got != `"1"` {
			t.Fatalf("got %s", got)
		}
		box, err := r.vault.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		draft, err := r.vault.Draft()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(draft.Dir, os.DirFS(box.Dir)); err != nil {
			t.Fatal(err)
		}
		machine, err := filepath.Glob(filepath.Join(draft.Dir, "*", "*"))
		if err != nil || len(machine) == 0 {
			t.Fatal(machine, err)
		}
		for _, f := range machine {
			if err := os.Rename(f, f[:len(f)-8]+"00000000"); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Remove(filepath.Join(draft.Dir, "seal")), draft.Keep(name, box.Note)); err != nil {
			t.Fatal(err)
		}
		if got := answers(t, r, one) + answers(t, r, one); got != `"1""1"` {
			t.Errorf("got %s", got)
		}
	})
	t.Run("AnotherKey", func(t *testing.T) {
		other, err := New(Settings{CacheDir: r.settings.CacheDir, Key: []byte(strings.Repeat("z", 32)), Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.load(t.Context(), filepath.Base(boxOf(two))); err == nil {
			t.Error("it was loaded")
		}
		if got := answers(t, other, two); got != `"2"` {
			t.Errorf("got %s", got)
		}
	})
	t.Run("Forget", func(t *testing.T) {
		if err := r.Forget(digestOf(one)); err != nil || r.Cached(digestOf(one)) || !r.Cached(digestOf(two)) {
			t.Errorf("it is still cached, or all are gone: %v", err)
		}
	})
	t.Run("SeveralAtOnce", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if got := answers(t, r, one); got != `"1"` {
					t.Errorf("got %s", got)
				}
			})
		}
		wg.Wait()
	})
	t.Run("BadDigest", func(t *testing.T) {
		if _, err := r.Compile(t.Context(), "sha256:../..", one); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("got %v", err)
		}
		if r.Cached("x") || r.Forget("x") == nil {
			t.Error("it was accepted")
		}
	})
	t.Run("OnADiskThatIsGone", func(t *testing.T) {
		if err := errors.Join(os.RemoveAll(r.settings.CacheDir), os.WriteFile(r.settings.CacheDir, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if got := answers(t, r, one); got != `"1"` {
			t.Errorf("got %s", got)
		}
	})
}

func TestNew(t *testing.T) {
	for name, s := range map[string]Settings{
		"NoFolder": {}, "AFile": {CacheDir: "/dev/null/x"}, "NoPath": {CacheDir: t.TempDir(), Path: "magic"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(s); err == nil || host.CodeOf(err) == host.CodeInternal {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestFacts: a module says which path serves it, and why no faster one.
func TestFacts(t *testing.T) {
	dropping := guestOf(runtimetest.Int32(0), func(b *runtimetest.Assembly) {
		n := b.PassiveData([]byte("x"))
		b.Function(nil, nil, nil, runtimetest.Op(0xfc, 9, byte(n)))
	})
	for _, path := range paths() {
		r := open(t, path)
		f := compile(t, r, answering('1')).Facts()
		if got, why := r.Path(); f.Path != path || got != path || f.Why != why || f.Runtime != "wasm" || !f.Metered || f.ABI != 1 || f.Bytes < 1000 {
			t.Errorf("%s: %+v", path, f)
		}
		if (f.Why == "") != (path == PathPageScan) {
			t.Errorf("%s is chosen because %q", path, f.Why)
		}
		for range 2 { // compiled, then loaded
			if f := compile(t, r, dropping).Facts(); f.Path != PathFresh || path != PathFresh && !strings.Contains(f.Why, "drops segments") {
				t.Errorf("%s: %+v", path, f)
			}
		}
	}
}
