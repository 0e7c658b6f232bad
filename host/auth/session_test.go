package auth_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// good returns nil if the session still opens.
func (h *house) good(s auth.Session) error {
	_, err := h.Authenticate(context.Background(), auth.Credentials{Session: s.Value})
	return err
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		h.user(t, acme, "a@example.com", host.RoleMember)
		t.Run("LogoutEndsItAtOnce", func(t *testing.T) {
			s, elsewhere := h.login(t, "acme", "a@example.com"), h.process()
			if _, err := elsewhere.Authenticate(ctx, auth.Credentials{Session: s.Value}); err != nil || h.good(s) != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := h.Logout(ctx, s.Value); err != nil {
					t.Fatal(err)
				}
				wantCode(t, h.good(s), host.CodeUnauthenticated)
			}
			h.clock.pass(2 * time.Second)
			_, err := elsewhere.Authenticate(ctx, auth.Credentials{Session: s.Value})
			wantCode(t, err, host.CodeUnauthenticated)
			if err := h.Logout(ctx, "nonsense"); err != nil {
				t.Error(err)
			}
		})
		t.Run("EndsWhenIdle", func(t *testing.T) {
			s := h.login(t, "acme", "a@example.com")
			// Used now and then it goes on, in all processes.
			for range 4 {
				h.clock.pass(11 * time.Hour)
				if err := h.good(s); err != nil {
					t.Fatal(err)
				}
				if err := h.FlushUses(ctx); err != nil {
					t.Fatal(err)
				}
				if _, err := h.process().Authenticate(ctx, auth.Credentials{Session: s.Value}); err != nil {
					t.Fatal(err)
				}
			}
			h.clock.pass(12 * time.Hour)
			wantCode(t, h.good(s), host.CodeUnauthenticated)
		})
		t.Run("UseCountsBeforeItIsWritten", func(t *testing.T) {
			s := h.login(t, "acme", "a@example.com")
			for range 3 {
				h.clock.pass(11 * time.Hour)
				if err := h.good(s); err != nil {
					t.Fatal(err)
				}
			}
		})
		t.Run("EndsForGood", func(t *testing.T) {
			s := h.login(t, "acme", "a@example.com")
			for h.clock.Now().Before(s.Expires.Add(-6 * time.Hour)) {
				h.clock.pass(6 * time.Hour)
				if err := h.good(s); err != nil {
					t.Fatal(err)
				}
			}
			h.clock.pass(6 * time.Hour)
			wantCode(t, h.good(s), host.CodeUnauthenticated)
		})
	})
}

func TestSessionsAreListedAndRevoked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		_, c := h.user(t, acme, "a@example.com", host.RoleMember)
		_, d := h.user(t, acme, "b@example.com", host.RoleMember)
		s := h.login(t, "acme", "a@example.com")
		h.clock.pass(time.Minute)
		h.login(t, "acme", "a@example.com")
		h.login(t, "acme", "b@example.com")
		list, err := h.ListSessions(ctx, c)
		if err != nil || len(list) != 2 || list[0].Method != "password" || !list[0].CreatedAt.After(list[1].CreatedAt) {
			t.Fatalf("%+v, %v", list, err)
		}
		wantCode(t, h.RevokeSession(ctx, d, list[1].ID), host.CodeNotFound)
		if err := h.good(s); err != nil {
			t.Fatal(err)
		}
		if err := h.RevokeSession(ctx, c, list[1].ID); err != nil {
			t.Fatal(err)
		}
		wantCode(t, h.good(s), host.CodeUnauthenticated)
		if list, err := h.ListSessions(ctx, c); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		for _, nobody := range []host.Caller{{}, host.System(acme, "x")} {
			if _, err := h.ListSessions(ctx, nobody); err == nil {
				t.Error("lists sessions of what is no person")
			}
			if h.RevokeSession(ctx, nobody, "x") == nil {
				t.Error("revokes sessions of what is no person")
			}
		}
	})
}

func TestPurgeRemovesWhatHasEndedOnly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		_, c := h.user(t, acme, "a@example.com", host.RoleMember)
		link, err := h.CreateLoginLink(ctx, acme.ID, c.Principal().ID)
		if err != nil {
			t.Fatal(err)
		}
		s := h.login(t, "acme", "a@example.com")
		count := func(table string) (n int64) {
			err := h.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) (err error) {
				n, err = q.NewSelect().Table(table).Count(ctx)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		h.clock.pass(14 * time.Minute)
		if err := h.Purge(ctx); err != nil || h.good(s) != nil {
			t.Fatalf("a living session was removed: %v", err)
		}
		if _, err := h.RedeemLink(ctx, link); err != nil {
			t.Fatalf("a living link was removed: %v", err)
		}
		h.clock.pass(15 * 24 * time.Hour)
		if err := h.Purge(ctx); err != nil || count("sessions") != 0 || count("login_links") != 0 {
			t.Errorf("%d sessions, %d links are left, %v", count("sessions"), count("login_links"), err)
		}
	})
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		_, admin := h.user(t, acme, "admin@example.com", host.RoleAdmin)
		u, c := h.user(t, acme, "a@example.com", host.RoleMember)
		const next = "another four words"
		old := h.login(t, "acme", "a@example.com")
		ended := func(s auth.Session) {
			t.Helper()
			_, err := h.Authenticate(ctx, auth.Credentials{Session: s.Value})
			wantCode(t, err, host.CodeUnauthenticated)
		}
		t.Run("ErrChange", func(t *testing.T) {
			_, err := h.ChangePassword(ctx, c, "wrong password", next)
			wantCode(t, err, host.CodeUnauthenticated)
			for _, bad := range []string{"", "short", "a@example.com"} {
				_, err = h.ChangePassword(ctx, c, goodPassword, bad)
				wantCode(t, err, host.CodeInvalid)
			}
			_, err = h.ChangePassword(ctx, host.System(acme, "x"), goodPassword, next)
			wantCode(t, err, host.CodeForbidden)
			for range 4 {
				_, _ = h.ChangePassword(ctx, c, "wrong password", next)
			}
			_, err = h.ChangePassword(ctx, c, "wrong password", next)
			wantCode(t, err, host.CodeUnauthenticated)
			_, err = h.ChangePassword(ctx, c, goodPassword, next)
			wantCode(t, err, host.CodeRateLimited)
			h.clock.pass(time.Hour)
		})
		t.Run("OKChange", func(t *testing.T) {
			fresh, err := h.ChangePassword(ctx, c, goodPassword, next)
			if err != nil {
				t.Fatal(err)
			}
			ended(old)
			if got, err := h.Authenticate(ctx, auth.Credentials{Session: fresh.Value}); err != nil || got != c {
				t.Errorf("%+v, %v", got, err)
			}
			_, err = h.Login(ctx, "acme", "a@example.com", goodPassword)
			wantCode(t, err, host.CodeUnauthenticated)
			if old, err = h.Login(ctx, "acme", "a@example.com", next); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("OKSet", func(t *testing.T) {
			if err := h.SetPassword(ctx, admin, u.ID, goodPassword); err != nil {
				t.Fatal(err)
			}
			ended(old)
			old = h.login(t, "acme", "a@example.com")
			if err := h.SetPassword(ctx, admin, u.ID, ""); err != nil {
				t.Fatal(err)
			}
			ended(old)
			for _, text := range []string{"", goodPassword} {
				_, err := h.Login(ctx, "acme", "a@example.com", text)
				wantCode(t, err, host.CodeUnauthenticated)
			}
		})
		t.Run("ErrSet", func(t *testing.T) {
			wantCode(t, h.SetPassword(ctx, c, u.ID, next), host.CodeForbidden)
			wantCode(t, h.SetPassword(ctx, admin, u.ID, "short"), host.CodeInvalid)
			wantCode(t, h.SetPassword(ctx, admin, "u0", next), host.CodeNotFound)
			wantCode(t, h.SetPassword(ctx, host.System(h.tenant(t, "other"), "x"), u.ID, next), host.CodeNotFound)
		})
		if got := h.actions(t, acme); !slices.Contains(got, "user.password") {
			t.Errorf("audit = %v", got)
		}
	})
}

func TestCSRF(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	a, b := h.CSRF("session-a"), h.CSRF("session-b")
	if a == b || a == "" || strings.Contains(a, "session") || !h.CheckCSRF("session-a", a) || h.process().CSRF("session-a") != a {
		t.Errorf("values %q, %q", a, b)
	}
	if h.CheckCSRF("session-a", b) || h.CheckCSRF("session-a", "") || h.CheckCSRF("", h.CSRF("")) || h.CheckCSRF("session-a", a+"x") || h.CSRF("") != "" {
		t.Error("a wrong value is accepted")
	}
}
