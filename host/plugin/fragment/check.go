package fragment

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/callboard-dev/callboard/host/plugin/schema"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
)

type param struct {
	name, in string
	required bool
	explode  bool
	schema   *schema.Schema
}

type body struct {
	required bool
	schema   *schema.Schema
	media    []string // of one that is streamed
}

type response struct {
	schema *schema.Schema
	body   bool
	media  []string // of one that may be streamed
}

// Request is what came in for an operation.
type Request struct {
	Params map[string]string // path variables, decoded
	Query  url.Values
	Header http.Header
	Body   []byte
}

// CheckRequest checks in against the operation and returns what the guest
// gets, defaults filled in. Faults name the parameter or the place in the body.
func (op *Operation) CheckRequest(in Request) (route.Request, []schema.Fault) {
	out := route.Request{
		OperationID: op.ID, Method: op.Method, Path: op.Path,
		Params: map[string]string{}, Query: map[string][]string{}, Header: map[string]string{},
	}
	var faults []schema.Fault
	for _, p := range op.params {
		faults = append(faults, p.check(in, &out)...)
	}
	faults = append(faults, op.strangers(in.Query)...)
	if op.Streams.Request {
		return out, faults // its body is read by the plugin
	}
	b, bad := op.checkBody(in.Body)
	out.Body = b
	return out, append(faults, bad...)
}

// strangers refuses query parameters that the operation does not know: mostly
// they are misspelt.
func (op *Operation) strangers(query url.Values) []schema.Fault {
	var known []string
	for _, p := range op.params {
		if p.in == "query" {
			known = append(known, p.name)
		}
	}
	var faults []schema.Fault
	for name := range query {
		if slices.Contains(known, name) {
			continue
		}
		f := schema.Fault{Path: []string{"query", name}, Message: "is not a parameter of this operation"}
		if near := schema.Nearest(name, known); near != "" {
			f.Hint = fmt.Sprintf("did you mean %q?", near)
		} else if len(known) > 0 {
			f.Hint = "known are " + strings.Join(known, ", ")
		}
		faults = append(faults, f)
	}
	return faults
}

func (p *param) check(in Request, out *route.Request) []schema.Fault {
	at := []string{p.in, p.name}
	values := p.values(in)
	if len(values) == 0 {
		if d, ok := p.schema.Default(); ok {
			p.store(out, texts(d))
		} else if p.required {
			return []schema.Fault{{Path: at, Message: "is missing"}}
		}
		return nil
	}
	if !p.schema.IsArray() && len(values) > 1 {
		return []schema.Fault{{Path: at, Message: "is there more than once"}}
	}
	var faults []schema.Fault
	for _, f := range p.schema.Check(p.decode(values)) {
		f.Path = append(slices.Clone(at), f.Path...)
		faults = append(faults, f)
	}
	p.store(out, values)
	return faults
}

func (p *param) values(in Request) []string {
	switch p.in {
	case "path":
		if v, ok := in.Params[p.name]; ok {
			return []string{v}
		}
	case "query":
		values := in.Query[p.name]
		if p.schema.IsArray() && !p.explode && len(values) == 1 {
			return strings.Split(values[0], ",")
		}
		return values
	case "header":
		if v := in.Header.Get(p.name); v != "" {
			return []string{v}
		}
	}
	return nil
}

// decode turns the texts of a parameter into the value that its schema checks.
func (p *param) decode(values []string) any {
	if !p.schema.IsArray() {
		return p.schema.Coerce(values[0])
	}
	items := p.schema.Items()
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
		if items != nil {
			list[i] = items.Coerce(v)
		}
	}
	return list
}

func (p *param) store(out *route.Request, values []string) {
	switch p.in {
	case "path":
		out.Params[p.name] = values[0]
	case "query":
		out.Query[p.name] = values
	case "header":
		out.Header[p.name] = values[0]
	}
}

// texts writes a default as it would have come in.
func texts(v any) []string {
	if list, ok := v.([]any); ok {
		out := make([]string, len(list))
		for i, e := range list {
			out[i] = fmt.Sprint(e)
		}
		return out
	}
	return []string{fmt.Sprint(v)}
}

func (op *Operation) checkBody(raw []byte) (json.RawMessage, []schema.Fault) {
	at := []string{"body"}
	if len(raw) == 0 {
		if op.body != nil && op.body.required {
			return nil, []schema.Fault{{Path: at, Message: "is missing"}}
		}
		return nil, nil
	}
	if op.body == nil {
		return nil, []schema.Fault{{Path: at, Message: "this operation takes no body"}}
	}
	v, err := schema.Decode(raw)
	if err != nil {
		return nil, []schema.Fault{{Path: at, Message: err.Error()}}
	}
	if op.body.schema == nil {
		return raw, nil
	}
	v = op.body.schema.Fill(v)
	var faults []schema.Fault
	for _, f := range op.body.schema.Check(v) {
		f.Path = append(slices.Clone(at), f.Path...)
		faults = append(faults, f)
	}
	filled, err := json.Marshal(v)
	if err != nil {
		return nil, []schema.Fault{{Path: at, Message: err.Error()}}
	}
	return filled, faults
}

// CheckResponse returns what is wrong with a plugin's answer.
func (op *Operation) CheckResponse(r *route.Response) []schema.Fault {
	if r.Status < 200 || r.Status > 599 {
		return []schema.Fault{{Path: []string{"status"}, Message: fmt.Sprintf("%d is not a final HTTP status", r.Status)}}
	}
	promised := op.response(r.Status)
	if promised == nil {
		return []schema.Fault{{Path: []string{"status"}, Message: fmt.Sprintf("%d is not described in the manifest", r.Status)}}
	}
	at := []string{"body"}
	empty := len(r.Body) == 0 || string(r.Body) == "null"
	if !promised.body {
		if !empty {
			return []schema.Fault{{Path: at, Message: fmt.Sprintf("the manifest describes no content for %d", r.Status)}}
		}
		return nil
	}
	if promised.schema == nil {
		return nil
	}
	v, err := schema.Decode(orNull(r.Body))
	if err != nil {
		return []schema.Fault{{Path: at, Message: err.Error()}}
	}
	var faults []schema.Fault
	for _, f := range promised.schema.Check(v) {
		f.Path = append(slices.Clone(at), f.Path...)
		faults = append(faults, f)
	}
	return faults
}

func orNull(raw []byte) []byte {
	if len(raw) == 0 {
		return []byte("null")
	}
	return raw
}

func (op *Operation) response(status int) *response {
	code := strconv.Itoa(status)
	for _, key := range []string{code, code[:1] + "XX", "default"} {
		if r := op.responses[key]; r != nil {
			return r
		}
	}
	return nil
}
