package plugin

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/plugin/breaker"
	"github.com/callboard-dev/callboard/host/plugin/code"
	"github.com/callboard-dev/callboard/host/plugin/depot"
	"github.com/callboard-dev/callboard/host/plugin/eyes"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/plugin/limit"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/plugin/turn"
	"github.com/callboard-dev/callboard/host/store"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
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
	// ProcessPlugins are the releases of the runtime process that a tenant's
	// admins may install, "namespace/name@sha256:..."; a name without a digest,
	// or "*", counts with LocalPaths alone. Others only system callers install:
	// a process is trusted more than a sandbox.
	ProcessPlugins []string
	// Reserved are operation ids that plugins may not use: the core's own.
	Reserved []string
	// Default is what a call may use where nobody says, Ceiling what it may
	// use at most.
	Default, Ceiling Limits
	// Slots is how many calls of one release run at a time on this host (64),
	// HostSlots how many of all releases (256). Four times as many may wait,
	// each for at most Wait (2 s).
	Slots, HostSlots int
	Wait             time.Duration
	// CompileWait is how long a call waits for code that is being compiled (3 s).
	CompileWait time.Duration
	// Compilers is how many compilations run at a time (1).
	Compilers int
	// IdleAfter is when compiled code that nobody calls leaves memory (30 s);
	// the next call loads it from disk, in the time of a few calls.
	IdleAfter time.Duration
	// CodeBudget is how many bytes loaded code may take (1 GiB): the code that
	// was not called for longest goes first.
	CodeBudget int64
	// Breaker says when a plugin that fails rests.
	Breaker breaker.Settings
	// Quota is what a tenant may use of any plugin.
	Quota ledger.Quota
	// Observer sees every call; nil sees none.
	Observer Observer
	// Data are the stores, beside the key-value store, in which instances
	// keep data. Tables, which may be nil, can be brought back.
	Data   []Dropper
	Tables Snapshots
	// Trial tries releases on recorded calls before an upgrade; nil does not.
	Trial Trial
	// Poll is how often changes made by other processes are looked for (1 s).
	Poll time.Duration
	Log  *slog.Logger
}

// Dropper is a store in which instances keep data.
type Dropper interface {
	// Drop removes everything of an instance.
	Drop(ctx context.Context, t host.TenantID, instance string) error
}

// Snapshots keep what an instance's tables were before an upgrade.
type Snapshots interface {
	Snapshot(ctx context.Context, t host.TenantID, instance string) (id string, err error)
	Restore(ctx context.Context, t host.TenantID, instance, id string) error
	Forget(ctx context.Context, t host.TenantID, instance, id string) error
	// Migrate brings the tables to the form that a release declares, or refuses.
	Migrate(ctx context.Context, t host.TenantID, instance string, m *manifestv1.Manifest) error
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
	s.Compilers = cmp.Or(s.Compilers, 1)
	s.HostSlots, s.CodeBudget = cmp.Or(s.HostSlots, 256), cmp.Or(s.CodeBudget, 1<<30)
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	limits, ceiling := limit.Defaults()
	s.Ceiling = s.Ceiling.Or(ceiling)
	s.Default = s.Default.Or(limits)
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
	stores   []Dropper
	depot    *depot.Depot
	settings Settings
	eyes     *eyes.Eyes
	book     *ledger.Book
	shelf    *breaker.Shelf
	code     *code.Shelf[Module]
	line     *turn.Line // of all calls of this host

	// tenants holds a *household for each host.TenantID; reads take no lock.
	tenants sync.Map
	// reloading serialises what replaces households.
	reloading sync.Mutex
	releases  map[string]*release  // by digest; guarded by reloading
	shared    map[string]*instance // by instance id; guarded by reloading

	// door is read-locked while a call enters and locked to close the house,
	// so that no call enters after Close began to wait.
	door    sync.RWMutex
	calls   sync.WaitGroup
	closing chan struct{}
	closed  sync.Once
	loop    sync.WaitGroup
	// writing ends when the book has written its last counts, after stop.
	writing sync.WaitGroup
	stop    func()
}

// New returns a house over the control database. Nothing is loaded before Start.
func New(db *store.DB, runtimes map[string]Runtime, services ServiceSet, authz host.Authorizer, audit host.Auditor, box SecretBox, s Settings) (*House, error) {
	s = s.filled()
	d, err := depot.Open(filepath.Join(s.DataDir, "releases"))
	if err != nil {
		return nil, err
	}
	e, err := eyes.New()
	if err != nil {
		return nil, err
	}
	data := kv.New(db, kv.Settings{})
	return &House{
		db: db, runtimes: runtimes, services: services, authz: authz, audit: audit, box: box,
		data: data, stores: append([]Dropper{data}, s.Data...), depot: d, settings: s, eyes: e, shelf: breaker.NewShelf(),
		book:     ledger.New(db, ledger.Settings{Quota: s.Quota, Log: s.Log}),
		code:     code.NewShelf(code.Settings[Module]{Compilers: s.Compilers, Budget: s.CodeBudget, Size: func(m Module) int64 { return m.Facts().Bytes }}),
		line:     turn.New(turn.Settings{Slots: s.HostSlots, Wait: s.Wait}),
		releases: map[string]*release{}, shared: map[string]*instance{}, closing: make(chan struct{}), stop: func() {},
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
	if err := h.book.Refresh(ctx); err != nil {
		return err
	}
	h.sweepDepot(ctx)
	h.warmUncached()
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	h.writing.Go(func() { h.book.Run(writing) })
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
		h.line.Close() // who waits need not wait in vain
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
	h.stop()
	h.writing.Wait() // what was counted is written, within a bound of its own
	h.reloading.Lock()
	defer h.reloading.Unlock()
	for _, r := range h.releases {
		r.line.Close()
		r.code.Retire()
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
			if n := h.code.Rest(now.Add(-h.settings.IdleAfter)); n > 0 {
				h.settings.Log.Debug("unloading idle plugins", "releases", n)
			}
		}
	}
}

// manage authorises a change of the plugin with that name.
func (h *House) manage(ctx context.Context, c host.Caller, name string) error {
	if !c.Valid() {
		return host.Errorf(host.CodeUnauthenticated, "the caller belongs to no tenant")
	}
	return h.authz.Authorize(ctx, c, host.ActionPluginManage, resource(record.ShortOf(name)))
}

// look authorises reading about the plugin with that name ("*" for all).
func (h *House) look(ctx context.Context, c host.Caller, name string) error {
	if !c.Valid() {
		return host.Errorf(host.CodeUnauthenticated, "the caller belongs to no tenant")
	}
	return h.authz.Authorize(ctx, c, host.ActionPluginRead, resource(record.ShortOf(name)))
}

// CallRecord is one past call, for the plugin's health page.
type CallRecord = eyes.CallRecord

// Health is how an instance has been doing in this process since it started.
type Health struct {
	Instance Instance `json:"instance"`
	Calls    int64    `json:"calls"`
	Errors   int64    `json:"errors"`
	// Recent are the last calls, newest first.
	Recent []CallRecord `json:"recent"`
	// LastError is the newest call that failed, or nil.
	LastError *CallRecord `json:"lastError,omitempty"`
	// Logs are the last lines of its log, newest first.
	Logs []LogLine `json:"logs"`
	// Loaded reports whether the compiled code is in memory; it is loaded at
	// the next call where it is not. Facts say how its calls are run.
	Loaded bool   `json:"loaded"`
	Facts  *Facts `json:"facts,omitempty"`
	// Running is how many calls run now, Limit how many may; Waiting are the
	// calls of all tenants that stand in the release's line.
	Running   int   `json:"running"`
	Limit     int   `json:"limit"`
	Waiting   int   `json:"waiting"`
	KVBytes   int64 `json:"kvBytes"`
	CodeBytes int64 `json:"codeBytes"`
	// Limits is what one call may use.
	Limits  Limits         `json:"-"`
	Breaker breaker.Report `json:"breaker"`
}

// Health tells how an instance has been doing.
func (h *House) Health(ctx context.Context, c host.Caller, name string) (Health, error) {
	e, err := h.seen(ctx, c, name)
	if err != nil {
		return Health{}, err
	}
	used, err := h.data.Used(ctx, e.in.Tenant, e.in.ID)
	if err != nil {
		return Health{}, err
	}
	past := e.live.past.Summary()
	out := Health{
		Instance: e.now(), Calls: past.Calls, Errors: past.Errors, LastError: past.LastError, Recent: past.Recent, Logs: past.Logs,
		Running: e.release.line.Running(e.in.Tenant), Limit: e.limits.Concurrency, Waiting: e.release.line.State().Waiting,
		KVBytes: used, CodeBytes: e.release.row.CodeBytes, Limits: e.limits, Breaker: e.live.breaker.Report(time.Now()),
	}
	if m, ok := e.release.code.Loaded(); ok {
		facts := m.Facts()
		out.Loaded, out.Facts = true, &facts
	}
	return out, nil
}
