package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/api"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// form makes a request's body a multipart form.
func form(t *testing.T, parts map[string]string) func(*http.Request) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for name, text := range parts {
		must(t, w.WriteField(name, text))
	}
	must(t, w.Close())
	return func(r *http.Request) {
		upload(buf.Bytes())(r)
		r.Header.Set("Content-Type", w.FormDataContentType())
	}
}

func TestPluginLife(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	one, two := packaged(t, "1.0.0"), packaged(t, "1.1.0")

	t.Run("Preview", func(t *testing.T) {
		got := p.want(200, "POST", "/api/v1/plugin-previews", "", upload(one))
		if got["id"] != "acme/greeter" || got["version"] != "1.0.0" || dig(got, "permissions", 0, "reason") != "To ask how to greet." {
			t.Errorf("the preview is %v", got)
		}
		if all := p.want(200, "GET", "/api/v1/plugins", ""); len(all["items"].([]any)) != 0 {
			t.Errorf("a preview installed: %v", all)
		}
	})
	t.Run("WithoutConsentItStaysDisabled", func(t *testing.T) {
		w := p.send("POST", "/api/v1/plugins", "", upload(one))
		if w.Code != 201 || w.Header().Get("Location") != "/api/v1/plugins/greeter" {
			t.Fatalf("answers %d %s", w.Code, w.Body)
		}
		got := p.settled("disabled")
		if got["id"] != "acme/greeter" || len(got["grants"].([]any)) != 0 {
			t.Errorf("the instance is %v", got)
		}
		p.want(404, "GET", "/api/plugins/greeter/greetings/you", "")
	})
	t.Run("GrantAndEnable", func(t *testing.T) {
		p.want(200, "PUT", "/api/v1/plugins/greeter/grants", `{"grants":[{"type":"http/v1","reason":"To ask how to greet.","hosts":["https://example.com"],"auth":{"type":"bearer","secret":"key"}}]}`)
		p.want(200, "POST", "/api/v1/plugins/greeter/enable", "")
		p.settled("active")
		got := p.want(200, "GET", "/api/plugins/greeter/greetings/you", "")
		if got["greeting"] != "hello you of acme" {
			t.Errorf("the operation answers %v", got)
		}
	})
	t.Run("Configure", func(t *testing.T) {
		got := p.want(200, "PUT", "/api/v1/plugins/greeter/config", `{"config":{"tone":"cool"},"secrets":{"key":"hunter2"}}`)
		if dig(got, "config", "tone") != "cool" || dig(got, "secrets", 0) != "key" {
			t.Errorf("the instance is %v", got)
		}
		if w := p.send("GET", "/api/v1/plugins/greeter", ""); strings.Contains(w.Body.String(), "hunter2") {
			t.Error("a secret is shown")
		}
		bad := p.want(400, "PUT", "/api/v1/plugins/greeter/config", `{"config":{"tone":"hot"}}`)
		if dig(bad, "errors", 0, "pointer") == nil {
			t.Errorf("the problem is %v", bad)
		}
	})
	t.Run("UpgradeAndRollback", func(t *testing.T) {
		p.want(200, "POST", "/api/v1/plugins/greeter/upgrade?acceptPermissions=true", "", upload(two))
		if got := p.settled("active"); got["version"] != "1.1.0" || got["previous"] != "1.0.0" {
			t.Errorf("the instance is %v", got)
		}
		p.want(200, "POST", "/api/v1/plugins/greeter/rollback", "")
		if got := p.settled("active"); got["version"] != "1.0.0" {
			t.Errorf("the instance is %v", got)
		}
	})
	t.Run("Health", func(t *testing.T) {
		got := p.want(200, "GET", "/api/v1/plugins/greeter/health", "")
		if dig(got, "calls") == float64(0) || dig(got, "recent", 0, "capability") != "route/v1" {
			t.Errorf("the health is %v", got)
		}
	})
	t.Run("DisableAndUninstall", func(t *testing.T) {
		p.want(200, "POST", "/api/v1/plugins/greeter/disable", "")
		p.want(404, "GET", "/api/plugins/greeter/greetings/you", "")
		p.want(204, "DELETE", "/api/v1/plugins/greeter", "")
		p.want(404, "GET", "/api/v1/plugins/greeter", "")
	})
	t.Run("MultipartWithOptions", func(t *testing.T) {
		p.want(201, "POST", "/api/v1/plugins", "", form(t, map[string]string{"package": string(one),
			"options": `{"acceptPermissions":true,"enable":false,"config":{"tone":"warm"}}`}))
		if got := p.settled("disabled"); len(got["grants"].([]any)) != 1 || got["enabled"] != false {
			t.Errorf("the instance is %v", got)
		}
	})
}

func TestInstallRefuses(t *testing.T) {
	h := newHouse(t, func(s *api.Settings) { s.MaxUpload = 1 << 20 })
	p := h.admin()
	viewer := h.as(p.tenant, host.RoleViewer)
	one := packaged(t, "1.0.0")
	for _, tt := range []struct {
		name, path, body string
		edit             func(*http.Request)
		status           int
		want             string
	}{
		{"OtherMediaType", "", "x", header("Content-Type", "text/plain"), 400, "is not one of"},
		{"NoMediaType", "", "x", header("Content-Type", ""), 400, "is not one of"},
		{"NothingNamed", "", `{}`, nil, 400, "/body/bundled"},
		{"Both", "", `{"bundled":"a/b","path":"/x"}`, nil, 400, "not both"},
		{"PathOfTheServer", "", `{"path":"/etc"}`, nil, 403, "not installed from folders"},
		{"UnknownMember", "", `{"bundle":"a/b"}`, nil, 400, "unknown field"},
		{"WrongType", "", `{"bundled":3}`, nil, 400, "/body/bundled"},
		{"TwoValues", "", `{"bundled":"a/b"} {}`, nil, 400, "after the JSON value"},
		{"UnknownBundled", "", `{"bundled":"no/such"}`, nil, 404, "not-found"},
		{"Empty", "", "", upload(nil), 400, "no packaged file"},
		{"NotAPackage", "", "", upload([]byte("hello")), 400, "invalid-request"},
		{"TooLarge", "", "", upload(make([]byte, 2<<20)), 413, "too-large"},
		{"UnknownParameter", "?accept=true", "", upload(one), 400, "/query/accept"},
		{"BadParameter", "?enable=perhaps", "", upload(one), 400, "neither true nor false"},
		{"UnknownPart", "", "", form(t, map[string]string{"evil": "x"}), 400, "/body/evil"},
		{"NoBoundary", "", "x", header("Content-Type", "multipart/form-data"), 400, "no boundary"},
		{"BrokenForm", "", "x", header("Content-Type", "multipart/form-data; boundary=b"), 400, "no packaged file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			edits := []func(*http.Request){}
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			w := p.send("POST", "/api/v1/plugins"+tt.path, tt.body, edits...)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("answers %d %s", w.Code, w.Body)
			}
		})
	}
	t.Run("ViewerBeforeTheBodyIsRead", func(t *testing.T) {
		w := viewer.send("POST", "/api/v1/plugins", "", func(r *http.Request) {
			upload(one)(r)
			r.Body = unread{t}
		})
		if w.Code != 403 {
			t.Errorf("answers %d %s", w.Code, w.Body)
		}
	})
	t.Run("RelativePathInDevelopment", func(t *testing.T) {
		dev := newHouse(t, func(s *api.Settings) { s.LocalPaths = true })
		dev.admin().want(400, "POST", "/api/v1/plugins", `{"path":"plugins/x"}`)
	})
	t.Run("Twice", func(t *testing.T) {
		p.install()
		p.want(409, "POST", "/api/v1/plugins", "", upload(one))
	})
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) { u.t.Error("the body was read"); return 0, nil }
func (u unread) Close() error             { return nil }

func TestPluginOperations(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	p.install()
	viewer := h.as(p.tenant, host.RoleViewer)
	t.Run("HeadersAndBody", func(t *testing.T) {
		w := viewer.send("GET", "/api/plugins/greeter/greetings/a%2Fb", "")
		if w.Code != 200 || w.Header().Get("X-Greeter") != "yes" || !strings.Contains(w.Body.String(), "hello a/b of") ||
			w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("answers %d %s %v", w.Code, w.Body, w.Header())
		}
	})
	for _, tt := range []struct {
		name, method, path string
		who                person
		status             int
		want               string
	}{
		{"NoSuchOperation", "GET", "/api/plugins/greeter/nope", p, 404, "/problems/not-found"},
		{"NoSuchPlugin", "GET", "/api/plugins/nope/x", p, 404, "/problems/not-found"},
		{"RightIsMissing", "POST", "/api/plugins/greeter/greetings/you", viewer, 403, "/problems/forbidden"},
		{"BadParameter", "GET", "/api/plugins/greeter/greetings/" + strings.Repeat("x", 64), p, 400, "/problems/invalid-request"},
		{"UnknownParameter", "GET", "/api/plugins/greeter/greetings/you?x=1", p, 400, "/problems/invalid-request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tt.who.send(tt.method, tt.path, "")
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("answers %d %s", w.Code, w.Body)
			}
		})
	}
	t.Run("LiesAreNotPassedOn", func(t *testing.T) {
		h.guests.answer = func(context.Context, pluginv1.Call) pluginv1.Result {
			return pluginv1.Result{Body: json.RawMessage(`{"status":200,"body":{"greeting":3}}`)}
		}
		p.want(502, "GET", "/api/plugins/greeter/greetings/you", "")
	})
	t.Run("RetryAfter", func(t *testing.T) {
		h.guests.answer = func(context.Context, pluginv1.Call) pluginv1.Result {
			return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeRateLimited, Message: "slow down", RetryAfterSeconds: 30}}
		}
		w := p.send("GET", "/api/plugins/greeter/greetings/you", "")
		if w.Code != 429 || w.Header().Get("Retry-After") != "30" {
			t.Errorf("answers %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
		}
	})
}
