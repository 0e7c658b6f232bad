package codec

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unsafe" // descriptions name places in memory
)

// reader reads one JSON value. Its methods do nothing after an error, and none
// of its loops goes on.
type reader struct {
	s     string
	i     int
	depth int
	err   *SyntaxError
	// untidy is set where what was skipped is not written as encoding/json
	// writes it: with white space, or without an escape.
	untidy bool
	// trusted is set where the form of the text need not be checked.
	trusted bool
	// strict is set where a field that nobody knows is an error.
	strict bool
}

// end returns what went wrong first; text behind the value is wrong, too.
func (r *reader) end() error {
	if r.peek(); r.err == nil && r.i < len(r.s) {
		r.fail("want the end of the document")
	}
	if r.err == nil {
		return nil
	}
	return r.err
}

// peek skips white space and returns the byte that follows, 0 at the end.
func (r *reader) peek() byte {
	for r.i < len(r.s) {
		c := r.s[r.i]
		if c > ' ' {
			return c
		}
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
		r.untidy = true
		r.i++
	}
	return 0
}

// word takes one of the literals.
func (r *reader) word(w string) bool {
	if !strings.HasPrefix(r.s[r.i:], w) {
		return false
	}
	r.i += len(w)
	return true
}

// null takes null, if that is what follows.
func (r *reader) null() bool {
	return r.err == nil && r.peek() == 'n' && r.word("null")
}

// object takes the beginning of an object and reports whether a name follows.
//
//	for more := r.object(); more; more = r.nextField() {
//		switch r.name() { ... }
//	}
func (r *reader) object() bool { return r.open('{', '}', "an object") }

// nextField reports whether another name follows; it takes the object's end.
func (r *reader) nextField() bool { return r.next('}', "a comma or }") }

// array takes the beginning of an array and reports whether an element follows.
func (r *reader) array() bool { return r.open('[', ']', "an array") }

// nextElement reports whether another element follows; it takes the array's end.
func (r *reader) nextElement() bool { return r.next(']', "a comma or ]") }

func (r *reader) open(begin, end byte, what string) bool {
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

func (r *reader) next(end byte, what string) bool {
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

// name takes the name of a field and its colon.
func (r *reader) name() string {
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

// string reads a string.
func (r *reader) string(p *string) {
	if r.err != nil || r.null() {
		return
	}
	if r.peek() != '"' {
		r.want("a string")
		return
	}
	*p = r.text()
}

// bool reads true or false.
func (r *reader) bool(p *bool) {
	switch {
	case r.err != nil || r.null():
	case r.peek() == 't' && r.word("true"):
		*p = true
	case r.peek() == 'f' && r.word("false"):
		*p = false
	default:
		r.want("true or false")
	}
}

// integer reads a whole number of so many bits; ok is false where there is
// none, or null.
func (r *reader) integer(bits int) (v int64, ok bool) {
	if r.err != nil || r.null() {
		return 0, false
	}
	text := r.number("a whole number")
	if r.err != nil {
		return 0, false
	}
	v, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		r.outside("a whole number", text)
	}
	return v, err == nil
}

// natural is integer without a sign.
func (r *reader) natural(bits int) (v uint64, ok bool) {
	if r.err != nil || r.null() {
		return 0, false
	}
	text := r.number("a whole number")
	if r.err != nil {
		return 0, false
	}
	v, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		r.outside("a whole number", text)
	}
	return v, err == nil
}

func (r *reader) float(bits int) (float64, bool) {
	if r.err != nil || r.null() {
		return 0, false
	}
	text := r.number("a number")
	if r.err != nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, bits)
	if err != nil {
		r.outside("a number", text)
	}
	return v, err == nil
}

// outside fails at the number that was just taken.
func (r *reader) outside(what, text string) {
	r.i -= len(text)
	r.fail("want " + what + " in the range of its field, got " + text)
}

// base64 reads bytes: a string in base64, or an array of numbers.
func (r *reader) base64(p *[]byte) {
	switch {
	case r.err != nil:
	case r.null():
		*p = nil
	case r.peek() == '[':
		r.slice(&octets, unsafe.Pointer(p))
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

// octets is how bytes are read that are written as numbers.
var octets = Type{Kind: Slice, Elem: &Scalar[Uint8], Size: 1, Slot: Slot[byte]}

// time reads a time as RFC 3339 writes it.
func (r *reader) time(p *time.Time) {
	from := r.start()
	if r.skip(); r.err != nil {
		return
	}
	if err := p.UnmarshalJSON([]byte(r.s[from:r.i])); err != nil {
		r.i = from
		r.fail("want a time like 2006-01-02T15:04:05Z")
	}
}

// document reads any value as it stands.
func (r *reader) document(p *json.RawMessage) {
	from := r.start()
	if r.trusted {
		r.hop()
	} else {
		r.skip()
	}
	if r.err == nil {
		*p = append((*p)[:0], r.s[from:r.i]...)
	}
}

// any reads any value into what p points to: by its own description, or as
// encoding/json does.
func (r *reader) any(p any) {
	if t, at := described(p, true); t != nil {
		r.value(t.Kind, t, at)
		return
	}
	from := r.start()
	if r.skip(); r.err != nil {
		return
	}
	if err := json.Unmarshal([]byte(r.s[from:r.i]), p); err != nil {
		r.i = from
		r.fail(strings.TrimPrefix(err.Error(), "json: "))
	}
}

// start returns where the next value begins.
func (r *reader) start() int {
	r.peek()
	return r.i
}
