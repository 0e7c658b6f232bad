package api

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/telemetry"
)

// Names that are part of the contract.
const (
	// SessionCookie holds a browser's session.
	SessionCookie = "callboard_session"
	// TenantHeader names the tenant by its slug.
	TenantHeader = "Callboard-Tenant"
	// CSRFHeader holds the session's CSRF token in unsafe requests of scripts.
	CSRFHeader = "Callboard-Csrf"
)

type callerKey struct{}

// CallerFrom returns who made the request of ctx; false outside of one that
// was authenticated.
func CallerFrom(ctx context.Context) (host.Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(host.Caller)
	return c, ok
}

// caller returns who made the request: inside the authenticated ring there is
// always one.
func caller(r *http.Request) host.Caller {
	c, _ := CallerFrom(r.Context())
	return c
}

// authenticated is the ring around everything that belongs to a tenant. It
// finds the caller, refuses what a foreign page could have sent in a browser's
// name, and bounds the body.
func (a *API) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if err := unambiguous(r.Header); err != nil {
			Fail(w, r, err)
			return
		}
		cred := CredentialsOf(r, a.s.BaseDomain)
		c, err := a.s.Auth.Authenticate(r.Context(), cred)
		if err != nil {
			Fail(w, r, err)
			return
		}
		if cred.Bearer == "" && !safe(r.Method) && !a.fromOurPages(r, cred.Session) {
			Fail(w, r, host.Errorf(host.CodeForbidden, "The request comes with a browser's session but not from the portal's own pages.").
				WithHint("Scripts use an API token (Authorization: Bearer); pages send the header %s.", CSRFHeader))
			return
		}
		p := c.Principal()
		telemetry.NoteCaller(r.Context(), c.Tenant().Slug, p.ID)
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(w, r.Body, a.bodyLimit(r))
		}
		if a.streamed(r) {
			next.ServeHTTP(w, r)
			return
		}
		if key := r.Header.Get(IdempotencyHeader); key != "" && !safe(r.Method) {
			a.once(w, r, c, key, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// unambiguous refuses headers that decide who asks, or whether it is done anew,
// and come more than once: a proxy in front may have looked at another of them.
func unambiguous(h http.Header) error {
	for _, name := range [...]string{"Authorization", TenantHeader, CSRFHeader, IdempotencyHeader} {
		if len(h[name]) > 1 {
			return host.Errorf(host.CodeInvalid, "The header %s comes more than once.", name).WithHint("Send it once.")
		}
	}
	return nil
}

// CredentialsOf collects what a request says about its caller. BaseDomain is
// the domain whose sub-domains name tenants; empty ignores host names.
func CredentialsOf(r *http.Request, baseDomain string) auth.Credentials {
	cred := auth.Credentials{HeaderTenant: r.Header.Get(TenantHeader), HostTenant: hostTenant(r.Host, baseDomain)}
	if value := r.Header.Get("Authorization"); value != "" {
		scheme, token, _ := strings.Cut(value, " ")
		if strings.EqualFold(scheme, "bearer") {
			cred.Bearer = strings.TrimSpace(token)
		}
		if cred.Bearer == "" {
			// Another scheme must not fall back to the cookie: the client meant
			// to say who it is.
			cred.Bearer = "unsupported"
		}
		return cred
	}
	if cookie, err := r.Cookie(SessionCookie); err == nil {
		cred.Session = cookie.Value
	}
	return cred
}

// hostTenant returns the label before baseDomain in a Host header, or "".
func hostTenant(hostport, baseDomain string) string {
	if baseDomain == "" {
		return ""
	}
	name := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	slug, ok := strings.CutSuffix(name, "."+baseDomain)
	if !ok || strings.Contains(slug, ".") {
		return ""
	}
	return slug
}

// safe reports whether a method only reads.
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// fromOurPages reports whether an unsafe request with a cookie was sent by the
// portal's own pages: the browser says so, or the page knew the CSRF token.
func (a *API) fromOurPages(r *http.Request, session string) bool {
	if r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		return true
	}
	value := r.Header.Get(CSRFHeader)
	return value != "" && a.s.Auth.CheckCSRF(session, value)
}

// bodyLimit is how large the request's body may be.
func (a *API) bodyLimit(r *http.Request) int64 {
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/v1/plugin"):
		return a.s.MaxUpload
	case a.streamed(r):
		return a.s.MaxStream
	}
	return maxBody
}
