package rewrite

import (
	"fmt"
	"slices"
	"strconv"
)

// Template returns metered code whose mutable globals are all exported, and
// those globals. What it holds after it was initialised is an Image.
func (m *Module) Template() ([]byte, []Global, error) {
	code, err := m.write(variant{export: true, start: true, data: true})
	return code, m.visible(), err
}

// Bake returns metered code that begins where the image was taken: its globals
// hold the image's values, its memory has the image's size and no contents
// (they are the sandbox's to provide), and nothing runs when it is instantiated.
// Like Template's, its memory has no maximum: see MaxPages.
func (m *Module) Bake(img Image) ([]byte, error) {
	if want := len(m.visible()); len(img.Globals) != want {
		return nil, fmt.Errorf("the image has %d globals, the module %d", len(img.Globals), want)
	}
	if len(m.memories) == 0 || img.Pages < m.memories[0].min || img.Pages > 1<<16 {
		return nil, fmt.Errorf("a memory of %d pages does not fit the module", img.Pages)
	}
	return m.write(variant{export: true, image: &img})
}

// MaxPages is the most pages that the module's memory may have by its own word.
// Template and Bake leave that word out, so whoever runs them has to keep to it:
// a sandbox that gives a memory back its first size needs room to grow by.
func (m *Module) MaxPages() uint32 {
	if len(m.memories) > 0 && m.memories[0].limited {
		return min(m.memories[0].max, 1<<16)
	}
	return 1 << 16
}

// Metered returns metered code that is otherwise what it was.
func (m *Module) Metered() ([]byte, error) {
	return m.write(variant{start: true, data: true})
}

// variant is what the written module has.
type variant struct {
	export bool // all mutable globals
	start  bool
	data   bool
	image  *Image
}

// visible returns the guest's own mutable globals as Template exports them.
func (m *Module) visible() []Global {
	var out []Global
	for i, g := range m.globals {
		if g.mutable && !g.imported {
			out = append(out, Global{Name: GlobalPrefix + strconv.Itoa(i), Type: g.kind, Mutable: true})
		}
	}
	return out
}

func (m *Module) write(v variant) ([]byte, error) {
	code, err := m.code()
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(code)+len(m.data)+len(m.elements)+1<<16)
	out = append(out, 0, 'a', 's', 'm', 1, 0, 0, 0)
	section := func(id byte, body []byte) {
		if len(body) > 0 {
			out = appendBytes(append(out, id), body)
		}
	}
	section(sectionType, m.writeTypes())
	section(sectionImport, m.writeImports())
	section(sectionFunction, m.writeFunctions())
	section(sectionTable, m.tableBody)
	section(sectionMemory, m.writeMemory(v))
	section(sectionGlobal, m.writeGlobals(v))
	section(sectionExport, m.writeExports(v))
	if v.start && m.start >= 0 {
		section(sectionStart, appendU32(nil, m.moved(uint32(m.start))))
	}
	section(sectionElement, m.elements)
	if v.data && m.counted >= 0 {
		section(sectionDataCount, appendU32(nil, uint32(m.counted)))
	}
	section(sectionCode, code)
	if v.data {
		section(sectionData, m.data)
	}
	return out, nil
}

func (m *Module) writeTypes() []byte {
	out := appendU32(nil, uint32(len(m.types)+typeCount))
	for _, t := range m.types {
		out = appendBytes(append(out, 0x60), t.params)
		out = appendBytes(out, t.results)
	}
	out = append(out, 0x60, 1, I64, 1, I64)         // typeYield
	out = append(out, 0x60, 0, 0)                   // typePlain
	return append(out, 0x60, 3, I32, I32, I32, 0x0) // typeBulk
}

func (m *Module) writeImports() []byte {
	out := appendU32(nil, uint32(len(m.imports)+1))
	for _, i := range m.imports {
		out = appendString(appendString(out, i.Module), i.Name)
		out = append(out, i.Kind)
		out = append(out, i.kind...)
	}
	out = appendString(appendString(out, YieldModule), YieldName)
	return appendU32(append(out, KindFunction), uint32(len(m.types)+typeYield))
}

func (m *Module) writeFunctions() []byte {
	kinds := append(slices.Clone(m.functions[m.imported:]), m.ownTypes()...)
	out := appendU32(nil, uint32(len(kinds)))
	for _, t := range kinds {
		out = appendU32(out, t)
	}
	return out
}

func (m *Module) writeMemory(v variant) []byte {
	var own []memory
	if len(m.memories) > 0 && !m.foreign {
		own = m.memories
	}
	out := appendU32(nil, uint32(len(own)))
	for _, mem := range own {
		if v.image != nil {
			mem.min = v.image.Pages
		}
		if !mem.limited || v.export {
			out = appendU32(append(out, 0), mem.min)
			continue
		}
		out = appendU32(append(out, 1), mem.min)
		out = appendU32(out, mem.max)
	}
	return out
}

func (m *Module) writeGlobals(v variant) []byte {
	own := 0
	for _, g := range m.globals {
		if !g.imported {
			own++
		}
	}
	out := appendU32(nil, uint32(own+1))
	value := 0
	for _, g := range m.globals {
		if g.imported {
			continue
		}
		out = append(out, g.kind, flag(g.mutable))
		if v.image == nil || !g.mutable {
			out = append(out, g.init...)
			continue
		}
		out = appendConst(out, g.kind, v.image.Globals[value])
		value++
	}
	return append(out, I64, 1, opI64Const, 0, opEnd)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// appendConst writes a constant expression.
func appendConst(out []byte, kind byte, bits uint64) []byte {
	switch kind {
	case I32:
		out = appendSigned(append(out, opI32Const), int64(int32(uint32(bits))))
	case I64:
		out = appendSigned(append(out, opI64Const), int64(bits))
	case F32:
		out = append(out, opF32Const, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
	case F64:
		out = append(out, opF64Const)
		for shift := 0; shift < 64; shift += 8 {
			out = append(out, byte(bits>>shift))
		}
	}
	return append(out, opEnd)
}

func (m *Module) writeExports(v variant) []byte {
	var ours []Global
	if v.export {
		ours = m.visible()
	}
	out := appendU32(nil, uint32(len(m.exports)+len(ours)+1))
	for _, e := range m.exports {
		index := e.Index
		if e.Kind == KindFunction {
			index = m.moved(index)
		}
		out = appendU32(append(appendString(out, e.Name), e.Kind), index)
	}
	for _, g := range ours {
		index, err := strconv.ParseUint(g.Name[len(GlobalPrefix):], 10, 32)
		if err != nil {
			continue // visible writes numbers
		}
		out = appendU32(append(appendString(out, g.Name), KindGlobal), uint32(index))
	}
	out = append(appendString(out, FuelGlobal), KindGlobal)
	return appendU32(out, uint32(len(m.globals)))
}
