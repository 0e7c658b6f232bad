package yamltree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits bound what one file may cost. The zero value of a field means its
// default.
type Limits struct {
	Bytes int // size of a file, 10 MiB
	Nodes int // values in a file, after expansion of aliases, 300,000
	Depth int // levels of nesting, 100
}

// Filled returns l with defaults where it says nothing.
func (l Limits) Filled() Limits {
	if l.Bytes == 0 {
		l.Bytes = 10 << 20
	}
	if l.Nodes == 0 {
		l.Nodes = 300_000
	}
	if l.Depth == 0 {
		l.Depth = 100
	}
	return l
}

// Problem is one thing that is wrong in a file.
type Problem struct {
	Line    int    // from 1; 0 where the whole file is meant
	Path    string // JSON Pointer into the document, or empty
	Message string
	Hint    string
}

// Parse reads all YAML documents of a file. A document that cannot be read becomes
// a problem with its line and does not stop the others. Empty documents are
// left out.
func Parse(src []byte, l Limits) ([]*Node, []Problem) {
	l = l.Filled()
	if p := checkSource(src, l); p != nil {
		return nil, []Problem{*p}
	}
	var docs []*Node
	var problems []Problem
	budget := l.Nodes
	for _, c := range split(src) {
		found, p := parseChunk(c, l, &budget)
		docs = append(docs, found...)
		if p != nil {
			problems = append(problems, *p)
		}
	}
	return docs, problems
}

func checkSource(src []byte, l Limits) *Problem {
	switch {
	case len(src) > l.Bytes:
		return &Problem{Message: fmt.Sprintf("the file has %d bytes, more than the %d that a descriptor may have", len(src), l.Bytes),
			Hint: "keep large definitions in files of their own and point to them with $text"}
	case !utf8.Valid(src):
		return &Problem{Line: 1 + bytes.Count(src[:firstInvalid(src)], []byte("\n")), Message: "the file is not UTF-8",
			Hint: "save it as UTF-8 text"}
	}
	if line := overBudget(src, l.Nodes); line > 0 {
		return &Problem{Line: line, Message: fmt.Sprintf("the file holds more than %d values", l.Nodes),
			Hint: "split it into several files and list them in a Location entity"}
	}
	return nil
}

func firstInvalid(src []byte) int {
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(src)
}

// chunk is the text of a document and the number of lines before it.
type chunk struct {
	text   []byte
	before int
}

// split cuts a file at its "---" lines, so that a broken document does not
// hide the ones after it.
func split(src []byte) []chunk {
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	var out []chunk
	start, startLine, line := 0, 0, 0
	for pos := 0; pos < len(src); line++ {
		if pos > start && isSeparator(src[pos:]) {
			out = append(out, chunk{src[start:pos], startLine})
			start, startLine = pos, line
		}
		next := bytes.IndexByte(src[pos:], '\n')
		if next < 0 {
			break
		}
		pos += next + 1
	}
	return append(out, chunk{src[start:], startLine})
}

func isSeparator(rest []byte) bool {
	if !bytes.HasPrefix(rest, []byte("---")) {
		return false
	}
	return len(rest) == 3 || strings.IndexByte(" \t\r\n", rest[3]) >= 0
}

// blank reports whether a chunk has nothing but comments and directives.
func blank(text []byte) bool {
	for line := range bytes.Lines(text) {
		t := bytes.TrimSpace(line)
		if len(t) > 0 && t[0] != '#' && t[0] != '%' && !bytes.Equal(t, []byte("---")) && !bytes.Equal(t, []byte("...")) {
			return false
		}
	}
	return true
}

func parseChunk(c chunk, l Limits, budget *int) ([]*Node, *Problem) {
	if blank(c.text) {
		return nil, nil
	}
	var docs []*Node
	dec := yaml.NewDecoder(bytes.NewReader(c.text))
	for {
		var root yaml.Node
		err := decodeSafely(dec, &root)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, syntaxProblem(c, err)
		}
		conv := converter{limits: l, before: c.before, done: map[*yaml.Node]*Node{}}
		n, p := conv.convert(&root, 0)
		if p != nil {
			return docs, p
		}
		if n.Kind == Null {
			continue
		}
		if *budget -= n.nodes; *budget < 0 || n.bytes > 4*l.Bytes {
			return docs, &Problem{Line: n.Line, Message: "the document grows too large when its aliases are expanded",
				Hint: "write out what the aliases stand for, or split the file"}
		}
		docs = append(docs, n)
	}
}

// decodeSafely turns a panic of the YAML library into an error: a stranger's
// file must never stop the host.
func decodeSafely(dec *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return dec.Decode(into)
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// syntaxHints explain the messages of the YAML library that people meet most.
var syntaxHints = []struct{ part, hint string }{
	{"cannot start any token", "YAML indents with spaces, not tabs; quote a value that starts with a special character such as @ or `"},
	{"tab character", "YAML indents with spaces, not tabs"},
	{"mapping values are not allowed", "quote a value that contains \": \", or check the indentation of this line"},
	{"did not find expected key", "check the indentation: keys of one map start in the same column"},
	{"did not find expected '-' indicator", "check the indentation: items of one list start in the same column"},
	{"did not find expected ',' or", "close the bracket, and put a comma between items"},
	{"expected <document start>", "check the indentation: keys of one map start in the same column"},
	{"could not find expected ':'", "a key needs a colon and a space after it"},
	{"unexpected end of stream", "a quote or bracket that is opened here is never closed"},
	{"unknown anchor", "define the anchor with & before it is used with *"},
	{"found unknown escape character", "use single quotes where backslashes mean themselves"},
}

func syntaxProblem(c chunk, err error) *Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = strings.Replace(text, m[0], "", 1)
	}
	p := &Problem{Message: "not valid YAML: " + text, Hint: "check the syntax around this line"}
	for _, h := range syntaxHints {
		if strings.Contains(text, h.part) {
			p.Hint = h.hint
			break
		}
	}
	if !strings.Contains(text, "end of stream") && len(c.text) < 1<<20 {
		line = firstBadLine(c.text, err.Error())
	}
	p.Line = c.before + max(line, 1)
	return p
}

// firstError reads text to its end or to its first error.
func firstError(text []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		if err := decodeSafely(dec, &n); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// firstBadLine finds the line whose reading makes the parser fail. The library
// names the start of the surrounding block instead, which can be far away. The
// parser reads forward only, so every text that holds that line fails alike.
func firstBadLine(text []byte, want string) int {
	var ends []int
	for i, b := range text {
		if b == '\n' {
			ends = append(ends, i+1)
		}
	}
	ends = append(ends, len(text))
	lo, hi := 0, len(ends)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if err := firstError(text[:ends[mid]]); err != nil && err.Error() == want {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo + 1
}
