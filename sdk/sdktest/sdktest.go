// Package sdktest is an in-memory portal for the tests of a plugin: the same
// source that becomes a guest runs in the test's own process, behind the same
// envelope, with the services that its plugin.yaml asks for and no others.
//
//	func TestGreeting(t *testing.T) {
//		host := sdktest.New(t, New(), sdktest.Config(map[string]any{"greeting": "Hi"}))
//		response, err := host.Route(route.Request{OperationID: "getGreeting", Params: map[string]string{"name": "Ann"}})
//		...
//	}
//
// What the real host refuses, this one refuses too: an origin outside the
// allow-list, a store beyond its quota, a view that is not in the manifest, a
// status that the fragment does not declare, a tree that could not be shown.
// So are calls beyond the limits that the manifest names, but for memory and
// instructions: "callboard plugin run" tries those.
//
// The package imports net/http and is for tests only.
package sdktest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	logv1 "github.com/callboard-dev/callboard/schemas/service/log/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/sdktest/internal/memtable"
)

// TB is the part of testing.TB that a Host uses.
type TB interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Host is a portal with one tenant and one plugin. Its methods may be called
// from several goroutines.
type Host struct {
	tb       TB
	guest    Guest
	manifest *manifest.Manifest
	routes   map[string]operation

	file     string
	tenant   string
	caller   sdk.Caller
	config   json.RawMessage
	secrets  map[string]string
	refused  map[string]bool
	network  *http.Client
	origins  map[string]http.Handler
	deadline time.Duration

	mu       sync.Mutex
	now      time.Time
	store    map[string]stored
	entities []entity
	logs     []logv1.Line
	requests []Request
	etags    map[string]cachedAnswer
	tables   *memtable.DB
	blobs    map[string]object
	cache    map[string]stored
	locks    map[string]string
	streams  streams
	flow     flow
	made     int
}

// Guest answers calls of the envelope: a plugin in this process, or one in a
// real sandbox.
type Guest func(ctx context.Context, host sdk.Host, in []byte) []byte

// New returns a portal in which the plugin is enabled with all permissions of
// its plugin.yaml granted. The test fails at once where plugin.yaml cannot be
// read, or does not name exactly what the plugin offers.
func New(tb TB, p *sdk.Plugin, options ...Option) *Host {
	tb.Helper()
	h := NewGuest(tb, p.Call, options...)
	if h.manifest == nil {
		return h // the test has failed already
	}
	if err := p.Err(); err != nil {
		tb.Fatalf("sdktest: %v", err)
	} else if err := h.sameOffers(p.Offers()); err != nil {
		tb.Fatalf("sdktest: %v", err)
	}
	limits, err := limitsOf(h.manifest.Limits)
	if err != nil {
		tb.Fatalf("sdktest: %v", err)
	}
	h.guest = InProcess(p, limits)
	return h
}

// NewGuest is New for a guest that cannot be asked for its offers.
func NewGuest(tb TB, guest Guest, options ...Option) *Host {
	tb.Helper()
	h := &Host{
		tb: tb, guest: guest, file: manifest.FileName, tenant: "test",
		caller:  sdk.Caller{Kind: "user", Name: "tester", Role: "admin"},
		secrets: map[string]string{}, refused: map[string]bool{}, origins: map[string]http.Handler{},
		now: time.Now(), store: map[string]stored{}, etags: map[string]cachedAnswer{},
	}
	for _, o := range options {
		if err := o(h); err != nil {
			tb.Fatalf("sdktest: %v", err)
			return h
		}
	}
	if err := h.open(); err != nil {
		tb.Fatalf("sdktest: %v", err)
	}
	return h
}

// open reads the manifest and what hangs on it.
func (h *Host) open() error {
	m, err := readManifest(h.file)
	if err != nil {
		return err
	}
	if h.routes, err = operations(m); err != nil {
		return err
	}
	if h.config, err = withDefaults(m, h.config); err != nil {
		return err
	}
	h.manifest = m
	h.openData()
	return nil
}

// Manifest returns the decoded plugin.yaml.
func (h *Host) Manifest() *manifest.Manifest { return h.manifest }

// call sends one call through the envelope, as a real host does.
func (h *Host) call(capability, method string, request, answer any) error {
	h.tb.Helper()
	return h.callWith(capability, method, request, nil, answer)
}

// callWith is call with raw bytes beside the request.
func (h *Host) callWith(capability, method string, request any, data []byte, answer any) error {
	h.tb.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	in, err := json.Marshal(plugin.Call{
		ABI: plugin.ABI, Capability: capability, Method: method, Tenant: h.tenant,
		Caller: plugin.Caller(h.caller), DeadlineMillis: h.deadline.Milliseconds(), Body: body, Data: data,
	})
	if err != nil {
		return err
	}
	defer h.endCall()
	var result plugin.Result
	if err := json.Unmarshal(h.guest(h.tb.Context(), h.serve, in), &result); err != nil {
		return err
	}
	if e := result.Error; e != nil {
		out := &sdk.Error{
			Code: sdk.Code(e.Code), Message: e.Message, Hint: e.Hint,
			RetryAfter: time.Duration(e.RetryAfterSeconds) * time.Second,
		}
		if e.Retryable != nil {
			out = out.WithRetry(*e.Retryable)
		}
		return out
	}
	return json.Unmarshal(result.Body, answer)
}

// serve answers the plugin's host calls.
func (h *Host) serve(ctx context.Context, call plugin.HostCall) plugin.Result {
	handle, ok := services[door{call.Service, call.Method}]
	if !ok {
		return refuse(plugin.CodeUnsupported, "this host has no service %s with a method %q", call.Service, call.Method)
	}
	if needsPermission[call.Service] && !h.granted(call.Service) {
		return refuse(plugin.CodeNotGranted, "%s is not granted to this plugin", call.Service)
	}
	answer, fault := handle(h, ctx, call)
	if fault != nil {
		return plugin.Result{Error: fault}
	}
	var result plugin.Result
	if a, ok := answer.(attached); ok {
		answer, result.Data = a.body, a.data
	}
	if answer == nil {
		return result
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return refuse(plugin.CodeInternal, "encoding an answer of %s: %v", call.Service, err)
	}
	result.Body = body
	return result
}

// granted says whether the manifest asks for the service and the test did not
// refuse it.
func (h *Host) granted(service string) bool { return h.permission(service) != nil }

// permission returns the granted permission of a service, or nil.
func (h *Host) permission(service string) *manifest.Permission {
	if h.refused[service] {
		return nil
	}
	for i := range h.manifest.Permissions {
		if h.manifest.Permissions[i].Type == service {
			return &h.manifest.Permissions[i]
		}
	}
	return nil
}

// Option sets up a Host.
type Option func(*Host) error

// Manifest reads plugin.yaml from another path than the test's own folder.
func Manifest(path string) Option {
	return func(h *Host) error { h.file = path; return nil }
}

// Config sets the instance's configuration: any value that encodes to a JSON
// object. Defaults of the manifest's schema fill what it leaves out.
func Config(v any) Option {
	return func(h *Host) error {
		doc, err := json.Marshal(v)
		h.config = doc
		return err
	}
}

// Secret gives a value to a secret of the manifest. The host uses it as the
// manifest's auth says; the plugin never sees it.
func Secret(name, value string) Option {
	return func(h *Host) error { h.secrets[name] = value; return nil }
}

// Upstream answers requests to an origin, "scheme://host[:port]", by a handler.
// The origin must still be in the plugin's grant.
func Upstream(origin string, handler http.Handler) Option {
	return func(h *Host) error {
		normal, err := normalOrigin(origin)
		h.origins[normal] = handler
		return err
	}
}

// Network lets requests to granted origins without an Upstream go out through
// the client, for tests against a real upstream. The client must not follow
// redirects: the host does.
func Network(client *http.Client) Option {
	return func(h *Host) error {
		copied := *client
		copied.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		h.network = &copied
		return nil
	}
}

// Entities puts entities into the catalog: each a JSON document ([]byte,
// string or json.RawMessage) or a value that encodes to one.
func Entities(docs ...any) Option {
	return func(h *Host) error {
		for _, doc := range docs {
			e, err := newEntity(doc)
			if err != nil {
				return err
			}
			h.entities = append(h.entities, e)
		}
		return nil
	}
}

// Caller sets who calls; without it an admin does.
func Caller(c sdk.Caller) Option {
	return func(h *Host) error { h.caller = c; return nil }
}

// Tenant sets the tenant's slug; without it "test".
func Tenant(slug string) Option {
	return func(h *Host) error { h.tenant = slug; return nil }
}

// Without refuses a permission of the manifest, such as "http/v1", as an admin
// may.
func Without(service string) Option {
	return func(h *Host) error {
		if !needsPermission[service] {
			return fmt.Errorf("%s needs no permission, so it cannot be refused", service)
		}
		h.refused[service] = true
		return nil
	}
}

// Deadline gives each call a time limit; without it there is none.
func Deadline(d time.Duration) Option {
	return func(h *Host) error { h.deadline = d; return nil }
}
