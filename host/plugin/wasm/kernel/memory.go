package kernel

import "slices"

// The kernel's memory is laid out as Extism's own kernel lays out its linear
// memory (extism/extism, kernel/src/lib.rs), so that a guest gets the same
// offsets from both: a root of 64 bytes at address 1, then blocks, each behind
// a header of 12 bytes. What Extism keeps in root and headers is kept outside
// of the memory here: a guest that writes there forges nothing.
const (
	pageSize   = 64 << 10
	rootSize   = 64
	headerSize = 12
	first      = 1 + rootSize // the address of the first header
	// splitAt is the excess from which a free block is split for a smaller one.
	splitAt = 128
	// maxSearch is how many blocks a search for a free one looks at. Beyond
	// that memory grows instead, so that no call of alloc takes long.
	maxSearch = 2048
	// addressable is how large the memory can be: offsets have 32 bits in it.
	addressable = 1<<32 - 2*pageSize
	// keep is how much memory a state holds on to between calls.
	keep = 256 << 10
)

// freed marks a block as free in its field used.
const freed = 1<<32 - 1

// block is one allocation; blocks are sorted by address and touch each other.
type block struct {
	data, size, used uint32
}

// blockSize is what a block costs beside the memory that it names.
const blockSize = 12

// memory is the kernel's own linear memory.
type memory struct {
	bytes  []byte // zeroed beyond top
	top    uint64 // the address behind the last block
	length uint64 // what is available to blocks, as Extism counts it
	blocks []block
	free   int // how many blocks are free
}

func (m *memory) clear() {
	if cap(m.bytes) > keep {
		m.bytes = nil
	} else {
		clear(m.bytes[:min(m.top, uint64(len(m.bytes)))])
	}
	if cap(m.blocks) > keep/blockSize {
		m.blocks = nil
	}
	clear(m.blocks)
	m.blocks = m.blocks[:0]
	m.top, m.length, m.free = first, pageSize-rootSize, 0
}

// committed is the size of the memory in bytes, with what its blocks cost.
func (m *memory) committed() uint64 {
	return m.length + rootSize + uint64(len(m.blocks))*blockSize
}

// alloc returns the address of n bytes; beside is what else counts into the
// limit, which is none if 0. If the limit does not allow as much memory as that
// takes, the address is 0 and wanted is what it would have been in all. What is
// in a block that is used again stays there, as with Extism: it is the same
// call's.
func (m *memory) alloc(n uint64, beside, limit int64) (at uint64, wanted int64) {
	if n == 0 {
		return 0, 0
	}
	if n >= addressable {
		return 0, beside + int64(min(n, 1<<40))
	}
	need, left := n+headerSize, m.length-(m.top-first)-rootSize
	grown := m.length
	if need >= left {
		if need <= m.top-first {
			if at := m.reuse(uint32(n)); at != 0 {
				return at, 0
			}
		}
		grown += (need - left + pageSize - 1) / pageSize * pageSize
	}
	wanted = beside + int64(grown) + rootSize + int64(len(m.blocks)+1)*blockSize
	if grown >= addressable || limit > 0 && wanted > limit {
		return 0, wanted
	}
	m.length = grown
	at = m.top + headerSize
	m.top = at + n
	m.reach(m.top)
	m.blocks = append(m.blocks, block{uint32(at), uint32(n), uint32(n)})
	return at, 0
}

// reach makes the bytes up to the address real.
func (m *memory) reach(top uint64) {
	if top <= uint64(len(m.bytes)) {
		return
	}
	size := max(top, 2*uint64(len(m.bytes)), 4<<10)
	fresh := make([]byte, size)
	copy(fresh, m.bytes)
	m.bytes = fresh
}

// reuse finds a free block of n bytes.
func (m *memory) reuse(n uint32) uint64 {
	if m.free == 0 {
		return 0
	}
	for i := range m.blocks[:min(len(m.blocks), maxSearch)] {
		b := &m.blocks[i]
		if b.used != freed || b.size < n {
			continue
		}
		if excess := b.size - n; excess < splitAt || len(m.blocks) > maxSearch {
			b.used = n
			m.free--
			return uint64(b.data)
		}
		b.size -= n + headerSize
		at := b.data + b.size + headerSize
		m.blocks = slices.Insert(m.blocks, i+1, block{at, n, n})
		return uint64(at)
	}
	return 0
}

// find returns the block at an address, nil if none begins there.
func (m *memory) find(at uint64) *block {
	if at < first+headerSize || at >= m.top {
		return nil
	}
	low, high := 0, len(m.blocks)
	for low < high {
		mid := int(uint(low+high) / 2)
		if uint64(m.blocks[mid].data) < at {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(m.blocks) || uint64(m.blocks[low].data) != at || m.blocks[low].used == freed {
		return nil
	}
	return &m.blocks[low]
}

// release frees the block at an address, if there is one.
func (m *memory) release(at uint64) bool {
	b := m.find(at)
	if b == nil {
		return false
	}
	b.used = freed
	m.free++
	return true
}

// held returns the bytes of the block at an address, nil if there is none. They
// are valid until memory is allocated.
func (m *memory) held(at uint64) []byte {
	b := m.find(at)
	if b == nil {
		return nil
	}
	return m.bytes[b.data : uint64(b.data)+uint64(b.used)]
}

// span returns n bytes at an address; ok is false unless all of them were
// allocated.
func (m *memory) span(at, n uint64) (b []byte, ok bool) {
	if at < 1 || at > m.top || n > m.top-at || m.top > uint64(len(m.bytes)) {
		return nil, false
	}
	return m.bytes[at : at+n], true
}
