package fragment

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host/plugin/schema"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

var (
	operationID = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,99}$`)
	literal     = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)
	variable    = regexp.MustCompile(`^\{([A-Za-z_][A-Za-z0-9_-]*)\}$`)
)

// known are the fields of a path item and of an operation; "x-..." are always
// allowed.
var (
	knownItem      = []string{"summary", "description", "parameters"}
	knownOperation = []string{"operationId", "summary", "description", "tags", "parameters", "requestBody", "responses", "deprecated", "externalDocs"}
)

func (c *compiler) paths(f *Fragment) {
	paths, _ := c.doc["paths"].(map[string]any)
	if len(paths) == 0 {
		c.fault([]string{"paths"}, "", "must hold at least one path")
	}
	for _, template := range slices.Sorted(maps.Keys(paths)) {
		at := []string{"paths", template}
		vars, ok := c.template(template, at)
		if !ok {
			continue
		}
		item, ok := paths[template].(map[string]any)
		if !ok {
			c.fault(at, "", "must be an object with operations")
			continue
		}
		c.item(f, template, vars, item, at)
	}
	if len(f.Operations) > maxOperations {
		c.fault([]string{"paths"}, "", "holds %d operations, at most %d are allowed", len(f.Operations), maxOperations)
	}
}

// template checks a path template and returns its variables.
func (c *compiler) template(t string, at []string) ([]string, bool) {
	const hint = "paths are relative to /api/plugins/<plugin>, for example /items/{id}"
	switch {
	case !strings.HasPrefix(t, "/"):
		c.fault(at, hint, "the path %q must begin with a /", t)
		return nil, false
	case t == "/api" || strings.HasPrefix(t, "/api/"):
		c.fault(at, hint, "the path %q is not the plugin's own", t)
		return nil, false
	case len(t) > 512:
		c.fault(at, "", "the path is longer than 512 bytes")
		return nil, false
	case t == "/":
		return nil, true
	}
	var vars []string
	for _, segment := range strings.Split(t[1:], "/") {
		if m := variable.FindStringSubmatch(segment); m != nil {
			if slices.Contains(vars, m[1]) {
				c.fault(at, "", "the variable {%s} is there twice", m[1])
				return nil, false
			}
			vars = append(vars, m[1])
		} else if !literal.MatchString(segment) || strings.Trim(segment, ".") == "" {
			c.fault(at, hint, "the path %q has a segment %q that is neither a plain word nor one {variable}", t, segment)
			return nil, false
		}
	}
	return vars, true
}

func (c *compiler) item(f *Fragment, template string, vars []string, item map[string]any, at []string) {
	for _, key := range slices.Sorted(maps.Keys(item)) {
		here := append(slices.Clone(at), key)
		if method, ok := methods[key]; ok {
			if op := c.operation(template, vars, item, key, method, here); op != nil {
				f.Operations = append(f.Operations, op)
				if !f.root.add(op) {
					c.fault(here, "", "another path matches the same requests")
				}
			}
			continue
		}
		c.unknown(key, knownItem, here)
	}
}

// unknown notes a field that the fragment may not use.
func (c *compiler) unknown(key string, known []string, at []string) {
	if slices.Contains(known, key) || strings.HasPrefix(key, "x-") {
		return
	}
	hint := ""
	if near := schema.Nearest(key, append(slices.Collect(maps.Keys(methods)), known...)); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.fault(at, hint, "%q is not supported here", key)
}

func (c *compiler) operation(template string, vars []string, item map[string]any, key, method string, at []string) *Operation {
	op, ok := item[key].(map[string]any)
	if !ok {
		c.fault(at, "", "must be an object")
		return nil
	}
	for _, k := range slices.Sorted(maps.Keys(op)) {
		c.unknown(k, knownOperation, append(slices.Clone(at), k))
	}
	id, _ := op["operationId"].(string)
	if !operationID.MatchString(id) {
		c.fault(append(slices.Clone(at), "operationId"), "give it a unique name, for example "+key+"Item", "the operation needs an operationId of letters, digits, _ . and -")
	} else if first := c.seen[id]; first != nil {
		c.fault(append(slices.Clone(at), "operationId"), "", "the operationId %q is there twice, first at %s", id, strings.Join(first, " "))
	}
	c.seen[id] = at[1:]
	summary, _ := op["summary"].(string)
	out := &Operation{
		ID: id, Method: method, Path: template, Summary: summary, pointer: slices.Clone(at),
		Access: c.access(op, method, at), Streams: c.streams(op, method, at),
	}
	c.params(out, item["parameters"], append(slices.Clone(at[:2]), "parameters"))
	c.params(out, op["parameters"], append(slices.Clone(at), "parameters"))
	c.variables(out, vars, at)
	c.requestBody(out, op, at)
	c.answers(out, op, at)
	return out
}

// variables checks that template and path parameters agree.
func (c *compiler) variables(op *Operation, vars []string, at []string) {
	var declared []string
	for _, p := range op.params {
		if p.in != "path" {
			continue
		}
		declared = append(declared, p.name)
		if !slices.Contains(vars, p.name) {
			c.fault(append(slices.Clone(at), "parameters"), "", "the path has no {%s}", p.name)
		}
	}
	for _, v := range vars {
		if !slices.Contains(declared, v) {
			c.fault(append(slices.Clone(at), "parameters"), "add it with in: path and required: true", "the parameter of {%s} is missing", v)
		}
	}
}

func (c *compiler) params(op *Operation, v any, at []string) {
	if v == nil {
		return
	}
	list, ok := v.([]any)
	if !ok {
		c.fault(at, "", "must be a list of parameters")
		return
	}
	for i, e := range list {
		here := append(slices.Clone(at), fmt.Sprint(i))
		object, path := c.object(e, here)
		if object == nil {
			continue
		}
		if p, ok := c.param(object, path); ok {
			op.params = slices.DeleteFunc(op.params, func(q param) bool { return q.in == p.in && q.name == p.name })
			op.params = append(op.params, p)
		}
	}
}

func (c *compiler) param(object map[string]any, at []string) (param, bool) {
	p := param{explode: true}
	p.name, _ = object["name"].(string)
	p.in, _ = object["in"].(string)
	p.required, _ = object["required"].(bool)
	if explode, ok := object["explode"].(bool); ok {
		p.explode = explode
	}
	if p.name == "" || len(p.name) > 100 {
		c.fault(at, "", "the parameter needs a name of at most 100 bytes")
		return p, false
	}
	switch p.in {
	case "query":
	case "header":
		p.name = strings.ToLower(p.name)
		if forbiddenHeader(p.name) {
			c.fault(at, "the host authenticates callers itself", "the header %q is not handed to plugins", p.name)
		}
	case "path":
		if !p.required {
			c.fault(at, "", "a path parameter must have required: true")
		}
	default:
		c.fault(at, "", "in must be path, query or header")
		return p, false
	}
	if _, ok := object["schema"]; !ok {
		c.fault(at, "", "the parameter %q needs a schema", p.name)
		return p, false
	}
	p.schema = c.schema(append(slices.Clone(at), "schema"))
	return p, p.schema != nil
}

// forbiddenHeader names headers that carry the caller's credentials.
func forbiddenHeader(name string) bool {
	return slices.Contains([]string{"authorization", "cookie", "proxy-authorization", "callboard-tenant"}, name)
}

func (c *compiler) requestBody(op *Operation, object map[string]any, at []string) {
	v, ok := object["requestBody"]
	if !ok {
		return
	}
	at = append(slices.Clone(at), "requestBody")
	o, path := c.object(v, at)
	if o == nil {
		return
	}
	if op.Method == "GET" || op.Method == "HEAD" {
		c.fault(at, "", "a %s has no body", op.Method)
	}
	b := &body{}
	b.required, _ = o["required"].(bool)
	if op.Streams.Request {
		if b.media = c.mediaTypes(o, path); len(b.media) == 0 {
			c.fault(path, "", "must have content with the media types that are taken")
		}
	} else if s, found := c.content(o, path); found {
		b.schema = s
	} else {
		c.fault(path, "", "must have content application/json")
	}
	op.body = b
}

func (c *compiler) answers(op *Operation, object map[string]any, at []string) {
	at = append(slices.Clone(at), "responses")
	list, _ := object["responses"].(map[string]any)
	if len(list) == 0 {
		c.fault(at, "", "must describe at least one response")
	}
	op.responses = map[string]*response{}
	for _, status := range slices.Sorted(maps.Keys(list)) {
		here := append(slices.Clone(at), status)
		if !statusKey.MatchString(status) {
			c.fault(here, "quote it", "%q is not a status: write 200, 4XX or default", status)
			continue
		}
		o, path := c.object(list[status], here)
		if o == nil {
			continue
		}
		if d, _ := o["description"].(string); d == "" {
			c.fault(path, "", "lacks a description")
		}
		r := &response{}
		if op.Streams.Response {
			r.media = c.mediaTypes(o, path)
			o = onlyJSON(o)
		}
		r.schema, r.body = c.content(o, path)
		op.responses[status] = r
	}
}

var statusKey = regexp.MustCompile(`^([1-5][0-9][0-9]|[1-5]XX|default)$`)

// content returns the schema of the one media type that plugins speak.
func (c *compiler) content(o map[string]any, path []string) (s *schema.Schema, found bool) {
	content, _ := o["content"].(map[string]any)
	for _, media := range slices.Sorted(maps.Keys(content)) {
		here := append(slices.Clone(path), "content", media)
		if media != "application/json" {
			c.fault(here, "", "the media type %q is not supported: plugins speak application/json", media)
			continue
		}
		found = true
		entry, _ := content[media].(map[string]any)
		if _, ok := entry["schema"]; ok {
			s = c.schema(append(here, "schema"))
		}
	}
	return s, found
}

// IDs returns the ids of all operations that a manifest offers.
func IDs(m *manifestv1.Manifest) []string {
	var out []string
	for _, c := range m.Capabilities {
		if c.Type != route.Name {
			continue
		}
		if f, faults := Compile(c.OpenAPI); len(faults) == 0 {
			for _, op := range f.Operations {
				out = append(out, op.ID)
			}
		}
	}
	return out
}
