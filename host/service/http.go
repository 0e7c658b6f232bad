package service

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
)

// HTTPSettings bound what plugins may do over HTTP. Zero values take the
// defaults.
type HTTPSettings struct {
	Timeout    time.Duration // of one request, redirects included (15 s)
	MaxBody    int64         // bytes of an answer (8 MiB)
	MaxRequest int64         // bytes of a request's body (1 MiB)
	MaxCalls   int64         // requests of one call of the plugin (50)
	MaxBytes   int64         // bytes of all answers to one call (32 MiB)
	// CacheInstance and CacheTotal bound the answers that are kept (4 MiB of
	// each instance, 64 MiB in all).
	CacheInstance, CacheTotal int64
	// Resolver looks up names; nil uses the system's.
	Resolver resolver
	// TLS is the client's configuration; nil trusts the system's roots.
	TLS *tls.Config
	Now func() time.Time
}

func (s HTTPSettings) filled() HTTPSettings {
	s.Timeout = cmp.Or(s.Timeout, 15*time.Second)
	s.MaxBody = cmp.Or(s.MaxBody, 8<<20)
	s.MaxRequest = cmp.Or(s.MaxRequest, 1<<20)
	s.MaxCalls = cmp.Or(s.MaxCalls, 50)
	s.MaxBytes = cmp.Or(s.MaxBytes, 32<<20)
	s.CacheInstance = cmp.Or(s.CacheInstance, 4<<20)
	s.CacheTotal = cmp.Or(s.CacheTotal, 64<<20)
	if s.Resolver == nil {
		s.Resolver = net.DefaultResolver
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	return s
}

const maxRedirects = 5

// HTTP is http/v1: requests to upstreams that were granted. Connections to
// private and to public addresses have pools of their own, so that a grant for
// the one never reuses a connection of the other.
type HTTP struct {
	settings        HTTPSettings
	public, private *http.Client
	cache           *answerCache
	tokens          *tokens
	tracer          trace.Tracer
}

var _ plugin.Service = (*HTTP)(nil)

// NewHTTP returns the service.
func NewHTTP(s HTTPSettings) *HTTP {
	s = s.filled()
	return &HTTP{
		settings: s, public: client(s, false), private: client(s, true), cache: newAnswerCache(s.CacheInstance, s.CacheTotal),
		tokens: newTokens(s.Now),
		tracer: otel.Tracer("github.com/callboard-dev/callboard/host/service"),
	}
}

// client returns a client that follows no redirects and uses no proxy of the
// environment: both would reach around the grant.
func client(s HTTPSettings, private bool) *http.Client {
	d := &dialer{resolver: s.Resolver, private: private}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: d.dial, TLSClientConfig: s.TLS.Clone(), ForceAttemptHTTP2: true,
			MaxIdleConns: 100, MaxIdleConnsPerHost: 8, MaxConnsPerHost: 64, IdleConnTimeout: 60 * time.Second,
			TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: s.Timeout, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Serve answers one call.
func (h *HTTP) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	if call.Method != httpv1.MethodDo {
		return nil, unknownMethod(httpv1.Name, call.Method)
	}
	grants, err := granted(s, httpv1.Name)
	if err != nil {
		return nil, err
	}
	in, err := read[httpv1.Request](call.Body)
	if err != nil {
		return nil, err
	}
	if n := s.Spend("http.calls", 1); n > h.settings.MaxCalls {
		return nil, host.Errorf(host.CodeLimit, "one call may make at most %d HTTP requests", h.settings.MaxCalls).
			WithHint("ask the upstream for more at a time, or spread the work over several calls")
	}
	e := &exchange{http: h, session: s, grants: grants}
	ctx, cancel := context.WithTimeout(ctx, h.settings.Timeout)
	defer cancel()
	return e.do(ctx, &in)
}

// exchange is one request of a guest with its redirects.
type exchange struct {
	http    *HTTP
	session *plugin.Session
	grants  []plugin.Grant
	config  any
	// known forgets the access token that the last request carried; it is nil
	// where there was none, or it was fetched for that request.
	known func()
}

// do checks the request, looks into the cache and asks the upstream.
func (e *exchange) do(ctx context.Context, in *httpv1.Request) (*httpv1.Response, error) {
	u, header, err := e.prepare(in)
	if err != nil {
		return nil, err
	}
	right, err := e.permit(u)
	if err != nil {
		return nil, err
	}
	key := e.cacheKey(in, u, header)
	var old *cached
	if key != "" {
		if old = e.http.cache.get(key); old != nil {
			if now := e.http.settings.Now(); now.Before(old.fresh) && header.Get("Cache-Control") != "no-cache" {
				return e.fromCache(old, now), nil
			}
			revalidate(header, old)
		}
	}
	resp, raw, err := e.follow(ctx, cmp.Or(in.Method, http.MethodGet), u, header, in.Body, right)
	if err != nil {
		return nil, err
	}
	return e.keep(key, old, resp, raw), nil
}

// prepare checks method, URL, headers and body.
func (e *exchange) prepare(in *httpv1.Request) (*url.URL, http.Header, error) {
	methods := []string{"", http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	if !slices.Contains(methods, in.Method) {
		return nil, nil, host.Errorf(host.CodeInvalid, "the HTTP method %q is not allowed", clip(in.Method, 20))
	}
	if int64(len(in.Body)) > e.http.settings.MaxRequest {
		return nil, nil, host.Errorf(host.CodeTooLarge, "the body of the request has %d bytes, at most %d are allowed", len(in.Body), e.http.settings.MaxRequest)
	}
	u, err := url.Parse(in.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || len(in.URL) > 8192 {
		return nil, nil, host.Errorf(host.CodeInvalid, "the URL cannot be used").
			WithHint("write https://host/path, without a user or password: the host authenticates requests")
	}
	u.Fragment = ""
	header, err := cleanRequest(in.Header)
	if err != nil {
		return nil, nil, err
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "Callboard/"+host.Version+" ("+e.session.Instance.Name+")")
	}
	e.config = decoded(e.session.Instance.Config)
	return u, header, nil
}

func decoded(raw json.RawMessage) any {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return v
}

// reserved are headers that a guest may not set: they belong to the
// connection, or carry credentials.
var reserved = []string{
	"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect", "Host",
	"Authorization", "Cookie", "Accept-Encoding", "Forwarded", "X-Real-Ip", "X-Http-Method-Override",
}

func cleanRequest(in map[string][]string) (http.Header, error) {
	out := http.Header{}
	if len(in) > 50 {
		return nil, host.Errorf(host.CodeInvalid, "the request has more than 50 headers")
	}
	for name, values := range in {
		canonical := http.CanonicalHeaderKey(name)
		if slices.Contains(reserved, canonical) || strings.HasPrefix(canonical, "Proxy-") || strings.HasPrefix(canonical, "X-Forwarded-") {
			return nil, host.Errorf(host.CodeNotGranted, "the header %s cannot be set by a plugin", clip(canonical, 60)).
				WithHint("for credentials, name a secret in the permission's auth: the host sends it")
		}
		if !validToken(name) {
			return nil, host.Errorf(host.CodeInvalid, "a header's name cannot be used")
		}
		for _, v := range values {
			if len(v) > 8192 || strings.ContainsAny(v, "\r\n\x00") {
				return nil, host.Errorf(host.CodeInvalid, "the value of the header %s cannot be used", clip(canonical, 60))
			}
			out.Add(canonical, v)
		}
	}
	return out, nil
}

func validToken(s string) bool {
	ok := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
	return s != "" && len(s) <= 100 && strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0
}

// follow asks the upstream and follows redirects, each checked like the first.
func (e *exchange) follow(ctx context.Context, method string, u *url.URL, header http.Header, body []byte, right *access) (*http.Response, []byte, error) {
	first := originKey(u)
	for hop := 0; ; hop++ {
		resp, raw, err := e.once(ctx, method, u, header, body, right)
		if err != nil {
			return nil, nil, err
		}
		next, err := redirect(resp, u)
		if err != nil || next == nil {
			return resp, raw, err
		}
		if hop == maxRedirects {
			return nil, nil, host.Errorf(host.CodeUpstream, "%s redirects more than %d times", first, maxRedirects)
		}
		if right, err = e.permit(next); err != nil {
			he := host.AsError(err)
			he.Message = "a redirect of " + first + " leads elsewhere: " + he.Message
			return nil, nil, he
		}
		if originKey(next) != first {
			// Credentials are for the origin that was asked, and for no other.
			right = &access{private: right.private}
			header = withoutConditions(header)
		}
		if resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect && method != http.MethodHead {
			method, body = http.MethodGet, nil
			header.Del("Content-Type")
		}
		u = next
	}
}

// once sends one request.
func (e *exchange) once(ctx context.Context, method string, u *url.URL, header http.Header, body []byte, r *access) (resp *http.Response, raw []byte, err error) {
	ctx, span := e.http.tracer.Start(ctx, "plugin.http", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("server.address", u.Hostname()), attribute.String("callboard.plugin", e.session.Instance.Name),
	))
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, string(host.CodeOf(err)))
		} else {
			span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
		}
		span.End()
	}()
	c := e.http.public
	if r.private {
		c = e.http.private
	}
	req, err := e.request(ctx, method, u, header, body, r)
	if err != nil {
		return nil, nil, err
	}
	e.session.Reached(httpv1.Name, originKey(u))
	resp, err = c.Do(req)
	if err != nil {
		return nil, nil, unreachable(originKey(u), err)
	}
	if forget := e.known; forget != nil && resp.StatusCode == http.StatusUnauthorized {
		// The token was taken back before its time: once more with a new one.
		_ = resp.Body.Close()
		forget()
		if req, err = e.request(ctx, method, u, header, body, r); err != nil {
			return nil, nil, err
		}
		if resp, err = c.Do(req); err != nil {
			return nil, nil, unreachable(originKey(u), err)
		}
	}
	defer resp.Body.Close()
	raw, err = io.ReadAll(io.LimitReader(resp.Body, e.http.settings.MaxBody+1))
	if err != nil {
		return nil, nil, unreachable(originKey(u), err)
	}
	if int64(len(raw)) > e.http.settings.MaxBody {
		return nil, nil, host.Errorf(host.CodeLimit, "the answer of %s is larger than %d bytes", originKey(u), e.http.settings.MaxBody).
			WithHint("ask for less at a time, for example by pages")
	}
	if e.session.Spend("http.bytes", int64(len(raw))) > e.http.settings.MaxBytes {
		return nil, nil, host.Errorf(host.CodeLimit, "the answers to this call are larger than %d bytes together", e.http.settings.MaxBytes)
	}
	return resp, raw, nil
}

// request makes one request with its credential.
func (e *exchange) request(ctx context.Context, method string, u *url.URL, header http.Header, body []byte, r *access) (*http.Request, error) {
	target := *u
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, host.Errorf(host.CodeInvalid, "the request cannot be made")
	}
	req.Header = header.Clone()
	if err := e.authenticate(ctx, req, body, r); err != nil {
		return nil, err
	}
	return req, nil
}

// redirect returns where a response leads, or nil.
func redirect(resp *http.Response, from *url.URL) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	location := resp.Header.Get("Location")
	if location == "" {
		return nil, nil
	}
	next, err := from.Parse(location)
	if err != nil || next.User != nil || next.Host == "" {
		return nil, host.Errorf(host.CodeUpstream, "%s redirects to something that is not a URL", originKey(from))
	}
	next.Fragment = ""
	return next, nil
}

func withoutConditions(h http.Header) http.Header {
	h = h.Clone()
	h.Del("If-None-Match")
	h.Del("If-Modified-Since")
	return h
}

// originKey names an origin in messages: never the path or query, which may
// hold what is not for a log.
func originKey(u *url.URL) string { return u.Scheme + "://" + u.Host }

// unreachable explains a failed exchange. The URL that net/http puts into its
// errors may carry a credential, so it is left out.
func unreachable(origin string, err error) error {
	var he *host.Error
	if errors.As(err, &he) {
		return he
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var dns *net.DNSError
	var unknown *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &timeout) && timeout.Timeout():
		return host.Errorf(host.CodePluginTimeout, "%s did not answer in time", origin).WithHint("check that it is up and reachable from the portal")
	case errors.As(err, &dns):
		return host.Errorf(host.CodeUpstream, "the name %s cannot be resolved", dns.Name).WithHint("check the host name in the plugin's configuration")
	case errors.As(err, &unknown):
		return host.Errorf(host.CodeUpstream, "the certificate of %s is not trusted: %v", origin, unknown.Err).
			WithHint("install the authority's certificate on the portal's machine")
	}
	return host.Errorf(host.CodeUpstream, "%s cannot be reached: %v", origin, err).WithHint("check that it is up and reachable from the portal")
}

// cacheKey names what is asked; it is empty where the answer is not cached.
// The instance's revision is part of it: other settings, other answers. So is
// each header of the guest, as an answer may vary with any of them; only the
// wish to ask anew names no other answer.
func (e *exchange) cacheKey(in *httpv1.Request, u *url.URL, header http.Header) string {
	if in.Method != "" && in.Method != http.MethodGet || len(in.Body) > 0 || header.Get("If-None-Match") != "" || header.Get("If-Modified-Since") != "" || header.Get("Range") != "" {
		return ""
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%d\n%s\n", e.session.Instance.Tenant, e.session.Instance.ID, e.session.Instance.Revision, u)
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if name != "Cache-Control" || header.Get(name) != "no-cache" {
			fmt.Fprintf(sum, "%s%q\n", name, header[name])
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func revalidate(header http.Header, old *cached) {
	if tag := old.header.Get("ETag"); tag != "" {
		header.Set("If-None-Match", tag)
	}
	if at := old.header.Get("Last-Modified"); at != "" {
		header.Set("If-Modified-Since", at)
	}
}

func (e *exchange) fromCache(c *cached, now time.Time) *httpv1.Response {
	return &httpv1.Response{Status: c.status, Header: c.header, Body: c.body, Cached: true, AgeSeconds: int(max(0, now.Sub(c.stored)).Seconds())}
}

// keep stores an answer where it may be, and returns what the guest gets.
func (e *exchange) keep(key string, old *cached, resp *http.Response, raw []byte) *httpv1.Response {
	now := e.http.settings.Now()
	header := cleanResponse(resp.Header)
	if old != nil && resp.StatusCode == http.StatusNotModified {
		// The upstream's newer headers count, a rate limit among them.
		merged := old.header.Clone()
		for name, values := range header {
			merged[name] = values
		}
		ok, until := freshness(merged, now)
		renewed := &cached{instance: old.instance, key: key, status: old.status, header: merged, body: old.body, stored: now, fresh: until}
		if ok {
			e.http.cache.put(renewed)
		} else {
			e.http.cache.remove(key)
		}
		return e.fromCache(renewed, now)
	}
	if key != "" && resp.StatusCode == http.StatusOK {
		if ok, until := freshness(resp.Header, now); ok {
			e.http.cache.put(&cached{instance: e.session.Instance.ID, key: key, status: resp.StatusCode, header: header, body: raw, stored: now, fresh: until})
		}
	}
	return &httpv1.Response{Status: resp.StatusCode, Header: header, Body: raw}
}

// cleanResponse drops what belongs to the connection or is a credential.
func cleanResponse(in http.Header) http.Header {
	out := http.Header{}
	for name, values := range in {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Set-Cookie", "Alt-Svc":
		default:
			out[name] = values
		}
	}
	return out
}
