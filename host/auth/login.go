package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth/credential"
	"github.com/callboard-dev/callboard/host/store"
)

// The ways to sign in, as sessions and audit records name them.
const (
	methodPassword = "password"
	methodLink     = "link"
)

// actionLinkCreate is what the audit record calls the making of a link.
const actionLinkCreate host.Action = "link.create"

type addressKey struct{}

// WithAddress returns a context that says from which network address somebody
// signs in; guessing is slowed down by it, and the audit record names it.
func WithAddress(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

func addressOf(ctx context.Context) string {
	address, _ := ctx.Value(addressKey{}).(string)
	return address
}

// attempt is one try to sign in, counted as failed until it is told otherwise.
type attempt struct {
	s                *Service
	account, address string
}

// attempt counts a try, or refuses it with CodeRateLimited and RetryAfter.
func (s *Service) attempt(ctx context.Context, slug, email string) (attempt, error) {
	a := attempt{s: s, account: slug + "\x00" + email, address: addressOf(ctx)}
	if a.address != "" {
		if wait := s.origins.Try(a.address); wait > 0 {
			return attempt{}, tooMany(wait)
		}
	}
	if wait := s.accounts.Try(a.account); wait > 0 {
		return attempt{}, tooMany(wait)
	}
	return a, nil
}

// succeed forgets the account's failures; those of the address stay, or
// somebody with one account could guess at others for ever.
func (a attempt) succeed() {
	a.s.accounts.Clear(a.account)
	a.s.origins.Undo(a.address)
}

// undo takes the try back: nothing was found out by it.
func (a attempt) undo() {
	a.s.accounts.Undo(a.account)
	a.s.origins.Undo(a.address)
}

func tooMany(wait time.Duration) error {
	wait = max(wait.Round(time.Second), time.Second)
	err := host.Errorf(host.CodeRateLimited, "Too many attempts to sign in.").
		WithHint("Try again in %s, or ask an admin for a one-time link.", wait)
	err.RetryAfter = wait
	return err
}

// Login opens a session by e-mail address and password. An empty slug means the
// only tenant. Whatever is wrong, unknown tenant and user included, the answer
// is the same CodeUnauthenticated after the same work; CodeRateLimited: too many
// attempts, see RetryAfter.
func (s *Service) Login(ctx context.Context, tenantSlug, email, text string) (Session, error) {
	t, err := s.loginTenant(ctx, tenantSlug)
	if err != nil {
		return Session{}, err
	}
	normal, err := NormalizeEmail(email)
	if err != nil {
		normal = credential.Mask(email)
	}
	try, err := s.attempt(ctx, t.Slug, normal)
	if err != nil {
		return Session{}, err
	}
	u, err := s.candidate(ctx, t.ID, normal)
	if err != nil {
		try.undo()
		return Session{}, err
	}
	same, stale, err := s.words.Compare(ctx, text, u.Password)
	if err != nil {
		try.undo()
		return Session{}, err
	}
	if !same {
		return Session{}, wrong()
	}
	try.succeed()
	fresh := u.Password
	if stale {
		if fresh, err = s.words.Hash(ctx, text); err != nil {
			return Session{}, err
		}
	}
	return s.enter(ctx, t, u, fresh)
}

// loginTenant returns the tenant to sign in to; the zero Tenant stands for one
// that is not known.
func (s *Service) loginTenant(ctx context.Context, slug string) (host.Tenant, error) {
	if slug == "" {
		return s.onlyTenant(ctx)
	}
	t, err := s.tenants.BySlug(ctx, lower(slug))
	if code := host.CodeOf(err); code == host.CodeNotFound || code == host.CodeInvalid {
		return host.Tenant{}, nil
	}
	return t, err
}

// candidate returns the user of an address who could have a password, else a
// user without one.
func (s *Service) candidate(ctx context.Context, tenant host.TenantID, email string) (userRow, error) {
	var u userRow
	err := s.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&u).Where("tenant_id = ?", string(tenant)).Where("email = ?", email).Scan(ctx)
	})
	if errors.Is(err, sql.ErrNoRows) || u.Disabled {
		return userRow{}, nil
	}
	if err != nil {
		return userRow{}, fmt.Errorf("looking for a user: %w", err)
	}
	return u, nil
}

// enter opens the session of a user whose password was right, unless the user
// was disabled or got another password meanwhile, and keeps the hash of the
// password in its fresh form.
func (s *Service) enter(ctx context.Context, t host.Tenant, u userRow, fresh string) (Session, error) {
	var session Session
	var entry host.AuditEntry
	err := s.change(ctx, host.NewCaller(t, u.principal()), &entry, func(ctx context.Context, q store.Querier) error {
		now, err := readUser(ctx, q, t.ID, u.ID)
		if err != nil {
			return err
		}
		if now.Disabled || now.Password != u.Password {
			return wrong()
		}
		if fresh != u.Password {
			_, err := q.NewUpdate().Model((*userRow)(nil)).Set("password = ?", fresh).Where("id = ?", u.ID).Exec(ctx)
			if err != nil {
				return fmt.Errorf("keeping a password: %w", err)
			}
		}
		session, err = s.signIn(ctx, q, t, now, methodPassword)
		entry = signInEntry(ctx, session.id(), methodPassword)
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("signing in: %w", err)
	}
	return session, nil
}

func wrong() error {
	return host.Errorf(host.CodeUnauthenticated, "E-mail address or password is not right.").
		WithHint("Try again, or ask an admin for a one-time link.")
}

// CreateLoginLink returns the secret of a link that signs the user in once,
// within Settings.LinkLife. It is for operators and for those who may manage
// users; whoever calls it has made sure of that. CodeNotFound: the tenant has no
// such user, or the user is disabled.
func (s *Service) CreateLoginLink(ctx context.Context, tenantID host.TenantID, userID string) (string, error) {
	t, err := s.tenants.ByID(ctx, tenantID)
	if err != nil {
		return "", err
	}
	now := s.now()
	fresh := credential.New(credential.KindLink)
	hash := fresh.Hash()
	entry := host.AuditEntry{Action: actionLinkCreate, Resource: "user:" + userID, Detail: map[string]string{"link": fresh.ID}}
	err = s.change(ctx, host.System(t, "operator"), &entry, func(ctx context.Context, q store.Querier) error {
		u, err := readUser(ctx, q, tenantID, userID)
		if err != nil {
			return err
		}
		if u.Disabled {
			return host.Errorf(host.CodeNotFound, "The user is disabled.").WithHint("Enable the user first.")
		}
		_, err = q.NewInsert().Model(&linkRow{ID: fresh.ID, TenantID: string(tenantID), UserID: userID, Hash: hash[:],
			CreatedAt: now, ExpiresAt: now.Add(s.settings.LinkLife)}).Exec(ctx)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("making a one-time link: %w", err)
	}
	return fresh.Text, nil
}

// RedeemLink opens a session by a one-time link. Of many who try at once one
// gets in. CodeUnauthenticated: the link was used, has expired or never was.
func (s *Service) RedeemLink(ctx context.Context, token string) (Session, error) {
	if _, err := credential.Parse(credential.KindLink, token); err != nil {
		return Session{}, spent()
	}
	hash := credential.Sum(token)
	var link linkRow
	err := s.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&link).Where("hash = ?", hash[:]).Scan(ctx)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, spent()
	}
	if err != nil {
		return Session{}, fmt.Errorf("looking up a link: %w", err)
	}
	t, err := s.tenants.ByID(ctx, host.TenantID(link.TenantID))
	if err != nil {
		return Session{}, spent()
	}
	return s.redeem(ctx, t, link)
}

func (s *Service) redeem(ctx context.Context, t host.Tenant, link linkRow) (Session, error) {
	u, err := s.user(ctx, t.ID, link.UserID)
	if err != nil {
		return Session{}, spent()
	}
	var session Session
	var entry host.AuditEntry
	err = s.change(ctx, host.NewCaller(t, u.principal()), &entry, func(ctx context.Context, q store.Querier) error {
		now := s.now()
		first, err := affected(q.NewUpdate().Model((*linkRow)(nil)).Set("used_at = ?", now).Where("id = ?", link.ID).
			Where("used_at IS NULL").Where("expires_at > ?", now).Exec(ctx))
		if err != nil {
			return err
		}
		u, err := readUser(ctx, q, t.ID, link.UserID)
		if !first || host.CodeOf(err) == host.CodeNotFound || u.Disabled {
			return spent()
		}
		if err != nil {
			return err
		}
		session, err = s.signIn(ctx, q, t, u, methodLink)
		entry = signInEntry(ctx, session.id(), methodLink)
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("signing in by a link: %w", err)
	}
	return session, nil
}

// id returns the public part of the session's value.
func (s Session) id() string {
	id, _ := credential.Parse(credential.KindSession, s.Value)
	return id
}

func spent() error {
	return host.Errorf(host.CodeUnauthenticated, "This sign-in link was used already or has expired.").
		WithHint("Ask for a new one, or sign in with your password.")
}
