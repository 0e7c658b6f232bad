package form

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/callboard-dev/callboard/host"
)

// Parse reads what a Schema form sent back into a JSON object. Empty inputs
// are left out, so that defaults apply; a value that has not the schema's type
// is a host.Error with one field error for each, by JSON Pointer. The schema
// itself is checked by whoever stores the value.
func (s Schema) Parse(sent url.Values) (json.RawMessage, error) {
	var root schema
	if len(s.Source) == 0 {
		return json.RawMessage("{}"), nil
	}
	if err := json.Unmarshal(s.Source, &root); err != nil {
		return nil, host.Errorf(host.CodeInvalid, "The plugin's configuration schema cannot be read: %w", err)
	}
	p := parser{sent: sent, prefix: s.prefix()}
	value := p.object(root, "", 0)
	if len(p.wrong) > 0 {
		slices.SortFunc(p.wrong, func(a, b host.FieldError) int { return strings.Compare(a.Pointer, b.Pointer) })
		e := host.Errorf(host.CodeInvalid, "Some values cannot be used.").WithHint("Correct the marked fields and save again.")
		e.Fields = p.wrong
		return nil, e
	}
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return b, nil
}

// parser reads the inputs of one form and collects what is wrong.
type parser struct {
	sent   url.Values
	prefix string
	wrong  []host.FieldError
}

func (p *parser) object(x schema, pointer string, depth int) map[string]any {
	out := map[string]any{}
	for name, property := range x.Properties {
		at := pointer + "/" + escape(name)
		if property.ReadOnly {
			continue
		}
		if property.Type == "object" && len(property.Properties) > 0 && depth < depthMax {
			if inner := p.object(property, at, depth+1); len(inner) > 0 || slices.Contains(x.Required, name) {
				out[name] = inner
			}
			continue
		}
		if objects(property) && depth < depthMax {
			if list := p.list(*property.Items, at, depth+1); len(list) > 0 {
				out[name] = list
			}
			continue
		}
		text := strings.TrimSpace(p.sent.Get(p.prefix + at))
		if property.Type == "boolean" && len(property.Enum) == 0 {
			out[name] = text == "true"
			continue
		}
		if text == "" {
			continue
		}
		v, err := read(property, text)
		if err != "" {
			p.wrong = append(p.wrong, host.FieldError{Pointer: at, Message: err})
			continue
		}
		out[name] = v
	}
	return out
}

// list reads the objects of a list, leaving out those that nobody filled in.
func (p *parser) list(item schema, pointer string, depth int) []any {
	var out []any
	for i := range listMax + 1 {
		place := fmt.Sprintf("%s/%d", pointer, i)
		if !p.filled(place) {
			continue
		}
		out = append(out, p.object(item, place, depth))
	}
	return out
}

// filled reports whether anything was typed below a pointer.
func (p *parser) filled(pointer string) bool {
	for name, values := range p.sent {
		if strings.HasPrefix(name, p.prefix+pointer+"/") && len(values) > 0 && strings.TrimSpace(values[0]) != "" {
			return true
		}
	}
	return false
}

// read turns text into a value of the schema's type, or says what is wrong.
func read(x schema, text string) (v any, wrong string) {
	for _, e := range x.Enum {
		if plain(e) == text {
			return e, ""
		}
	}
	switch x.Type {
	case "string":
		return text, ""
	case "integer":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, "Write a whole number, for example 10."
		}
		return n, ""
	case "number":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n != n || n > 1e308 || n < -1e308 {
			return nil, "Write a number, for example 0.5."
		}
		return n, ""
	case "array":
		if lines(x) {
			return readLines(*x.Items, text)
		}
	}
	if json.Unmarshal([]byte(text), &v) != nil {
		return nil, "Write this as JSON, for example {\"key\": \"value\"}."
	}
	return v, ""
}

func readLines(item schema, text string) (any, string) {
	out := []any{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		v, wrong := read(item, line)
		if wrong != "" {
			return nil, fmt.Sprintf("%q: %s", line, wrong)
		}
		out = append(out, v)
	}
	return out, ""
}
