package extension

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
	"github.com/callboard-dev/callboard/schemas/capability/schedule/v1"
	"github.com/callboard-dev/callboard/schemas/capability/view/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// house answers calls with what the test says.
type house struct {
	mu       sync.Mutex
	active   []plugin.Instance
	revision int64
	answer   any
	err      error
	calls    []json.RawMessage
	caller   host.Caller
	// neutral and stale are what a failure policy makes of an answer.
	neutral    bool
	stale      time.Duration
	repeatable bool
}

func (h *house) Active(host.TenantID) []plugin.Instance { return h.active }
func (h *house) Revision(host.TenantID) int64           { return h.revision }

func (h *house) Call(_ context.Context, c host.Caller, _, _, _ string, body, out any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	h.calls, h.caller = append(h.calls, raw), c
	if h.err != nil {
		return h.err
	}
	if raw, err = json.Marshal(h.answer); err != nil {
		return err
	}
	return json.Unmarshal(raw, out)
}

// Ask answers as Call does, or with less.
func (h *house) Ask(ctx context.Context, c host.Caller, r plugin.Request) (plugin.Answer, error) {
	if err := h.Call(ctx, c, r.Plugin, r.Capability, r.Method, r.Body, r.Out); err != nil {
		if h.neutral {
			return plugin.Answer{Neutral: true, Reason: err}, nil
		}
		return plugin.Answer{}, err
	}
	h.repeatable = r.Repeatable
	return plugin.Answer{Stale: h.stale, Usage: plugin.Usage{Waited: 1500 * time.Microsecond, Wall: 20 * time.Microsecond}}, nil
}

// authz denies what is in it.
type authz map[host.Action]bool

func (a authz) Authorize(_ context.Context, _ host.Caller, action host.Action, _ string) error {
	if a[action] {
		return host.Errorf(host.CodeForbidden, "%s is not allowed", action)
	}
	return nil
}

var acme = host.Tenant{ID: host.NewTenantID(), Slug: "acme"}

func viewer() host.Caller {
	return host.NewCaller(acme, host.Principal{Kind: host.KindUser, ID: "u1", Role: host.RoleViewer})
}

const fragmentJSON = `{"tags":[{"name":"Board"}],"paths":{"/items/{id}":{
  "get":{"operationId":"read","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}},{"name":"range","in":"query","schema":{"type":"string","default":"1h"}}],
    "responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Item"}}}}}},
  "put":{"operationId":"write","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}],
    "requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Item"}}}},
    "responses":{"204":{"description":"done"}}}}},
  "components":{"schemas":{"Item":{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}}}}`

// board is an instance with everything.
func board() plugin.Instance {
	return plugin.Instance{
		State: plugin.StateActive,
		ID:    "i1", Name: "acme/board", Short: "board", Version: "1.0.0", Digest: "sha256:1",
		Manifest: &manifestv1.Manifest{Title: "Board", Capabilities: []manifestv1.Capability{
			{Type: route.Name, OpenAPI: json.RawMessage(fragmentJSON)},
			{Type: view.Name, Views: []manifestv1.View{
				{ID: "tab", Slot: view.SlotEntityTab, Title: "Board", When: &manifestv1.When{Kinds: []string{"component"}, Annotations: []string{"acme.io/a", "acme.io/b"}}},
				{ID: "card", Slot: view.SlotEntityCard, Title: "Card"},
				{ID: "page", Slot: view.SlotPage, Title: "Page"},
				{ID: "setup", Slot: view.SlotSettings, Title: "Setup"},
			}},
			{Type: schedule.Name, Schedules: []manifestv1.Schedule{{ID: "poll", Every: "5m"}}},
		}},
	}
}

func TestServe(t *testing.T) {
	h := &house{active: []plugin.Instance{board(), {Short: "mute", Name: "acme/mute", Manifest: &manifestv1.Manifest{}}}, revision: 1}
	deny := authz{}
	r := NewRouter(h, deny)
	ok := route.Response{Status: 200, Body: json.RawMessage(`{"name":"x"}`), Header: map[string]string{"X-Total": "7"}}
	cases := []struct {
		name, short, method, path string
		req                       RouteRequest
		answer                    any
		code                      host.Code
		says                      string
	}{
		{"OK", "board", "GET", "/items/7", RouteRequest{}, ok, "", ""},
		{"Head", "board", "HEAD", "/items/7", RouteRequest{}, ok, "", ""},
		{"Put", "board", "PUT", "/items/7", RouteRequest{Body: []byte(`{"name":"y"}`), ContentType: "application/json; charset=utf-8"}, route.Response{Status: 204}, "", ""},
		{"UnknownPlugin", "none", "GET", "/x", RouteRequest{}, nil, host.CodeNotFound, `"none" is active`},
		{"NoOperations", "mute", "GET", "/x", RouteRequest{}, nil, host.CodeNotFound, "offers no operations"},
		{"UnknownPath", "board", "GET", "/nothing", RouteRequest{}, nil, host.CodeNotFound, "no operation"},
		{"OtherMethod", "board", "DELETE", "/items/7", RouteRequest{}, nil, host.CodeNotFound, "GET, PUT"},
		{"BadParameter", "board", "GET", "/items/seven", RouteRequest{}, nil, host.CodeInvalid, "/path/id"},
		{"UnknownQuery", "board", "GET", "/items/7", RouteRequest{Query: url.Values{"rang": {"1h"}}}, nil, host.CodeInvalid, `did you mean "range"`},
		{"BadBody", "board", "PUT", "/items/7", RouteRequest{Body: []byte(`{}`), ContentType: "application/json"}, nil, host.CodeInvalid, "/body"},
		{"OtherMedia", "board", "PUT", "/items/7", RouteRequest{Body: []byte(`<a/>`), ContentType: "text/xml"}, nil, host.CodeInvalid, "application/json"},
		{"LieAboutTheSchema", "board", "GET", "/items/7", RouteRequest{}, route.Response{Status: 200, Body: json.RawMessage(`{"name":7}`)}, host.CodePluginOutput, "/body/name"},
		{"LieAboutTheStatus", "board", "GET", "/items/7", RouteRequest{}, route.Response{Status: 418}, host.CodePluginOutput, "/status"},
		{"CookieOfAPlugin", "board", "GET", "/items/7", RouteRequest{}, route.Response{Status: 200, Body: ok.Body, Header: map[string]string{"Set-Cookie": "a=b"}}, host.CodePluginOutput, "host alone"},
		{"CORSOfAPlugin", "board", "GET", "/items/7", RouteRequest{}, route.Response{Status: 200, Body: ok.Body, Header: map[string]string{"Access-Control-Allow-Origin": "*"}}, host.CodePluginOutput, "host alone"},
		{"HeaderSplitting", "board", "GET", "/items/7", RouteRequest{}, route.Response{Status: 200, Body: ok.Body, Header: map[string]string{"X-A": "a\r\nSet-Cookie: b"}}, host.CodePluginOutput, "usable header"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h.answer, h.calls = c.answer, nil
			out, err := r.Serve(t.Context(), viewer(), c.short, c.method, c.path, c.req)
			if host.CodeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %+v, %v", out, err)
			}
			if c.code == host.CodeInvalid && (len(h.calls) != 0 || c.name != "OtherMedia" && len(host.AsError(err).Fields) == 0) {
				t.Errorf("the guest was called %d times; the fields are %v", len(h.calls), host.AsError(err).Fields)
			}
		})
	}
	t.Run("TheGuestGetsDefaults", func(t *testing.T) {
		h.answer, h.calls = ok, nil
		if _, err := r.Serve(t.Context(), viewer(), "board", "GET", "/items/7", RouteRequest{Header: http.Header{"Cookie": {"x"}}}); err != nil {
			t.Fatal(err)
		}
		want := `{"operationId":"read","method":"GET","path":"/items/{id}","params":{"id":"7"},"query":{"range":["1h"]}}`
		if string(h.calls[0]) != want {
			t.Errorf("it got %s", h.calls[0])
		}
	})
	t.Run("ForbiddenCallersReachNoGuest", func(t *testing.T) {
		deny[host.ActionOperationWrite] = true
		defer delete(deny, host.ActionOperationWrite)
		h.calls = nil
		_, err := r.Serve(t.Context(), viewer(), "board", "PUT", "/items/7", RouteRequest{Body: []byte(`{}`)})
		if host.CodeOf(err) != host.CodeForbidden || len(h.calls) != 0 {
			t.Errorf("got %v after %d calls", err, len(h.calls))
		}
	})
	t.Run("TheGuestsFailureIsPassedOn", func(t *testing.T) {
		h.err = host.Errorf(host.CodePluginTimeout, "too long")
		defer func() { h.err = nil }()
		if _, err := r.Serve(t.Context(), viewer(), "board", "GET", "/items/7", RouteRequest{}); host.CodeOf(err) != host.CodePluginTimeout {
			t.Errorf("got %v", err)
		}
	})
	t.Run("InvokeByID", func(t *testing.T) {
		h.answer, h.calls = ok, nil
		if _, err := r.Invoke(t.Context(), viewer(), "board", "read", map[string]string{"id": "7", "range": "2h"}, nil); err != nil || !strings.Contains(string(h.calls[0]), `"2h"`) {
			t.Errorf("got %v after %s", err, h.calls)
		}
		for _, id := range []string{"none", "read"} {
			short := map[string]string{"none": "board", "read": "nobody"}[id]
			if _, err := r.Invoke(t.Context(), viewer(), short, id, nil, nil); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("%s of %s gave %v", id, short, err)
			}
		}
	})
}

func TestParts(t *testing.T) {
	h := &house{active: []plugin.Instance{board()}, revision: 1}
	r := NewRouter(h, authz{})
	parts := r.Parts(acme.ID)
	if len(parts.Operations) != 2 || len(parts.Tags) != 1 || parts.Components["schemas"]["board.Item"] == nil {
		t.Fatalf("got %+v", parts)
	}
	op := parts.Operations[0]
	if op.OperationID != "read" || op.Access != host.ActionOperationRead || op.Path != "/items/{id}" || !strings.Contains(string(op.Fragment), "#/components/schemas/board.Item") {
		t.Errorf("got %+v", op)
	}
	if r.Parts(acme.ID) != parts {
		t.Error("nothing changed, and it was made anew")
	}
	h.active, h.revision = nil, 2
	if n := len(r.Operations(acme.ID)); n != 0 {
		t.Errorf("after the plugin was disabled there are %d operations", n)
	}
	broken := board()
	broken.Manifest.Capabilities[0].OpenAPI = json.RawMessage(`{}`)
	h.active, h.revision = []plugin.Instance{broken}, 3
	if n := len(r.Operations(acme.ID)); n != 0 {
		t.Errorf("of a broken fragment there are %d operations", n)
	}
}

func TestViews(t *testing.T) {
	h := &house{active: []plugin.Instance{board()}}
	deny := authz{host.ActionOperationAdmin: true}
	v := NewViews(h, deny)
	entity := func(kind, annotation string) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"kind":%q,"metadata":{"annotations":{%q:"x"}}}`, kind, annotation))
	}
	for _, c := range []struct {
		name, slot string
		entity     json.RawMessage
		want       string
		code       host.Code
	}{
		{"Fits", view.SlotEntityTab, entity("Component", "acme.io/b"), "tab", ""},
		{"OtherKind", view.SlotEntityTab, entity("API", "acme.io/b"), "", ""},
		{"OtherAnnotation", view.SlotEntityTab, entity("Component", "acme.io/c"), "", ""},
		{"WithoutWhen", view.SlotEntityCard, entity("API", "x"), "card", ""},
		{"Page", view.SlotPage, nil, "page", ""},
		{"SettingsAreForAdmins", view.SlotSettings, nil, "", ""},
		{"EntityMissing", view.SlotEntityTab, nil, "", host.CodeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := v.List(t.Context(), viewer(), c.slot, c.entity)
			var ids []string
			for _, x := range list {
				ids = append(ids, x.ID)
			}
			if strings.Join(ids, ",") != c.want || host.CodeOf(err) != c.code {
				t.Errorf("got %v, %v", ids, err)
			}
		})
	}
	h.answer = view.Tree{Nodes: []view.Node{{Markdown: &view.Markdown{Text: "hello"}}}}
	for _, c := range []struct {
		name, short, id string
		entity          json.RawMessage
		code            host.Code
	}{
		{"RenderTab", "board", "tab", entity("Component", "acme.io/a"), ""},
		{"RenderForAnEntityThatDoesNotFit", "board", "tab", entity("API", "x"), host.CodeNotFound},
		{"RenderWithoutEntity", "board", "tab", nil, host.CodeInvalid},
		{"RenderPage", "board", "page", nil, ""},
		{"RenderSettingsAsViewer", "board", "setup", nil, host.CodeForbidden},
		{"RenderUnknownView", "board", "none", nil, host.CodeNotFound},
		{"RenderOfUnknownPlugin", "none", "tab", nil, host.CodeNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, err := v.Render(t.Context(), viewer(), c.short, c.id, c.entity, map[string]string{"range": "1h"})
			if host.CodeOf(err) != c.code || err == nil && len(tree.Nodes) != 1 {
				t.Errorf("got %+v, %v", tree, err)
			}
		})
	}
	t.Run("AFailureIsPassedOn", func(t *testing.T) {
		h.err = errors.New("boom")
		defer func() { h.err = nil }()
		if _, err := v.Render(t.Context(), viewer(), "board", "page", nil, nil); err == nil {
			t.Error("it was rendered")
		}
	})
	t.Run("ABadTreeNamesThePlace", func(t *testing.T) {
		h.answer = view.Tree{Nodes: []view.Node{{Link: &view.Link{Title: "x", URL: "javascript:alert(1)"}}}}
		_, err := v.Render(t.Context(), viewer(), "board", "page", nil, nil)
		if host.CodeOf(err) != host.CodePluginOutput || !strings.Contains(err.Error(), "/nodes/0/link/url") {
			t.Errorf("got %v", err)
		}
	})
}

func TestCheckTree(t *testing.T) {
	now := time.Now()
	one := func(n view.Node) *view.Tree { return &view.Tree{Nodes: []view.Node{n}} }
	deep := view.Node{Section: &view.Section{Title: "x"}}
	for range maxDepth + 1 {
		deep = view.Node{Section: &view.Section{Title: "x", Nodes: []view.Node{deep}}}
	}
	inf := view.Node{Stats: &view.Stats{Items: []view.Stat{{Spark: []float64{math.Inf(1)}}}}}
	for name, c := range map[string]struct {
		tree *view.Tree
		at   string
	}{
		"OK": {&view.Tree{
			Source: &view.Source{Label: "x", URL: "https://a.example"}, Params: []view.Param{{Name: "range", Options: []view.Option{{Value: "1h"}}}},
			Nodes: []view.Node{
				{Section: &view.Section{Nodes: []view.Node{{Stats: &view.Stats{Items: []view.Stat{{Label: "a", Tone: view.ToneGood, Spark: []float64{1, 2}}}}}}}},
				{Table: &view.Table{Columns: []view.Column{{Title: "a"}}, Rows: []view.Row{{Cells: []view.Cell{{Text: "x", Action: &view.Action{Label: "Run", Operation: "run"}}}}}}},
				{List: &view.List{Items: []view.ListItem{{Title: "x", URL: "http://a.example"}}}}, {Timeline: &view.Timeline{Events: []view.Event{{Time: now}}}},
				{Chart: &view.Chart{Kind: "line", Series: []view.Series{{Points: []view.Point{{Time: now}, {Time: now.Add(1)}}}}}}, {Status: &view.Status{Tone: view.ToneBad}},
				{Link: &view.Link{URL: "https://a.example/x"}}, {Markdown: &view.Markdown{}}, {Empty: &view.Empty{}}, {Error: &view.Error{}}, {Code: &view.Code{}},
				{KeyValue: &view.KeyValue{Items: []view.Fact{{Key: "a"}}}}, {Form: &view.Form{Action: view.Action{Label: "Go", Operation: "go"}, Fields: []view.Field{{Name: "a", Kind: "text"}}}},
			}}, ""},
		"NothingSet":         {one(view.Node{}), "/nodes/0"},
		"TwoSet":             {one(view.Node{Code: &view.Code{}, Empty: &view.Empty{}}), "/nodes/0"},
		"RowTooShort":        {one(view.Node{Table: &view.Table{Columns: []view.Column{{}, {}}, Rows: []view.Row{{Cells: []view.Cell{{}}}}}}), "/nodes/0/table/rows/0"},
		"NoColumns":          {one(view.Node{Table: &view.Table{}}), "/nodes/0/table/columns"},
		"CellLink":           {one(view.Node{Table: &view.Table{Columns: []view.Column{{}}, Rows: []view.Row{{Cells: []view.Cell{{URL: "data:text/html,x"}}}}}}), "/nodes/0/table/rows/0/cells/0/url"},
		"RelativeLink":       {one(view.Node{Link: &view.Link{URL: "/admin"}}), "/nodes/0/link/url"},
		"LinkWithPassword":   {one(view.Node{Link: &view.Link{URL: "https://u:p@a.example"}}), "/nodes/0/link/url"},
		"EmptyLink":          {one(view.Node{Link: &view.Link{}}), "/nodes/0/link/url"},
		"SourceLink":         {&view.Tree{Source: &view.Source{URL: "ftp://a"}}, "/source/url"},
		"UnknownTone":        {one(view.Node{Status: &view.Status{Tone: "purple"}}), "/nodes/0/status/tone"},
		"UnknownChart":       {one(view.Node{Chart: &view.Chart{Kind: "pie"}}), "/nodes/0/chart/kind"},
		"PointsOutOfOrder":   {one(view.Node{Chart: &view.Chart{Kind: "bar", Series: []view.Series{{Points: []view.Point{{Time: now}, {Time: now.Add(-1)}}}}}}), "/nodes/0/chart/series/0/points/1"},
		"TimeBackwards":      {one(view.Node{Chart: &view.Chart{Kind: "bar", From: now, To: now.Add(-1)}}), "/nodes/0/chart/to"},
		"TooManySeries":      {one(view.Node{Chart: &view.Chart{Kind: "bar", Series: make([]view.Series, 101)}}), "/nodes/0/chart/series"},
		"TooManyPoints":      {one(view.Node{Chart: &view.Chart{Kind: "bar", Series: []view.Series{{Points: make([]view.Point, maxPoints+1)}}}}), "/nodes/0/chart/series/0"},
		"TooManyRows":        {one(view.Node{List: &view.List{Items: make([]view.ListItem, maxRows+1)}}), "/nodes/0/list"},
		"TooManyNodes":       {&view.Tree{Nodes: make([]view.Node, maxNodes+1)}, ""},
		"TooDeep":            {one(deep), "/nodes/0" + strings.Repeat("/section/nodes/0", maxDepth-1) + "/section/nodes"},
		"InfiniteNumber":     {one(inf), "/nodes/0/stats/items/0"},
		"EventWithoutTime":   {one(view.Node{Timeline: &view.Timeline{Events: []view.Event{{}}}}), "/nodes/0/timeline/events/0/time"},
		"LongText":           {one(view.Node{Markdown: &view.Markdown{Text: strings.Repeat("x", maxText+1)}}), "/nodes/0/markdown/text"},
		"FormWithoutAction":  {one(view.Node{Form: &view.Form{}}), "/nodes/0/form/action"},
		"UnknownField":       {one(view.Node{Form: &view.Form{Action: view.Action{Label: "a", Operation: "b"}, Fields: []view.Field{{Name: "a", Kind: "file"}}}}), "/nodes/0/form/fields/0"},
		"TooManyFields":      {one(view.Node{Form: &view.Form{Action: view.Action{Label: "a", Operation: "b"}, Fields: make([]view.Field, 51)}}), "/nodes/0/form/fields"},
		"ParamWithoutChoice": {&view.Tree{Params: []view.Param{{Name: "a"}}}, "/params/0"},
		"FactLink":           {one(view.Node{KeyValue: &view.KeyValue{Items: []view.Fact{{Cell: view.Cell{URL: "x:y"}}}}}), "/nodes/0/keyValue/items/0/url"},
	} {
		t.Run(name, func(t *testing.T) {
			faults := checkTree(c.tree)
			if name == "OK" {
				if len(faults) > 0 {
					t.Errorf("got %v", faults)
				}
				return
			}
			if len(faults) == 0 || c.at != "" && faults[0].Pointer() != c.at {
				t.Errorf("got %v, want a fault at %s", faults, c.at)
			}
		})
	}
}

// queue remembers jobs by key.
type queue struct {
	run  func(ctx context.Context, args json.RawMessage) error
	jobs map[string]json.RawMessage
	at   map[string]time.Time
	err  error
}

func (q *queue) Register(_ string, run func(context.Context, json.RawMessage) error) { q.run = run }

func (q *queue) Enqueue(_ context.Context, _, key string, args json.RawMessage, at time.Time) error {
	if q.err == nil {
		q.jobs[key], q.at[key] = args, at
	}
	return q.err
}

type tenants struct{ err error }

func (t tenants) List(context.Context) ([]host.Tenant, error)              { return []host.Tenant{acme}, t.err }
func (t tenants) ByID(context.Context, host.TenantID) (host.Tenant, error) { return acme, t.err }

func TestSchedules(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := &house{active: []plugin.Instance{board()}, answer: schedule.Response{Message: "polled"}}
	q := &queue{jobs: map[string]json.RawMessage{}, at: map[string]time.Time{}}
	s := NewSchedules(h, q, tenants{}, ScheduleSettings{Now: func() time.Time { return now }, Every: time.Millisecond})
	for range 3 {
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(q.jobs) != 1 {
		t.Fatalf("three looks enqueued %d jobs", len(q.jobs))
	}
	var args json.RawMessage
	for key, at := range q.at {
		args = q.jobs[key]
		if !at.After(now) || at.Sub(now) > 5*time.Minute {
			t.Errorf("it is due at %s", at)
		}
	}
	t.Run("ItCallsThePluginAsTheSystem", func(t *testing.T) {
		if err := q.run(t.Context(), args); err != nil {
			t.Fatal(err)
		}
		if p := h.caller.Principal(); p.Kind != host.KindSystem || !strings.Contains(string(h.calls[0]), `"schedule":"poll"`) {
			t.Errorf("%+v called with %s", p, h.calls[0])
		}
	})
	t.Run("AFailureIsTheQueuesToRetry", func(t *testing.T) {
		h.err = host.Errorf(host.CodeUpstream, "gone")
		defer func() { h.err = nil }()
		if err := q.run(t.Context(), args); host.CodeOf(err) != host.CodeUpstream {
			t.Errorf("got %v", err)
		}
	})
	t.Run("WhatWasUninstalledIsDropped", func(t *testing.T) {
		h.active, h.calls = nil, nil
		if err := q.run(t.Context(), args); err != nil || len(h.calls) != 0 {
			t.Errorf("got %v after %d calls", err, len(h.calls))
		}
		changed := board()
		changed.Manifest.Capabilities = changed.Manifest.Capabilities[:2]
		h.active = []plugin.Instance{changed, board()}
		h.active[1].ID = "i2"
		if err := q.run(t.Context(), args); err != nil || len(h.calls) != 0 {
			t.Errorf("got %v after %d calls", err, len(h.calls))
		}
		h.active = []plugin.Instance{board()}
	})
	t.Run("Junk", func(t *testing.T) {
		if err := q.run(t.Context(), json.RawMessage("{")); err == nil {
			t.Error("it ran")
		}
	})
	t.Run("TenantsThatCannotBeRead", func(t *testing.T) {
		bad := NewSchedules(h, q, tenants{errors.New("down")}, ScheduleSettings{})
		if bad.Sync(t.Context()) == nil || q.run(t.Context(), args) == nil {
			t.Error("nothing was told")
		}
		gone := NewSchedules(h, q, tenants{host.Errorf(host.CodeNotFound, "gone")}, ScheduleSettings{})
		if err := gone.run(t.Context(), args); err != nil {
			t.Errorf("a deleted tenant's job gave %v", err)
		}
	})
	t.Run("RunLooksAgainUntilItIsStopped", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		q.err = errors.New("full")
		go func() {
			defer close(ended)
			s.Run(ctx)
		}()
		cancel()
		<-ended
	})
}

func TestDue(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var offsets []int64
	for i := range 50 {
		name := fmt.Sprint("i", i)
		due := Due(now, 5*time.Minute, name)
		if !due.After(now) || due.Sub(now) > 5*time.Minute {
			t.Fatalf("%s is due at %s", name, due)
		}
		if again := Due(due, 5*time.Minute, name); again.Sub(due) != 5*time.Minute {
			t.Errorf("after %s comes %s", due, again)
		}
		if Due(now.Add(time.Second), 5*time.Minute, name) != due && !due.Equal(now.Add(time.Second)) {
			t.Errorf("%s moves with the clock", name)
		}
		offsets = append(offsets, due.Unix()%300)
	}
	slices.Sort(offsets)
	if n := len(slices.Compact(offsets)); n < 30 {
		t.Errorf("50 schedules fall on %d seconds", n)
	}
}
