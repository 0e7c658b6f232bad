package rewrite

import "math"

// stretch is how many instructions that may be skipped are charged together
// with code that always runs before them. Each charge is a load, a subtraction
// and a store, so fewer of them make guests faster; more of them make fuel
// closer to the number of instructions.
const stretch = 24

// prologue is how many instructions may stand before a loop that is a function's
// first thing, to be charged with the loop.
const prologue = 8

// maxUnseen is how much code without loops runs without a look, about: a tenth
// of a millisecond's. Long functions look on their way.
const maxUnseen = 200_000

// point is a place in a function's code where fuel is charged.
type point struct {
	at    int
	cost  int64
	look  bool  // the code looks here whether it may go on
	maybe int64 // the part of cost that may be skipped
	loop  int   // where the loop begins whose head this is
	// passed is what the code costs that chooses where a loop goes on, as Go's
	// compiler writes it. Those places pay for it, so that going round costs one
	// charge and not two.
	passed int64
	// skipped is the block (counted from the outermost) to whose end some code
	// since the point may have jumped: until it closes, what comes may not run.
	skipped int
}

// frame is an open block.
type frame struct {
	op     byte
	point  int  // the point that covered the code before the block
	escape int  // the outermost block that code inside jumps to the end of
	target bool // something jumps to its end
	alive  bool // the code before it can be reached
	begin  int  // where its instruction stands
	calls  bool // code inside calls functions, or may call ours
}

const never = math.MaxInt

// planner finds where a function is charged, and how much, so that every
// instruction is paid for before it runs. A point pays for code that it
// dominates and that is in no deeper loop: code that always runs after it, and
// up to stretch instructions that may not.
type planner struct {
	m      *Module
	points []point
	cur    int // the point that covers what comes
	frames []frame
	alive  bool // what comes can be reached
	// The block of instructions that is read, before it is known to whom its
	// cost goes.
	from   int
	cost   int64
	called bool  // something was called
	loops  []int // the open loops, among frames
	// tight are the loops, by where they begin, in which nothing is called.
	tight map[int]bool
}

// plan finds a function's points, in the order of the code.
func (m *Module) plan(b *body) (*planner, error) {
	p := &planner{
		m:      m,
		points: []point{{at: b.from, skipped: never, look: true}},
		frames: []frame{{op: opBlock, escape: never, alive: true}},
		alive:  true, from: b.from, tight: map[int]bool{},
	}
	if frame := b.frame(); frame > largeFrame {
		p.cost = frame
	}
	r := &reader{b: b.code, at: b.from}
	var in instruction
	for r.left() > 0 {
		if err := r.next(&in); err != nil {
			return nil, err
		}
		p.instruction(&in)
	}
	total := int64(0)
	for _, at := range p.points {
		total += at.cost
	}
	for i := range p.points {
		at := &p.points[i]
		// In a very long function a way without loops is long, too.
		at.look = (at.look || total > maxUnseen) && !p.tight[at.loop]
	}
	if b.light {
		p.points = nil
	}
	return p, nil
}

// head begins the point of a loop. It looks; where it is the first thing that a
// function comes to, it stands for the function's entry too.
func (p *planner) head() {
	at := &p.points[p.cur]
	at.look, at.loop = true, p.frames[len(p.frames)-1].begin
	first := &p.points[0]
	if p.cur == 1 && first.skipped == never && first.cost <= prologue && !p.called {
		at.cost, first.cost, first.look = first.cost, 0, false
	}
}

func (p *planner) instruction(in *instruction) {
	if p.alive {
		if p.cost += p.m.price(in); p.cost > maxUnseen {
			p.settle()
			p.from = in.end
		}
	}
	if in.op == opCall || in.op == opCallIndirect || in.op == opMemoryGrow || in.bulk() {
		p.frames[len(p.frames)-1].calls = true
		p.called = true
	}
	switch in.op {
	case opBlock:
		p.open(in)
	case opLoop:
		p.settle()
		p.open(in)
		if p.alive {
			p.cover(in.end)
			p.head()
		}
		p.from = in.end
	case opIf:
		p.settle()
		p.open(in)
		p.arm(in.end)
	case opElse:
		p.settle()
		f := &p.frames[len(p.frames)-1]
		f.target = f.target || p.alive // the end of the if is reached from its first arm
		p.cur, p.alive = f.point, f.alive
		p.arm(in.end)
	case opEnd:
		p.settle()
		p.close(in)
	case opBr, opBrIf:
		p.jump(in.index)
	case opBrTable:
		p.choose(in)
	case opReturn, opUnreachable:
		p.jump(uint32(len(p.frames) - 1))
	}
	if in.op == opBrIf {
		p.settle()
		p.from = in.end
	}
	if in.diverges() {
		p.settle()
		p.alive = false
	}
}

// settle gives the block of instructions that was read to a point.
func (p *planner) settle() {
	if p.cost == 0 {
		return
	}
	at := &p.points[p.cur]
	switch {
	case at.cost > 0 && at.cost+p.cost > maxUnseen:
		p.cover(p.from)
		at = &p.points[p.cur]
		at.look = true
	case at.skipped == never:
	case at.maybe+p.cost <= stretch:
		at.maybe += p.cost
	default:
		p.cover(p.from)
		at = &p.points[p.cur]
	}
	at.cost += p.cost
	p.cost = 0
}

// choose ends a stretch with a br_table: what is chosen pays for itself. Where
// all that a loop's head does is to choose a place inside of the loop, the places
// pay for the head as well. That is sound because nothing else leads on from the
// head, and each place begins a point.
func (p *planner) choose(in *instruction) {
	if !p.alive {
		return
	}
	p.settle()
	at := &p.points[p.cur]
	always := at.skipped == never
	for _, label := range in.labels {
		p.jump(label)
	}
	at.maybe = stretch
	if at.loop == 0 || at.cost > prologue || !always {
		return
	}
	loop := p.loops[len(p.loops)-1]
	if p.frames[loop].begin != at.loop {
		return
	}
	for _, label := range in.labels {
		target := len(p.frames) - 1 - int(label)
		if target <= loop || p.frames[target].op != opBlock {
			return
		}
	}
	at.passed, at.cost = at.cost, 0
}

// cover begins a point.
func (p *planner) cover(at int) {
	p.cur = len(p.points)
	p.points = append(p.points, point{at: at, skipped: never})
}

func (p *planner) open(in *instruction) {
	p.frames = append(p.frames, frame{op: in.op, point: p.cur, escape: never, alive: p.alive, begin: in.begin})
	if in.op == opLoop {
		p.loops = append(p.loops, len(p.frames)-1)
	}
}

// arm begins an arm of an if: it may not run.
func (p *planner) arm(at int) {
	p.from = at
	top := len(p.frames) - 1
	p.points[p.cur].skipped = min(p.points[p.cur].skipped, top)
}

// jump notes that code which can be reached jumps to a block's end, or to a
// loop's begin: what follows up to the end of either may not run.
func (p *planner) jump(label uint32) {
	if !p.alive {
		return
	}
	target := len(p.frames) - 1 - int(label)
	f := &p.frames[target]
	f.target = f.target || f.op != opLoop
	top := &p.frames[len(p.frames)-1]
	top.escape = min(top.escape, target)
	p.points[p.cur].skipped = min(p.points[p.cur].skipped, target)
}

// close ends a block and goes back to the point before it, which dominates what
// follows.
func (p *planner) close(in *instruction) {
	top := len(p.frames) - 1
	f := p.frames[top]
	p.frames = p.frames[:top]
	p.from = in.end
	if top == 0 {
		return
	}
	parent := &p.frames[top-1]
	parent.escape = min(parent.escape, f.escape)
	parent.calls = parent.calls || f.calls
	if f.op == opLoop {
		p.loops = p.loops[:len(p.loops)-1]
		if !f.calls {
			p.tight[f.begin] = true
		}
	}
	// An if without an else goes on behind its end.
	p.alive = p.alive || f.target || f.op == opIf && f.alive
	p.cur = f.point
	at := &p.points[p.cur]
	if at.skipped >= top {
		at.skipped = never
	}
	if f.escape < top {
		at.skipped = min(at.skipped, f.escape)
	}
	if at.passed > 0 && p.alive {
		p.cost = at.passed
		p.settle()
	}
}

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
	case in.op == opBlock, in.op == opLoop, in.op == opElse, in.op == opEnd, in.op == opNop:
		return 0 // nothing runs
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
