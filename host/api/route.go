package api

import (
	"context"
	"net/http"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/telemetry"
)

// row is one operation of the route table.
type row struct {
	op       huma.Operation
	register func(a *API)
}

// describe changes how an operation is described.
type describe func(*huma.Operation)

// handler is an operation's work: it has a caller, and returns errors as they
// are.
type handler[I, O any] func(ctx context.Context, c host.Caller, in *I) (*O, error)

// operation is a row that Huma carries: I is read from the request and
// checked, O is written.
func operation[I, O any](method, at, id, tag, summary string, f handler[I, O], more ...describe) row {
	op := newOperation(method, at, id, tag, summary, more)
	return row{op: op, register: func(a *API) {
		huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
			c, _ := CallerFrom(ctx)
			out, err := f(ctx, c, in)
			if err != nil {
				p := newProblem(ctx, "", err)
				telemetry.NoteFailure(ctx, string(p.code), p.cause)
				return nil, p
			}
			return out, nil
		})
	}}
}

// raw is a row with a handler of its own; more describes what Huma cannot see.
func raw(method, at, id, tag, summary string, f http.HandlerFunc, more ...describe) row {
	op := newOperation(method, at, id, tag, summary, more)
	return row{op: op, register: func(a *API) {
		a.inner.HandleFunc(strings.TrimSpace(method+" "+at), f)
		if !op.Hidden {
			a.huma.OpenAPI().AddOperation(&op)
		}
	}}
}

func newOperation(method, at, id, tag, summary string, more []describe) huma.Operation {
	op := huma.Operation{OperationID: id, Method: method, Path: at, Summary: summary,
		Tags: []string{tag}, Responses: map[string]*huma.Response{}}
	for _, d := range more {
		d(&op)
	}
	op.Responses["default"] = &huma.Response{Ref: "#/components/responses/Problem"}
	if isBackstage(at) {
		op.Responses["default"].Ref = "#/components/responses/BackstageError"
	}
	return op
}

// newHuma makes the Huma API on mux, with nothing of its own served.
func newHuma(mux *http.ServeMux, version string) huma.API {
	return huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0", Info: apiInfo(version), Tags: apiTags(), Servers: []*huma.Server{{URL: "/"}},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
			},
		},
		Formats:                      map[string]huma.Format{jsonType: huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                jsonType,
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{ourProblems},
	}, adapter{mux})
}

// schemaName names a type's schema. Words of other rooms carry the room's name:
// a catalog's problem is not an answer's Problem.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	room := t.PkgPath()
	if room == "" || room == reflect.TypeFor[API]().PkgPath() {
		return name
	}
	if v := path.Base(room); len(v) == 2 && v[0] == 'v' { // schemas/manifest/v1
		room = path.Dir(room)
	}
	room = path.Base(room)
	if room = strings.ToUpper(room[:1]) + room[1:]; strings.HasPrefix(name, room) {
		return name
	}
	return room + name
}

// adapter registers Huma's operations with the status that our problems have.
type adapter struct{ *http.ServeMux }

// Handle registers one operation.
func (m adapter) Handle(op *huma.Operation, f func(huma.Context)) {
	m.HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) {
		f(humago.NewContext(op, r, unprocessed{w}))
	})
}

// unprocessed says 400 where Huma says 422: invalid-request has one status.
type unprocessed struct{ http.ResponseWriter }

// WriteHeader exchanges the status.
func (w unprocessed) WriteHeader(status int) {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w unprocessed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ourProblems turns Huma's errors into ours and completes our own with the
// path. Values that the client sent are not echoed: they may be secrets.
func ourProblems(ctx huma.Context, _ string, v any) (any, error) {
	u := ctx.URL()
	switch x := v.(type) {
	case *Problem:
		x.Instance = u.Path
		return x, nil
	case *huma.ErrorModel:
		e := host.Errorf(codeOfStatus(x.Status), "%s", sentence(x.Detail)).WithHint("The operation's description is in /openapi.json.")
		for _, d := range x.Errors {
			if d != nil {
				e.Fields = append(e.Fields, host.FieldError{Pointer: pointerOf(d.Location), Message: d.Message})
			}
		}
		p := newProblem(ctx.Context(), u.Path, e)
		if x.Status != http.StatusUnprocessableEntity {
			p.Status = x.Status
		}
		telemetry.NoteFailure(ctx.Context(), string(p.code), p.cause)
		return p, nil
	}
	return v, nil
}

// codeOfStatus is the code of an error that Huma found by itself.
func codeOfStatus(status int) host.Code {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return host.CodeTooLarge
	case status >= 500:
		return host.CodeInternal
	}
	return host.CodeInvalid
}

// pointerOf turns Huma's "body.items[3].name" into "/body/items/3/name".
func pointerOf(location string) string {
	if location == "" {
		return ""
	}
	return "/" + strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(location)
}

// sentence makes one of Huma's messages a sentence.
func sentence(s string) string {
	if s == "" || s == "validation failed" {
		return "The request is not what the operation expects."
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// notFound answers a path that no operation has, or has with other methods.
func (a *API) notFound(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, m := range [...]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, pattern := a.inner.Handler(probe); pattern != "" && pattern != "/" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) == 0 {
		Fail(w, r, host.Errorf(host.CodeNotFound, "There is no operation at this path.").
			WithHint("GET /openapi.json lists the operations of your tenant."))
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	p := newProblem(r.Context(), r.URL.Path, host.Errorf(host.CodeInvalid, "This path has no operation with the method %s.", clip(r.Method)).
		WithHint("It has %s.", strings.Join(allowed, ", ")))
	p.Status = http.StatusMethodNotAllowed
	writeProblem(w, r, p)
}
