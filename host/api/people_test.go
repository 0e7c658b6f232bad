package api_test

import (
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
)

func TestUsers(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	made := p.want(201, "POST", "/api/v1/users", `{"email":"Ann@Acme.test","name":"Ann","role":"member","password":"four words in a row"}`)
	id, _ := made["id"].(string)
	if made["email"] != "ann@acme.test" || made["hasPassword"] != true || id == "" {
		t.Errorf("the user is %v", made)
	}
	if all := p.want(200, "GET", "/api/v1/users", ""); len(all["items"].([]any)) != 1 {
		t.Errorf("the users are %v", all)
	}
	p.want(409, "POST", "/api/v1/users", `{"email":"ann@acme.test","role":"viewer"}`)
	got := p.want(200, "PATCH", "/api/v1/users/"+id, `{"role":"viewer","disabled":true}`)
	if got["role"] != "viewer" || got["disabled"] != true || got["name"] != "Ann" {
		t.Errorf("the user is %v", got)
	}
	p.want(204, "PUT", "/api/v1/users/"+id+"/password", `{"password":"another four words here"}`)
	p.want(404, "PUT", "/api/v1/users/nope/password", `{"password":"another four words here"}`)
	for _, body := range []string{`{"email":"x","role":"member"}`, `{"email":"a@b.test","role":"root"}`, `{"email":"a@b.test"}`} {
		p.want(400, "POST", "/api/v1/users", body)
	}
	bad := p.send("POST", "/api/v1/users", `{"email":"a@b.test","role":"member","password":3}`)
	if bad.Code != 400 {
		t.Errorf("answers %d", bad.Code)
	}
	if w := p.send("POST", "/api/v1/users", `{"email":"a@b.test","role":"hunter2"}`); strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("what was sent is echoed: %s", w.Body)
	}
	h.as(p.tenant, host.RoleMember).want(403, "GET", "/api/v1/users", "")
}

func TestTokens(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	made := p.want(201, "POST", "/api/v1/tokens", `{"label":"ci","role":"viewer","expiresAt":"2999-01-01T00:00:00Z"}`)
	secret, _ := made["secret"].(string)
	id, _ := made["id"].(string)
	if !strings.HasPrefix(secret, "cb_") || made["role"] != "viewer" || made["expiresAt"] == nil {
		t.Fatalf("the token is %v", made)
	}
	ci := person{h: h, token: secret}
	if got := ci.want(200, "GET", "/api/v1/me", ""); got["role"] != "viewer" {
		t.Errorf("me is %v", got)
	}
	if w := p.send("GET", "/api/v1/tokens", ""); strings.Contains(w.Body.String(), secret) {
		t.Error("the list shows a secret")
	}
	child := ci.want(201, "POST", "/api/v1/tokens", `{"label":"of ci","role":"viewer"}`)
	if me := p.want(200, "GET", "/api/v1/me", ""); made["parent"] != me["id"] || child["parent"] != id {
		t.Errorf("parents are told as %v and %v", made["parent"], child["parent"])
	}
	p.want(204, "DELETE", "/api/v1/tokens/"+id, "")
	ci.want(401, "GET", "/api/v1/me", "")
	person{h: h, token: child["secret"].(string)}.want(401, "GET", "/api/v1/me", "")
	viewer := h.as(p.tenant, host.RoleViewer)
	if w := viewer.send("POST", "/api/v1/tokens", `{"label":"x","role":"admin"}`); w.Code != 403 && w.Code != 400 {
		t.Errorf("a viewer made an admin's token: %d %s", w.Code, w.Body)
	}
}

func TestAudit(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	p.register("a.yaml", component("cart", "service", "team-a"))
	p.want(201, "POST", "/api/v1/tokens", `{"label":"x"}`)
	one := p.want(200, "GET", "/api/v1/audit?limit=1", "")
	next, _ := one["next"].(string)
	if len(one["items"].([]any)) != 1 || next == "" || dig(one, "items", 0, "action") != "token.create" {
		t.Fatalf("the page is %v", one)
	}
	two := p.want(200, "GET", "/api/v1/audit?limit=1&cursor="+next, "")
	if dig(two, "items", 0, "seq") == dig(one, "items", 0, "seq") {
		t.Errorf("the second page is %v", two)
	}
	p.want(400, "GET", "/api/v1/audit?limit=0", "")
	h.as(p.tenant, host.RoleMember).want(403, "GET", "/api/v1/audit", "")
}
