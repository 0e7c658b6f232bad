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
	amount uint32 // a local of the function that is written
	out    []byte
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
	w.out = appendU32(append(w.out, opGlobalGet), w.fuel)
	w.out = appendSigned(append(w.out, opI64Const), cost)
	w.out = append(w.out, opI64Sub)
	w.out = appendU32(append(w.out, opGlobalSet), w.fuel)
}

// look asks for fuel if there is none.
func (w *meter) look() {
	w.out = appendU32(append(w.out, opGlobalGet), w.fuel)
	w.out = append(w.out, opI64Const, 0, opI64LtS, opIf, blockEmpty)
	w.out = appendU32(append(w.out, opCall), w.refuel)
	w.out = append(w.out, opEnd)
}

// function writes a function.
func (w *meter) function(b *body) error {
	points, err := b.plan()
	if err != nil {
		return err
	}
	w.out = w.out[:0]
	w.localsOf(b)
	w.look()
	r := &reader{b: b.code, at: b.from}
	var in instruction
	for r.left() > 0 {
		for len(points) > 0 && points[0].at <= r.at {
			w.charge(points[0].cost)
			points = points[1:]
		}
		if err := r.next(&in); err != nil {
			return err
		}
		w.instruction(b, &in)
	}
	return nil
}

// localsOf writes the locals, and one more for the size of bulk operations.
func (w *meter) localsOf(b *body) {
	w.amount = b.locals
	r := &reader{b: b.code}
	groups, err := r.u32()
	if err != nil {
		return // scan has read it
	}
	if b.bulk > 0 {
		groups++
	}
	w.out = appendU32(w.out, groups)
	w.out = append(w.out, b.code[r.at:b.from]...)
	if b.bulk > 0 {
		w.out = append(w.out, 1, I32)
	}
}

func (w *meter) instruction(b *body, in *instruction) {
	switch {
	case in.op == opCall:
		w.out = appendU32(append(w.out, in.op), w.m.moved(in.index))
	case in.op == opLoop:
		w.out = append(w.out, b.code[in.begin:in.end]...)
		w.look()
	case in.bulk():
		w.heavy(opI64ShrU, bulkShift)
		w.out = append(w.out, b.code[in.begin:in.end]...)
	case in.op == opMemoryGrow:
		w.heavy(opI64Shl, growShift)
		w.out = append(w.out, b.code[in.begin:in.end]...)
	default:
		w.out = append(w.out, b.code[in.begin:in.end]...)
	}
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
