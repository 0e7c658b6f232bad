// Package http is the host service http/v1: requests to upstreams that the
// manifest named and an admin granted. The host authenticates them, so a guest
// never sees a credential.
package http

const (
	// Name is the service's name in manifests and calls.
	Name = "http/v1"
	// MethodDo takes a Request and returns a Response.
	MethodDo = "do"
)

// Request is one HTTP request.
type Request struct {
	Method string              `json:"method"`
	URL    string              `json:"url"`
	Header map[string][]string `json:"header,omitempty"`
	// Body is sent as is; in JSON it is base64.
	Body []byte `json:"body,omitempty"`
}

// Response is what the upstream answered, or what the host's cache holds of it.
type Response struct {
	Status int                 `json:"status"`
	Header map[string][]string `json:"header,omitempty"`
	Body   []byte              `json:"body,omitempty"`
	// Cached is true when the upstream confirmed the cached body (304) or the
	// body is still fresh, so it was not transferred again.
	Cached bool `json:"cached,omitempty"`
	// AgeSeconds is how old a cached body is.
	AgeSeconds int `json:"ageSeconds,omitempty"`
}
