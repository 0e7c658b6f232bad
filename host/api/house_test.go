package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/api"
	"github.com/callboard-dev/callboard/host/api/replay"
	"github.com/callboard-dev/callboard/host/audit"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/auth/password"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/catalog/source"
	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/secret"
	"github.com/callboard-dev/callboard/host/server"
	"github.com/callboard-dev/callboard/host/service"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/telemetry"
	"github.com/callboard-dev/callboard/host/tenant"
	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	streamv1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
)

// house is the API over real rooms on SQLite, with one thing that is not real:
// guests are Go functions.
type house struct {
	t       testing.TB
	handler http.Handler
	api     *api.API
	auth    *auth.Service
	tenants *tenant.Registry
	catalog *catalog.Catalog
	plugins *plugin.House
	guests  *guests
	dir     string
	log     *bytes.Buffer
}

// person is somebody who sends requests.
type person struct {
	h      *house
	tenant host.Tenant
	token  string
}

func newHouse(t testing.TB, change ...func(*api.Settings)) *house {
	t.Helper()
	db := storetest.SQLite(t)
	box, err := secret.New(bytes.Repeat([]byte{7}, 32))
	must(t, err)
	h := &house{t: t, guests: &guests{}, dir: t.TempDir(), log: &bytes.Buffer{}}
	records := audit.New(db, box)
	h.tenants = tenant.New(db, records)
	h.auth = auth.New(db, h.tenants, records, auth.Settings{Password: password.Settings{MemoryKiB: 64, Passes: 1}, Log: slog.New(slog.DiscardHandler)})
	reader, err := source.New(source.Settings{Roots: []string{h.dir}, WorkDir: t.TempDir()})
	must(t, err)
	t.Cleanup(reader.Close)
	h.catalog = catalog.New(db, reader, h.auth, records, catalog.Settings{Rules: ingest.AllKinds()})
	h.plugins, err = plugin.New(db, map[string]plugin.Runtime{manifestv1.RuntimeWASM: h.guests}, plugin.ServiceSet{streamv1.Name: service.Streams{}}, h.auth, records, box,
		plugin.Settings{DataDir: t.TempDir(), Reserved: api.OperationIDs(), Poll: time.Hour})
	must(t, err)
	must(t, h.plugins.Start(context.Background()))
	t.Cleanup(func() { _ = h.plugins.Close(context.Background()) })
	tel, err := telemetry.Open(context.Background(), telemetry.Settings{LogTo: h.log, LogFormat: "json", LogLevel: "error"})
	must(t, err)
	s := api.Settings{
		Auth: h.auth, Authz: h.auth, Entities: h.catalog, Locations: h.catalog, Inspector: h.catalog,
		Plugins: h.plugins, Installer: h.plugins, Changer: h.plugins, Meter: h.plugins, Keeper: h.plugins, Operations: extension.NewRouter(h.plugins, h.auth),
		Users: h.auth, Tokens: h.auth, Audit: audit.NewReader(records, h.auth), Replays: replay.New(db, replay.Settings{}),
		BaseDomain: "portal.test", Version: "0.1.0", Log: tel.Logger(),
	}
	for _, f := range change {
		f(&s)
	}
	h.api = api.New(s)
	h.handler = tel.Wrap(server.Recover(tel.Logger(), api.Fail, h.api))
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newTenant makes a tenant.
func (h *house) newTenant(slug string) host.Tenant {
	h.t.Helper()
	t, err := h.tenants.Create(context.Background(), slug, "The "+slug, false)
	must(h.t, err)
	return t
}

// as returns somebody with a role in t.
func (h *house) as(t host.Tenant, role host.Role) person {
	h.t.Helper()
	token, _, err := h.auth.CreateToken(context.Background(), host.System(t, "operator"), auth.NewToken{Label: string(role), Role: role})
	must(h.t, err)
	return person{h, t, token}
}

// admin returns an admin of a new tenant "acme".
func (h *house) admin() person { return h.as(h.newTenant("acme"), host.RoleAdmin) }

// send sends a request: body is JSON text or nil, edits change the request.
func (p person) send(method, path, body string, edits ...func(*http.Request)) *httptest.ResponseRecorder {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	for _, f := range edits {
		f(r)
	}
	w := httptest.NewRecorder()
	p.h.handler.ServeHTTP(w, r)
	return w
}

// want sends a request that must answer status, and decodes its body.
func (p person) want(status int, method, path, body string, edits ...func(*http.Request)) map[string]any {
	p.h.t.Helper()
	w := p.send(method, path, body, edits...)
	if w.Code != status {
		p.h.t.Fatalf("%s %s answers %d, want %d: %s\nlog: %s", method, path, w.Code, status, w.Body, p.h.log)
	}
	if w.Body.Len() == 0 {
		return nil
	}
	var out any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		p.h.t.Fatalf("%s %s answers no JSON: %v: %s", method, path, err, w.Body)
	}
	if m, ok := out.(map[string]any); ok {
		return m
	}
	return map[string]any{"array": out}
}

// header sets a header of a request.
func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if name == "Host" {
			r.Host = value
			return
		}
		r.Header.Set(name, value)
	}
}

// dig follows keys and indexes into decoded JSON.
func dig(v any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[k]
		case int:
			l, _ := v.([]any)
			if k >= len(l) {
				return nil
			}
			v = l[k]
		}
	}
	return v
}

// write writes a catalog file and returns its path.
func (h *house) write(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	must(h.t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// component is a component's descriptor.
func component(name, typ, owner string) string {
	return "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: " + name +
		"\n  title: The " + name + "\n  tags: [demo]\n  annotations: {example.com/id: '" + name + "'}\nspec:\n  type: " + typ +
		"\n  lifecycle: production\n  owner: " + owner + "\n---\n"
}

// register registers a file with text for p's tenant and returns its location.
func (p person) register(name, text string) string {
	p.h.t.Helper()
	body, err := json.Marshal(map[string]string{"type": "file", "target": p.h.write(name, text)})
	must(p.h.t, err)
	got := p.want(http.StatusCreated, "POST", "/api/v1/locations", string(body))
	id, _ := dig(got, "location", "id").(string)
	return id
}

// guests is a runtime whose code is a Go function.
type guests struct {
	answer func(ctx context.Context, call pluginv1.Call) pluginv1.Result
	// work, if set, answers with all that a guest has.
	work func(ctx context.Context, w plugin.Work) pluginv1.Result
}

func (g *guests) Check([]byte) error { return nil }
func (g *guests) Compile(context.Context, string, []byte) (plugin.Module, error) {
	return g, nil
}
func (g *guests) Cached(string) bool          { return true }
func (g *guests) Forget(string) error         { return nil }
func (g *guests) Close(context.Context) error { return nil }

func (g *guests) Facts() plugin.Facts { return plugin.Facts{Runtime: "wasm", Path: "fresh", ABI: 1} }

// Call answers what the test says, or a greeting.
func (g *guests) Call(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
	call := w.Call
	if g.work != nil {
		return plugin.Outcome{Result: g.work(ctx, w)}, nil
	}
	if g.answer != nil {
		return plugin.Outcome{Result: g.answer(ctx, call)}, nil
	}
	var req routev1.Request
	if err := json.Unmarshal(call.Body, &req); err != nil {
		return plugin.Outcome{}, err
	}
	body, _ := json.Marshal(map[string]any{"greeting": "hello " + req.Params["who"] + " of " + call.Tenant})
	res, _ := json.Marshal(routev1.Response{Status: 200, Body: body, Header: map[string]string{"X-Greeter": "yes"}})
	return plugin.Outcome{Result: pluginv1.Result{Body: res}}, nil
}

// greeter is the manifest of a plugin with one operation.
const greeter = `name: acme/greeter
version: %VERSION%
title: Greeter
description: Greets people.
callboard: ">=0.1.0"
runtime: wasm
capabilities:
  - type: route/v1
    openapi:
      tags: [{name: Greetings, description: Says hello.}]
      paths:
        /greetings/{who}:
          get:
            operationId: greet
            tags: [Greetings]
            summary: Greet somebody
            parameters: [{$ref: "#/components/parameters/who"}]
            responses:
              "200":
                description: A greeting.
                content: {application/json: {schema: {$ref: "#/components/schemas/Greeting"}}}
          post:
            operationId: greetLoudly
            summary: Greet somebody loudly
            x-callboard-access: admin
            parameters: [{$ref: "#/components/parameters/who"}]
            responses: {"200": {description: A greeting., content: {application/json: {schema: {$ref: "#/components/schemas/Greeting"}}}}}
      components:
        parameters:
          who: {name: who, in: path, required: true, description: Whom., schema: {type: string, minLength: 1, maxLength: 63}}
        schemas:
          Greeting: {type: object, required: [greeting], properties: {greeting: {type: string}}}
permissions:
  - type: http/v1
    hosts: ["https://example.com"]
    reason: To ask how to greet.
    auth: {type: bearer, secret: key}
config:
  schema: {type: object, additionalProperties: false, properties: {tone: {type: string, enum: [warm, cool], default: warm}}}
secrets:
  - {name: key, title: Key, reason: To sign greetings.}
`

// packaged returns the greeter as a packaged file.
func packaged(t testing.TB, version string) []byte {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "plugin.yaml"), []byte(strings.ReplaceAll(greeter, "%VERSION%", version)), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "plugin.wasm"), append([]byte("\x00asm\x01\x00\x00\x00"), version...), 0o644))
	var buf bytes.Buffer
	_, err := manifest.WritePackage(dir, &buf)
	must(t, err)
	return buf.Bytes()
}

// upload makes a request's body a packaged file.
func upload(raw []byte) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Content-Type", "application/octet-stream")
		r.Body = io.NopCloser(bytes.NewReader(raw))
		r.ContentLength = int64(len(raw))
	}
}

// install installs the greeter with all it asks for.
func (p person) install() {
	p.h.t.Helper()
	p.want(http.StatusCreated, "POST", "/api/v1/plugins?acceptPermissions=true", "", upload(packaged(p.h.t, "1.0.0")))
	p.settled("active")
}

// settled waits until the greeter is in a state.
func (p person) settled(state string) map[string]any {
	p.h.t.Helper()
	var got map[string]any
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		got = p.want(http.StatusOK, "GET", "/api/v1/plugins/greeter", "")
		if got["state"] == state {
			return got
		}
	}
	p.h.t.Fatalf("the plugin stays %v (%v), want %s", got["state"], got["stateDetail"], state)
	return nil
}

// callerOf returns p as a caller.
func callerOf(t *testing.T, p person) host.Caller {
	t.Helper()
	c, err := p.h.auth.Authenticate(t.Context(), auth.Credentials{Bearer: p.token})
	must(t, err)
	return c
}
