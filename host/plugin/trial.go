package plugin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/record"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Trial tries a new release on recorded calls of the one that it replaces.
type Trial interface {
	// Try replays what was recorded of old on the next release. Next compiles
	// it, which is done only where something was recorded.
	Try(ctx context.Context, t host.TenantID, old *Instance, next func(context.Context) (Module, error)) (TrialReport, error)
}

// TrialReport is what came of the recorded calls.
type TrialReport struct {
	Replayed int `json:"replayed"`
	Same     int `json:"same"`
	// Changed are calls that were answered otherwise, or that asked the host
	// for what was not recorded.
	Changed int `json:"changed"`
	// Failed are calls that the old release answered and the new one breaks at.
	Failed  int      `json:"failed"`
	Details []string `json:"details,omitempty"`
}

// lendWithin is how long work beside the calls waits for a release's code.
const lendWithin = 5 * time.Minute

// Lend loads the code of a release that some instance has, for work that is no
// call of a tenant: making recorded calls again. GiveBack ends the lend.
func (h *House) Lend(ctx context.Context, digest string) (m Module, giveBack func(), err error) {
	h.reloading.Lock()
	r := h.releases[digest]
	h.reloading.Unlock()
	if r == nil || r.broken != nil {
		return nil, nil, host.Errorf(host.CodeNotFound, "no instance has the release %s", digest)
	}
	m, _, err = r.code.Lend(ctx, lendWithin)
	return m, r.code.GiveBack, err
}

// Code returns the code of an installed plugin with its release's digest. It
// needs the right to manage the plugin.
func (h *House) Code(ctx context.Context, c host.Caller, name string) (code []byte, digest string, err error) {
	if err := h.manage(ctx, c, name); err != nil {
		return nil, "", err
	}
	e, err := h.find(c.TenantID(), name)
	if err != nil {
		return nil, "", err
	}
	code, err = h.fetch(ctx, e.release)
	return code, e.in.Digest, err
}

// FallBack returns an instance to the release before an upgrade that turned
// out badly. Reason is for the audit record. It does nothing where there is
// none, where the instance is pinned, or where it has moved on since digest.
func (h *House) FallBack(ctx context.Context, t host.Tenant, name, digest, reason string) error {
	e, err := h.find(t.ID, name)
	if err != nil {
		return err
	}
	if e.in.Digest != digest || e.row.PreviousDigest == "" || e.row.PendingDigest != "" || e.row.Pinned {
		return nil
	}
	h.settings.Log.Warn("an upgrade fails and is undone", "plugin", e.in.Name, "version", e.in.Version, "tenant", t.Slug, "reason", reason)
	if _, err := h.rollback(ctx, host.System(t, "error budget"), e.in.Name, map[string]string{"because": reason}); err != nil {
		return err
	}
	e.live.breaker.Reset(time.Now())
	return nil
}

// try makes the recorded calls of an instance on a release that may replace
// its own. It returns nil where nobody tries releases.
func (h *House) try(ctx context.Context, c host.Caller, name string, b *manifest.Bundle) (*TrialReport, error) {
	e, err := h.find(c.TenantID(), name)
	runtime := h.runtimes[b.Manifest.Runtime]
	if err != nil || h.settings.Trial == nil || runtime == nil || b.Manifest.Runtime != manifestv1.RuntimeWASM || e.in.Digest == b.Digest {
		return nil, nil // what is wrong with it is said by who changes it
	}
	var module Module
	defer func() {
		if module != nil {
			closeQuietly(h, module)
		}
	}()
	report, err := h.settings.Trial.Try(ctx, c.TenantID(), &e.in, func(ctx context.Context) (Module, error) {
		var err error
		module, err = runtime.Compile(ctx, b.CodeDigest, b.Code)
		return module, err
	})
	if err != nil {
		return nil, fmt.Errorf("trying version %s on recorded calls: %w", b.Manifest.Version, err)
	}
	return &report, nil
}

func closeQuietly(h *House, m Module) {
	if err := m.Close(context.Background()); err != nil {
		h.settings.Log.Warn("closing a release that was tried", "error", err)
	}
}

// verdict refuses a release that breaks where the old one answered.
func (r *TrialReport) verdict(m *manifestv1.Manifest, force bool) error {
	if r == nil || r.Failed == 0 || force {
		return nil
	}
	return host.Errorf(host.CodeConflict, "version %s breaks at %d of %d recorded calls that the installed release answered: %s",
		m.Version, r.Failed, r.Replayed, strings.Join(r.Details[:min(len(r.Details), 3)], "; ")).
		WithHint("callboard plugin recordings exports them for the author; --force upgrades all the same")
}

// text is the report for the audit record.
func (r *TrialReport) text() string {
	return fmt.Sprintf("%d replayed, %d same, %d changed, %d failed", r.Replayed, r.Same, r.Changed, r.Failed)
}

// keepTables keeps what an instance's tables are before another release takes
// over, for Rollback. The snapshot from before the last upgrade is returned:
// it is forgotten when the change has happened.
func (h *House) keepTables(ctx context.Context, row *record.Instance) (stale string, err error) {
	if h.settings.Tables == nil {
		return "", nil
	}
	stale = row.Snapshot
	row.Snapshot, err = h.settings.Tables.Snapshot(ctx, host.TenantID(row.TenantID), row.ID)
	if err != nil {
		return "", fmt.Errorf("keeping the plugin's tables: %w", err)
	}
	return stale, nil
}

// renewTables keeps the tables and makes them what the next release declares.
func (h *House) renewTables(ctx context.Context, row *record.Instance, next *manifestv1.Manifest) (stale string, err error) {
	if stale, err = h.keepTables(ctx, row); err != nil || h.settings.Tables == nil {
		return stale, err
	}
	return stale, h.settings.Tables.Migrate(ctx, host.TenantID(row.TenantID), row.ID, next)
}

// returnTables brings the tables back that were kept, and keeps those of now,
// so that a second rollback goes forward again.
func (h *House) returnTables(ctx context.Context, row *record.Instance) (stale string, err error) {
	if h.settings.Tables == nil {
		return "", nil
	}
	before := row.Snapshot
	if stale, err = h.keepTables(ctx, row); err != nil || before == "" {
		return stale, err
	}
	if err := h.settings.Tables.Restore(ctx, host.TenantID(row.TenantID), row.ID, before); err != nil {
		return "", fmt.Errorf("bringing the plugin's tables back: %w", err)
	}
	return stale, nil
}

// forgetTables drops a snapshot that nobody can return to any more. One that
// stays costs room until the instance goes, nothing else.
func (h *House) forgetTables(ctx context.Context, t host.TenantID, instance, snapshot string) {
	if snapshot == "" || h.settings.Tables == nil {
		return
	}
	if err := h.settings.Tables.Forget(context.WithoutCancel(ctx), t, instance, snapshot); err != nil {
		h.settings.Log.Warn("dropping a snapshot of a plugin's tables", "instance", instance, "error", err)
	}
}
