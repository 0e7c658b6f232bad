package descriptor

import (
	"fmt"

	"github.com/callboard-dev/callboard/host/catalog/descriptor/yamltree"
)

// shapes checks a field of a spec, by its shape.
var shapes = [...]func(v *validation, spec *Node, field string, required bool){
	text:      func(v *validation, s *Node, f string, required bool) { v.str(s, "/spec", f, required) },
	texts:     (*validation).texts,
	profile:   (*validation).profile,
	steps:     (*validation).steps,
	remotes:   (*validation).remotes,
	presence:  (*validation).presence,
	parameter: (*validation).parameter,
}

// list returns the items of a list field.
func (v *validation) list(s *Node, field string, required bool) []*Node {
	n := s.Get(field)
	if n == nil && required {
		v.add(s.Line, "/spec/"+field, "add "+field+": [] below this line, or list its items", "spec.%s is missing", field)
	}
	if !v.isList(n, "/spec/"+field, "spec."+field) {
		return nil
	}
	return n.Items
}

func (v *validation) texts(s *Node, field string, required bool) {
	for i, item := range v.list(s, field, required) {
		if item.Kind != yamltree.String || item.Text == "" {
			v.add(item.Line, fmt.Sprintf("/spec/%s/%d", field, i), "write a word, in quotes if it looks like something else",
				"spec.%s.%d must be a string that is not empty", field, i)
		}
	}
}

func (v *validation) profile(s *Node, field string, _ bool) {
	n := s.Get(field)
	switch {
	case n == nil:
	case n.Kind != yamltree.Map:
		v.add(n.Line, "/spec/profile", "write displayName, email or picture below it", "spec.profile must be a map, not %s", n.Kind)
	default:
		for _, key := range []string{"displayName", "email", "picture"} {
			v.str(n, "/spec/profile", key, false)
		}
	}
}

func (v *validation) steps(s *Node, field string, required bool) {
	for i, item := range v.list(s, field, required) {
		at := fmt.Sprintf("/spec/%s/%d", field, i)
		if item.Kind != yamltree.Map {
			v.add(item.Line, at, "write action and input below it", "spec.%s.%d must be a map, not %s", field, i, item.Kind)
			continue
		}
		v.str(item, at, "action", true)
	}
}

func (v *validation) remotes(s *Node, field string, required bool) {
	items := v.list(s, field, required)
	if n := s.Get(field); n != nil && n.Kind == yamltree.List && len(items) == 0 {
		v.add(n.Line, "/spec/"+field, "list at least one remote with type and url", "spec.%s is empty", field)
	}
	for i, item := range items {
		at := fmt.Sprintf("/spec/%s/%d", field, i)
		if item.Kind != yamltree.Map {
			v.add(item.Line, at, "write type and url below it", "spec.%s.%d must be a map, not %s", field, i, item.Kind)
			continue
		}
		v.str(item, at, "type", true)
		v.format(item, at, "url", true, validURL, "an absolute URL")
	}
}

func (v *validation) presence(s *Node, field string, _ bool) {
	v.format(s, "/spec", field, false, func(p string) bool { return p == "required" || p == "optional" }, "required or optional")
}

func (v *validation) parameter(s *Node, field string, _ bool) {
	if n := s.Get(field); n != nil && n.Kind != yamltree.Map && n.Kind != yamltree.List {
		v.add(n.Line, "/spec/"+field, "write a JSON Schema, or a list of them", "spec.%s must be a map or a list, not %s", field, n.Kind)
	}
}
