// Package fragment compiles the OpenAPI 3.1 fragment of a route/v1 capability:
// which operations it describes, how a request to them must look and what they
// may answer. The fragment itself stays raw JSON, so nothing of it is lost in
// the tenant's OpenAPI document. Calling plugins does not belong here.
package fragment

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/schema"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
)

// maxOperations is how many operations one fragment may describe.
const maxOperations = 200

// Fragment is a compiled fragment. It is safe for concurrent use.
type Fragment struct {
	// Operations are sorted by path and method.
	Operations []*Operation
	raw        map[string]any
	root       *branch
}

// Operation is one compiled operation.
type Operation struct {
	ID      string
	Method  string // upper case
	Path    string // template, relative to /api/plugins/<short>
	Summary string
	Access  host.Action
	Streams Streams

	params    []param
	body      *body
	responses map[string]*response
	pointer   []string
}

// methods are the HTTP methods of a path item.
var methods = map[string]string{
	"get": http.MethodGet, "put": http.MethodPut, "post": http.MethodPost, "delete": http.MethodDelete,
	"patch": http.MethodPatch, "head": http.MethodHead,
}

// accesses are the values of route.AccessExtension.
var accesses = map[string]host.Action{
	"read": host.ActionOperationRead, "write": host.ActionOperationWrite, "admin": host.ActionOperationAdmin,
}

// Compile compiles raw. Faults are all that is wrong with it, their paths
// relative to the fragment; the Fragment is nil if there are any.
func Compile(raw json.RawMessage) (*Fragment, []schema.Fault) {
	v, err := schema.Decode(raw)
	if err != nil {
		return nil, []schema.Fault{{Message: err.Error()}}
	}
	doc, ok := v.(map[string]any)
	if !ok {
		return nil, []schema.Fault{{Message: "must be an object with paths"}}
	}
	c := &compiler{doc: doc, seen: map[string][]string{}}
	c.references(doc, nil)
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	if c.schemas, err = schema.NewDocument("fragment", doc); err != nil {
		return nil, []schema.Fault{{Message: err.Error()}}
	}
	f := &Fragment{raw: doc, root: newBranch()}
	c.paths(f)
	c.components()
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return f, nil
}

// compiler collects faults while it compiles.
type compiler struct {
	doc     map[string]any
	schemas *schema.Document
	faults  []schema.Fault
	seen    map[string][]string
}

func (c *compiler) fault(path []string, hint, format string, args ...any) {
	c.faults = append(c.faults, schema.Fault{Path: slices.Clone(path), Message: fmt.Sprintf(format, args...), Hint: hint})
}

// references refuses every reference that leads out of the document or
// nowhere.
func (c *compiler) references(v any, path []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			at := append(slices.Clone(path), key)
			if text, ok := v[key].(string); ok {
				c.reference(key, text, at)
				continue
			}
			c.references(v[key], at)
		}
	case []any:
		for i, e := range v {
			c.references(e, append(slices.Clone(path), fmt.Sprint(i)))
		}
	}
}

func (c *compiler) reference(key, text string, at []string) {
	switch key {
	case "$id", "$dynamicRef", "$dynamicAnchor", "$anchor":
		c.fault(at, "give the schema a name in components.schemas and refer to it by #/components/schemas/<name>", "%s is not supported", key)
	case "$ref", "operationRef":
		if !strings.HasPrefix(text, "#/components/") {
			c.fault(at, "copy what it refers to into components and refer to it by #/components/...", "the reference %q leads out of the fragment's components", text)
		} else if _, _, ok := c.resolve(text); !ok {
			c.fault(at, "", "the reference %q leads nowhere", text)
		}
	}
}

// resolve follows a local reference; it returns the value and its path.
func (c *compiler) resolve(ref string) (any, []string, bool) {
	var v any = c.doc
	var path []string
	for _, token := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		object, ok := v.(map[string]any)
		if !ok {
			return nil, nil, false
		}
		if v, ok = object[token]; !ok {
			return nil, nil, false
		}
		path = append(path, token)
	}
	return v, path, true
}

// object returns the object at path, following references to components.
func (c *compiler) object(v any, path []string) (map[string]any, []string) {
	for range 16 {
		object, ok := v.(map[string]any)
		if !ok {
			c.fault(path, "", "must be an object")
			return nil, path
		}
		ref, ok := object["$ref"].(string)
		if !ok {
			return object, path
		}
		if v, path, ok = c.resolve(ref); !ok {
			return nil, path
		}
	}
	c.fault(path, "", "the references run in a circle")
	return nil, path
}

// components compiles the schemas that no operation uses, so that a fragment
// is never half checked.
func (c *compiler) components() {
	parts, _ := c.doc["components"].(map[string]any)
	schemas, _ := parts["schemas"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		c.schema([]string{"components", "schemas", name})
	}
}

// schema compiles the schema at path; it returns nil after noting a fault.
func (c *compiler) schema(path []string) *schema.Schema {
	s, err := c.schemas.Schema(schema.Pointer(path...))
	if err != nil {
		c.fault(path, "", "%v", err)
		return nil
	}
	return s
}

// access returns the right that an operation needs.
func (c *compiler) access(op map[string]any, method string, path []string) host.Action {
	v, ok := op[route.AccessExtension]
	if !ok {
		if method == http.MethodGet || method == http.MethodHead {
			return host.ActionOperationRead
		}
		return host.ActionOperationWrite
	}
	text, _ := v.(string)
	action, ok := accesses[text]
	if !ok {
		c.fault(append(slices.Clone(path), route.AccessExtension), "", "must be read, write or admin")
	}
	return action
}
