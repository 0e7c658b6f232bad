// Package manifest reads plugin.yaml and the packages that carry it: a folder,
// or an OCI image layout in a tar file. What it returns has passed the
// published JSON Schema and every check that needs no tenant; what it refuses
// it refuses with file and line. It knows nothing of instances or grants.
package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/schema"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// MaxBytes is the largest plugin.yaml.
const MaxBytes = 1 << 20

// Problems is everything that is wrong with a manifest, in the order of its
// lines. Parse returns it inside a *host.Error; get it with errors.As.
type Problems []*host.Error

// Error returns one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, e := range p {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// published is the JSON Schema of manifests. It is compiled once, because that
// takes longer than everything else that Parse does.
var published = sync.OnceValues(func() (*schema.Schema, error) {
	return schema.Compile("manifest", manifestv1.Schema)
})

// Parse reads the manifest src; file is how errors name it. The error is a
// *host.Error of CodeInvalid that says file, line and hint of the first
// problem, lists all as Fields, and wraps Problems.
func Parse(src []byte, file string) (*manifestv1.Manifest, error) {
	if len(src) > MaxBytes {
		return nil, host.Errorf(host.CodeTooLarge, "the manifest has %d bytes, at most %d are allowed", len(src), MaxBytes).At(file)
	}
	doc, err := readYAML(src, file)
	if err != nil {
		return nil, err
	}
	s, err := published()
	if err != nil {
		return nil, fmt.Errorf("compiling the manifest's schema: %w", err)
	}
	c := &checker{doc: doc}
	for _, f := range s.Check(doc.value) {
		c.fault(f.Path, f.Message, f.Hint)
	}
	if len(c.problems) > 0 {
		return nil, c.err()
	}
	raw, err := json.Marshal(doc.value)
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	m := new(manifestv1.Manifest)
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, host.Errorf(host.CodeInvalid, "the manifest cannot be read: %v", err).At(file)
	}
	c.semantics(m)
	if len(c.problems) > 0 {
		return nil, c.err()
	}
	return m, nil
}

// ProblemsOf returns the problems in an error of Parse, or nil.
func ProblemsOf(err error) Problems {
	var p Problems
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// checker collects problems with their places.
type checker struct {
	doc      *document
	problems Problems
}

// fault notes a problem at the value to which path leads.
func (c *checker) fault(path []string, message, hint string) {
	e := &host.Error{
		Code: host.CodeInvalid, Hint: hint, Where: c.doc.where(path),
		Message: strings.TrimSpace(dotted(path) + " " + message),
		Fields:  []host.FieldError{{Pointer: schema.Pointer(path...), Message: message}},
	}
	c.problems = append(c.problems, e)
}

// faultf notes a problem without a hint.
func (c *checker) faultf(path []string, format string, args ...any) {
	c.fault(path, fmt.Sprintf(format, args...), "")
}

func (c *checker) err() error {
	first := c.problems[0]
	out := &host.Error{Code: host.CodeInvalid, Message: first.Message, Hint: first.Hint, Where: first.Where, Err: c.problems}
	if n := len(c.problems) - 1; n > 0 {
		out.Message += fmt.Sprintf(" [and %d more]", n)
	}
	for _, p := range c.problems {
		m := p.Message
		if p.Where != "" {
			m = p.Where + ": " + m
		}
		if p.Hint != "" {
			m += " (" + p.Hint + ")"
		}
		out.Fields = append(out.Fields, host.FieldError{Pointer: p.Fields[0].Pointer, Message: m})
	}
	return out
}

// dotted writes a path as people do: capabilities[0].views[1].slot.
func dotted(path []string) string {
	var b strings.Builder
	for i, p := range path {
		switch {
		case isIndex(p):
			fmt.Fprintf(&b, "[%s]", p)
		case i > 0:
			b.WriteString("." + p)
		default:
			b.WriteString(p)
		}
	}
	return b.String()
}

func isIndex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
