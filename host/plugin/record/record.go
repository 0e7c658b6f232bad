// Package record is what the control database knows of plugins: the rows of
// releases, their code, instances and installations, and the few queries that
// more than one part of the house needs. It decides nothing.
package record

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Release is a row of releases.
type Release struct {
	bun.BaseModel `bun:"table:releases,alias:r"`

	Digest     string    `bun:"digest,pk"`
	Name       string    `bun:"name"`
	Version    string    `bun:"version"`
	Source     string    `bun:"source"`
	Readme     string    `bun:"readme"`
	CodeDigest string    `bun:"code_digest"`
	CodeBytes  int64     `bun:"code_bytes"`
	CreatedAt  time.Time `bun:"created_at"`
}

// Code is a row of release_code; Code is compressed by gzip.
type Code struct {
	bun.BaseModel `bun:"table:release_code,alias:rc"`

	Digest string `bun:"digest,pk"`
	Code   []byte `bun:"code"`
}

// Instance is a row of instances. Its JSON columns are text, so that they come
// back byte for byte.
type Instance struct {
	bun.BaseModel `bun:"table:instances,alias:i"`

	ID             string `bun:"id,pk"`
	TenantID       string `bun:"tenant_id"`
	Short          string `bun:"short"`
	Name           string `bun:"name"`
	Digest         string `bun:"digest"`
	PreviousDigest string `bun:"previous_digest"`
	PendingDigest  string `bun:"pending_digest"`
	Enabled        bool   `bun:"enabled"`
	Wanted         bool   `bun:"wanted"` // to be enabled once nothing is missing
	Consented      bool   `bun:"consented"`
	Removing       bool   `bun:"removing"`
	Config         string `bun:"config"`
	Grants         string `bun:"grants"`
	PreviousGrants string `bun:"previous_grants"`
	PreviousConfig string `bun:"previous_config"`
	Secrets        string `bun:"secrets"` // name to sealed value, JSON
	Policy         string `bun:"policy"`  // what an admin changed of limits and failure policies, JSON
	Pinned         bool   `bun:"pinned"`
	Halted         string `bun:"halted"`      // the state that stopped it, or empty
	HaltReason     string `bun:"halt_reason"` // one sentence
	// Snapshot is the snapshot of the plugin's tables from before the last
	// upgrade, which was at UpgradedAt.
	Snapshot    string     `bun:"snapshot"`
	UpgradedAt  *time.Time `bun:"upgraded_at"`
	Revision    int64      `bun:"revision"`
	InstalledAt time.Time  `bun:"installed_at"`
	UpdatedAt   time.Time  `bun:"updated_at"`
}

// Installation counts the changes of a tenant's installations.
type Installation struct {
	bun.BaseModel `bun:"table:installations,alias:n"`

	TenantID string `bun:"tenant_id,pk"`
	Revision int64  `bun:"revision"`
}

// ConfigOr returns another configuration, if it is not nil, else the row's own.
func (r *Instance) ConfigOr(other json.RawMessage) json.RawMessage {
	if other != nil {
		return other
	}
	return json.RawMessage(r.Config)
}

// Digests are the releases that the instance needs.
func (r *Instance) Digests() []string {
	var out []string
	for _, d := range []string{r.Digest, r.PreviousDigest, r.PendingDigest} {
		if d != "" {
			out = append(out, d)
		}
	}
	return out
}

// Granted are the instance's grants.
func (r *Instance) Granted() []manifestv1.Permission {
	var out []manifestv1.Permission
	if json.Unmarshal([]byte(r.Grants), &out) != nil {
		return nil // nothing granted is the safe reading of a damaged row
	}
	return out
}

// SetGranted replaces the grants.
func (r *Instance) SetGranted(g []manifestv1.Permission) error {
	if g == nil {
		g = []manifestv1.Permission{}
	}
	raw, err := json.Marshal(g)
	r.Grants = string(raw)
	return err
}

// Sealed are the instance's secrets by name, sealed.
func (r *Instance) Sealed() map[string][]byte {
	out := map[string][]byte{}
	if json.Unmarshal([]byte(r.Secrets), &out) != nil {
		return map[string][]byte{}
	}
	return out
}

// SetSealed replaces the secrets.
func (r *Instance) SetSealed(s map[string][]byte) error {
	raw, err := json.Marshal(s)
	r.Secrets = string(raw)
	return err
}

// ShortOf returns the part of "namespace/name" after the slash.
func ShortOf(name string) string {
	_, short, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	return short
}

// FindInstance reads an instance by its short or full name. It is nil where
// there is none.
func FindInstance(ctx context.Context, q store.Querier, t host.TenantID, name string) (*Instance, error) {
	row := new(Instance)
	err := q.NewSelect().Model(row).Where("tenant_id = ?", string(t)).Where("short = ?", ShortOf(name)).
		Where("removing = ?", false).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) || err == nil && name != row.Short && name != row.Name {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading instance %s: %w", name, err)
	}
	return row, nil
}

// FindRelease reads a release; nil where there is none.
func FindRelease(ctx context.Context, q store.Querier, digest string) (*Release, error) {
	row := new(Release)
	err := q.NewSelect().Model(row).Where("digest = ?", digest).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading release %s: %w", digest, err)
	}
	return row, nil
}

// Installed reads the instances that are not being removed, by tenant, and how
// often each tenant's installations have changed: of one tenant, or of all.
func Installed(ctx context.Context, db *store.DB, t host.TenantID) (byTenant map[string][]Instance, counts []Installation, err error) {
	var rows []Instance
	err = db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		rows, counts = nil, nil
		changes, instances := q.NewSelect().Model(&counts), q.NewSelect().Model(&rows).Where("removing = ?", false)
		if t != "" {
			changes, instances = changes.Where("tenant_id = ?", string(t)), instances.Where("tenant_id = ?", string(t))
		}
		if err := changes.Scan(ctx); err != nil {
			return err
		}
		return instances.Order("tenant_id", "short").Scan(ctx)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading instances: %w", err)
	}
	byTenant = map[string][]Instance{}
	for _, r := range rows {
		byTenant[r.TenantID] = append(byTenant[r.TenantID], r)
	}
	return byTenant, counts, nil
}

// Bump raises the tenant's installation revision and returns it. Writes of the
// control namespace run one after another, so reading first is safe.
func Bump(ctx context.Context, q store.Querier, t host.TenantID) (int64, error) {
	row := Installation{TenantID: string(t)}
	err := q.NewSelect().Model(&row).WherePK().Scan(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		row.Revision = 1
		_, err = q.NewInsert().Model(&row).Exec(ctx)
	case err == nil:
		row.Revision++
		_, err = q.NewUpdate().Model(&row).WherePK().Exec(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("counting the change: %w", err)
	}
	return row.Revision, nil
}

// DropTenant removes the instances of a tenant that is being deleted, and what
// was counted of them. It returns the instances.
func DropTenant(ctx context.Context, db *store.DB, t host.TenantID) ([]Instance, error) {
	var rows []Instance
	err := db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		rows = nil
		if err := q.NewSelect().Model(&rows).Where("tenant_id = ?", string(t)).Scan(ctx); err != nil {
			return err
		}
		for _, table := range []any{(*Instance)(nil), (*Installation)(nil), (*Usage)(nil), (*Quota)(nil), (*Evidence)(nil)} {
			if _, err := q.NewDelete().Model(table).Where("tenant_id = ?", string(t)).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("removing the instances of the tenant: %w", err)
	}
	return rows, nil
}
