package rewrite

import "fmt"

const (
	// bulkShift: a bulk operation costs a unit for each 16 bytes or entries.
	bulkShift = 4
	// growShift: memory.grow costs 1,024 units for each page of 64 KiB, which
	// the host has to clear.
	growShift = 10
	// mostPages is how many pages are paid for at most, 256 MiB: what is more is
	// an attempt that fails, which costs nothing.
	mostPages = 4096
)

// code returns the metered code section. It is made once.
func (m *Module) code() ([]byte, error) {
	m.once.Do(func() { m.metered, m.failed = m.meter() })
	return m.metered, m.failed
}

func (m *Module) meter() ([]byte, error) {
	out := appendU32(nil, uint32(len(m.bodies)+len(m.ownTypes())))
	w := &meter{m: m, fuel: uint32(len(m.globals))}
	for i := range m.bodies {
		if err := w.function(&m.bodies[i]); err != nil {
			return nil, fmt.Errorf("function %d: %w", m.imported+i, err)
		}
		out = appendBytes(out, w.out)
	}
	return w.ownFunctions(out), nil
}

// meter writes functions anew.
type meter struct {
	m    *Module
	fuel uint32 // the global
	out  []byte

	// Of the function that is written:
	amount uint32 // a local: the size of a bulk operation
	cached uint32 // a local: the fuel, inside of tight loops
	labels []label
	depth  int // how many blocks are open in what is written
	tight  int // how many tight loops are open
}

// label is an open block of the function that is read.
type label struct {
	level int // of the block to jump to, among those that are written
	wraps int // how many blocks stand for it
	tight bool
}

const (
	opSelect        = 0x1b
	opI32LtU        = 0x49
	opI32LeU        = 0x4d
	opI32GtU        = 0x4b
	opI32Add        = 0x6a
	opI32Sub        = 0x6b
	opI32Or         = 0x72
	opI64LtS        = 0x53
	opI64GtU        = 0x56
	opI64GeS        = 0x59
	opI64Add        = 0x7c
	opI64Sub        = 0x7d
	opI64Shl        = 0x86
	opI64ShrU       = 0x88
	opI64ExtendI32U = 0xad
)

// charge takes a constant cost. Inside of tight loops the fuel is in a local as
// well: a chain of loads and stores would be slower than such a loop.
func (w *meter) charge(cost int64) {
	switch {
	case cost == 0:
	case w.tight > 0:
		w.local(opLocalGet, w.cached).i64(cost).op(opI64Sub)
		w.local(opLocalTee, w.cached).global(opGlobalSet, w.fuel)
	default:
		w.global(opGlobalGet, w.fuel).i64(cost).op(opI64Sub).global(opGlobalSet, w.fuel)
	}
}

// look asks for fuel if there is none. The code that is nearly always run comes
// first: registers are given out for it, and what the call needs saved is saved
// on its side.
func (w *meter) look() {
	w.global(opGlobalGet, w.fuel).i64(0).op(opI64GeS, opIf, blockEmpty, opElse)
	w.index(opCall, w.m.own(ownRefuel)).op(opEnd)
}

// function writes a function.
func (w *meter) function(b *body) error {
	plan, err := w.m.plan(b)
	if err != nil {
		return err
	}
	points := plan.points
	w.out = w.out[:0]
	w.localsOf(b, len(plan.tight) > 0)
	w.labels, w.depth, w.tight = append(w.labels[:0], label{wraps: 1}), 1, 0
	r := &reader{b: b.code, at: b.from}
	var in instruction
	for r.left() > 0 {
		for len(points) > 0 && points[0].at <= r.at {
			w.charge(points[0].cost)
			if points[0].look {
				w.look()
				if w.tight > 0 {
					w.global(opGlobalGet, w.fuel).local(opLocalSet, w.cached)
				}
			}
			points = points[1:]
		}
		if err := r.next(&in); err != nil {
			return err
		}
		w.instruction(b, &in, plan.tight[in.begin])
	}
	return nil
}

// localsOf writes the locals and ours behind them.
func (w *meter) localsOf(b *body, cached bool) {
	r := &reader{b: b.code}
	groups, err := r.u32()
	if err != nil {
		return // scan has read it
	}
	var ours []byte
	next := b.locals
	if b.bulk > 0 {
		w.amount, next = next, next+1
		groups, ours = groups+1, append(ours, 1, I32)
	}
	if cached {
		w.cached = next
		groups, ours = groups+1, append(ours, 1, I64)
	}
	w.out = appendU32(w.out, groups)
	w.out = append(w.out, b.code[r.at:b.from]...)
	w.out = append(w.out, ours...)
}

func (w *meter) instruction(b *body, in *instruction, tight bool) {
	same := b.code[in.begin:in.end]
	switch in.op {
	case opBlock, opIf:
		w.open(same, false)
	case opLoop:
		w.loop(same, tight)
	case opEnd:
		top := w.labels[len(w.labels)-1]
		w.labels = w.labels[:len(w.labels)-1]
		for range top.wraps {
			w.op(opEnd)
		}
		w.depth -= top.wraps
		if top.tight {
			w.tight--
		}
	case opBr, opBrIf:
		w.out = appendU32(append(w.out, in.op), w.label(in.index))
	case opBrTable:
		w.out = appendU32(append(w.out, in.op), uint32(len(in.labels)-1))
		for _, l := range in.labels {
			w.out = appendU32(w.out, w.label(l))
		}
	case opCall:
		w.out = appendU32(append(w.out, in.op), w.m.moved(in.index))
	case opMemoryGrow:
		w.heavy(opI64Shl, growShift, mostPages)
		w.op(same...)
	default:
		if in.bulk() {
			w.heavy(opI64ShrU, bulkShift, 0)
		}
		if in.op == opBulk && (in.sub == bulkMemoryCopy || in.sub == bulkMemoryFill) {
			w.pieces(same, in.sub)
			return
		}
		w.op(same...)
	}
}

func (w *meter) open(same []byte, tight bool) {
	w.out = append(w.out, same...)
	w.labels = append(w.labels, label{level: w.depth, wraps: 1, tight: tight})
	w.depth++
}

// label returns the label that stands for one of the function that is read.
func (w *meter) label(index uint32) uint32 {
	return uint32(w.depth - 1 - w.labels[len(w.labels)-1-int(index)].level)
}

func (w *meter) loop(same []byte, tight bool) {
	if !tight {
		w.open(same, false)
		return
	}
	if w.tight == 0 {
		w.global(opGlobalGet, w.fuel).local(opLocalSet, w.cached)
	}
	w.op(same...).local(opLocalGet, w.cached).i64(0).op(opI64GeS, opIf, blockEmpty, opElse)
	w.index(opCall, w.m.own(ownRefuel))
	w.global(opGlobalGet, w.fuel).local(opLocalSet, w.cached).op(opEnd)
	w.op(same...).local(opLocalGet, w.cached).i64(0).op(opI64LtS, opBrIf, 1)
	w.labels = append(w.labels, label{level: w.depth + 1, wraps: 2, tight: true})
	w.depth += 2
	w.tight++
}

// heavy charges by the number on top of the stack and looks, before an
// operation that takes time by that number, up to most if that is not 0.
func (w *meter) heavy(shift, by byte, most int32) {
	w.local(opLocalTee, w.amount).global(opGlobalGet, w.fuel).local(opLocalGet, w.amount)
	if most > 0 {
		w.i32(most).local(opLocalGet, w.amount).i32(most).op(opI32LtU, opSelect)
	}
	w.op(opI64ExtendI32U).i64(int64(by)).op(shift, opI64Sub).global(opGlobalSet, w.fuel)
	w.look()
}

// pieces does a bulk operation on memory, in pieces if it is large.
func (w *meter) pieces(same []byte, sub uint32) {
	own := uint32(ownCopy)
	if sub == bulkMemoryFill {
		own = ownFill
	}
	w.local(opLocalGet, w.amount).i32(bulkPiece).op(opI32GtU, opIf)
	w.out = appendSigned(w.out, int64(len(w.m.types)+typeBulk))
	w.index(opCall, w.m.own(own)).op(opElse).op(same...).op(opEnd)
}
