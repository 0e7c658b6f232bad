// Package tenant is the registry of tenants: it makes them, finds them by name
// or id, and deletes them. What is inside a tenant is other rooms' business.
package tenant

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// freshness is how old an answer from memory may be: what another process
// changed is seen after that time.
const freshness = time.Second

// longestName bounds a tenant's title, in characters.
const longestName = 100

// Auditor keeps a record of each change: Stage within the transaction of the
// change, Flush after it. audit.Log is one.
type Auditor interface {
	Stage(ctx context.Context, q store.Querier, c host.Caller, e host.AuditEntry) error
	Flush(ctx context.Context, tenant host.TenantID) error
}

// Registry knows the tenants of the store. It is safe for concurrent use.
type Registry struct {
	db    *store.DB
	audit Auditor
	now   func() time.Time
	seen  atomic.Pointer[snapshot]
	// changes counts what this process changed, so that a list read before a
	// change is not remembered after it.
	changes atomic.Uint64
}

// snapshot is the list of tenants at a moment.
type snapshot struct {
	taken  time.Time
	change uint64
	all    []host.Tenant
	bySlug map[string]host.Tenant
	byID   map[host.TenantID]host.Tenant
}

// New returns the Registry of the store.
func New(db *store.DB, audit Auditor) *Registry {
	return &Registry{db: db, audit: audit, now: time.Now}
}

var slugForm = regexp.MustCompile(`^[a-z][a-z0-9-]{1,38}$`)

// CheckSlug returns an Error of CodeInvalid unless the slug can be a tenant's
// name: 2 to 39 lower-case letters, digits and hyphens, a letter first and no
// hyphen last, as it is a part of host names too.
func CheckSlug(slug string) error {
	if slugForm.MatchString(slug) && !strings.HasSuffix(slug, "-") {
		return nil
	}
	shown := []rune(strings.ToValidUTF8(slug, "\uFFFD"))
	if len(shown) > 60 {
		shown = append(shown[:60], '…')
	}
	return &host.Error{
		Code:    host.CodeInvalid,
		Message: fmt.Sprintf("%q cannot be a tenant's name.", string(shown)),
		Hint:    "Take 2 to 39 of the characters a-z, 0-9 and -, beginning with a letter and not ending with a hyphen, such as \"acme\".",
		Fields:  []host.FieldError{{Pointer: "/slug", Message: "is not 2 to 39 lower-case letters, digits and hyphens that begin with a letter"}},
	}
}

// checkName returns the title to keep; the slug serves where none is given.
func checkName(name, slug string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return slug, nil
	}
	bad := func(why string) (string, error) {
		return "", &host.Error{Code: host.CodeInvalid, Message: "The tenant's title " + why + ".",
			Hint:   fmt.Sprintf("Take at most %d printable characters.", longestName),
			Fields: []host.FieldError{{Pointer: "/name", Message: why}}}
	}
	if !utf8.ValidString(name) {
		return bad("is not valid UTF-8 text")
	}
	if utf8.RuneCountInString(name) > longestName {
		return bad("is too long")
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return bad("has characters that cannot be shown")
	}
	return name, nil
}

// List returns all tenants in the order of their slugs.
func (r *Registry) List(ctx context.Context) ([]host.Tenant, error) {
	s, err := r.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return append([]host.Tenant(nil), s.all...), nil
}

// BySlug returns the tenant of a name, or an Error of CodeNotFound.
func (r *Registry) BySlug(ctx context.Context, slug string) (host.Tenant, error) {
	s, err := r.snapshot(ctx)
	if err != nil {
		return host.Tenant{}, err
	}
	if t, known := s.bySlug[slug]; known {
		return t, nil
	}
	if err := CheckSlug(slug); err != nil {
		return host.Tenant{}, err
	}
	return r.find(ctx, "slug", slug)
}

// ByID returns the tenant of an id, or an Error of CodeNotFound.
func (r *Registry) ByID(ctx context.Context, id host.TenantID) (host.Tenant, error) {
	s, err := r.snapshot(ctx)
	if err != nil {
		return host.Tenant{}, err
	}
	if t, known := s.byID[id]; known {
		return t, nil
	}
	return r.find(ctx, "id", string(id))
}

// find looks in the store for a tenant that memory does not have, as one that
// another process made a moment ago.
func (r *Registry) find(ctx context.Context, column, value string) (host.Tenant, error) {
	var found row
	err := r.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		query := q.NewSelect().Model(&found).Where("state = ?", stateReady)
		if column == "slug" {
			query = query.Where("slug = ?", value)
		} else {
			query = query.Where("id = ?", value)
		}
		return query.Scan(ctx)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return host.Tenant{}, notFound(value)
	}
	if err != nil {
		return host.Tenant{}, fmt.Errorf("looking for a tenant: %w", err)
	}
	r.forget()
	return found.tenant(), nil
}

func notFound(name string) error {
	return host.Errorf(host.CodeNotFound, "There is no tenant %q.", name).
		WithHint("List the tenants with: callboard tenant list")
}

// snapshot returns the tenants as they were at most freshness ago.
func (r *Registry) snapshot(ctx context.Context) (*snapshot, error) {
	change, now := r.changes.Load(), r.now()
	if s := r.seen.Load(); s != nil && s.change == change && now.Sub(s.taken) < freshness {
		return s, nil
	}
	var rows []row
	err := r.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&rows).Where("state = ?", stateReady).Order("slug").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("listing tenants: %w", err)
	}
	s := &snapshot{taken: now, change: change, bySlug: map[string]host.Tenant{}, byID: map[host.TenantID]host.Tenant{}}
	for _, found := range rows {
		t := found.tenant()
		s.all = append(s.all, t)
		s.bySlug[t.Slug], s.byID[t.ID] = t, t
	}
	r.seen.Store(s)
	return s, nil
}

// forget makes the next look-up read the store.
func (r *Registry) forget() { r.changes.Add(1) }
