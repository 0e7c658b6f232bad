package web

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/telemetry"
)

// sessionCookie holds a browser's session; tenantHeader names the tenant.
const (
	sessionCookie = "callboard_session"
	tenantHeader  = "Callboard-Tenant"
)

// policy is the content policy of every page: everything from the portal
// itself, no inline script, no inline style, nothing framed.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// visit is one request of one person.
type visit struct {
	*site
	w http.ResponseWriter
	r *http.Request
	// caller is the zero Caller on the open pages.
	caller  host.Caller
	session string
	// wrote is true once a page has begun.
	wrote bool
}

// ring is what stands around every page: headers, who asks, what a foreign
// page could have sent in a browser's name, and the page of an error.
func (s *site) ring(pattern string, p page, closed bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		telemetry.NoteRoute(r.Context(), pattern)
		secure(w.Header())
		v := &visit{site: s, w: w, r: r}
		if cookie, err := r.Cookie(sessionCookie); err == nil {
			v.session = cookie.Value
		}
		defer v.survive()
		err := v.admit(closed)
		if err == nil {
			err = p(v)
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// secure sets the headers that every page has.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "private, no-store")
}

// reads reports whether the request changes nothing.
func (v *visit) reads() bool { return v.r.Method == http.MethodGet || v.r.Method == http.MethodHead }

// bearer returns the token of a program that looks at a page. Forms need a
// session: their token is bound to it.
func (v *visit) bearer() string {
	token, found := strings.CutPrefix(v.r.Header.Get("Authorization"), "Bearer ")
	if !found || !v.reads() {
		return ""
	}
	return strings.TrimSpace(token)
}

// admit finds out who asks and refuses forged forms. Open pages want no
// session, but a form of theirs is checked for its origin all the same.
func (v *visit) admit(closed bool) error {
	if err := v.foreign.Check(v.r); err != nil {
		return host.Errorf(host.CodeForbidden, "The form was sent by another site.").WithHint("Open the page here and send it again.")
	}
	for _, name := range [...]string{"Authorization", tenantHeader} {
		if len(v.r.Header[name]) > 1 {
			return host.Errorf(host.CodeInvalid, "The header %s comes more than once.", name).WithHint("Send it once.")
		}
	}
	if !closed {
		return nil
	}
	c, err := v.Door.Authenticate(v.r.Context(), auth.Credentials{
		Session: v.session, Bearer: v.bearer(), HostTenant: hostTenant(v.r.Host, v.BaseDomain), HeaderTenant: v.r.Header.Get(tenantHeader)})
	if err != nil {
		return err
	}
	v.caller = c
	telemetry.NoteCaller(v.r.Context(), c.Tenant().Slug, c.Principal().ID)
	if v.reads() {
		return nil
	}
	limit := int64(formMax)
	if v.r.URL.Path == "/plugins/upload" {
		limit = v.MaxUpload + formMax
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, limit)
	if err := v.parse(); err != nil {
		return err
	}
	if !v.Door.CheckCSRF(v.session, v.r.PostFormValue("csrf")) {
		return host.Errorf(host.CodeForbidden, "The form does not belong to your session.").WithHint("Open the page again and send it once more.")
	}
	return nil
}

// parse reads the form, keeping uploads beyond 8 MiB in temporary files.
func (v *visit) parse() error {
	var err error
	if strings.HasPrefix(v.r.Header.Get("Content-Type"), "multipart/form-data") {
		err = v.r.ParseMultipartForm(8 << 20)
	} else {
		err = v.r.ParseForm()
	}
	if err == nil {
		return nil
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return host.Errorf(host.CodeTooLarge, "What you sent is larger than %d MiB.", large.Limit>>20).WithHint("Send a smaller file.")
	}
	return host.Errorf(host.CodeInvalid, "The form cannot be read.").WithHint("Open the page again and send it once more.")
}

// survive turns a panic into an error page: one page never takes down others.
func (v *visit) survive() {
	fault := recover()
	if fault == nil {
		return
	}
	if fault == http.ErrAbortHandler {
		panic(fault)
	}
	v.Log.ErrorContext(v.r.Context(), "a page panicked", "path", v.r.URL.Path, "fault", fault, "stack", string(debug.Stack()))
	v.fail(host.Errorf(host.CodeInternal, "Something failed inside the portal.").WithHint("Try again; if it stays, give your operator the trace."))
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
	slug, ok := strings.CutSuffix(strings.ToLower(strings.TrimSuffix(name, ".")), "."+baseDomain)
	if !ok || strings.Contains(slug, ".") {
		return ""
	}
	return slug
}

// local returns target where it is a path of the portal itself, and fallback
// otherwise, so that nobody is sent elsewhere by a link that they were given.
func local(target, fallback string) string {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || strings.ContainsAny(target, "\\\r\n\t\x00") {
		return fallback
	}
	u, err := url.Parse(target)
	if err != nil || u.Host != "" || u.Scheme != "" {
		return fallback
	}
	return target
}

// tls reports whether the person's connection is encrypted, here or before a
// proxy.
func (v *visit) tls() bool {
	return v.r.TLS != nil || strings.HasPrefix(v.PublicURL, "https://") || v.r.Header.Get("X-Forwarded-Proto") == "https"
}

// address is the network address that the request came from.
func (v *visit) address() string {
	if h, _, err := net.SplitHostPort(v.r.RemoteAddr); err == nil {
		return h
	}
	return v.r.RemoteAddr
}
