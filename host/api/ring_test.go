package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/api"
	"github.com/callboard-dev/callboard/host/auth"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

func TestWhoAsks(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	nobody := person{h: h}
	for _, tt := range []struct {
		name   string
		who    person
		edits  []func(*http.Request)
		status int
		typ    string
	}{
		{"Token", p, nil, 200, ""},
		{"Nobody", nobody, nil, 401, "/problems/unauthenticated"},
		{"WrongToken", person{h: h, token: p.token + "x"}, nil, 401, "/problems/unauthenticated"},
		{"OtherScheme", nobody, []func(*http.Request){header("Authorization", "Basic YTpi")}, 401, "/problems/unauthenticated"},
		{"EmptyBearer", nobody, []func(*http.Request){header("Authorization", "Bearer ")}, 401, "/problems/unauthenticated"},
		{"SchemeInAnyCase", nobody, []func(*http.Request){header("Authorization", "bEaReR "+p.token)}, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tt.who.send("GET", "/api/v1/me", "", tt.edits...)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.typ) {
				t.Errorf("answers %d %s", w.Code, w.Body)
			}
			if tt.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
		})
	}
}

// A proxy in front may look at one of two headers and the portal at the other:
// what decides who asks is said once.
func TestRepeatedHeadersAreRefused(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	again := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, value) }
	}
	for name, edits := range map[string][]func(*http.Request){
		"Authorization":      {again("Authorization", "Bearer cb_other")},
		"SameAuthorization":  {again("Authorization", "Bearer "+p.token)},
		"EmptyAuthorization": {again("Authorization", "")},
		"Tenant":             {again("Callboard-Tenant", p.tenant.Slug), again("Callboard-Tenant", "globex")},
		"SameTenant":         {again("Callboard-Tenant", p.tenant.Slug), again("callboard-tenant", p.tenant.Slug)},
		"CSRF":               {again("Callboard-Csrf", "a"), again("Callboard-Csrf", "b")},
		"IdempotencyKey":     {again("Idempotency-Key", "a"), again("Idempotency-Key", "b")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/api/v1/me", "/api/catalog/entities", "/api/plugins/greeter/greetings/you"} {
				w := p.send("GET", path, "", edits...)
				if w.Code != 400 || !strings.Contains(w.Body.String(), "more than once") {
					t.Errorf("%s answers %d %s", path, w.Code, w.Body)
				}
			}
		})
	}
	p.want(200, "GET", "/api/v1/me", "", again("Callboard-Tenant", p.tenant.Slug))
}

func TestTenantsMustAgree(t *testing.T) {
	h := newHouse(t)
	acme, globex := h.newTenant("acme"), h.newTenant("globex")
	p := h.as(acme, host.RoleAdmin)
	q := h.as(globex, host.RoleAdmin)
	for _, tt := range []struct {
		name   string
		edits  []func(*http.Request)
		status int
	}{
		{"TokenAlone", nil, 200},
		{"SameHeader", []func(*http.Request){header("Callboard-Tenant", "acme")}, 200},
		{"SameHost", []func(*http.Request){header("Host", "acme.portal.test:8080")}, 200},
		{"SameHostInCapitals", []func(*http.Request){header("Host", "ACME.portal.test")}, 200},
		{"ForeignHostName", []func(*http.Request){header("Host", "elsewhere.test")}, 200},
		{"OtherHeader", []func(*http.Request){header("Callboard-Tenant", "globex")}, 403},
		{"OtherHost", []func(*http.Request){header("Host", "globex.portal.test")}, 403},
		{"HostAgainstHeader", []func(*http.Request){header("Host", "acme.portal.test"), header("Callboard-Tenant", "globex")}, 403},
		{"UnknownTenant", []func(*http.Request){header("Callboard-Tenant", "nobody")}, 403},
		{"SQL", []func(*http.Request){header("Callboard-Tenant", `acme"; drop table users; --`)}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := p.send("GET", "/api/v1/me", "", tt.edits...)
			if w.Code != tt.status || tt.status == 403 && !strings.Contains(w.Body.String(), "/problems/tenant-mismatch") {
				t.Errorf("answers %d %s", w.Code, w.Body)
			}
		})
	}
	t.Run("NothingIsShared", func(t *testing.T) {
		id := p.register("secret.yaml", component("secret-project", "service", "team-a"))
		if got := q.want(200, "GET", "/api/v1/entities", ""); got["total"] != float64(0) {
			t.Errorf("the other tenant sees %v", got)
		}
		q.want(404, "GET", "/api/v1/entities/component/default/secret-project", "")
		q.want(404, "GET", "/api/v1/locations/"+id, "")
		q.want(404, "DELETE", "/api/v1/locations/"+id, "")
		q.want(404, "GET", "/api/catalog/entities/by-name/component/default/secret-project", "")
		p.install()
		q.want(404, "GET", "/api/v1/plugins/greeter", "")
		q.want(404, "GET", "/api/plugins/greeter/greetings/you", "")
		if doc := q.send("GET", "/openapi.json", "").Body.String(); strings.Contains(doc, "greet") {
			t.Error("the other tenant's document has the plugin's operations")
		}
	})
}

func TestBrowserSessions(t *testing.T) {
	h := newHouse(t)
	acme := h.newTenant("acme")
	ctx := context.Background()
	u, err := h.auth.CreateUser(ctx, host.System(acme, "operator"), auth.NewUser{Email: "ann@acme.test", Name: "Ann", Role: host.RoleAdmin, Password: "four words in a row"})
	must(t, err)
	s, err := h.auth.Login(ctx, "acme", u.Email, "four words in a row")
	must(t, err)
	p := person{h: h, tenant: acme}
	cookie := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: api.SessionCookie, Value: s.Value}) }
	if got := p.want(200, "GET", "/api/v1/me", "", cookie); got["kind"] != "user" {
		t.Errorf("me is %v", got)
	}
	const body = `{"label":"mine"}`
	t.Run("ForeignPageIsRefused", func(t *testing.T) {
		for _, site := range []string{"", "cross-site", "same-site", "none"} {
			got := p.want(403, "POST", "/api/v1/tokens", body, cookie, header("Sec-Fetch-Site", site))
			if got["type"] != "/problems/forbidden" {
				t.Errorf("%q: %v", site, got)
			}
		}
		p.want(403, "POST", "/api/v1/tokens", body, cookie, header(api.CSRFHeader, "guessed"))
	})
	t.Run("OwnPageIsNot", func(t *testing.T) {
		p.want(201, "POST", "/api/v1/tokens", body, cookie, header("Sec-Fetch-Site", "same-origin"))
		p.want(201, "POST", "/api/v1/tokens", body, cookie, header(api.CSRFHeader, h.auth.CSRF(s.Value)))
	})
	t.Run("TokenNeedsNone", func(t *testing.T) {
		h.as(acme, host.RoleAdmin).want(201, "POST", "/api/v1/tokens", body, header("Sec-Fetch-Site", "cross-site"))
	})
}

var tracePattern = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`)

func TestEveryAnswer(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	for _, path := range []string{"/api/v1/me", "/api/v1/nope", "/api/catalog/entities", "/openapi.json", "/problems/not-found", "/nowhere", "/api/plugins/x/y"} {
		w := p.send("GET", path, "")
		hd := w.Header()
		if !tracePattern.MatchString(hd.Get("Traceparent")) || hd.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(hd.Get("Content-Security-Policy"), "frame-ancestors 'none'") || hd.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s answers without %v", path, hd)
		}
	}
	w := p.send("GET", "/api/v1/nope", "")
	var problem api.Problem
	must(t, json.Unmarshal(w.Body.Bytes(), &problem))
	if w.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(w.Header().Get("Traceparent"), problem.TraceID) || problem.TraceID == "" {
		t.Errorf("the problem is %+v", problem)
	}
}

func TestPathsThatAreNot(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	t.Run("NotFound", func(t *testing.T) {
		if got := p.want(404, "GET", "/api/v2/entities", ""); got["type"] != "/problems/not-found" {
			t.Errorf("the problem is %v", got)
		}
	})
	t.Run("MethodNotAllowed", func(t *testing.T) {
		w := p.send("PUT", "/api/v1/locations", "{}")
		if w.Code != 405 || w.Header().Get("Allow") != "GET, POST" {
			t.Errorf("answers %d, Allow %q", w.Code, w.Header().Get("Allow"))
		}
	})
	t.Run("InBackstagesForm", func(t *testing.T) {
		got := p.want(404, "GET", "/api/catalog/nope", "")
		if dig(got, "error", "name") != "NotFoundError" || dig(got, "response", "statusCode") != float64(404) || dig(got, "request", "url") != "/api/catalog/nope" {
			t.Errorf("the error is %v", got)
		}
	})
	t.Run("UnknownParameter", func(t *testing.T) {
		if got := p.want(400, "GET", "/api/v1/entities?kinds=x", ""); dig(got, "errors", 0, "pointer") != "/query/kinds" {
			t.Errorf("the problem is %v", got)
		}
	})
	t.Run("ProblemPages", func(t *testing.T) {
		w := person{h: h}.send("GET", "/problems/tenant-mismatch", "")
		if w.Code != 200 || !strings.Contains(w.Body.String(), "HTTP 403") {
			t.Errorf("answers %d %s", w.Code, w.Body)
		}
		if w := (person{h: h}).send("GET", "/problems/unheard-of", ""); w.Code != 404 {
			t.Errorf("answers %d", w.Code)
		}
	})
}

// panics is an authenticator that panics.
type panics struct{ api.Authenticator }

func (panics) Authenticate(context.Context, auth.Credentials) (host.Caller, error) {
	panic("deep secret")
}

func TestPanicBecomesAProblem(t *testing.T) {
	h := newHouse(t, func(s *api.Settings) { s.Auth = panics{} })
	w := person{h: h}.send("GET", "/api/v1/me", "")
	if w.Code != 500 || !strings.Contains(w.Body.String(), "/problems/internal") || strings.Contains(w.Body.String(), "deep secret") {
		t.Errorf("answers %d %s", w.Code, w.Body)
	}
	if !strings.Contains(h.log.String(), "deep secret") || !strings.Contains(h.log.String(), "ring_test.go") {
		t.Errorf("the log is %s", h.log)
	}
}

func TestInternalsAreNotShown(t *testing.T) {
	r := httptest.NewRequest("GET", "/api/v1/x", nil)
	for _, err := range []error{
		context.DeadlineExceeded,
		host.Errorf(host.CodeInternal, "reading /var/lib/callboard/control.db: disk I/O error"),
		host.Errorf(host.CodeUpstream, "The server failed."),
	} {
		w := httptest.NewRecorder()
		api.Fail(w, r, err)
		if strings.Contains(w.Body.String(), "/var/lib") || strings.Contains(w.Body.String(), "deadline") || w.Code < 500 {
			t.Errorf("%v answers %d %s", err, w.Code, w.Body)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	key := func(k string) func(*http.Request) { return header(api.IdempotencyHeader, k) }
	body := `{"type":"file","target":"` + h.write("a.yaml", component("cart", "service", "team-a")) + `"}`

	t.Run("RepeatedIsAnsweredAlike", func(t *testing.T) {
		one := p.send("POST", "/api/v1/locations", body, key("k1"))
		two := p.send("POST", "/api/v1/locations", body, key("k1"))
		if one.Code != 201 || two.Code != 201 || one.Body.String() != two.Body.String() || two.Header().Get("Idempotent-Replayed") != "true" ||
			one.Header().Get("Location") != two.Header().Get("Location") || two.Header().Get("Content-Type") != one.Header().Get("Content-Type") {
			t.Errorf("answers %d %s and %d %s", one.Code, one.Body, two.Code, two.Body)
		}
	})
	t.Run("AnotherBodyIsAConflict", func(t *testing.T) {
		if got := p.want(409, "POST", "/api/v1/locations", `{"target":"/x"}`, key("k1")); got["type"] != "/problems/conflict" {
			t.Errorf("the problem is %v", got)
		}
	})
	t.Run("KeysBelongToTheirOwner", func(t *testing.T) {
		w := h.as(p.tenant, host.RoleAdmin).send("POST", "/api/v1/locations?dryRun=true", body, key("k1"))
		if w.Code != 200 {
			t.Errorf("another principal's key answers %d %s", w.Code, w.Body)
		}
	})
	t.Run("RefusalsAreRemembered", func(t *testing.T) {
		p.want(400, "POST", "/api/v1/locations", `{}`, key("k2"))
		if w := p.send("POST", "/api/v1/locations", `{}`, key("k2")); w.Code != 400 || w.Header().Get("Idempotent-Replayed") == "" {
			t.Errorf("answers %d", w.Code)
		}
	})
	t.Run("SecretsAreNotKept", func(t *testing.T) {
		one := p.want(201, "POST", "/api/v1/tokens", `{"label":"x"}`, key("k3"))
		got := p.want(409, "POST", "/api/v1/tokens", `{"label":"x"}`, key("k3"))
		if one["secret"] == nil || strings.Contains(got["detail"].(string), "cb_") {
			t.Errorf("answers %v and %v", one, got)
		}
		if all := p.want(200, "GET", "/api/v1/tokens", ""); len(all["items"].([]any)) != 3 {
			t.Errorf("the repetition made another token: %v", all)
		}
	})
	t.Run("ReadsIgnoreIt", func(t *testing.T) {
		p.want(200, "GET", "/api/v1/me", "", key("k1"))
	})
	t.Run("TooLong", func(t *testing.T) {
		p.want(400, "POST", "/api/v1/locations", body, key(strings.Repeat("k", 300)))
	})
	t.Run("OnceAmongMany", func(t *testing.T) {
		p.install()
		var mu sync.Mutex
		calls := 0
		h.guests.answer = func(context.Context, pluginv1.Call) pluginv1.Result {
			mu.Lock()
			defer mu.Unlock()
			calls++
			return pluginv1.Result{Body: json.RawMessage(`{"status":200,"body":{"greeting":"hey"}}`)}
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if w := p.send("POST", "/api/plugins/greeter/greetings/you", "", key("k4")); w.Code != 200 && w.Code != 409 {
					t.Errorf("answers %d %s", w.Code, w.Body)
				}
			})
		}
		wg.Wait()
		if calls != 1 {
			t.Errorf("the plugin was called %d times", calls)
		}
	})
	t.Run("FailuresMayBeTriedAgain", func(t *testing.T) {
		h.guests.answer = func(context.Context, pluginv1.Call) pluginv1.Result {
			return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeUpstream, Message: "away"}}
		}
		p.want(502, "POST", "/api/plugins/greeter/greetings/you", "", key("k5"))
		h.guests.answer = nil
		p.want(200, "POST", "/api/plugins/greeter/greetings/you", "", key("k5"))
	})
}
