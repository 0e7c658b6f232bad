package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"github.com/callboard-dev/callboard/host"
)

// resolveURL makes a target absolute.
func resolveURL(base Address, target string) (Address, error) {
	u, err := url.Parse(target)
	if err == nil && base.Type == "url" {
		var b *url.URL
		if b, err = url.Parse(base.Target); err == nil {
			u = b.ResolveReference(u)
		}
	}
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return Address{}, host.Errorf(host.CodeInvalid, "%q is not an http or https address", target).
			WithHint("give a URL like https://example.com/catalog-info.yaml")
	}
	if u.User != nil {
		return Address{}, host.Errorf(host.CodeInvalid, "the address of %s holds credentials", u.Host).
			WithHint("remove user and password from the URL: it is shown to everybody")
	}
	u.Fragment = ""
	return Address{Type: "url", Target: u.String()}, nil
}

// raw returns where the bytes of a file are that a forge shows as a page.
func raw(u *url.URL) *url.URL {
	out := *u
	parts := strings.SplitN(strings.TrimPrefix(u.Path, "/"), "/", 4)
	switch {
	case strings.EqualFold(u.Host, "github.com") && len(parts) == 4 && (parts[2] == "blob" || parts[2] == "tree" || parts[2] == "raw"):
		out.Host, out.Path, out.RawPath = "raw.githubusercontent.com", "/"+parts[0]+"/"+parts[1]+"/"+parts[3], ""
	case strings.Contains(u.Path, "/-/blob/"):
		out.Path, out.RawPath = strings.Replace(u.Path, "/-/blob/", "/-/raw/", 1), ""
	}
	return &out
}

// readURL asks with what is known of the last answer: its validator, or the sum
// of its bytes, as "e<etag>", "m<last modified>" or "s<sum>".
func (s *session) readURL(ctx context.Context, at Address, etag string) (Content, error) {
	u, err := url.Parse(at.Target)
	if err != nil {
		return Content{}, host.Errorf(host.CodeInvalid, "%q is not a URL: %w", at.Target, err).WithHint("check the address")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, raw(u).String(), nil)
	if err != nil {
		return Content{}, host.Errorf(host.CodeInvalid, "%q cannot be asked for: %w", at.Target, err).WithHint("check the address")
	}
	req.Header.Set("Accept", "application/yaml, text/yaml, text/plain, */*;q=0.5")
	if v, ok := strings.CutPrefix(etag, "e"); ok {
		req.Header.Set("If-None-Match", v)
	} else if v, ok := strings.CutPrefix(etag, "m"); ok {
		req.Header.Set("If-Modified-Since", v)
	}
	resp, err := s.reader.http.Do(req)
	if err != nil {
		return Content{}, upstream(ctx, at.Target, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified && etag != "" {
		return Content{ETag: etag, NotModified: true}, nil
	}
	if err := checkStatus(at, resp); err != nil {
		return Content{}, err
	}
	body, err := readAll(resp.Body, s.reader.settings.MaxDocument, at.Target)
	if err != nil {
		return Content{}, upstream(ctx, at.Target, err)
	}
	tag := answerTag(resp.Header, body)
	if tag == etag {
		return Content{ETag: etag, NotModified: true}, nil
	}
	html := strings.Contains(resp.Header.Get("Content-Type"), "text/html")
	return Content{Files: []File{{Address: at, Body: body, HTML: html}}, ETag: tag}, nil
}

func answerTag(h http.Header, body []byte) string {
	if v := h.Get("ETag"); v != "" && len(v) < 500 {
		return "e" + v
	}
	if v := h.Get("Last-Modified"); v != "" {
		return "m" + v
	}
	sum := sha256.Sum256(body)
	return "s" + hex.EncodeToString(sum[:16])
}

func checkStatus(at Address, resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code == http.StatusNotFound || code == http.StatusGone:
		return host.Errorf(host.CodeNotFound, "%s does not exist: the server answers %d", at.Target, code).
			WithHint("check the address; a private repository answers like this too")
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return host.Errorf(host.CodeUpstream, "%s may not be read: the server answers %d", at.Target, code).
			WithHint("the address must be readable without signing in")
	case code == http.StatusTooManyRequests:
		return host.Errorf(host.CodeUpstream, "%s is asked for too often: the server answers 429", at.Target).WithHint("it is tried again later")
	default:
		return host.Errorf(host.CodeUpstream, "%s cannot be read: the server answers %d", at.Target, code).WithHint("check the server, or try again later")
	}
}
