package rewrite

// lightest is how many instructions a function may have at most, with those
// that it calls, for its callers to pay for it: it is neither charged nor does
// it look. Charging such a function would cost about what it does.
const lightest = 40

// weigh finds the light functions: those without loops, indirect calls and
// anything that takes time by its operands, whose callees are light as well. A
// function that can come to itself is never among them, nor one that the host
// calls: nobody would pay.
func (m *Module) weigh() {
	state := make([]byte, len(m.bodies))
	for _, e := range m.exports {
		if i := int(e.Index) - m.imported; e.Kind == KindFunction && i >= 0 {
			state[i] = weighDone
		}
	}
	for i := range m.bodies {
		m.weighOne(i, 0, state)
	}
	m.indirect = make([]int64, len(m.types))
	for i := range m.bodies {
		b := &m.bodies[i]
		kind := m.canon[b.kind]
		m.indirect[kind] = max(m.indirect[kind], b.price+min(b.frame(), largeFrame))
	}
}

// States of weighing.
const (
	weighUnknown = iota
	weighOpen
	weighDone
)

func (m *Module) weighOne(i, deep int, state []byte) {
	b := &m.bodies[i]
	if state[i] != weighUnknown {
		return
	}
	state[i] = weighOpen
	total := int64(b.size)
	ok := !b.loops && !b.calls && !b.indirect && b.bulk == 0 && total <= lightest && deep <= lightest
	for _, f := range b.callees {
		if !ok {
			break
		}
		c := int(f) - m.imported
		m.weighOne(c, deep+1, state)
		callee := &m.bodies[c]
		total += callee.price + callee.frame()
		ok = state[c] == weighDone && callee.light && total <= lightest
	}
	if ok {
		b.light, b.price = true, total
	}
	state[i] = weighDone
}

// price is what an instruction costs, with what it calls that is light and the
// frames of functions that are not large.
func (m *Module) price(in *instruction) int64 {
	switch {
	case in.op == opCall && int(in.index) >= m.imported:
		b := &m.bodies[int(in.index)-m.imported]
		if frame := b.frame(); frame <= largeFrame {
			return 1 + b.price + frame
		}
		return 1
	case in.op == opCall:
		return priceHost
	case in.op == opCallIndirect:
		return 1 + m.indirect[m.canon[in.index]]
	case in.op == opMemoryGrow:
		return priceGrow
	case in.bulk():
		return priceBulk
	}
	return 1
}

// What instructions cost that take longer than others, whatever they work on:
// leaving the guest takes about 40 ns, growing memory 100 ns and more.
const (
	priceHost = 32
	priceGrow = 128
	priceBulk = 8
)

const (
	// frameShift: a call costs a unit for each 16 values that the function may
	// keep. A value is 8 bytes of the engine's stack, so that a unit of fuel
	// takes no more than 128 bytes of it.
	frameShift = 4
	// largeFrame is up to which cost the caller pays for a frame; a function
	// with a larger one pays by itself when it begins.
	largeFrame = 32
)

// frame is what a function's frame costs.
//
// This is how recursion is bounded. Calls that are nested too deeply grow the
// engine's stack, which is the host's memory and belongs to no limit of the
// guest's (wazero stops at 84 MB, with 42 MB of copies beside). Counting the
// depth of the stack in the guest was measured: next to nothing for C and
// AssemblyScript, where 5 of 57 and 4 of 33 functions can come to themselves,
// but 2 to 8 % for Go, where 1,559 of 1,706 can (BenchmarkOverhead, task, echo
// and collect). So the guest does not count; frames cost fuel instead, and the
// host looks at the size of the stack whenever a guest asks for more: between
// two looks at 100,000 units it grows by 1 to 2 MB with what compilers write,
// and by no more than 13 MB with what was written to grow it.
func (b *body) frame() int64 {
	return (int64(b.locals) + int64(b.size)) >> frameShift
}
