// Package web is the portal for people: pages rendered on the server, which
// work without a script and are quicker with one. It turns requests into calls
// of the rooms and their answers into components of host/web/ui; it decides
// nothing. The interface for programs is host/api.
//
// Every page is one row of the table in routes. A handler returns an error to
// say that there is no page; the ring around it makes the error's page.
package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/telemetry"
	"github.com/callboard-dev/callboard/host/web/assets"
)

// uploadMax bounds an uploaded package where Settings say nothing, formMax any
// other form.
const (
	uploadMax = 128 << 20
	formMax   = 1 << 20
)

// Settings are the rooms that the pages speak for. All are needed, except
// those with a default.
type Settings struct {
	Door       Doorman
	Authz      host.Authorizer
	Sessions   Sessions
	Tokens     Tokens
	Members    Members
	Entities   Entities
	Locations  Locations
	Plugins    Plugins
	Installer  Installer
	Changer    Changer
	Meter      Meter
	Recordings Recordings
	Views      Views
	Operations Operations
	Trail      Trail
	Contract   Contract

	// BaseDomain is the domain whose sub-domains name tenants; empty looks at
	// no host name.
	BaseDomain string
	// PublicURL is where people reach the portal, for links that leave it;
	// empty takes it from the request.
	PublicURL string
	// Assets default to those in the binary.
	Assets *assets.Bundle
	// MaxUpload bounds an uploaded package, in bytes; 0 means 128 MiB.
	MaxUpload int64
	// Now is the clock; time.Now where nil.
	Now func() time.Time
	Log *slog.Logger
}

// site is the handler's state: the rooms, and counts worth remembering.
type site struct {
	Settings
	foreign *http.CrossOriginProtection
	counts  sync.Map // of host.TenantID: counted
}

// New returns the handler of all pages. It serves everything that host/api
// does not: mount it at "/".
func New(s Settings) http.Handler {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.MaxUpload <= 0 {
		s.MaxUpload = uploadMax
	}
	if s.Assets == nil {
		bundle, err := assets.Embedded()
		if err != nil {
			s.Log.Error("the embedded assets cannot be read", "error", err)
			bundle = &assets.Bundle{}
		}
		s.Assets = bundle
	}
	return (&site{Settings: s, foreign: http.NewCrossOriginProtection()}).mux()
}

// page answers one request of somebody who is signed in, or says why not.
type page func(v *visit) error

// mux is the route table: all that people can reach.
func (s *site) mux() http.Handler {
	mux := http.NewServeMux()
	open := map[string]page{ // without a session
		"GET /login":       s.loginPage,
		"POST /login":      s.login,
		"GET /login/link":  s.linkPage,
		"POST /login/link": s.redeem,
		"POST /logout":     s.logout,
	}
	for pattern, p := range open {
		mux.Handle(pattern, s.ring(pattern, p, false))
	}
	for pattern, p := range s.pages() {
		mux.Handle(pattern, s.ring(pattern, p, true))
	}
	mux.Handle("GET /assets/{file}", s.static(s.Assets))
	mux.Handle("GET /favicon.ico", http.RedirectHandler(s.Assets.URL("favicon.svg"), http.StatusFound))
	mux.Handle("/", s.nowhere())
	return mux
}

// nowhere answers addresses without a page: people get the page that says so,
// after they signed in; programs, which do not ask for HTML, a problem document.
func (s *site) nowhere() http.Handler {
	page := s.ring("/", func(v *visit) error { return notFound("There is no page at %s.", v.r.URL.Path) }, true)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "text/html") || r.Header.Get("HX-Request") != "" {
			page.ServeHTTP(w, r)
			return
		}
		telemetry.NoteRoute(r.Context(), "/")
		secure(w.Header())
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(map[string]any{"type": "/problems/" + string(host.CodeNotFound), "title": "Not found",
			"status": http.StatusNotFound, "detail": "There is nothing at " + r.URL.Path + ".", "hint": "/openapi.json lists the operations."})
	})
}

// pages are the pages and actions of people who are signed in.
func (s *site) pages() map[string]page {
	return map[string]page{
		"GET /{$}": s.home,

		"GET /catalog":                                    s.catalogList,
		"GET /catalog/register":                           s.registerPage,
		"POST /catalog/register":                          s.register,
		"GET /catalog/locations":                          s.locationList,
		"POST /catalog/locations/{id}/refresh":            s.refreshLocation,
		"POST /catalog/locations/{id}/remove":             s.removeLocation,
		"GET /catalog/problems":                           s.problemList,
		"GET /catalog/{namespace}/{kind}/{name}":          s.entityPage,
		"POST /catalog/{namespace}/{kind}/{name}/refresh": s.refreshEntity,
		"POST /catalog/{namespace}/{kind}/{name}/remove":  s.removeEntity,

		"GET /-/views/{plugin}/{view}": s.viewPart,
		"POST /-/actions/{plugin}":     s.act,
		"GET /-/components":            s.components,
		"GET /p/{plugin}/{view}":       s.viewPage,

		"GET /plugins":                   s.pluginList,
		"GET /plugins/install":           s.installPage,
		"POST /plugins/install":          s.install,
		"POST /plugins/upload":           s.upload,
		"GET /plugins/{plugin}":          s.pluginPage,
		"GET /plugins/{plugin}/progress": s.pluginProgress,
		"POST /plugins/{plugin}/grant":   s.grant,
		"POST /plugins/{plugin}/config":  s.configure,
		"POST /plugins/{plugin}/quota":   s.setQuota,

		"POST /plugins/{plugin}/recording-rule": s.setRecordingRule,
		"GET /plugins/{plugin}/recordings/{id}": s.exportRecording,
		"POST /plugins/{plugin}/{change}":       s.changePlugin,

		"GET /settings":                       s.accountPage,
		"POST /settings/theme":                s.theme,
		"POST /settings/password":             s.changePassword,
		"POST /settings/sessions/{id}/revoke": s.revokeSession,
		"GET /settings/tokens":                s.tokenList,
		"POST /settings/tokens":               s.createToken,
		"POST /settings/tokens/{id}/revoke":   s.revokeToken,
		"GET /settings/members":               s.memberList,
		"POST /settings/members":              s.createMember,
		"POST /settings/members/{id}/link":    s.memberLink,
		"POST /settings/members/{id}/change":  s.changeMember,
		"GET /settings/audit":                 s.auditPage,

		"GET /docs": s.docsPage,
	}
}

// static serves assets outside of the ring: they belong to no tenant.
func (s *site) static(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		telemetry.NoteRoute(r.Context(), "GET /assets/{file}")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
