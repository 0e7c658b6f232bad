package rewrite

// lightest is how many instructions a function may have at most, with those
// that it calls, for its callers to pay for it: it is neither charged nor does
// it look. Charging such a function would cost about what it does.
const lightest = 40

// weigh finds the light functions: those without loops, indirect calls and
// anything that takes time by its operands, whose callees are light as well. A
// function that can come to itself is never among them.
func (m *Module) weigh() {
	const (
		unknown = iota
		open
		done
	)
	state := make([]byte, len(m.bodies))
	var visit func(i, deep int)
	visit = func(i, deep int) {
		b := &m.bodies[i]
		state[i] = open
		total := int64(b.size)
		ok := !b.loops && !b.calls && b.bulk == 0 && total <= lightest && deep <= lightest
		for _, f := range b.callees {
			if !ok {
				break
			}
			c := int(f) - m.imported
			if state[c] == unknown {
				visit(c, deep+1)
			}
			callee := &m.bodies[c]
			total += callee.price
			ok = state[c] == done && callee.light && total <= lightest
		}
		b.light = ok
		if ok {
			b.price = total
		}
		state[i] = done
	}
	for i := range m.bodies {
		if state[i] == unknown {
			visit(i, 0)
		}
	}
	m.indirect = make([]int64, len(m.types))
	for i := range m.bodies {
		b := &m.bodies[i]
		m.indirect[b.kind] = max(m.indirect[b.kind], b.price)
	}
}

// price is what an instruction costs, with what it calls that is light.
func (m *Module) price(in *instruction) int64 {
	switch {
	case in.op == opCall && int(in.index) >= m.imported:
		return 1 + m.bodies[int(in.index)-m.imported].price
	case in.op == opCallIndirect:
		return 1 + m.indirect[in.index]
	}
	return 1
}
