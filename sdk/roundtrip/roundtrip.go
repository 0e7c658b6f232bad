// Package roundtrip lets client libraries that take an *http.Client speak
// through the host service http/v1. It imports net/http, which makes a guest
// about three times as large as one that uses package http of this SDK: a
// plugin that takes this door should have a reason for it.
package roundtrip

import (
	"bytes"
	"fmt"
	"io"
	nethttp "net/http"

	"github.com/callboard-dev/callboard/sdk/http"
)

// Transport sends requests through the host. The request's context must be the
// call's *sdk.Context or derived from it. The host authenticates requests, so
// the library needs no credential.
type Transport struct{}

// Client returns a client that uses Transport and does not follow redirects:
// the host does, within the grant.
func Client() *nethttp.Client {
	return &nethttp.Client{
		Transport:     Transport{},
		CheckRedirect: func(*nethttp.Request, []*nethttp.Request) error { return nethttp.ErrUseLastResponse },
	}
}

// RoundTrip sends one request.
func (Transport) RoundTrip(r *nethttp.Request) (*nethttp.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		if closeErr := r.Body.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, fmt.Errorf("reading the request body: %w", err)
		}
	}
	in := http.Request{Method: r.Method, URL: r.URL.String(), Header: http.Header(r.Header), Body: body}
	out, err := http.Do(r.Context(), in)
	if err != nil {
		return nil, err
	}
	header := nethttp.Header{}
	for name, values := range out.Header {
		for _, value := range values {
			header.Add(name, value)
		}
	}
	return &nethttp.Response{
		Status: fmt.Sprintf("%d %s", out.Status, nethttp.StatusText(out.Status)), StatusCode: out.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, Request: r,
		Body: io.NopCloser(bytes.NewReader(out.Body)), ContentLength: int64(len(out.Body)),
	}, nil
}

var _ nethttp.RoundTripper = Transport{}
