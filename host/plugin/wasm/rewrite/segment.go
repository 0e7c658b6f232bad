package rewrite

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// A sandbox has more than linear memory: tables, globals, and what is kept of
// its segments lie in the host's own heap, once for each sandbox, and no limit
// of a call counts them. So their number is bounded before anything is compiled,
// and tables get a maximum, beyond which table.grow answers -1.
const (
	// maxTables and maxEntries bound tables and the sum of their first sizes.
	// A Go guest has one with an entry of eight bytes for each function.
	maxTables  = 64
	maxEntries = 200_000
	// tableRoom is how many entries each table may grow by.
	tableRoom = 1_000
	// maxElements bounds the element section in bytes; an entry takes one or
	// more there, and eight in the sandbox.
	maxElements = 2 << 20
	// maxSegments bounds how many pieces of data there are; Go's linker writes
	// tens of thousands.
	maxSegments = 200_000
	// maxConstant bounds the instructions of a constant expression.
	maxConstant = 100
)

const (
	// gap is how many zero bytes two pieces of data may have between them to
	// become one; a piece of its own costs more.
	gap = 256
	// maxPiece keeps pieces in sizes that fit memory well.
	maxPiece = 4 << 20
)

// table is the type of a table.
type table struct {
	element  byte
	min, max uint32
}

// table reads a table's type; max is what the table may have here.
func (r *reader) table() (t table, err error) {
	if t.element, err = r.byte(); err != nil {
		return t, err
	}
	flags, err := r.byte()
	if err != nil {
		return t, err
	}
	if flags > 1 || t.element != funcRef && t.element != externRef {
		return t, errors.New("a table of this kind is not supported")
	}
	if t.min, err = r.u32(); err != nil {
		return t, err
	}
	t.max = uint32(min(uint64(t.min)+tableRoom, 1<<32-1))
	if flags == 1 {
		declared, err := r.u32()
		if err != nil {
			return t, err
		}
		t.max = min(t.max, declared)
	}
	return t, nil
}

// readTables reads the table section and keeps it with a maximum, close to its
// first size, for every table.
func (m *Module) readTables(s *reader) error {
	n, err := s.vector()
	if err != nil {
		return err
	}
	if m.tables += n; m.tables > maxTables {
		return fmt.Errorf("it has %d tables, at most %d are run", m.tables, maxTables)
	}
	out := appendU32(nil, uint32(n))
	entries := int64(0)
	for range n {
		t, err := s.table()
		if err != nil {
			return err
		}
		if entries += int64(t.min); entries > maxEntries {
			return fmt.Errorf("its tables have %d entries, at most %d are run", entries, maxEntries)
		}
		out = append(out, t.element, 1)
		out = appendU32(out, t.min)
		out = appendU32(out, t.max)
	}
	m.tableBody = out
	return nil
}

// readElements reads the element section and keeps it with functions moved.
// Kinds of segments: WebAssembly core specification 2.0, §5.5.12: bit 0 says
// passive or declarative, bit 1 that there is an explicit table or that it is
// declarative, bit 2 that the entries are expressions.
func (m *Module) readElements(s *reader) error {
	if s.left() > maxElements {
		return fmt.Errorf("its table elements have %d bytes, at most %d are run", s.left(), maxElements)
	}
	n, err := s.vector()
	if err != nil {
		return err
	}
	out := appendU32(nil, uint32(n))
	for range n {
		if out, err = m.readElement(s, out); err != nil {
			return err
		}
	}
	m.elements = out
	return nil
}

func (m *Module) readElement(s *reader, out []byte) ([]byte, error) {
	flags, err := s.u32()
	if err != nil || flags > 7 {
		return nil, errors.Join(err, errors.New("a segment of elements of this kind is not supported"))
	}
	out = appendU32(out, flags)
	if flags&1 == 0 {
		if flags&2 != 0 {
			t, err := s.u32()
			if err != nil || int64(t) >= int64(m.tables) {
				return nil, errors.New("a segment of elements belongs to a table that does not exist")
			}
			out = appendU32(out, t)
		}
		at, err := m.constant(s)
		if err != nil {
			return nil, err
		}
		out = append(out, at...)
	}
	if flags&3 != 0 {
		kind, err := s.byte()
		if err != nil {
			return nil, err
		}
		out = append(out, kind)
	}
	n, err := s.vector()
	if err != nil {
		return nil, err
	}
	out = appendU32(out, uint32(n))
	for range n {
		if flags&4 != 0 {
			entry, err := m.constant(s)
			if err != nil {
				return nil, err
			}
			out = append(out, entry...)
			continue
		}
		f, err := s.u32()
		if err != nil {
			return nil, err
		}
		if int(f) >= len(m.functions) {
			return nil, errors.New("an element is a function that does not exist")
		}
		out = appendU32(out, m.moved(f))
	}
	return out, nil
}

// piece is one active data segment of memory 0.
type piece struct {
	at   uint32
	data []byte
}

// readData reads the data section and keeps it with the pieces joined that lie
// side by side. Go's linker writes tens of thousands of them, and every instance
// copies each on its own; joined, a new instance takes a fraction of the time.
// The memory that results is the same byte for byte, so pieces that cannot be
// joined safely (overlapping, passive, computed, counted) stay as they are.
func (m *Module) readData(s *reader) error {
	begin := s.at
	n, err := s.vector()
	if err != nil {
		return err
	}
	if n > maxSegments {
		return fmt.Errorf("it has %d pieces of data, at most %d are run", n, maxSegments)
	}
	m.segments = n
	pieces := make([]piece, 0, n)
	plain := m.counted < 0
	for range n {
		p, simple, err := m.readPiece(s)
		if err != nil {
			return err
		}
		plain = plain && simple
		pieces = append(pieces, p)
	}
	m.data = s.b[begin:s.at]
	if !plain {
		return nil
	}
	if joined, ok := join(pieces); ok {
		m.data, m.segments = encodePieces(joined), len(joined)
	}
	return nil
}

// readPiece reads a segment and reports whether it is of the simple form: kind
// 0, i32.const, end, bytes.
func (m *Module) readPiece(s *reader) (p piece, simple bool, err error) {
	kind, err := s.u32()
	if err != nil || kind > 2 {
		return p, false, errors.Join(err, errors.New("a piece of data of this kind is not supported"))
	}
	if kind == 2 {
		if mem, err := s.u32(); err != nil || mem != 0 {
			return p, false, errors.New("a piece of data belongs to a memory that does not exist")
		}
	}
	if kind != 1 {
		at, err := m.constant(s)
		if err != nil {
			return p, false, err
		}
		r := &reader{b: at}
		if op, err := r.byte(); err == nil && op == opI32Const && kind == 0 {
			v, err := r.signed(32)
			p.at, simple = uint32(v), err == nil && r.left() == 1
		}
	}
	p.data, err = s.bytes()
	return p, simple, err
}

// join joins pieces that lie side by side; ok is false if some overlap.
func join(pieces []piece) (out []piece, ok bool) {
	// Pieces that do not overlap may be written in any order.
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(a.at, b.at) })
	for _, p := range pieces {
		if len(out) == 0 {
			out = append(out, piece{p.at, slices.Clone(p.data)})
			continue
		}
		last := &out[len(out)-1]
		end := uint64(last.at) + uint64(len(last.data))
		if uint64(p.at) < end {
			return nil, false
		}
		between := uint64(p.at) - end
		if between > gap || len(last.data)+len(p.data) > maxPiece {
			out = append(out, piece{p.at, slices.Clone(p.data)})
			continue
		}
		last.data = append(append(last.data, make([]byte, between)...), p.data...)
	}
	return out, true
}

func encodePieces(pieces []piece) []byte {
	out := appendU32(nil, uint32(len(pieces)))
	for _, p := range pieces {
		out = append(out, 0, opI32Const)
		out = appendSigned(out, int64(int32(p.at)))
		out = append(out, opEnd)
		out = appendBytes(out, p.data)
	}
	return out
}
