package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth/credential"
	"github.com/callboard-dev/callboard/host/store"
)

// Credentials are what a request says about its sender and tenant. Empty means
// not given.
type Credentials struct {
	// Bearer is an API token. Where it is given, Session is not looked at.
	Bearer string
	// Session is the value of the session cookie.
	Session string
	// HostTenant is the tenant's slug in the host name, HeaderTenant the one in
	// the header.
	HostTenant, HeaderTenant string
}

// String returns the credentials without their secrets.
func (c Credentials) String() string {
	return fmt.Sprintf("bearer %q, session %q, host %q, header %q",
		credential.Mask(c.Bearer), credential.Mask(c.Session), c.HostTenant, c.HeaderTenant)
}

// GoString returns what String does.
func (c Credentials) GoString() string { return c.String() }

// LogValue returns what String does.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// pass is what is remembered of a good credential.
type pass struct {
	kind    credential.Kind
	id      string
	caller  host.Caller
	scopes  []string
	expires time.Time // zero: never
	// checked is when it was looked up; looking whether somebody does so anew.
	checked time.Time
	looking atomic.Bool
	// noted is the last use that was noted, in nanoseconds since 1970.
	noted atomic.Int64
}

// Authenticate returns who sends a request. CodeUnauthenticated: nothing valid
// is given, or it has ended. CodeTenantMismatch: the credential is good, but
// host name or header name another tenant.
func (s *Service) Authenticate(ctx context.Context, given Credentials) (host.Caller, error) {
	kind, text := credential.KindToken, given.Bearer
	if text == "" {
		kind, text = credential.KindSession, given.Session
	}
	if text == "" {
		return host.Caller{}, host.Errorf(host.CodeUnauthenticated, "You are not signed in.").
			WithHint("Sign in, or send an API token: Authorization: Bearer cb_…")
	}
	now := s.settings.Now()
	p, err := s.recall(ctx, kind, text, now)
	if err != nil {
		return host.Caller{}, err
	}
	if !p.expires.IsZero() && !now.Before(p.expires) {
		return host.Caller{}, ended(kind)
	}
	slug := p.caller.Tenant().Slug
	if !names(given.HostTenant, slug) {
		return host.Caller{}, mismatch("host name")
	}
	if !names(given.HeaderTenant, slug) {
		return host.Caller{}, mismatch("header Callboard-Tenant")
	}
	s.note(p, now)
	return p.caller, nil
}

// TenantOf returns the tenant that host name and header name together, or the
// only one, for requests whose sender is not known yet. CodeTenantMismatch:
// they differ; CodeInvalid: nothing names one and there are several.
func (s *Service) TenantOf(ctx context.Context, hostTenant, headerTenant string) (host.Tenant, error) {
	slug := hostTenant
	if slug == "" {
		slug = headerTenant
	}
	if slug == "" {
		return s.onlyTenant(ctx)
	}
	t, err := s.tenants.BySlug(ctx, lower(slug))
	if err != nil {
		return host.Tenant{}, err
	}
	if !names(headerTenant, t.Slug) {
		return host.Tenant{}, mismatch("header Callboard-Tenant")
	}
	return t, nil
}

func (s *Service) onlyTenant(ctx context.Context) (host.Tenant, error) {
	all, err := s.tenants.List(ctx)
	if err != nil {
		return host.Tenant{}, err
	}
	switch len(all) {
	case 0:
		return host.Tenant{}, host.Errorf(host.CodeNotFound, "There is no tenant yet.").
			WithHint("Make one with: callboard tenant create NAME")
	case 1:
		return all[0], nil
	}
	return host.Tenant{}, host.Errorf(host.CodeInvalid, "Nothing says which tenant is meant.").
		WithHint("Name it by the host name or the header Callboard-Tenant.")
}

// recall returns the pass of a credential from memory, or looks it up. A pass
// that is due is looked up by one request while the others still use it.
func (s *Service) recall(ctx context.Context, kind credential.Kind, text string, now time.Time) (*pass, error) {
	hash := credential.Sum(text)
	p, known := s.passes.Get(hash)
	if known && p.kind == kind {
		age := now.Sub(p.checked)
		if age < s.settings.Recheck {
			return p, nil
		}
		if age < 2*s.settings.Recheck {
			if !p.looking.CompareAndSwap(false, true) {
				return p, nil
			}
			defer p.looking.Store(false)
		}
	}
	if _, err := credential.Parse(kind, text); err != nil {
		return nil, err
	}
	era, tokenEra := s.passes.Era(), s.tokens.Era()
	p, err := s.lookUp(ctx, kind, hash, now)
	if err != nil {
		if known && host.CodeOf(err) == host.CodeUnauthenticated {
			s.passes.Delete(hash)
		}
		return nil, err
	}
	s.passes.Put(era, hash, p)
	if kind == credential.KindToken {
		s.tokens.Put(tokenEra, p.id, p)
	}
	return p, nil
}

// lookUp reads what a credential stands for. Whether it has expired by now is
// the caller's to see, as that changes without a look-up.
func (s *Service) lookUp(ctx context.Context, kind credential.Kind, hash credential.Hash, now time.Time) (*pass, error) {
	if kind == credential.KindSession {
		return s.lookUpSession(ctx, hash, now)
	}
	return s.lookUpToken(ctx, "hash", hash[:], now)
}

func (s *Service) lookUpToken(ctx context.Context, column string, value any, now time.Time) (*pass, error) {
	var t tokenRow
	var owner userRow
	err := s.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		query := q.NewSelect().Model(&t).Where("revoked_at IS NULL")
		if column == "hash" {
			query = query.Where("hash = ?", value)
		} else {
			query = query.Where("id = ?", value)
		}
		err := query.Scan(ctx)
		if err != nil || t.UserID == "" {
			return err
		}
		return q.NewSelect().Model(&owner).Where("id = ?", t.UserID).Where("tenant_id = ?", t.TenantID).Scan(ctx)
	})
	if errors.Is(err, sql.ErrNoRows) || owner.Disabled {
		return nil, ended(credential.KindToken)
	}
	if err != nil {
		return nil, fmt.Errorf("looking up a token: %w", err)
	}
	role := host.Role(t.Role)
	if t.UserID != "" {
		role = narrower(role, host.Role(owner.Role))
	}
	p := &pass{kind: credential.KindToken, id: t.ID, scopes: t.scopes(), expires: t.ExpiresAt, checked: now}
	if used := latest(t.LastUsedAt, s.uses.last(credential.KindToken, t.ID)); !used.IsZero() {
		p.noted.Store(used.UnixNano())
	}
	return s.bind(ctx, p, host.TenantID(t.TenantID), host.Principal{
		Kind: host.KindToken, ID: t.ID, Name: t.Label, Role: role, EntityRef: owner.EntityRef,
	})
}

func (s *Service) lookUpSession(ctx context.Context, hash credential.Hash, now time.Time) (*pass, error) {
	var b sessionRow
	var u userRow
	err := s.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		if err := q.NewSelect().Model(&b).Where("hash = ?", hash[:]).Scan(ctx); err != nil {
			return err
		}
		return q.NewSelect().Model(&u).Where("id = ?", b.UserID).Where("tenant_id = ?", b.TenantID).Scan(ctx)
	})
	if errors.Is(err, sql.ErrNoRows) || u.Disabled {
		return nil, ended(credential.KindSession)
	}
	if err != nil {
		return nil, fmt.Errorf("looking up a session: %w", err)
	}
	seen := latest(b.SeenAt, s.uses.last(credential.KindSession, b.ID))
	if now.Sub(seen) >= s.settings.SessionIdle {
		return nil, ended(credential.KindSession)
	}
	p := &pass{kind: credential.KindSession, id: b.ID, expires: b.ExpiresAt, checked: now}
	p.noted.Store(seen.UnixNano())
	return s.bind(ctx, p, host.TenantID(b.TenantID), u.principal())
}

// bind completes a pass with its caller.
func (s *Service) bind(ctx context.Context, p *pass, id host.TenantID, who host.Principal) (*pass, error) {
	t, err := s.tenants.ByID(ctx, id)
	if host.CodeOf(err) == host.CodeNotFound {
		return nil, ended(p.kind)
	}
	if err != nil {
		return nil, err
	}
	p.caller = host.NewCaller(t, who)
	return p, nil
}

func ended(kind credential.Kind) error {
	if kind == credential.KindSession {
		return host.Errorf(host.CodeUnauthenticated, "Your session has ended.").WithHint("Sign in again.")
	}
	return host.Errorf(host.CodeUnauthenticated, "The API token is unknown, expired or revoked.").WithHint("Make a new one.")
}

func mismatch(place string) error {
	return host.Errorf(host.CodeTenantMismatch, "The %s names another tenant than the other parts of the request.", place).
		WithHint("Credential, host name and header must belong to the same tenant.")
}

// names reports whether the given name, if any, is the slug. Letters of host
// names have no case.
func names(given, slug string) bool { return given == "" || given == slug || lower(given) == slug }

// lower lowers ASCII letters alone: no other letter becomes part of a slug.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
