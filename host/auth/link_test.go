package auth_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
)

// link makes a one-time link.
func (h *house) link(t testing.TB, of host.Tenant, user string) string {
	t.Helper()
	text, err := h.CreateLoginLink(t.Context(), of.ID, user)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestLoginLink(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		u, c := h.user(t, acme, "a@example.com", host.RoleMember)
		t.Run("OKOnce", func(t *testing.T) {
			text := h.link(t, acme, u.ID)
			s, err := h.RedeemLink(ctx, text)
			if err != nil || s.Caller != c {
				t.Fatalf("%+v, %v", s, err)
			}
			if got, err := h.Authenticate(ctx, auth.Credentials{Session: s.Value}); err != nil || got != c {
				t.Errorf("%+v, %v", got, err)
			}
			_, err = h.RedeemLink(ctx, text)
			wantCode(t, err, host.CodeUnauthenticated)
		})
		if got := h.actions(t, acme); !slices.Contains(got, "link.create") || !slices.Contains(got, "session.create") {
			t.Errorf("audit = %v", got)
		}
	})
}

// Of many who redeem one link at once, in several processes, one gets in.
func TestLoginLinkWorksOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		u, _ := h.user(t, acme, "a@example.com", host.RoleMember)
		text := h.link(t, acme, u.ID)
		var wg sync.WaitGroup
		var in, out atomic.Int64
		start := make(chan struct{})
		for range 4 {
			process := h.process()
			for range 8 {
				wg.Go(func() {
					<-start
					switch _, err := process.RedeemLink(ctx, text); host.CodeOf(err) {
					case "":
						in.Add(1)
					case host.CodeUnauthenticated:
						out.Add(1)
					default:
						t.Error(err)
					}
				})
			}
		}
		close(start)
		wg.Wait()
		if in.Load() != 1 || out.Load() != 31 {
			t.Errorf("%d got in, %d did not", in.Load(), out.Load())
		}
	})
}

func TestLoginLinkRefuses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		u, c := h.user(t, acme, "a@example.com", host.RoleMember)
		t.Run("ErrExpired", func(t *testing.T) {
			text := h.link(t, acme, u.ID)
			h.clock.pass(15 * time.Minute)
			_, err := h.RedeemLink(ctx, text)
			wantCode(t, err, host.CodeUnauthenticated)
		})
		t.Run("ErrDisabled", func(t *testing.T) {
			text := h.link(t, acme, u.ID)
			yes, no := true, false
			for _, disabled := range []*bool{&yes, &no} {
				if _, err := h.UpdateUser(ctx, host.System(acme, "x"), u.ID, auth.UserChange{Disabled: disabled}); err != nil {
					t.Fatal(err)
				}
				_, err := h.RedeemLink(ctx, text)
				wantCode(t, err, host.CodeUnauthenticated)
			}
		})
		t.Run("ErrOtherKind", func(t *testing.T) {
			token, _ := h.token(t, c, auth.NewToken{})
			for _, text := range []string{"", "x", token, h.login(t, "acme", "a@example.com").Value, h.link(t, acme, u.ID) + "a"} {
				_, err := h.RedeemLink(ctx, text)
				wantCode(t, err, host.CodeUnauthenticated)
			}
			_, err := h.Authenticate(ctx, auth.Credentials{Bearer: h.link(t, acme, u.ID)})
			wantCode(t, err, host.CodeUnauthenticated)
			_, err = h.Authenticate(ctx, auth.Credentials{Session: h.link(t, acme, u.ID)})
			wantCode(t, err, host.CodeUnauthenticated)
		})
		t.Run("ErrUnknownUser", func(t *testing.T) {
			_, err := h.CreateLoginLink(ctx, acme.ID, "u0")
			wantCode(t, err, host.CodeNotFound)
			_, err = h.CreateLoginLink(ctx, h.tenant(t, "other").ID, u.ID)
			wantCode(t, err, host.CodeNotFound)
			_, err = h.CreateLoginLink(ctx, host.NewTenantID(), u.ID)
			wantCode(t, err, host.CodeNotFound)
		})
	})
}
