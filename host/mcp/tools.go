package mcp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/callboard-dev/callboard/host"
)

// document is the part of an OpenAPI document that tools are made from. What
// plugins wrote stays the JSON that it was.
type document struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Parameters map[string]parameter       `json:"parameters"`
		Schemas    map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
}

// operation is one operation of the document.
type operation struct {
	ID          string      `json:"operationId"`
	Summary     string      `json:"summary"`
	Description string      `json:"description"`
	Parameters  []parameter `json:"parameters"`
	Body        *body       `json:"requestBody"`
	Access      string      `json:"x-callboard-access"`
	Plugin      string      `json:"x-callboard-plugin"`
}

type parameter struct {
	Ref         string          `json:"$ref,omitempty"`
	Name        string          `json:"name"`
	In          string          `json:"in"`
	Description string          `json:"description"`
	Required    bool            `json:"required"`
	Schema      json.RawMessage `json:"schema"`
}

type body struct {
	Required bool `json:"required"`
	Content  map[string]struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"content"`
}

// tool is one operation as a tool.
type tool struct {
	method, path string
	// where says in which part of the request each argument goes; the body's
	// name is in bodyName.
	where    map[string]string
	bodyName string
	access   string // read, write or admin
	tool     *mcp.Tool
	digest   [sha256.Size]byte
}

const (
	accessRead  = "read"
	accessWrite = "write"
	accessAdmin = "admin"
)

// Names that arguments of several parts of a request may not share.
const bodyArgument = "body"

// methods are the members of a path that are operations.
var methods = [...]string{"get", "head", "post", "put", "patch", "delete"}

// toolsOf returns the tools of a document, by name.
func toolsOf(raw []byte) (map[string]*tool, error) {
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	out := map[string]*tool{}
	for path, item := range doc.Paths {
		var shared []parameter
		_ = json.Unmarshal(item["parameters"], &shared) // absent: none
		for _, method := range methods {
			if item[method] == nil {
				continue
			}
			var op operation
			if err := json.Unmarshal(item[method], &op); err != nil {
				return nil, fmt.Errorf("reading the operation %s %s: %w", method, path, err)
			}
			if op.ID == "" {
				continue
			}
			op.Parameters = append(op.Parameters, shared...)
			t, err := doc.tool(strings.ToUpper(method), path, op)
			if err != nil {
				return nil, fmt.Errorf("operation %s: %w", op.ID, err)
			}
			out[op.ID] = t
		}
	}
	return out, nil
}

// tool makes a tool of an operation: each parameter is an argument, the JSON
// body is the argument "body".
func (d *document) tool(method, path string, op operation) (*tool, error) {
	t := &tool{method: method, path: path, where: map[string]string{}, access: accessOf(method, op.Access)}
	properties, required := map[string]json.RawMessage{}, []string{}
	for _, p := range op.Parameters {
		if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			p = d.Components.Parameters[name]
		}
		if p.Name == "" || p.In == "cookie" || t.where[p.Name] != "" || p.In == "header" && ours(p.Name) {
			continue
		}
		t.where[p.Name] = p.In
		properties[p.Name] = described(p.Schema, p.Description)
		if p.Required || p.In == "path" {
			required = append(required, p.Name)
		}
	}
	if op.Body != nil {
		if media, ok := op.Body.Content["application/json"]; ok {
			t.bodyName = bodyArgument
			for t.where[t.bodyName] != "" {
				t.bodyName += "_"
			}
			properties[t.bodyName] = described(media.Schema, "The body of the request.")
			if op.Body.Required {
				required = append(required, t.bodyName)
			}
		}
	}
	slices.Sort(required)
	schema, err := d.inputSchema(properties, required)
	if err != nil {
		return nil, err
	}
	closed := op.Plugin == ""
	destructive := method == http.MethodDelete || method == http.MethodPut
	t.tool = &mcp.Tool{
		Name: op.ID, Title: op.Summary, Description: textOf(op, method, path), InputSchema: schema,
		Annotations: &mcp.ToolAnnotations{
			Title: op.Summary, ReadOnlyHint: t.access == accessRead && (method == http.MethodGet || method == http.MethodHead),
			DestructiveHint: &destructive, IdempotentHint: method != http.MethodPost && method != http.MethodPatch,
			OpenWorldHint: new(!closed),
		},
	}
	all, err := json.Marshal(struct {
		Tool   *mcp.Tool
		Method string
		Path   string
		Access string
	}{t.tool, method, path, t.access})
	if err != nil {
		return nil, fmt.Errorf("writing the tool: %w", err)
	}
	t.digest = sha256.Sum256(all)
	return t, nil
}

// accessOf is the right that an operation needs, as route/v1 defines it.
func accessOf(method, said string) string {
	switch said {
	case accessRead, accessWrite, accessAdmin:
		return said
	}
	if method == http.MethodGet || method == http.MethodHead {
		return accessRead
	}
	return accessWrite
}

// ours are headers that the host sets itself.
func ours(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Callboard-Tenant", "Callboard-Csrf", "If-None-Match", "Host", "Cookie", "Content-Type", "Content-Length":
		return true
	}
	return false
}

// textOf describes a tool to a model.
func textOf(op operation, method, path string) string {
	text := cmp.Or(op.Description, op.Summary)
	if op.Description != "" && op.Summary != "" && !strings.HasPrefix(op.Description, op.Summary) {
		text = strings.TrimSuffix(op.Summary, ".") + ". " + op.Description
	}
	if op.Plugin != "" {
		text += " (plugin " + op.Plugin + ")"
	}
	return strings.TrimSpace(text + "\n" + method + " " + path)
}

// described adds a description to a schema that has none of its own.
func described(schema json.RawMessage, text string) json.RawMessage {
	var object map[string]json.RawMessage
	if len(schema) == 0 {
		schema = json.RawMessage(`{}`)
	}
	if text == "" || json.Unmarshal(schema, &object) != nil || object["description"] != nil {
		return schema
	}
	raw, err := json.Marshal(text)
	if err != nil {
		return schema
	}
	object["description"] = raw
	out, err := json.Marshal(object)
	if err != nil {
		return schema
	}
	return out
}

const componentRef = "#/components/schemas/"

// inputSchema writes a tool's JSON Schema. Shared schemas come along under
// $defs, since the tool has no document around it.
func (d *document) inputSchema(properties map[string]json.RawMessage, required []string) (json.RawMessage, error) {
	defs := map[string]json.RawMessage{}
	var err error
	for name, schema := range properties {
		if properties[name], err = d.inlined(schema, defs); err != nil {
			return nil, err
		}
	}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	if len(defs) > 0 {
		schema["$defs"] = defs
	}
	raw, err := json.Marshal(schema)
	if err != nil {
		return nil, fmt.Errorf("writing the input schema: %w", err)
	}
	return raw, nil
}

// inlined points references at $defs and puts there what they refer to.
func (d *document) inlined(schema json.RawMessage, defs map[string]json.RawMessage) (json.RawMessage, error) {
	var v any
	if err := json.Unmarshal(schema, &v); err != nil {
		return nil, fmt.Errorf("reading a schema: %w", err)
	}
	var wanted []string
	redirect(v, &wanted)
	for _, name := range wanted {
		if _, done := defs[name]; done {
			continue
		}
		defs[name] = json.RawMessage(`{}`) // a schema may refer to itself
		target, ok := d.Components.Schemas[name]
		if !ok {
			continue
		}
		inner, err := d.inlined(target, defs)
		if err != nil {
			return nil, err
		}
		defs[name] = inner
	}
	return json.Marshal(v)
}

// redirect rewrites the references below v and collects the names they have.
func redirect(v any, wanted *[]string) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			if name, ok := strings.CutPrefix(ref, componentRef); ok {
				v["$ref"] = "#/$defs/" + name
				*wanted = append(*wanted, name)
			}
		}
		for _, inner := range v {
			redirect(inner, wanted)
		}
	case []any:
		for _, inner := range v {
			redirect(inner, wanted)
		}
	}
}

// accessMeta is where a tool says what right it needs.
const accessMeta = "callboard/access"

// add registers a tool. A schema of a plugin that the protocol's library does
// not accept costs this tool alone.
func (m *Server) add(s *mcp.Server, t *tool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	t.tool.Meta = mcp.Meta{accessMeta: t.access}
	s.AddTool(t.tool, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return m.call(ctx, t, req)
	})
	return nil
}

// onlyTheirs leaves out of a list the tools that the caller's role can never
// use. It is a courtesy to models: the API decides.
func onlyTheirs(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		list, ok := result.(*mcp.ListToolsResult)
		if err != nil || !ok {
			return result, err
		}
		v, known := visitOf(req.GetExtra())
		list.Tools = slices.DeleteFunc(list.Tools, func(t *mcp.Tool) bool {
			access, _ := t.Meta[accessMeta].(string)
			return !known || !mayUse(v.caller.Principal().Role, access)
		})
		return list, nil
	}
}

func mayUse(role host.Role, access string) bool {
	switch access {
	case accessRead:
		return true
	case accessWrite:
		return role != host.RoleViewer
	}
	return role == host.RoleAdmin
}
