package tenant

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/uptrace/bun"
)

// The states of a tenant's row. Only a ready tenant is seen from outside.
const (
	stateCreating = "creating"
	stateReady    = "ready"
	stateDeleting = "deleting"
	stateDeleted  = "deleted"
)

// What the audit record calls the changes.
const (
	actionCreate host.Action = "tenant.create"
)

// row is a tenant in the control namespace.
type row struct {
	bun.BaseModel `bun:"table:tenants"`

	ID        string    `bun:"id,pk"`
	Slug      string    `bun:"slug"`
	Name      string    `bun:"name"`
	Demo      bool      `bun:"demo"`
	State     string    `bun:"state"`
	CreatedAt time.Time `bun:"created_at"`
	DeletedAt time.Time `bun:"deleted_at,nullzero"`
}

func (r row) tenant() host.Tenant {
	return host.Tenant{ID: host.TenantID(r.ID), Slug: r.Slug, Name: r.Name, Demo: r.Demo, CreatedAt: r.CreatedAt.UTC()}
}

// Create makes a tenant with a namespace of its own. An empty name means that
// the slug is shown. CodeConflict: the slug is taken. If an earlier Create of
// the slug was interrupted, this one finishes it, with the given name and demo.
func (r *Registry) Create(ctx context.Context, slug, name string, demo bool) (host.Tenant, error) {
	if err := CheckSlug(slug); err != nil {
		return host.Tenant{}, err
	}
	name, err := checkName(name, slug)
	if err != nil {
		return host.Tenant{}, err
	}
	begun, err := r.begin(ctx, slug, name, demo)
	if err != nil {
		return host.Tenant{}, err
	}
	if err := r.finish(ctx, begun); err != nil {
		return host.Tenant{}, err
	}
	return begun.tenant(), nil
}

// begin writes down that the tenant is being made, or finds that it was.
func (r *Registry) begin(ctx context.Context, slug, name string, demo bool) (row, error) {
	var begun row
	err := r.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		err := q.NewSelect().Model(&begun).Where("slug = ?", slug).Scan(ctx)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			begun = row{ID: string(host.NewTenantID()), Slug: slug, Name: name, Demo: demo, State: stateCreating,
				CreatedAt: r.now().UTC().Truncate(time.Microsecond)}
			_, err = q.NewInsert().Model(&begun).Exec(ctx)
			return err
		case err != nil:
			return err
		case begun.State == stateDeleting:
			return host.Errorf(host.CodeConflict, "The tenant %q is being deleted.", slug).WithHint("Try again in a moment.")
		case begun.State != stateCreating:
			return taken(slug)
		}
		begun.Name, begun.Demo = name, demo
		_, err = q.NewUpdate().Model(&begun).Column("name", "demo").WherePK().Exec(ctx)
		return err
	})
	if err != nil {
		return row{}, fmt.Errorf("writing down the new tenant %q: %w", slug, err)
	}
	return begun, nil
}

// finish makes the namespace of a tenant that is being made and opens it.
func (r *Registry) finish(ctx context.Context, begun row) error {
	t := begun.tenant()
	if err := r.db.CreateTenant(ctx, t.ID); err != nil {
		return fmt.Errorf("making the namespace of tenant %q: %w", t.Slug, err)
	}
	err := r.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		done, err := q.NewUpdate().Model((*row)(nil)).Set("state = ?", stateReady).
			Where("id = ?", begun.ID).Where("state = ?", stateCreating).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, taken(t.Slug))
		}
		return r.audit.Stage(ctx, q, host.System(t, "operator"), host.AuditEntry{
			Action: actionCreate, Resource: "tenant:" + t.Slug,
			Detail: map[string]string{"name": t.Name, "demo": strconv.FormatBool(t.Demo)},
		})
	})
	if err != nil {
		return fmt.Errorf("opening tenant %q: %w", t.Slug, err)
	}
	r.forget()
	return r.audit.Flush(ctx, t.ID)
}

func taken(slug string) error {
	return host.Errorf(host.CodeConflict, "There is a tenant %q already.", slug).WithHint("Take another name.")
}

// Delete removes the tenant with everything in it: people, tokens, sessions
// and the namespace, its audit record included. It cannot be undone. Of the
// tenant remains a row without names that proves when it was deleted. The slug
// is free afterwards. CodeNotFound: there is no such tenant.
func (r *Registry) Delete(ctx context.Context, slug string) error {
	if err := CheckSlug(slug); err != nil {
		return err
	}
	var doomed row
	err := r.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		err := q.NewSelect().Model(&doomed).Where("slug = ?", slug).Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound(slug)
		}
		if err != nil {
			return err
		}
		// From here on nobody gets in; children are removed before parents.
		for _, table := range []string{"sessions", "login_links", "tokens", "users", "audit_pending"} {
			if _, err := q.NewDelete().Table(table).Where("tenant_id = ?", doomed.ID).Exec(ctx); err != nil {
				return err
			}
		}
		_, err = q.NewUpdate().Model((*row)(nil)).Set("state = ?", stateDeleting).Where("id = ?", doomed.ID).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("closing tenant %q: %w", slug, err)
	}
	r.forget()
	return r.bury(ctx, doomed)
}

// bury drops the namespace of a tenant that is being deleted.
func (r *Registry) bury(ctx context.Context, doomed row) error {
	if err := r.db.DropTenant(ctx, host.TenantID(doomed.ID)); err != nil {
		return fmt.Errorf("dropping the namespace of tenant %q: %w", doomed.Slug, err)
	}
	return r.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewUpdate().Model((*row)(nil)).Set("state = ?", stateDeleted).
			// No slug has a colon, so this one is in nobody's way.
			Set("slug = ?", "deleted:"+doomed.ID).Set("name = ?", "").
			Set("deleted_at = ?", r.now().UTC().Truncate(time.Microsecond)).
			Where("id = ?", doomed.ID).Where("state = ?", stateDeleting).Exec(ctx)
		return err
	})
}

// Resume finishes what a killed process left half-done: tenants that were being
// made become ready, tenants that were being deleted are gone. Call it when the
// host starts, after the migrations. One fault does not stop the others.
func (r *Registry) Resume(ctx context.Context) error {
	var rows []row
	err := r.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&rows).Where("state IN (?)", bun.List([]string{stateCreating, stateDeleting})).Order("id").Scan(ctx)
	})
	if err != nil {
		return fmt.Errorf("looking for half-done tenants: %w", err)
	}
	var faults []error
	for _, half := range rows {
		if half.State == stateDeleting {
			faults = append(faults, r.bury(ctx, half))
			continue
		}
		err := r.finish(ctx, half)
		if host.CodeOf(err) == host.CodeConflict {
			err = nil // another process finished it first
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
