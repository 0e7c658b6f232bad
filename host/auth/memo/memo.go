// Package memo is a small bounded memory for answers that are asked for again
// and again on the hot path. It holds nothing that cannot be looked up anew.
package memo

import "sync"

// Memo maps keys to values and never holds more than its size. It is safe for
// concurrent use.
type Memo[K comparable, V any] struct {
	mu     sync.RWMutex
	size   int
	values map[K]V
	// era counts the calls of Clear and Delete.
	era uint64
}

// New returns a Memo for at most size values; size below 1 counts as 1.
func New[K comparable, V any](size int) *Memo[K, V] {
	return &Memo[K, V]{size: max(size, 1), values: map[K]V{}}
}

// Get returns the value of k and whether there is one.
func (m *Memo[K, V]) Get(k K) (V, bool) {
	m.mu.RLock()
	v, ok := m.values[k]
	m.mu.RUnlock()
	return v, ok
}

// Era names the present state of forgetting. Read it before looking a value up
// and give it to Put, so that what was forgotten meanwhile is not remembered
// again from an old look-up.
func (m *Memo[K, V]) Era() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.era
}

// Put remembers v if nothing was forgotten since era, and reports whether it
// did. A full memo drops any other value to make place.
func (m *Memo[K, V]) Put(era uint64, k K, v V) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.era != era {
		return false
	}
	if _, known := m.values[k]; !known && len(m.values) >= m.size {
		for other := range m.values {
			delete(m.values, other)
			break
		}
	}
	m.values[k] = v
	return true
}

// Delete forgets the value of k.
func (m *Memo[K, V]) Delete(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.era++
	delete(m.values, k)
}

// Clear forgets everything.
func (m *Memo[K, V]) Clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.era++
	clear(m.values)
}

// Len returns how many values are remembered.
func (m *Memo[K, V]) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.values)
}
