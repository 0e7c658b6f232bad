package catalog

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// cache keeps entities in memory, bounded by bytes over all tenants. When it
// is full it drops what was not asked for since it last looked (SIEVE), so a
// hit takes a read lock only.
type cache struct {
	recheck time.Duration
	now     func() time.Time

	mu      sync.RWMutex
	tenants map[host.TenantID]*tenantCache
	head    *cached // newest
	tail    *cached // oldest
	hand    *cached // where the sieve goes on
	bytes   int64
	max     int64
}

// tenantCache is what is known of one tenant.
type tenantCache struct {
	entries map[string]*cached
	// generation goes up with every invalidation: what was read before must
	// not be kept after.
	generation uint64

	checking sync.Mutex
	checked  atomic.Int64 // unix nanoseconds of the last look at the revision
	revision atomic.Int64 // as of that look; -1 before the first
}

type cached struct {
	tenant     *tenantCache
	ref        string
	entity     Entity
	size       int64
	visited    atomic.Bool
	prev, next *cached
}

func newCache(maxBytes int64, recheck time.Duration, now func() time.Time) *cache {
	return &cache{recheck: recheck, now: now, max: maxBytes, tenants: map[host.TenantID]*tenantCache{}}
}

func (c *cache) tenant(id host.TenantID) *tenantCache {
	c.mu.RLock()
	t := c.tenants[id]
	c.mu.RUnlock()
	if t != nil {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t = c.tenants[id]; t == nil {
		t = &tenantCache{entries: map[string]*cached{}}
		t.revision.Store(-1)
		c.tenants[id] = t
	}
	return t
}

// get returns a kept entity, and the generation to put one with.
func (c *cache) get(t *tenantCache, ref string) (Entity, bool, uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := t.entries[ref]
	if e == nil {
		return Entity{}, false, t.generation
	}
	if !e.visited.Load() {
		e.visited.Store(true)
	}
	return e.entity, true, t.generation
}

// put keeps an entity that was read while the generation was current.
func (c *cache) put(t *tenantCache, ref string, e Entity, generation uint64) {
	size := int64(len(e.Doc)*2 + len(ref) + 1024)
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.generation != generation || size > c.max/4 || t.entries[ref] != nil {
		return
	}
	for c.bytes+size > c.max {
		c.evict()
	}
	n := &cached{tenant: t, ref: ref, entity: e, size: size, next: c.head}
	if c.head != nil {
		c.head.prev = n
	} else {
		c.tail = n
	}
	c.head = n
	c.bytes += size
	t.entries[ref] = n
}

// evict drops one entity: the hand goes from old to new and passes over what
// was asked for since its last round.
func (c *cache) evict() {
	n := c.hand
	if n == nil {
		n = c.tail
	}
	for n.visited.Load() {
		n.visited.Store(false)
		if n = n.prev; n == nil {
			n = c.tail
		}
	}
	c.hand = n.prev
	c.remove(n)
}

func (c *cache) remove(n *cached) {
	if c.hand == n {
		c.hand = n.prev
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		c.head = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		c.tail = n.prev
	}
	c.bytes -= n.size
	delete(n.tenant.entries, n.ref)
}

// invalidate drops the refs, or everything of the tenant where all is true.
func (c *cache) invalidate(t *tenantCache, refs []string, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.generation++
	if all {
		for _, n := range t.entries {
			c.remove(n)
		}
		return
	}
	for _, ref := range refs {
		if n := t.entries[ref]; n != nil {
			c.remove(n)
		}
	}
}

// fresh looks at the tenant's revision if the last look is too old. One caller
// looks; others go on with what is known, except before the first look.
func (c *cache) fresh(ctx context.Context, t *tenantCache, look func(context.Context) error) error {
	if c.now().UnixNano()-t.checked.Load() < int64(c.recheck) {
		return nil
	}
	if t.revision.Load() >= 0 {
		if !t.checking.TryLock() {
			return nil
		}
	} else {
		t.checking.Lock()
	}
	defer t.checking.Unlock()
	if c.now().UnixNano()-t.checked.Load() < int64(c.recheck) {
		return nil
	}
	return look(ctx)
}

// keyed holds one lock for each key in use.
type keyed struct {
	mu    sync.Mutex
	locks map[string]chan struct{}
}

// try takes the lock of the key and returns what frees it, or, where somebody
// has it, what is closed then.
func (k *keyed) try(key string) (free func(), held <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if held, busy := k.locks[key]; busy {
		return nil, held
	}
	if k.locks == nil {
		k.locks = map[string]chan struct{}{}
	}
	done := make(chan struct{})
	k.locks[key] = done
	return func() {
		k.mu.Lock()
		delete(k.locks, key)
		k.mu.Unlock()
		close(done)
	}, nil
}

// lock waits for the key and returns what frees it.
func (k *keyed) lock(ctx context.Context, key string) (func(), error) {
	for {
		free, held := k.try(key)
		if free != nil {
			return free, nil
		}
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// shares bounds, for each key, how many hold it at a time.
type shares struct {
	mu   sync.Mutex
	keys map[string]*share
}

type share struct {
	slots chan struct{}
	users int // holding or waiting
}

// take waits for one of the key's slots, of which there are most, until wait is
// closed. It returns what frees the slot, nil where it got none.
func (s *shares) take(wait <-chan struct{}, key string, most int) (free func()) {
	s.mu.Lock()
	if s.keys == nil {
		s.keys = map[string]*share{}
	}
	sh := s.keys[key]
	if sh == nil {
		sh = &share{slots: make(chan struct{}, most)}
		s.keys[key] = sh
	}
	sh.users++
	s.mu.Unlock()
	select {
	case sh.slots <- struct{}{}:
		return func() { <-sh.slots; s.leave(key, sh) }
	default:
	}
	select {
	case sh.slots <- struct{}{}:
		return func() { <-sh.slots; s.leave(key, sh) }
	case <-wait:
		s.leave(key, sh)
		return nil
	}
}

func (s *shares) leave(key string, sh *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.users--; sh.users == 0 {
		delete(s.keys, key)
	}
}
