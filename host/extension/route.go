package extension

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/fragment"
	"github.com/callboard-dev/callboard/host/plugin/schema"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
)

// Operation is one HTTP operation of a plugin, as the tenant's OpenAPI
// document shows it.
type Operation struct {
	Plugin      string // "namespace/name"
	Short       string
	OperationID string
	Method      string // upper case
	// Path is the template below /api/plugins/<short>, with a leading slash.
	Path    string
	Summary string
	// Access is what the caller must be allowed to do.
	Access host.Action
	// Fragment is the operation's object. References to components carry the
	// plugin's short name: "#/components/schemas/<short>.<name>".
	Fragment json.RawMessage
}

// Parts is everything that plugins add to a tenant's OpenAPI document.
type Parts struct {
	// Revision is House.Revision for which this was made.
	Revision   int64
	Operations []Operation // sorted by plugin, path and method
	// Components maps kind ("schemas") and name to the component.
	Components map[string]map[string]json.RawMessage
	Tags       []json.RawMessage
}

// RouteRequest is what came in for an operation.
type RouteRequest struct {
	Query  url.Values
	Header http.Header
	Body   []byte
	// ContentType is the body's media type; it must be application/json unless
	// the operation streams it.
	ContentType string
	// Source is the body where it was not read yet; Body is empty then.
	Source io.Reader
	// Reply receives a response that is streamed; without it, operations that
	// stream theirs are refused.
	Reply Reply
}

// Router serves the operations of plugins (route/v1).
type Router struct {
	house  House
	authz  host.Authorizer
	tables sync.Map // host.TenantID to *table
}

// table is one tenant's operations at one revision.
type table struct {
	parts  *Parts
	routes map[string]*routes
}

// routes are the operations of one instance.
type routes struct {
	digest   string
	name     string
	fragment *fragment.Fragment
	renamed  *fragment.Renamed
}

// NewRouter returns a Router over house.
func NewRouter(house House, authz host.Authorizer) *Router {
	return &Router{house: house, authz: authz}
}

// Operations returns the tenant's operations, sorted by plugin, path, method.
// The slice is shared: it must not be changed.
func (r *Router) Operations(t host.TenantID) []Operation { return r.Parts(t).Operations }

// Parts returns what plugins add to the tenant's OpenAPI document. It is
// cached for each revision, and must not be changed.
func (r *Router) Parts(t host.TenantID) *Parts { return r.table(t).parts }

func (r *Router) table(t host.TenantID) *table {
	revision := r.house.Revision(t)
	var old *table
	if v, ok := r.tables.Load(t); ok {
		if old = v.(*table); old.parts.Revision == revision {
			return old
		}
	}
	fresh := build(revision, r.house.Active(t), old)
	r.tables.Store(t, fresh)
	return fresh
}

// build makes a table; what did not change is taken from old.
func build(revision int64, active []plugin.Instance, old *table) *table {
	t := &table{routes: map[string]*routes{}, parts: &Parts{Revision: revision, Components: map[string]map[string]json.RawMessage{}}}
	for i := range active {
		in := &active[i]
		capability := in.Capability(route.Name)
		if capability == nil {
			continue
		}
		var rs *routes
		if old != nil && old.routes[in.Short] != nil && old.routes[in.Short].digest == in.Digest {
			rs = old.routes[in.Short]
		} else if rs = compile(in, capability.OpenAPI); rs == nil {
			continue
		}
		t.routes[in.Short] = rs
		t.add(in.Short, rs)
	}
	return t
}

// compile returns nil for a fragment that does not compile, which Install
// would have refused.
func compile(in *plugin.Instance, raw json.RawMessage) *routes {
	f, faults := fragment.Compile(raw)
	if len(faults) > 0 {
		return nil
	}
	renamed, err := f.Rename(in.Short)
	if err != nil {
		return nil
	}
	return &routes{digest: in.Digest, name: in.Name, fragment: f, renamed: renamed}
}

func (t *table) add(short string, rs *routes) {
	for _, op := range rs.fragment.Operations {
		t.parts.Operations = append(t.parts.Operations, Operation{
			Plugin: rs.name, Short: short, OperationID: op.ID, Method: op.Method, Path: op.Path,
			Summary: op.Summary, Access: op.Access, Fragment: rs.renamed.Operations[op.ID],
		})
	}
	for kind, named := range rs.renamed.Components {
		if t.parts.Components[kind] == nil {
			t.parts.Components[kind] = map[string]json.RawMessage{}
		}
		maps.Copy(t.parts.Components[kind], named)
	}
	t.parts.Tags = append(t.parts.Tags, rs.renamed.Tags...)
}

// Serve answers one request below /api/plugins/<short>: path is the escaped
// rest of the URL's path, with its leading slash. It checks the request
// against the fragment, the caller's right, and the plugin's answer against
// what the fragment promised. Failures are *host.Error.
func (r *Router) Serve(ctx context.Context, c host.Caller, short, method, path string, req RouteRequest) (route.Response, error) {
	rs := r.table(c.TenantID()).routes[short]
	if rs == nil {
		return route.Response{}, r.absent(c, short)
	}
	op, params, allowed := rs.fragment.Match(method, path)
	if op == nil {
		return route.Response{}, noMatch(short, method, path, allowed)
	}
	return r.serve(ctx, c, short, op, params, req)
}

// Invoke calls an operation by its id, as the form of a view or a command line
// does: params are its path and query parameters by name.
func (r *Router) Invoke(ctx context.Context, c host.Caller, short, operationID string, params map[string]string, body []byte) (route.Response, error) {
	rs := r.table(c.TenantID()).routes[short]
	if rs == nil {
		return route.Response{}, r.absent(c, short)
	}
	op := rs.fragment.Operation(operationID)
	if op == nil {
		return route.Response{}, host.Errorf(host.CodeNotFound, "the plugin %s has no operation %q", short, operationID)
	}
	inPath, query := map[string]string{}, url.Values{}
	for name, value := range params {
		if strings.Contains(op.Path, "{"+name+"}") {
			inPath[name] = value
		} else {
			query.Set(name, value)
		}
	}
	return r.serve(ctx, c, short, op, inPath, RouteRequest{Query: query, Body: body, ContentType: "application/json"})
}

func (r *Router) serve(ctx context.Context, c host.Caller, short string, op *fragment.Operation, params map[string]string, req RouteRequest) (route.Response, error) {
	if err := r.authz.Authorize(ctx, c, op.Access, "plugin:"+short); err != nil {
		return route.Response{}, err
	}
	if req.Source != nil && !op.Streams.Request {
		body, err := io.ReadAll(req.Source)
		if err != nil {
			return route.Response{}, unread(err)
		}
		req.Body = body
	}
	if !op.Streams.Request && len(req.Body) > 0 && !isJSON(req.ContentType) {
		return route.Response{}, host.Errorf(host.CodeInvalid, "the body has the media type %q", clip(req.ContentType)).WithHint("send application/json")
	}
	in, faults := op.CheckRequest(fragment.Request{Params: params, Query: req.Query, Header: req.Header, Body: req.Body})
	if len(faults) > 0 {
		e := host.Errorf(host.CodeInvalid, "the request does not fit the operation %s: %s", op.ID, faults[0])
		e.Fields = schema.Fields(faults)
		return route.Response{}, e
	}
	if op.Streams != (fragment.Streams{}) {
		out, err := r.stream(ctx, c, short, op, in, req)
		if err != nil || out.Streamed {
			return out, err
		}
		return out, honest(short, op, &out)
	}
	var out route.Response
	answer, err := r.house.Ask(ctx, c, plugin.Request{Plugin: short, Capability: route.Name, Method: route.MethodHandle, Body: in, Out: &out,
		Repeatable: op.Method == http.MethodGet || op.Method == http.MethodHead})
	if err != nil {
		return route.Response{}, err
	}
	if err := honest(short, op, &out); err != nil {
		return route.Response{}, err
	}
	mark(&out, answer)
	return out, nil
}

// honest refuses an answer that is not what the manifest promises.
func honest(short string, op *fragment.Operation, out *route.Response) error {
	faults := op.CheckResponse(out)
	if len(faults) == 0 {
		faults = cleanHeader(out)
	}
	if len(faults) > 0 {
		return lied(short, op.ID, faults)
	}
	return nil
}

// HeaderStale says how many seconds old an answer is that is given because the
// plugin fails now.
const HeaderStale = "Callboard-Stale"

// mark says in headers how the answer came about: how long it waited for its
// turn and for code, how long the plugin took, and how old it is where it is an
// earlier one.
func mark(out *route.Response, a plugin.Answer) {
	if out.Header == nil {
		out.Header = map[string]string{}
	}
	if a.Stale > 0 {
		out.Header[HeaderStale] = strconv.FormatInt(int64(a.Stale.Seconds()), 10)
		return
	}
	out.Header["Server-Timing"] = fmt.Sprintf("wait;dur=%.3f, plugin;dur=%.3f", millis(a.Usage.Waited), millis(a.Usage.Wall))
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// lied says that a plugin's answer is not what its manifest promised.
func lied(short, id string, faults []schema.Fault) error {
	e := host.Errorf(host.CodePluginOutput, "plugin %s: the answer of %s is not what its manifest promises: %s", short, id, faults[0]).
		WithHint("this is a defect of the plugin; tell its author, with the pointer")
	e.Fields = schema.Fields(faults)
	return e
}

// absent explains why a plugin has no operations.
func (r *Router) absent(c host.Caller, short string) error {
	for _, in := range r.house.Active(c.TenantID()) {
		if in.Short == short {
			return host.Errorf(host.CodeNotFound, "the plugin %s offers no operations", short)
		}
	}
	return host.Errorf(host.CodeNotFound, "no plugin %q is active", clip(short)).
		WithHint("an admin can install and enable it; callboard plugin list shows what is there")
}

func noMatch(short, method, path string, allowed []string) error {
	if len(allowed) > 0 {
		return host.Errorf(host.CodeNotFound, "the plugin %s has no %s %s", short, method, clip(path)).
			WithHint("the path answers %s", strings.Join(allowed, ", "))
	}
	return host.Errorf(host.CodeNotFound, "the plugin %s has no operation at %s", short, clip(path)).
		WithHint("/openapi.json lists its operations")
}

func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	// ownHeaders are those that the host alone sets.
	ownHeaders = []string{
		"set-cookie", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive",
		"upgrade", "trailer", "te", "date", "server", "location", "traceparent", "strict-transport-security", "www-authenticate",
		"content-security-policy", "x-frame-options", "x-content-type-options", "referrer-policy", "clear-site-data",
		"server-timing", "callboard-stale",
	}
)

// cleanHeader refuses headers that could reach beyond the answer's body.
func cleanHeader(r *route.Response) []schema.Fault {
	for name, value := range r.Header {
		lower := strings.ToLower(name)
		switch {
		case !headerName.MatchString(name) || len(value) > 4096 || strings.ContainsAny(value, "\r\n\x00"):
			return []schema.Fault{{Path: []string{"header", clip(name)}, Message: "is not a usable header"}}
		case slices.Contains(ownHeaders, lower) || strings.HasPrefix(lower, "access-control-"):
			return []schema.Fault{{Path: []string{"header", lower}, Message: "is set by the host alone"}}
		}
	}
	return nil
}

// clip shortens what came from outside before it is shown.
func clip(s string) string { return clipTo(s, 120) }

// clipTo is clip to another number of bytes.
func clipTo(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "")
}
