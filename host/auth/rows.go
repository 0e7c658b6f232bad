package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/uptrace/bun"
)

// userRow is a person in one tenant.
type userRow struct {
	bun.BaseModel `bun:"table:users"`

	ID          string    `bun:"id,pk"`
	TenantID    string    `bun:"tenant_id"`
	Email       string    `bun:"email"`
	Name        string    `bun:"name"`
	Role        string    `bun:"role"`
	Password    string    `bun:"password"`
	EntityRef   string    `bun:"entity_ref"`
	Disabled    bool      `bun:"disabled"`
	CreatedAt   time.Time `bun:"created_at"`
	LastLoginAt time.Time `bun:"last_login_at,nullzero"`
}

func (r userRow) principal() host.Principal {
	return host.Principal{Kind: host.KindUser, ID: r.ID, Name: r.Email, Role: host.Role(r.Role), EntityRef: r.EntityRef}
}

// tokenRow is an API token.
type tokenRow struct {
	bun.BaseModel `bun:"table:tokens"`

	ID         string    `bun:"id,pk"`
	TenantID   string    `bun:"tenant_id"`
	UserID     string    `bun:"user_id"`
	ParentID   string    `bun:"parent_id"`
	Label      string    `bun:"label"`
	Role       string    `bun:"role"`
	Scopes     string    `bun:"scopes"`
	Hash       []byte    `bun:"hash"`
	CreatedAt  time.Time `bun:"created_at"`
	ExpiresAt  time.Time `bun:"expires_at,nullzero"`
	LastUsedAt time.Time `bun:"last_used_at,nullzero"`
	RevokedAt  time.Time `bun:"revoked_at,nullzero"`
}

func (r tokenRow) scopes() []string { return strings.Fields(r.Scopes) }

// sessionRow is a browser that is signed in.
type sessionRow struct {
	bun.BaseModel `bun:"table:sessions"`

	ID        string    `bun:"id,pk"`
	TenantID  string    `bun:"tenant_id"`
	UserID    string    `bun:"user_id"`
	Method    string    `bun:"method"`
	Hash      []byte    `bun:"hash"`
	CreatedAt time.Time `bun:"created_at"`
	SeenAt    time.Time `bun:"seen_at"`
	ExpiresAt time.Time `bun:"expires_at"`
}

// linkRow is a one-time link.
type linkRow struct {
	bun.BaseModel `bun:"table:login_links"`

	ID        string    `bun:"id,pk"`
	TenantID  string    `bun:"tenant_id"`
	UserID    string    `bun:"user_id"`
	Hash      []byte    `bun:"hash"`
	CreatedAt time.Time `bun:"created_at"`
	ExpiresAt time.Time `bun:"expires_at"`
	UsedAt    time.Time `bun:"used_at,nullzero"`
}

// requireTenant returns an Error of CodeNotFound unless the tenant is open.
func requireTenant(ctx context.Context, q store.Querier, id host.TenantID) error {
	open, err := q.NewSelect().Table("tenants").Where("id = ?", string(id)).Where("state = ?", "ready").Exists(ctx)
	if err != nil {
		return fmt.Errorf("looking for a tenant: %w", err)
	}
	if !open {
		return host.Errorf(host.CodeNotFound, "The tenant is not there any more.")
	}
	return nil
}

// readUser returns the tenant's user of an id, or an Error of CodeNotFound.
func readUser(ctx context.Context, q store.Querier, tenant host.TenantID, id string) (userRow, error) {
	var u userRow
	err := q.NewSelect().Model(&u).Where("id = ?", id).Where("tenant_id = ?", string(tenant)).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return userRow{}, host.Errorf(host.CodeNotFound, "There is no such user.")
	}
	if err != nil {
		return userRow{}, fmt.Errorf("reading a user: %w", err)
	}
	return u, nil
}

// affected reports whether a statement changed a row.
func affected(done sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n > 0, err
}
