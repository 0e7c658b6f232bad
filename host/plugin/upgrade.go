package plugin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/plugin/setup"
	"github.com/callboard-dev/callboard/host/store"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// UpgradeOptions say with what a release takes over.
type UpgradeOptions struct {
	// Grants, if not nil, are exactly what is granted to the new release.
	Grants []Grant
	// AcceptAll grants everything that the new manifest asks for.
	AcceptAll bool
	// Config replaces the configuration; nil keeps it.
	Config json.RawMessage
	// Force upgrades although the new release breaks at recorded calls.
	Force bool
}

// Upgrade brings an instance to another release of its plugin. Calls that run
// finish on the old one. Where the new release could do more than was consented
// to, and o does not grant it, the old release goes on and the state is
// StateUpdatePending until Grant.
func (h *House) Upgrade(ctx context.Context, c host.Caller, name string, src Source, o UpgradeOptions) (Instance, error) {
	if err := h.manage(ctx, c, name); err != nil {
		return Instance{}, err
	}
	b, err := h.read(c, src)
	if err != nil {
		return Instance{}, err
	}
	if err := h.trusted(c, b); err != nil {
		return Instance{}, err
	}
	if err := h.keep(b); err != nil {
		return Instance{}, err
	}
	detail := map[string]string{"version": b.Manifest.Version, "digest": b.Digest}
	report, err := h.try(ctx, c, name, b)
	if err != nil {
		return Instance{}, err
	}
	if err := report.verdict(b.Manifest, o.Force); err != nil {
		return Instance{}, err
	}
	if report != nil {
		detail["trial"] = report.text()
	}
	var unused []string
	var stale string
	in, err := h.change(ctx, c, name, "upgrade", detail, func(ctx context.Context, q store.Querier, row *record.Instance, r *release) error {
		if err := h.upgradable(row, r, b); err != nil {
			return err
		}
		if err := h.admit(ctx, q, row.TenantID, row.ID, b.Manifest); err != nil {
			return err
		}
		if err := insertRelease(ctx, q, b); err != nil {
			return err
		}
		unused = row.Digests()
		if err := upgradeRow(row, r.manifest, b, o); err != nil || row.PendingDigest != "" {
			return err
		}
		stale, err = h.renewTables(ctx, row, b.Manifest)
		return err
	})
	if err == nil {
		h.discard(ctx, unused)
		h.forgetTables(ctx, in.Tenant, in.ID, stale)
		in.Trial = report
	}
	return in, err
}

// upgradable refuses what is no upgrade of the instance.
func (h *House) upgradable(row *record.Instance, r *release, b *manifest.Bundle) error {
	switch {
	case b.Manifest.Name != row.Name:
		return host.Errorf(host.CodeConflict, "the package is %s, the installed plugin is %s", b.Manifest.Name, row.Name).
			WithHint("install it as a plugin of its own")
	case row.Pinned && b.Digest != row.Digest:
		return host.Errorf(host.CodeConflict, "%s is pinned to version %s", row.Name, r.row.Version).
			WithHint("let go of it first: callboard plugin pin %s --off", row.Short)
	case b.Digest == row.Digest && row.PendingDigest == "":
		return host.Errorf(host.CodeConflict, "%s %s is already installed", row.Name, b.Manifest.Version)
	case older(b.Manifest.Version, r.row.Version):
		return host.Errorf(host.CodeConflict, "version %s is older than the installed %s", b.Manifest.Version, r.row.Version).
			WithHint("go back with callboard plugin rollback %s", row.Short)
	}
	return nil
}

// upgradeRow decides between taking over and waiting for consent.
func upgradeRow(row *record.Instance, old *manifestv1.Manifest, b *manifest.Bundle, o UpgradeOptions) error {
	kept, wider := grant.Carry(old.Permissions, row.Granted(), b.Manifest.Permissions)
	switch {
	case o.AcceptAll:
		kept = b.Manifest.Permissions
	case o.Grants != nil:
		checked, err := grant.Check(b.Manifest.Permissions, o.Grants)
		if err != nil {
			return err
		}
		kept = checked
	case !row.Consented:
		// Nothing was granted yet, so nothing goes on: consent is still due.
		kept = nil
	case len(wider) > 0 || len(grant.Widened(old, b.Manifest)) > 0:
		if err := setup.Of(b.Manifest).Check(row.ConfigOr(o.Config)); err != nil && row.Enabled {
			return setup.Unfit(b.Manifest.Version, err)
		}
		row.PendingDigest = b.Digest
		return nil
	}
	row.Consented = row.Consented || o.AcceptAll || o.Grants != nil || len(b.Manifest.Permissions) == 0
	return switchTo(row, b.Digest, b.Manifest, kept, o.Config)
}

// switchTo makes another release the instance's own and remembers the old one
// for Rollback.
func switchTo(row *record.Instance, digest string, m *manifestv1.Manifest, grants []Grant, config json.RawMessage) error {
	chosen, form := row.ConfigOr(config), setup.Of(m)
	if err := form.Check(chosen); err != nil && (row.Enabled || config != nil) {
		return setup.Unfit(m.Version, err)
	}
	row.PreviousDigest, row.PreviousGrants, row.PreviousConfig = row.Digest, row.Grants, row.Config
	row.Digest, row.PendingDigest, row.Config = digest, "", setup.Given(chosen)
	row.Halted, row.HaltReason = "", "" // the new release begins anew
	now := time.Now().UTC().Truncate(time.Microsecond)
	row.UpgradedAt = &now
	fulfil(row, m, form)
	return row.SetGranted(grants)
}

// Rollback brings an instance back to the release, grants and configuration
// that it had before the last upgrade. A second Rollback goes forward again.
// Where an update waits for consent, Rollback drops it instead.
func (h *House) Rollback(ctx context.Context, c host.Caller, name string) (Instance, error) {
	return h.rollback(ctx, c, name, nil)
}

func (h *House) rollback(ctx context.Context, c host.Caller, name string, detail map[string]string) (Instance, error) {
	var unused []string
	var stale string
	in, err := h.change(ctx, c, name, "rollback", detail, func(ctx context.Context, q store.Querier, row *record.Instance, r *release) error {
		unused = row.Digests()
		if row.PendingDigest != "" {
			row.PendingDigest = ""
			return nil
		}
		if row.PreviousDigest == "" {
			return host.Errorf(host.CodeConflict, "%s has no earlier release to go back to", row.Name)
		}
		m, err := h.releaseOf(ctx, q, row.PreviousDigest)
		if err != nil {
			return err
		}
		if err := h.admit(ctx, q, row.TenantID, row.ID, m); err != nil {
			return err
		}
		row.Digest, row.PreviousDigest = row.PreviousDigest, row.Digest
		row.Grants, row.PreviousGrants = row.PreviousGrants, row.Grants
		row.Config, row.PreviousConfig = row.PreviousConfig, row.Config
		row.Halted, row.HaltReason, row.UpgradedAt = "", "", nil
		stale, err = h.returnTables(ctx, row)
		return err
	})
	if err == nil {
		h.discard(ctx, unused)
		h.forgetTables(ctx, in.Tenant, in.ID, stale)
	}
	return in, err
}

// releaseOf reads the manifest of a release inside a transaction.
func (h *House) releaseOf(ctx context.Context, q store.Querier, digest string) (*manifestv1.Manifest, error) {
	row, err := record.FindRelease(ctx, q, digest)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, host.Errorf(host.CodeNotFound, "the release %s is not there any more", digest).WithHint("upgrade again")
	}
	return manifest.Parse([]byte(row.Source), row.Name+"/"+manifestv1.FileName)
}
