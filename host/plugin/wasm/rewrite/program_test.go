package rewrite_test

import (
	"encoding/binary"
	"slices"

	"pgregory.net/rapid"
)

// A program is what the generator of modules makes: it can be written as
// WebAssembly, and it can be run here, counting instructions as it goes. The
// second is what the first is judged by.
type program struct {
	functions [][]statement
}

// vars is how many locals a function has; the first is its parameter. Loops use
// one more for each nesting, behind them.
const vars, loops = 4, 4

// Kinds of statements.
const (
	doSet    = iota // a = b op c
	doIf            // if a { body } else { other }
	doLoop          // n times body
	doBlock         // block { body }
	doChoose        // n times, as Go's compiler writes it: br_table to bodies that follow each other
	doLeave         // if a leave the n-th block around
	doTable         // br_table over body[0..2], each a block
	doCall          // a = function n (b)
	doTaken         // the same through the table
	doStore         // memory[b & mask] = a
	doLoad          // a = memory[b & mask]
	doFill          // memory.fill at 64, a, n
	doCopy          // memory.copy 128 <- 64, n
	doTotal         // global = global * 3 + a
	doReturn        // if a return b
	doCount
)

type statement struct {
	do          int
	a, b, c     int
	op          byte
	n           int
	body, other []statement
	third       []statement
}

const mask = 0xffc

// programs draws a program. Functions call only those behind them.
func programs() *rapid.Generator[*program] {
	return rapid.Custom(func(t *rapid.T) *program {
		n := rapid.IntRange(1, 4).Draw(t, "functions")
		p := &program{}
		for i := range n {
			p.functions = append(p.functions, statements(t, i, n, 0, 0, 0))
		}
		return p
	})
}

func statements(t *rapid.T, me, all, deep, inLoops, inBlocks int) []statement {
	most := 6 - deep
	var out []statement
	for range rapid.IntRange(0, most).Draw(t, "statements") {
		s := statement{do: rapid.IntRange(0, doCount-1).Draw(t, "do")}
		v := func() int { return rapid.IntRange(0, vars-1).Draw(t, "var") }
		s.a, s.b, s.c = v(), v(), v()
		s.op = rapid.SampledFrom([]byte{add, sub, mul, xor}).Draw(t, "op")
		inner := func(l, b int) []statement { return statements(t, me, all, deep+1, inLoops+l, inBlocks+b) }
		if deep >= 4 && (s.do == doIf || s.do == doLoop || s.do == doChoose || s.do == doBlock || s.do == doTable) {
			s.do = doSet
		}
		switch s.do {
		case doIf:
			s.body, s.other = inner(0, 1), inner(0, 1)
		case doChoose:
			if inLoops >= loops {
				s.do = doSet
				break
			}
			s.n = rapid.IntRange(1, 9).Draw(t, "rounds")
			s.body, s.other, s.third = inner(1, 3), inner(1, 2), inner(1, 1)
		case doLoop:
			if inLoops >= loops {
				s.do = doSet
				break
			}
			s.n, s.body = rapid.IntRange(1, 5).Draw(t, "rounds"), inner(1, 1)
		case doBlock:
			s.body = inner(0, 1)
		case doTable:
			s.body, s.other, s.third = inner(0, 3), inner(0, 2), inner(0, 1)
		case doLeave:
			if inBlocks == 0 {
				s.do = doSet
				break
			}
			s.n = rapid.IntRange(0, inBlocks-1).Draw(t, "label")
		case doCall, doTaken:
			if me+1 >= all {
				s.do = doSet
				break
			}
			s.n = rapid.IntRange(me+1, all-1).Draw(t, "callee")
		case doFill, doCopy:
			s.n = rapid.IntRange(0, 4000).Draw(t, "size")
		}
		out = append(out, s)
	}
	return out
}

// module writes the program. Its function "run" is (i32) -> i32.
func (p *program) module() []byte {
	a := &assembly{memory: []byte{1, 1, 2}, table: cat(op(0x70, 0), uleb(uint64(len(p.functions))))}
	a.globals = [][]byte{cat(op(0x7f, 1), i32(1), op(0x0b))}
	var all []byte
	for i, f := range p.functions {
		body := p.write(f, nil)
		at := a.function("i>i", vars-1+loops, body, get(0))
		all = append(all, uleb(at)...)
		if i == 0 {
			a.export("run", 0, at)
		}
	}
	a.elements = [][]byte{cat(op(0), i32(0), op(0x0b), uleb(uint64(len(p.functions))), all)}
	a.export("memory", 2, 0)
	a.export("total", 3, 0)
	return a.bytes()
}

// write writes statements; around says of each block around, innermost last,
// whether it is a loop, whose label is its begin.
func (p *program) write(list []statement, around []bool) []byte {
	var out []byte
	for _, s := range list {
		out = append(out, p.writeOne(s, around)...)
	}
	return out
}

// leave is the label of the n-th thing around that can be left: of a loop, that
// is the block which is written around it.
func leave(n int, around []bool) uint64 {
	label := 0
	for i := len(around) - 1; ; i-- {
		if around[i] {
			label++ // past the loop's own label, to the block around it
		}
		if n == 0 {
			return uint64(label)
		}
		n--
		label++
	}
}

// counter is the local that counts the rounds of a loop inside of others.
func counter(around []bool) uint64 {
	n := uint64(vars)
	for _, l := range around {
		if l {
			n++
		}
	}
	return n
}

func (p *program) writeOne(s statement, around []bool) []byte {
	a, b, c := uint64(s.a), uint64(s.b), uint64(s.c)
	with := func(body []statement, loops ...bool) []byte {
		return p.write(body, append(append([]bool(nil), around...), loops...))
	}
	address := cat(get(b), i32(mask), op(and))
	switch s.do {
	case doSet:
		return cat(get(b), get(c), op(s.op), set(a))
	case doIf:
		return cat(get(a), when(with(s.body, false), with(s.other, false)))
	case doChoose:
		// The bodies stand behind the ends of the three blocks, all in the loop.
		round := counter(around)
		code := cat(op(0x02, 0x40), op(0x02, 0x40), op(0x02, 0x40), get(round), i32(3), op(and), brTable(0, 1, 2, 2), op(0x0b),
			p.write(s.body, append(slices.Clone(around), true, false, false)), op(0x0b),
			p.write(s.other, append(slices.Clone(around), true, false)), op(0x0b),
			with(s.third, true))
		return cat(i32(int64(s.n)), set(round), block(loop(code,
			get(round), i32(1), op(sub), cat(op(0x22), uleb(round)), brIf(0))))
	case doLoop:
		round := counter(around)
		return cat(i32(int64(s.n)), set(round), block(loop(with(s.body, true),
			get(round), i32(1), op(sub), cat(op(0x22), uleb(round)), brIf(0))))
	case doBlock:
		return block(with(s.body, false))
	case doLeave:
		return cat(get(a), brIf(leave(s.n, around)))
	case doTable:
		return block(block(block(get(a), brTable(0, 1, 2), with(s.body, false, false, false)), with(s.other, false, false)), with(s.third, false))
	case doCall:
		return cat(get(b), call(uint64(s.n)), set(a))
	case doTaken:
		return cat(get(b), i32(int64(s.n)), indirect(0), set(a))
	case doStore:
		return cat(address, get(a), op(0x36, 2, 0))
	case doLoad:
		return cat(address, op(0x28, 2, 0), set(a))
	case doFill:
		return cat(i32(64), get(a), i32(int64(s.n)), op(0xfc, 11, 0))
	case doCopy:
		return cat(i32(128), i32(64), i32(int64(s.n)), op(0xfc, 10, 0, 0))
	case doTotal:
		return cat(globalGet(0), i32(3), op(mul), get(a), op(add), globalSet(0))
	}
	return cat(get(a), op(0x04, 0x40), get(b), op(0x0f, 0x0b))
}

// machine runs a program here.
type machine struct {
	p      *program
	memory [1 << 16]byte
	total  uint32
	count  int64 // instructions, without block, else and end
}

const (
	goOn   = -1
	leaves = 1 << 20 // a return
)

func (m *machine) function(i int, arg uint32) uint32 {
	v := [vars]uint32{arg}
	if r, out := m.run(m.p.functions[i], &v); r == leaves {
		return out
	}
	m.count++ // local.get 0
	return v[0]
}

// run returns goOn, or how many blocks are to be left beside the innermost.
func (m *machine) run(list []statement, v *[vars]uint32) (left int, out uint32) {
	for _, s := range list {
		if r, out := m.one(s, v); r != goOn {
			return r, out
		}
	}
	return goOn, 0
}

// inside is what a block's body leaves to what is around it.
func inside(left int, out uint32) (int, uint32) {
	switch left {
	case goOn, 0:
		return goOn, 0
	case leaves:
		return leaves, out
	}
	return left - 1, out
}

func (m *machine) one(s statement, v *[vars]uint32) (int, uint32) {
	at := v[s.b] & mask
	switch s.do {
	case doSet:
		m.count += 4
		switch s.op {
		case add:
			v[s.a] = v[s.b] + v[s.c]
		case sub:
			v[s.a] = v[s.b] - v[s.c]
		case mul:
			v[s.a] = v[s.b] * v[s.c]
		case xor:
			v[s.a] = v[s.b] ^ v[s.c]
		}
	case doIf:
		m.count += 2
		if v[s.a] != 0 {
			return inside(m.run(s.body, v))
		}
		return inside(m.run(s.other, v))
	case doLoop:
		m.count += 2
		for range s.n {
			if left, out := m.run(s.body, v); left != goOn {
				return inside(left, out)
			}
			m.count += 5
		}
	case doChoose:
		m.count += 2
		for round := s.n; round > 0; round-- {
			m.count += 4
			if left, out := m.choose(s, round&3, v); left != goOn {
				return inside(left, out)
			}
			m.count += 5
		}
	case doBlock:
		return inside(m.run(s.body, v))
	case doLeave:
		m.count += 2
		if v[s.a] != 0 {
			return s.n, 0
		}
	case doTable:
		return m.table(s, v)
	case doCall, doTaken:
		m.count += 3
		v[s.a] = m.function(s.n, v[s.b])
	case doStore:
		m.count += 5
		binary.LittleEndian.PutUint32(m.memory[at:], v[s.a])
	case doLoad:
		m.count += 5
		v[s.a] = binary.LittleEndian.Uint32(m.memory[at:])
	case doFill:
		m.count += 4
		for i := range s.n {
			m.memory[64+i] = byte(v[s.a])
		}
	case doCopy:
		m.count += 4
		copy(m.memory[128:128+s.n], m.memory[64:64+s.n])
	case doTotal:
		m.count += 6
		m.total = m.total*3 + v[s.a]
	case doReturn:
		m.count += 2
		if v[s.a] != 0 {
			m.count += 2
			return leaves, v[s.b]
		}
	}
	return goOn, 0
}

// choose runs the bodies of a loop's br_table, from the one that is chosen on.
// The first is in two blocks, the second in one.
func (m *machine) choose(s statement, from int, v *[vars]uint32) (int, uint32) {
	if from == 0 {
		switch left, out := m.run(s.body, v); {
		case left == leaves:
			return leaves, out
		case left > 1:
			return left - 2, 0
		case left == 1:
			from = 2
		}
	}
	if from <= 1 {
		switch left, out := m.run(s.other, v); {
		case left == leaves:
			return leaves, out
		case left > 0:
			return left - 1, 0
		}
	}
	return m.run(s.third, v)
}

// table runs the bodies of a br_table. They stand behind the ends of the blocks
// that it jumps to, so the first one is dead; label 0 goes on with the second
// body, 1 with the third, 2 behind all of them.
func (m *machine) table(s statement, v *[vars]uint32) (int, uint32) {
	m.count += 2
	from := min(v[s.a], 2)
	if from == 0 {
		switch left, out := m.run(s.other, v); {
		case left == leaves:
			return leaves, out
		case left == 1:
			return goOn, 0
		case left > 1:
			return left - 2, 0
		}
	}
	if from <= 1 {
		return inside(m.run(s.third, v))
	}
	return goOn, 0
}
