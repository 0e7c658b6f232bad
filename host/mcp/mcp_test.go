package mcp

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/callboard-dev/callboard/host"
)

var acme = host.Tenant{ID: host.NewTenantID(), Slug: "acme", Name: "Acme"}

// portal is an API with the golden documents of the real one.
type portal struct {
	mu   sync.Mutex
	file string
	last *http.Request
	body string
	// answer is what the API says.
	status int
	answer string
}

func (p *portal) Document(context.Context, host.Caller) ([]byte, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	doc, err := os.ReadFile("../../schemas/openapi/" + p.file)
	return doc, p.file, err
}

func (p *portal) show(file string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.file = file
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.body = r, string(body)
	w.WriteHeader(p.status)
	_, _ = w.Write([]byte(p.answer))
}

func (p *portal) request() (*http.Request, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last, p.body
}

// roles are the tokens that the door knows.
var roles = map[string]host.Role{"admin": host.RoleAdmin, "member": host.RoleMember, "viewer": host.RoleViewer, "viewer2": host.RoleViewer}

func open(t *testing.T, p *portal) *httptest.Server {
	t.Helper()
	m := New(Settings{
		Authenticate: func(r *http.Request) (host.Caller, error) {
			token := bearer(r)
			role, ok := roles[token]
			if !ok {
				return host.Caller{}, host.Errorf(host.CodeUnauthenticated, "The token is not known.")
			}
			return host.NewCaller(acme, host.Principal{Kind: host.KindToken, ID: token, Role: role}), nil
		},
		Documents: p, API: p, Follow: 5 * time.Millisecond, Version: "1",
		Fail: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, host.AsError(err).Message, host.CodeOf(err).Status())
		},
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { m.Run(ctx); close(done) }()
	srv := httptest.NewServer(m)
	t.Cleanup(func() { srv.Close(); stop(); <-done })
	return srv
}

// bearing adds a token to every request.
type bearing string

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b != "" {
		r.Header.Set("Authorization", "Bearer "+string(b))
	}
	return http.DefaultTransport.RoundTrip(r)
}

func connect(t *testing.T, url, token string, changed func()) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) {
			if changed != nil {
				changed()
			}
		},
	})
	s, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: bearing(token)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func tools(t *testing.T, s *mcp.ClientSession) map[string]*mcp.Tool {
	t.Helper()
	out := map[string]*mcp.Tool{}
	for tool, err := range s.Tools(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		out[tool.Name] = tool
	}
	return out
}

func TestTools(t *testing.T) {
	p := &portal{file: "with-plugin.json", status: 200, answer: `{"items":[]}`}
	srv := open(t, p)
	admin := tools(t, connect(t, srv.URL, "admin", nil))
	viewer := tools(t, connect(t, srv.URL, "viewer", nil))
	t.Run("EveryOperationIsOne", func(t *testing.T) {
		for _, name := range []string{"listEntities", "registerLocation", "greet", "greetLoudly", "deleteLocation"} {
			if admin[name] == nil {
				t.Errorf("there is no tool %s", name)
			}
		}
	})
	t.Run("ViewersAreOfferedReadsAlone", func(t *testing.T) {
		if viewer["listEntities"] == nil || viewer["greet"] == nil {
			t.Error("a viewer lacks a read")
		}
		if viewer["registerLocation"] != nil || viewer["greetLoudly"] != nil {
			t.Error("a viewer is offered a write")
		}
	})
	t.Run("SchemasStandAlone", func(t *testing.T) {
		for name, tool := range admin {
			raw, err := json.Marshal(tool.InputSchema)
			if err != nil || strings.Contains(string(raw), componentRef) {
				t.Errorf("%s: the schema refers to a document that is not there: %.200s (%v)", name, raw, err)
			}
		}
		var schema struct {
			Required   []string `json:"required"`
			Properties map[string]struct {
				Ref string `json:"$ref"`
			} `json:"properties"`
			Defs map[string]json.RawMessage `json:"$defs"`
		}
		raw, _ := json.Marshal(admin["registerLocation"].InputSchema)
		if err := json.Unmarshal(raw, &schema); err != nil || len(schema.Required) != 1 || schema.Required[0] != "body" {
			t.Errorf("got %s, %v", raw, err)
		}
		if name, ok := strings.CutPrefix(schema.Properties["body"].Ref, "#/$defs/"); ok && schema.Defs[name] == nil {
			t.Errorf("%s has no definition of %s", raw, name)
		}
	})
	t.Run("HintsAreTrue", func(t *testing.T) {
		if !admin["listEntities"].Annotations.ReadOnlyHint || admin["registerLocation"].Annotations.ReadOnlyHint || !*admin["deleteLocation"].Annotations.DestructiveHint {
			t.Error("the annotations do not say what the operations do")
		}
	})
}

func TestCall(t *testing.T) {
	p := &portal{file: "with-plugin.json", status: 200, answer: `{"items":[]}`}
	s := connect(t, open(t, p).URL, "member", nil)
	cases := []struct {
		name, tool string
		args       map[string]any
		status     int
		answer     string
		method     string
		uri, body  string
		failed     bool
		says       string
	}{
		{name: "Query", tool: "listEntities", args: map[string]any{"limit": 5, "q": "a b"}, method: "GET", uri: "/api/v1/entities?limit=5&q=a+b", says: `"items"`},
		{name: "PathIsEscaped", tool: "greet", args: map[string]any{"who": "a/b?c"}, method: "GET", uri: "/api/plugins/greeter/greetings/a%2Fb%3Fc"},
		{name: "Body", tool: "registerLocation", args: map[string]any{"body": map[string]any{"target": "x"}}, method: "POST", uri: "/api/v1/locations", body: `{"target":"x"}`},
		{name: "ParentFolderIsRefused", tool: "greet", args: map[string]any{"who": ".."}, failed: true, says: "must be a name"},
		{name: "MissingPathArgument", tool: "greet", failed: true, says: "who is missing"},
		{name: "UnknownArgument", tool: "greet", args: map[string]any{"who": "a", "whom": "b"}, failed: true, says: `no argument \"whom\"`},
		{name: "NestedArgument", tool: "greet", args: map[string]any{"who": map[string]any{}}, failed: true, says: "must be a string"},
		{name: "ProblemsReachTheModel", tool: "greetLoudly", args: map[string]any{"who": "a"}, status: 403, answer: `{"title":"Forbidden"}`, method: "POST", uri: "/api/plugins/greeter/greetings/a", failed: true, says: "Forbidden"},
		{name: "HugeAnswersAreRefused", tool: "listEntities", answer: strings.Repeat("x", maxAnswer+1), method: "GET", uri: "/api/v1/entities", failed: true, says: "Ask for less"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p.mu.Lock()
			p.last, p.status, p.answer = nil, 200, `{"items":[]}`
			if c.status != 0 {
				p.status = c.status
			}
			if c.answer != "" {
				p.answer = c.answer
			}
			p.mu.Unlock()
			res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: c.tool, Arguments: c.args})
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := json.Marshal(res.Content)
			if res.IsError != c.failed || !strings.Contains(string(raw), strings.ReplaceAll(c.says, `"`, `\"`)) && !strings.Contains(string(raw), c.says) {
				t.Errorf("got error %v: %.300s; want it to say %q", res.IsError, raw, c.says)
			}
			r, body := p.request()
			if c.method == "" {
				if r != nil {
					t.Errorf("the API was asked for %s", r.URL)
				}
				return
			}
			if r == nil {
				t.Fatal("the API was not asked")
			}
			if r.Method != c.method || r.URL.RequestURI() != c.uri || body != c.body {
				t.Errorf("the API got %s %s %s", r.Method, r.URL.RequestURI(), body)
			}
			if r.Header.Get("Authorization") != "Bearer member" || r.Header.Get("Callboard-Tenant") != "acme" {
				t.Errorf("the API was asked by %v", r.Header)
			}
		})
	}
}

// TestChanges: an installed plugin's tools appear in an open session.
func TestChanges(t *testing.T) {
	p := &portal{file: "core.json", status: 200, answer: `{}`}
	changed := make(chan struct{}, 100)
	s := connect(t, open(t, p).URL, "admin", func() { changed <- struct{}{} })
	if tools(t, s)["greet"] != nil {
		t.Fatal("the plugin's tool is there before the plugin")
	}
	wait := func(want bool) {
		t.Helper()
		for deadline := time.After(30 * time.Second); (tools(t, s)["greet"] != nil) != want; {
			select {
			case <-changed:
			case <-deadline:
				t.Fatalf("the client was never told (want greet: %v)", want)
			}
		}
	}
	p.show("with-plugin.json")
	wait(true)
	p.show("core.json")
	wait(false)
}

func TestDoor(t *testing.T) {
	p := &portal{file: "core.json", status: 200, answer: `{}`}
	srv := open(t, p)
	message := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`
	post := func(token, session, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		req.Header.Set("Mcp-Session-Id", session)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	for _, token := range []string{"", "stranger"} {
		if res := post(token, "", message); res.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("token %q: got %s", token, res.Status)
		}
	}
	session := post("viewer", "", message).Header.Get("Mcp-Session-Id")
	if session == "" {
		t.Fatal("there is no session")
	}
	list := `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`
	if res := post("viewer2", session, list); res.StatusCode < 400 {
		t.Errorf("another principal goes on with a session: %s", res.Status)
	}
	if res := post("viewer", "", strings.Repeat(" ", maxMessage)+message); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a message of more than %d bytes: got %s", maxMessage, res.Status)
	}
}
