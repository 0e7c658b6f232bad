package runtimetest

import (
	"encoding/binary"
	"slices"
)

// Types of values, for Assembly.
const (
	I32 byte = 0x7f
	I64 byte = 0x7e
	F32 byte = 0x7d
	F64 byte = 0x7c
)

// Assembly puts together a WebAssembly module by hand: guests that no compiler
// would make. Imports come before functions. The zero value is ready to use.
type Assembly struct {
	types     [][]byte
	imports   [][]byte
	functions [][]byte // types of functions
	tables    [][]byte
	memories  [][]byte
	globals   [][]byte
	exports   [][]byte
	start     []byte
	elements  [][]byte
	code      [][]byte
	data      [][]byte
	counted   bool
	imported  uint32 // imported functions
}

// vector writes a number of items and the items.
func vector(items ...[]byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(items)))
	return append(out, slices.Concat(items...)...)
}

// text writes a name.
func text(s string) []byte { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }

func u32(n uint32) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// signed writes a signed LEB128.
func signed(v int64) []byte {
	var out []byte
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// Type returns the index of a function type.
func (b *Assembly) Type(params, results []byte) uint32 {
	t := slices.Concat([]byte{0x60}, u32(uint32(len(params))), params, u32(uint32(len(results))), results)
	for i, have := range b.types {
		if slices.Equal(have, t) {
			return uint32(i)
		}
	}
	b.types = append(b.types, t)
	return uint32(len(b.types) - 1)
}

// Import imports a function and returns its index.
func (b *Assembly) Import(module, name string, params, results []byte) uint32 {
	b.ImportOf(module, name, append([]byte{0}, u32(b.Type(params, results))...)...)
	b.imported++
	return b.imported - 1
}

// ImportOf imports anything: its kind and its type as they are written.
func (b *Assembly) ImportOf(module, name string, description ...byte) {
	b.imports = append(b.imports, slices.Concat(text(module), text(name), description))
}

// Function adds a function and returns its index. Locals are beside the
// parameters; the end of the body is added.
func (b *Assembly) Function(params, results, locals []byte, body ...[]byte) uint32 {
	b.functions = append(b.functions, u32(b.Type(params, results)))
	var groups [][]byte
	for _, l := range locals {
		groups = append(groups, []byte{1, l})
	}
	f := append(slices.Concat(vector(groups...), slices.Concat(body...)), 0x0b)
	b.code = append(b.code, append(binary.AppendUvarint(nil, uint64(len(f))), f...))
	return b.imported + uint32(len(b.functions)) - 1
}

// Export exports a function.
func (b *Assembly) Export(name string, function uint32) { b.ExportOf(name, 0, function) }

// ExportOf exports something of another kind: 1 table, 2 memory, 3 global.
func (b *Assembly) ExportOf(name string, kind byte, index uint32) {
	b.exports = append(b.exports, slices.Concat(text(name), []byte{kind}, u32(index)))
}

// Memory adds the memory, in pages; without a maximum if that is 0.
func (b *Assembly) Memory(least, most uint32) {
	if most == 0 {
		b.memories = append(b.memories, append([]byte{0}, u32(least)...))
		return
	}
	b.memories = append(b.memories, slices.Concat([]byte{1}, u32(least), u32(most)))
}

// Table adds a table of functions, without a maximum if that is 0.
func (b *Assembly) Table(least, most uint32) {
	if most == 0 {
		b.tables = append(b.tables, append([]byte{0x70, 0}, u32(least)...))
		return
	}
	b.tables = append(b.tables, slices.Concat([]byte{0x70, 1}, u32(least), u32(most)))
}

// Global adds a global with its first value as an expression, without its end.
func (b *Assembly) Global(kind byte, mutable bool, value []byte) uint32 {
	m := byte(0)
	if mutable {
		m = 1
	}
	b.globals = append(b.globals, slices.Concat([]byte{kind, m}, value, []byte{0x0b}))
	return uint32(len(b.globals) - 1)
}

// Start names the start function.
func (b *Assembly) Start(function uint32) { b.start = u32(function) }

// Element puts functions into table 0 from an index on.
func (b *Assembly) Element(at int32, functions ...uint32) {
	out := slices.Concat([]byte{0}, Int32(at), []byte{0x0b}, u32(uint32(len(functions))))
	for _, f := range functions {
		out = append(out, u32(f)...)
	}
	b.elements = append(b.elements, out)
}

// Data puts bytes into the memory from an address on.
func (b *Assembly) Data(at int32, bytes []byte) {
	b.data = append(b.data, slices.Concat([]byte{0}, Int32(at), []byte{0x0b}, u32(uint32(len(bytes))), bytes))
}

// PassiveData adds data that the code itself copies and drops.
func (b *Assembly) PassiveData(bytes []byte) uint32 {
	b.counted = true
	b.data = append(b.data, slices.Concat([]byte{1}, u32(uint32(len(bytes))), bytes))
	return uint32(len(b.data) - 1)
}

// Bytes returns the module.
func (b *Assembly) Bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body []byte) {
		out = append(out, id)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	list := func(id byte, items [][]byte) {
		if len(items) > 0 {
			section(id, vector(items...))
		}
	}
	list(1, b.types)
	list(2, b.imports)
	list(3, b.functions)
	list(4, b.tables)
	list(5, b.memories)
	list(6, b.globals)
	list(7, b.exports)
	if b.start != nil {
		section(8, b.start)
	}
	list(9, b.elements)
	if b.counted {
		section(12, u32(uint32(len(b.data))))
	}
	list(10, b.code)
	list(11, b.data)
	return out
}

// Int32 is i32.const.
func Int32(v int32) []byte { return append([]byte{0x41}, signed(int64(v))...) }

// Int64 is i64.const.
func Int64(v int64) []byte { return append([]byte{0x42}, signed(v)...) }

// Call calls a function.
func Call(function uint32) []byte { return append([]byte{0x10}, u32(function)...) }

// Get and Set are local.get and local.set.
func Get(local uint32) []byte { return append([]byte{0x20}, u32(local)...) }

// Set is local.set.
func Set(local uint32) []byte { return append([]byte{0x21}, u32(local)...) }

// Op is anything else, as it is written.
func Op(b ...byte) []byte { return b }

// Loop repeats a body for ever, unless it branches out.
func Loop(body ...[]byte) []byte {
	return slices.Concat([]byte{0x03, 0x40}, slices.Concat(body...), []byte{0x0c, 0, 0x0b})
}
