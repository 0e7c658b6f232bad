package portable

import (
	"github.com/tetratelabs/wazero/experimental"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
)

// budget allocates the linear memories of one call, the guest's and the Extism
// kernel's, and limits their sum. Memory comes from the system, not from Go's
// heap: it is given back the moment the call ends.
type budget struct {
	limit  int64
	used   int64
	wanted int64 // the sum that was asked for when the limit was hit, or 0
	areas  []*area
}

var _ experimental.MemoryAllocator = (*budget)(nil)

// Allocate implements experimental.MemoryAllocator.
func (b *budget) Allocate(_, max uint64) experimental.LinearMemory {
	a := &area{budget: b, most: max}
	b.areas = append(b.areas, a)
	return a
}

// free frees what is left.
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
		a.budget.wanted = sum
		return nil
	}
	if a.mem == nil {
		reserve := a.most
		if a.budget.limit > 0 {
			reserve = min(reserve, uint64(a.budget.limit))
		}
		mem, err := mapMemory(max(reserve, size))
		if err != nil {
			a.budget.wanted = a.budget.used + grow
			return nil
		}
		a.mem = mem
	}
	if size > uint64(len(a.mem)) {
		a.budget.wanted = a.budget.used + grow
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

// scroll keeps the first bytes that are written to it and drops the rest.
type scroll struct {
	limit int
	kept  []byte
	cut   bool
}

// Write keeps what fits and never fails. A guest that says that it dies, and
// says no end of it, is ended.
func (t *scroll) Write(p []byte) (int, error) {
	room := max(0, t.limit-len(t.kept))
	if len(p) > room {
		t.cut = true
	}
	t.kept = append(t.kept, p[:min(len(p), room)]...)
	if t.cut {
		if kind := kernel.Dying(t.kept); kind != "" {
			panic(&kernel.Fault{Kind: kind})
		}
	}
	return len(p), nil
}

// text returns what was kept.
func (t *scroll) text() []byte {
	if t.cut {
		return append(t.kept, " […]"...)
	}
	return t.kept
}
