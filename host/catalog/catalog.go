// Package catalog keeps each tenant's entities: it reads Backstage descriptors
// from locations, keeps the last good version of each, and answers reads from
// memory or the tenant's database. It does not speak HTTP and knows no plugin.
package catalog

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/descriptor"
	"github.com/callboard-dev/callboard/host/catalog/index"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/catalog/source"
	"github.com/callboard-dev/callboard/host/store"
)

// Reader opens sessions that read documents; package source has the one of the
// product.
type Reader interface {
	Open() source.Session
}

// Settings change how a Catalog works. The zero value is right for production.
type Settings struct {
	// Rules say which kinds may come from where; nil means Backstage's default
	// (Component, API and Location from anywhere).
	Rules []ingest.Rule
	// DeleteOrphans removes entities that no location provides any more. By
	// default they stay and are marked as orphans.
	DeleteOrphans bool
	// Interval is the time between two refreshes of a location, 2 min; each
	// gets up to a quarter more or less of it.
	Interval time.Duration
	// MaxBackoff bounds the wait after failures in a row, 1 h.
	MaxBackoff time.Duration
	// Deadline bounds reading one location in a job, 4 min: less than the time of
	// the job, so that what was read is kept.
	Deadline time.Duration
	// Patience bounds reading one that a person waits for, 60 s.
	Patience time.Duration
	// Share is how many locations of one tenant are read at a time in jobs, and
	// how many for people, 3: fewer than the workers of the queue.
	Share int
	// Limits bound what one location may cost.
	Limits ingest.Limits
	// CacheBytes bounds the entities kept in memory, 32 MiB over all tenants.
	CacheBytes int64
	// IndexBytes bounds what lists and facets keep in memory, 32 MiB over all
	// tenants.
	IndexBytes int64
	// Recheck is how old the knowledge of other processes' writes may be, 1 s.
	Recheck time.Duration
	// Processors sees each entity while it is read; nil means that nobody does.
	Processors Processors
	// Changed is told of every change of entities, within the transaction that
	// makes it: what it writes into the tenant is kept if the change is. nil
	// tells nobody.
	Changed func(ctx context.Context, t host.TenantID, changes []Change) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets what is no caller's business; nil means slog.Default().
	Log *slog.Logger
}

// Processors gives each tenant what sees its entities while they are read.
type Processors interface {
	// For returns the tenant's for the reading of one location, or nil.
	For(t host.TenantID) ingest.Processor
}

// Change is one change of an entity.
type Change struct {
	Ref string // canonical
	// ETag is the new version's, without quotes; empty for a deleted entity.
	ETag    string
	Deleted bool
}

func (s Settings) filled() Settings {
	if s.Rules == nil {
		s.Rules = ingest.BackstageRules()
	}
	if s.Interval <= 0 {
		s.Interval = 2 * time.Minute
	}
	if s.MaxBackoff <= 0 {
		s.MaxBackoff = time.Hour
	}
	if s.Deadline <= 0 {
		s.Deadline = 4 * time.Minute
	}
	if s.Patience <= 0 {
		s.Patience = time.Minute
	}
	if s.Share <= 0 {
		s.Share = 3
	}
	if s.CacheBytes <= 0 {
		s.CacheBytes = 32 << 20
	}
	if s.IndexBytes <= 0 {
		s.IndexBytes = 32 << 20
	}
	if s.Recheck <= 0 {
		s.Recheck = time.Second
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	s.Limits = s.Limits.Filled()
	return s
}

// Catalog serves all tenants. It may be used by any number of goroutines.
type Catalog struct {
	db       *store.DB
	reader   Reader
	authz    host.Authorizer
	audit    host.Auditor
	settings Settings
	cache    *cache
	index    *index.Cache
	locks    keyed
	shares   shares
	later    postponed
	// rules are those of the settings and of configured locations.
	rules atomic.Pointer[[]ingest.Rule]
}

// New returns the catalog of the tenants in db. Every read and write is put to
// authz, and every change that a person makes is recorded with audit.
func New(db *store.DB, reader Reader, authz host.Authorizer, audit host.Auditor, s Settings) *Catalog {
	s = s.filled()
	k := &Catalog{db: db, reader: reader, authz: authz, audit: audit, settings: s,
		cache: newCache(s.CacheBytes, s.Recheck, s.Now), index: index.New(s.IndexBytes)}
	k.rules.Store(&s.Rules)
	return k
}

// Validate checks every document of a file against the whole format, without
// placeholders being fetched and without looking at any tenant. The places of
// its problems name file.
func Validate(_ context.Context, docs []byte, file string) []Problem {
	found := descriptor.Check(docs, descriptor.Limits{})
	out := make([]Problem, 0, len(found))
	for _, p := range found {
		out = append(out, Problem{Ref: p.Ref, Where: ingest.Where(file, p.Line), Message: p.Message, Hint: p.Hint, At: time.Now().UTC()})
	}
	return out
}

// Validate is the package's Validate, for rooms that hold a Catalog.
func (k *Catalog) Validate(ctx context.Context, docs []byte, file string) []Problem {
	return Validate(ctx, docs, file)
}
