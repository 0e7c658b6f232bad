package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/callboard-dev/callboard/host"
)

// maxAnswer is how much of an operation's answer a model gets, in bytes: more
// would fill any context.
const maxAnswer = 256 << 10

// call makes the operation's request with the caller's token. What is wrong
// with it is told to the model as the tool's error, so that it can mend it.
func (m *Server) call(ctx context.Context, t *tool, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	v, ok := visitOf(req.GetExtra())
	if !ok {
		return nil, errors.New("the request has no caller")
	}
	r, err := t.request(ctx, req.Params.Arguments)
	if err != nil {
		return failed(host.AsError(err).Error()), nil
	}
	r.Header.Set("Authorization", "Bearer "+v.token)
	r.Header.Set("Callboard-Tenant", v.caller.Tenant().Slug)
	w := &answer{header: http.Header{}, status: http.StatusOK}
	m.s.API.ServeHTTP(w, r)
	return w.result(), nil
}

// request turns arguments into the operation's request.
func (t *tool) request(ctx context.Context, arguments json.RawMessage) (*http.Request, error) {
	var args map[string]json.RawMessage
	if len(arguments) > 0 {
		if err := json.Unmarshal(arguments, &args); err != nil {
			return nil, host.Errorf(host.CodeInvalid, "the arguments are not a JSON object")
		}
	}
	path, query, header := t.path, url.Values{}, http.Header{}
	var body io.Reader = http.NoBody // as a server's requests have it
	for name, raw := range args {
		if string(raw) == "null" {
			continue
		}
		if name == t.bodyName && t.bodyName != "" {
			body = bytes.NewReader(raw)
			header.Set("Content-Type", "application/json")
			continue
		}
		values, err := texts(raw)
		if err != nil {
			return nil, host.Errorf(host.CodeInvalid, "the argument %s must be a string, a number, a boolean or a list of them", name)
		}
		switch t.where[name] {
		case "path":
			if v := strings.Join(values, ","); v == "" || v == "." || v == ".." {
				return nil, host.Errorf(host.CodeInvalid, "the argument %s must be a name, not %q", name, v)
			}
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(strings.Join(values, ",")))
		case "query":
			query[name] = values
		case "header":
			header.Set(name, strings.Join(values, ","))
		default:
			return nil, host.Errorf(host.CodeInvalid, "there is no argument %q", name).WithHint("it takes: %s", t.names())
		}
	}
	if i := strings.IndexByte(path, '{'); i >= 0 {
		missing, _, _ := strings.Cut(path[i+1:], "}")
		return nil, host.Errorf(host.CodeInvalid, "the argument %s is missing", missing)
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, t.method, path, body)
	if err != nil {
		return nil, host.Errorf(host.CodeInvalid, "the arguments make no request: %v", err)
	}
	header.Set("Accept", "application/json")
	r.Header = header
	r.RequestURI = path
	return r, nil
}

// names lists the arguments, for errors.
func (t *tool) names() string {
	var all []string
	for name := range t.where {
		all = append(all, name)
	}
	if t.bodyName != "" {
		all = append(all, t.bodyName)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// texts writes a parameter's value as HTTP carries it.
func texts(raw json.RawMessage) ([]string, error) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]string, 0, len(list))
	for _, item := range list {
		switch item := item.(type) {
		case string:
			out = append(out, item)
		case json.Number:
			out = append(out, item.String())
		case bool:
			out = append(out, strconv.FormatBool(item))
		default:
			return nil, errors.New("not a plain value")
		}
	}
	return out, nil
}

// answer collects what the API writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	size   int
}

var _ http.ResponseWriter = (*answer)(nil)

// Header returns the answer's header.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader notes the status.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write keeps what a model may get, and counts the rest.
func (a *answer) Write(p []byte) (int, error) {
	a.size += len(p)
	if room := maxAnswer - a.body.Len(); room > 0 {
		a.body.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// result turns the answer into the tool's.
func (a *answer) result() *mcp.CallToolResult {
	if a.size > maxAnswer {
		return failed(fmt.Sprintf("The answer has %d bytes; a tool answers with at most %d. Ask for less: use a filter, fields or a smaller limit.", a.size, maxAnswer))
	}
	if a.status >= http.StatusMultipleChoices && a.status != http.StatusNotModified {
		return failed(a.text())
	}
	out := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: a.text()}}}
	var object map[string]json.RawMessage
	if json.Unmarshal(a.body.Bytes(), &object) == nil && object != nil {
		out.StructuredContent = json.RawMessage(a.body.Bytes())
	}
	return out
}

// text is the body, or the status where there is none.
func (a *answer) text() string {
	if a.body.Len() == 0 {
		return fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))
	}
	return strings.ToValidUTF8(a.body.String(), "\uFFFD")
}

func failed(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// bearer returns the request's bearer token, or "".
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
