package rewrite_test

import (
	"encoding/binary"
)

// assembly is a module in the making. Types of functions are written as
// "params>results" with i, I, f, F and v for i32, i64, f32, f64 and v128.
type assembly struct {
	types    []string
	imports  [][]byte
	imported int
	funcs    []string
	bodies   [][]byte
	table    []byte // its type
	memory   []byte // its type
	globals  [][]byte
	exports  [][]byte
	start    []byte
	elements [][]byte
	counted  []byte
	data     [][]byte
}

func uleb(v uint64) []byte { return binary.AppendUvarint(nil, v) }

func sleb(v int64) []byte {
	var out []byte
	for {
		b := byte(v & 0x7f)
		if v >>= 7; v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func cat(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func vec(parts ...[]byte) []byte { return cat(uleb(uint64(len(parts))), cat(parts...)) }

func str(s string) []byte { return append(uleb(uint64(len(s))), s...) }

func (a *assembly) kind(sig string) uint64 {
	for i, t := range a.types {
		if t == sig {
			return uint64(i)
		}
	}
	a.types = append(a.types, sig)
	return uint64(len(a.types) - 1)
}

// function adds a function and returns its index; body is without its end.
func (a *assembly) function(sig string, locals int, body ...[]byte) uint64 {
	a.kind(sig)
	a.funcs = append(a.funcs, sig)
	groups := []byte{0}
	if locals > 0 {
		groups = cat([]byte{1}, uleb(uint64(locals)), []byte{0x7f})
	}
	a.bodies = append(a.bodies, cat(groups, cat(body...), []byte{0x0b}))
	return uint64(a.imported + len(a.funcs) - 1)
}

func (a *assembly) foreign(module, field, sig string) uint64 {
	a.imports = append(a.imports, cat(str(module), str(field), []byte{0}, uleb(a.kind(sig))))
	a.imported++
	return uint64(a.imported - 1)
}

func (a *assembly) export(name string, kind byte, index uint64) {
	a.exports = append(a.exports, cat(str(name), []byte{kind}, uleb(index)))
}

func (a *assembly) bytes() []byte {
	letters := map[byte]byte{'i': 0x7f, 'I': 0x7e, 'f': 0x7d, 'F': 0x7c, 'v': 0x7b, 'r': 0x70}
	var types, funcs, bodies [][]byte
	for _, t := range a.types {
		var sides [2][]byte
		side := 0
		for i := range len(t) {
			if t[i] == '>' {
				side = 1
				continue
			}
			sides[side] = append(sides[side], letters[t[i]])
		}
		types = append(types, cat([]byte{0x60}, str(string(sides[0])), str(string(sides[1]))))
	}
	for _, f := range a.funcs {
		funcs = append(funcs, uleb(a.kind(f)))
	}
	for _, b := range a.bodies {
		bodies = append(bodies, str(string(b)))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body []byte) {
		if len(body) > 0 && body[0] != 0 {
			out = cat(out, []byte{id}, str(string(body)))
		}
	}
	section(1, vec(types...))
	section(2, vec(a.imports...))
	section(3, vec(funcs...))
	if a.table != nil {
		section(4, vec(a.table))
	}
	if a.memory != nil {
		section(5, vec(a.memory))
	}
	section(6, vec(a.globals...))
	section(7, vec(a.exports...))
	if a.start != nil {
		out = cat(out, []byte{8}, str(string(a.start)))
	}
	section(9, vec(a.elements...))
	if a.counted != nil {
		out = cat(out, []byte{12}, str(string(a.counted)))
	}
	section(10, vec(bodies...))
	section(11, vec(a.data...))
	return out
}

// Instructions.
func op(b ...byte) []byte            { return b }
func get(i uint64) []byte            { return cat(op(0x20), uleb(i)) }
func set(i uint64) []byte            { return cat(op(0x21), uleb(i)) }
func globalGet(i uint64) []byte      { return cat(op(0x23), uleb(i)) }
func globalSet(i uint64) []byte      { return cat(op(0x24), uleb(i)) }
func i32(v int64) []byte             { return cat(op(0x41), sleb(v)) }
func call(f uint64) []byte           { return cat(op(0x10), uleb(f)) }
func br(label uint64) []byte         { return cat(op(0x0c), uleb(label)) }
func brIf(label uint64) []byte       { return cat(op(0x0d), uleb(label)) }
func loop(body ...[]byte) []byte     { return cat(op(0x03, 0x40), cat(body...), op(0x0b)) }
func block(body ...[]byte) []byte    { return cat(op(0x02, 0x40), cat(body...), op(0x0b)) }
func when(then, other []byte) []byte { return cat(op(0x04, 0x40), then, op(0x05), other, op(0x0b)) }
func indirect(kind uint64) []byte    { return cat(op(0x11), uleb(kind), op(0)) }
func brTable(labels ...uint64) []byte {
	out := cat(op(0x0e), uleb(uint64(len(labels)-1)))
	for _, l := range labels {
		out = append(out, uleb(l)...)
	}
	return out
}

const (
	add = 0x6a
	sub = 0x6b
	mul = 0x6c
	and = 0x71
	xor = 0x73
)
