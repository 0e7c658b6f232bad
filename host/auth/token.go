package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth/credential"
	"github.com/callboard-dev/callboard/host/auth/policy"
	"github.com/callboard-dev/callboard/host/store"
)

// What the audit record calls the changes to tokens.
const (
	actionTokenCreate host.Action = "token.create"
	actionTokenRevoke host.Action = "token.revoke"
)

// mostScopes bounds the scopes of one token.
const mostScopes = 50

// Token is an API token, without its secret.
type Token struct {
	// ID is public: the part of the token between the first two underscores.
	ID    string
	Label string
	// Role is what it was made with; it never works with more than its owner's.
	Role host.Role
	// Scopes narrow the role: actions, or patterns such as "catalog.*". Empty
	// means all that the role allows.
	Scopes []string
	// Owner is the id of the user whose token it is; empty for an operator's.
	Owner string
	// Parent is the id of the token that it was made with and ends with; empty
	// where a person or an operator made it.
	Parent    string
	CreatedAt time.Time
	// ExpiresAt is zero for a token that does not expire.
	ExpiresAt time.Time
	// LastUsedAt is known to a minute; zero if it was never used.
	LastUsedAt time.Time
}

// NewToken is what is told about a new token.
type NewToken struct {
	// Label is for people; empty means "token".
	Label string
	Role  host.Role
	// Expires is when it ends; zero means never.
	Expires time.Time
	// Scopes are actions or patterns such as "catalog.*"; empty means all that
	// the role allows.
	Scopes []string
}

func (r tokenRow) token() Token {
	t := Token{ID: r.ID, Label: r.Label, Role: host.Role(r.Role), Scopes: r.scopes(), Owner: r.UserID, Parent: r.ParentID, CreatedAt: r.CreatedAt.UTC()}
	if !r.ExpiresAt.IsZero() {
		t.ExpiresAt = r.ExpiresAt.UTC()
	}
	if !r.LastUsedAt.IsZero() {
		t.LastUsedAt = r.LastUsedAt.UTC()
	}
	return t
}

// CreateToken makes an API token for the caller. Its text is in the answer and
// nowhere else. It may do no more than the caller: role, scopes and expiry of a
// token that makes another one bound the new one. Needs host.ActionTokenOwn.
func (s *Service) CreateToken(ctx context.Context, c host.Caller, n NewToken) (secret string, t Token, err error) {
	if err := s.Authorize(ctx, c, host.ActionTokenOwn, "*"); err != nil {
		return "", Token{}, err
	}
	row, err := s.newToken(c, n)
	if err != nil {
		return "", Token{}, err
	}
	fresh := credential.New(credential.KindToken)
	hash := fresh.Hash()
	row.ID, row.Hash = fresh.ID, hash[:]
	entry := host.AuditEntry{Action: actionTokenCreate, Resource: "token:" + row.ID,
		Detail: map[string]string{"label": row.Label, "role": row.Role, "scopes": row.Scopes}}
	if !row.ExpiresAt.IsZero() {
		entry.Detail["expires"] = row.ExpiresAt.Format(time.RFC3339)
	}
	err = s.change(ctx, c, &entry, func(ctx context.Context, q store.Querier) error {
		if err := own(ctx, q, c, &row, s.now()); err != nil {
			return err
		}
		if row.ParentID != "" {
			entry.Detail["parent"] = row.ParentID
		}
		_, err := q.NewInsert().Model(&row).Exec(ctx)
		return err
	})
	if err != nil {
		return "", Token{}, fmt.Errorf("making a token: %w", err)
	}
	return fresh.Text, row.token(), nil
}

// newToken checks what is told about a token and makes the row of it.
func (s *Service) newToken(c host.Caller, n NewToken) (tokenRow, error) {
	if n.Label == "" {
		n.Label = "token"
	}
	name, err := label("/label", n.Label)
	if err != nil {
		return tokenRow{}, err
	}
	if err := checkRole(c, n.Role); err != nil {
		return tokenRow{}, err
	}
	now := s.now()
	expires := n.Expires
	if !expires.IsZero() {
		if expires = expires.UTC().Truncate(time.Microsecond); !expires.After(now) {
			return tokenRow{}, invalid("/expires", "The token would have expired already.", "Take a time that is to come.")
		}
	}
	if len(n.Scopes) > mostScopes {
		return tokenRow{}, invalid("/scopes", "The token has too many scopes.", fmt.Sprintf("Take at most %d; patterns such as catalog.* help.", mostScopes))
	}
	for _, scope := range n.Scopes {
		if !policy.ValidActionPattern(scope) {
			return tokenRow{}, invalid("/scopes", fmt.Sprintf("%q is not a scope.", scope),
				"A scope is an action such as catalog.entity.read, or all under a name such as catalog.*.")
		}
	}
	scopes := slices.Compact(slices.Sorted(slices.Values(n.Scopes)))
	return tokenRow{TenantID: string(c.TenantID()), Label: name, Role: string(n.Role),
		Scopes: strings.Join(scopes, " "), CreatedAt: now, ExpiresAt: expires}, nil
}

// own writes down whose token the new one is. A token's token belongs to the
// same owner and stays within it.
func own(ctx context.Context, q store.Querier, c host.Caller, row *tokenRow, now time.Time) error {
	p := c.Principal()
	if p.Kind == host.KindUser {
		row.UserID = p.ID
	}
	if p.Kind != host.KindToken {
		return nil
	}
	parent, err := readToken(ctx, q, c.TenantID(), p.ID)
	if err != nil {
		return err
	}
	if !parent.ExpiresAt.IsZero() {
		if !parent.ExpiresAt.After(now) {
			return ended(credential.KindToken)
		}
		if row.ExpiresAt.IsZero() || row.ExpiresAt.After(parent.ExpiresAt) {
			row.ExpiresAt = parent.ExpiresAt.UTC()
		}
	}
	bounds := parent.scopes()
	if len(bounds) > 0 && row.Scopes == "" {
		row.Scopes = parent.Scopes
	}
	for _, scope := range row.scopes() {
		within := func(bound string) bool { return policy.Covers(bound, scope) }
		if len(bounds) > 0 && !slices.ContainsFunc(bounds, within) {
			return host.Errorf(host.CodeForbidden, "The scope %q is not within those of the token that you use.", scope).
				WithHint("Take scopes within: %s.", parent.Scopes)
		}
	}
	row.UserID, row.ParentID = parent.UserID, parent.ID
	return nil
}

// readToken returns the tenant's token of an id that is not revoked, or an Error
// of CodeNotFound.
func readToken(ctx context.Context, q store.Querier, tenant host.TenantID, id string) (tokenRow, error) {
	var t tokenRow
	err := q.NewSelect().Model(&t).Where("id = ?", id).Where("tenant_id = ?", string(tenant)).Where("revoked_at IS NULL").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return tokenRow{}, host.Errorf(host.CodeNotFound, "There is no such token.").WithHint("Perhaps it is revoked already.")
	}
	if err != nil {
		return tokenRow{}, fmt.Errorf("reading a token: %w", err)
	}
	return t, nil
}

// ListTokens returns the tokens that are not revoked, the newest first: all of
// the tenant for those who may manage users, else the caller's own.
func (s *Service) ListTokens(ctx context.Context, c host.Caller) ([]Token, error) {
	if err := s.Authorize(ctx, c, host.ActionTokenOwn, "*"); err != nil {
		return nil, err
	}
	all := s.Authorize(ctx, c, host.ActionUserManage, "*") == nil
	var rows []tokenRow
	err := s.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		query := q.NewSelect().Model(&rows).Where("tenant_id = ?", string(c.TenantID())).Where("revoked_at IS NULL").Order("created_at DESC", "id")
		if !all {
			owner, err := ownerOf(ctx, q, c)
			if err != nil {
				return err
			}
			query = query.Where("user_id = ?", owner).Where("user_id <> ''")
		}
		return query.Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("listing tokens: %w", err)
	}
	tokens := make([]Token, len(rows))
	for i, r := range rows {
		tokens[i] = r.token()
	}
	return tokens, nil
}

// RevokeToken ends a token for good, and with it all that were made with it, at
// whatever remove: one's own, or any of the tenant for those who may manage
// users. CodeNotFound: there is none that the caller may revoke.
func (s *Service) RevokeToken(ctx context.Context, c host.Caller, id string) error {
	if err := s.Authorize(ctx, c, host.ActionTokenOwn, "token:"+id); err != nil {
		return err
	}
	all := s.Authorize(ctx, c, host.ActionUserManage, "*") == nil
	entry := host.AuditEntry{Action: actionTokenRevoke, Resource: "token:" + id}
	err := s.change(ctx, c, &entry, func(ctx context.Context, q store.Querier) error {
		t, err := readToken(ctx, q, c.TenantID(), id)
		if err != nil {
			return err
		}
		owner, err := ownerOf(ctx, q, c)
		if err != nil {
			return err
		}
		if !all && (owner == "" || owner != t.UserID) {
			return host.Errorf(host.CodeNotFound, "There is no such token.").WithHint("Perhaps it is revoked already.")
		}
		entry.Detail = map[string]string{"label": t.Label}
		heirs, err := descendants(ctx, q, t)
		if err != nil {
			return err
		}
		ids := []string{t.ID}
		for _, heir := range heirs {
			ids = append(ids, heir.ID)
			err := s.audit.Stage(ctx, q, c, host.AuditEntry{Action: actionTokenRevoke, Resource: "token:" + heir.ID,
				Detail: map[string]string{"label": heir.Label, "parent": heir.ParentID}})
			if err != nil {
				return err
			}
		}
		_, err = q.NewUpdate().Model((*tokenRow)(nil)).Set("revoked_at = ?", s.now()).Where("id IN (?)", bun.List(ids)).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("revoking a token: %w", err)
	}
	s.forget()
	return nil
}

// descendants returns the tokens that were made with one, with those, and so
// on, as far as they are not revoked. A token's parent is older than itself, so
// there is an end.
func descendants(ctx context.Context, q store.Querier, of tokenRow) ([]tokenRow, error) {
	var all []tokenRow
	for parents := []string{of.ID}; len(parents) > 0; {
		var level []tokenRow
		err := q.NewSelect().Model(&level).Where("tenant_id = ?", of.TenantID).Where("parent_id IN (?)", bun.List(parents)).
			Where("revoked_at IS NULL").Order("created_at", "id").Scan(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the tokens of a token: %w", err)
		}
		parents = parents[:0]
		for _, t := range level {
			parents = append(parents, t.ID)
		}
		all = append(all, level...)
	}
	return all, nil
}

// ownerOf returns the id of the user that the caller is or acts for, or "".
func ownerOf(ctx context.Context, q store.Querier, c host.Caller) (string, error) {
	switch p := c.Principal(); p.Kind {
	case host.KindUser:
		return p.ID, nil
	case host.KindToken:
		t, err := readToken(ctx, q, c.TenantID(), p.ID)
		return t.UserID, err
	}
	return "", nil
}
