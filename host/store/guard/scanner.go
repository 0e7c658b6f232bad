package guard

import (
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

// kind is what a token is.
type kind int

const (
	end    kind = iota
	word        // an unquoted name or keyword, in lower case
	quoted      // a quoted name, in lower case
	open        // an opening parenthesis
	other       // a literal, number, operator
)

type token struct {
	kind kind
	text string
}

// scanner splits SQL text into tokens.
type scanner struct {
	dialect driver.Dialect
	text    string
	at      int
}

// next returns the next token, of kind end at the end of the text.
func (s *scanner) next() (token, error) {
	for s.at < len(s.text) && isSpace(s.text[s.at]) {
		s.at++
	}
	if s.at == len(s.text) {
		return token{}, nil
	}
	rest := s.text[s.at:]
	switch c := rest[0]; {
	case isLetter(c):
		return s.word()
	case c == '\'':
		return s.literal()
	case c == '"', c == '`' && s.dialect == driver.SQLite:
		return s.quoted(c)
	case c == '[' && s.dialect == driver.SQLite:
		return s.quoted(']')
	case c == ';':
		return token{}, refuse("it holds a semicolon")
	case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "/*"):
		return token{}, refuse("it holds a comment")
	case c == '$':
		return token{}, refuse("it holds a dollar quote or a numbered parameter")
	case strings.HasPrefix(rest, "?!("):
		return token{}, s.unwritable(rest)
	case c == 0:
		return token{}, refuse("it holds a NUL byte")
	}
	s.at++
	if rest[0] == '(' {
		return token{kind: open}, nil
	}
	return token{kind: other}, nil
}

// word reads an unquoted name. A name that touches a quote is an escape string
// or a Unicode name in PostgreSQL, whose quoting differs, and is refused; in
// SQLite only X'...', a blob, is let through.
func (s *scanner) word() (token, error) {
	start := s.at
	for s.at < len(s.text) && (isLetter(s.text[s.at]) || isDigit(s.text[s.at])) {
		s.at++
	}
	name := strings.ToLower(s.text[start:s.at])
	after := s.text[s.at:]
	blob := s.dialect == driver.SQLite && name == "x"
	if (strings.HasPrefix(after, "'") && !blob) || strings.HasPrefix(after, "&'") || strings.HasPrefix(after, `&"`) {
		return token{}, refuse("it holds a literal with a prefix")
	}
	return token{kind: word, text: name}, nil
}

// literal reads '...', in which a quote is doubled.
func (s *scanner) literal() (token, error) {
	if _, ok := s.closed('\''); !ok {
		return token{}, refuse("a literal does not end")
	}
	return token{kind: other}, nil
}

// quoted reads a quoted name.
func (s *scanner) quoted(closing byte) (token, error) {
	name, ok := s.closed(closing)
	if !ok {
		return token{}, refuse("a quoted name does not end")
	}
	return token{kind: quoted, text: strings.ToLower(name)}, nil
}

// closed moves behind the closing quote of what begins at s.at, and returns
// what is between the quotes, as it is written.
func (s *scanner) closed(closing byte) (string, bool) {
	start := s.at + 1
	for from := start; ; {
		i := strings.IndexByte(s.text[from:], closing)
		if i < 0 {
			return "", false
		}
		from += i + 1
		if closing == ']' || from == len(s.text) || s.text[from] != closing {
			s.at = from
			return s.text[start : from-1], true
		}
		from++ // a doubled quote
	}
}

// unwritable explains the mark that Bun leaves in place of a value for which
// there is no SQL.
func (s *scanner) unwritable(rest string) error {
	if strings.Contains(rest, "NUL byte") {
		return host.Errorf(host.CodeInvalid, "text contains a NUL byte: %w", ErrRefused).
			WithHint("remove the NUL bytes (\\x00) from the text")
	}
	return refuse("a value in it cannot be written as SQL")
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v'
}

func isLetter(c byte) bool {
	return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
