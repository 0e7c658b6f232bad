package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth/credential"
	"github.com/callboard-dev/callboard/host/store"
)

// What the audit record calls the changes to sessions.
const (
	actionSessionCreate host.Action = "session.create"
	actionSessionEnd    host.Action = "session.end"
)

// Session is a browser that just signed in.
type Session struct {
	// Value is the secret of the cookie. It is known here and to the browser.
	Value string
	// Expires is when the session ends even if it is used.
	Expires time.Time
	Caller  host.Caller
}

// String returns the session without its secret.
func (s Session) String() string { return credential.Mask(s.Value) }

// GoString returns what String does.
func (s Session) GoString() string { return s.String() }

// LogValue returns what String does.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// SessionInfo is a session as its owner sees it in a list.
type SessionInfo struct {
	ID string
	// Method is how the user signed in: password or link.
	Method    string
	CreatedAt time.Time
	// SeenAt is the last use, known to a minute.
	SeenAt  time.Time
	Expires time.Time
}

// signIn opens a session for the user within the transaction of q.
func (s *Service) signIn(ctx context.Context, q store.Querier, t host.Tenant, u userRow, method string) (Session, error) {
	now := s.now()
	fresh := credential.New(credential.KindSession)
	hash := fresh.Hash()
	row := sessionRow{ID: fresh.ID, TenantID: u.TenantID, UserID: u.ID, Method: method, Hash: hash[:],
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(s.settings.SessionLife)}
	if _, err := q.NewInsert().Model(&row).Exec(ctx); err != nil {
		return Session{}, fmt.Errorf("opening a session: %w", err)
	}
	if _, err := q.NewUpdate().Model((*userRow)(nil)).Set("last_login_at = ?", now).Where("id = ?", u.ID).Exec(ctx); err != nil {
		return Session{}, fmt.Errorf("noting a sign-in: %w", err)
	}
	return Session{Value: fresh.Text, Expires: row.ExpiresAt, Caller: host.NewCaller(t, u.principal())}, nil
}

// signInEntry is the audit record of a sign-in.
func signInEntry(ctx context.Context, session, method string) host.AuditEntry {
	e := host.AuditEntry{Action: actionSessionCreate, Resource: "session:" + session, Detail: map[string]string{"method": method}}
	if address := addressOf(ctx); address != "" {
		e.Detail["address"] = address
	}
	return e
}

// Logout ends the session of a cookie. It is no error if there is none.
func (s *Service) Logout(ctx context.Context, session string) error {
	if _, err := credential.Parse(credential.KindSession, session); err != nil {
		return nil
	}
	hash := credential.Sum(session)
	now := s.settings.Now()
	p, err := s.lookUpSession(ctx, hash, now)
	if host.CodeOf(err) == host.CodeUnauthenticated {
		return nil
	}
	if err != nil {
		return err
	}
	return s.endSession(ctx, p.caller, p.id)
}

// ListSessions returns the caller's own sessions, the newest first.
func (s *Service) ListSessions(ctx context.Context, c host.Caller) ([]SessionInfo, error) {
	if err := onlyUser(c); err != nil {
		return nil, err
	}
	var rows []sessionRow
	err := s.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&rows).Where("user_id = ?", c.Principal().ID).Where("tenant_id = ?", string(c.TenantID())).
			Where("expires_at > ?", s.now()).Order("created_at DESC", "id").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	list := make([]SessionInfo, 0, len(rows))
	for _, r := range rows {
		seen := latest(r.SeenAt, s.uses.last(credential.KindSession, r.ID))
		if s.now().Sub(seen) < s.settings.SessionIdle {
			list = append(list, SessionInfo{ID: r.ID, Method: r.Method, CreatedAt: r.CreatedAt.UTC(), SeenAt: seen.UTC(), Expires: r.ExpiresAt.UTC()})
		}
	}
	return list, nil
}

// RevokeSession ends one of the caller's own sessions. CodeNotFound: the caller
// has none with the id.
func (s *Service) RevokeSession(ctx context.Context, c host.Caller, id string) error {
	if err := onlyUser(c); err != nil {
		return err
	}
	return s.endSession(ctx, c, id)
}

func (s *Service) endSession(ctx context.Context, c host.Caller, id string) error {
	entry := host.AuditEntry{Action: actionSessionEnd, Resource: "session:" + id}
	err := s.change(ctx, c, &entry, func(ctx context.Context, q store.Querier) error {
		gone, err := affected(q.NewDelete().Model((*sessionRow)(nil)).
			Where("id = ?", id).Where("user_id = ?", c.Principal().ID).Exec(ctx))
		if err == nil && !gone {
			return host.Errorf(host.CodeNotFound, "There is no such session.")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	s.forget()
	return nil
}

// endSessions ends all sessions and links of a user.
func endSessions(ctx context.Context, q store.Querier, user string) error {
	if _, err := q.NewDelete().Model((*sessionRow)(nil)).Where("user_id = ?", user).Exec(ctx); err != nil {
		return fmt.Errorf("ending sessions: %w", err)
	}
	if _, err := q.NewDelete().Model((*linkRow)(nil)).Where("user_id = ?", user).Exec(ctx); err != nil {
		return fmt.Errorf("ending links: %w", err)
	}
	return nil
}

// SetPassword gives a user of the caller's tenant a password, or takes it away
// if it is empty, and ends the user's sessions. Needs host.ActionUserManage.
func (s *Service) SetPassword(ctx context.Context, c host.Caller, userID, text string) error {
	if err := s.Authorize(ctx, c, host.ActionUserManage, "user:"+userID); err != nil {
		return err
	}
	u, err := s.user(ctx, c.TenantID(), userID)
	if err != nil {
		return err
	}
	if err := checkRole(c, host.Role(u.Role)); err != nil {
		return err
	}
	_, err = s.replacePassword(ctx, c, u, text, false)
	return err
}

// ChangePassword gives the calling user a new password, ends the user's sessions
// and opens a new one. CodeUnauthenticated: the current password is not right.
// It is throttled like Login.
func (s *Service) ChangePassword(ctx context.Context, c host.Caller, current, text string) (Session, error) {
	if err := onlyUser(c); err != nil {
		return Session{}, err
	}
	u, err := s.user(ctx, c.TenantID(), c.Principal().ID)
	if err != nil {
		return Session{}, err
	}
	attempt, err := s.attempt(ctx, c.Tenant().Slug, u.Email)
	if err != nil {
		return Session{}, err
	}
	same, _, err := s.words.Compare(ctx, current, u.Password)
	if err != nil {
		attempt.undo()
		return Session{}, err
	}
	if !same {
		return Session{}, host.Errorf(host.CodeUnauthenticated, "The current password is not right.")
	}
	attempt.succeed()
	if text == "" {
		return Session{}, invalid("/password", "The new password is empty.", "Take a few words in a row.")
	}
	return s.replacePassword(ctx, c, u, text, true)
}

// replacePassword keeps the password and ends the user's sessions. With again
// set it opens a new one.
func (s *Service) replacePassword(ctx context.Context, c host.Caller, u userRow, text string, again bool) (Session, error) {
	var hash string
	if text != "" {
		var err error
		if hash, err = s.newPassword(ctx, text, u); err != nil {
			return Session{}, err
		}
	}
	var session Session
	entry := host.AuditEntry{Action: actionUserPassword, Resource: "user:" + u.ID}
	err := s.change(ctx, c, &entry, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewUpdate().Model((*userRow)(nil)).Set("password = ?", hash).Where("id = ?", u.ID).Exec(ctx)
		if err != nil {
			return err
		}
		if err := endSessions(ctx, q, u.ID); err != nil || !again {
			return err
		}
		session, err = s.signIn(ctx, q, c.Tenant(), u, methodPassword)
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("setting a password: %w", err)
	}
	s.forget()
	return session, nil
}

// user reads a user of a tenant.
func (s *Service) user(ctx context.Context, tenant host.TenantID, id string) (userRow, error) {
	var u userRow
	err := s.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) (err error) {
		u, err = readUser(ctx, q, tenant, id)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return userRow{}, host.Errorf(host.CodeNotFound, "There is no such user.")
	}
	return u, err
}

// CSRF returns the value that forms of a session carry. It is bound to the
// session and tells nothing about it; empty for no session.
func (s *Service) CSRF(session string) string {
	if session == "" {
		return ""
	}
	m := hmac.New(sha256.New, []byte(session))
	m.Write([]byte("callboard csrf 1"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// CheckCSRF reports whether the value is the one of the session.
func (s *Service) CheckCSRF(session, value string) bool {
	return session != "" && hmac.Equal([]byte(s.CSRF(session)), []byte(value))
}

// onlyUser refuses callers that are no people.
func onlyUser(c host.Caller) error {
	if !c.Valid() {
		return host.Errorf(host.CodeUnauthenticated, "You are not signed in.").WithHint("Sign in first.")
	}
	if c.Principal().Kind != host.KindUser {
		return host.Errorf(host.CodeForbidden, "This is for people who are signed in, not for a %s.", c.Principal().Kind)
	}
	return nil
}
