package form

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// schema is what the form reads of a JSON Schema; what it does not know is
// checked on the server and only there.
type schema struct {
	Type        typeName          `json:"type"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Format      string            `json:"format"`
	Enum        []any             `json:"enum"`
	Default     any               `json:"default"`
	Examples    []any             `json:"examples"`
	Properties  map[string]schema `json:"properties"`
	Required    []string          `json:"required"`
	Items       *schema           `json:"items"`
	Minimum     *float64          `json:"minimum"`
	Maximum     *float64          `json:"maximum"`
	MaxLength   *int              `json:"maxLength"`
	Pattern     string            `json:"pattern"`
	WriteOnly   bool              `json:"writeOnly"`
	ReadOnly    bool              `json:"readOnly"`
}

// typeName reads "type" whether it is one name or a list; of a list it takes
// the first that is not null.
type typeName string

// UnmarshalJSON accepts a string or a list of strings.
func (t *typeName) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = typeName(one)
		return nil
	}
	var many []string
	if err := json.Unmarshal(b, &many); err != nil {
		return fmt.Errorf("reading a schema's type: %w", err)
	}
	for _, name := range many {
		if name != "null" {
			*t = typeName(name)
			return nil
		}
	}
	return nil
}

// depthMax is how deep objects are shown as fields; deeper ones are JSON.
const depthMax = 4

// listMax is how many objects of a list the form shows.
const listMax = 50

// Schema is the form that a JSON Schema of type object describes.
type Schema struct {
	// Source is the schema.
	Source json.RawMessage
	// Order names the first properties, in order; the rest follow by name.
	Order []string
	// Value is the JSON object to fill in; empty shows the defaults.
	Value json.RawMessage
	// Errors are what is wrong, by JSON Pointer into the value.
	Errors map[string]string
	// Prefix begins every input's name; "config" unless set.
	Prefix string
}

// Render writes the fields, without the form around them.
func (s Schema) Render(w io.Writer) error {
	var root schema
	if len(s.Source) == 0 || json.Unmarshal(s.Source, &root) != nil || len(root.Properties) == 0 {
		return h.P(h.Class("quiet"), g.Text("There is nothing to configure.")).Render(w)
	}
	var value map[string]any
	if len(s.Value) > 0 {
		_ = json.Unmarshal(s.Value, &value)
	}
	return s.object(root, s.Order, value, "", 0).Render(w)
}

func (s Schema) prefix() string {
	if s.Prefix == "" {
		return "config"
	}
	return s.Prefix
}

func (s Schema) object(x schema, order []string, value map[string]any, pointer string, depth int) g.Node {
	out := g.Group{}
	for _, name := range ordered(x.Properties, order) {
		property := x.Properties[name]
		at := pointer + "/" + escape(name)
		v, set := value[name]
		if !set {
			v = property.Default
		}
		out = append(out, s.property(property, name, v, at, slices.Contains(x.Required, name), depth))
	}
	return out
}

// ordered returns the names of properties: first those of order, then the rest.
func ordered(properties map[string]schema, order []string) []string {
	var out, rest []string
	for _, name := range order {
		if _, ok := properties[name]; ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for name := range properties {
		if !slices.Contains(out, name) {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	return append(out, rest...)
}

func (s Schema) property(x schema, name string, v any, at string, required bool, depth int) g.Node {
	if x.Type == "object" && len(x.Properties) > 0 && depth < depthMax {
		inner, _ := v.(map[string]any)
		return g.El("fieldset", h.Class("form-group"), h.Legend(g.Text(titleOf(x, name))),
			ui.If(x.Description != "", func() g.Node { return h.P(h.Class("field-help"), g.Text(x.Description)) }),
			s.object(x, nil, inner, at, depth+1))
	}
	if objects(x) && depth < depthMax {
		return s.list(x, name, v, at, depth)
	}
	f := Field{
		Name: s.prefix() + at, ID: "f-" + s.prefix() + strings.NewReplacer("/", "-", "~", "_", " ", "_").Replace(at),
		Label: titleOf(x, name), Help: x.Description, Error: s.Errors[at],
		Required: required && x.Type != "boolean", Optional: !required && x.Type != "boolean",
		Value: write(x, v), Disabled: x.ReadOnly, Placeholder: example(x),
	}
	describe(&f, x)
	return f
}

// list is an array of objects: a group for each, and a closed one to add
// another. A group whose fields are all empty goes when the form is saved.
func (s Schema) list(x schema, name string, v any, at string, depth int) g.Node {
	values, _ := v.([]any)
	out := g.Group{ui.If(x.Description != "", func() g.Node { return h.P(h.Class("field-help"), g.Text(x.Description)) })}
	for i, item := range values[:min(len(values), listMax)] {
		value, _ := item.(map[string]any)
		place := fmt.Sprintf("%s/%d", at, i)
		out = append(out, g.El("fieldset", h.Class("form-group"), h.Legend(g.Text(fmt.Sprint(i+1))),
			s.object(*x.Items, nil, value, place, depth+1), h.P(h.Class("field-help"), g.Text("Empty all fields to remove it."))))
	}
	blank := *x.Items
	blank.Required = nil
	place := fmt.Sprintf("%s/%d", at, len(values))
	out = append(out, h.Details(h.Class("behind"), g.If(s.errorWithin(place), g.Attr("open")), h.Summary(ui.Icon("plus"), g.Text("Add one")),
		h.Div(h.Class("form-group"), s.object(blank, nil, nil, place, depth+1))))
	return g.El("fieldset", h.Class("form-group"), h.Legend(g.Text(titleOf(x, name))), out)
}

func (s Schema) errorWithin(pointer string) bool {
	for at := range s.Errors {
		if strings.HasPrefix(at, pointer+"/") {
			return true
		}
	}
	return false
}

// objects reports whether a schema is a list of objects with known fields.
func objects(x schema) bool {
	return x.Type == "array" && x.Items != nil && x.Items.Type == "object" && len(x.Items.Properties) > 0
}

// describe chooses the kind of input for the schema, and its bounds.
func describe(f *Field, x schema) {
	switch {
	case len(x.Enum) > 0:
		f.Kind = Select
		if !f.Required {
			f.Options = append(f.Options, Option{"", "Not set"})
		}
		for _, e := range x.Enum {
			f.Options = append(f.Options, Option{plain(e), plain(e)})
		}
	case x.Type == "boolean":
		f.Kind = Checkbox
	case x.Type == "integer" || x.Type == "number":
		f.Kind = Number
		if x.Minimum != nil {
			f.Attrs = append(f.Attrs, h.Min(plain(*x.Minimum)))
		}
		if x.Maximum != nil {
			f.Attrs = append(f.Attrs, h.Max(plain(*x.Maximum)))
		}
	case x.Type == "array" && lines(x):
		f.Kind = TextArea
		f.Mono = true
		f.Help = strings.TrimSpace(f.Help + " One per line.")
	case x.Type == "array" || x.Type == "object" || x.Type == "":
		f.Kind = TextArea
		f.Mono = true
		f.Help = strings.TrimSpace(f.Help + " Written as JSON.")
	default:
		describeString(f, x)
	}
}

func describeString(f *Field, x schema) {
	switch {
	case x.Format == "uri" || x.Format == "url":
		f.Kind, f.Mono = URL, true
	case x.Format == "email":
		f.Kind = Email
	case x.Format == "password" || x.WriteOnly:
		f.Kind = Password
	case x.Format == "multiline" || x.Format == "textarea" || x.MaxLength != nil && *x.MaxLength > 400:
		f.Kind = TextArea
	}
	if x.MaxLength != nil {
		f.Attrs = append(f.Attrs, h.MaxLength(fmt.Sprint(*x.MaxLength)))
	}
}

// lines reports whether an array is written as one plain value per line.
func lines(x schema) bool {
	return x.Items != nil && (x.Items.Type == "string" || x.Items.Type == "integer" || x.Items.Type == "number")
}

func titleOf(x schema, name string) string {
	if x.Title != "" {
		return x.Title
	}
	return name
}

func example(x schema) string {
	if len(x.Examples) == 0 || x.Type == "array" || x.Type == "object" {
		return ""
	}
	return plain(x.Examples[0])
}

// write is a value as the input shows it.
func write(x schema, v any) string {
	if v == nil {
		return ""
	}
	if list, ok := v.([]any); ok && x.Type == "array" && lines(x) {
		out := make([]string, len(list))
		for i, item := range list {
			out[i] = plain(item)
		}
		return strings.Join(out, "\n")
	}
	return plain(v)
}

func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return ""
	}
	return string(b)
}

func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }
