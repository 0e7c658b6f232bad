// Package index answers which entities a query selects, in which order, and how
// often each value occurs, without asking the database to join: it keeps posting
// lists, sort orders and value columns in memory, each read once for one
// revision of a tenant's catalog. It reads in the caller's transaction, so its
// answers belong to the same snapshot as the rows that the caller reads next.
// It returns row ids; what an entity is, package catalog knows.
package index

import (
	"context"
	"errors"
	"sync"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// Cache holds the indexes of all tenants within one budget of memory. It may be
// used by any number of goroutines.
type Cache struct {
	max int64

	mu      sync.Mutex
	tenants map[host.TenantID]*revision
	bytes   int64
}

// New returns a cache of at most maxBytes.
func New(maxBytes int64) *Cache {
	return &Cache{max: maxBytes, tenants: map[host.TenantID]*revision{}}
}

// revision is what was read of one tenant at one revision of its catalog.
type revision struct {
	number   int64
	ids      []int64 // of all entities, ascending; an ordinal is a place in it
	postings map[string]Bits
	orders   map[Order]*sorted
	columns  map[string][]Value
	bytes    int64
}

// View is the index of one tenant as one transaction sees it. It is good for
// as long as the transaction and belongs to its goroutine.
type View struct {
	cache  *Cache
	tenant host.TenantID
	q      store.Querier // nil for a view of memory alone
	rev    *revision
}

// entity is as much of package catalog's table as the index reads.
type entity struct {
	bun.BaseModel `bun:"table:entities,alias:e"`

	ID  int64
	Ref string
}

// ErrNotKept is what a view without a transaction answers where it would have
// to read. Ask the view of a transaction then.
var ErrNotKept = errors.New("the index does not hold this yet")

// Known returns the view of a tenant at a revision from memory alone, or nil.
func (c *Cache) Known(tenant host.TenantID, number int64) *View {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.tenants[tenant]; r != nil && r.number == number {
		return &View{cache: c, tenant: tenant, rev: r}
	}
	return nil
}

// At returns the view of the tenant whose read q belongs to.
func (c *Cache) At(ctx context.Context, q store.Querier, tenant host.TenantID) (*View, error) {
	var number int64
	if err := q.NewSelect().TableExpr("catalog_state").Column("revision").Where("id = 1").Scan(ctx, &number); err != nil {
		return nil, err
	}
	v := &View{cache: c, tenant: tenant, q: q}
	c.mu.Lock()
	if v.rev = c.tenants[tenant]; v.rev != nil && v.rev.number == number {
		c.mu.Unlock()
		return v, nil
	}
	c.mu.Unlock()
	v.rev = &revision{number: number, postings: map[string]Bits{}, orders: map[Order]*sorted{}, columns: map[string][]Value{}}
	if err := q.NewSelect().Model((*entity)(nil)).Column("id").Order("id").Scan(ctx, &v.rev.ids); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.tenants[tenant]
	switch {
	case old != nil && old.number == number:
		v.rev = old
	case old == nil || old.number < number:
		if old != nil {
			c.bytes -= old.bytes
		}
		c.tenants[tenant] = v.rev
		c.grow(v, int64(len(v.rev.ids))*8+512)
	}
	return v, nil
}

// grow counts what was added to the view's revision, and drops other tenants,
// then the revision itself, where the budget is exceeded. c.mu is held.
func (c *Cache) grow(v *View, bytes int64) {
	if c.tenants[v.tenant] != v.rev {
		return
	}
	v.rev.bytes += bytes
	c.bytes += bytes
	for id, r := range c.tenants {
		if c.bytes <= c.max {
			return
		}
		if r != v.rev {
			c.bytes -= r.bytes
			delete(c.tenants, id)
		}
	}
	if c.bytes > c.max {
		c.bytes -= v.rev.bytes
		delete(c.tenants, v.tenant)
	}
}

// kept returns what get finds in the revision, or what load reads. Two views
// may load the same; the later one is kept.
func kept[T any](ctx context.Context, v *View, get func(*revision) (T, bool), load func(context.Context) (T, int64, error), put func(*revision, T)) (T, error) {
	v.cache.mu.Lock()
	found, ok := get(v.rev)
	v.cache.mu.Unlock()
	if ok {
		return found, nil
	}
	if v.q == nil {
		return found, ErrNotKept
	}
	fresh, bytes, err := load(ctx)
	if err != nil {
		return fresh, err
	}
	v.cache.mu.Lock()
	defer v.cache.mu.Unlock()
	if _, ok := get(v.rev); !ok {
		put(v.rev, fresh)
		v.cache.grow(v, bytes)
	}
	return fresh, nil
}
