package breaker

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// Key names a request. Two requests have the same key only if they are the
// same.
type Key [sha256.Size]byte

// KeyOf returns the key of a request that is made of these parts.
func KeyOf(parts ...[]byte) Key {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.LittleEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return Key(h.Sum(nil))
}

// Bounds of a Shelf.
const (
	perTenantBytes = 4 << 20
	allBytes       = 64 << 20
	entryOverhead  = 256
)

// Shelf keeps last good answers, least recently used ones going first: at most
// 4 MiB of one tenant and 64 MiB in all. It is safe for concurrent use. The
// bytes that it holds are shared and must not be changed.
type Shelf struct {
	mu      sync.Mutex
	tenants map[host.TenantID]*board
	bytes   int
}

// board is what one tenant has on the shelf.
type board struct {
	byKey map[Key]*list.Element
	order list.List // the most recently used first
	bytes int
}

// Kept is an answer that was good.
type Kept struct {
	Body, Data []byte
	At         time.Time
}

type entry struct {
	key  Key
	kept Kept
}

func (e *entry) size() int { return len(e.kept.Body) + len(e.kept.Data) + entryOverhead }

// NewShelf returns an empty shelf.
func NewShelf() *Shelf { return &Shelf{tenants: map[host.TenantID]*board{}} }

// Put keeps an answer. One that is larger than an eighth of a tenant's room is
// not kept.
func (s *Shelf) Put(t host.TenantID, key Key, k Kept) {
	e := &entry{key: key, kept: k}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.tenants[t]
	if b == nil {
		b = &board{byKey: map[Key]*list.Element{}}
		s.tenants[t] = b
	}
	if old := b.byKey[key]; old != nil {
		s.drop(b, old)
	}
	if e.size() > perTenantBytes/8 {
		return
	}
	b.byKey[key] = b.order.PushFront(e)
	b.bytes += e.size()
	s.bytes += e.size()
	for b.bytes > perTenantBytes {
		s.drop(b, b.order.Back())
	}
	for s.bytes > allBytes {
		s.dropOfLargest()
	}
}

// Get returns the answer to a request if it is not older than maxAge.
func (s *Shelf) Get(t host.TenantID, key Key, now time.Time, maxAge time.Duration) (Kept, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.tenants[t]
	if b == nil || b.byKey[key] == nil {
		return Kept{}, false
	}
	el := b.byKey[key]
	kept := el.Value.(*entry).kept
	if now.Sub(kept.At) > maxAge {
		return Kept{}, false
	}
	b.order.MoveToFront(el)
	return kept, true
}

// Forget drops everything of a tenant.
func (s *Shelf) Forget(t host.TenantID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.tenants[t]; b != nil {
		s.bytes -= b.bytes
		delete(s.tenants, t)
	}
}

// drop takes one answer away; s.mu is held.
func (s *Shelf) drop(b *board, el *list.Element) {
	e := b.order.Remove(el).(*entry)
	delete(b.byKey, e.key)
	b.bytes -= e.size()
	s.bytes -= e.size()
}

func (s *Shelf) dropOfLargest() {
	var largest *board
	for _, b := range s.tenants {
		if largest == nil || b.bytes > largest.bytes {
			largest = b
		}
	}
	s.drop(largest, largest.order.Back())
}
