// Package wasm runs plugins as WebAssembly. Every call gets a sandbox in which
// nothing of another call is left, by one of four paths:
//
//   - page-scan: sandboxes are kept and made clean after each call by copying
//     back the pages that were written (Linux 6.7 and newer);
//   - pagemap: the same where the system is asked for each page (older Linux);
//   - madvise: the same by giving written pages back to the system (any Linux);
//   - fresh: a new instance for each call, by Extism's own SDK (anywhere, and
//     for modules whose state cannot be restored).
//
// All of them count fuel, enforce the same limits and give the same answers.
// Which one serves, and why not a faster one, is in plugin.Facts. What guests
// can call is in package kernel, how they are restored in sandbox, how they are
// made to count in rewrite. Which calls may be made, and what host services
// guests reach, is decided elsewhere.
//
// Compiled code is kept on disk below Settings.CacheDir (package vault): it is
// machine code, so whoever can write there could run code in the host. Boxes
// are bound to the digest of the module, the version of this package and of
// wazero, and the architecture.
package wasm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tetratelabs/wazero"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/wasm/sandbox"
	"github.com/callboard-dev/callboard/host/plugin/wasm/vault"
)

// Names of the paths, for Settings.Path and plugin.Facts.
const (
	PathAuto     = "auto"
	PathPageScan = string(sandbox.PageScan)
	PathPagemap  = string(sandbox.Pagemap)
	PathMadvise  = string(sandbox.Madvise)
	PathFresh    = "fresh"
)

// Settings of a Runtime.
type Settings struct {
	// CacheDir keeps compiled code. Required.
	CacheDir string
	// Key seals what is kept there: at least 16 bytes that only the host knows.
	// Without one, each process makes its own and reads no other's code.
	Key []byte
	// Path is the path to take, PathAuto if empty: for tests, and for operators
	// who must avoid one.
	Path string
	// MaxMemory is the most memory that any guest may have, in bytes; the
	// limits of single calls are enforced below it (512 MiB).
	MaxMemory int64
	// StartFuel is how much a guest may use to initialise itself, in units of
	// fuel (5,000,000,000: some seconds).
	StartFuel int64
	// MaxBoxes is how many sandboxes one module has at most (256). Who finds
	// none free waits.
	MaxBoxes int
	Log      *slog.Logger
}

// Runtime compiles WebAssembly plugins.
type Runtime struct {
	settings Settings
	vault    *vault.Vault
	path     sandbox.Path
	why      string
}

var _ plugin.Runtime = (*Runtime)(nil)

// New returns a Runtime whose cache is ready for use.
func New(s Settings) (*Runtime, error) {
	if s.MaxMemory <= 0 {
		s.MaxMemory = 512 << 20
	}
	if s.StartFuel <= 0 {
		s.StartFuel = 5_000_000_000
	}
	if s.MaxBoxes <= 0 {
		s.MaxBoxes = 256
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.CacheDir == "" {
		return nil, host.Errorf(host.CodeInvalid, "the folder for compiled plugins is not set")
	}
	if len(s.Key) == 0 {
		s.Key = make([]byte, 32)
		_, _ = rand.Read(s.Key) // it never fails
	}
	r := &Runtime{settings: s}
	if err := r.choose(s.Path); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(s.CacheDir)
	if err != nil {
		return nil, err
	}
	if r.vault, err = vault.Open(dir, s.Key); err != nil {
		return nil, badCache(dir, err)
	}
	return r, nil
}

// choose finds the path for modules that every path can take.
func (r *Runtime) choose(want string) error {
	found, why := sandbox.Detect()
	switch want {
	case "", PathAuto:
		r.path, r.why = found, why
	case PathPageScan, PathPagemap, PathMadvise:
		if err := sandbox.Try(sandbox.Path(want)); err != nil {
			why = err.Error()
			return host.Errorf(host.CodeUnavailable, "plugins cannot be run by the path %s here: %s", want, why).
				WithHint("set the path to %s", PathAuto)
		}
		r.path = sandbox.Path(want)
		if r.path != found {
			r.why = "the host's configuration chooses it"
		}
	case PathFresh:
		r.path, r.why = sandbox.None, "the host's configuration chooses it"
	default:
		return host.Errorf(host.CodeInvalid, "%q is no path of plugins", want).
			WithHint("it is one of %s, %s, %s, %s and %s", PathAuto, PathPageScan, PathPagemap, PathMadvise, PathFresh)
	}
	return nil
}

// Path returns the path that modules take unless they cannot, and why no faster
// one is taken.
func (r *Runtime) Path() (path, why string) {
	if r.path == sandbox.None {
		return PathFresh, r.why
	}
	return string(r.path), r.why
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

// boxName is the name of a digest's box in the vault.
func (r *Runtime) boxName(digest string) (string, error) {
	if !hexDigest.MatchString(digest) {
		return "", host.Errorf(host.CodeInvalid, "%q is not a sha256 digest", digest)
	}
	kind := "sandbox"
	if r.path == sandbox.None {
		kind = PathFresh
	}
	return strings.TrimPrefix(digest, "sha256:") + "-" + kind + "-" + buildTag(), nil
}

// Cached reports whether the code was compiled on this machine before.
func (r *Runtime) Cached(digest string) bool {
	name, err := r.boxName(digest)
	return err == nil && r.vault.Has(name)
}

// Forget removes compiled code from disk, that of other versions too.
func (r *Runtime) Forget(digest string) error {
	if _, err := r.boxName(digest); err != nil {
		return err
	}
	return r.vault.Remove(func(name string) bool { return strings.HasPrefix(name, strings.TrimPrefix(digest, "sha256:")) })
}

// Close has nothing to free: every module frees its own.
func (r *Runtime) Close(context.Context) error { return nil }

// Check looks at the code without compiling it.
func (r *Runtime) Check(code []byte) error {
	_, err := parse(code)
	return err
}

// Compile compiles the code and makes the image of its sandboxes, or loads what
// an earlier Compile left on disk. What was changed there is made anew. A disk
// that cannot be written costs the next start its cache, nothing else.
func (r *Runtime) Compile(ctx context.Context, digest string, code []byte) (plugin.Module, error) {
	name, err := r.boxName(digest)
	if err != nil {
		return nil, err
	}
	m, err := guarded(func() (plugin.Module, error) { return r.load(ctx, name) })
	if err == nil {
		return m, nil
	}
	if !errors.Is(err, vault.ErrNone) {
		r.settings.Log.Warn("compiling a plugin anew: its compiled code cannot be used", "digest", digest, "error", err)
		if err := r.vault.Remove(func(n string) bool { return n == name }); err != nil {
			r.settings.Log.Warn("removing compiled code", "digest", digest, "error", err)
		}
	}
	parsed, err := parse(code)
	if err != nil {
		return nil, err
	}
	draft, err := r.vault.Draft()
	if err != nil {
		r.settings.Log.Warn("compiled code cannot be kept for the next start", "error", err)
		draft = &vault.Draft{}
	}
	m, err = guarded(func() (plugin.Module, error) { return r.make(ctx, parsed, draft, name) })
	if draft.Dir != "" {
		if err := draft.Discard(); err != nil {
			r.settings.Log.Warn("removing a leftover of the compiler", "error", err)
		}
	}
	if err != nil {
		return nil, invalid(err)
	}
	return m, nil
}

// engineConfig is how the engine is set up for every path.
func engineConfig(cache wazero.CompilationCache) wazero.RuntimeConfig {
	return wazero.NewRuntimeConfigCompiler().WithCompilationCache(cache).WithDebugInfoEnabled(false)
}

// openCache opens the engine's own cache in a folder, or none if that is empty.
// Each module has one: only closing it gives the compiled code's memory back.
func openCache(dir string) (wazero.CompilationCache, error) {
	if dir == "" {
		return wazero.NewCompilationCache(), nil
	}
	c, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the compiler's cache: %w", err)
	}
	return c, nil
}
