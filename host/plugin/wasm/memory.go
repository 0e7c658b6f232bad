package wasm

import (
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// budget allocates the linear memories of one call, the guest's and the Extism
// kernel's, and limits their sum. Memory comes from the system, not from Go's
// heap: it is given back the moment the call ends.
type budget struct {
	limit  int64
	used   int64 // by one goroutine: the call's
	wanted atomic.Int64
	areas  []*area
}

var _ experimental.MemoryAllocator = (*budget)(nil)

// Allocate implements experimental.MemoryAllocator.
func (b *budget) Allocate(_, max uint64) experimental.LinearMemory {
	a := &area{budget: b, most: max}
	b.areas = append(b.areas, a)
	return a
}

// refused returns the sum that was asked for when the limit was hit, or 0.
func (b *budget) refused() int64 { return b.wanted.Load() }

// free frees what a failed start left behind.
func (b *budget) free() {
	for _, a := range b.areas {
		a.Free()
	}
}

// area is one linear memory.
type area struct {
	budget *budget
	most   uint64
	size   uint64
	mem    []byte // reserved; the first size bytes are in use
}

// Reallocate implements experimental.LinearMemory. The memory never moves.
func (a *area) Reallocate(size uint64) []byte {
	grow := int64(size - a.size)
	if sum := a.budget.used + grow; sum > a.budget.limit && a.budget.limit > 0 {
		a.budget.wanted.Store(sum)
		return nil
	}
	if a.mem == nil {
		reserve := a.most
		if a.budget.limit > 0 {
			reserve = min(reserve, uint64(a.budget.limit))
		}
		mem, err := mapMemory(max(reserve, size))
		if err != nil {
			a.budget.wanted.Store(a.budget.used + grow)
			return nil
		}
		a.mem = mem
	}
	if size > uint64(len(a.mem)) {
		a.budget.wanted.Store(a.budget.used + grow)
		return nil
	}
	a.budget.used += grow
	a.size = size
	return a.mem[:size:size]
}

// Free implements experimental.LinearMemory.
func (a *area) Free() {
	if a.mem != nil {
		unmapMemory(a.mem)
		a.mem = nil
	}
}
