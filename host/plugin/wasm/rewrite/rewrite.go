// Package rewrite changes WebAssembly modules before they are compiled: it
// counts what a guest does (fuel), makes it look regularly whether it may go
// on, and turns a guest that was initialised once into code that starts out
// initialised. All of it is pure functions over the binary format; nothing here
// runs or compiles code, and nothing else in the house reads it.
//
// # Fuel
//
// One unit is about one instruction. An exported global, FuelGlobal, is counted
// down before a stretch of code runs, by the number of its instructions. What
// takes longer costs more (price, in plan.go): calls of imports 32, calls of the
// guest's own functions by the size of their frames, bulk operations one for each
// 16 bytes that they move, memory.grow 1,024 for each page. Blocks and ends cost
// nothing: nothing runs. A stretch may hold
// branches that skip some of it (at most stretch instructions, see plan.go), so
// fuel is always at least the number of instructions that ran, and for most
// programs less than twice of it. It depends on nothing but the module and what
// its imports answer: the same call costs the same on every host.
//
// The code looks whether fuel is below zero at the entry of functions, at the
// head of loops and around bulk operations. It then calls YieldName of
// YieldModule, a function (i64) -> i64: it takes the (negative) fuel and answers
// the new one, or does not return at all. What is answered is usually the
// argument and a slice more; what is still negative yields again at the next
// look. Between two looks a guest runs about maxUnseen instructions at most.
//
// # Limits
//
// Parse refuses what costs the host more than it costs its author: modules that
// would take minutes to compile, huge tables, functions with very many locals.
package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
)

const (
	// FuelGlobal is the name of the exported mutable i64 global that holds the
	// fuel that is left. It begins at 0.
	FuelGlobal = "__callboard_fuel"
	// GlobalPrefix begins the names under which Template exports the guest's
	// own mutable globals; their index follows.
	GlobalPrefix = "__callboard_g"
	// YieldModule is the module of the import that is called when the fuel is
	// below zero.
	YieldModule = "callboard:host/meter"
	// YieldName is its name: (param i64) (result i64), from the fuel to the new
	// fuel.
	YieldName = "yield"
	// reserved begins all names that are ours.
	reserved = "__callboard_"
)

// Version is raised when the same module would be written in another way: what
// was compiled from it before is compiled anew.
const Version = 2

// Kinds of imports and exports.
const (
	KindFunction byte = 0
	KindTable    byte = 1
	KindMemory   byte = 2
	KindGlobal   byte = 3
)

// Types of values.
const (
	I32 byte = 0x7f
	I64 byte = 0x7e
	F32 byte = 0x7d
	F64 byte = 0x7c

	v128      byte = 0x7b
	funcRef   byte = 0x70
	externRef byte = 0x6f
)

// Import is something that a module needs from outside.
type Import struct {
	Module, Name string
	Kind         byte
	index        uint32 // of a function: its type
	kind         []byte // what follows Kind
}

// Export is something that a module shows.
type Export struct {
	Name  string
	Kind  byte
	Index uint32
}

// Global is a mutable global of the guest, as Template exports it.
type Global struct {
	Name    string
	Type    byte // I32, I64, F32 or F64
	Mutable bool
}

// Image is what a guest holds beside the contents of its memory after it was
// initialised.
type Image struct {
	// Pages is the size of its memory, in pages of 64 KiB.
	Pages uint32
	// Globals are the bits of its mutable globals, in the order of Template's.
	Globals []uint64
}

// Module is a parsed module. It is safe for concurrent use.
type Module struct {
	types     []signature
	imports   []Import
	functions []uint32 // the type of each function, imported ones first
	imported  int      // how many functions are imported
	tables    int
	memories  []memory
	foreign   bool // the memory is imported
	globals   []global
	exports   []Export
	start     int64  // the start function, or -1
	elements  []byte // the element section, functions moved by one
	tableBody []byte // the table section, with maxima
	data      []byte // the data section
	segments  int    // how many pieces of data it has
	counted   int64  // what the data count section says, or -1
	bodies    []body
	refusals  map[string]bool
	shapes    map[string]uint32
	canon     []uint32 // the first type of the same shape
	indirect  []int64  // by type: what callers pay for functions of it at most

	noted []*body // while functions are read: which one noted a callee last

	once    sync.Once
	metered []byte // the code section
	failed  error
}

type memory struct {
	min, max uint32
	limited  bool // has max
}

type global struct {
	kind     byte
	mutable  bool
	imported bool
	init     []byte // with its end, functions moved by one
}

type signature struct{ params, results []byte }

func (s signature) key() string { return string(s.params) + ">" + string(s.results) }

var (
	errHeader  = errors.New("it does not begin as a WebAssembly module does")
	errVersion = errors.New("it is a WebAssembly component or of an unknown version; a core module is needed")
)

// Parse reads a module. It checks everything that the rewriting relies on, and
// the bounds of what a host compiles; that a module is valid in all other ways
// is for the compiler to find out.
func Parse(code []byte) (*Module, error) {
	if len(code) < 8 || !bytes.Equal(code[:4], []byte("\x00asm")) {
		return nil, errHeader
	}
	if !bytes.Equal(code[4:8], []byte{1, 0, 0, 0}) {
		return nil, errVersion
	}
	m := &Module{start: -1, counted: -1, refusals: map[string]bool{}, shapes: map[string]uint32{}}
	if err := m.sections(&reader{b: code, at: 8}); err != nil {
		return nil, err
	}
	if err := m.consistent(); err != nil {
		return nil, err
	}
	m.noted = make([]*body, len(m.functions))
	effort := 0
	for i := range m.bodies {
		b := &m.bodies[i]
		if err := m.scan(b); err != nil {
			return nil, fmt.Errorf("function %d: %w", m.imported+i, err)
		}
		if effort += b.branches * b.branches; effort > maxEffort {
			return nil, errors.New("its functions have so many branches that compiling them would take minutes")
		}
	}
	m.noted = nil
	m.weigh()
	return m, nil
}

// consistent checks what only holds between sections.
func (m *Module) consistent() error {
	if len(m.functions)-m.imported != len(m.bodies) {
		return fmt.Errorf("it declares %d functions and has the code of %d", len(m.functions)-m.imported, len(m.bodies))
	}
	if m.start >= int64(len(m.functions)) {
		return errors.New("its start function does not exist")
	}
	if m.counted >= 0 && m.counted != int64(m.segments) {
		return errors.New("it counts its pieces of data wrongly")
	}
	seen := make(map[string]bool, len(m.exports))
	for _, e := range m.exports {
		if seen[e.Name] {
			return fmt.Errorf("it exports %q twice", clip(e.Name))
		}
		seen[e.Name] = true
		if strings.HasPrefix(e.Name, reserved) {
			return fmt.Errorf("it exports %q; names that begin with %s are the host's", clip(e.Name), reserved)
		}
		if n := m.count(e.Kind); int64(e.Index) >= int64(n) {
			return fmt.Errorf("it exports %q, which does not exist", clip(e.Name))
		}
	}
	return nil
}

// count returns how many things of a kind the module has.
func (m *Module) count(kind byte) int {
	switch kind {
	case KindFunction:
		return len(m.functions)
	case KindTable:
		return m.tables
	case KindMemory:
		return len(m.memories)
	case KindGlobal:
		return len(m.globals)
	}
	return 0
}

// Imports returns what the module needs from outside.
func (m *Module) Imports() []Import { return m.imports }

// Exports returns what the module shows.
func (m *Module) Exports() []Export { return m.exports }

// HasStart reports whether the module has a start function.
func (m *Module) HasStart() bool { return m.start >= 0 }

func clip(s string) string {
	if len(s) > 60 {
		s = s[:60]
	}
	return strings.ToValidUTF8(s, "")
}
