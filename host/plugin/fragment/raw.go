package fragment

import (
	"encoding/json"
	"strings"
)

// Renamed is a fragment's raw parts with its components under a prefix, so
// that the fragments of several plugins fit into one document.
type Renamed struct {
	// Operations maps an operation's id to its object. The parameters of its
	// path item are merged in.
	Operations map[string]json.RawMessage
	// Components maps kind ("schemas") and new name to the component.
	Components map[string]map[string]json.RawMessage
	Tags       []json.RawMessage
}

// Rename returns the raw parts; components are called "<prefix>.<name>", and
// references follow.
func (f *Fragment) Rename(prefix string) (*Renamed, error) {
	out := &Renamed{Operations: map[string]json.RawMessage{}, Components: map[string]map[string]json.RawMessage{}}
	paths, _ := f.raw["paths"].(map[string]any)
	for _, op := range f.Operations {
		item, _ := paths[op.Path].(map[string]any)
		object, _ := item[op.pointer[2]].(map[string]any)
		raw, err := json.Marshal(renamed(merged(item, object), prefix))
		if err != nil {
			return nil, err
		}
		out.Operations[op.ID] = raw
	}
	parts, _ := f.raw["components"].(map[string]any)
	for kind, v := range parts {
		named, _ := v.(map[string]any)
		out.Components[kind] = map[string]json.RawMessage{}
		for name, c := range named {
			raw, err := json.Marshal(renamed(c, prefix))
			if err != nil {
				return nil, err
			}
			out.Components[kind][prefix+"."+name] = raw
		}
	}
	tags, _ := f.raw["tags"].([]any)
	for _, t := range tags {
		raw, err := json.Marshal(t)
		if err != nil {
			return nil, err
		}
		out.Tags = append(out.Tags, raw)
	}
	return out, nil
}

// merged returns the operation with its path item's parameters in front.
func merged(item, op map[string]any) map[string]any {
	shared, _ := item["parameters"].([]any)
	if len(shared) == 0 {
		return op
	}
	out := make(map[string]any, len(op))
	for k, v := range op {
		out[k] = v
	}
	own, _ := op["parameters"].([]any)
	out["parameters"] = append(append([]any{}, shared...), own...)
	return out
}

// renamed is a copy of v whose references to components carry the prefix.
func renamed(v any, prefix string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if text, ok := e.(string); ok && k == "$ref" {
				out[k] = renamedRef(text, prefix)
				continue
			}
			out[k] = renamed(e, prefix)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = renamed(e, prefix)
		}
		return out
	}
	return v
}

// renamedRef turns "#/components/schemas/X/..." into
// "#/components/schemas/<prefix>.X/...".
func renamedRef(ref, prefix string) string {
	rest, ok := strings.CutPrefix(ref, "#/components/")
	if !ok {
		return ref
	}
	kind, name, ok := strings.Cut(rest, "/")
	if !ok {
		return ref
	}
	return "#/components/" + kind + "/" + prefix + "." + name
}
