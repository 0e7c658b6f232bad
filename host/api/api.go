// Package api is the portal's HTTP interface for programs: the core's
// operations under /api/v1, the paths that Backstage's clients know under
// /api/catalog, the operations of plugins under /api/plugins, and the OpenAPI
// document of all of them, one for each tenant. It turns HTTP into calls of
// the rooms and their answers into HTTP; it decides nothing. Pages for people
// are host/web.
//
// Every operation is one row of the table in routes.go. Huma carries those
// that are plain JSON in and out; where bytes are passed on as they are (an
// entity, an upload, a plugin's answer) a row brings its own handler and its
// description. Huma's own document and docs routes are off: the document
// depends on the tenant.
//
// Huma's error constructor is a package variable. It is left alone, because
// two APIs in one program would race for it; a transformer of each API turns
// Huma's own errors into problem documents instead.
package api

import (
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/telemetry"
)

// maxBody bounds JSON bodies; uploads of packages have Settings.MaxUpload.
const maxBody = 1 << 20

// Settings are the rooms that the API speaks for. All are needed.
type Settings struct {
	Auth       Authenticator
	Authz      host.Authorizer
	Entities   Entities
	Locations  Locations
	Inspector  Inspector
	Plugins    PluginReader
	Installer  PluginInstaller
	Changer    PluginChanger
	Meter      PluginMeter
	Keeper     PluginKeeper
	Operations Operations
	Users      Users
	Tokens     Tokens
	Audit      AuditReader
	Replays    Replays
	Recordings Recordings

	Backlog Backlog

	// Webhooks takes what other systems send to plugins, for the tenant that
	// Tenants finds; nil takes nothing.
	Webhooks Webhooks
	Tenants  TenantFinder

	// BaseDomain is the domain whose sub-domains name tenants; empty looks at
	// no host name.
	BaseDomain string
	// Version is the API's version in the document: the host's.
	Version string
	// LocalPaths allows plugins to be installed from a folder of the server,
	// for development.
	LocalPaths bool
	// MaxUpload bounds an uploaded package, in bytes; 0 means 128 MiB.
	MaxUpload int64
	// MaxStream bounds a body that is streamed to a plugin, in bytes; 0 means
	// 1 GiB. What one call may move is bounded by the plugin's limits, too.
	MaxStream int64
	Log       *slog.Logger
}

// API is the handler. It serves /api/, /openapi.json, /openapi.yaml and
// /problems/.
type API struct {
	s     Settings
	huma  huma.API
	mux   *http.ServeMux // everything
	inner *http.ServeMux // what needs a caller
	docs  *documents
}

var _ http.Handler = (*API)(nil)

// New builds the routes. It panics where the route table contradicts itself,
// which a test would have shown.
func New(s Settings) *API {
	if s.MaxUpload <= 0 {
		s.MaxUpload = 128 << 20
	}
	if s.MaxStream <= 0 {
		s.MaxStream = 1 << 30
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{s: s, mux: http.NewServeMux(), inner: http.NewServeMux()}
	a.huma = newHuma(a.inner, s.Version)
	for _, row := range a.routes() {
		row.register(a)
	}
	a.inner.HandleFunc("/", a.notFound)
	core, err := coreDocument(a.huma.OpenAPI())
	if err != nil {
		panic(err)
	}
	a.docs = newDocuments(core, s.Operations)
	ring := a.authenticated(a.routed(a.inner))
	a.mux.Handle("/api/", ring)
	if s.Webhooks != nil {
		a.mux.Handle(webhookRoute, a.webhook(ring))
	}
	a.mux.Handle("GET /openapi.json", ring)
	a.mux.Handle("GET /openapi.yaml", ring)
	a.mux.HandleFunc("GET /problems/{code}", func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		telemetry.NoteRoute(r.Context(), "GET /problems/{code}")
		a.problemPage(w, r)
	})
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		a.notFound(w, r)
	})
	return a
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// routed tells telemetry which route served the request.
func (a *API) routed(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r)
		telemetry.NoteRoute(r.Context(), r.Pattern)
	})
}

// OperationIDs returns the ids of the core's operations, which no plugin may
// use for one of its own.
func OperationIDs() []string {
	a := &API{inner: http.NewServeMux()}
	a.huma = newHuma(a.inner, "")
	var ids []string
	for _, r := range a.routes() {
		if r.op.OperationID != "" {
			ids = append(ids, r.op.OperationID)
		}
	}
	return ids
}
