// Package reference shows an OpenAPI 3.1 document as a page that people read:
// operations by tag with their parameters, bodies and answers, examples, and a
// command to copy. It is made on the server from the document alone and needs
// no script, so that it works under the portal's content policy.
package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Document is what the page reads of an OpenAPI document.
type Document struct {
	Info struct {
		Title, Version, Description string
	}
	Tags       []Tag
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Schemas    map[string]*Schema
		Parameters map[string]*Parameter
		Responses  map[string]*Response
	}
	// Groups are the operations by tag, in the order of the document's tags,
	// then by path.
	Groups []Group `json:"-"`

	budget budget
}

// Tag is a name for some of the operations.
type Tag struct {
	Name, Description string
}

// Group is the operations of one tag.
type Group struct {
	Tag
	Operations []Operation
}

// Operation is one method of one path.
type Operation struct {
	Method, Path string `json:"-"`
	OperationID  string
	Summary      string
	Description  string
	Tags         []string
	Deprecated   bool
	Parameters   []*Parameter
	RequestBody  *Body
	Responses    map[string]*Response
	// Access is what a plugin's operation asks of its caller.
	Access string `json:"x-callboard-access"`
}

// Parameter is one parameter of the path, the query or a header.
type Parameter struct {
	Ref         string `json:"$ref"`
	Name, In    string
	Description string
	Required    bool
	Deprecated  bool
	Schema      *Schema
	Example     json.RawMessage
}

// Body is what is sent, by media type.
type Body struct {
	Description string
	Required    bool
	Content     map[string]Media
}

// Response is one answer.
type Response struct {
	Ref         string `json:"$ref"`
	Description string
	Content     map[string]Media
}

// Media is a body of one media type.
type Media struct {
	Schema  *Schema
	Example json.RawMessage
}

// methods are the methods in the order in which a path shows them.
func methods() []string {
	return []string{"get", "post", "put", "patch", "delete", "head", "options", "trace"}
}

// Parse reads a document and sorts its operations into groups.
func Parse(text []byte) (*Document, error) {
	var d Document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	var paths []string
	for path := range d.Paths {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	byTag := map[string][]Operation{}
	for _, path := range paths {
		for _, method := range methods() {
			raw, ok := d.Paths[path][method]
			if !ok {
				continue
			}
			op, err := d.operation(path, method, raw)
			if err != nil {
				return nil, err
			}
			tag := "Other"
			if len(op.Tags) > 0 {
				tag = op.Tags[0]
			}
			byTag[tag] = append(byTag[tag], op)
		}
	}
	d.group(byTag)
	return &d, nil
}

func (d *Document) operation(path, method string, raw json.RawMessage) (Operation, error) {
	op := Operation{Method: strings.ToUpper(method), Path: path}
	if err := json.Unmarshal(raw, &op); err != nil {
		return op, fmt.Errorf("reading the operation %s %s: %w", op.Method, path, err)
	}
	var shared []*Parameter
	if raw := d.Paths[path]["parameters"]; raw != nil {
		if err := json.Unmarshal(raw, &shared); err != nil {
			return op, fmt.Errorf("reading the parameters of %s: %w", path, err)
		}
	}
	op.Parameters = append(shared, op.Parameters...)
	for i, p := range op.Parameters {
		if p != nil && p.Ref != "" {
			op.Parameters[i] = d.Components.Parameters[last(p.Ref)]
		}
	}
	op.Parameters = slices.DeleteFunc(op.Parameters, func(p *Parameter) bool { return p == nil })
	for status, r := range op.Responses {
		if r != nil && r.Ref != "" {
			op.Responses[status] = d.Components.Responses[last(r.Ref)]
		}
	}
	if op.OperationID == "" {
		op.OperationID = strings.ToLower(op.Method) + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path)
	}
	return op, nil
}

// group keeps the order of the document's tags; tags it does not list follow.
func (d *Document) group(byTag map[string][]Operation) {
	for _, t := range d.Tags {
		if ops := byTag[t.Name]; ops != nil {
			d.Groups = append(d.Groups, Group{Tag: t, Operations: ops})
			delete(byTag, t.Name)
		}
	}
	var rest []string
	for name := range byTag {
		rest = append(rest, name)
	}
	slices.Sort(rest)
	for _, name := range rest {
		d.Groups = append(d.Groups, Group{Tag: Tag{Name: name}, Operations: byTag[name]})
	}
}

// last is the name at the end of a reference.
func last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// indented is JSON with line breaks; what is no JSON stays as it is.
func indented(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") != nil {
		return string(raw)
	}
	return out.String()
}
