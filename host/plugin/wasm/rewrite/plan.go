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
	called bool // something was called
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
	for i := range p.points {
		at := &p.points[i]
		at.look = at.look && !p.tight[at.loop]
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
		for _, label := range in.labels {
			p.jump(label)
		}
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

// cover begins a point.
func (p *planner) cover(at int) {
	p.cur = len(p.points)
	p.points = append(p.points, point{at: at, skipped: never})
}

func (p *planner) open(in *instruction) {
	p.frames = append(p.frames, frame{op: in.op, point: p.cur, escape: never, alive: p.alive, begin: in.begin})
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
	if f.op == opLoop && !f.calls {
		p.tight[f.begin] = true
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
}
