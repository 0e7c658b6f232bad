// Package http asks upstreams: the host service http/v1. The host lets through
// what plugin.yaml names and an admin granted, authenticates the request (a
// plugin never sees a credential), follows redirects within the grant and
// keeps answers that carry an ETag or a time to live.
//
//	var out struct{ Items []Item }
//	if _, err := http.GetJSON(ctx, base+"/items", &out); err != nil { ... }
//
// It does not import net/http, so a guest stays small. Package roundtrip is
// for client libraries that need an http.RoundTripper.
package http

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/schemas/codec"
	v1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// Header holds header fields. Names are compared without regard to case.
type Header map[string][]string

// Get returns the first value of a field, or "". The canonical name wins where
// a field is there in several spellings.
func (h Header) Get(name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	for _, key := range h.spellings(name) {
		if values := h[key]; len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// Set replaces a field.
func (h Header) Set(name, value string) {
	for _, key := range h.spellings(name) {
		delete(h, key)
	}
	h[name] = []string{value}
}

// spellings returns the keys that name the field, sorted.
func (h Header) spellings(name string) []string {
	var keys []string
	for key := range h {
		if strings.EqualFold(key, name) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Request is one request.
type Request struct {
	Method string // GET if empty
	URL    string
	Header Header
	Body   []byte
}

// Response is what the upstream answered, or what the host's cache holds of it.
type Response struct {
	Method, URL string // of the request
	Status      int
	Header      Header
	Body        []byte
	// Cached is true where the body was not transferred again: it is still
	// fresh, or the upstream confirmed it.
	Cached bool
	// Age is how old a cached body is.
	Age time.Duration
}

// Do sends a request. The error is an *sdk.Error where the host refused
// (CodeNotGranted, CodeNotReady, CodeLimit) or the upstream could not be
// reached (CodeUpstream, CodeTimeout). A response of any status is no error:
// ask Response.Err.
func Do(ctx context.Context, r Request) (Response, error) {
	if r.Method == "" {
		r.Method = "GET"
	}
	var out v1.Response
	in := v1.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: r.Body}
	if err := sdk.Do(ctx, v1.Name, v1.MethodDo, in, &out); err != nil {
		return Response{}, err
	}
	return Response{
		Method: r.Method, URL: r.URL, Status: out.Status, Header: out.Header, Body: out.Body,
		Cached: out.Cached, Age: time.Duration(out.AgeSeconds) * time.Second,
	}, nil
}

// Get sends a GET request. A status outside 200 to 299 is a *StatusError.
func Get(ctx context.Context, url string) (Response, error) {
	return checked(Do(ctx, Request{URL: url}))
}

// GetJSON sends a GET request for JSON and decodes the answer into v. A status
// outside 200 to 299 is a *StatusError.
func GetJSON(ctx context.Context, url string, v any) (Response, error) {
	return exchange(ctx, Request{URL: url, Header: Header{"Accept": {"application/json"}}}, v)
}

// SendJSON sends in as JSON (nothing if nil) with the method and decodes the
// answer into out (not at all if nil). A status outside 200 to 299 is a
// *StatusError.
func SendJSON(ctx context.Context, method, url string, in, out any) (Response, error) {
	r := Request{Method: method, URL: url, Header: Header{"Accept": {"application/json"}}}
	if in != nil {
		body, err := codec.Marshal(in)
		if err != nil {
			return Response{}, sdk.Errorf(sdk.CodeInternal, "encoding a request body: %w", err)
		}
		r.Body = body
		r.Header.Set("Content-Type", "application/json")
	}
	return exchange(ctx, r, out)
}

// exchange sends r and decodes a good answer that has a body.
func exchange(ctx context.Context, r Request, out any) (Response, error) {
	response, err := checked(Do(ctx, r))
	if err != nil || out == nil || len(response.Body) == 0 {
		return response, err
	}
	return response, response.JSON(out)
}

// checked turns a bad status into an error.
func checked(r Response, err error) (Response, error) {
	if err != nil {
		return r, err
	}
	return r, r.Err()
}

// JSON decodes the body into v. A body that does not fit is CodeUpstream.
func (r Response) JSON(v any) error {
	if err := codec.Unmarshal(r.Body, v); err != nil {
		return sdk.Errorf(sdk.CodeUpstream, "decoding the answer of %s: %w", withoutQuery(r.URL), err)
	}
	return nil
}

// Err returns a *StatusError where the status is outside 200 to 299, else nil.
func (r Response) Err() error {
	if r.Status >= 200 && r.Status < 300 {
		return nil
	}
	return statusError(r)
}
