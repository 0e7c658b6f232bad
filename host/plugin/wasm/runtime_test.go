package wasm

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// section writes one section of a module.
func section(id byte, body ...byte) []byte {
	return append([]byte{id, byte(len(body))}, body...)
}

func text(s string) []byte { return append([]byte{byte(len(s))}, s...) }

// module assembles a module that exports callboard_call with this body, and
// imports one thing.
func assemble(body []byte, imports []byte, more ...[]byte) []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = append(out, section(1, 1, 0x60, 0, 1, 0x7f)...) // type 0: () -> i32
	if imports != nil {
		out = append(out, section(2, append([]byte{1}, imports...)...)...)
	}
	out = append(out, section(3, 1, 0)...)
	out = append(out, section(5, 1, 0, 1)...) // one page of memory
	index := byte(0)
	if imports != nil && imports[len(imports)-2] == kindFunction {
		index = 1
	}
	exports := append([]byte{1}, text("callboard_call")...)
	out = append(out, section(7, append(exports, kindFunction, index)...)...)
	for _, m := range more {
		out = append(out, m...)
	}
	code := append([]byte{byte(len(body) + 1), 0}, body...)
	return append(out, section(10, append([]byte{1}, code...)...)...)
}

func imported(module, field string, kind ...byte) []byte {
	return append(append(text(module), text(field)...), kind...)
}

var (
	returnsZero = []byte{0x41, 0, 0x0b}
	unreachable = []byte{0x00, 0x0b}
	endless     = []byte{0x03, 0x40, 0x0c, 0, 0x0b, 0x41, 0, 0x0b}
	callsItself = []byte{0x10, 0, 0x0b}
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		code []byte
		says string
	}{
		"OK":                 {assemble(returnsZero, nil), ""},
		"OKWithImports":      {assemble(returnsZero, imported("extism:host/user", "callboard_host", kindFunction, 0)), ""},
		"Museum":             {runtimetest.Museum(t), ""},
		"Empty":              {nil, "not a WebAssembly module"},
		"ELF":                {[]byte("\x7fELF\x02\x01\x01\x00"), "not a WebAssembly module"},
		"Component":          {[]byte("\x00asm\x0d\x00\x01\x00"), "component"},
		"Bare":               {[]byte("\x00asm\x01\x00\x00\x00"), "does not export callboard_call"},
		"Cut":                {assemble(returnsZero, nil)[:20], "ends in the middle"},
		"OtherModule":        {assemble(returnsZero, imported("env", "system", kindFunction, 0)), `"env"`},
		"OtherHostFunction":  {assemble(returnsZero, imported("extism:host/user", "exec", kindFunction, 0)), "host function"},
		"ExtismHTTP":         {assemble(returnsZero, imported("extism:host/env", "http_request", kindFunction, 0)), "http/v1"},
		"ImportedMemory":     {assemble(returnsZero, imported("extism:host/env", "memory", kindMemory, 0, 1)), "imports a memory"},
		"ImportedTable":      {assemble(returnsZero, imported("other", "t", kindTable, 0x70, 1, 1, 2)), "imports a table"},
		"ImportedGlobal":     {assemble(returnsZero, imported("other", "g", kindGlobal, 0x7f, 0)), `"other"`},
		"ImportedTag":        {assemble(returnsZero, imported("other", "e", kindTag, 0, 0)), `"other"`},
		"ImportOfNoKind":     {assemble(returnsZero, imported("other", "x", 9, 0)), "unknown kind"},
		"StartFunction":      {assemble(returnsZero, nil, section(8, 0)), "start function"},
		"ExportIsNoFunction": {bytes.Replace(assemble(returnsZero, nil), append([]byte("callboard_call"), 0), append([]byte("callboard_call"), kindMemory), 1), "does not export"},
	} {
		t.Run(name, func(t *testing.T) {
			err := check(c.code)
			if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || host.CodeOf(err) != host.CodeInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(assemble(returnsZero, nil))
	f.Add(assemble(returnsZero, imported("other", "t", kindTable, 0x70, 1, 1, 2)))
	f.Fuzz(func(t *testing.T, code []byte) {
		if err := check(code); err != nil && host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("not explained: %v", err)
		}
	})
}

// TestTinyGuests runs guests that no toolchain would make.
func TestTinyGuests(t *testing.T) {
	r := open(t)
	for name, c := range map[string]struct {
		body []byte
		code host.Code
		says string
	}{
		"Unreachable": {unreachable, host.CodePluginTrap, "unreachable"},
		"Endless":     {endless, host.CodePluginTimeout, "200ms"},
		"CallsItself": {callsItself, host.CodePluginTrap, "overflowed its stack"},
	} {
		t.Run(name, func(t *testing.T) {
			code := assemble(c.body, nil)
			m, err := r.Compile(t.Context(), manifest.DigestOf(code), code)
			if err != nil {
				t.Fatal(err)
			}
			lim := runtimetest.Limits()
			lim.Timeout = 200 * time.Millisecond
			if c.code != host.CodePluginTimeout {
				lim.Timeout = 20 * time.Second
			}
			if _, err := m.Call(t.Context(), plugin.Work{Limits: lim}); host.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v: %v", err, host.AsError(err).Err)
			}
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("InvalidCodeInside", func(t *testing.T) {
		code := assemble([]byte{0xff, 0x0b}, nil)
		if _, err := r.Compile(t.Context(), manifest.DigestOf(code), code); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("got %v", err)
		}
		if left, err := os.ReadDir(r.settings.CacheDir); err != nil || len(left) > 3 {
			t.Errorf("leftovers: %v, %v", left, err)
		}
	})
}

// TestCache damages what is on disk in the ways a disk or a person can.
func TestCache(t *testing.T) {
	r := open(t)
	code := assemble(returnsZero, nil)
	digest := manifest.DigestOf(code)
	use := func(t *testing.T) {
		t.Helper()
		m, err := r.Compile(t.Context(), digest, code)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Call(t.Context(), plugin.Work{Limits: runtimetest.Limits()}); host.CodeOf(err) != host.CodePluginOutput {
			t.Error(err)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if r.Cached(digest) {
		t.Fatal("it is cached before it was compiled")
	}
	use(t)
	if !r.Cached(digest) {
		t.Fatal("it is not cached")
	}
	damage := map[string]func([]byte) []byte{
		"Flipped": func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b },
		"Cut":     func(b []byte) []byte { return b[:len(b)/3] },
		"Empty":   func([]byte) []byte { return nil },
		"Junk":    func([]byte) []byte { return []byte("junk") },
	}
	for name, f := range damage {
		t.Run(name, func(t *testing.T) {
			dir, err := r.folder(digest)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || d.Name() == complete {
					return err
				}
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				n++
				return os.WriteFile(path, f(b), 0o600)
			})
			if err != nil || n == 0 {
				t.Fatalf("damaged %d files, %v", n, err)
			}
			use(t)
		})
	}
	t.Run("Forget", func(t *testing.T) {
		if err := r.Forget(digest); err != nil || r.Cached(digest) {
			t.Errorf("it is still cached, %v", err)
		}
		use(t)
	})
	t.Run("SeveralProcesses", func(t *testing.T) {
		if err := r.Forget(digest); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 6 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				use(t)
			}()
		}
		wg.Wait()
	})
	t.Run("BadDigest", func(t *testing.T) {
		if _, err := r.Compile(t.Context(), "sha256:../..", code); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("got %v", err)
		}
		if r.Cached("x") || r.Forget("x") == nil {
			t.Error("it was accepted")
		}
	})
	t.Run("OnADiskThatIsGone", func(t *testing.T) {
		if err := os.RemoveAll(r.settings.CacheDir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.settings.CacheDir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		use(t)
	})
}

func TestNew(t *testing.T) {
	t.Run("MakesTheFolderPrivate", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "compiled")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Settings{CacheDir: dir}); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
			t.Errorf("its mode is %v, %v", info.Mode(), err)
		}
	})
	t.Run("SweepsWhatAKillLeft", func(t *testing.T) {
		dir := t.TempDir()
		old, young := filepath.Join(dir, partial+"1"), filepath.Join(dir, partial+"2")
		for _, p := range []string{old, young} {
			if err := os.Mkdir(p, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		at := time.Now().Add(-2 * staleAfter)
		if err := os.Chtimes(old, at, at); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Settings{CacheDir: dir}); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(old); err == nil {
			t.Error("the old leftover is still there")
		}
		if _, err := os.Stat(young); err != nil {
			t.Error("another process lost what it is writing")
		}
	})
	for name, dir := range map[string]string{"NoFolder": "", "AFile": "/dev/null/x"} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(Settings{CacheDir: dir}); err == nil || host.CodeOf(err) == host.CodeInternal {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestMemoryIsGivenBack: after many calls and traps no sandbox is left mapped.
func TestMemoryIsGivenBack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("only Linux shows what is mapped")
		return
	}
	b := runtimetest.Open(t, open(t))
	mapped := func() int {
		raw, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			t.Fatal(err)
		}
		var n int
		for _, c := range raw {
			if c == ' ' {
				break
			}
			n = n*10 + int(c-'0')
		}
		return n * os.Getpagesize()
	}
	lim := runtimetest.Limits()
	lim.Timeout = 100 * time.Millisecond
	burn := func() {
		for _, act := range []string{"echo", "panic", "exit", "flood"} {
			_, _ = b.Act(context.Background(), act, 2<<20, lim, nil)
		}
	}
	burn()
	before := mapped()
	for range 20 {
		burn()
	}
	if grown := mapped() - before; grown > 20*int(lim.Memory)/4 {
		t.Errorf("80 calls left %d MiB mapped", grown>>20)
	}
}

func BenchmarkCall(b *testing.B) {
	bench := runtimetest.Open(b, open(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bench.Act(context.Background(), "echo", 1, runtimetest.Limits(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	code := runtimetest.Museum(b)
	digest := manifest.DigestOf(code)
	run := func(b *testing.B, forget bool) {
		r := open(b)
		var m plugin.Module
		for b.Loop() {
			if forget {
				if err := r.Forget(digest); err != nil {
					b.Fatal(err)
				}
			}
			var err error
			if m, err = r.Compile(context.Background(), digest, code); err != nil {
				b.Fatal(err)
			}
			if err := m.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("anew", func(b *testing.B) { run(b, true) })
	b.Run("cached", func(b *testing.B) { run(b, false) })
}
