package sdktest_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/schedule"
	"github.com/callboard-dev/callboard/sdk/sdktest"
	"github.com/callboard-dev/callboard/sdk/view"
)

func TestRouteFillsFromTheManifest(t *testing.T) {
	p := probe{act: func(ctx *sdk.Context, r route.Request) (route.Response, error) {
		return route.JSON([]string{r.Method, r.Path, r.Param("id"), r.QueryValue("range"), r.QueryValue("page"), r.QueryValue("none"),
			ctx.Tenant(), ctx.Caller().Role})
	}}
	h := sdktest.New(t, p.plugin(), manifestFile(t, manifestText), sdktest.Tenant("acme"), sdktest.Caller(sdk.Caller{Role: "viewer"}))
	var got []string
	err := h.RouteJSON(route.Request{OperationID: "act", Params: map[string]string{"id": "7"}, Query: map[string][]string{"page": {"3"}}}, &got)
	if want := "POST /act/{id} 7 1h 3  acme viewer"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if h.Manifest().Name != "acme/probe" {
		t.Errorf("the manifest is that of %s", h.Manifest().Name)
	}
	t.Run("and says that an answer does not fit", func(t *testing.T) {
		var number int
		if err := h.RouteJSON(route.Request{OperationID: "act"}, &number); err == nil {
			t.Error("a list was decoded into a number")
		}
	})
}

func TestHandleJSON(t *testing.T) {
	type in struct{ N int }
	double := route.HandleJSON("act", func(_ *sdk.Context, _ route.Request, v in) (in, error) {
		if v.N < 0 {
			return in{}, sdk.Errorf(sdk.CodeInvalid, "negative")
		}
		return in{v.N * 2}, nil
	})
	p := sdk.New(double, view.Render("look", func(*sdk.Context, view.Request) (view.Tree, error) { return view.Of(), nil }),
		schedule.Run("tick", func(*sdk.Context, time.Time) (string, error) { return "ticked", nil }))
	h := sdktest.New(t, p, manifestFile(t, manifestText))
	for body, want := range map[string]string{`{"N":4}`: `{"N":8}`, ``: `{"N":0}`} {
		r, err := h.Route(route.Request{OperationID: "act", Body: []byte(body)})
		if err != nil || string(r.Body) != want || r.Status != 200 {
			t.Errorf("%s gives %+v, %v", body, r, err)
		}
	}
	for _, body := range []string{`{"N":-1}`, `[]`} {
		if _, err := h.Route(route.Request{OperationID: "act", Body: []byte(body)}); sdk.CodeOf(err) != sdk.CodeInvalid {
			t.Errorf("%s gives %v", body, err)
		}
	}
}

func TestRouteAnswers(t *testing.T) {
	h := sdktest.New(t, probe{act: func(*sdk.Context, route.Request) (route.Response, error) {
		return route.JSON(math.Inf(1))
	}}.plugin(), manifestFile(t, manifestText))
	if _, err := h.Route(route.Request{OperationID: "act"}); sdk.CodeOf(err) != sdk.CodeInternal {
		t.Errorf("a value that is no JSON gives %v", err)
	}
	h = sdktest.New(t, probe{act: func(*sdk.Context, route.Request) (route.Response, error) { return route.Response{}, nil }}.plugin(), manifestFile(t, manifestText))
	if r, err := h.Route(route.Request{OperationID: "act"}); err != nil || r.Status != 200 {
		t.Errorf("no status gives %d, %v; want 200", r.Status, err)
	}
	h = sdktest.New(t, probe{act: func(*sdk.Context, route.Request) (route.Response, error) { return route.JSONStatus(409, "no") }}.plugin(), manifestFile(t, manifestText))
	if r, err := h.Route(route.Request{OperationID: "act"}); err != nil || r.Status != 409 {
		t.Errorf("a status of a declared class gives %d, %v", r.Status, err)
	}
}

func TestSchedule(t *testing.T) {
	var due time.Time
	h := sdktest.New(t, probe{tick: func(_ *sdk.Context, at time.Time) (string, error) { due = at; return "ticked", nil }}.plugin(), manifestFile(t, manifestText))
	h.Advance(time.Hour)
	message, err := h.Schedule("tick")
	if err != nil || message != "ticked" || !due.Equal(h.Now()) {
		t.Errorf("got %q, %v at %s, want at %s", message, err, due, h.Now())
	}
	h = sdktest.New(t, probe{tick: func(*sdk.Context, time.Time) (string, error) { return "", errors.New("broke") }}.plugin(), manifestFile(t, manifestText))
	if _, err := h.Schedule("tick"); err == nil || err.Error() != "broke" {
		t.Errorf("got %v", err)
	}
}

func TestDeadlineEndsACall(t *testing.T) {
	p := probe{act: func(ctx *sdk.Context, _ route.Request) (route.Response, error) {
		for ctx.Err() == nil { // a millisecond
		}
		return route.Response{}, ctx.Err()
	}}
	h := sdktest.New(t, p.plugin(), manifestFile(t, manifestText), sdktest.Deadline(time.Millisecond))
	if _, err := h.Route(route.Request{OperationID: "act"}); sdk.CodeOf(err) != sdk.CodeTimeout {
		t.Errorf("got %v", err)
	}
}

func TestTheTestFails(t *testing.T) {
	replaced := func(old, fresh string) sdktest.Option {
		if !strings.Contains(manifestText, old) {
			t.Fatalf("the manifest has no %q", old)
		}
		return manifestFile(t, strings.Replace(manifestText, old, fresh, 1))
	}
	whole := manifestFile(t, manifestText)
	teapot := probe{act: func(*sdk.Context, route.Request) (route.Response, error) { return route.Response{Status: 503}, nil }}
	open := func(p *sdk.Plugin, o ...sdktest.Option) func(sdktest.TB) {
		return func(tb sdktest.TB) { sdktest.New(tb, p, o...) }
	}
	tests := map[string]struct {
		do   func(tb sdktest.TB)
		want string
	}{
		"without a manifest":                  {open(probe{}.plugin(), sdktest.Manifest("/nowhere.yaml")), "reading the manifest"},
		"when the manifest is no YAML":        {open(probe{}.plugin(), manifestFile(t, "a: [")), "plugin.yaml"},
		"when a field is unknown":             {open(probe{}.plugin(), replaced("title: Probe", "titel: Probe")), "titel"},
		"when the plugin offers less":         {open(sdk.New(), whole), `names route/v1 "act", but the plugin does not offer it`},
		"when the plugin offers more":         {open(probe{}.plugin(), replaced("id: tick", "id: tock")), `offers schedule/v1 "tick", but`},
		"when the plugin is broken":           {open(sdk.New(route.Handle("", nil)), whole), "put together wrongly"},
		"when an operation has no id":         {open(probe{}.plugin(), replaced("operationId: act", "summary: act")), "has no operationId"},
		"when an operation id is no text":     {open(probe{}.plugin(), replaced("operationId: act", "operationId: [1]")), "reading the operation"},
		"when an operation id is there twice": {open(probe{}.plugin(), replaced("        /act/{id}:", "        /b: { get: { operationId: act } }\n        /act/{id}:")), "is there twice"},
		"when shared parameters are no list":  {open(probe{}.plugin(), replaced("- { name: page, in: query, schema: { type: integer, default: 1 } }", "{}")), "parameters of /act/{id}"},
		"when paths are no object":            {open(probe{}.plugin(), replaced("        /act/{id}:", "        /b: 1\n        /act/{id}:")), "OpenAPI fragment"},
		"when the configuration is no object": {open(probe{}.plugin(), whole, sdktest.Config(1)), "not an object"},
		"when the configuration is no JSON":   {open(probe{}.plugin(), whole, sdktest.Config(make(chan int))), "unsupported type"},
		"when an origin is none":              {open(probe{}.plugin(), whole, sdktest.Upstream("example.com", nil)), "not an origin"},
		"when an entity has no name":          {open(probe{}.plugin(), whole, sdktest.Entities(`{"kind":"X"}`)), "needs kind and metadata.name"},
		"when an entity is no JSON":           {open(probe{}.plugin(), whole, sdktest.Entities(make(chan int))), "encoding an entity"},
		"when an entity is no object":         {open(probe{}.plugin(), whole, sdktest.Entities([]byte("[]"))), "decoding an entity"},
		"when a free service is refused":      {open(probe{}.plugin(), whole, sdktest.Without("log/v1")), "needs no permission"},
		"at an undeclared status": {func(tb sdktest.TB) {
			_, _ = sdktest.New(tb, teapot.plugin(), whole).Route(route.Request{OperationID: "act"})
		}, "answers 503"},
		"at an undeclared operation": {func(tb sdktest.TB) {
			_, _ = sdktest.New(tb, teapot.plugin(), whole).Route(route.Request{OperationID: "none"})
		}, `no operation "none"`},
		"at an undeclared view": {func(tb sdktest.TB) {
			_, _ = sdktest.New(tb, teapot.plugin(), whole).View(view.Request{View: "none"})
		}, `no view "none"`},
		"at an undeclared schedule": {func(tb sdktest.TB) { _, _ = sdktest.New(tb, teapot.plugin(), whole).Schedule("none") }, `no schedule "none"`},
		"at an entity that is not there": {func(tb sdktest.TB) {
			_, _ = sdktest.New(tb, teapot.plugin(), whole).EntityView("look", "component:default/x", nil)
		}, "has no component:default/x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := faultsOf(t, tt.do); !strings.Contains(got, tt.want) {
				t.Errorf("it said %q, want %q", got, tt.want)
			}
		})
	}
}
