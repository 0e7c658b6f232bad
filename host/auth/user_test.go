package auth_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/store"
)

func TestNormalizeEmail(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"a@b.c": "a@b.c", " Guest@Example.COM\n": "guest@example.com", "first.last+tag@sub.example.org": "first.last+tag@sub.example.org",
		"o'hara@example.com": "o'hara@example.com", "x@xn--bcher-kva.example": "x@xn--bcher-kva.example",
	}
	for in, want := range good {
		if got, err := auth.NormalizeEmail(in); err != nil || got != want {
			t.Errorf("NormalizeEmail(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "a", "@b.c", "a@", "a b@c.d", "A <a@b.c>", "a@b.c, d@e.f", "a@b.c\r\nBcc: d@e.f",
		"аdmin@example.com", "a@bücher.example", strings.Repeat("a", 250) + "@b.cd", strings.Repeat("(", 1<<20), `"a b"@c.d`, "<a@b.c>", "a@b.c\x00"} {
		if got, err := auth.NormalizeEmail(in); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("NormalizeEmail(%q) = %q, %v", in, got, err)
		}
	}
}

func FuzzNormalizeEmail(f *testing.F) {
	f.Add("Guest@Example.com")
	f.Add("a@b.c\x00")
	f.Add(`"a"@b.c`)
	f.Fuzz(func(t *testing.T, in string) {
		got, err := auth.NormalizeEmail(in)
		if err != nil {
			return
		}
		again, err := auth.NormalizeEmail(got)
		if err != nil || again != got {
			t.Fatalf("%q became %q, which becomes %q (%v)", in, got, again, err)
		}
		if strings.ContainsAny(got, " \t\r\n\x00") || got != strings.ToLower(got) {
			t.Fatalf("%q is kept as %q", in, got)
		}
	})
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx, operator := t.Context(), host.System(acme, "operator")
		u, err := h.CreateUser(ctx, operator, auth.NewUser{Email: "Guest@Example.com", Role: host.RoleAdmin, EntityRef: "user:default/guest"})
		if err != nil {
			t.Fatal(err)
		}
		if u.Email != "guest@example.com" || u.Name != u.Email || u.HasPassword || u.ID == "" || u.CreatedAt.IsZero() || u.EntityRef != "user:default/guest" {
			t.Errorf("user = %+v", u)
		}
		admin := host.NewCaller(acme, host.Principal{Kind: host.KindUser, ID: u.ID, Name: u.Email, Role: u.Role})
		other := h.tenant(t, "other")
		tests := map[string]struct {
			caller host.Caller
			user   auth.NewUser
			code   host.Code
		}{
			"OKSameAddressElsewhere": {host.System(other, "operator"), auth.NewUser{Email: "guest@example.com", Role: host.RoleViewer}, ""},
			"OKByAdmin":              {admin, auth.NewUser{Email: "b@example.com", Name: " Zoë ", Role: host.RoleAdmin, Password: goodPassword}, ""},
			"ErrTaken":               {admin, auth.NewUser{Email: "GUEST@example.com", Role: host.RoleViewer}, host.CodeConflict},
			"ErrEmail":               {admin, auth.NewUser{Email: "x' OR 1=1", Role: host.RoleViewer}, host.CodeInvalid},
			"ErrRole":                {admin, auth.NewUser{Email: "c@example.com", Role: "root"}, host.CodeInvalid},
			"ErrNoRole":              {admin, auth.NewUser{Email: "c@example.com"}, host.CodeInvalid},
			"ErrName":                {admin, auth.NewUser{Email: "c@example.com", Name: "a\x07", Role: host.RoleViewer}, host.CodeInvalid},
			"ErrPassword":            {admin, auth.NewUser{Email: "c@example.com", Role: host.RoleViewer, Password: "Tr0ub4dor"}, host.CodeInvalid},
			"ErrPasswordIsEmail":     {admin, auth.NewUser{Email: "c@example.com", Role: host.RoleViewer, Password: "C@example.com"}, host.CodeInvalid},
			"ErrMember":              {as(acme, host.KindUser, host.RoleMember), auth.NewUser{Email: "c@example.com", Role: host.RoleViewer}, host.CodeForbidden},
			"ErrZeroCaller":          {host.Caller{}, auth.NewUser{Email: "c@example.com", Role: host.RoleViewer}, host.CodeUnauthenticated},
		}
		for name, tc := range tests {
			t.Run(name, func(t *testing.T) {
				_, err := h.CreateUser(ctx, tc.caller, tc.user)
				wantCode(t, err, tc.code)
				if err != nil && tc.user.Password != "" && strings.Contains(err.Error(), tc.user.Password) {
					t.Errorf("the error repeats the password: %v", err)
				}
			})
		}
		t.Run("ListAndFind", func(t *testing.T) {
			users, err := h.ListUsers(ctx, admin)
			if err != nil || len(users) != 2 || users[0].Email != "b@example.com" || users[0].Name != "Zoë" || !users[0].HasPassword || users[1] != u {
				t.Fatalf("users = %+v, %v", users, err)
			}
			if found, err := h.FindUser(ctx, admin, " GUEST@example.com"); err != nil || found != u {
				t.Errorf("FindUser = %+v, %v", found, err)
			}
			_, err = h.FindUser(ctx, admin, "nobody@example.com")
			wantCode(t, err, host.CodeNotFound)
			_, err = h.FindUser(ctx, admin, "nobody")
			wantCode(t, err, host.CodeInvalid)
			_, err = h.ListUsers(ctx, as(acme, host.KindUser, host.RoleMember))
			wantCode(t, err, host.CodeForbidden)
		})
		if got := h.actions(t, acme); !slices.Equal(got, []string{"tenant.create", "user.create", "user.create"}) {
			t.Errorf("audit = %v", got)
		}
		t.Run("PasswordsAreKeptHashed", func(t *testing.T) {
			var kept []string
			err := h.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
				return q.NewSelect().Table("users").Column("password").Where("email = ?", "b@example.com").Scan(ctx, &kept)
			})
			if err != nil || len(kept) != 1 || !strings.HasPrefix(kept[0], "$argon2id$") {
				t.Errorf("kept as %q, %v", kept, err)
			}
		})
	})
}

func TestUpdateUser(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		ctx := t.Context()
		boss, admin := h.user(t, acme, "boss@example.com", host.RoleAdmin)
		u, _ := h.user(t, acme, "u@example.com", host.RoleViewer)
		session := auth.Credentials{Session: h.login(t, "acme", "u@example.com").Value}
		name, ref, member, viewer, yes, no := "Úna", "user:default/una", host.RoleMember, host.RoleViewer, true, false
		t.Run("OK", func(t *testing.T) {
			got, err := h.UpdateUser(ctx, admin, u.ID, auth.UserChange{Name: &name, Role: &member, EntityRef: &ref})
			if err != nil || got.Name != name || got.Role != member || got.EntityRef != ref || got.Disabled {
				t.Fatalf("%+v, %v", got, err)
			}
			c, err := h.Authenticate(ctx, session)
			if err != nil || c.Principal().Role != member || c.Principal().EntityRef != ref {
				t.Errorf("an open session does not have the new role: %+v, %v", c.Principal(), err)
			}
		})
		t.Run("DisablingEndsSessionsForGood", func(t *testing.T) {
			for _, disabled := range []*bool{&yes, &no} {
				if _, err := h.UpdateUser(ctx, admin, u.ID, auth.UserChange{Disabled: disabled}); err != nil {
					t.Fatal(err)
				}
				_, err := h.Authenticate(ctx, session)
				wantCode(t, err, host.CodeUnauthenticated)
				if *disabled {
					_, err = h.Login(ctx, "acme", "u@example.com", goodPassword)
					wantCode(t, err, host.CodeUnauthenticated)
					_, err = h.CreateLoginLink(ctx, acme.ID, u.ID)
					wantCode(t, err, host.CodeNotFound)
				}
			}
		})
		t.Run("ErrLastAdmin", func(t *testing.T) {
			for _, change := range []auth.UserChange{{Role: &viewer}, {Disabled: &yes}} {
				_, err := h.UpdateUser(ctx, admin, boss.ID, change)
				wantCode(t, err, host.CodeConflict)
			}
			second, _ := h.user(t, acme, "second@example.com", host.RoleAdmin)
			if _, err := h.UpdateUser(ctx, admin, second.ID, auth.UserChange{Role: &viewer}); err != nil {
				t.Errorf("one of two admins: %v", err)
			}
		})
		t.Run("ErrUnknown", func(t *testing.T) {
			other := h.tenant(t, "other")
			_, err := h.UpdateUser(ctx, host.System(other, "x"), u.ID, auth.UserChange{Name: &name})
			wantCode(t, err, host.CodeNotFound)
			root := host.Role("root")
			_, err = h.UpdateUser(ctx, admin, u.ID, auth.UserChange{Role: &root})
			wantCode(t, err, host.CodeInvalid)
			empty := " "
			_, err = h.UpdateUser(ctx, admin, u.ID, auth.UserChange{Name: &empty})
			wantCode(t, err, host.CodeInvalid)
			_, err = h.UpdateUser(ctx, as(acme, host.KindUser, host.RoleMember), u.ID, auth.UserChange{Name: &name})
			wantCode(t, err, host.CodeForbidden)
		})
	})
}

// Two people changing the same thing at once do not undo each other's check.
func TestOneAdminStays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house, acme host.Tenant) {
		a, ac := h.user(t, acme, "a@example.com", host.RoleAdmin)
		b, bc := h.user(t, acme, "b@example.com", host.RoleAdmin)
		viewer := host.RoleViewer
		var wg sync.WaitGroup
		var failed atomic.Int64
		for _, try := range []struct {
			by host.Caller
			id string
		}{{ac, b.ID}, {bc, a.ID}} {
			wg.Go(func() {
				if _, err := h.UpdateUser(t.Context(), try.by, try.id, auth.UserChange{Role: &viewer}); err != nil {
					wantCode(t, err, host.CodeConflict)
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		if failed.Load() != 1 {
			t.Errorf("%d of two changes were refused, want 1", failed.Load())
		}
	})
}
