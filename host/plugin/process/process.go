// Package process runs plugins as processes of their own, for heavy plugins
// that an operator trusts: go-plugin's handshake and AutoMTLS over a unix
// socket, one process for each release and tenant, started at its first call
// and stopped when it rests. What a call may use, and what its host services
// answer, is the same as in the sandbox; package shim takes from the process
// what it does not need.
//
// A process keeps its memory between the calls of its tenant, and never sees
// another tenant's. One that ends by itself, or answers no pings, is started
// again after a pause that doubles; one that has failed three times in an hour
// stays down until somebody revives it. A call that does not end soon after its
// deadline costs the process its life once the calls beside it are done.
//
// It decides who may install such a plugin as little as what a plugin may
// reach: that is House's and host/service's.
package process

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
)

// Settings of a Runtime. Zero values take the defaults.
type Settings struct {
	// Dir keeps the programs of plugins. Required; it belongs to the host's
	// user alone.
	Dir string
	// Shim is the program that runs package shim under its verb; empty means
	// the program that runs now.
	Shim string
	// Failed is called once when a release has failed too often for a tenant
	// to be started again. It may be nil and must not block.
	Failed func(digest, tenant string, why error)
	// MaxProcesses is how many processes run at a time (64). IdleAfter is when
	// one that nobody calls is stopped (5 min).
	MaxProcesses int
	IdleAfter    time.Duration
	// PingEvery is how often a process is asked whether it lives (30 s),
	// PingTimeout how long it may think about it (5 s), MaxPings how many
	// answers in a row may be missing (3).
	PingEvery, PingTimeout time.Duration
	MaxPings               int
	// Backoff is how long a process stays down after its first failure (500
	// ms); it doubles with each. MaxFailures in FailureWindow are the end (3 in
	// 60 min).
	Backoff       time.Duration
	MaxFailures   int
	FailureWindow time.Duration
	// StartTimeout is how long a process may take to begin (20 s), Grace how
	// long a call may take to end after its deadline (1 s).
	StartTimeout, Grace time.Duration
	// MinMemory is the least memory that a process gets on top of what it needs
	// to do nothing, in bytes (16 MiB): Go takes it 4 MiB at a time.
	MinMemory int64
	Log       *slog.Logger
}

func (s Settings) filled() Settings {
	span := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	count := func(n *int, to int) {
		if *n <= 0 {
			*n = to
		}
	}
	span(&s.IdleAfter, 5*time.Minute)
	span(&s.PingEvery, 30*time.Second)
	span(&s.PingTimeout, 5*time.Second)
	span(&s.Backoff, 500*time.Millisecond)
	span(&s.FailureWindow, time.Hour)
	span(&s.StartTimeout, 20*time.Second)
	span(&s.Grace, time.Second)
	count(&s.MaxProcesses, 64)
	count(&s.MaxPings, 3)
	count(&s.MaxFailures, 3)
	if s.MinMemory <= 0 {
		s.MinMemory = 16 << 20
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Runtime starts and stops the processes of plugins.
type Runtime struct {
	settings Settings
	keeper   *keeper
}

var _ plugin.Runtime = (*Runtime)(nil)

// New returns a Runtime. Close it to end its processes.
func New(s Settings) (*Runtime, error) {
	s = s.filled()
	if runtime.GOOS != "linux" {
		return nil, host.Errorf(host.CodeUnavailable, "plugins run as processes on Linux only")
	}
	if s.Dir == "" {
		return nil, host.Errorf(host.CodeInvalid, "the folder for the programs of plugins is not set")
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return nil, err
	}
	s.Dir = dir
	if err := private(dir); err != nil {
		return nil, err
	}
	if s.Shim == "" {
		if s.Shim, err = os.Executable(); err != nil {
			return nil, host.Errorf(host.CodeUnavailable, "the program that runs cannot be found: %w", err)
		}
	}
	return &Runtime{settings: s, keeper: newKeeper(s)}, nil
}

// private makes the folder and closes it to everybody else.
func private(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.Chmod(dir, 0o700)
	}
	if err == nil {
		return nil
	}
	var p *fs.PathError
	reason := err
	if errors.As(err, &p) {
		reason = p.Err
	}
	e := host.Errorf(host.CodeUnavailable, "the folder for the programs of plugins cannot be used: %v", reason).At(dir).
		WithHint("it must be writable and belong to the user that runs callboard")
	e.Err = err
	return e
}

// Platform is the one for which programs of plugins are taken.
func Platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// Check looks at the program for this platform without starting it.
func (r *Runtime) Check(code []byte) error {
	program, err := manifest.Program(code, Platform())
	if err != nil {
		return err
	}
	return checkProgram(program)
}

// Compile puts the program on disk. Nothing is started before the first call.
func (r *Runtime) Compile(_ context.Context, digest string, code []byte) (plugin.Module, error) {
	if err := r.Check(code); err != nil {
		return nil, err
	}
	program, err := manifest.Program(code, Platform())
	if err != nil {
		return nil, err
	}
	file, err := r.file(digest)
	if err != nil {
		return nil, err
	}
	p := newProgram(file, program)
	if p.intact() != nil {
		if err := p.write(program); err != nil {
			return nil, host.Errorf(host.CodeUnavailable, "the plugin's program cannot be put on disk: %w", err).At(filepath.Dir(file))
		}
	}
	r.keeper.reprieve(digest)
	return &module{keeper: r.keeper, digest: digest, program: p, settings: r.settings}, nil
}

// Cached reports whether the program is on disk.
func (r *Runtime) Cached(digest string) bool {
	file, err := r.file(digest)
	if err != nil {
		return false
	}
	_, err = os.Stat(file)
	return err == nil
}

// Forget removes the program from disk, and what is known of its failures.
func (r *Runtime) Forget(digest string) error {
	file, err := r.file(digest)
	if err != nil {
		return err
	}
	r.keeper.forget(digest)
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Close ends all processes, those within calls too.
func (r *Runtime) Close(ctx context.Context) error { return r.keeper.close(ctx) }

var hexDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// file is where the program of a release is.
func (r *Runtime) file(digest string) (string, error) {
	if !hexDigest.MatchString(digest) {
		return "", host.Errorf(host.CodeInvalid, "%q is not a sha256 digest", digest)
	}
	return filepath.Join(r.settings.Dir, strings.TrimPrefix(digest, "sha256:")), nil
}
