// Package auth knows who acts and what they may do: people, API tokens, browser
// sessions and one-time links on one side, roles and policies on the other. It
// turns the credentials of a request into a host.Caller and is the
// host.Authorizer of the house.
//
// It knows nothing of HTTP: cookies, headers and host names are read by its
// callers. Secrets leave it once, when they are made; only their hashes are
// kept, and no error or log line repeats one.
package auth

import (
	"context"
	"log/slog"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth/credential"
	"github.com/callboard-dev/callboard/host/auth/memo"
	"github.com/callboard-dev/callboard/host/auth/password"
	"github.com/callboard-dev/callboard/host/auth/policy"
	"github.com/callboard-dev/callboard/host/auth/throttle"
	"github.com/callboard-dev/callboard/host/store"
)

// Tenants finds tenants; tenant.Registry is one. CodeNotFound: there is none.
type Tenants interface {
	BySlug(ctx context.Context, slug string) (host.Tenant, error)
	ByID(ctx context.Context, id host.TenantID) (host.Tenant, error)
	List(ctx context.Context) ([]host.Tenant, error)
}

// Auditor keeps a record of each change: Stage within the transaction of the
// change, Flush after it. audit.Log is one.
type Auditor interface {
	Stage(ctx context.Context, q store.Querier, c host.Caller, e host.AuditEntry) error
	Flush(ctx context.Context, tenant host.TenantID) error
}

// PolicySource gives the policies that a tenant has beside the built-in roles.
// It is asked about once in Settings.Recheck and must be quick.
type PolicySource interface {
	Policies(ctx context.Context, tenant host.TenantID) ([]*policy.Policy, error)
}

// Settings change how a Service works. The zero value is right for production.
type Settings struct {
	// Password says how costly password hashes are.
	Password password.Settings
	// Account and Address slow down guessing, by account and by the caller's
	// address. Default: 5 free attempts for an account, 50 for an address.
	Account, Address throttle.Settings
	// Policies are a tenant's own policies; nil means built-in roles only.
	Policies PolicySource
	// SessionIdle ends a session that is not used for that long, SessionLife
	// every session. Defaults: 12 hours, 14 days.
	SessionIdle, SessionLife time.Duration
	// LinkLife is how long a one-time link works. Default 15 minutes.
	LinkLife time.Duration
	// Recheck is after how long a remembered credential is looked up again. A
	// revocation in another process is effective after twice that time at the
	// latest; one in this process at once. Default 1 second.
	Recheck time.Duration
	// Remember is how many credentials are remembered. Default 16384.
	Remember int
	// NoteUse is how exactly the last use of a credential is known, and
	// WriteUse how often Run writes it down. Defaults: 1 minute, 10 seconds.
	NoteUse, WriteUse time.Duration
	// Log takes what has no caller to tell it to. Default slog.Default().
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (s Settings) withDefaults() Settings {
	durations := []struct {
		field *time.Duration
		value time.Duration
	}{
		{&s.SessionIdle, 12 * time.Hour},
		{&s.SessionLife, 14 * 24 * time.Hour},
		{&s.LinkLife, 15 * time.Minute},
		{&s.Recheck, time.Second},
		{&s.NoteUse, time.Minute},
		{&s.WriteUse, 10 * time.Second},
	}
	for _, d := range durations {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if s.Address.Free == 0 {
		s.Address.Free = 50
	}
	if s.Remember == 0 {
		s.Remember = 16384
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	return s
}

// Service is the identity and authorization of all tenants. It is safe for
// concurrent use. Run does its housekeeping.
type Service struct {
	db       *store.DB
	tenants  Tenants
	audit    Auditor
	settings Settings
	words    *password.Hasher
	accounts *throttle.Throttle
	origins  *throttle.Throttle
	roles    *policy.Book
	shelves  *memo.Memo[host.TenantID, shelf]
	// passes are remembered credentials by hash, tokens the API tokens among
	// them by id.
	passes *memo.Memo[credential.Hash, *pass]
	tokens *memo.Memo[string, *pass]
	uses   uses
}

// New returns the Service of the store. It does no I/O.
func New(db *store.DB, tenants Tenants, audit Auditor, s Settings) *Service {
	s = s.withDefaults()
	s.Account.Now, s.Address.Now = s.Now, s.Now
	return &Service{
		db: db, tenants: tenants, audit: audit, settings: s,
		words:    password.New(s.Password),
		accounts: throttle.New(s.Account),
		origins:  throttle.New(s.Address),
		roles:    builtinBook(),
		shelves:  memo.New[host.TenantID, shelf](s.Remember),
		passes:   memo.New[credential.Hash, *pass](s.Remember),
		tokens:   memo.New[string, *pass](s.Remember),
		uses:     newUses(),
	}
}

// now returns the time as the store keeps it.
func (s *Service) now() time.Time { return s.settings.Now().UTC().Truncate(time.Microsecond) }

// change makes a change and its audit record in one transaction. Work may fill
// in e, which is recorded after it.
func (s *Service) change(ctx context.Context, c host.Caller, e *host.AuditEntry, work store.Work) error {
	err := s.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		if err := requireTenant(ctx, q, c.TenantID()); err != nil {
			return err
		}
		if err := work(ctx, q); err != nil {
			return err
		}
		return s.audit.Stage(ctx, q, c, *e)
	})
	if err != nil {
		return err
	}
	s.flush(ctx, c.TenantID())
	return nil
}

// flush moves audit records on, but not at any price: they are safe where they
// are, and the next flush takes them along.
func (s *Service) flush(ctx context.Context, tenant host.TenantID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := s.audit.Flush(ctx, tenant); err != nil {
		s.settings.Log.WarnContext(ctx, "audit records wait to be moved to the tenant", "tenant", string(tenant), "error", err)
	}
}

// forget makes this process look everything up again.
func (s *Service) forget() {
	s.passes.Clear()
	s.tokens.Clear()
}

var _ host.Authorizer = (*Service)(nil)
