// Package schema checks JSON values against JSON Schema 2020-12 and says what
// is wrong in words that people can act on. It serves manifests,
// configurations, and the requests and answers of plugins' operations. It
// never loads a schema from elsewhere: references stay inside the document.
package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// base is the address under which documents are compiled. Nothing is ever
// fetched from it.
const base = "callboard:///"

// errOutside refuses references that lead out of the document.
var errOutside = errors.New("a reference leads out of the document; only references that begin with # are allowed")

// Schema is a compiled schema. It is safe for concurrent use.
type Schema struct {
	compiled *jsonschema.Schema
	// places finds the schema that a fault names, for hints.
	places  map[string]*jsonschema.Schema
	measure measure
}

// Document is a JSON document that holds schemas at several places, such as an
// OpenAPI fragment.
type Document struct {
	compiler *jsonschema.Compiler
	url      string
	surveyor *surveyor
}

// NewDocument prepares doc, a decoded JSON value, for Schema. Name tells
// documents apart in error messages.
func NewDocument(name string, doc any) (*Document, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(closed{})
	c.UseRegexpEngine(compileRegexp)
	c.AssertFormat()
	url := base + name
	if err := c.AddResource(url, doc); err != nil {
		return nil, fmt.Errorf("reading schema %s: %w", name, err)
	}
	return &Document{compiler: c, url: url, surveyor: newSurveyor()}, nil
}

// Schema compiles the schema at a JSON Pointer of the document; the empty
// pointer is the document itself. It refuses schemas that no value could be
// checked against in reasonable time.
func (d *Document) Schema(pointer string) (s *Schema, err error) {
	defer func() {
		// The compiler meets strangers' documents; a defect in it must not
		// take the host down.
		if r := recover(); r != nil {
			err = fmt.Errorf("compiling the schema: %v", r)
		}
	}()
	compiled, err := d.compiler.Compile(d.url + "#" + fragmentOf(pointer))
	if err != nil {
		return nil, readable(err)
	}
	m, err := d.surveyor.measure(compiled)
	if err != nil {
		return nil, err
	}
	s = &Schema{compiled: compiled, places: map[string]*jsonschema.Schema{}, measure: m}
	index(compiled, s.places)
	return s, nil
}

// Compile compiles a document that is one schema.
func Compile(name string, raw json.RawMessage) (*Schema, error) {
	doc, err := Decode(raw)
	if err != nil {
		return nil, err
	}
	d, err := NewDocument(name, doc)
	if err != nil {
		return nil, err
	}
	return d.Schema("")
}

// closed refuses to load anything.
type closed struct{}

func (closed) Load(string) (any, error) { return nil, errOutside }

// compileRegexp compiles patterns with Go's linear-time engine.
func compileRegexp(s string) (jsonschema.Regexp, error) {
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, err
	}
	return re, nil
}

// readable turns a compiler's error into one line.
func readable(err error) error {
	if errors.Is(err, errOutside) {
		return errOutside
	}
	var bad *jsonschema.SchemaValidationError
	if errors.As(err, &bad) {
		var v *jsonschema.ValidationError
		if errors.As(bad.Err, &v) {
			if faults := collect(v, nil); len(faults) > 0 {
				return fmt.Errorf("not a JSON Schema: %s", faults[0])
			}
		}
	}
	var load *jsonschema.LoadURLError
	if errors.As(err, &load) {
		return errOutside
	}
	return err
}

// index notes every schema under s by its location.
func index(s *jsonschema.Schema, to map[string]*jsonschema.Schema) {
	if s == nil || to[s.Location] != nil {
		return
	}
	to[s.Location] = s
	for _, p := range s.Properties {
		index(p, to)
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		for _, p := range list {
			index(p, to)
		}
	}
	for _, p := range []*jsonschema.Schema{s.Ref, s.Items2020, s.If, s.Then, s.Else, s.Not} {
		index(p, to)
	}
	if p, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		index(p, to)
	}
	for _, p := range s.PatternProperties {
		index(p, to)
	}
}
