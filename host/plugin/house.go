package plugin

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/plugin/depot"
	"github.com/callboard-dev/callboard/host/store"
)

// SecretBox seals the secrets of instances. Name says what a value is for; a
// sealed value opens under the tenant and name that sealed it alone.
type SecretBox interface {
	Seal(tenant host.TenantID, name string, plain []byte) ([]byte, error)
	Open(tenant host.TenantID, name string, sealed []byte) ([]byte, error)
}

// Settings of a House. Zero values take the defaults.
type Settings struct {
	// DataDir holds the folder "releases". Required.
	DataDir string
	// BundledDir is a folder of packages (*.callboard, *.tar) that every
	// tenant may install by name; empty means none.
	BundledDir string
	// LocalPaths lets every caller install from a path of this machine.
	// Without it only system callers may: a path read for a tenant's admin
	// would show them the host's files.
	LocalPaths bool
	// ProcessPlugins are the names of plugins of the runtime process, or "*",
	// that a tenant's admins may install. Without them only system callers
	// may: a process is trusted more than a sandbox.
	ProcessPlugins []string
	// Reserved are operation ids that plugins may not use: the core's own.
	Reserved []string
	// Default is what a call may use where the manifest does not say, Ceiling
	// what it may use at most.
	Default, Ceiling Limits
	// Concurrency is how many calls of one instance run at a time (8), Wait
	// how long a further call waits for its turn (2 s).
	Concurrency int
	Wait        time.Duration
	// CompileWait is how long a call waits for code that is being compiled (3 s).
	CompileWait time.Duration
	// Compilers is how many compilations run at a time (1).
	Compilers int
	// IdleAfter is when compiled code that nobody calls leaves memory (30 s);
	// the next call loads it from disk, in the time of a few calls.
	IdleAfter time.Duration
	// Poll is how often changes made by other processes are looked for (1 s).
	Poll time.Duration
	Log  *slog.Logger
}

func (s Settings) filled() Settings {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&s.Wait, 2*time.Second)
	set(&s.CompileWait, 3*time.Second)
	set(&s.IdleAfter, 30*time.Second)
	set(&s.Poll, time.Second)
	if s.Concurrency <= 0 {
		s.Concurrency = 8
	}
	if s.Compilers <= 0 {
		s.Compilers = 1
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	s.Default = s.Default.or(Limits{
		Timeout: 10 * time.Second, Memory: 64 << 20, Output: 4 << 20, Input: 1 << 20, HostCalls: 200, LogBytes: 16 << 10,
	})
	s.Ceiling = s.Ceiling.or(Limits{
		Timeout: 30 * time.Second, Memory: 256 << 20, Output: 16 << 20, Input: 8 << 20, HostCalls: 1000, LogBytes: 64 << 10,
	})
	return s
}

// House keeps the plugins of all tenants. It is safe for concurrent use.
type House struct {
	db       *store.DB
	runtimes map[string]Runtime
	services ServiceSet
	authz    host.Authorizer
	audit    host.Auditor
	box      SecretBox
	data     *kv.Store
	depot    *depot.Depot
	settings Settings
	eyes     *eyes

	// tenants holds a *household for each host.TenantID; reads take no lock.
	tenants sync.Map
	// reloading serialises what replaces households.
	reloading sync.Mutex
	releases  map[string]*release  // by digest; guarded by reloading
	shared    map[string]*instance // by instance id; guarded by reloading
	gate      chan struct{}
	pace      *pace

	// door is read-locked while a call enters and locked to close the house,
	// so that no call enters after Close began to wait.
	door    sync.RWMutex
	calls   sync.WaitGroup
	closing chan struct{}
	closed  sync.Once
	loop    sync.WaitGroup
}

// New returns a house over the control database. Nothing is loaded before Start.
func New(db *store.DB, runtimes map[string]Runtime, services ServiceSet, authz host.Authorizer, audit host.Auditor, box SecretBox, s Settings) (*House, error) {
	s = s.filled()
	d, err := depot.Open(filepath.Join(s.DataDir, "releases"))
	if err != nil {
		return nil, err
	}
	e, err := newEyes()
	if err != nil {
		return nil, err
	}
	return &House{
		db: db, runtimes: runtimes, services: services, authz: authz, audit: audit, box: box,
		data: kv.New(db, kv.Settings{}), depot: d, settings: s, eyes: e,
		releases: map[string]*release{}, shared: map[string]*instance{},
		gate: make(chan struct{}, s.Compilers), pace: &pace{}, closing: make(chan struct{}),
	}, nil
}

// Start reads all instances, finishes removals that were interrupted, and
// begins to follow changes. A plugin that cannot start is marked so and stops
// nothing. Code is loaded at its first call; what was never compiled on this
// machine is compiled in the background.
func (h *House) Start(ctx context.Context) error {
	if err := h.resumeRemovals(ctx); err != nil {
		return err
	}
	if err := h.reloadAll(ctx); err != nil {
		return err
	}
	h.sweepDepot(ctx)
	h.warmUncached()
	h.loop.Add(1)
	go h.follow()
	return nil
}

// Close lets no further call in, waits for those that run until ctx is done,
// and unloads all code.
func (h *House) Close(ctx context.Context) error {
	h.closed.Do(func() {
		h.door.Lock()
		close(h.closing)
		h.door.Unlock()
	})
	drained := make(chan struct{})
	go func() {
		h.calls.Wait()
		h.loop.Wait()
		close(drained)
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = host.Errorf(host.CodeUnavailable, "plugin calls were still running when the time to stop was over")
	}
	h.reloading.Lock()
	defer h.reloading.Unlock()
	for _, r := range h.releases {
		r.code.retire()
	}
	return err
}

// follow watches for changes by other processes and unloads idle code.
func (h *House) follow() {
	defer h.loop.Done()
	poll := time.NewTicker(h.settings.Poll)
	defer poll.Stop()
	idle := time.NewTicker(max(h.settings.IdleAfter/4, 10*time.Millisecond))
	defer idle.Stop()
	for {
		select {
		case <-h.closing:
			return
		case <-poll.C:
			if err := h.poll(); err != nil {
				h.settings.Log.Warn("looking for changed installations", "error", err)
			}
		case now := <-idle.C:
			h.rest(now.Add(-h.settings.IdleAfter))
		}
	}
}

// rest unloads code that was last used before then.
func (h *House) rest(then time.Time) {
	h.reloading.Lock()
	var resting []Module
	for _, r := range h.releases {
		if m := r.code.rest(then); m != nil {
			resting = append(resting, m)
		}
	}
	h.reloading.Unlock()
	if len(resting) > 0 {
		h.settings.Log.Debug("unloading idle plugins", "releases", len(resting))
		go closeAll(resting)
	}
}

// manage authorises a change of the plugin with that name.
func (h *House) manage(ctx context.Context, c host.Caller, name string) error {
	if !c.Valid() {
		return host.Errorf(host.CodeUnauthenticated, "the caller belongs to no tenant")
	}
	return h.authz.Authorize(ctx, c, host.ActionPluginManage, resource(shortOf(name)))
}

// look authorises reading about the plugin with that name ("*" for all).
func (h *House) look(ctx context.Context, c host.Caller, name string) error {
	if !c.Valid() {
		return host.Errorf(host.CodeUnauthenticated, "the caller belongs to no tenant")
	}
	return h.authz.Authorize(ctx, c, host.ActionPluginRead, resource(shortOf(name)))
}
