package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/extension"
)

// document is an OpenAPI document whose parts stay the JSON that they were:
// decoding a plugin's schemas into anybody's types would lose words of theirs.
type document struct {
	head       map[string]json.RawMessage            // openapi, info, servers, security
	tags       []json.RawMessage                     //
	paths      map[string]map[string]json.RawMessage // path -> method -> operation
	components map[string]map[string]json.RawMessage // kind -> name -> object
}

// coreDocument takes the core's document from Huma, completed by what Huma
// does not write: our problem responses and the ways to authenticate.
func coreDocument(o *huma.OpenAPI) (*document, error) {
	raw, err := o.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("writing the core's OpenAPI document: %w", err)
	}
	var d struct {
		Tags       []json.RawMessage                     `json:"tags"`
		Paths      map[string]map[string]json.RawMessage `json:"paths"`
		Components map[string]map[string]json.RawMessage `json:"components"`
	}
	doc := &document{}
	if err := json.Unmarshal(raw, &doc.head); err != nil {
		return nil, fmt.Errorf("reading the core's OpenAPI document: %w", err)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("reading the core's OpenAPI document: %w", err)
	}
	doc.tags, doc.paths, doc.components = d.Tags, d.Paths, d.Components
	for _, part := range []string{"tags", "paths", "components"} {
		delete(doc.head, part)
	}
	doc.head["security"] = json.RawMessage(`[{"token":[]},{"session":[]}]`)
	return doc, doc.addFixed()
}

// addFixed adds the components that all operations share.
func (d *document) addFixed() error {
	var fixed map[string]map[string]json.RawMessage
	if err := json.Unmarshal([]byte(fixedComponents), &fixed); err != nil {
		return fmt.Errorf("reading the shared components: %w", err)
	}
	return d.addComponents(fixed)
}

// addComponents adds components; a name that is there already is an error.
func (d *document) addComponents(more map[string]map[string]json.RawMessage) error {
	for kind, objects := range more {
		if d.components[kind] == nil {
			d.components[kind] = map[string]json.RawMessage{}
		}
		for name, raw := range objects {
			if _, clash := d.components[kind][name]; clash {
				return fmt.Errorf("composing the OpenAPI document: two components are named %s/%s", kind, name)
			}
			d.components[kind][name] = raw
		}
	}
	return nil
}

// clone copies d so far as composing changes it.
func (d *document) clone() *document {
	out := &document{head: maps.Clone(d.head), tags: slices.Clone(d.tags),
		paths: maps.Clone(d.paths), components: map[string]map[string]json.RawMessage{}}
	for kind, objects := range d.components {
		out.components[kind] = maps.Clone(objects)
	}
	return out
}

// with returns the document of a tenant: the core's and its plugins'
// operations. Its bytes depend on nothing else.
func (d *document) with(t host.Tenant, parts *extension.Parts) ([]byte, error) {
	doc := d.clone()
	if err := doc.addComponents(parts.Components); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, tag := range doc.tags {
		known[tagName(tag)] = true
	}
	for _, tag := range parts.Tags {
		if name := tagName(tag); !known[name] { // the core's own words stand first
			known[name] = true
			doc.tags = append(doc.tags, tag)
		}
	}
	for _, op := range parts.Operations {
		if err := doc.addOperation(op, known); err != nil {
			return nil, err
		}
	}
	doc.prune()
	return doc.write(t)
}

// tagName returns a tag object's name.
func tagName(tag json.RawMessage) string {
	var named struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(tag, &named) // a tag without a name is skipped as ""
	return named.Name
}

// addOperation adds one operation of a plugin: under the plugin's prefix, with
// a tag, and with the answer that the host gives where the plugin cannot.
func (d *document) addOperation(op extension.Operation, known map[string]bool) error {
	var o map[string]json.RawMessage
	if err := json.Unmarshal(op.Fragment, &o); err != nil {
		return fmt.Errorf("reading operation %s of %s: %w", op.OperationID, op.Plugin, err)
	}
	var tags []string
	_ = json.Unmarshal(o["tags"], &tags)
	if len(tags) == 0 {
		tags = []string{op.Short}
	}
	o["tags"] = mustJSON(tags)
	for _, name := range tags {
		if !known[name] {
			known[name] = true
			d.tags = append(d.tags, mustJSON(map[string]string{
				"name": name, "description": "Operations of the plugin " + op.Plugin + "."}))
		}
	}
	responses := map[string]json.RawMessage{}
	_ = json.Unmarshal(o["responses"], &responses)
	if _, has := responses["default"]; !has {
		responses["default"] = json.RawMessage(`{"$ref":"#/components/responses/Problem"}`)
	}
	o["responses"] = mustJSON(responses)
	o["x-callboard-plugin"] = mustJSON(op.Plugin)
	path := "/api/plugins/" + op.Short + op.Path
	item := maps.Clone(d.paths[path])
	if item == nil {
		item = map[string]json.RawMessage{}
	}
	method := strings.ToLower(op.Method)
	if _, clash := item[method]; clash {
		return fmt.Errorf("composing the OpenAPI document: two operations at %s %s", op.Method, path)
	}
	item[method] = mustJSON(o)
	d.paths[path] = item
	return nil
}

// write writes the document with sorted keys, so that equal documents are
// equal bytes.
func (d *document) write(t host.Tenant) ([]byte, error) {
	out := maps.Clone(d.head)
	var info map[string]any
	if err := json.Unmarshal(out["info"], &info); err != nil {
		return nil, fmt.Errorf("reading the document's info: %w", err)
	}
	if t.Name != "" {
		info["title"] = "Callboard of " + t.Name
	}
	out["info"], out["tags"] = mustJSON(info), mustJSON(d.tags)
	out["paths"], out["components"] = mustJSON(d.paths), mustJSON(d.components)
	raw, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document: %w", err)
	}
	return raw, nil
}

// mustJSON writes what cannot fail: maps, slices and strings of our own, and
// JSON that was read before.
func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}
