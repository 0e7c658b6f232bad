package plugin

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// releaseRow is a row of releases.
type releaseRow struct {
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

// codeRow is a row of release_code; Code is compressed by gzip.
type codeRow struct {
	bun.BaseModel `bun:"table:release_code,alias:rc"`

	Digest string `bun:"digest,pk"`
	Code   []byte `bun:"code"`
}

// instanceRow is a row of instances. Its JSON columns are text, so that they
// come back byte for byte.
type instanceRow struct {
	bun.BaseModel `bun:"table:instances,alias:i"`

	ID             string    `bun:"id,pk"`
	TenantID       string    `bun:"tenant_id"`
	Short          string    `bun:"short"`
	Name           string    `bun:"name"`
	Digest         string    `bun:"digest"`
	PreviousDigest string    `bun:"previous_digest"`
	PendingDigest  string    `bun:"pending_digest"`
	Enabled        bool      `bun:"enabled"`
	Wanted         bool      `bun:"wanted"` // to be enabled once nothing is missing
	Consented      bool      `bun:"consented"`
	Removing       bool      `bun:"removing"`
	Config         string    `bun:"config"`
	Grants         string    `bun:"grants"`
	PreviousGrants string    `bun:"previous_grants"`
	PreviousConfig string    `bun:"previous_config"`
	Secrets        string    `bun:"secrets"` // name to sealed value, JSON
	Revision       int64     `bun:"revision"`
	InstalledAt    time.Time `bun:"installed_at"`
	UpdatedAt      time.Time `bun:"updated_at"`
}

// installationRow counts the changes of a tenant's installations.
type installationRow struct {
	bun.BaseModel `bun:"table:installations,alias:n"`

	TenantID string `bun:"tenant_id,pk"`
	Revision int64  `bun:"revision"`
}

// digests are the releases that the instance needs.
func (r *instanceRow) digests() []string {
	var out []string
	for _, d := range []string{r.Digest, r.PreviousDigest, r.PendingDigest} {
		if d != "" {
			out = append(out, d)
		}
	}
	return out
}

func (r *instanceRow) grants() []Grant {
	var out []Grant
	if json.Unmarshal([]byte(r.Grants), &out) != nil {
		return nil // nothing granted is the safe reading of a damaged row
	}
	return out
}

func (r *instanceRow) setGrants(g []Grant) error {
	if g == nil {
		g = []Grant{}
	}
	raw, err := json.Marshal(g)
	r.Grants = string(raw)
	return err
}

func (r *instanceRow) sealed() map[string][]byte {
	out := map[string][]byte{}
	if json.Unmarshal([]byte(r.Secrets), &out) != nil {
		return map[string][]byte{}
	}
	return out
}

func (r *instanceRow) setSealed(s map[string][]byte) error {
	raw, err := json.Marshal(s)
	r.Secrets = string(raw)
	return err
}

// findInstance reads an instance by its short or full name. It is nil where
// there is none.
func findInstance(ctx context.Context, q store.Querier, t host.TenantID, name string) (*instanceRow, error) {
	row := new(instanceRow)
	err := q.NewSelect().Model(row).Where("tenant_id = ?", string(t)).Where("short = ?", shortOf(name)).
		Where("removing = ?", false).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) || err == nil && name != row.Short && name != row.Name {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading instance %s: %w", name, err)
	}
	return row, nil
}

// findRelease reads a release; nil where there is none.
func findRelease(ctx context.Context, q store.Querier, digest string) (*releaseRow, error) {
	row := new(releaseRow)
	err := q.NewSelect().Model(row).Where("digest = ?", digest).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading release %s: %w", digest, err)
	}
	return row, nil
}

// bump raises the tenant's installation revision and returns it. Writes of the
// control namespace run one after another, so reading first is safe.
func bump(ctx context.Context, q store.Querier, t host.TenantID) (int64, error) {
	row := installationRow{TenantID: string(t)}
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
