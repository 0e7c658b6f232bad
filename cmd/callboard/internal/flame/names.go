package flame

import (
	"encoding/binary"
)

// Parts of the binary format of modules.
const (
	magicSize     = 8
	sectionCustom = 0
	namesOfFuncs  = 1
)

// functionNames reads the names that the code gives its functions, by their
// index. Code without names, or with a broken list of them, has none.
func functionNames(code []byte) map[uint32]string {
	if len(code) < magicSize {
		return nil
	}
	r := &cursor{b: code[magicSize:]}
	for len(r.b) > 0 && !r.cut {
		id := r.byte()
		section := &cursor{b: r.bytes()}
		if id == sectionCustom && string(section.bytes()) == "name" {
			return section.names()
		}
	}
	return nil
}

// names reads the subsections of the name section.
func (r *cursor) names() map[uint32]string {
	for len(r.b) > 0 && !r.cut {
		id := r.byte()
		list := &cursor{b: r.bytes()}
		if id != namesOfFuncs {
			continue
		}
		out := map[uint32]string{}
		for range list.number() {
			index := list.number()
			name := string(list.bytes())
			if list.cut {
				return out
			}
			out[index] = name
		}
		return out
	}
	return nil
}

// cursor reads the binary format; cut is set where it ends too early.
type cursor struct {
	b   []byte
	cut bool
}

func (r *cursor) number() uint32 {
	v, n := binary.Uvarint(r.b[:min(len(r.b), 5)])
	if n <= 0 || v > 1<<32-1 {
		r.cut, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return uint32(v)
}

func (r *cursor) byte() byte {
	if len(r.b) == 0 {
		r.cut = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *cursor) bytes() []byte {
	n := r.number()
	if uint64(n) > uint64(len(r.b)) {
		r.cut, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}
