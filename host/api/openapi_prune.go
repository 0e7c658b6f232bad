package api

import (
	"encoding/json"
	"regexp"
	"strings"
)

// componentRef finds references to components.
var componentRef = regexp.MustCompile(`"#/components/([^/"]+)/([^/"]+)["/]`)

// prune drops the components that no operation reaches: what is not used says
// nothing to a reader. Ways to authenticate are named otherwise and stay.
func (d *document) prune() {
	reached := map[string]map[string]json.RawMessage{}
	if schemes := d.components["securitySchemes"]; schemes != nil {
		reached["securitySchemes"] = schemes
	}
	var visit func(raw json.RawMessage)
	visit = func(raw json.RawMessage) {
		for _, m := range componentRef.FindAllSubmatch(raw, -1) {
			kind, name := string(m[1]), strings.NewReplacer("~1", "/", "~0", "~").Replace(string(m[2]))
			object, exists := d.components[kind][name]
			if _, seen := reached[kind][name]; seen || !exists {
				continue
			}
			if reached[kind] == nil {
				reached[kind] = map[string]json.RawMessage{}
			}
			reached[kind][name] = object
			visit(object)
		}
	}
	for _, item := range d.paths {
		for _, op := range item {
			visit(op)
		}
	}
	d.components = reached
}
