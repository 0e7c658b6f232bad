package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/breaker"
	"github.com/callboard-dev/callboard/host/plugin/code"
	"github.com/callboard-dev/callboard/host/plugin/eyes"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/plugin/limit"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/plugin/setup"
	"github.com/callboard-dev/callboard/host/plugin/turn"
	"github.com/callboard-dev/callboard/host/store"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// household is one tenant's instances. It is replaced, never changed.
type household struct {
	revision int64 // of the database
	stamp    int64 // of this process, for Revision
	entries  map[string]*entry
	active   []Instance
}

// entry is one instance in a household.
type entry struct {
	row     record.Instance
	in      Instance
	release *release
	limits  Limits
	// failure are the failure policies by capability; those that are not here
	// fail closed.
	failure map[string]breaker.Policy
	// salt changes whenever the instance may answer differently because an
	// admin changed what it may reach.
	salt   breaker.Key
	sealed map[string][]byte
	live   *instance
	// unready says what the instance lacks to work. It is found once: to
	// check a configuration is too much work for every call.
	unready func() error
}

// ready returns what the instance lacks to work, or nil. The error is the
// caller's own.
func (e *entry) ready() error {
	err := e.unready()
	if err == nil {
		return nil
	}
	own := *host.AsError(err)
	return &own
}

// instance is what stays of an instance when its household is replaced.
type instance struct {
	past    *eyes.Past
	breaker *breaker.Breaker
	tab     *ledger.Tab
	log     *limit.Rate
	// tenant is the slug of the tenant, once a call has brought it.
	tenant atomic.Pointer[string]
}

// slug returns the slug of the instance's tenant, empty before the first call.
func (i *instance) slug() string {
	if s := i.tenant.Load(); s != nil {
		return *s
	}
	return ""
}

// release is one release in this process. It is shared by all tenants.
type release struct {
	row      record.Release
	manifest *manifestv1.Manifest
	form     *setup.Form
	// broken says why the release cannot be used at all.
	broken error
	code   *code.Code[Module]
	// line is where calls of the release stand. Those that stand there when
	// another release takes over finish on this one.
	line *turn.Line
	// uses is how many instances need the release; guarded by reloading.
	uses int
}

// Active returns the tenant's instances that answer calls, sorted by short
// name. The slice is a snapshot that must not be changed.
func (h *House) Active(t host.TenantID) []Instance {
	if home := h.home(t); home != nil {
		return home.active
	}
	return nil
}

// Revision returns a number that is another one whenever Active may be.
func (h *House) Revision(t host.TenantID) int64 {
	if home := h.home(t); home != nil {
		return home.stamp
	}
	return 0
}

func (h *House) home(t host.TenantID) *household {
	v, ok := h.tenants.Load(t)
	if !ok {
		return nil
	}
	return v.(*household)
}

// List returns all instances of the caller's tenant, sorted by short name.
func (h *House) List(ctx context.Context, c host.Caller) ([]Instance, error) {
	if err := h.look(ctx, c, "*"); err != nil {
		return nil, err
	}
	out := []Instance{}
	if home := h.home(c.TenantID()); home != nil {
		for _, e := range home.entries {
			out = append(out, e.now())
		}
	}
	slices.SortFunc(out, func(a, b Instance) int { return strings.Compare(a.Short, b.Short) })
	return out, nil
}

// Get returns one instance by its short or full name.
func (h *House) Get(ctx context.Context, c host.Caller, name string) (Instance, error) {
	if err := h.look(ctx, c, name); err != nil {
		return Instance{}, err
	}
	e, err := h.find(c.TenantID(), name)
	if err != nil {
		return Instance{}, err
	}
	return e.now(), nil
}

// find returns the entry of that short or full name.
func (h *House) find(t host.TenantID, name string) (*entry, error) {
	if home := h.home(t); home != nil {
		if e := home.entries[record.ShortOf(name)]; e != nil && (name == e.in.Short || name == e.in.Name) {
			return e, nil
		}
	}
	return nil, notInstalled(name)
}

func notInstalled(name string) error {
	return host.Errorf(host.CodeNotFound, "no plugin %q is installed", name).
		WithHint("callboard plugin list shows what is installed")
}

// now returns the instance with its state at this moment.
func (e *entry) now() Instance {
	in := e.in
	failure := e.release.broken
	if failure == nil {
		failure = e.release.code.Failure()
	}
	progress := e.release.code.Progress()
	switch {
	case !in.Enabled:
		in.State, in.StateDetail = StateDisabled, e.whyDisabled()
	case e.row.Halted != "":
		in.State, in.StateDetail = State(e.row.Halted), e.row.HaltReason
	case failure != nil:
		in.State, in.StateDetail = StateFailedToStart, host.AsError(failure).Error()
	case progress != nil:
		in.State, in.Progress = StateCompiling, progress
		in.StateDetail = "The code is being compiled; this happens once."
	case in.Pending != nil:
		in.State = StateUpdatePending
		in.StateDetail = fmt.Sprintf("Version %s asks for more; version %s goes on until that is granted.", in.Pending.Version, in.Version)
	default:
		in.State = StateActive
	}
	return in
}

func (e *entry) whyDisabled() string {
	lacks := e.lacks()
	switch {
	case lacks == "":
		return "Switched off."
	case e.row.Wanted:
		return lacks + " It is switched on as soon as that is done."
	}
	return lacks
}

// lacks says what the instance still needs before it can be switched on.
func (e *entry) lacks() string {
	if !e.row.Consented && len(e.in.Manifest.Permissions) > 0 {
		if n := len(e.in.Manifest.Permissions); n > 1 {
			return fmt.Sprintf("Waits for consent to %d permissions.", n)
		}
		return "Waits for consent to its permission."
	}
	if err := e.ready(); err != nil {
		return host.AsError(err).Message + "."
	}
	return ""
}

// reloadAll replaces all households from the database.
func (h *House) reloadAll(ctx context.Context) error {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	rows, counts, err := record.Installed(ctx, h.db, "")
	if err != nil {
		return err
	}
	for _, n := range counts {
		h.furnish(ctx, host.TenantID(n.TenantID), n.Revision, rows[n.TenantID])
	}
	return nil
}

// reload replaces one tenant's household from the database.
func (h *House) reload(ctx context.Context, t host.TenantID) error {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	rows, counts, err := record.Installed(ctx, h.db, t)
	if err != nil {
		return err
	}
	if len(counts) == 0 {
		old := h.home(t)
		h.tenants.Delete(t)
		h.settle(old, nil)
		return nil
	}
	h.furnish(ctx, t, counts[0].Revision, rows[string(t)])
	return nil
}

// replace publishes one changed instance without reading the others again. It
// does nothing if somebody else has changed the tenant's installations too.
func (h *House) replace(ctx context.Context, t host.TenantID, row *record.Instance) bool {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	old := h.home(t)
	if old == nil || old.revision+1 != row.Revision {
		return false
	}
	home := &household{revision: row.Revision, entries: maps.Clone(old.entries)}
	home.entries[row.Short] = h.entry(ctx, *row)
	h.publish(t, home)
	h.settle(old, home)
	return true
}

// furnish builds a household; h.reloading is held.
func (h *House) furnish(ctx context.Context, t host.TenantID, revision int64, rows []record.Instance) {
	home := &household{revision: revision, entries: map[string]*entry{}}
	for _, row := range rows {
		home.entries[row.Short] = h.entry(ctx, row)
	}
	old := h.home(t)
	h.publish(t, home)
	h.settle(old, home)
}

// publish puts a household up, with its list of what answers calls.
func (h *House) publish(t host.TenantID, home *household) {
	var before int64
	if old := h.home(t); old != nil {
		before = old.stamp
	}
	for _, e := range home.entries {
		if in := e.now(); in.State.Offers() {
			in.Progress = nil
			home.active = append(home.active, in)
		}
	}
	slices.SortFunc(home.active, func(a, b Instance) int { return strings.Compare(a.Short, b.Short) })
	home.stamp = max(before+1, home.revision<<16)
	h.tenants.Store(t, home)
}

// republish renews the lists of all households that use a release whose code
// has become ready or has failed.
func (h *House) republish(digest string) {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	h.tenants.Range(func(key, value any) bool {
		old := value.(*household)
		for _, e := range old.entries {
			if e.in.Digest == digest {
				h.publish(key.(host.TenantID), &household{revision: old.revision, entries: old.entries})
				break
			}
		}
		return true
	})
}

// entry builds one entry; h.reloading is held.
func (h *House) entry(ctx context.Context, row record.Instance) *entry {
	r, policy := h.release(ctx, row.Digest), policyOf(&row)
	e := &entry{row: row, release: r, limits: h.limitsFor(r.manifest, policy), failure: breaker.Policies(r.manifest, policy.Failure),
		salt: breaker.KeyOf([]byte(row.Config), []byte(row.Grants), []byte(row.Secrets)), sealed: row.Sealed()}
	e.live = h.shared[row.ID]
	if e.live == nil {
		e.live = &instance{past: eyes.NewPast(row.Short), breaker: breaker.New(h.settings.Breaker),
			tab: h.book.Tab(host.TenantID(row.TenantID), row.Name), log: &limit.Rate{}}
		h.shared[row.ID] = e.live
	}
	e.live.log.Set(e.limits.LogRate)
	in := Instance{
		ID: row.ID, Tenant: host.TenantID(row.TenantID), Name: row.Name, Short: row.Short,
		Version: r.row.Version, Digest: row.Digest, Enabled: row.Enabled, Pinned: row.Pinned, Policy: policy,
		Grants: row.Granted(), Manifest: r.manifest, Readme: r.row.Readme,
		Revision: row.Revision, InstalledAt: row.InstalledAt, UpdatedAt: row.UpdatedAt,
	}
	in.Config, _ = r.form.Fill(json.RawMessage(row.Config))
	for name := range e.sealed {
		in.Secrets = append(in.Secrets, name)
	}
	slices.Sort(in.Secrets)
	if row.PreviousDigest != "" {
		in.Previous = h.release(ctx, row.PreviousDigest).row.Version
	}
	if row.PendingDigest != "" {
		next := h.release(ctx, row.PendingDigest)
		_, wider := grant.Carry(r.manifest.Permissions, in.Grants, next.manifest.Permissions)
		in.Pending = &Pending{Version: next.row.Version, Digest: next.row.Digest, Manifest: next.manifest, Wider: wider, Widened: grant.Widened(r.manifest, next.manifest)}
	}
	e.in = in
	e.unready = sync.OnceValue(func() error { return r.form.Ready(in.Config, in.Secrets) })
	return e
}

// release returns a release of this process, reading it first if need be;
// h.reloading is held.
func (h *House) release(ctx context.Context, digest string) *release {
	if r := h.releases[digest]; r != nil && r.broken == nil {
		return r
	}
	var row *record.Release
	err := h.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) (err error) {
		row, err = record.FindRelease(ctx, q, digest)
		return err
	})
	r := &release{broken: err}
	if row == nil {
		row = &record.Release{Digest: digest}
		if err == nil {
			r.broken = host.Errorf(host.CodeNotFound, "the release %s is missing from the database", digest).WithHint("uninstall the plugin and install it again")
		}
	} else {
		r.manifest, r.broken = manifest.Parse([]byte(row.Source), row.Name+"/"+manifestv1.FileName)
	}
	r.row = *row
	if r.manifest == nil {
		r.manifest = &manifestv1.Manifest{Name: row.Name, Version: row.Version, Title: row.Name}
	}
	r.form, r.code = setup.Of(r.manifest), h.newCode(r)
	r.line = turn.New(turn.Settings{Slots: h.settings.Slots, Wait: h.settings.Wait})
	if old := h.releases[digest]; old != nil {
		r.uses = old.uses
		old.code.Retire()
	}
	h.releases[digest] = r
	return r
}

// settle counts which releases and instances a tenant's household needs, and
// lets go of those that nobody needs any more; h.reloading is held.
func (h *House) settle(old, home *household) {
	if home != nil {
		for _, e := range home.entries {
			for _, d := range e.row.Digests() {
				if r := h.releases[d]; r != nil {
					r.uses++
				}
			}
		}
	}
	if old == nil {
		return
	}
	for _, e := range old.entries {
		for _, d := range e.row.Digests() {
			r := h.releases[d]
			if r == nil {
				continue
			}
			if r.uses--; r.uses <= 0 {
				r.code.Retire()
				delete(h.releases, d)
			}
		}
		if home == nil || home.entries[e.row.Short] == nil || home.entries[e.row.Short].row.ID != e.row.ID {
			delete(h.shared, e.row.ID)
		}
	}
}

// poll reloads the households that another process changed.
func (h *House) poll() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var counts []record.Installation
	err := h.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&counts).Scan(ctx)
	})
	if err != nil {
		return err
	}
	known := map[host.TenantID]int64{}
	for _, n := range counts {
		known[host.TenantID(n.TenantID)] = n.Revision
	}
	var stale []host.TenantID
	h.tenants.Range(func(key, value any) bool {
		t := key.(host.TenantID)
		if revision, ok := known[t]; !ok || revision != value.(*household).revision {
			stale = append(stale, t)
		}
		delete(known, t)
		return true
	})
	for t := range known {
		stale = append(stale, t)
	}
	for _, t := range stale {
		if err := h.reload(ctx, t); err != nil {
			return err
		}
	}
	return nil
}
