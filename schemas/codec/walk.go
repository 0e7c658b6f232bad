package codec

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unsafe" // descriptions name places in memory
)

// value reads a value of the kind into p. t may be nil for a kind that needs no
// description.
func (r *reader) value(k Kind, t *Type, p unsafe.Pointer) {
	if r.err != nil {
		return
	}
	switch k {
	case String:
		r.string((*string)(p))
	case Bool:
		r.bool((*bool)(p))
	case Float64:
		if v, ok := r.float(64); ok {
			*(*float64)(p) = v
		}
	case Float32:
		if v, ok := r.float(32); ok {
			*(*float32)(p) = float32(v)
		}
	case Bytes:
		r.base64((*[]byte)(p))
	case Document:
		r.document((*json.RawMessage)(p))
	case Time:
		r.time((*time.Time)(p))
	case Struct:
		r.fields(t, p)
	case Pointer:
		r.pointer(t, (*unsafe.Pointer)(p))
	case Slice:
		r.slice(t, p)
	case Map:
		t.Read(r, p, t.elem())
	case Any:
		r.any(t.Box(p))
	default:
		r.whole(k, p)
	}
}

// whole reads a whole number.
func (r *reader) whole(k Kind, p unsafe.Pointer) {
	if k >= Uint8 {
		v, ok := r.natural(8 << (k - Uint8))
		if !ok {
			return
		}
		switch k {
		case Uint8:
			*(*uint8)(p) = uint8(v) //nolint:gosec // natural has checked the range
		case Uint16:
			*(*uint16)(p) = uint16(v) //nolint:gosec // natural has checked the range
		case Uint32:
			*(*uint32)(p) = uint32(v) //nolint:gosec // natural has checked the range
		default:
			*(*uint64)(p) = v
		}
		return
	}
	v, ok := r.integer(8 << (k - Int8))
	if !ok {
		return
	}
	switch k {
	case Int8:
		*(*int8)(p) = int8(v) //nolint:gosec // integer has checked the range
	case Int16:
		*(*int16)(p) = int16(v) //nolint:gosec // integer has checked the range
	case Int32:
		*(*int32)(p) = int32(v) //nolint:gosec // integer has checked the range
	default:
		*(*int64)(p) = v
	}
}

// fields reads a struct; null leaves it alone. Fields mostly come in order, so
// the search for a name begins behind the one that came before.
func (r *reader) fields(t *Type, p unsafe.Pointer) {
	if r.null() {
		return
	}
	next := 0
	for more := r.object(); more; more = r.nextField() {
		name := r.name()
		if r.err != nil {
			return
		}
		at := t.find(name, next)
		if at < 0 {
			if r.strict {
				r.fail("there is no field " + strconv.Quote(name))
				return
			}
			r.skip()
			continue
		}
		f := &t.Fields[at]
		if place := unsafe.Add(p, f.Offset); f.Kind == String && r.i < len(r.s) && r.s[r.i] == '"' {
			*(*string)(place) = r.text() // what most fields are, without a detour
		} else {
			r.value(f.Kind, f.typ(), place)
		}
		next = at + 1
	}
}

// find returns the index of the field with that name, or of the first whose
// name differs in case alone, or -1.
func (t *Type) find(name string, from int) int {
	for i := from; i < len(t.Fields); i++ {
		if t.Fields[i].name() == name {
			return i
		}
	}
	for i := range min(from, len(t.Fields)) {
		if t.Fields[i].name() == name {
			return i
		}
	}
	for i := range t.Fields {
		if strings.EqualFold(t.Fields[i].name(), name) {
			return i
		}
	}
	return -1
}

func (r *reader) pointer(t *Type, p *unsafe.Pointer) {
	if r.null() {
		*p = nil
		return
	}
	if *p == nil {
		*p = t.New()
	}
	elem := t.elem()
	r.value(elem.Kind, elem, *p)
}

func (r *reader) slice(t *Type, p unsafe.Pointer) {
	s := (*[]struct{})(p) // only its length is used, which is where that of any slice is
	if r.null() {
		*(*[]byte)(p) = nil
		return
	}
	elem, n := t.elem(), 0
	for more := r.array(); more; more = r.nextElement() {
		r.value(elem.Kind, elem, t.Slot(p, n))
		n++
	}
	switch {
	case r.err != nil:
	case n == 0:
		t.Slot(p, -1)
	default:
		*s = (*s)[:n]
	}
}
