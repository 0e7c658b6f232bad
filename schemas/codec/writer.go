package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Writer collects one JSON value. Its methods do nothing after an error.
type Writer struct {
	buf   []byte
	err   error
	depth int
}

// Err returns what went wrong first, or nil.
func (w *Writer) Err() error { return w.err }

// Bytes returns what was written so far. It is valid until the next write.
func (w *Writer) Bytes() []byte { return w.buf }

// Fail keeps the first error.
func (w *Writer) Fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Raw writes text as it is: punctuation and names that need no escape. Like all
// that generated methods call, it is kept out of line: a guest has hundreds of
// these calls, and their size counts.
//
//go:noinline
func (w *Writer) Raw(text string) { w.buf = append(w.buf, text...) }

// Open begins an object or array; the first element, like all others, begins
// with a comma, which Object or Array turns into the bracket.
//
//go:noinline
func (w *Writer) Open() int {
	if w.depth++; w.depth > maxDepth {
		w.Fail(errors.New("the value is nested too deeply; does it contain itself?"))
	}
	return len(w.buf)
}

// Deep reports whether the value has become too deep to go on.
//
//go:noinline
func (w *Writer) Deep() bool { return w.depth > maxDepth }

// Object ends the object that began at Open.
//
//go:noinline
func (w *Writer) Object(at int) { w.close(at, '{', '}') }

// Array ends the array that began at Open.
//
//go:noinline
func (w *Writer) Array(at int) { w.close(at, '[', ']') }

func (w *Writer) close(at int, begin, end byte) {
	w.depth--
	if len(w.buf) == at {
		w.buf = append(w.buf, begin)
	} else {
		w.buf[at] = begin
	}
	w.buf = append(w.buf, end)
}

// Name writes a comma, the name of a map's entry and a colon.
//
//go:noinline
func (w *Writer) Name(name string) {
	w.buf = append(w.buf, ',')
	w.String(name)
	w.buf = append(w.buf, ':')
}

// Comma begins an element of an array.
//
//go:noinline
func (w *Writer) Comma() { w.buf = append(w.buf, ',') }

// Null writes null.
func (w *Writer) Null() { w.buf = append(w.buf, "null"...) }

// Bool writes true or false.
func (w *Writer) Bool(v bool) { w.buf = strconv.AppendBool(w.buf, v) }

// Int writes a number.
func (w *Writer) Int(v int64) { w.buf = strconv.AppendInt(w.buf, v, 10) }

// Uint writes a number.
func (w *Writer) Uint(v uint64) { w.buf = strconv.AppendUint(w.buf, v, 10) }

// Float64 writes a number; NaN and the infinities are errors.
func (w *Writer) Float64(v float64) { w.float(v, 64) }

// Float32 writes a number with as many digits as a float32 needs.
func (w *Writer) Float32(v float32) { w.float(float64(v), 32) }

// float writes as ECMAScript does: an exponent below 1e-6 and from 1e21 on,
// without a leading zero.
func (w *Writer) float(v float64, bits int) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		w.Fail(errors.New("JSON has no number " + strconv.FormatFloat(v, 'g', -1, 64)))
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

// Base64 writes bytes as a string in base64, nil as null.
func (w *Writer) Base64(v []byte) {
	if v == nil {
		w.Null()
		return
	}
	w.buf = append(w.buf, '"')
	w.buf = base64.StdEncoding.AppendEncode(w.buf, v)
	w.buf = append(w.buf, '"')
}

// Time writes a time as RFC 3339 with nanoseconds; a year beyond four digits
// is an error.
func (w *Writer) Time(v time.Time) {
	w.buf = append(w.buf, '"')
	buf, err := v.AppendText(w.buf)
	if err != nil {
		w.Fail(err)
		return
	}
	w.buf = append(buf, '"')
}

// hex are the digits of escapes.
const hex = "0123456789abcdef"

// plain has one byte for each byte value: ' ' where a string carries it as it
// is, 'x' where it needs an escape, 'u' where it is part of a longer rune.
const plain = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" +
	"  x   x                     x x " + "                            x   " + "                                " +
	"uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu" + "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"

// String writes a string.
func (w *Writer) String(s string) {
	buf := append(w.buf, '"')
	from := 0
	for i := 0; i < len(s); {
		if plain[s[i]] == ' ' {
			i++
			continue
		}
		if plain[s[i]] == 'x' {
			buf = appendEscape(append(buf, s[from:i]...), s[i])
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

// Document writes JSON that is there already, without the white space in it;
// nil is null. What is no JSON is an error.
func (w *Writer) Document(doc json.RawMessage) {
	if doc == nil {
		w.Null()
		return
	}
	at := len(w.buf)
	w.buf = append(w.buf, doc...)
	switch tidy, err := survey(w.buf[at:]); {
	case err != nil:
		w.Fail(err)
	case !tidy:
		var compact, escaped bytes.Buffer
		if err := json.Compact(&compact, doc); err != nil {
			w.Fail(err)
			return
		}
		json.HTMLEscape(&escaped, compact.Bytes())
		w.buf = append(w.buf[:at], escaped.Bytes()...)
	}
}

// Any writes any value: by its own method, or as encoding/json does.
func (w *Writer) Any(v any) {
	if own, ok := v.(Appender); ok && owns(own) {
		own.WriteJSON(w)
		return
	}
	switch v := v.(type) {
	case nil:
		w.Null()
	case string:
		w.String(v)
	case int:
		w.Int(int64(v))
	case bool:
		w.Bool(v)
	case map[string]string:
		w.texts(v)
	default:
		out, err := json.Marshal(v)
		if err != nil {
			w.Fail(err)
			return
		}
		w.buf = append(w.buf, out...)
	}
}

// texts writes a map of strings.
func (w *Writer) texts(m map[string]string) {
	if m == nil {
		w.Null()
		return
	}
	at := w.Open()
	for _, name := range Names(m) {
		w.Name(name)
		w.String(m[name])
	}
	w.Object(at)
}

// Names returns the keys of a map in the order in which they are written.
func Names[K ~string, V any](m map[K]V) []K {
	names := make([]K, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
