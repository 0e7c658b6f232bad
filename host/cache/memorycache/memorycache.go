// Package memorycache is the cache port's driver for one process: the embedded
// default. Only cmd/callboard and tests import it.
package memorycache

import (
	"bytes"
	"container/list"
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/cache/driver"
)

// Settings of a Cache. Zero values take the defaults.
type Settings struct {
	// PerTenant and Total are how many bytes the values of a tenant, and of
	// all, may have (32 MiB, 256 MiB).
	PerTenant, Total int64
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Cache is the driver: values in the order in which they were last used, for
// each instance, each tenant and in all.
type Cache struct {
	settings Settings

	mu        sync.Mutex
	all       *shelf
	tenants   map[host.TenantID]*shelf
	instances map[driver.Place]*instance
}

var _ driver.Driver = (*Cache)(nil)

// New returns an empty Cache.
func New(s Settings) *Cache {
	if s.PerTenant <= 0 {
		s.PerTenant = 32 << 20
	}
	if s.Total <= 0 {
		s.Total = 256 << 20
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	return &Cache{settings: s, all: newShelf(), tenants: map[host.TenantID]*shelf{}, instances: map[driver.Place]*instance{}}
}

// shelf holds entries, those used last in front, and counts their bytes.
type shelf struct {
	order *list.List
	used  int64
}

func newShelf() *shelf { return &shelf{order: list.New()} }

// instance is one place's entries and locks.
type instance struct {
	shelf   *shelf
	entries map[string]*entry
	locks   map[string]lock
}

type lock struct {
	token string
	until time.Time
}

// entry is one value; at are its places on the three shelves that it stands on.
type entry struct {
	place driver.Place
	key   string
	value []byte
	until time.Time
	at    [3]*list.Element
}

// overhead is about what an entry takes beside key and value.
const overhead = 256

func (e *entry) size() int64 { return int64(len(e.key)+len(e.value)) + overhead }

// shelves returns the shelves of a place; c.mu is held.
func (c *Cache) shelves(p driver.Place) [3]*shelf {
	if c.tenants[p.Tenant] == nil {
		c.tenants[p.Tenant] = newShelf()
	}
	return [3]*shelf{c.all, c.tenants[p.Tenant], c.instance(p).shelf}
}

func (c *Cache) instance(p driver.Place) *instance {
	i := c.instances[p]
	if i == nil {
		i = &instance{shelf: newShelf(), entries: map[string]*entry{}, locks: map[string]lock{}}
		c.instances[p] = i
	}
	return i
}

// find returns the live entry of a key, or nil; c.mu is held.
func (c *Cache) find(p driver.Place, key string) *entry {
	i := c.instances[p]
	if i == nil {
		return nil
	}
	e := i.entries[key]
	if e != nil && !c.settings.Now().Before(e.until) {
		c.remove(e)
		return nil
	}
	return e
}

func (c *Cache) remove(e *entry) {
	for n, s := range c.shelves(e.place) {
		s.order.Remove(e.at[n])
		s.used -= e.size()
	}
	delete(c.instances[e.place].entries, e.key)
	c.tidy(e.place)
}

// tidy forgets places that hold nothing.
func (c *Cache) tidy(p driver.Place) {
	if i := c.instances[p]; i != nil && len(i.entries) == 0 && len(i.locks) == 0 {
		delete(c.instances, p)
	}
	if s := c.tenants[p.Tenant]; s != nil && s.order.Len() == 0 {
		delete(c.tenants, p.Tenant)
	}
}

// add puts an entry in front, and makes room for it.
func (c *Cache) add(e *entry, quota int64) {
	limits := [3]int64{c.settings.Total, c.settings.PerTenant, quota}
	for _, limit := range limits {
		if e.size() > limit {
			return // it would push out everything else, and still not fit
		}
	}
	for n, limit := range limits {
		for s := c.shelves(e.place)[n]; s.used+e.size() > limit && s.order.Len() > 0; {
			c.remove(s.order.Back().Value.(*entry))
		}
	}
	for n, s := range c.shelves(e.place) {
		e.at[n] = s.order.PushFront(e)
		s.used += e.size()
	}
	c.instance(e.place).entries[e.key] = e
}

// Get returns the value of a key.
func (c *Cache) Get(_ context.Context, p driver.Place, key string) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.find(p, key)
	if e == nil {
		return nil, false, nil
	}
	for n, s := range c.shelves(p) {
		s.order.MoveToFront(e.at[n])
	}
	return bytes.Clone(e.value), true, nil
}

// Set keeps a value.
func (c *Cache) Set(_ context.Context, p driver.Place, i driver.Item) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i.Lock != "" {
		if in := c.instances[p]; in == nil || !c.holds(in, i.Key, i.Lock) {
			return false, nil
		}
		delete(c.instances[p].locks, i.Key)
	}
	if old := c.find(p, i.Key); old != nil {
		c.remove(old)
	}
	c.add(&entry{place: p, key: i.Key, value: bytes.Clone(i.Value), until: c.settings.Now().Add(i.TTL)}, i.Quota)
	c.tidy(p)
	return true, nil
}

func (c *Cache) holds(i *instance, key, token string) bool {
	l, ok := i.locks[key]
	return ok && l.token == token && c.settings.Now().Before(l.until)
}

// Delete removes a key.
func (c *Cache) Delete(_ context.Context, p driver.Place, key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.find(p, key); e != nil {
		c.remove(e)
	}
	return nil
}

// Incr adds to a number.
func (c *Cache) Incr(_ context.Context, p driver.Place, i driver.Item, by int64) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := &entry{place: p, key: i.Key, until: c.settings.Now().Add(i.TTL)}
	n := int64(0)
	if old := c.find(p, i.Key); old != nil {
		var err error
		if n, err = strconv.ParseInt(string(old.value), 10, 64); err != nil {
			return 0, host.Errorf(host.CodeConflict, "the value of %q is not a number", i.Key)
		}
		e.until = old.until
		if by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
			return 0, host.Errorf(host.CodeInvalid, "the number in %q would be too large", i.Key)
		}
		c.remove(old)
	}
	e.value = strconv.AppendInt(nil, n+by, 10)
	c.add(e, i.Quota)
	c.tidy(p)
	return n + by, nil
}

// maxLocks is how many locks one instance may have at a time; they count for no
// quota.
const maxLocks = 100

// Lock takes the lock of a key.
func (c *Cache) Lock(_ context.Context, p driver.Place, key, token string, ttl time.Duration) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.settings.Now()
	in := c.instance(p)
	if l, ok := in.locks[key]; ok && l.token != token && now.Before(l.until) {
		return false, nil
	}
	if len(in.locks) >= maxLocks {
		for k, l := range in.locks {
			if !now.Before(l.until) {
				delete(in.locks, k)
			}
		}
		if len(in.locks) >= maxLocks {
			return false, host.Errorf(host.CodeLimit, "the plugin holds %d locks already", maxLocks)
		}
	}
	in.locks[key] = lock{token: token, until: now.Add(ttl)}
	return true, nil
}

// Drop removes everything of a place.
func (c *Cache) Drop(_ context.Context, p driver.Place) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := c.instances[p]
	if in == nil {
		return nil
	}
	clear(in.locks)
	for _, e := range in.entries {
		c.remove(e)
	}
	c.tidy(p)
	return nil
}
