package codec

import (
	"strconv"
	"strings"
)

// SyntaxError says what is wrong with a document and where.
type SyntaxError struct {
	// Pointer is the place as a JSON pointer, "" for the whole document.
	Pointer string
	// Offset counts bytes from the beginning of the document.
	Offset int
	// Text says what was wanted and what is there.
	Text string
}

// Error returns the text and the place.
func (e *SyntaxError) Error() string {
	if e.Pointer == "" {
		return e.Text + " (byte " + strconv.Itoa(e.Offset) + ")"
	}
	return e.Text + " at " + e.Pointer + " (byte " + strconv.Itoa(e.Offset) + ")"
}

func (r *reader) fail(text string) {
	if r.err == nil {
		r.err = &SyntaxError{Pointer: place(r.s, r.i), Offset: r.i, Text: text}
	}
}

// want fails with what was wanted and what is there.
func (r *reader) want(what string) {
	if r.err != nil {
		return
	}
	c := r.peek()
	got := strconv.QuoteRune(rune(c))
	switch {
	case r.i >= len(r.s):
		got = "the end of the document"
	case c == '"':
		got = "a string"
	case c == '{':
		got = "an object"
	case c == '[':
		got = "an array"
	case c == '-' || c >= '0' && c <= '9':
		got = "a number"
	case strings.HasPrefix(r.s[r.i:], "true"), strings.HasPrefix(r.s[r.i:], "false"):
		got = "a truth value"
	}
	r.fail("want " + what + ", got " + got)
}

// place returns the JSON pointer of the value at the offset. Up to there the
// form of the document is right.
func place(s string, offset int) string {
	type level struct {
		index int // -1 in an object
		name  string
	}
	var levels []level
	expectName := false
	for i := 0; i < offset && i < len(s); {
		switch s[i] {
		case '{':
			levels = append(levels, level{index: -1})
			expectName = true
		case '[':
			levels = append(levels, level{})
		case '}', ']':
			if len(levels) > 0 {
				levels = levels[:len(levels)-1]
			}
			expectName = false
		case ',':
			if n := len(levels); n > 0 && levels[n-1].index >= 0 {
				levels[n-1].index++
			} else {
				expectName = n > 0
			}
		case '"':
			end, _, fault := closing(s, i+1)
			if n := len(levels); expectName && n > 0 && fault == "" {
				levels[n-1].name = unquote("", s[i+1:end])
			}
			expectName = false
			i = end
		}
		i++
	}
	var b strings.Builder
	for _, l := range levels {
		b.WriteByte('/')
		if l.index >= 0 {
			b.WriteString(strconv.Itoa(l.index))
		} else {
			b.WriteString(strings.ReplaceAll(strings.ReplaceAll(l.name, "~", "~0"), "/", "~1"))
		}
	}
	return strings.TrimSuffix(b.String(), "/")
}
