package web

import (
	"net/http"
	"net/url"

	"go.opentelemetry.io/otel/trace"
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

func notFound(format string, args ...any) error {
	return host.Errorf(host.CodeNotFound, format, args...)
}

// fail writes the page of an error: the way to sign in where nobody is, and
// what happened, where and what to do otherwise.
func (v *visit) fail(err error) {
	e := host.AsError(err)
	if v.wrote {
		v.Log.ErrorContext(v.ctx(), "a page failed after it began", "path", v.r.URL.Path, "error", err)
		return
	}
	if e.Code == host.CodeUnauthenticated && v.bearer() == "" {
		v.toLogin()
		return
	}
	status := e.Code.Status()
	if status >= http.StatusInternalServerError {
		v.Log.ErrorContext(v.ctx(), "a page failed", "path", v.r.URL.Path, "error", err, "cause", e.Err)
	}
	failed := v.failed(e)
	if v.partial() {
		_ = v.write(http.StatusOK, failed) // a part shows its failure in its place
		return
	}
	title := titleOf(e.Code)
	body := []g.Node{frame.Head{Title: title}, ui.Card{Flush: true, Body: failed}}
	if !v.caller.Valid() {
		err = v.plain(status, title, h.H1(g.Text(title)), ui.Card{Flush: true, Body: failed})
	} else {
		err = v.show(status, "", title, ui.Breadcrumb{{Label: title}}, body...)
	}
	if err != nil {
		http.Error(v.w, title, status)
	}
}

// failed is an error as a component.
func (v *visit) failed(e *host.Error) ui.Failed {
	out := ui.Failed{Title: e.Message, Where: e.Where, Hint: e.Hint}
	if out.Hint == "" && e.Code == host.CodeNotFound {
		out.Hint = "Check the address, or search for what you were after."
	}
	if e.RetryAfter > 0 {
		v.w.Header().Set("Retry-After", retryAfter(e.RetryAfter))
		out.Text = "Try again " + ui.AgoText(v.now().Add(e.RetryAfter), v.now()) + "."
	}
	if e.Code.Status() >= http.StatusInternalServerError {
		if span := trace.SpanContextFromContext(v.ctx()); span.HasTraceID() {
			out.Trace = span.TraceID().String()
		}
	}
	for _, f := range e.Fields {
		out.Text += " " + f.Pointer + ": " + f.Message
	}
	return out
}

// titleOf names the page of an error.
func titleOf(c host.Code) string {
	switch c.Status() {
	case http.StatusNotFound:
		return "Not found"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return "That did not work"
	case http.StatusConflict, http.StatusPreconditionFailed:
		return "It changed meanwhile"
	case http.StatusTooManyRequests:
		return "Too many requests"
	case http.StatusServiceUnavailable:
		return "Not available right now"
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return "A plugin or its source failed"
	}
	return "Something failed"
}

// toLogin asks who it is, and remembers where the person was going. A part of
// a page makes the whole page go there.
func (v *visit) toLogin() {
	target := "/login"
	if v.r.Method == http.MethodGet && v.r.URL.Path != "/" && !v.partial() {
		target += "?next=" + url.QueryEscape(v.r.URL.RequestURI())
	}
	if v.session != "" {
		v.cookie(sessionCookie, "", -1)
	}
	if v.partial() {
		v.w.Header().Set("HX-Redirect", target)
		v.w.WriteHeader(http.StatusOK)
		return
	}
	http.Redirect(v.w, v.r, target, http.StatusSeeOther)
}
