package auth_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/audit"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/auth/password"
	"github.com/callboard-dev/callboard/host/secret"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/tenant"
)

const goodPassword = "four words in a row"

// clock is a time that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// house is everything that identity needs, on a real store.
type house struct {
	*auth.Service
	db      *store.DB
	log     *audit.Log
	tenants *tenant.Registry
	clock   *clock
	set     auth.Settings
}

// cheap are settings whose passwords cost next to nothing.
func cheap(c *clock) auth.Settings {
	return auth.Settings{Password: password.Settings{MemoryKiB: 64, Passes: 1}, Now: c.Now, Log: slog.New(slog.DiscardHandler)}
}

func newHouse(t testing.TB, db *store.DB, change ...func(*auth.Settings)) *house {
	t.Helper()
	box, err := secret.New(bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{db: db, log: audit.New(db, box), clock: &clock{now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)}}
	h.tenants = tenant.New(db, h.log)
	h.set = cheap(h.clock)
	for _, f := range change {
		f(&h.set)
	}
	h.Service = auth.New(db, h.tenants, h.log, h.set)
	return h
}

// process returns a Service like that of another process on the same store.
func (h *house) process() *auth.Service {
	return auth.New(h.db, tenant.New(h.db, h.log), h.log, h.set)
}

// each runs f on each database, with a tenant "acme".
func each(t *testing.T, f func(t *testing.T, h *house, acme host.Tenant), change ...func(*auth.Settings)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db, change...)
		f(t, h, h.tenant(t, "acme"))
	})
}

func (h *house) tenant(t testing.TB, slug string) host.Tenant {
	t.Helper()
	made, err := h.tenants.Create(t.Context(), slug, "", false)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (h *house) user(t testing.TB, of host.Tenant, email string, role host.Role) (auth.User, host.Caller) {
	t.Helper()
	u, err := h.CreateUser(t.Context(), host.System(of, "operator"), auth.NewUser{Email: email, Role: role, Password: goodPassword})
	if err != nil {
		t.Fatal(err)
	}
	return u, host.NewCaller(of, host.Principal{Kind: host.KindUser, ID: u.ID, Name: u.Email, Role: u.Role})
}

func (h *house) token(t testing.TB, c host.Caller, n auth.NewToken) (string, auth.Token) {
	t.Helper()
	if n.Role == "" {
		n.Role = host.RoleViewer
	}
	text, made, err := h.CreateToken(t.Context(), c, n)
	if err != nil {
		t.Fatal(err)
	}
	return text, made
}

func (h *house) login(t testing.TB, slug, email string) auth.Session {
	t.Helper()
	s, err := h.Login(t.Context(), slug, email, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (h *house) authenticate(text string) (host.Caller, error) {
	return h.Authenticate(context.Background(), auth.Credentials{Bearer: text})
}

// actions returns what the audit record of a tenant says, the oldest first, and
// makes sure that the record is sound.
func (h *house) actions(t testing.TB, of host.Tenant) []string {
	t.Helper()
	if err := h.log.Verify(t.Context(), of.ID); err != nil {
		t.Error(err)
	}
	page, err := audit.NewReader(h.log, h.Service).List(t.Context(), host.System(of, "test"), "", 500)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range slices.Backward(page.Items) {
		out = append(out, string(r.Action))
	}
	return out
}

func wantCode(t testing.TB, err error, want host.Code) {
	t.Helper()
	if host.CodeOf(err) != want {
		t.Fatalf("error = %v (%s), want code %q", err, host.CodeOf(err), want)
	}
}
