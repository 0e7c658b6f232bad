package api_test

import (
	"context"
	"net/http"
	"testing"

	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// TestPluginKeeping: what a plugin used, how much it may use, and what happens
// when it fails, as the API tells and sets it.
func TestPluginKeeping(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	const at = "/api/v1/plugins/greeter"
	w := p.send("POST", "/api/v1/plugins", "", upload(packaged(t, "1.0.0")))
	if w.Code != 201 {
		t.Fatalf("installing answers %d %s", w.Code, w.Body)
	}
	digest := p.want(200, "GET", at, "")["digest"].(string)
	p.want(200, "PUT", at+"/grants", `{"grants":[{"type":"http/v1","reason":"To ask how to greet.","hosts":["https://example.com"]}]}`)
	p.want(200, "PUT", at+"/config", `{"secrets":{"key":"k"}}`)
	p.want(200, "POST", at+"/enable", "")
	p.settled("active")

	t.Run("Usage", func(t *testing.T) {
		w := p.send("GET", "/api/plugins/greeter/greetings/you", "")
		if w.Code != 200 || w.Header().Get("Server-Timing") == "" {
			t.Fatalf("answers %d, %v", w.Code, w.Header())
		}
		got := p.want(200, "GET", at+"/usage", "")
		if dig(got, "total", "calls") != 1.0 || dig(got, "capabilities", 0, "capability") != "route/v1" || dig(got, "items", 0, "errors") != 0.0 || got["step"] != "hour" {
			t.Errorf("the report is %v", got)
		}
		if got := p.want(200, "GET", at+"/usage?step=day&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", ""); len(got["items"].([]any)) != 0 {
			t.Errorf("a day without calls: %v", got)
		}
		p.want(400, "GET", at+"/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "")
	})
	t.Run("Quota", func(t *testing.T) {
		if got := p.want(200, "PUT", at+"/quota", `{"callsPerMinute":1}`); dig(got, "effective", "callsPerMinute") != 1.0 {
			t.Fatalf("the quota is %v", got)
		}
		p.send("GET", "/api/plugins/greeter/greetings/you", "")
		w := p.send("GET", "/api/plugins/greeter/greetings/you", "")
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
			t.Errorf("beyond it: %d, %v", w.Code, w.Header())
		}
		p.want(200, "PUT", at+"/quota", `{}`)
		if got := p.want(200, "GET", at+"/quota", ""); len(got["effective"].(map[string]any)) != 0 {
			t.Errorf("after it was removed: %v", got)
		}
	})
	t.Run("Evidence", func(t *testing.T) {
		got := p.want(200, "GET", at+"/evidence", "")
		if dig(got, "items", 0, "used") != false || dig(got, "items", 0, "grant", "type") != "http/v1" {
			t.Errorf("the evidence is %v", got)
		}
		if got := p.want(200, "POST", at+"/narrow", ""); len(got["grants"].([]any)) != 0 {
			t.Errorf("what was not used is still granted: %v", got["grants"])
		}
	})
	t.Run("Pin", func(t *testing.T) {
		p.want(409, "PUT", at+"/pin", `{"pinned":true,"digest":"sha256:other"}`)
		if got := p.want(200, "PUT", at+"/pin", `{"pinned":true,"digest":"`+digest+`"}`); got["pinned"] != true {
			t.Errorf("it is %v", got["pinned"])
		}
		if w := p.send("POST", at+"/upgrade", "", upload(packaged(t, "1.1.0"))); w.Code != 409 {
			t.Errorf("upgrading what is pinned answers %d", w.Code)
		}
		p.want(200, "PUT", at+"/pin", `{"pinned":false}`)
	})
	t.Run("Limits", func(t *testing.T) {
		got := p.want(200, "PUT", at+"/limits", `{"fuel":123456,"memory":"32MiB"}`)
		if dig(got, "policy", "limits", "fuel") != 123456.0 {
			t.Errorf("the policy is %v", got["policy"])
		}
		if got := p.want(200, "GET", at+"/health", ""); dig(got, "limits", "fuel") != 123456.0 || dig(got, "limits", "memoryBytes") != float64(32<<20) || dig(got, "breaker", "phase") != "closed" || dig(got, "sandbox", "path") != "fresh" {
			t.Errorf("the health is %v", got)
		}
		p.want(400, "PUT", at+"/limits", `{"memory":"999GiB"}`)
	})
	t.Run("FailureAndRetry", func(t *testing.T) {
		p.want(200, "PUT", at+"/failure", `{"capability":"route/v1","policy":"stale","staleFor":"5m"}`)
		p.want(200, "GET", "/api/plugins/greeter/greetings/me", "")
		h.guests.answer = func(context.Context, pluginv1.Call) pluginv1.Result {
			return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeInternal, Message: "broken"}}
		}
		w := p.send("GET", "/api/plugins/greeter/greetings/me", "")
		if w.Code != 200 || w.Header().Get("Callboard-Stale") == "" {
			t.Errorf("while it fails: %d, %v", w.Code, w.Header())
		}
		if w := p.send("GET", "/api/plugins/greeter/greetings/other", ""); w.Code != http.StatusBadGateway {
			t.Errorf("what was never asked: %d", w.Code)
		}
		if got := p.want(200, "POST", at+"/retry", ""); got["state"] != "active" {
			t.Errorf("after the retry it is %v", got["state"])
		}
		p.want(400, "PUT", at+"/failure", `{"capability":"view/v1","policy":"open"}`)
		if got := p.want(200, "PUT", at+"/failure", `{"capability":"route/v1","policy":"manifest"}`); dig(got, "policy", "failure") != nil {
			t.Errorf("the policy is %v", got["policy"])
		}
	})
}
