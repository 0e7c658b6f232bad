package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe" // descriptions name places in memory
)

// writer collects one JSON value.
type writer struct {
	buf   []byte
	err   error
	depth int
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// value writes the value of the kind at p. t may be nil for a kind that needs
// no description.
func (w *writer) value(k Kind, t *Type, p unsafe.Pointer) {
	switch k {
	case String:
		w.string(*(*string)(p))
	case Bool:
		w.buf = strconv.AppendBool(w.buf, *(*bool)(p))
	case Float64:
		w.float(*(*float64)(p), 64)
	case Float32:
		w.float(float64(*(*float32)(p)), 32)
	case Bytes:
		w.base64(*(*[]byte)(p))
	case Document:
		w.document(*(*json.RawMessage)(p))
	case Time:
		w.time((*time.Time)(p))
	case Struct:
		w.fields(t, p)
	case Pointer:
		if at := *(*unsafe.Pointer)(p); at == nil {
			w.null()
		} else {
			elem := t.elem()
			w.value(elem.Kind, elem, at)
		}
	case Slice:
		w.slice(t, p)
	case Map:
		t.Write(w, p, t.elem())
	case Any:
		w.any(reflect.ValueOf(t.Box(p)).Elem().Interface())
	default:
		w.number(k, p)
	}
}

func (w *writer) number(k Kind, p unsafe.Pointer) {
	if v, signed := signedAt(k, p); signed {
		w.buf = strconv.AppendInt(w.buf, v, 10)
		return
	}
	w.buf = strconv.AppendUint(w.buf, unsignedAt(k, p), 10)
}

// signedAt returns the signed number at p.
func signedAt(k Kind, p unsafe.Pointer) (v int64, ok bool) {
	switch k {
	case Int8:
		return int64(*(*int8)(p)), true
	case Int16:
		return int64(*(*int16)(p)), true
	case Int32:
		return int64(*(*int32)(p)), true
	case Int64:
		return *(*int64)(p), true
	}
	return 0, false
}

// unsignedAt returns the unsigned number at p.
func unsignedAt(k Kind, p unsafe.Pointer) uint64 {
	switch k {
	case Uint8:
		return uint64(*(*uint8)(p))
	case Uint16:
		return uint64(*(*uint16)(p))
	case Uint32:
		return uint64(*(*uint32)(p))
	}
	return *(*uint64)(p)
}

// fields writes a struct.
func (w *writer) fields(t *Type, p unsafe.Pointer) {
	at := w.open()
	if w.err != nil {
		return
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		place := unsafe.Add(p, f.Offset)
		if f.Omit != 0 && f.absent(place) {
			continue
		}
		w.buf = append(w.buf, f.Key...)
		w.value(f.Kind, f.typ(), place)
	}
	w.object(at)
}

// absent reports whether the field at p is left out.
func (f *Field) absent(p unsafe.Pointer) bool {
	switch f.Kind {
	case String:
		return *(*string)(p) == ""
	case Bool:
		return !*(*bool)(p)
	case Float64:
		return *(*float64)(p) == 0
	case Float32:
		return *(*float32)(p) == 0
	case Bytes, Document, Slice:
		s := (*[]struct{})(p) // the length is where that of any slice is
		return f.Omit&OmitEmpty != 0 && len(*s) == 0 || f.Omit&OmitZero != 0 && *s == nil
	case Map:
		m := (*map[string]struct{})(p) // the length is where that of any map is
		return f.Omit&OmitEmpty != 0 && len(*m) == 0 || f.Omit&OmitZero != 0 && *m == nil
	case Time:
		return f.Omit&OmitZero != 0 && (*time.Time)(p).IsZero()
	case Pointer:
		return *(*unsafe.Pointer)(p) == nil
	case Any:
		return reflect.ValueOf(f.typ().Box(p)).Elem().IsZero() // an interface
	case Struct:
		return false
	}
	if v, signed := signedAt(f.Kind, p); signed {
		return v == 0
	}
	return unsignedAt(f.Kind, p) == 0
}

func (w *writer) slice(t *Type, p unsafe.Pointer) {
	s := *(*[]struct{})(p)
	if s == nil {
		w.null()
		return
	}
	at := w.open()
	elem := t.elem()
	first := unsafe.Pointer(unsafe.SliceData(s))
	for i := range s {
		if w.err != nil {
			return
		}
		w.buf = append(w.buf, ',')
		w.value(elem.Kind, elem, unsafe.Add(first, uintptr(i)*t.Size)) //nolint:gosec // an index is not negative
	}
	w.array(at)
}

// open begins an object or array; the first element, like all others, begins
// with a comma, which object or array turns into the bracket.
func (w *writer) open() int {
	if w.depth++; w.depth > maxDepth {
		w.fail(errors.New("the value is nested too deeply; does it contain itself?"))
	}
	return len(w.buf)
}

func (w *writer) object(at int) { w.close(at, '{', '}') }

func (w *writer) array(at int) { w.close(at, '[', ']') }

func (w *writer) close(at int, begin, end byte) {
	w.depth--
	if len(w.buf) == at {
		w.buf = append(w.buf, begin)
	} else {
		w.buf[at] = begin
	}
	w.buf = append(w.buf, end)
}

func (w *writer) null() { w.buf = append(w.buf, "null"...) }

// float writes as ECMAScript does: an exponent below 1e-6 and from 1e21 on,
// without a leading zero.
func (w *writer) float(v float64, bits int) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		w.fail(errors.New("JSON has no number " + strconv.FormatFloat(v, 'g', -1, 64)))
		return
	}
	format := byte('f')
	if size := math.Abs(v); size != 0 {
		if bits == 64 && (size < 1e-6 || size >= 1e21) || bits == 32 && (float32(size) < 1e-6 || float32(size) >= 1e21) {
			format = 'e'
		}
	}
	w.buf = strconv.AppendFloat(w.buf, v, format, -1, bits)
	if n := len(w.buf); format == 'e' && n >= 4 && w.buf[n-4] == 'e' && w.buf[n-3] == '-' && w.buf[n-2] == '0' {
		w.buf[n-2] = w.buf[n-1]
		w.buf = w.buf[:n-1]
	}
}

func (w *writer) base64(v []byte) {
	if v == nil {
		w.null()
		return
	}
	w.buf = append(w.buf, '"')
	w.buf = base64.StdEncoding.AppendEncode(w.buf, v)
	w.buf = append(w.buf, '"')
}

// time writes RFC 3339 with nanoseconds; a year beyond four digits is an error.
func (w *writer) time(v *time.Time) {
	buf, err := v.MarshalJSON()
	if err != nil {
		w.fail(err)
	}
	w.buf = append(w.buf, buf...)
}

// hex are the digits of escapes.
const hex = "0123456789abcdef"

func (w *writer) string(s string) {
	buf := append(w.buf, '"')
	from := 0
	for i := special(s, 0); i < len(s); i = special(s, i) {
		c := s[i]
		if c < utf8.RuneSelf {
			buf = appendEscape(append(buf, s[from:i]...), c)
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			buf = append(append(buf, s[from:i]...), `\ufffd`...)
			from = i + 1
		case r == '\u2028' || r == '\u2029':
			buf = append(append(buf, s[from:i]...), `\u202`...)
			buf = append(buf, hex[r&0xF])
			from = i + size
		}
		i += size
	}
	w.buf = append(append(buf, s[from:]...), '"')
}

// appendEscape writes a byte that a string cannot carry.
func appendEscape(buf []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(buf, '\\', c)
	case '\b':
		return append(buf, '\\', 'b')
	case '\f':
		return append(buf, '\\', 'f')
	case '\n':
		return append(buf, '\\', 'n')
	case '\r':
		return append(buf, '\\', 'r')
	case '\t':
		return append(buf, '\\', 't')
	}
	return append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
}

// document writes JSON that is there already, without the white space in it;
// nil is null. What is no JSON is an error.
func (w *writer) document(doc json.RawMessage) {
	if doc == nil {
		w.null()
		return
	}
	at := len(w.buf)
	w.buf = append(w.buf, doc...)
	switch tidy, err := survey(w.buf[at:]); {
	case err != nil:
		w.fail(err)
	case !tidy:
		var compact, escaped bytes.Buffer
		if err := json.Compact(&compact, doc); err != nil {
			w.fail(err)
			return
		}
		json.HTMLEscape(&escaped, compact.Bytes())
		w.buf = append(w.buf[:at], escaped.Bytes()...)
	}
}

// any writes any value: by its own description, or as encoding/json does.
func (w *writer) any(v any) {
	if t, p := described(v, false); t != nil {
		w.value(t.Kind, t, p)
		return
	}
	switch v := v.(type) {
	case nil:
		w.null()
	case string:
		w.string(v)
	case int:
		w.buf = strconv.AppendInt(w.buf, int64(v), 10)
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	case map[string]string:
		WriteMap[string, string](w, unsafe.Pointer(&v), &Scalar[String])
	default:
		out, err := json.Marshal(v)
		if err != nil {
			w.fail(err)
			return
		}
		w.buf = append(w.buf, out...)
	}
}
