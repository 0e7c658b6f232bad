// Package wasm runs plugins as WebAssembly: Extism's ABI on wazero, a fresh
// instance for every call, real randomness and a real clock, and limits on
// time, memory and output that name themselves when they are hit. Which calls
// may be made, and what guests may reach, is decided elsewhere.
//
// Compiled code is kept on disk below Settings.CacheDir, one folder for each
// digest. It is machine code: whoever can write there runs code in the host,
// so the folder belongs to the host's user alone (0700), and Open refuses one
// that does not.
package wasm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
)

// Settings of a Runtime.
type Settings struct {
	// CacheDir keeps compiled code. Required.
	CacheDir string
	// MaxMemory is the most memory that any guest may have, in bytes; the
	// limits of single calls are enforced below it (512 MiB).
	MaxMemory int64
	Log       *slog.Logger
}

// Runtime compiles WebAssembly plugins.
type Runtime struct {
	settings Settings
}

var _ plugin.Runtime = (*Runtime)(nil)

// New returns a Runtime whose cache is ready for use.
func New(s Settings) (*Runtime, error) {
	if s.MaxMemory <= 0 {
		s.MaxMemory = 512 << 20
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.CacheDir == "" {
		return nil, host.Errorf(host.CodeInvalid, "the folder for compiled plugins is not set")
	}
	dir, err := filepath.Abs(s.CacheDir)
	if err != nil {
		return nil, err
	}
	s.CacheDir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, badCache(dir, err)
	}
	if err := ownedAlone(dir); err != nil {
		return nil, badCache(dir, err)
	}
	r := &Runtime{settings: s}
	r.sweep()
	return r, nil
}

func badCache(dir string, err error) error {
	e := host.Errorf(host.CodeUnavailable, "the folder for compiled plugins cannot be used: %v", reason(err)).
		At(dir).WithHint("it must be writable, belong to the user that runs callboard and be closed to all others: chmod 700")
	e.Err = err
	return e
}

func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

var hexDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

const (
	// complete marks a cache folder whose compilation came to its end.
	complete = "complete"
	// partial begins the name of one that is being filled; after staleAfter
	// nobody does any more.
	partial    = ".partial-"
	staleAfter = time.Hour
)

func (r *Runtime) folder(digest string) (string, error) {
	if !hexDigest.MatchString(digest) {
		return "", host.Errorf(host.CodeInvalid, "%q is not a sha256 digest", digest)
	}
	return filepath.Join(r.settings.CacheDir, strings.TrimPrefix(digest, "sha256:")), nil
}

// Cached reports whether the code was compiled on this machine before.
func (r *Runtime) Cached(digest string) bool {
	dir, err := r.folder(digest)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, complete))
	return err == nil
}

// Forget removes compiled code from disk.
func (r *Runtime) Forget(digest string) error {
	dir, err := r.folder(digest)
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Close has nothing to free: every module frees its own.
func (r *Runtime) Close(context.Context) error { return nil }

// Check looks at the code without compiling it.
func (r *Runtime) Check(code []byte) error { return check(code) }

// Compile compiles the code, or loads what an earlier Compile left on disk. A
// cache that cannot be read, or whose checksum is wrong, is compiled anew. A
// disk that cannot be written costs the next start its cache, nothing else.
func (r *Runtime) Compile(ctx context.Context, digest string, code []byte) (plugin.Module, error) {
	if err := check(code); err != nil {
		return nil, err
	}
	dir, err := r.folder(digest)
	if err != nil {
		return nil, err
	}
	if r.Cached(digest) {
		m, err := r.compile(ctx, dir, code)
		if err == nil {
			return m, nil
		}
		r.settings.Log.Warn("compiling a plugin anew: its compiled code cannot be used", "digest", digest, "error", err)
		if err := os.RemoveAll(dir); err != nil {
			r.settings.Log.Warn("removing compiled code", "digest", digest, "error", err)
		}
	}
	return r.fresh(ctx, digest, dir, code)
}

// fresh compiles into a folder of its own and puts it in place when it is
// complete, so that several processes may compile the same code.
func (r *Runtime) fresh(ctx context.Context, digest, dir string, code []byte) (plugin.Module, error) {
	tmp, err := os.MkdirTemp(r.settings.CacheDir, partial)
	if err != nil {
		r.settings.Log.Warn("compiled code cannot be kept for the next start", "error", err)
		tmp = ""
	}
	m, err := r.compile(ctx, tmp, code)
	if err != nil {
		return nil, errors.Join(invalid(err), os.RemoveAll(tmp))
	}
	if tmp == "" {
		return m, nil
	}
	err = os.WriteFile(filepath.Join(tmp, complete), nil, 0o600)
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err != nil && !r.Cached(digest) {
		r.settings.Log.Warn("compiled code cannot be kept for the next start", "digest", digest, "error", err)
	}
	if err := os.RemoveAll(tmp); err != nil {
		r.settings.Log.Warn("removing a leftover of the compiler", "error", err)
	}
	return m, nil
}

// sweep removes what killed processes left half compiled.
func (r *Runtime) sweep() {
	entries, err := os.ReadDir(r.settings.CacheDir)
	if err != nil {
		return // New finds out by itself whether the folder can be used
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), partial) && time.Since(info.ModTime()) > staleAfter {
			_ = os.RemoveAll(filepath.Join(r.settings.CacheDir, e.Name())) // tried again at the next start
		}
	}
}

// invalid explains why code does not compile.
func invalid(err error) error {
	if host.CodeOf(err) != host.CodeInternal {
		return err
	}
	text := err.Error()
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	e := host.Errorf(host.CodeInvalid, "the code is not valid WebAssembly: %s", text).
		WithHint("build it with callboard plugin build, or GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared")
	e.Err = err
	return e
}

// compile compiles with the cache folder dir, or none if it is empty. Each release has a cache object
// of its own: only closing it gives the compiled code's memory back.
func (r *Runtime) compile(ctx context.Context, dir string, code []byte) (m *module, err error) {
	defer func() {
		// The compiler meets strangers' code and damaged caches.
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("compiling: %v", p)
		}
	}()
	if code, err = interruptible(code); err != nil {
		return nil, err
	}
	if code, err = rewritten(code, sectionTable, boundedTables); err != nil {
		return nil, err
	}
	cache := wazero.NewCompilationCache()
	if dir != "" {
		if cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
			return nil, badCache(dir, err)
		}
	}
	pages := uint32(r.settings.MaxMemory >> 16)
	compiled, err := extism.NewCompiledPlugin(
		withOutputGuard(ctx),
		extism.Manifest{
			Wasm:   []extism.Wasm{extism.WasmData{Data: mergeData(code)}},
			Memory: &extism.ManifestMemory{MaxPages: pages, MaxHttpResponseBytes: 0, MaxVarBytes: 1 << 20},
			// The real limit is the deadline of each call's context. This one
			// makes guests interruptible and is a net below it.
			Timeout: uint64(backstop.Milliseconds()),
		},
		extism.PluginConfig{
			RuntimeConfig: wazero.NewRuntimeConfig().WithCompilationCache(cache).WithCloseOnContextDone(true),
			EnableWasi:    true,
		},
		[]extism.HostFunction{hostFunction()},
	)
	if err != nil {
		return nil, errors.Join(err, cache.Close(ctx))
	}
	return &module{compiled: compiled, cache: cache}, nil
}
