package web_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/net/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/web"
	"github.com/callboard-dev/callboard/host/web/assets"
	"github.com/callboard-dev/callboard/host/web/webtest"
)

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// built is a bundle as the build leaves it.
func built(t *testing.T) *assets.Bundle {
	t.Helper()
	b, err := assets.Open(fstest.MapFS{"manifest.json": {Data: []byte(`{"style.css": "style-1.css", "app.js": "app-1.js", "favicon.svg": "favicon-1.svg", "inter.woff2": "inter-1.woff2"}`)},
		"style-1.css": {Data: []byte("body{}")}, "style-1.css.br": {Data: []byte("compressed")}, "icons.svg": {Data: []byte("<svg/>")}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func handler(t *testing.T, r *webtest.Rooms) http.Handler {
	t.Helper()
	s := r.Settings()
	s.Assets = built(t)
	return web.New(s)
}

// send asks as somebody who is signed in.
func send(h http.Handler, r *http.Request) *http.Response {
	r.AddCookie(&http.Cookie{Name: "callboard_session", Value: webtest.Session})
	return bare(h, r)
}

// bare asks as a stranger.
func bare(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func get(path string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", "text/html")
	return r
}

// post is a form with the session's token.
func post(path string, fields ...string) *http.Request {
	form := url.Values{"csrf": {webtest.CSRF}}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := out.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// sound checks what every page must be: one h1, a title, the policy, no inline
// code, unique ids.
func sound(t *testing.T, r *http.Response, text string) {
	t.Helper()
	policy := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the content policy %q has no %s", policy, want)
		}
	}
	if r.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("the page may be kept: %q", r.Header.Get("Cache-Control"))
	}
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	h1, title, ids := 0, "", map[string]bool{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch {
		case n.Data == "h1":
			h1++
		case n.Data == "title" && n.FirstChild != nil && n.Parent.Data == "head":
			title = n.FirstChild.Data
		case n.Data == "script" && n.FirstChild != nil, n.Data == "style":
			t.Error("there is inline code")
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("%s has the attribute %s", n.Data, a.Key)
			}
			if a.Key == "id" && ids[a.Val] {
				t.Errorf("the id %q is there twice", a.Val)
			}
			if a.Key == "id" {
				ids[a.Val] = true
			}
		}
	}
	if h1 != 1 {
		t.Errorf("there are %d h1", h1)
	}
	if !strings.Contains(title, " · ") {
		t.Errorf("the title is %q", title)
	}
}

const entity = "/catalog/default/component/payments-api"

func TestPages(t *testing.T) {
	tests := map[string][]string{
		"/":                             {"Owned by you", "payments-api", "2 problems", "Update waits"},
		"/catalog":                      {"14 entities", "3 locations", "Takes card and bank payments", "?kind=Component", "Next page"},
		"/catalog?kind=component&q=pay": {"payments-api", "remove this filter", "1 entity"},
		"/catalog?owner=group:default/team-ledger&sort=kind,desc": {"team-ledger", `aria-sort="descending"`},
		"/catalog?q=nothing":                     {"Nothing matches", "Clear filters"},
		"/catalog?cursor=c1":                     {"First page"},
		"/catalog/register":                      {"Show what it adds", "callboard catalog register URL"},
		"/catalog/locations":                     {"./catalog/all.yaml", "from the configuration file", "Failing", "Remove with its entities"},
		"/catalog/problems":                      {"spec.lifecycle must not be empty", "catalog-info.yaml:14"},
		entity:                                   {"Pipelines", "hx-get=\"/-/views/builds/latest?entity=component%3Adefault%2Fpayments-api\"", "depends on", "Runbook"},
		entity + "?tab=relations":                {"ledger-core"},
		entity + "?tab=descriptor":               {"payments-api</span>", "Descriptor"},
		entity + "?tab=builds/runs":              {"idempotent-refunds", "GitHub Actions", "Re-run"},
		"/catalog/default/component/fraud-model": {"The newest descriptor could not be used", "catalog-info.yaml:14"},
		"/catalog/default/component/invoice-pdf": {"No location provides this entity any more", "remove-entity"},
		"/p/argo-cd/fleet":                       {"Fleet", "By the plugin Argo CD"},
		"/-/views/argo-cd/metrics?entity=component:default/payments-api&p.range=6h": {"412", `value="6h" selected`},
		"/plugins": {"Installed", "Ready to install", "Review and install", "Upload a package"},
		"/plugins/install?bundled=callboard/metrics": {"Reads the workflow runs", "Grant and install", "Access token"},
		"/plugins/install?bundled=callboard/builds":  {"Approve and upgrade", "Keep 1.0.0"},
		"/plugins/argo-cd":                           {"48,210", "plugin-timeout", "The new version asks for more"},
		"/plugins/argo-cd?tab=upgrade":               {"Approve and upgrade", "Keep 2.2.1", "argocd.eu.northwind.example", "New", "new schedule: “sync”", "So far: Reach"},
		"/plugins/argo-cd?tab=permissions":           {"Granted", "Save what it may do", "What it used in the last 30 days", "4,211", "Narrow to what is used", "Never"},
		"/plugins/argo-cd?tab=configuration":         {"Argo CD URL", "It has a value", "Servers", "Add one"},
		"/plugins/builds?tab=operations":             {"/api/plugins/builds/runs/{run}/rerun", "buildsRerun"},
		"/plugins/argo-cd?tab=usage":                 {"Fuel", "upstream-failed", "By capability", "5 G", "Calls per minute"},
		"/plugins/argo-cd?tab=usage&span=30d":        {`aria-current="true">30 days`},
		"/plugins/builds?tab=recordings":             {"view/v1 render", "2 redacted", "/plugins/builds/recordings/rec_1", "callboard plugin replay", "Share of calls"},
		"/plugins/argo-cd?tab=readme":                {"<strong>sync and health</strong>"},
		"/plugins/builds?tab=readme":                 {"The package has no readme"},
		"/settings":                                  {"Signed in as", "one-time link", "Change password", "Appearance"},
		"/settings/tokens":                           {"deploy from CI", "catalog.*", "Make token"},
		"/settings/members":                          {"Jonas Lind", "disabled", "Make a sign-in link"},
		"/settings/audit":                            {"deploy from CI (token)", "Older"},
		"/settings/audit?cursor=2":                   {"tenant:northwind", "Newest"},
		"/docs":                                      {"/api/v1/entities", "buildsRerun", "curl", "default 20", "list of Entity", "dryRun"},
		"/-/components":                              {"Every node", "gallery-dialog"},
	}
	h := handler(t, webtest.New(now))
	for path, wanted := range tests {
		t.Run(path, func(t *testing.T) {
			r := send(h, get(path))
			text := body(t, r)
			if r.StatusCode != http.StatusOK {
				t.Fatalf("got status %d: %s", r.StatusCode, text)
			}
			sound(t, r, text)
			for _, want := range wanted {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not on the page", want)
				}
			}
			for _, never := range []string{"javascript:alert", "style-src 'unsafe"} {
				if strings.Contains(text, `href="`+never) {
					t.Errorf("%q is a link", never)
				}
			}
		})
	}
}

func TestPagesThatAreNotThere(t *testing.T) {
	h := handler(t, webtest.New(now))
	for _, path := range []string{"/nope", "/catalog/default/component/nope", entity + "?tab=nope", "/plugins/nope", "/plugins/builds?tab=nope", "/plugins/install?bundled=nope", "/-/views/builds/nope", "/p/builds/runs"} {
		t.Run(path, func(t *testing.T) {
			r := send(h, get(path))
			text := body(t, r)
			if r.StatusCode != http.StatusNotFound || !strings.Contains(text, "What to do") {
				t.Errorf("got status %d and %s", r.StatusCode, text)
			}
			sound(t, r, text)
		})
	}
}

func TestStrangersAreAskedToSignIn(t *testing.T) {
	h := handler(t, webtest.New(now))
	r := bare(h, get("/catalog?kind=API"))
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/login?next=%2Fcatalog%3Fkind%3DAPI" {
		t.Errorf("got %d to %q", r.StatusCode, r.Header.Get("Location"))
	}
	part := get("/catalog")
	part.Header.Set("HX-Request", "true")
	if r := bare(h, part); r.Header.Get("HX-Redirect") != "/login" {
		t.Errorf("a part of a page leads to %q", r.Header.Get("HX-Redirect"))
	}
}

func TestProgramsAtThePages(t *testing.T) {
	h := handler(t, webtest.New(now))
	t.Run("an address without a page is a problem document", func(t *testing.T) {
		r := bare(h, httptest.NewRequest(http.MethodPost, "/mcp", nil))
		if text := body(t, r); r.StatusCode != http.StatusNotFound || r.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(text, "/problems/not-found") {
			t.Errorf("%d %s", r.StatusCode, text)
		}
	})
	t.Run("a bad token is refused, not sent to sign in", func(t *testing.T) {
		q := get("/docs")
		q.Header.Set("Authorization", "Bearer wrong")
		if r := bare(h, q); r.StatusCode != http.StatusUnauthorized {
			t.Errorf("got %d to %q", r.StatusCode, r.Header.Get("Location"))
		}
	})
	t.Run("a header that comes twice is refused", func(t *testing.T) {
		q := get("/docs")
		q.Header["Authorization"] = []string{"Bearer a", "Bearer b"}
		if r := bare(h, q); r.StatusCode != http.StatusBadRequest {
			t.Errorf("got %d", r.StatusCode)
		}
	})
}

func TestFailuresHaveTheirPages(t *testing.T) {
	tests := map[string]struct {
		method string
		err    error
		status int
		want   string
	}{
		"refused":  {"List", host.Errorf(host.CodeForbidden, "You may not read this."), 403, "Not allowed"},
		"unknown":  {"List", errSecret, 500, "Something failed inside the portal"},
		"too busy": {"List", &host.Error{Code: host.CodeRateLimited, Message: "Too many requests.", RetryAfter: 90 * time.Second}, 429, "Try again in 2 min"},
		"invalid":  {"List", host.Errorf(host.CodeInvalid, "The cursor is not of this list.").At("cursor"), 400, "The cursor is not of this list"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rooms := webtest.New(now)
			h := handler(t, rooms)
			send(h, get("/")) // the sidebar's counts are remembered
			rooms.Fail[test.method] = test.err
			r := send(h, get("/catalog"))
			text := body(t, r)
			if r.StatusCode != test.status || !strings.Contains(text, test.want) {
				t.Errorf("got status %d and %s", r.StatusCode, text)
			}
			if strings.Contains(text, "the password of the database") {
				t.Error("the cause is shown")
			}
			sound(t, r, text)
		})
	}
}

var errSecret = &causeError{"dial: the password of the database is wrong"}

type causeError struct{ text string }

func (e *causeError) Error() string { return e.text }

func TestOnePluginNeverTakesThePageDown(t *testing.T) {
	rooms := webtest.New(now)
	h := handler(t, rooms)
	part := get("/-/views/argo-cd/broken?entity=component:default/payments-api")
	part.Header.Set("HX-Request", "true")
	r := send(h, part)
	if text := body(t, r); r.StatusCode != http.StatusOK || !strings.Contains(text, "did not answer within 10 s") || !strings.Contains(text, "Try again") || strings.Contains(text, "<html") {
		t.Errorf("got status %d and %s", r.StatusCode, text)
	}
	rooms.Fail["Views"] = host.Errorf(host.CodeInternal, "views are broken")
	if r := send(h, get(entity)); r.StatusCode != http.StatusOK {
		t.Errorf("the page has status %d where views cannot be listed", r.StatusCode)
	}
}

func TestTheListComesAloneWhenTheScriptAsks(t *testing.T) {
	h := handler(t, webtest.New(now))
	part := get("/catalog?kind=API")
	part.Header.Set("HX-Request", "true")
	part.Header.Set("HX-Target", "catalog-list")
	text := body(t, send(h, part))
	if !strings.HasPrefix(text, `<div id="catalog-list"`) || strings.Contains(text, "<html") {
		t.Errorf("got %s", text)
	}
}

func TestRolesSeeWhatTheyMayDo(t *testing.T) {
	h := handler(t, webtest.New(now).As(host.RoleViewer))
	for path, never := range map[string][]string{"/": {"Register", "Members", "Audit record"}, "/catalog/locations": {"Remove with", "/refresh"}, "/plugins": {"Upload", "Review and install"},
		"/plugins/argo-cd": {"Uninstall", "Disable"}, "/plugins/argo-cd?tab=permissions": {"Save what", "checkbox"}, entity: {"/refresh"}, "/settings/tokens": {`value="admin"`}} {
		text := body(t, send(h, get(path)))
		for _, word := range never {
			if strings.Contains(text, word) {
				t.Errorf("a viewer sees %q at %s", word, path)
			}
		}
	}
	for _, path := range []string{"/settings/members", "/settings/audit", "/catalog/register"} {
		r := send(h, get(path))
		if r.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer gets status %d at %s", r.StatusCode, path)
		}
		sound(t, r, body(t, r))
	}
}

func TestDemoIsLabelledEverywhere(t *testing.T) {
	h := handler(t, webtest.New(now).Demo())
	for _, path := range []string{"/", "/catalog", entity, "/plugins", "/docs", "/nope"} {
		if !strings.Contains(body(t, send(h, get(path))), "Demo tenant.") {
			t.Errorf("%s is not labelled", path)
		}
	}
	if strings.Contains(body(t, send(handler(t, webtest.New(now)), get("/"))), "Demo tenant.") {
		t.Error("a tenant that is no demo is labelled")
	}
}

func TestPagesWithoutAssetsSayHowToBuildThem(t *testing.T) {
	s := webtest.New(now).Settings()
	empty, err := assets.Open(fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	s.Assets = empty
	h := web.New(s)
	if text := body(t, send(h, get("/"))); !strings.Contains(text, "make build") {
		t.Error("the page does not say how")
	}
	if text := body(t, bare(h, get("/login"))); !strings.Contains(text, "make build") {
		t.Error("the sign-in page does not say how")
	}
}

func TestAssets(t *testing.T) {
	h := handler(t, webtest.New(now))
	r := get("/assets/style-1.css")
	r.Header.Set("Accept-Encoding", "gzip, br")
	got := bare(h, r)
	if got.Header.Get("Content-Encoding") != "br" || !strings.Contains(got.Header.Get("Cache-Control"), "immutable") || body(t, got) != "compressed" {
		t.Errorf("got %v", got.Header)
	}
	if got := bare(h, get("/assets/style-1.css")); body(t, got) != "body{}" || got.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("got %v", got.Header)
	}
	if got := bare(h, get("/assets/icons.svg")); strings.Contains(got.Header.Get("Cache-Control"), "immutable") {
		t.Error("a name without a hash is kept for ever")
	}
	for _, path := range []string{"/assets/manifest.json", "/assets/nope.js", "/assets/style-1.css.br", "/assets/..%2fassets.go"} {
		if got := bare(h, get(path)); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s has status %d", path, got.StatusCode)
		}
	}
}

// upload is a form with a file.
func upload(t *testing.T, content, token string) *http.Request {
	t.Helper()
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	if err := w.WriteField("csrf", token); err != nil {
		t.Fatal(err)
	}
	file, err := w.CreateFormFile("package", "x.callboard.tar")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/plugins/upload", &out)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r
}

func called(r *webtest.Rooms, want string) bool { return slices.Contains(r.Calls, want) }

func TestARecordingIsSentAsAFile(t *testing.T) {
	h := handler(t, webtest.New(now))
	r := send(h, get("/plugins/builds/recordings/rec_1"))
	if text := body(t, r); r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Disposition"), "attachment") || !strings.Contains(text, "callboard.dev/recording/v1") {
		t.Errorf("got status %d, %v: %s", r.StatusCode, r.Header, text)
	}
	if r := send(h, get("/plugins/builds/recordings/rec_9")); r.StatusCode != http.StatusNotFound {
		t.Errorf("got status %d", r.StatusCode)
	}
}

func TestAStoppedPluginIsTriedAgainByItsAdmins(t *testing.T) {
	rooms := webtest.New(now)
	rooms.Installed[1].State, rooms.Installed[1].StateDetail = plugin.StateQuarantined, "It failed too often."
	if text := body(t, send(handler(t, rooms), get("/plugins/builds"))); !strings.Contains(text, "It failed too often.") || !strings.Contains(text, `action="/plugins/builds/retry"`) {
		t.Error("an admin finds neither the reason nor the way on")
	}
	if text := body(t, send(handler(t, rooms.As(host.RoleViewer)), get("/plugins/builds"))); strings.Contains(text, "/retry") || strings.Contains(text, "tab=recordings") {
		t.Error("a viewer is offered what only admins may do")
	}
}
