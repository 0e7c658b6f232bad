package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/web"
	"github.com/callboard-dev/callboard/host/web/webtest"
)

func TestActions(t *testing.T) {
	tests := map[string]struct {
		request  *http.Request
		call, to string
	}{
		"register":                 {post("/catalog/register", "do", "register", "type", "url", "target", " https://a.example/c.yaml "), "Register url https://a.example/c.yaml dryRun=false", "/catalog/problems"},
		"refresh a location":       {post("/catalog/locations/l1/refresh"), "Refresh l1", "/catalog/locations"},
		"remove a location":        {post("/catalog/locations/l1/remove"), "Unregister l1", "/catalog/locations"},
		"refresh an entity":        {post(entity + "/refresh"), "Refresh component:default/payments-api", entity},
		"remove an orphan":         {post("/catalog/default/component/invoice-pdf/remove"), "Delete component:default/invoice-pdf", "/catalog"},
		"install":                  {post("/plugins/install", "bundled", "callboard/metrics", "digest", webtest.New(now).Offered[0].Digest, "grant", "0", "config/apiUrl", "https://a.example", "config/days", "30", "secret.token", "s3", "enable", "true"), `Install callboard/metrics grants=1 config={"apiUrl":"https://a.example","days":30} secrets=map[token:s3] enable=true`, "/plugins/builds"},
		"install, nothing granted": {post("/plugins/install", "bundled", "callboard/metrics", "digest", webtest.New(now).Offered[0].Digest), `Install callboard/metrics grants=0 config={} secrets=map[] enable=false`, "/plugins/builds"},
		"upgrade":                  {post("/plugins/install", "bundled", "callboard/builds", "digest", webtest.New(now).Offered[1].Digest), "Upgrade callboard/builds all=true", "/plugins/builds"},
		"upload":                   {upload(t, "package", webtest.CSRF), "Install  grants=0 config= secrets=map[] enable=false", "/plugins/builds"},
		"approve an upgrade":       {post("/plugins/argo-cd/grant", "all", "true", "digest", webtest.New(now).Installed[0].Pending.Digest), "Grant callboard/argo-cd 4", "/plugins/argo-cd"},
		"grant some":               {post("/plugins/builds/grant", "digest", webtest.New(now).Installed[1].Digest, "grant", "0", "grant", "7", "grant", "x"), "Grant callboard/builds 1", "/plugins/builds"},
		"configure":                {post("/plugins/builds/config", "config/days", "7", "secret.token.remove", "true"), `Configure callboard/builds {"days":7} map[token:]`, "/plugins/builds?tab=configuration"},
		"enable":                   {post("/plugins/builds/enable"), "Enable builds", "/plugins/builds"},
		"disable":                  {post("/plugins/builds/disable"), "Disable builds", "/plugins/builds"},
		"roll back":                {post("/plugins/argo-cd/rollback"), "Rollback argo-cd", "/plugins/argo-cd"},
		"retry":                    {post("/plugins/builds/retry"), "Retry builds", "/plugins/builds"},
		"narrow":                   {post("/plugins/argo-cd/narrow"), "Narrow argo-cd", "/plugins/argo-cd?tab=permissions"},
		"set a quota":              {post("/plugins/builds/quota", "callsPerMinute", "60", "fuelPerDay", ""), "SetQuota callboard/builds 60 0", "/plugins/builds?tab=usage"},
		"say what is recorded":     {post("/plugins/builds/recording-rule", "percent", "25", "days", "2", "most", "10"), "SetRule callboard/builds 0.25 48h0m0s 10", "/plugins/builds?tab=recordings"},
		"uninstall":                {post("/plugins/builds/uninstall"), "Uninstall builds", "/plugins"},
		"run an operation":         {post("/-/actions/builds", "operation", "buildsRerun", "param.run", "812", "next", entity), "Invoke builds buildsRerun map[run:812] ", entity},
		"run with fields":          {post("/-/actions/builds", "operation", "buildsRerun", "kind.run", "number", "field.run", "812", "kind.dry", "checkbox", "kind.n", "number", "field.n", "2.5", "kind.ref", "text", "field.ref", "main", "kind.none", "text"), `Invoke builds buildsRerun map[run:812] {"dry":false,"n":2.5,"ref":"main"}`, "/"},
		"never leads elsewhere":    {post("/-/actions/builds", "operation", "buildsRerun", "next", "https://evil.example"), "Invoke builds buildsRerun map[] ", "/"},
		"change the password":      {post("/settings/password", "current", webtest.Password, "new", "another one"), "ChangePassword changed", "/settings"},
		"end a session":            {post("/settings/sessions/s2/revoke"), "RevokeSession s2", "/settings"},
		"revoke a token":           {post("/settings/tokens/k7f3/revoke"), "RevokeToken k7f3", "/settings/tokens"},
		"add somebody":             {post("/settings/members", "email", "new@northwind.example", "role", "member", "password", "long enough"), "CreateUser new@northwind.example member", "/settings/members"},
		"change a role":            {post("/settings/members/u2/change", "role", "admin"), "UpdateUser u2 role admin", "/settings/members"},
		"disable somebody":         {post("/settings/members/u2/change", "disabled", "true"), "UpdateUser u2 disabled true", "/settings/members"},
		"link to the catalog":      {post("/settings/members/u2/change", "link", "true", "entity", " user:default/jonas "), "UpdateUser u2 entity user:default/jonas", "/settings/members"},
		"sign out":                 {post("/logout"), "Logout " + webtest.Session, "/login"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rooms := webtest.New(now)
			r := send(handler(t, rooms), test.request)
			if !called(rooms, test.call) {
				t.Errorf("%q was not called, but %q", test.call, rooms.Calls)
			}
			if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != test.to {
				t.Errorf("got status %d to %q: %s", r.StatusCode, r.Header.Get("Location"), body(t, r))
			}
		})
	}
}

func TestFormsWithoutTheTokenChangeNothing(t *testing.T) {
	paths := []string{"/catalog/register", "/catalog/locations/l1/remove", entity + "/remove", "/plugins/install", "/plugins/builds/uninstall", "/plugins/builds/grant", "/plugins/builds/config", "/-/actions/builds",
		"/settings/theme", "/settings/password", "/settings/tokens", "/settings/tokens/k/revoke", "/settings/sessions/s/revoke", "/settings/members", "/settings/members/u2/link", "/settings/members/u2/change", "/logout"}
	for _, path := range paths {
		for name, token := range map[string]string{"none": "", "of another session": "csrf-of-somebody"} {
			t.Run(path+", token "+name, func(t *testing.T) {
				rooms := webtest.New(now)
				request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(url.Values{"csrf": {token}}.Encode()))
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r := send(handler(t, rooms), request)
				if r.StatusCode != http.StatusForbidden || len(rooms.Calls) > 0 {
					t.Errorf("got status %d and calls %q", r.StatusCode, rooms.Calls)
				}
			})
		}
	}
	rooms := webtest.New(now)
	if r := send(handler(t, rooms), upload(t, "package", "forged")); r.StatusCode != http.StatusForbidden || len(rooms.Calls) > 0 {
		t.Errorf("a forged upload got status %d and calls %q", r.StatusCode, rooms.Calls)
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	for _, path := range []string{"/login", "/login/link", "/logout", "/catalog/register"} {
		rooms := webtest.New(now)
		request := post(path, "email", webtest.Email, "password", webtest.Password, "token", webtest.LinkToken)
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		if r := send(handler(t, rooms), request); r.StatusCode != http.StatusForbidden || len(rooms.Calls) > 0 {
			t.Errorf("%s got status %d and calls %q", path, r.StatusCode, rooms.Calls)
		}
	}
}

func TestSigningIn(t *testing.T) {
	t.Run("with the password, to where one was going", func(t *testing.T) {
		r := bare(handler(t, webtest.New(now)), post("/login", "email", webtest.Email, "password", webtest.Password, "next", "/catalog?kind=API"))
		if r.Header.Get("Location") != "/catalog?kind=API" {
			t.Errorf("went to %q", r.Header.Get("Location"))
		}
		cookie := r.Cookies()[0]
		if cookie.Name != "callboard_session" || cookie.Value != webtest.Session || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure {
			t.Errorf("got the cookie %v", cookie)
		}
	})
	t.Run("never on to another site", func(t *testing.T) {
		for _, next := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/a\r\nSet-Cookie: x=y", "evil"} {
			r := bare(handler(t, webtest.New(now)), post("/login", "email", webtest.Email, "password", webtest.Password, "next", next))
			if r.Header.Get("Location") != "/" {
				t.Errorf("%q went to %q", next, r.Header.Get("Location"))
			}
		}
	})
	t.Run("with a wrong password shows why and keeps the address", func(t *testing.T) {
		r := bare(handler(t, webtest.New(now)), post("/login", "email", webtest.Email, "password", "wrong"))
		text := body(t, r)
		if r.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "is not right") || !strings.Contains(text, webtest.Email) || strings.Contains(text, `value="wrong"`) || len(r.Cookies()) > 0 {
			t.Errorf("got status %d and %s", r.StatusCode, text)
		}
		sound(t, r, text)
	})
	t.Run("too often says when to try again", func(t *testing.T) {
		rooms := webtest.New(now)
		rooms.Fail["Login"] = &host.Error{Code: host.CodeRateLimited, Message: "Too many attempts.", RetryAfter: 61 * time.Second}
		r := bare(handler(t, rooms), post("/login", "email", webtest.Email, "password", "x"))
		if text := body(t, r); r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") != "61" || !strings.Contains(text, "Try again in 1 min") {
			t.Errorf("got status %d and %s", r.StatusCode, text)
		}
	})
	t.Run("under TLS the cookie is secure", func(t *testing.T) {
		s := webtest.New(now).Settings()
		s.PublicURL = "https://portal.example"
		r := bare(web.New(s), post("/login", "email", webtest.Email, "password", webtest.Password))
		if !r.Cookies()[0].Secure {
			t.Error("the cookie is not secure")
		}
	})
	t.Run("by a host name of the tenant", func(t *testing.T) {
		rooms := webtest.New(now)
		s := rooms.Settings()
		s.BaseDomain = "portal.example"
		request := post("/login", "email", webtest.Email, "password", webtest.Password, "tenant", "other")
		request.Host = "Northwind.portal.example:8080"
		bare(web.New(s), request)
		if !called(rooms, "Login northwind "+webtest.Email) {
			t.Errorf("got %q", rooms.Calls)
		}
	})
}

func TestOneTimeLinks(t *testing.T) {
	rooms := webtest.New(now)
	h := handler(t, rooms)
	for range 3 { // a mail program looks at it
		r := bare(h, get("/login/link?token="+webtest.LinkToken))
		text := body(t, r)
		if r.StatusCode != http.StatusOK || !strings.Contains(text, "works once") {
			t.Fatalf("got status %d", r.StatusCode)
		}
		sound(t, r, text)
	}
	if len(rooms.Calls) > 0 {
		t.Errorf("looking used the link: %q", rooms.Calls)
	}
	if r := bare(h, post("/login/link", "token", webtest.LinkToken)); r.Header.Get("Location") != "/" || len(r.Cookies()) != 1 {
		t.Errorf("got status %d to %q", r.StatusCode, r.Header.Get("Location"))
	}
	if r := bare(h, post("/login/link", "token", webtest.LinkToken)); r.StatusCode != http.StatusUnauthorized || len(r.Cookies()) > 0 {
		t.Errorf("a used link has status %d", r.StatusCode)
	}
	if r := bare(h, get("/login/link")); r.StatusCode != http.StatusNotFound {
		t.Errorf("a link without a token has status %d", r.StatusCode)
	}
}

func TestSecretsAreShownOnce(t *testing.T) {
	rooms := webtest.New(now)
	h := handler(t, rooms)
	r := send(h, post("/settings/tokens", "label", "ci", "role", "member", "days", "30", "scopes", "catalog.* plugin.*"))
	if text := body(t, r); !strings.Contains(text, "cb_k0_secretshownonce") || len(r.Cookies()) > 0 {
		t.Error("the new token is not in the answer, or in a cookie too")
	}
	if !called(rooms, "CreateToken ci member [catalog.* plugin.*]") {
		t.Errorf("got %q", rooms.Calls)
	}
	if strings.Contains(body(t, send(h, get("/settings/tokens"))), "secretshownonce") {
		t.Error("the token is shown again")
	}
	r = send(h, post("/settings/members", "email", "new@northwind.example", "role", "viewer"))
	if text := body(t, r); r.StatusCode != http.StatusNotFound && !strings.Contains(text, "fresh-link") {
		t.Errorf("got status %d and %s", r.StatusCode, text)
	}
	r = send(h, post("/settings/members/u2/link"))
	if text := body(t, r); !strings.Contains(text, "http://example.com/login/link?token=fresh-link") {
		t.Errorf("got %s", text)
	}
}

func TestPreviewingALocationChangesNothing(t *testing.T) {
	rooms := webtest.New(now)
	h := handler(t, rooms)
	r := send(h, post("/catalog/register", "do", "preview", "type", "", "target", "https://a.example/c.yaml"))
	text := body(t, r)
	if !called(rooms, "Register  https://a.example/c.yaml dryRun=true") || len(rooms.Calls) != 1 {
		t.Errorf("got %q", rooms.Calls)
	}
	for _, want := range []string{"refunds", "catalog-info.yaml:14", "Register 3 entities", "write for example lifecycle: production"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not shown", want)
		}
	}
	sound(t, r, text)
	rooms.Fail["Register"] = host.Errorf(host.CodeUpstream, "The server answered 404.").WithHint("Check the address.").At("https://a.example/c.yaml")
	r = send(h, post("/catalog/register", "do", "register", "target", "https://a.example/c.yaml"))
	if text := body(t, r); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, "The server answered 404.") || !strings.Contains(text, "Check the address.") {
		t.Errorf("got status %d and %s", r.StatusCode, text)
	}
}

func TestInputsThatCannotBeUsedComeBackWithTheirErrors(t *testing.T) {
	invalid := &host.Error{Code: host.CodeInvalid, Message: "The configuration is not valid.", Fields: []host.FieldError{{Pointer: "/apiUrl", Message: "must be an address"}}}
	tests := map[string]struct {
		method  string
		err     error
		request *http.Request
		want    string
	}{
		"a number that is none":   {"", nil, post("/plugins/builds/config", "config/days", "many"), "Write a whole number"},
		"what the schema refuses": {"Configure", invalid, post("/plugins/builds/config", "config/apiUrl", "x"), "must be an address"},
		"at install":              {"Install", invalid, post("/plugins/install", "bundled", "callboard/metrics", "digest", webtest.New(now).Offered[0].Digest, "config/apiUrl", "x"), "must be an address"},
		"a token":                 {"CreateToken", host.Errorf(host.CodeInvalid, "The label is too long."), post("/settings/tokens", "label", "x", "role", "admin", "days", "7"), "The label is too long."},
		"an expiry":               {"", nil, post("/settings/tokens", "label", "x", "role", "admin", "days", "-1"), "not a number of days"},
		"somebody who is there":   {"CreateUser", host.Errorf(host.CodeConflict, "Somebody has the address already."), post("/settings/members", "email", "x@y.example", "role", "viewer"), "Somebody has the address already."},
		"a quota":                 {"", nil, post("/plugins/builds/quota", "callsPerMinute", "many"), "callsPerMinute must be a whole number"},
		"a share of calls":        {"", nil, post("/plugins/builds/recording-rule", "percent", "200", "days", "1", "most", "1"), "must be between 0 and 1"},
		"a number of recordings":  {"", nil, post("/plugins/builds/recording-rule", "percent", "2", "days", "1", "most", "x"), "most must be a number"},
		"a password":              {"", nil, post("/settings/password", "current", "wrong", "new", "x"), "The current password is not right."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rooms := webtest.New(now)
			if test.method != "" {
				rooms.Fail[test.method] = test.err
			}
			r := send(handler(t, rooms), test.request)
			text := body(t, r)
			if r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, test.want) {
				t.Errorf("got status %d without %q: %s", r.StatusCode, test.want, text)
			}
			sound(t, r, text)
		})
	}
}

func TestAReleaseThatChangedMeanwhileIsReviewedAgain(t *testing.T) {
	rooms := webtest.New(now)
	h := handler(t, rooms)
	for _, r := range []*http.Request{post("/plugins/install", "bundled", "callboard/metrics", "digest", "sha256:old"), post("/plugins/argo-cd/grant", "all", "true", "digest", "sha256:old")} {
		if got := send(h, r); got.StatusCode != http.StatusConflict || len(rooms.Calls) > 0 {
			t.Errorf("got status %d and calls %q", got.StatusCode, rooms.Calls)
		}
	}
}

func TestCompilingShowsItsProgress(t *testing.T) {
	rooms := webtest.New(now)
	rooms.Installed[1].State = plugin.StateCompiling
	rooms.Installed[1].Progress = &plugin.Progress{Phase: "compiling", Fraction: 0.4, StartedAt: now}
	h := handler(t, rooms)
	if text := body(t, send(h, get("/plugins/builds"))); !strings.Contains(text, `value="40"`) || !strings.Contains(text, `hx-get="/plugins/builds/progress"`) {
		t.Error("the page shows no progress")
	}
	if text := body(t, send(h, get("/plugins/builds/progress"))); !strings.Contains(text, "compiling, 40 %") {
		t.Errorf("got %s", text)
	}
	rooms.Installed[1].Progress = nil
	if r := send(h, get("/plugins/builds/progress")); r.Header.Get("HX-Refresh") != "true" {
		t.Error("the page is not loaded again when it is done")
	}
}

func TestConsentIsAskedFirst(t *testing.T) {
	rooms := webtest.New(now)
	rooms.Installed[1].Enabled, rooms.Installed[1].Grants, rooms.Installed[1].State = false, nil, plugin.StateDisabled
	h := handler(t, rooms)
	text := body(t, send(h, get("/plugins/builds")))
	if !strings.Contains(text, "It waits for your consent") || strings.Contains(text, `action="/plugins/builds/enable"`) {
		t.Error("the plugin can be enabled without consent")
	}
	send(h, post("/plugins/builds/grant", "digest", rooms.Installed[1].Digest, "grant", "0"))
	if !called(rooms, "Grant callboard/builds 1") || !called(rooms, "Enable callboard/builds") {
		t.Errorf("got %q", rooms.Calls)
	}
}

func TestTheThemeIsRemembered(t *testing.T) {
	h := handler(t, webtest.New(now))
	r := send(h, post("/settings/theme", "theme", "dark", "next", "/catalog"))
	if c := r.Cookies(); len(c) != 1 || c[0].Value != "dark" || r.Header.Get("Location") != "/catalog" {
		t.Errorf("got %v to %q", c, r.Header.Get("Location"))
	}
	page := get("/")
	page.AddCookie(&http.Cookie{Name: "callboard_theme", Value: "dark"})
	if !strings.Contains(body(t, send(h, page)), `data-theme="dark"`) {
		t.Error("the page is not dark")
	}
	page = get("/")
	page.AddCookie(&http.Cookie{Name: "callboard_theme", Value: `x"><script>`})
	if strings.Contains(body(t, send(h, page)), "data-theme") {
		t.Error("an unknown theme is taken")
	}
	if r := send(h, post("/settings/theme", "theme", "pink")); r.StatusCode != http.StatusBadRequest {
		t.Errorf("got status %d", r.StatusCode)
	}
}

func TestNoticesAreShownOnceAndAsText(t *testing.T) {
	rooms := webtest.New(now)
	rooms.Fail["Enable"] = host.Errorf(host.CodePluginNotReady, "<script>alert(1)</script> is missing.")
	h := handler(t, rooms)
	r := send(h, post("/plugins/builds/enable"))
	page := get(r.Header.Get("Location"))
	for _, c := range r.Cookies() {
		page.AddCookie(c)
	}
	shown := send(h, page)
	if text := body(t, shown); !strings.Contains(text, "&lt;script&gt;alert(1)&lt;/script&gt; is missing.") || !strings.Contains(text, "toast tone-bad") {
		t.Error("the notice is not shown as text")
	}
	if c := shown.Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("the notice is not taken away: %v", c)
	}
	forged := get("/")
	forged.AddCookie(&http.Cookie{Name: "callboard_flash", Value: "bm90IGpzb24"})
	if r := send(h, forged); r.StatusCode != http.StatusOK {
		t.Errorf("a forged notice has status %d", r.StatusCode)
	}
}

func TestLargeFormsAreRefused(t *testing.T) {
	rooms := webtest.New(now)
	s := rooms.Settings()
	s.MaxUpload = 1 << 20
	r := send(web.New(s), upload(t, strings.Repeat("x", 3<<20), webtest.CSRF))
	if r.StatusCode != http.StatusRequestEntityTooLarge || len(rooms.Calls) > 0 {
		t.Errorf("got status %d and calls %q", r.StatusCode, rooms.Calls)
	}
	r = send(web.New(s), post("/catalog/register", "target", strings.Repeat("x", 2<<20)))
	if r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got status %d", r.StatusCode)
	}
}
