package rewrite

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Sections of a module.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
)

// sections reads all sections. They come in the order of their numbers, but for
// the data count, which stands between elements and code.
func (m *Module) sections(r *reader) error {
	last := 0
	for r.left() > 0 {
		id, err := r.byte()
		if err != nil {
			return err
		}
		contents, err := r.bytes()
		if err != nil {
			return fmt.Errorf("section %d: %w", id, err)
		}
		if id == sectionCustom {
			continue // names and debugging: nothing that runs
		}
		rank := int(id) * 2
		if id == sectionDataCount {
			rank = sectionElement*2 + 1
		}
		if rank <= last || id > sectionDataCount {
			return fmt.Errorf("section %d is unknown or in the wrong place", id)
		}
		last = rank
		s := &reader{b: contents}
		if err := m.section(id, s); err != nil {
			return fmt.Errorf("section %d: %w", id, err)
		}
		if s.left() > 0 {
			return fmt.Errorf("section %d is longer than what it holds", id)
		}
	}
	return nil
}

func (m *Module) section(id byte, s *reader) error {
	switch id {
	case sectionType:
		return m.each(s, maxTypes, m.readType)
	case sectionImport:
		return m.each(s, maxNames, m.readImport)
	case sectionFunction:
		return m.each(s, maxFunctions, m.readFunction)
	case sectionTable:
		return m.readTables(s)
	case sectionMemory:
		return m.each(s, 1, func(s *reader) error { return m.readMemory(s) })
	case sectionGlobal:
		return m.each(s, maxGlobals, m.readGlobal)
	case sectionExport:
		return m.each(s, maxNames, m.readExport)
	case sectionStart:
		f, err := s.u32()
		m.start = int64(f)
		return err
	case sectionElement:
		return m.readElements(s)
	case sectionCode:
		return m.each(s, maxFunctions, m.readBody)
	case sectionData:
		return m.readData(s)
	case sectionDataCount:
		n, err := s.u32()
		m.counted = int64(n)
		return err
	}
	return nil
}

// each reads a vector.
func (m *Module) each(s *reader, most int, read func(*reader) error) error {
	n, err := s.vector()
	if err != nil {
		return err
	}
	if n > most {
		return fmt.Errorf("it has %d entries, at most %d are run", n, most)
	}
	for range n {
		if err := read(s); err != nil {
			return err
		}
	}
	return nil
}

func (m *Module) readType(s *reader) error {
	if form, err := s.byte(); err != nil || form != 0x60 {
		return errors.New("it has a type that is not a function's")
	}
	params, err := s.valueTypes()
	if err != nil {
		return err
	}
	results, err := s.valueTypes()
	if err != nil {
		return err
	}
	kind := signature{params, results}
	same := uint32(len(m.types))
	if at, ok := m.shapes[kind.key()]; ok {
		same = at
	} else {
		m.shapes[kind.key()] = same
	}
	m.types, m.canon = append(m.types, kind), append(m.canon, same)
	return nil
}

// valueTypes reads a vector of types of values.
func (r *reader) valueTypes() ([]byte, error) {
	n, err := r.vector()
	if err != nil {
		return nil, err
	}
	if n > maxParams {
		return nil, fmt.Errorf("a function has %d parameters or results, at most %d are run", n, maxParams)
	}
	types, err := r.take(n)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		if !valueType(t) {
			return nil, fmt.Errorf("the type %#x is not supported", t)
		}
	}
	return types, nil
}

func valueType(t byte) bool {
	return t >= v128 && t <= I32 || t == funcRef || t == externRef
}

func (r *reader) name() (string, error) {
	b, err := r.bytes()
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", errors.New("it has a name that is not UTF-8")
	}
	return string(b), nil
}

func (m *Module) readImport(s *reader) error {
	module, err := s.name()
	if err != nil {
		return err
	}
	field, err := s.name()
	if err != nil {
		return err
	}
	i := Import{Module: module, Name: field}
	if i.Kind, err = s.byte(); err != nil {
		return err
	}
	begin := s.at
	switch i.Kind {
	case KindFunction:
		if i.index, err = s.u32(); err == nil && int64(i.index) >= int64(len(m.types)) {
			err = errors.New("an imported function has no type")
		}
		m.functions = append(m.functions, i.index)
		m.imported++
	case KindTable, KindMemory, KindGlobal:
		// Such a module is not run by this host at all; what stands here is
		// only read so that the import can be named.
		m.refuse("it imports a " + kindName(i.Kind))
		err = m.readForeign(s, i.Kind)
	default:
		err = fmt.Errorf("unknown kind of import %d", i.Kind)
	}
	i.kind = s.b[begin:s.at]
	m.imports = append(m.imports, i)
	return err
}

func kindName(kind byte) string {
	return [...]string{"function", "table", "memory", "global"}[kind]
}

// readForeign reads an imported table, memory or global.
func (m *Module) readForeign(s *reader, kind byte) error {
	switch kind {
	case KindTable:
		_, err := s.table()
		m.tables++
		return err
	case KindMemory:
		m.foreign = true
		return m.readMemory(s)
	}
	t, err := s.byte()
	if err != nil {
		return err
	}
	mutable, err := s.byte()
	if err != nil || mutable > 1 || !valueType(t) {
		return errors.New("it imports a global of a kind that is not supported")
	}
	m.globals = append(m.globals, global{kind: t, mutable: mutable == 1, imported: true})
	return nil
}

func (m *Module) readFunction(s *reader) error {
	t, err := s.u32()
	if err != nil {
		return err
	}
	if int(t) >= len(m.types) {
		return errors.New("a function has no type")
	}
	m.functions = append(m.functions, t)
	return nil
}

// readMemory reads the type of a memory of 32-bit addresses that is not shared.
func (m *Module) readMemory(s *reader) error {
	flags, err := s.byte()
	if err != nil {
		return err
	}
	if flags > 1 || len(m.memories) > 0 {
		return errors.New("it has a memory of 64-bit addresses, a shared one, or several")
	}
	mem := memory{limited: flags == 1}
	if mem.min, err = s.u32(); err != nil {
		return err
	}
	if mem.limited {
		mem.max, err = s.u32()
	}
	m.memories = append(m.memories, mem)
	return err
}

func (m *Module) readGlobal(s *reader) error {
	t, err := s.byte()
	if err != nil {
		return err
	}
	mutable, err := s.byte()
	if err != nil {
		return err
	}
	if mutable > 1 || !valueType(t) {
		return errors.New("it has a global of a kind that is not supported")
	}
	g := global{kind: t, mutable: mutable == 1}
	if g.mutable && t < F64 {
		m.refuse("it has a global of vectors or references that can change")
	}
	if g.init, err = m.constant(s); err != nil {
		return err
	}
	m.globals = append(m.globals, g)
	return nil
}

func (m *Module) readExport(s *reader) error {
	field, err := s.name()
	if err != nil {
		return err
	}
	e := Export{Name: field}
	if e.Kind, err = s.byte(); err != nil {
		return err
	}
	if e.Kind > KindGlobal {
		return fmt.Errorf("unknown kind of export %d", e.Kind)
	}
	e.Index, err = s.u32()
	m.exports = append(m.exports, e)
	return err
}

func (m *Module) readBody(s *reader) error {
	n := m.imported + len(m.bodies)
	if n >= len(m.functions) {
		return errors.New("it has the code of more functions than it declares")
	}
	code, err := s.bytes()
	if err != nil {
		return fmt.Errorf("function %d: %w", n, err)
	}
	m.bodies = append(m.bodies, body{kind: m.functions[n], code: code})
	return nil
}

// moved returns the index that a function has when one more is imported.
func (m *Module) moved(index uint32) uint32 {
	if int(index) < m.imported {
		return index
	}
	return index + 1
}

// constant reads a constant expression and returns it with functions moved.
func (m *Module) constant(s *reader) ([]byte, error) {
	var out []byte
	for range maxConstant {
		begin := s.at
		op, err := s.byte()
		if err != nil {
			return nil, err
		}
		switch op {
		case opEnd:
			return append(out, opEnd), nil
		case opI32Const:
			_, err = s.signed(32)
		case opI64Const:
			_, err = s.signed(64)
		case opF32Const:
			_, err = s.take(4)
		case opF64Const:
			_, err = s.take(8)
		case opVector:
			var sub uint32
			if sub, err = s.u32(); err == nil && sub != vectorConst {
				err = errInstruction
			}
			if err == nil {
				_, err = s.take(16)
			}
		case opRefNull:
			_, err = s.byte()
		case opGlobalGet:
			var g uint32
			if g, err = s.u32(); err == nil && int(g) >= len(m.globals) {
				err = errors.New("a constant uses a global that does not exist")
			}
		case opRefFunc:
			var f uint32
			if f, err = s.u32(); err == nil && int(f) >= len(m.functions) {
				err = errors.New("a constant uses a function that does not exist")
			}
			if err != nil {
				return nil, err
			}
			out = appendU32(append(out, opRefFunc), m.moved(f))
			continue
		default:
			err = errInstruction
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s.b[begin:s.at]...)
	}
	return nil, errors.New("it has a constant of very many instructions")
}
