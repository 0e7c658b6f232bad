package reference

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Schema is what the page reads of a JSON Schema.
type Schema struct {
	Ref                  string `json:"$ref"`
	Type                 names
	Format               string
	Title, Description   string
	Enum                 []any
	Const                any
	Default              any
	Examples             []any
	Example              any
	Properties           map[string]*Schema
	Required             []string
	Items                *Schema
	AdditionalProperties json.RawMessage
	AllOf, AnyOf, OneOf  []*Schema
	Minimum, Maximum     *float64
	MaxLength            *int
	Pattern              string
	ReadOnly, WriteOnly  bool
}

// names reads a type whether it is one name or a list.
type names []string

// UnmarshalJSON accepts a string or a list of strings.
func (n *names) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*n = names{one}
		return nil
	}
	var many []string
	err := json.Unmarshal(b, &many)
	*n = many
	return err
}

// UnmarshalJSON accepts the schemas true and false, which say nothing to show.
func (s *Schema) UnmarshalJSON(b []byte) error {
	if text := string(b); text == "true" || text == "false" {
		return nil
	}
	type plain Schema
	return json.Unmarshal(b, (*plain)(s))
}

// depthMax is how deep a schema is shown: references may go round.
const depthMax = 5

// A few references to references can stand for more schemas than any page can
// show. So an operation shows the first operationMax, and the page pageMax in
// all; for the others their names are enough.
const (
	operationMax = 2_000
	pageMax      = 100_000
)

// budget counts the schemas that a page has looked at.
type budget struct{ operation, page int }

// next begins another operation.
func (b *budget) next() { b.operation = 0 }

// take reports whether one more schema may be looked at.
func (b *budget) take() bool {
	b.operation++
	b.page++
	return b.operation <= operationMax && b.page <= pageMax
}

// resolve follows a reference and joins allOf. It returns nil where the
// reference leads nowhere, or the page is long enough.
func (d *Document) resolve(s *Schema) *Schema {
	if !d.budget.take() {
		return nil
	}
	for range 10 {
		if s == nil || s.Ref == "" {
			break
		}
		s = d.Components.Schemas[last(s.Ref)]
	}
	if s == nil || len(s.AllOf) == 0 {
		return s
	}
	joined := *s
	joined.Properties = map[string]*Schema{}
	for _, part := range append(slices.Clone(s.AllOf), &Schema{Properties: s.Properties, Required: s.Required}) {
		if part = d.resolve(part); part == nil {
			continue
		}
		for name, p := range part.Properties {
			joined.Properties[name] = p
		}
		joined.Required = append(joined.Required, part.Required...)
		if len(joined.Type) == 0 {
			joined.Type = part.Type
		}
	}
	joined.AllOf = nil
	return &joined
}

// words is a schema's type in words: "string (date-time)", "list of Entity".
func (d *Document) words(s *Schema) string {
	if s == nil {
		return "anything"
	}
	name := ""
	if s.Ref != "" {
		name = last(s.Ref)
		s = d.resolve(s)
	}
	if s == nil {
		return name
	}
	if !d.budget.take() {
		return "anything"
	}
	kinds := slices.DeleteFunc(slices.Clone(s.Type), func(t string) bool { return t == "null" })
	switch {
	case slices.Contains(kinds, "array"):
		if s.Items != nil && s.Items.Ref != "" {
			return "list of " + last(s.Items.Ref)
		}
		return "list of " + d.words(s.Items)
	case name != "":
		return name
	case len(s.Enum) > 0:
		return "one of " + joined(s.Enum)
	case len(s.OneOf)+len(s.AnyOf) > 0:
		var parts []string
		for _, x := range append(slices.Clone(s.OneOf), s.AnyOf...) {
			parts = append(parts, d.words(x))
		}
		return strings.Join(parts, " or ")
	case len(kinds) == 0:
		return "anything"
	}
	text := strings.Join(kinds, " or ")
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	return text
}

func joined(values []any) string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprint(v))
	}
	return strings.Join(out, ", ")
}

// bounds are a schema's limits in words.
func bounds(s *Schema) string {
	var out []string
	if s.Default != nil {
		out = append(out, "default "+literal(s.Default))
	}
	if s.Minimum != nil {
		out = append(out, fmt.Sprintf("at least %g", *s.Minimum))
	}
	if s.Maximum != nil {
		out = append(out, fmt.Sprintf("at most %g", *s.Maximum))
	}
	if s.MaxLength != nil {
		out = append(out, fmt.Sprintf("at most %d characters", *s.MaxLength))
	}
	if s.ReadOnly {
		out = append(out, "only in answers")
	}
	return strings.Join(out, ", ")
}

func literal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// sample makes a value that fits the schema, from its examples where it has any.
func (d *Document) sample(s *Schema, depth int) any {
	s = d.resolve(s)
	if s == nil || depth > depthMax {
		return nil
	}
	for _, given := range []any{s.Example, first(s.Examples), s.Const, s.Default, first(s.Enum)} {
		if given != nil {
			return given
		}
	}
	if choice := append(slices.Clone(s.OneOf), s.AnyOf...); len(choice) > 0 {
		return d.sample(choice[0], depth+1)
	}
	kind := ""
	for _, t := range s.Type {
		if t != "null" {
			kind = t
			break
		}
	}
	switch {
	case kind == "object" || kind == "" && len(s.Properties) > 0:
		out := map[string]any{}
		for name, p := range s.Properties {
			if v := d.sample(p, depth+1); v != nil {
				out[name] = v
			}
		}
		return out
	case kind == "array":
		if v := d.sample(s.Items, depth+1); v != nil {
			return []any{v}
		}
		return []any{}
	}
	return plainSample(kind, s.Format)
}

func plainSample(kind, format string) any {
	switch kind {
	case "integer":
		return 1
	case "number":
		return 0.5
	case "boolean":
		return true
	case "string":
		switch format {
		case "date-time":
			return "2026-01-31T09:30:00Z"
		case "date":
			return "2026-01-31"
		case "uri":
			return "https://example.org"
		case "email":
			return "mara@example.org"
		}
		return "text"
	}
	return nil
}

func first(values []any) any {
	if len(values) == 0 {
		return nil
	}
	return values[0]
}
