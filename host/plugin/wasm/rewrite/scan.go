package rewrite

import (
	"errors"
	"fmt"
	"sort"
)

const (
	// maxBranches and maxBulk bound one function: the compiler's work grows
	// with their square. Compilers of languages stay far below.
	maxBranches = 20_000
	maxBulk     = 1_000
	// maxEffort bounds a module: the sum of the squares of its functions'
	// branches. It is about half a minute of compiling; a Go guest of 10 MB
	// needs a tenth of it.
	maxEffort = 1_000_000_000
	// maxLocals bounds the locals of a function, each of which may be a word of
	// its frame. It is what engines in browsers allow.
	maxLocals = 50_000
	// maxNesting bounds blocks in blocks.
	maxNesting = 10_000

	maxTypes     = 100_000
	maxFunctions = 1_000_000
	maxNames     = 100_000
	maxGlobals   = 10_000
	maxParams    = 1_000
)

// body is the code of a function.
type body struct {
	kind uint32 // its type
	code []byte // locals and instructions

	locals   uint32 // with parameters
	from     int    // where the instructions begin in code
	branches int    // what makes the compiler's graph larger
	bulk     int    // bulk operations
	size     int    // instructions
	loops    bool
	calls    bool     // of imports
	callees  []uint32 // of its own
	indirect bool     // calls through tables

	// What plan.go finds out: whether callers pay for it, and how much.
	light bool
	price int64
}

func (m *Module) refuse(why string) { m.refusals[why] = true }

// Refusals says why a sandbox of this module cannot be brought back to its
// image: each is a state that lies outside of memory and exported globals. It
// is empty for what the compilers of Go, AssemblyScript and C write.
func (m *Module) Refusals() []string {
	out := make([]string, 0, len(m.refusals))
	for why := range m.refusals {
		out = append(out, why)
	}
	if len(m.memories) == 0 {
		out = append(out, "it has no memory")
	}
	sort.Strings(out)
	return out
}

// scan reads a function once and checks what the rewriting relies on: its
// blocks close, and everything that it names exists. The last matters most: an
// index one beyond the guest's own globals would be the fuel.
func (m *Module) scan(b *body) error {
	r := &reader{b: b.code}
	if err := m.scanLocals(b, r); err != nil {
		return err
	}
	b.from = r.at
	nesting := []byte{opBlock}
	var in instruction
	for len(nesting) > 0 {
		if err := r.next(&in); err != nil {
			return err
		}
		if b.size++; len(nesting) > maxNesting {
			return fmt.Errorf("it nests more than %d blocks", maxNesting)
		}
		switch in.op {
		case opBlock, opLoop, opIf:
			nesting = append(nesting, in.op)
		case opElse:
			if nesting[len(nesting)-1] != opIf {
				return errors.New("it has an else without an if")
			}
			nesting[len(nesting)-1] = opElse
		case opEnd:
			nesting = nesting[:len(nesting)-1]
		}
		if err := m.scanNames(b, &in, len(nesting)); err != nil {
			return err
		}
		m.scanState(b, &in)
	}
	if r.left() > 0 {
		return errors.New("its code goes on after its end")
	}
	if b.branches > maxBranches || b.bulk > maxBulk {
		return fmt.Errorf("it has %d branches and %d bulk operations, at most %d and %d are compiled",
			b.branches, b.bulk, maxBranches, maxBulk)
	}
	return nil
}

func (m *Module) scanLocals(b *body, r *reader) error {
	groups, err := r.vector()
	if err != nil {
		return err
	}
	count := uint64(len(m.types[b.kind].params))
	for range groups {
		n, err := r.u32()
		if err != nil {
			return err
		}
		t, err := r.byte()
		if err != nil {
			return err
		}
		if count += uint64(n); count > maxLocals {
			return fmt.Errorf("it has more than %d locals", maxLocals)
		}
		if !valueType(t) {
			return fmt.Errorf("it has a local of the type %#x, which is not supported", t)
		}
	}
	b.locals = uint32(count)
	return nil
}

// scanNames checks the indices in an instruction; depth is how many blocks are
// open around it.
func (m *Module) scanNames(b *body, in *instruction, depth int) error {
	exists := func(index uint32, n int, what string) error {
		if int64(index) >= int64(n) {
			return fmt.Errorf("it uses a %s that does not exist", what)
		}
		return nil
	}
	switch in.op {
	case opBlock, opLoop, opIf:
		if in.block >= 0 {
			return exists(uint32(in.block), len(m.types), "type")
		}
		if t := byte(in.block & 0x7f); t != blockEmpty && !valueType(t) || in.block < -64 {
			return errInstruction
		}
	case opBr, opBrIf:
		return exists(in.index, depth, "label")
	case opBrTable:
		for _, label := range in.labels {
			if err := exists(label, depth, "label"); err != nil {
				return err
			}
		}
	case opCall:
		switch {
		case int64(in.index) >= int64(len(m.functions)):
			return exists(in.index, len(m.functions), "function")
		case int(in.index) < m.imported:
			b.calls = true
		case m.noted[in.index] != b:
			m.noted[in.index] = b
			b.callees = append(b.callees, in.index)
		}
	case opCallIndirect:
		b.indirect = true
		if err := exists(in.index, len(m.types), "type"); err != nil {
			return err
		}
		return exists(in.second, m.tables, "table")
	case opRefFunc:
		// The engine keeps a new object for each reference that is taken, as
		// long as the instance lives, outside of every limit.
		return errors.New("it takes references to functions while it runs, which this host does not support")
	case opLocalGet, opLocalSet, opLocalTee:
		return exists(in.index, int(b.locals), "local")
	case opGlobalGet, opGlobalSet:
		return exists(in.index, len(m.globals), "global")
	}
	return nil
}

// scanState notes what a function does that counts for bounds, for fuel and for
// sandboxes.
func (m *Module) scanState(b *body, in *instruction) {
	if in.op >= opBlock && in.op <= opBrTable {
		b.branches += 1 + len(in.labels)/16
	}
	switch {
	case in.bulk():
		b.bulk++
	case in.op == opMemoryGrow:
		b.bulk++
	case in.op == opLoop:
		b.loops = true
	}
	switch in.op {
	case opTableSet:
		m.refuse("it writes to tables")
	case opAtomic:
		m.refuse("it uses atomic instructions")
	case opBulk:
		switch in.sub {
		case bulkTableInit, bulkTableCopy, bulkTableGrow, bulkTableFill:
			m.refuse("it writes to tables")
		case bulkMemoryInit:
			m.refuse("it copies pieces of data while it runs")
		case bulkDataDrop, bulkElemDrop:
			m.refuse("it drops segments")
		}
	}
}
