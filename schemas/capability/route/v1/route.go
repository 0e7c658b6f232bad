// Package route is the capability route/v1: a plugin offers HTTP operations,
// described by an OpenAPI 3.1 fragment in its manifest, under
// /api/plugins/<plugin>/.
package route

import "encoding/json"

const (
	// Name is the capability's name in manifests and calls.
	Name = "route/v1"
	// MethodHandle takes a Request and returns a Response.
	MethodHandle = "handle"
	// AccessExtension is the OpenAPI extension by which an operation says
	// what right it needs: "read" (viewers), "write" (members) or "admin".
	// Without it GET and HEAD need read, all others write.
	AccessExtension = "x-callboard-access"
	// StreamExtension is the OpenAPI extension by which an operation says which
	// of its bodies do not fit into one call: "request", "response" or "both".
	// The plugin reads and writes them in pieces, by stream/v1. Their media
	// types are free; the host checks neither against a schema.
	StreamExtension = "x-callboard-stream"
)

// Request is one HTTP request to an operation of the fragment. The host has
// checked parameters and body against the fragment before.
type Request struct {
	OperationID string `json:"operationId"`
	Method      string `json:"method"`
	// Path is the path template as the fragment writes it, for example
	// "/entities/{kind}/{namespace}/{name}/series".
	Path   string              `json:"path"`
	Params map[string]string   `json:"params,omitempty"`
	Query  map[string][]string `json:"query,omitempty"`
	// Header holds the headers that the fragment declares as parameters, by
	// lower-case name.
	Header map[string]string `json:"header,omitempty"`
	Body   json.RawMessage   `json:"body,omitempty"`
	// ContentType is the media type of a body that is streamed.
	ContentType string `json:"contentType,omitempty"`
}

// The values of StreamExtension.
const (
	StreamRequest  = "request"
	StreamResponse = "response"
	StreamBoth     = "both"
)

// Response is the answer. Where the operation streams its response, the plugin
// may answer like any other (an error, mostly) as long as it has streamed
// nothing; else it sets Streamed and the rest says nothing. Status must be one
// that the fragment declares; the host checks Body against that response's
// schema.
type Response struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header,omitempty"`
	Body   json.RawMessage   `json:"body,omitempty"`
	// Streamed says that the response was written by stream/v1.
	Streamed bool `json:"streamed,omitempty"`
}
