package sdktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
)

// maxRedirects is how many redirects one request follows.
const maxRedirects = 10

// Request is one request that reached an upstream: after authentication by the
// host, without the body of the answer.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
	Status int // that the upstream answered
}

// cachedAnswer is an answer that can be confirmed by its entity tag.
type cachedAnswer struct {
	etag     string
	response httpv1.Response
}

// Requests returns the requests that reached upstreams so far, redirects
// included.
func (h *Host) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests)
}

// httpDo sends one request within the grant and follows its redirects. Answers
// to GET with an entity tag are kept and confirmed the next time.
func (h *Host) httpDo(ctx context.Context, in httpv1.Request) (any, *plugin.Error) {
	target, err := url.Parse(in.URL)
	if err != nil {
		return nil, fault(plugin.CodeInvalid, "reading the URL: %v", err)
	}
	method, body := in.Method, in.Body
	for range maxRedirects + 1 {
		permissions, refusal := h.grantsFor(target)
		if refusal != nil {
			return nil, refusal
		}
		r, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
		if err != nil {
			return nil, fault(plugin.CodeInvalid, "making the request: %v", err)
		}
		for name, values := range in.Header {
			r.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
		out, refusal := h.exchange(r, body, permissions)
		if refusal != nil {
			return nil, refusal
		}
		location := http.Header(out.Header).Get("Location")
		if location == "" || !isRedirect(out.Status) {
			return out, nil
		}
		if target, err = target.Parse(location); err != nil {
			return nil, fault(plugin.CodeUpstream, "reading the redirect: %v", err)
		}
		if out.Status < 307 && method != http.MethodHead {
			method, body = http.MethodGet, nil
		}
	}
	return nil, fault(plugin.CodeUpstream, "%s redirects more than %d times", in.URL, maxRedirects)
}

func isRedirect(status int) bool {
	return slices.Contains([]int{301, 302, 303, 307, 308}, status)
}

// exchange authenticates, confirms, sends and records one request.
func (h *Host) exchange(r *http.Request, body []byte, grants []*manifest.Permission) (httpv1.Response, *plugin.Error) {
	key := r.Method + " " + r.URL.String() + " " + r.Header.Get("Accept")
	if refusal := h.authenticate(r, grants); refusal != nil {
		return httpv1.Response{}, refusal
	}
	h.mu.Lock()
	kept, known := h.etags[key]
	h.mu.Unlock()
	if known && r.Header.Get("If-None-Match") == "" {
		r.Header.Set("If-None-Match", kept.etag)
	} else {
		known = false
	}
	answer, refusal := h.send(r)
	if refusal != nil {
		return httpv1.Response{}, refusal
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, Request{Method: r.Method, URL: r.URL.String(), Header: r.Header, Body: body, Status: answer.Status})
	if known && answer.Status == http.StatusNotModified {
		kept.response.Cached = true
		return kept.response, nil
	}
	if etag := http.Header(answer.Header).Get("ETag"); etag != "" && r.Method == http.MethodGet && answer.Status == http.StatusOK {
		h.etags[key] = cachedAnswer{etag, answer}
	}
	return answer, nil
}

// send hands the request to the origin's handler, or to the network.
func (h *Host) send(r *http.Request) (httpv1.Response, *plugin.Error) {
	origin := originOf(r.URL)
	var answer *http.Response
	switch handler := h.origins[origin]; {
	case handler != nil:
		recorder := httptest.NewRecorder()
		r.RequestURI, r.RemoteAddr, r.Host = r.URL.RequestURI(), "192.0.2.1:1234", r.URL.Host
		handler.ServeHTTP(recorder, r)
		answer = recorder.Result()
	case h.network != nil:
		var err error
		if answer, err = h.network.Do(r); err != nil {
			return httpv1.Response{}, fault(plugin.CodeUpstream, "%v", err)
		}
	default:
		return httpv1.Response{}, fault(plugin.CodeUpstream,
			"the test gives no upstream for %s: add sdktest.Upstream(%q, handler)", origin, origin)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return httpv1.Response{}, fault(plugin.CodeUpstream, "reading the answer of %s: %v", origin, err)
	}
	return httpv1.Response{Status: answer.StatusCode, Header: answer.Header, Body: body}, nil
}

// grantsFor returns the permissions that reach the URL.
func (h *Host) grantsFor(target *url.URL) ([]*manifest.Permission, *plugin.Error) {
	if target.Scheme != "http" && target.Scheme != "https" || target.Host == "" || target.User != nil {
		return nil, fault(plugin.CodeInvalid, "%q is not an http or https URL without credentials", target.Redacted())
	}
	var out []*manifest.Permission
	for i := range h.manifest.Permissions {
		p := &h.manifest.Permissions[i]
		if p.Type == httpv1.Name && slices.ContainsFunc(p.Hosts, func(host string) bool {
			return slices.ContainsFunc(h.expand(host), func(origin string) bool { return reaches(origin, target) })
		}) {
			out = append(out, p)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, &plugin.Error{
		Code: plugin.CodeNotGranted, Message: fmt.Sprintf("requests to %s are not granted", originOf(target)),
		Hint: "Name the origin under permissions, http/v1, hosts of " + h.file + ".",
	}
}

// reaches says whether an origin of the grant, which may be a pattern like
// "https://*.example.com", is that of the URL.
func reaches(granted string, target *url.URL) bool {
	origin, err := normalOrigin(granted)
	if err != nil {
		return false
	}
	scheme, below, wild := strings.Cut(origin, "://*.")
	if !wild {
		return origin == originOf(target)
	}
	asked, ok := strings.CutPrefix(originOf(target), scheme+"://")
	return ok && strings.HasSuffix(asked, "."+below)
}

// expand replaces "${config.key}" by the configured value, and
// "${config.list[].key}" by one for each item. Other text is returned as it is.
func (h *Host) expand(s string) []string {
	path, ok := strings.CutPrefix(s, "${config.")
	if !ok {
		return []string{s}
	}
	var values any
	if json.Unmarshal(h.config, &values) != nil {
		return nil
	}
	return lookup(values, strings.ReplaceAll(strings.TrimSuffix(path, "}"), "[]", ""))
}

// authenticate adds the credential of the first permission whose secret has a
// value. Without one the request goes bare, unless a secret is required.
func (h *Host) authenticate(r *http.Request, grants []*manifest.Permission) *plugin.Error {
	missing := ""
	for _, p := range grants {
		if p.Auth == nil {
			continue
		}
		if value, given := h.secrets[p.Auth.Secret]; given {
			return h.addCredential(r, p.Auth, value)
		}
		if slices.ContainsFunc(h.manifest.Secrets, func(s manifest.Secret) bool { return s.Name == p.Auth.Secret && s.Required }) {
			missing = p.Auth.Secret
		}
	}
	if missing != "" {
		return fault(plugin.CodeNotReady, "the secret %q has no value: add sdktest.Secret", missing)
	}
	return nil
}

// addCredential adds one credential as the manifest says.
func (h *Host) addCredential(r *http.Request, auth *manifest.Auth, value string) *plugin.Error {
	switch auth.Type {
	case "bearer":
		r.Header.Set("Authorization", "Bearer "+value)
	case "header":
		r.Header.Set(auth.Name, value)
	case "basic":
		r.SetBasicAuth(strings.Join(h.expand(auth.Username), ""), value)
	case "query":
		q := r.URL.Query()
		q.Set(auth.Name, value)
		r.URL.RawQuery = q.Encode()
	default:
		return h.addToken(r, auth)
	}
	return nil
}

// originOf returns "scheme://host:port" in lower case, the port always there.
func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme + "://" + u.Hostname() + ":" + port)
}

// normalOrigin reads an origin, or the origin of a longer URL.
func normalOrigin(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "", fmt.Errorf("%q is not an origin like https://api.example.com", s)
	}
	return originOf(u), nil
}
