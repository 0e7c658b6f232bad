package rewrite

import "fmt"

const (
	// bulkShift: a bulk operation costs a unit for each 16 bytes or entries.
	bulkShift = 4
	// growShift: memory.grow costs 1,024 units for each page of 64 KiB, which
	// the host has to clear.
	growShift = 10
)

// code returns the metered code section. It is made once.
func (m *Module) code() ([]byte, error) {
	m.once.Do(func() { m.metered, m.failed = m.meter() })
	return m.metered, m.failed
}

func (m *Module) meter() ([]byte, error) {
	out := appendU32(nil, uint32(len(m.bodies)+1))
	w := &meter{m: m, fuel: uint32(len(m.globals)), refuel: uint32(len(m.functions) + 1)}
	for i := range m.bodies {
		if err := w.function(&m.bodies[i]); err != nil {
			return nil, fmt.Errorf("function %d: %w", m.imported+i, err)
		}
		out = appendBytes(out, w.out)
	}
	w.refueler()
	return appendBytes(out, w.out), nil
}

// meter writes functions anew.
type meter struct {
	m      *Module
	fuel   uint32 // the global
	refuel uint32 // the function that calls yield
	out    []byte

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

// refueler writes the function that asks for fuel. It is one of ours, so that
// the many places that call it stay small.
func (w *meter) refueler() {
	w.out = append(w.out[:0], 0, opGlobalGet)
	w.out = appendU32(w.out, w.fuel)
	w.out = appendU32(append(w.out, opCall), uint32(w.m.imported))
	w.out = appendU32(append(w.out, opGlobalSet), w.fuel)
	w.out = append(w.out, opEnd)
}

const (
	opI64LtS        = 0x53
	opI64GeS        = 0x59
	opI64Add        = 0x7c
	opI64Sub        = 0x7d
	opI64Shl        = 0x86
	opI64ShrU       = 0x88
	opI64ExtendI32U = 0xad
)

// charge takes a constant cost.
func (w *meter) charge(cost int64) {
	if cost == 0 {
		return
	}
	if w.tight > 0 {
		w.out = appendU32(append(w.out, opLocalGet), w.cached)
		w.out = appendSigned(append(w.out, opI64Const), cost)
		w.out = appendU32(append(w.out, opI64Sub, opLocalTee), w.cached)
		w.out = appendU32(append(w.out, opGlobalSet), w.fuel)
		return
	}
	w.out = appendU32(append(w.out, opGlobalGet), w.fuel)
	w.out = appendSigned(append(w.out, opI64Const), cost)
	w.out = append(w.out, opI64Sub)
	w.out = appendU32(append(w.out, opGlobalSet), w.fuel)
}

// look asks for fuel if there is none.
func (w *meter) look() {
	w.out = appendU32(append(w.out, opGlobalGet), w.fuel)
	w.out = append(w.out, opI64Const, 0, opI64GeS, opIf, blockEmpty, opElse)
	w.out = appendU32(append(w.out, opCall), w.refuel)
	w.out = append(w.out, opEnd)
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
			w.out = append(w.out, opEnd)
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
		w.heavy(opI64Shl, growShift)
		w.out = append(w.out, same...)
	default:
		if in.bulk() {
			w.heavy(opI64ShrU, bulkShift)
		}
		w.out = append(w.out, same...)
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
		w.out = appendU32(append(w.out, opGlobalGet), w.fuel)
		w.out = appendU32(append(w.out, opLocalSet), w.cached)
	}
	w.out = append(w.out, same...)
	w.out = appendU32(append(w.out, opLocalGet), w.cached)
	w.out = append(w.out, opI64Const, 0, opI64GeS, opIf, blockEmpty, opElse)
	w.out = appendU32(append(w.out, opCall), w.refuel)
	w.out = appendU32(append(w.out, opGlobalGet), w.fuel)
	w.out = appendU32(append(w.out, opLocalSet), w.cached)
	w.out = append(w.out, opEnd)
	w.out = append(w.out, same...)
	w.labels = append(w.labels, label{level: w.depth + 1, wraps: 2, tight: true})
	w.depth += 2
	w.tight++
	w.out = appendU32(append(w.out, opLocalGet), w.cached)
	w.out = append(w.out, opI64Const, 0, opI64LtS, opBrIf, 1)
}

// heavy charges by the number on top of the stack and looks, before an
// operation that takes time by that number.
func (w *meter) heavy(shift, by byte) {
	w.out = appendU32(append(w.out, opLocalTee), w.amount)
	w.out = appendU32(append(w.out, opGlobalGet), w.fuel)
	w.out = appendU32(append(w.out, opLocalGet), w.amount)
	w.out = append(w.out, opI64ExtendI32U, opI64Const, by, shift, opI64Sub)
	w.out = appendU32(append(w.out, opGlobalSet), w.fuel)
	w.look()
}
