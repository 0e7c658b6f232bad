package codec

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unsafe" // for the size of a type
)

// Reader reads one JSON value. Its methods do nothing after an error, and none
// of its loops goes on.
type Reader struct {
	s     string
	i     int
	depth int
	err   *SyntaxError
}

// NewReader returns a reader of a text.
func NewReader(text string) *Reader { return &Reader{s: text} }

// Err returns what went wrong first, or nil.
func (r *Reader) Err() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// End returns what went wrong first; text behind the value is wrong, too.
func (r *Reader) End() error {
	if r.peek(); r.err == nil && r.i < len(r.s) {
		r.fail("want the end of the document")
	}
	return r.Err()
}

// peek skips white space and returns the byte that follows, 0 at the end.
func (r *Reader) peek() byte {
	for r.i < len(r.s) {
		switch c := r.s[r.i]; c {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return c
		}
	}
	return 0
}

// word takes one of the literals.
func (r *Reader) word(w string) bool {
	if !strings.HasPrefix(r.s[r.i:], w) {
		return false
	}
	r.i += len(w)
	return true
}

// Null takes null, if that is what follows.
//
//go:noinline
func (r *Reader) Null() bool {
	return r.err == nil && r.peek() == 'n' && r.word("null")
}

// Object takes the beginning of an object and reports whether a name follows.
//
//	for more := r.Object(); more; more = r.NextField() {
//		switch r.Name() { ... }
//	}
//
//go:noinline
func (r *Reader) Object() bool { return r.open('{', '}', "an object") }

// NextField reports whether another name follows; it takes the object's end.
//
//go:noinline
func (r *Reader) NextField() bool { return r.next('}', "a comma or }") }

// Array takes the beginning of an array and reports whether an element follows.
//
//go:noinline
func (r *Reader) Array() bool { return r.open('[', ']', "an array") }

// NextElement reports whether another element follows; it takes the array's end.
//
//go:noinline
func (r *Reader) NextElement() bool { return r.next(']', "a comma or ]") }

func (r *Reader) open(begin, end byte, what string) bool {
	if r.err != nil {
		return false
	}
	if r.peek() != begin {
		r.want(what)
		return false
	}
	if r.depth++; r.depth > maxDepth {
		r.fail("the document is nested too deeply")
		return false
	}
	r.i++
	if r.peek() == end {
		r.i++
		r.depth--
		return false
	}
	return true
}

func (r *Reader) next(end byte, what string) bool {
	if r.err != nil {
		return false
	}
	switch r.peek() {
	case ',':
		r.i++
		return true
	case end:
		r.i++
		r.depth--
	default:
		r.want(what)
	}
	return false
}

// Name takes the name of a field and its colon.
func (r *Reader) Name() string {
	if r.err != nil {
		return ""
	}
	if r.peek() != '"' {
		r.want("a name")
		return ""
	}
	name := r.text()
	if r.peek() != ':' {
		r.want("a colon")
		return ""
	}
	r.i++
	return name
}

// fold returns the index of the first name that equals the given one apart
// from case, or -1.
func fold(names []string, name string) int {
	for i, known := range names {
		if strings.EqualFold(known, name) {
			return i
		}
	}
	return -1
}

// String reads a string.
func (r *Reader) String(p *string) {
	if r.err != nil || r.Null() {
		return
	}
	if r.peek() != '"' {
		r.want("a string")
		return
	}
	*p = r.text()
}

// Bool reads true or false.
func (r *Reader) Bool(p *bool) {
	switch {
	case r.err != nil || r.Null():
	case r.peek() == 't' && r.word("true"):
		*p = true
	case r.peek() == 'f' && r.word("false"):
		*p = false
	default:
		r.want("true or false")
	}
}

// Integer is any type of whole numbers.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// Int reads a whole number that fits the type.
func Int[T Integer](r *Reader, p *T) {
	var zero T
	bits := int(unsafe.Sizeof(zero)) * 8
	if signed := zero-1 < 0; signed {
		if v, ok := r.integer(bits); ok {
			*p = T(v)
		}
	} else if v, ok := r.natural(bits); ok {
		*p = T(v)
	}
}

// Int reads a whole number.
func (r *Reader) Int(p *int) {
	if v, ok := r.integer(strconv.IntSize); ok {
		*p = int(v)
	}
}

// Int64 reads a whole number.
func (r *Reader) Int64(p *int64) {
	if v, ok := r.integer(64); ok {
		*p = v
	}
}

// integer reads a whole number of so many bits; ok is false where there is
// none, or null.
func (r *Reader) integer(bits int) (v int64, ok bool) {
	if r.err != nil || r.Null() {
		return 0, false
	}
	text := r.number("a whole number")
	if r.err != nil {
		return 0, false
	}
	v, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		r.outside(text)
	}
	return v, err == nil
}

// natural is integer without a sign.
func (r *Reader) natural(bits int) (v uint64, ok bool) {
	if r.err != nil || r.Null() {
		return 0, false
	}
	text := r.number("a whole number")
	if r.err != nil {
		return 0, false
	}
	v, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		r.outside(text)
	}
	return v, err == nil
}

func (r *Reader) outside(text string) {
	r.back(len(text), "want a whole number in the range of its field, got "+text)
}

// Float64 reads a number.
func (r *Reader) Float64(p *float64) {
	if v, ok := r.float(64); ok {
		*p = v
	}
}

// Float32 reads a number.
func (r *Reader) Float32(p *float32) {
	if v, ok := r.float(32); ok {
		*p = float32(v)
	}
}

func (r *Reader) float(bits int) (float64, bool) {
	if r.err != nil || r.Null() {
		return 0, false
	}
	text := r.number("a number")
	if r.err != nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, bits)
	if err != nil {
		r.back(len(text), "want a number in the range of its field, got "+text)
	}
	return v, err == nil
}

// Base64 reads bytes: a string in base64, or an array of numbers.
func (r *Reader) Base64(p *[]byte) {
	switch {
	case r.err != nil:
	case r.Null():
		*p = nil
	case r.peek() == '[':
		s, n := *p, 0
		for more := r.Array(); more; more = r.NextElement() {
			s = Slot(s, n)
			Int(r, &s[n])
			n++
		}
		*p = Cut(s, n)
	case r.peek() != '"':
		r.want("a string in base64")
	default:
		from := r.i
		out, err := base64.StdEncoding.DecodeString(r.text())
		if r.err == nil && err != nil {
			r.i = from
			r.fail("want a string in base64")
			return
		}
		*p = out
	}
}

// Time reads a time as RFC 3339 writes it.
func (r *Reader) Time(p *time.Time) {
	from := r.start()
	if r.Skip(); r.err != nil {
		return
	}
	if err := p.UnmarshalJSON([]byte(r.s[from:r.i])); err != nil {
		r.i = from
		r.fail("want a time like 2006-01-02T15:04:05Z")
	}
}

// Document reads any value as it stands.
func (r *Reader) Document(p *json.RawMessage) {
	from := r.start()
	if r.Skip(); r.err == nil {
		*p = append((*p)[:0], r.s[from:r.i]...)
	}
}

// Any reads any value into what p points to: by its own method, or as
// encoding/json does.
func (r *Reader) Any(p any) {
	if own, ok := p.(Parser); ok && owns(own) {
		own.ReadJSON(r)
		return
	}
	from := r.start()
	if r.Skip(); r.err != nil {
		return
	}
	if err := json.Unmarshal([]byte(r.s[from:r.i]), p); err != nil {
		r.i = from
		r.fail(strings.TrimPrefix(err.Error(), "json: "))
	}
}

// start returns where the next value begins.
func (r *Reader) start() int {
	r.peek()
	return r.i
}

// Slot returns s with an element n, where n is at most its length. What is
// there is kept, as encoding/json keeps it.
func Slot[T any](s []T, n int) []T {
	switch {
	case n < len(s):
		return s
	case n < cap(s):
		return s[:n+1]
	}
	var zero T
	return append(s, zero)
}

// Cut returns the first n elements of s; it is never nil.
func Cut[T any](s []T, n int) []T {
	if n == 0 {
		return []T{}
	}
	return s[:n]
}
