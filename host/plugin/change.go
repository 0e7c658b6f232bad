package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/plugin/setup"
	"github.com/callboard-dev/callboard/host/store"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Enable switches an instance on. It refuses while consent, configuration or
// a required secret is missing, and says which.
func (h *House) Enable(ctx context.Context, c host.Caller, name string) (Instance, error) {
	return h.change(ctx, c, name, "enable", nil, func(_ context.Context, _ store.Querier, row *record.Instance, r *release) error {
		if !row.Consented && len(r.manifest.Permissions) > 0 {
			return host.Errorf(host.CodePluginNotReady, "%s waits for consent to its permissions", row.Name).
				WithHint("callboard plugin install shows them; grant all or some of them")
		}
		if err := r.form.Ready(json.RawMessage(row.Config), slices.Sorted(maps.Keys(row.Sealed()))); err != nil {
			return err
		}
		row.Enabled, row.Wanted = true, false
		h.restart(row, r)
		return r.broken
	})
}

// Disable switches an instance off. Calls that run finish; its data stay.
func (h *House) Disable(ctx context.Context, c host.Caller, name string) (Instance, error) {
	return h.change(ctx, c, name, "disable", nil, func(_ context.Context, _ store.Querier, row *record.Instance, _ *release) error {
		row.Enabled, row.Wanted = false, false
		return nil
	})
}

// fulfil switches an instance on that was to be on when it was installed, if
// nothing is missing any more.
func fulfil(row *record.Instance, m *manifestv1.Manifest, form *setup.Form) {
	if !row.Wanted || !row.Consented && len(m.Permissions) > 0 {
		return
	}
	if form.Ready(json.RawMessage(row.Config), slices.Sorted(maps.Keys(row.Sealed()))) == nil {
		row.Enabled, row.Wanted = true, false
	}
}

// Configure replaces the configuration (nil keeps it) and sets secrets; an
// empty value removes one, a name that is not there keeps its value.
func (h *House) Configure(ctx context.Context, c host.Caller, name string, config json.RawMessage, secrets map[string]string) (Instance, error) {
	detail := map[string]string{"config": fmt.Sprint(config != nil)}
	if len(secrets) > 0 {
		detail["secrets"] = strings.Join(slices.Sorted(maps.Keys(secrets)), ",")
	}
	return h.change(ctx, c, name, "configure", detail, func(_ context.Context, _ store.Querier, row *record.Instance, r *release) error {
		if config != nil {
			if err := r.form.Check(config); err != nil {
				return err
			}
			row.Config = setup.Given(config)
		}
		sealed, err := h.seal(row, r.form, row.Sealed(), secrets)
		if err != nil {
			return err
		}
		if err := row.SetSealed(sealed); err != nil {
			return err
		}
		fulfil(row, r.manifest, r.form)
		return nil
	})
}

// Grant gives an instance exactly these permissions, each equal to one of the
// manifest's or narrower. Where a release waits for consent they are measured
// against its manifest, and it takes over.
func (h *House) Grant(ctx context.Context, c host.Caller, name string, grants []Grant) (Instance, error) {
	detail := map[string]string{"grants": grant.Describe(grants)}
	var stale string
	in, err := h.change(ctx, c, name, "grant", detail, func(ctx context.Context, q store.Querier, row *record.Instance, r *release) error {
		if row.PendingDigest != "" {
			next, err := h.releaseOf(ctx, q, row.PendingDigest)
			if err != nil {
				return err
			}
			checked, err := grant.Check(next.Permissions, grants)
			if err != nil {
				return err
			}
			if err := switchTo(row, row.PendingDigest, next, checked, nil); err != nil {
				return err
			}
			stale, err = h.renewTables(ctx, row, next)
			return err
		}
		checked, err := grant.Check(r.manifest.Permissions, grants)
		if err != nil {
			return err
		}
		row.Consented = true
		fulfil(row, r.manifest, r.form)
		return row.SetGranted(checked)
	})
	if err == nil {
		h.forgetTables(ctx, in.Tenant, in.ID, stale)
	}
	return in, err
}

// Uninstall removes an instance and everything that it stored.
func (h *House) Uninstall(ctx context.Context, c host.Caller, name string) error {
	e, err := h.find(c.TenantID(), name)
	if err != nil {
		if bad := h.manage(ctx, c, name); bad != nil {
			return bad
		}
		return err
	}
	_, err = h.change(ctx, c, name, "uninstall", map[string]string{"version": e.in.Version}, func(_ context.Context, _ store.Querier, row *record.Instance, _ *release) error {
		row.Removing, row.Enabled = true, false
		return nil
	})
	if err != nil {
		return err
	}
	return h.remove(ctx, e.row)
}

// remove finishes the removal of an instance that is marked. It is idempotent.
func (h *House) remove(ctx context.Context, row record.Instance) error {
	for _, s := range h.stores {
		if err := s.Drop(ctx, host.TenantID(row.TenantID), row.ID); err != nil && host.CodeOf(err) != host.CodeNotFound {
			return err
		}
	}
	err := h.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*record.Instance)(nil)).Where("id = ?", row.ID).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("removing instance %s: %w", row.ID, err)
	}
	h.discard(ctx, row.Digests())
	return nil
}

// resumeRemovals finishes removals that a stop interrupted.
func (h *House) resumeRemovals(ctx context.Context) error {
	var rows []record.Instance
	err := h.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&rows).Where("removing = ?", true).Scan(ctx)
	})
	if err != nil {
		return fmt.Errorf("reading interrupted removals: %w", err)
	}
	for _, row := range rows {
		if err := h.remove(ctx, row); err != nil {
			h.settings.Log.Warn("an interrupted removal goes on at the next start", "plugin", row.Name, "error", err)
		}
	}
	return nil
}

// discard removes releases that no instance needs any more. What fails is
// swept at the next start.
func (h *House) discard(ctx context.Context, digests []string) {
	var gone []record.Release
	err := h.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		for _, d := range digests {
			used, err := q.NewSelect().Model((*record.Instance)(nil)).
				Where("digest = ? OR previous_digest = ? OR pending_digest = ?", d, d, d).Count(ctx)
			if err != nil || used > 0 {
				if err != nil {
					return err
				}
				continue
			}
			row, err := record.FindRelease(ctx, q, d)
			if err != nil || row == nil {
				continue
			}
			if _, err := q.NewDelete().Model((*record.Code)(nil)).Where("digest = ?", d).Exec(ctx); err != nil {
				return err
			}
			if _, err := q.NewDelete().Model((*record.Release)(nil)).Where("digest = ?", d).Exec(ctx); err != nil {
				return err
			}
			gone = append(gone, *row)
		}
		return nil
	})
	if err != nil {
		h.settings.Log.Warn("removing unused releases", "error", err)
		return
	}
	for _, row := range gone {
		err := h.depot.Remove(row.Digest)
		for _, r := range h.runtimes {
			if err == nil {
				err = r.Forget(row.CodeDigest)
			}
		}
		if err != nil {
			h.settings.Log.Warn("removing an unused release", "plugin", row.Name, "version", row.Version, "error", err)
		}
	}
}

// DropTenant forgets the instances of a tenant that is being deleted. Their
// data go with the tenant's namespace.
func (h *House) DropTenant(ctx context.Context, t host.TenantID) error {
	rows, err := record.DropTenant(ctx, h.db, t)
	if err != nil {
		return err
	}
	h.shelf.Forget(t)
	if err := h.reload(ctx, t); err != nil {
		return err
	}
	for _, row := range rows {
		h.discard(ctx, row.Digests())
	}
	return nil
}

// change authorises, changes one instance, audits, and publishes.
func (h *House) change(ctx context.Context, c host.Caller, name, verb string, detail map[string]string, edit func(ctx context.Context, q store.Querier, row *record.Instance, r *release) error) (Instance, error) {
	if err := h.manage(ctx, c, name); err != nil {
		return Instance{}, err
	}
	e, err := h.find(c.TenantID(), name)
	if err != nil {
		return Instance{}, err
	}
	row := new(record.Instance)
	err = h.write(ctx, c, row, verb, detail, func(ctx context.Context, q store.Querier) error {
		have, err := record.FindInstance(ctx, q, c.TenantID(), e.row.Short)
		if err != nil {
			return err
		}
		if have == nil {
			return notInstalled(name)
		}
		if have.Digest != e.row.Digest {
			return host.Errorf(host.CodeConflict, "%s was changed by somebody else just now", have.Name).WithHint("try again")
		}
		*row = *have
		return edit(ctx, q, row, e.release)
	})
	if err != nil {
		return Instance{}, err
	}
	if row.Removing {
		return Instance{}, h.reload(ctx, c.TenantID())
	}
	return h.changed(ctx, c, row)
}

// write runs edit, writes row with a new revision, and records the change, all
// in one transaction.
func (h *House) write(ctx context.Context, c host.Caller, row *record.Instance, verb string, detail map[string]string, edit func(ctx context.Context, q store.Querier) error) error {
	return h.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		if err := edit(ctx, q); err != nil {
			return err
		}
		revision, err := record.Bump(ctx, q, c.TenantID())
		if err != nil {
			return err
		}
		fresh := row.Revision == 0
		row.Revision, row.UpdatedAt = revision, time.Now().UTC().Truncate(time.Microsecond)
		if fresh {
			_, err = q.NewInsert().Model(row).Exec(ctx)
		} else {
			_, err = q.NewUpdate().Model(row).WherePK().Exec(ctx)
		}
		if err != nil {
			return fmt.Errorf("writing instance %s: %w", row.Name, err)
		}
		entry := host.AuditEntry{Action: host.ActionPluginManage, Resource: resource(row.Short), Detail: map[string]string{"change": verb, "plugin": row.Name}}
		maps.Copy(entry.Detail, detail)
		return h.audit.Record(ctx, c, entry)
	})
}

// changed publishes a committed change and returns the instance.
func (h *House) changed(ctx context.Context, c host.Caller, row *record.Instance) (Instance, error) {
	// The change is committed: publish it even if the caller has gone.
	ctx = context.WithoutCancel(ctx)
	if !h.replace(ctx, c.TenantID(), row) {
		if err := h.reload(ctx, c.TenantID()); err != nil {
			return Instance{}, err
		}
	}
	e, err := h.find(c.TenantID(), row.Name)
	if err != nil {
		return Instance{}, err
	}
	if e.in.Enabled && e.release.broken == nil {
		e.release.code.Warm()
	}
	return e.now(), nil
}

// warmUncached compiles in the background what was never compiled here.
func (h *House) warmUncached() {
	h.tenants.Range(func(_, value any) bool {
		for _, e := range value.(*household).entries {
			if e.in.Enabled && e.release.broken == nil && !e.release.code.Cached() {
				e.release.code.Warm()
			}
		}
		return true
	})
}

// seal returns have with the values of set sealed; an empty value removes one.
func (h *House) seal(row *record.Instance, form *setup.Form, have map[string][]byte, set map[string]string) (map[string][]byte, error) {
	for name, value := range set {
		if err := form.Secret(name, value); err != nil {
			return nil, err
		}
		if value == "" {
			delete(have, name)
			continue
		}
		sealed, err := h.box.Seal(host.TenantID(row.TenantID), secretName(row.ID, name), []byte(value))
		if err != nil {
			return nil, fmt.Errorf("sealing the secret %q: %w", name, err)
		}
		have[name] = sealed
	}
	return have, nil
}

// secretName binds a sealed value to its instance and name.
func secretName(instance, name string) string { return "plugin/" + instance + "/" + name }
