package codec

import (
	"slices"
	"unsafe" // descriptions name places in memory
)

// Type describes a type: what a reader and a writer must know to go through a
// value without asking what it is. Descriptions are generated; a wrong one
// reads and writes the wrong memory.
type Type struct {
	// Name is that of a described type with its package's, as reflect has it.
	Name string
	Kind Kind
	// Fields are those of a struct, in the order in which they are written.
	Fields []Field
	// Elem is what a pointer points to, or a slice or map holds. Of stands for
	// it where types hold one another.
	Elem *Type
	Of   Typed
	// Size is that of an element of a slice, in bytes.
	Size uintptr
	// New returns a new value for a pointer: New.
	New func() unsafe.Pointer
	// Slot makes room in a slice: Slot.
	Slot func(slice unsafe.Pointer, n int) unsafe.Pointer
	// Read and Write serve a map: ReadMap and WriteMap.
	Read  func(r *reader, p unsafe.Pointer, elem *Type)
	Write func(w *writer, p unsafe.Pointer, elem *Type)
	// Box returns a pointer to a value of kind Any: Box.
	Box func(p unsafe.Pointer) any
}

// Typed is a type with a description.
type Typed interface {
	// CodecType returns the description of the type. A struct that embeds the
	// type inherits the method; it is noticed by the description's name.
	CodecType() *Type
}

// Field describes a field of a struct.
type Field struct {
	// Key is what is written before the value: a comma, the name in quotes and
	// a colon.
	Key string
	// Name is the name where it does not stand in Key as it is.
	Name   string
	Offset uintptr
	Kind   Kind
	Omit   Omit
	// Type describes what a Kind alone does not; Of stands for it where types
	// hold one another.
	Type *Type
	Of   Typed
}

func (f *Field) name() string {
	if f.Name != "" {
		return f.Name
	}
	return f.Key[2 : len(f.Key)-2]
}

func (f *Field) typ() *Type {
	if f.Of != nil {
		return f.Of.CodecType()
	}
	return f.Type
}

func (t *Type) elem() *Type {
	if t.Of != nil {
		return t.Of.CodecType()
	}
	return t.Elem
}

// Omit says when a field is left out.
type Omit uint8

// The conditions.
const (
	OmitEmpty Omit = 1 << iota
	OmitZero
)

// Kind is what a value is in memory and in JSON.
type Kind uint8

// The kinds.
const (
	Any Kind = iota // by its own description or encoding/json
	String
	Bool
	Int8
	Int16
	Int32
	Int64
	Uint8
	Uint16
	Uint32
	Uint64
	Float32
	Float64
	Bytes    // in base64
	Document // json.RawMessage
	Time     // time.Time
	Struct
	Pointer
	Slice
	Map
)

// Scalar returns the description of a kind that needs no more words.
var Scalar = [...]Type{
	String: {Kind: String}, Bool: {Kind: Bool}, Int8: {Kind: Int8}, Int16: {Kind: Int16}, Int32: {Kind: Int32}, Int64: {Kind: Int64},
	Uint8: {Kind: Uint8}, Uint16: {Kind: Uint16}, Uint32: {Kind: Uint32}, Uint64: {Kind: Uint64}, Float32: {Kind: Float32}, Float64: {Kind: Float64},
	Bytes: {Kind: Bytes}, Document: {Kind: Document}, Time: {Kind: Time},
}

// IntKind and UintKind are the kinds of int and uint.
const (
	IntKind  = Int32 + Kind(unsafe.Sizeof(int(0))/8)
	UintKind = Uint32 + Kind(unsafe.Sizeof(uint(0))/8)
)

// New returns a new T.
func New[T any]() unsafe.Pointer { return unsafe.Pointer(new(T)) }

// few is for how many elements a slice has room at first: most lists are short,
// and each step of growing costs more than the room.
const few = 4

// Slot returns the place of element n of the slice, which it makes longer by
// one where n is its length. What is there is kept, as encoding/json keeps it.
// A negative n makes the slice empty, not nil.
func Slot[T any](slice unsafe.Pointer, n int) unsafe.Pointer {
	s := (*[]T)(slice)
	switch {
	case n < 0:
		*s = []T{}
		return nil
	case n < len(*s):
	case n < cap(*s):
		*s = (*s)[:n+1]
	case n == 0:
		*s = make([]T, 1, few)
	default:
		var zero T
		*s = append(*s, zero)
	}
	return unsafe.Pointer(&(*s)[n])
}

// Box returns the T at p as a pointer.
func Box[T any](p unsafe.Pointer) any { return (*T)(p) }

// ReadMap reads the map at p.
func ReadMap[K ~string, V any](r *reader, p unsafe.Pointer, elem *Type) {
	m := (*map[K]V)(p)
	if r.null() {
		*m = nil
		return
	}
	if r.err == nil && *m == nil {
		*m = make(map[K]V)
	}
	for more := r.object(); more; more = r.nextField() {
		name := r.name()
		v := new(V)
		r.value(elem.Kind, elem, unsafe.Pointer(v))
		(*m)[K(name)] = *v
	}
}

// WriteMap writes the map at p.
func WriteMap[K ~string, V any](w *writer, p unsafe.Pointer, elem *Type) {
	m := *(*map[K]V)(p)
	if m == nil {
		w.null()
		return
	}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, string(name))
	}
	slices.Sort(names)
	at := w.open()
	v := new(V)
	for _, name := range names {
		*v = m[K(name)]
		w.buf = append(w.buf, ',')
		w.string(name)
		w.buf = append(w.buf, ':')
		w.value(elem.Kind, elem, unsafe.Pointer(v))
	}
	w.object(at)
}
