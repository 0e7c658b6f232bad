package api

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/telemetry"
)

// problemType is the media type of RFC 9457.
const problemType = "application/problem+json"

// problemPath is where a problem's type leads: a page that explains the code.
const problemPath = "/problems/"

// Problem is an RFC 9457 problem document, with what a person needs beside it.
type Problem struct {
	Type     string            `json:"type" doc:"Names the kind of problem and never changes its meaning. It leads to an explanation." example:"/problems/not-found"`
	Title    string            `json:"title" doc:"The kind of problem in a few words."`
	Status   int               `json:"status" doc:"The HTTP status."`
	Detail   string            `json:"detail,omitempty" doc:"What happened this time."`
	Instance string            `json:"instance,omitempty" doc:"The path that was asked for."`
	Hint     string            `json:"hint,omitempty" doc:"What to do next."`
	Where    string            `json:"where,omitempty" doc:"The place in a document, file:line."`
	Errors   []host.FieldError `json:"errors,omitempty" doc:"What is wrong with single fields."`
	TraceID  string            `json:"traceId,omitempty" doc:"Names this request in the host's log and traces."`

	code       host.Code
	cause      error
	retryAfter string
}

// newProblem turns any error into what the caller may know of it. The cause is
// kept for the log.
func newProblem(ctx context.Context, path string, err error) *Problem {
	e := asHostError(err)
	if e.Code == host.CodeInternal {
		// Whatever the text says, it is the host's business.
		e = host.AsError(plain(err))
	}
	p := &Problem{
		Type: problemPath + string(e.Code), Title: titleOf(e.Code), Status: e.Code.Status(),
		Detail: e.Message, Instance: path, Hint: e.Hint, Where: e.Where, Errors: e.Fields,
		TraceID: telemetry.TraceID(ctx), code: e.Code, cause: e.Err,
	}
	if e.RetryAfter > 0 {
		p.retryAfter = strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds())))
	}
	return p
}

// plain hides err's type, so that AsError does not find its message again.
func plain(err error) error { return errors.New(err.Error()) }

// asHostError finds the host's error in err, or the one that stands for what
// the standard library says.
func asHostError(err error) *host.Error {
	var e *host.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &tooLarge):
		return host.Errorf(host.CodeTooLarge, "The body is larger than %d bytes.", tooLarge.Limit)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &host.Error{Code: host.CodeUnavailable, Message: "The request was given up before it was done.",
			Hint: "Try again.", Err: err}
	}
	return host.AsError(err)
}

// Error returns the detail, so that a Problem can be returned by a handler.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is what Huma answers.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is what Huma answers.
func (p *Problem) ContentType(string) string { return problemType }

// GetHeaders is what Huma answers beside the document.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	p.setHeaders(h)
	return h
}

func (p *Problem) setHeaders(h http.Header) {
	if p.retryAfter != "" {
		h.Set("Retry-After", p.retryAfter)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="callboard"`)
	}
}

// Fail answers r with err: as a problem document, or in Backstage's form
// on Backstage's paths. It notes the cause for the log and never shows it. It
// is also what a listener answers to a panic.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	p := newProblem(r.Context(), r.URL.Path, err)
	writeProblem(w, r, p)
}

func writeProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	telemetry.NoteFailure(r.Context(), string(p.code), p.cause)
	h := w.Header()
	p.setHeaders(h)
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	if isBackstage(r.URL.Path) {
		writeBackstageError(w, r, p)
		return
	}
	h.Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// codePage is the explanation of a code.
type codePage struct {
	code        host.Code
	title, text string
}

// codePages is the table behind /problems/: every code with its title and what
// to do about it.
func codePages() []codePage {
	return []codePage{
		{host.CodeInvalid, "Invalid request", "The request is not what the operation expects. \"errors\" names each field by JSON Pointer; change it and send the request again."},
		{host.CodeUnauthenticated, "Not signed in", "The request has no valid credential. Send \"Authorization: Bearer <token>\" or sign in; tokens are made with \"callboard token create\" or on the tokens page."},
		{host.CodeForbidden, "Not allowed", "You are known, but your role's policies do not allow this. \"detail\" names the policy; ask an admin of your tenant."},
		{host.CodeTenantMismatch, "Tenants disagree", "The token, the host name and the header Callboard-Tenant name different tenants. Send only what belongs to one tenant."},
		{host.CodeNotFound, "Not found", "There is nothing under this name in your tenant, or you may not see it."},
		{host.CodeConflict, "Conflict", "The present state does not allow this. Read the thing again, then decide."},
		{host.CodePrecondition, "Precondition failed", "The thing has changed since you read it. Read it again and repeat your change."},
		{host.CodeTooLarge, "Too large", "The body or a part of it is larger than the limit that \"detail\" names."},
		{host.CodeRateLimited, "Too many requests", "Wait for as long as the header Retry-After says, then go on."},
		{host.CodeLimit, "Limit reached", "A quota of the tenant or of a plugin is used up. Remove something or ask your operator for more."},
		{host.CodeUnavailable, "Not available now", "The host is starting, stopping, compiling or busy. Try again after Retry-After."},
		{host.CodeUpstream, "Upstream failed", "A system behind the portal failed or answered nonsense. The portal itself works; \"detail\" names the system."},
		{host.CodeInternal, "Something failed inside the portal", "This is a defect. Give your operator the traceId of the answer: it finds the cause in the host's log."},
		{host.CodePluginTimeout, "Plugin took too long", "The plugin's call ran into its time limit and was stopped. Other calls are not affected."},
		{host.CodePluginMemory, "Plugin ran out of memory", "The plugin's call wanted more memory than its limit and was stopped. Other calls are not affected."},
		{host.CodePluginTrap, "Plugin crashed", "The plugin's call ended in a trap. Other calls are not affected; the plugin's health page has more."},
		{host.CodePluginOutput, "Plugin answered wrongly", "The plugin's answer does not fit what its manifest promises, so it was not passed on."},
		{host.CodePluginUnsupported, "Plugin does not implement it", "The plugin's manifest offers what its code does not have. Tell its author."},
		{host.CodeUnauthorised, "Upstream refused the credential", "A system behind the portal does not accept the credential that is kept for it. An admin can set it again in the plugin's settings."},
		{host.CodePluginFuel, "Plugin ran out of fuel", "The plugin executed more instructions than one call may. Ask for less at a time; an admin can raise the plugin's limit."},
		{host.CodeQuota, "Quota is used up", "The plugin has used what it may use in this period. Retry-After says when the next one begins; an admin can raise the quota."},
		{host.CodePluginNotReady, "Plugin is not ready", "The plugin's configuration or one of its secrets is missing. An admin completes it on the plugin's settings page."},
		{host.CodeNotGranted, "Not granted to the plugin", "The plugin wanted something that an admin has not granted. Review its permissions."},
	}
}

// titleOf returns a code's title.
func titleOf(code host.Code) string {
	for _, p := range codePages() {
		if p.code == code {
			return p.title
		}
	}
	return http.StatusText(code.Status())
}

// problemPage serves /problems/{code}: one paragraph for a person.
func (a *API) problemPage(w http.ResponseWriter, r *http.Request) {
	for _, p := range codePages() {
		if string(p.code) == r.PathValue("code") {
			h := w.Header()
			h.Set("Content-Type", "text/plain; charset=utf-8")
			h.Set("Cache-Control", "public, max-age=3600")
			_, _ = w.Write([]byte(p.title + " (" + string(p.code) + ", HTTP " + strconv.Itoa(p.code.Status()) + ")\n\n" + p.text + "\n"))
			return
		}
	}
	Fail(w, r, host.Errorf(host.CodeNotFound, "There is no problem type %q.", r.PathValue("code")))
}
