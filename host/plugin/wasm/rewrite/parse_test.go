package rewrite_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

// with builds a module with one function.
func with(sig string, body []byte, change func(a *assembly)) []byte {
	a := &assembly{memory: []byte{0, 1}, table: []byte{0x70, 0, 1}}
	a.function(sig, 1, body)
	if change != nil {
		change(a)
	}
	return a.bytes()
}

func TestParseRefuses(t *testing.T) {
	header := "\x00asm\x01\x00\x00\x00"
	nothing := func(change func(a *assembly)) []byte { return with(">", nil, change) }
	cases := []struct {
		name, says string
		code       []byte
	}{
		{"Nothing", "does not begin", nil},
		{"Text", "does not begin", []byte("(module)")},
		{"Component", "component", []byte("\x00asm\x0d\x00\x01\x00")},
		{"HalfASection", "ends in the middle", []byte(header + "\x01\x05\x00")},
		{"SectionsInDisorder", "wrong place", []byte(header + "\x03\x01\x00\x01\x01\x00")},
		{"SectionTwice", "wrong place", []byte(header + "\x01\x01\x00\x01\x01\x00")},
		{"UnknownSection", "unknown", []byte(header + "\x0d\x01\x00")},
		{"SectionTooLong", "longer", []byte(header + "\x01\x02\x00\x00")},
		{"NumberTooLarge", "too large", []byte(header + "\x01\x06\xff\xff\xff\xff\xff\x01")},
		{"FunctionWithoutCode", "declares 1 functions", []byte(header + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00")},
		{"FunctionWithoutType", "no type", []byte(header + "\x03\x02\x01\x00")},
		{"TypeOfStruct", "not a function's", []byte(header + "\x01\x02\x01\x5f")},
		{"TypeOfManyParameters", "1001 parameters", []byte(header + "\x01" + string(str("\x01\x60\xe9\x07"+strings.Repeat("\x7f", 1001)+"\x00")))},
		{"TypeOfUnknown", "0x64", []byte(header + "\x01\x05\x01\x60\x01\x64\x00")},
		{"LabelBeyond", "label", with(">", br(1), nil)},
		{"LabelOfTableBeyond", "label", with(">", cat(get(0), brTable(0, 1)), nil)},
		{"LocalBeyond", "local", with(">", cat(get(1), op(0x1a)), nil)},
		{"GlobalBeyond", "global", with(">", cat(globalGet(0), op(0x1a)), nil)},
		{"FunctionBeyond", "function", with(">", call(1), nil)},
		{"TypeBeyond", "type", with(">", cat(i32(0), indirect(7)), nil)},
		{"TableBeyond", "table", with(">", cat(i32(0), op(0x11, 0, 1)), nil)},
		{"BlockTypeBeyond", "type", with(">", op(0x02, 5, 0x0b), nil)},
		{"BlockTypeUnknown", "does not know", with(">", op(0x02, 0x60, 0x0b), nil)},
		{"ElseWithoutIf", "else", with(">", op(0x02, 0x40, 0x05, 0x0b), nil)},
		{"EndTooEarly", "after its end", with(">", op(0x0b), nil)},
		{"EndMissing", "ends in the middle", with(">", op(0x02, 0x40), nil)},
		{"UnknownInstruction", "does not know", with(">", op(0x06), nil)},
		{"UnknownVector", "does not know", with(">", op(0xfd, 0x80, 0x02), nil)},
		{"TailCall", "does not know", with(">", op(0x12, 0), nil)},
		{"Exception", "does not know", with(">", op(0x08, 0), nil)},
		{"ReferenceWhileRunning", "references", with(">", op(0xd2, 0, 0x1a), nil)},
		{"ManyLocals", "locals", func() []byte {
			a := &assembly{}
			a.function(">", 50_001)
			return a.bytes()
		}()},
		{"DeepNesting", "nests", with(">", cat(slices.Repeat(op(0x02, 0x40), 10_001), slices.Repeat(op(0x0b), 10_001)), nil)},
		{"ManyBranches", "branches", with(">", slices.Repeat(cat(get(0), brIf(0)), 20_001), nil)},
		{"LargeBranchTables", "branches", with(">", cat(get(0), brTable(make([]uint64, 400_000)...)), nil)},
		{"ManyBulkOperations", "bulk", with(">", slices.Repeat(cat(i32(0), i32(0), i32(0), op(0xfc, 11, 0)), 1_001), nil)},
		{"ManyBranchesInAll", "minutes", func() []byte {
			a := &assembly{}
			for range 3 {
				a.function(">", 1, slices.Repeat(cat(get(0), brIf(0)), 19_000))
			}
			return a.bytes()
		}()},
		{"MemoryOf64Bits", "64-bit", nothing(func(a *assembly) { a.memory = []byte{4, 1} })},
		{"SharedMemory", "shared", nothing(func(a *assembly) { a.memory = []byte{3, 1, 1} })},
		{"HugeTable", "entries", nothing(func(a *assembly) { a.table = cat(op(0x70, 0), uleb(200_001)) })},
		{"TableOfUnknown", "kind", nothing(func(a *assembly) { a.table = op(0x6e, 0, 1) })},
		{"ExportTwice", "twice", nothing(func(a *assembly) { a.export("a", 0, 0); a.export("a", 0, 0) })},
		{"ExportBeyond", "does not exist", nothing(func(a *assembly) { a.export("a", 0, 1) })},
		{"ExportOfOurName", "the host's", nothing(func(a *assembly) { a.export(rewrite.FuelGlobal, 2, 0) })},
		{"StartBeyond", "start", nothing(func(a *assembly) { a.start = uleb(9) })},
		{"ElementBeyond", "element", nothing(func(a *assembly) { a.elements = [][]byte{cat(op(0), i32(0), op(0x0b, 1, 9))} })},
		{"ElementOfUnknownKind", "kind", nothing(func(a *assembly) { a.elements = [][]byte{op(9)} })},
		{"ElementInTableBeyond", "table", nothing(func(a *assembly) { a.elements = [][]byte{op(2, 9)} })},
		{"ConstantOfGlobalBeyond", "global", nothing(func(a *assembly) { a.globals = [][]byte{op(0x7f, 0, 0x23, 0, 0x0b)} })},
		{"ConstantOfFunctionBeyond", "function", nothing(func(a *assembly) { a.globals = [][]byte{op(0x70, 0, 0xd2, 9, 0x0b)} })},
		{"ConstantOfCode", "does not know", nothing(func(a *assembly) { a.globals = [][]byte{op(0x7f, 0, 0x10, 0, 0x0b)} })},
		{"ConstantWithoutEnd", "very many", nothing(func(a *assembly) { a.globals = [][]byte{cat(op(0x7f, 0), slices.Repeat(i32(0), 101))} })},
		{"DataCountedWrongly", "wrongly", nothing(func(a *assembly) { a.counted = uleb(1) })},
		{"DataOfUnknownKind", "kind", nothing(func(a *assembly) { a.data = [][]byte{op(3)} })},
		{"DataInMemoryBeyond", "memory", nothing(func(a *assembly) { a.data = [][]byte{op(2, 1)} })},
		{"ImportOfUnknownKind", "import 9", nothing(func(a *assembly) { a.imports = [][]byte{cat(str("a"), str("b"), op(9))} })},
		{"NameOfJunk", "UTF-8", nothing(func(a *assembly) { a.export("\xff", 0, 0) })},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := rewrite.Parse(c.code)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error that says %q", err, c.says)
			}
		})
	}
}

func TestRefusalsOfTheFastPath(t *testing.T) {
	null := op(0xd0, 0x70)
	three := cat(i32(0), i32(0), i32(0))
	cases := []struct {
		name, says string
		code       []byte
	}{
		{"TableSet", "tables", with(">", cat(i32(0), null, op(0x26, 0)), nil)},
		{"TableGrow", "tables", with(">", cat(null, i32(0), op(0xfc, 15, 0, 0x1a)), nil)},
		{"TableFill", "tables", with(">", cat(i32(0), null, i32(0), op(0xfc, 17, 0)), nil)},
		{"TableCopy", "tables", with(">", cat(three, op(0xfc, 14, 0, 0)), nil)},
		{"MemoryInit", "pieces of data", with(">", cat(three, op(0xfc, 8, 0, 0)), passive)},
		{"DataDrop", "drops", with(">", op(0xfc, 9, 0), passive)},
		{"ElementDrop", "drops", with(">", op(0xfc, 13, 0), func(a *assembly) { a.elements = [][]byte{op(1, 0, 1, 0)} })},
		{"Atomics", "atomic", with(">", op(0xfe, 3, 0), nil)},
		{"GlobalOfVectors", "vectors", with(">", nil, func(a *assembly) {
			a.globals = [][]byte{cat(op(0x7b, 1, 0xfd, 12), make([]byte, 16), op(0x0b))}
		})},
		{"GlobalOfReferences", "references", with(">", nil, func(a *assembly) { a.globals = [][]byte{op(0x70, 1, 0xd0, 0x70, 0x0b)} })},
		{"NoMemory", "no memory", with(">", nil, func(a *assembly) { a.memory = nil })},
		{"ImportedMemory", "imports a memory", with(">", nil, func(a *assembly) {
			a.memory, a.imports = nil, [][]byte{cat(str("env"), str("m"), op(2, 0, 1))}
		})},
		{"ImportedGlobal", "imports a global", with(">", nil, func(a *assembly) { a.imports = [][]byte{cat(str("env"), str("g"), op(3, 0x7f, 0))} })},
		{"ImportedTable", "imports a table", with(">", nil, func(a *assembly) {
			a.table, a.imports = nil, [][]byte{cat(str("env"), str("t"), op(1, 0x70, 0, 1))}
		})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m, err := rewrite.Parse(c.code)
			if err != nil {
				t.Fatal(err)
			}
			if why := m.Refusals(); len(why) != 1 || !strings.Contains(why[0], c.says) {
				t.Errorf("got %q, want one that says %q", why, c.says)
			}
			metered(t, c.code) // the portable path takes it
		})
	}
	m, err := rewrite.Parse(with(">", cat(three, op(0xfc, 11, 0)), nil))
	if err != nil || len(m.Refusals()) > 0 {
		t.Errorf("a plain module: %v, refusals %v", err, m.Refusals())
	}
}

func passive(a *assembly) {
	a.data, a.counted = [][]byte{op(1, 1, 0)}, uleb(1)
}

// TestOutside: what a module needs and shows.
func TestOutside(t *testing.T) {
	a := &assembly{memory: []byte{1, 1, 3}}
	a.foreign("env", "f", ">")
	a.start = uleb(a.function(">", 0))
	a.export("g", 0, 1)
	m, err := rewrite.Parse(a.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if i := m.Imports(); len(i) != 1 || i[0].Module != "env" || i[0].Name != "f" || i[0].Kind != rewrite.KindFunction {
		t.Errorf("imports: %+v", i)
	}
	if e := m.Exports(); len(e) != 1 || e[0] != (rewrite.Export{Name: "g", Kind: rewrite.KindFunction, Index: 1}) {
		t.Errorf("exports: %+v", e)
	}
	if !m.HasStart() || m.MaxPages() != 3 {
		t.Errorf("start %v, %d pages at most", m.HasStart(), m.MaxPages())
	}
}

// TestBake: values of all types come back, memory has the image's size, data and
// start are gone.
func TestBake(t *testing.T) {
	a := &assembly{memory: []byte{1, 1, 3}}
	a.globals = [][]byte{
		cat(op(0x7f, 1), i32(1), op(0x0b)), cat(op(0x7e, 1), op(0x42, 1, 0x0b)),
		cat(op(0x7d, 1, 0x43, 0, 0, 0, 0, 0x0b)), cat(op(0x7c, 1, 0x44), make([]byte, 8), op(0x0b)),
		cat(op(0x7f, 0), i32(77), op(0x0b)),
	}
	a.data = [][]byte{cat(op(0), i32(0), op(0x0b), str("secret"))}
	a.start = uleb(a.function(">", 0, op(0x00)))
	m, err := rewrite.Parse(a.bytes())
	if err != nil {
		t.Fatal(err)
	}
	_, globals, err := m.Template()
	if err != nil || len(globals) != 4 || globals[3] != (rewrite.Global{Name: "__callboard_g3", Type: rewrite.F64, Mutable: true}) {
		t.Fatalf("globals %+v, %v", globals, err)
	}
	values := []uint64{0xffff_fff0, 1 << 63, 0x7fc0_0001, 0x7ff8_0000_0000_0001}
	for _, bad := range []rewrite.Image{{Pages: 2}, {Pages: 0, Globals: values}, {Pages: 1<<16 + 1, Globals: values}} {
		if _, err := m.Bake(bad); err == nil {
			t.Errorf("an image of %d pages and %d globals was taken", bad.Pages, len(bad.Globals))
		}
	}
	baked, err := m.Bake(rewrite.Image{Pages: 5, Globals: values})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	ctx := context.Background()
	module, err := b.runtime.InstantiateWithConfig(ctx, baked, wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range globals {
		if got := module.ExportedGlobal(g.Name).Get(); got != values[i] {
			t.Errorf("%s is %#x, want %#x", g.Name, got, values[i])
		}
	}
	if size := module.Memory().Size(); size != 5<<16 {
		t.Errorf("the memory has %d bytes", size)
	}
	if word, _ := module.Memory().ReadUint32Le(0); word != 0 {
		t.Error("the data is still there")
	}
	if before, ok := module.Memory().Grow(1); !ok || before != 5 {
		t.Error("the memory cannot grow beyond its own maximum, as a sandbox needs it to")
	}
}

// TestDataIsJoined: pieces side by side become one, with the same memory.
func TestDataIsJoined(t *testing.T) {
	piece := func(at int64, text string) []byte { return cat(op(0), i32(at), op(0x0b), str(text)) }
	cases := []struct {
		name   string
		pieces [][]byte
		less   bool
	}{
		{"SideBySide", [][]byte{piece(0, strings.Repeat("a", 9)), piece(9, "b"), piece(20, "c")}, true},
		{"FarApart", [][]byte{piece(0, "a"), piece(1000, "b")}, false},
		{"InDisorder", [][]byte{piece(20, "c"), piece(0, strings.Repeat("a", 19))}, true},
		{"Overlapping", [][]byte{piece(0, "aaaa"), piece(2, "bb")}, false},
		{"Computed", [][]byte{piece(0, "a"), cat(op(0), op(0x23, 0, 0x0b), str("b"))}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := &assembly{memory: []byte{0, 1}, data: c.pieces}
			a.imports = [][]byte{cat(str("env"), str("g"), op(3, 0x7f, 0))}
			if c.name != "Computed" {
				a.imports = nil
			}
			a.function("i>i", 0, i32(0))
			a.export("run", 0, 0)
			code := a.bytes()
			out := metered(t, code)
			if count := func(b []byte) int { return strings.Count(string(b), "\x0b\x01") }; c.less == (count(out) >= count(code)) && c.less {
				t.Errorf("the pieces were not joined")
			}
			if c.name == "Computed" {
				return // it needs a global that nobody has
			}
			b := newBench(t)
			var memories [2]string
			for i, code := range [][]byte{code, out} {
				ctx := context.Background()
				module, err := b.runtime.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithName(""))
				if err != nil {
					t.Fatal(err)
				}
				all, _ := module.Memory().Read(0, 1<<16)
				memories[i] = string(all)
			}
			if memories[0] != memories[1] {
				t.Error("memory is not the same")
			}
		})
	}
}
