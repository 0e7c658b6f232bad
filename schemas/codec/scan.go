package codec

import (
	"encoding/json"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The classes of bytes inside a string, one letter for each byte value: ' '
// carries itself, '"' ends the string, 'x' needs a closer look, 'h' stands for
// itself but encoding/json writes it as an escape, 'u' is part of a longer rune
// and 'U' may begin one that encoding/json escapes.
const inside = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" +
	"  \"   h                     h h " + "                            x   " + "                                " +
	"uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu" +
	"uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuUuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"

// special returns the index of the first byte of s from i on whose class is not
// ' ', or the length of s. It looks at eight bytes at a time: a loop's turn is
// dear in a guest.
func special(s string, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(s); i += 8 {
		v := word(s, i)
		quote, slash, less, more, and := v^('"'*ones), v^('\\'*ones), v^('<'*ones), v^('>'*ones), v^('&'*ones)
		// The lowest byte that is marked is right; a borrow may mark others above.
		marks := (v - ' '*ones) &^ v
		marks |= (quote - ones) &^ quote
		marks |= (slash - ones) &^ slash
		marks |= (less - ones) &^ less
		marks |= (more - ones) &^ more
		marks |= (and - ones) &^ and
		if marks = (marks | v) & high; marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(s) && inside[s[i]] == ' ' {
		i++
	}
	return i
}

// text takes a string, whose quote is next, and returns what it means.
func (r *reader) text() string {
	s, from := r.s, r.i+1
	for i := special(s, from); i < len(s); i = special(s, i+1) {
		switch inside[s[i]] {
		case '"':
			r.i = i + 1
			return s[from:i]
		case 'h':
		default:
			return r.strange(from, i)
		}
	}
	r.i = len(s)
	r.fail("the string does not end")
	return ""
}

// strange takes the rest of a string that begins at from and has an escape or
// a longer rune at i.
func (r *reader) strange(from, i int) string {
	s := r.s
	end, escapes, fault := closing(s, i)
	if r.i = end; fault != "" {
		r.fail(fault)
		return ""
	}
	r.i++
	if !escapes && utf8.ValidString(s[i:end]) {
		return s[from:end]
	}
	return unquote(s[from:i], s[i:end])
}

// closing returns where the quote of a string is that goes on at i, and checks
// the form of its escapes on the way. A fault is at end.
func closing(s string, i int) (end int, escapes bool, fault string) {
	for i = special(s, i); i < len(s); i = special(s, i) {
		switch c := s[i]; {
		case c == '"':
			return i, escapes, ""
		case c < ' ':
			return i, false, "a string must not hold control characters"
		case c == '\\':
			n := escapeSize(s[i:])
			if n == 0 {
				return i, false, "there is no such escape in a string"
			}
			escapes = true
			i += n
		default:
			i++
		}
	}
	return len(s), false, "the string does not end"
}

// escapeSize returns how long the escape at the beginning of s is; 0 where it
// is none.
func escapeSize(s string) int {
	if len(s) < 2 {
		return 0
	}
	if s[1] == 'u' {
		if _, ok := hex4(s); ok {
			return 6
		}
		return 0
	}
	if strings.IndexByte(`"\/bfnrt`, s[1]) < 0 {
		return 0
	}
	return 2
}

// hex4 reads \uXXXX at the beginning of s.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var v rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		v = v<<4 | rune(c)
	}
	return v, true
}

// unquote returns the meaning of s, whose escapes have the right form, behind
// what is before it.
func unquote(before, s string) string {
	out := append(make([]byte, 0, len(before)+len(s)), before...)
	for i := 0; i < len(s); {
		if plain := special(s, i); plain > i {
			out = append(out, s[i:plain]...)
			i = plain
			continue
		}
		switch c := s[i]; {
		case c == '\\' && s[i+1] == 'u':
			v, _ := hex4(s[i:])
			i += 6
			if utf16.IsSurrogate(v) {
				low, _ := hex4(s[i:])
				if v = utf16.DecodeRune(v, low); v != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, v)
		case c == '\\':
			out = append(out, meaning(s[i+1]))
			i += 2
		case c < utf8.RuneSelf:
			out = append(out, c)
			i++
		default:
			v, size := utf8.DecodeRuneInString(s[i:])
			out = utf8.AppendRune(out, v)
			i += size
		}
	}
	return string(out)
}

// meaning returns what a short escape stands for.
func meaning(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // a quote, a slash or a backslash
}

// number takes a number and returns its text.
func (r *reader) number(what string) string {
	c := r.peek()
	if c != '-' && (c < '0' || c > '9') {
		r.want(what)
		return ""
	}
	from := r.i
	n := numberSize(r.s[from:])
	if n == 0 {
		r.fail("this is not the form of a number")
		return ""
	}
	r.i += n
	return r.s[from:r.i]
}

// numberSize returns how long the number at the beginning of s is; 0 where it
// is none.
func numberSize(s string) int {
	i := 0
	if s[i] == '-' {
		i++
	}
	switch {
	case i < len(s) && s[i] == '0':
		i++
	default:
		n := digits(s[i:])
		if n == 0 {
			return 0
		}
		i += n
	}
	if i < len(s) && s[i] == '.' {
		n := digits(s[i+1:])
		if n == 0 {
			return 0
		}
		i += 1 + n
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		n := digits(s[i:])
		if n == 0 {
			return 0
		}
		i += n
	}
	return i
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// skip takes any value and checks its form.
func (r *reader) skip() {
	if r.err != nil {
		return
	}
	switch r.peek() {
	case '{':
		for more := r.object(); more; more = r.nextField() {
			r.passName()
			r.skip()
		}
	case '[':
		for more := r.array(); more; more = r.nextElement() {
			r.skip()
		}
	case '"':
		r.pass()
	case 't':
		r.literal("true")
	case 'f':
		r.literal("false")
	case 'n':
		r.literal("null")
	default:
		r.number("a value")
	}
}

// hop takes any value whose form is right: it looks for strings and brackets
// alone.
func (r *reader) hop() {
	s, depth := r.s, 0
	for i := r.i; i < len(s); i++ {
		switch outside[s[i]] {
		case ' ':
			continue
		case '"':
			r.i = i
			if r.pass(); r.err != nil {
				return
			}
			i = r.i - 1
		case '[':
			depth++
			continue
		case ']':
			if depth--; depth < 0 { // of what the value stands in
				r.i = i
				return
			}
		case ',':
			if depth > 0 {
				continue
			}
			r.i = i
			return
		}
		if depth == 0 {
			r.i = i + 1
			return
		}
	}
	r.i = len(s)
	if depth > 0 {
		r.want("a comma or a bracket")
	}
}

// The classes of bytes outside of strings, one letter for each byte value.
const outside = "                                " +
	"  \"         ,                   " + "                           [ ]  " + "                           [ ]  " +
	"                                                                " + "                                                                "

func (r *reader) literal(w string) {
	if !r.word(w) {
		r.want("a value")
	}
}

// passName takes a name without giving its meaning.
func (r *reader) passName() {
	if r.peek() != '"' {
		r.want("a name")
		return
	}
	r.pass()
	if r.err == nil && r.peek() != ':' {
		r.want("a colon")
		return
	}
	r.i++
}

// pass takes a string without giving its meaning.
func (r *reader) pass() {
	s := r.s
	for i := special(s, r.i+1); i < len(s); i = special(s, i+1) {
		switch inside[s[i]] {
		case '"':
			r.i = i + 1
			return
		case 'h', 'U':
			r.untidy = true
		case 'x':
			r.passStrange(i)
			return
		}
	}
	r.i = len(s)
	r.fail("the string does not end")
}

// passStrange is pass from an escape at i on.
func (r *reader) passStrange(i int) {
	end, _, fault := closing(r.s, i)
	for _, c := range []byte(r.s[i:end]) {
		if c := inside[c]; c == 'h' || c == 'U' {
			r.untidy = true
		}
	}
	if r.i = end; fault != "" {
		r.fail(fault)
		return
	}
	r.i++
}

// survey checks that doc is one JSON value. It is tidy where encoding/json
// would write it with the same bytes.
func survey(doc json.RawMessage) (tidy bool, err error) {
	r := reader{s: string(doc)}
	r.skip()
	if err := r.end(); err != nil {
		return false, err
	}
	return !r.untidy, nil
}
