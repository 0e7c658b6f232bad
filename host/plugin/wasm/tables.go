package wasm

import (
	"encoding/binary"
	"fmt"
)

// A sandbox has more than linear memory: tables, globals, and what is kept of
// its segments lie in the host's own heap, once for each call, and no limit of
// a call counts them. So their number is bounded before anything is compiled,
// and tables get a maximum, beyond which table.grow answers -1.

// Sections of a module that cost each call memory of the host.
const (
	sectionTable   = 4
	sectionGlobal  = 6
	sectionElement = 9
)

const (
	// maxTables and maxEntries bound tables and the sum of their first sizes.
	// A Go guest has one with an entry of eight bytes for each function.
	maxTables  = 64
	maxEntries = 200_000
	// tableRoom is how many entries each table may grow by.
	tableRoom = 1_000
	// maxGlobals and maxSegments bound the vectors of these sections; Go's
	// linker writes tens of thousands of data segments.
	maxGlobals  = 10_000
	maxSegments = 200_000
	// maxElements bounds the element section in bytes; an entry takes one or
	// more there, and eight in the sandbox.
	maxElements = 2 << 20
)

// weigh counts what a section costs each call beside linear memory.
func (o *outline) weigh(id byte, body []byte) error {
	r := &reader{body}
	n, err := r.u32()
	if err != nil {
		return err
	}
	switch {
	case id == sectionTable:
		return o.weighTables(r, n)
	case id == sectionGlobal && n > maxGlobals:
		return fmt.Errorf("it has %d globals, at most %d are run", n, maxGlobals)
	case id == sectionElement && len(body) > maxElements:
		return fmt.Errorf("its table elements have %d bytes, at most %d are run", len(body), maxElements)
	case n > maxSegments:
		return fmt.Errorf("it has %d segments of one kind, at most %d are run", n, maxSegments)
	}
	return nil
}

func (o *outline) weighTables(r *reader, n uint32) error {
	if o.tables += int64(n); o.tables > maxTables {
		return fmt.Errorf("it has %d tables, at most %d are run", o.tables, maxTables)
	}
	for range n {
		t, err := r.table()
		if err != nil {
			return err
		}
		if o.entries += int64(t.min); o.entries > maxEntries {
			return fmt.Errorf("its tables have %d entries, at most %d are run", o.entries, maxEntries)
		}
	}
	return nil
}

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
	if flags > 1 {
		return t, fmt.Errorf("a table of kind %d is not supported", flags)
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

// boundedTables writes a table section anew: every table has a maximum that is
// close to its first size.
func boundedTables(section []byte) ([]byte, error) {
	r := &reader{section}
	n, err := r.u32()
	if err != nil {
		return nil, err
	}
	out := binary.AppendUvarint(nil, uint64(n))
	for range n {
		t, err := r.table()
		if err != nil {
			return nil, err
		}
		out = append(out, t.element, 1)
		out = binary.AppendUvarint(out, uint64(t.min))
		out = binary.AppendUvarint(out, uint64(t.max))
	}
	return append(out, r.b...), nil
}
