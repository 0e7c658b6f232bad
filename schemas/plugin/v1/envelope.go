// Package plugin is the envelope in which host and guest speak: one exported
// guest function that takes a Call and returns a Result, and one host function
// that takes a HostCall and returns a Result. Both sides are JSON, so a guest
// can be written in any language that has an Extism PDK.
package plugin

import "encoding/json"

// ABI is the version of the envelope. A host refuses a guest that answers with
// another one.
const ABI = 1

// Names by which host and guest find each other.
const (
	// ExportCall is the function that every guest exports. It takes no
	// arguments and returns 0 when it has written a Result as its output.
	ExportCall = "callboard_call"
	// HostNamespace is the WebAssembly module that holds HostFunction.
	HostNamespace = "extism:host/user"
	// HostFunction takes the memory offset of a HostCall and returns the
	// memory offset of a Result.
	HostFunction = "callboard_host"
)

// Call is one request of the host to a guest.
type Call struct {
	ABI        int    `json:"abi"`
	Capability string `json:"capability"` // for example "route/v1"
	Method     string `json:"method"`     // for example "handle"
	// Tenant is the slug of the tenant for which the call is made.
	Tenant string `json:"tenant"`
	Caller Caller `json:"caller"`
	// Traceparent is the W3C trace context of the call, or empty.
	Traceparent string `json:"traceparent,omitempty"`
	// DeadlineMillis is how many milliseconds the guest has for the whole call.
	DeadlineMillis int64           `json:"deadlineMillis,omitempty"`
	Body           json.RawMessage `json:"body,omitempty"`
	// Data is raw bytes beside the body. In ABI 1 they are base64.
	Data []byte `json:"data,omitempty"`
}

// Caller is who caused a call: what a guest may know of a principal.
type Caller struct {
	Kind string `json:"kind"` // user, token, plugin or system
	Name string `json:"name"`
	Role string `json:"role"`          // admin, member or viewer
	Ref  string `json:"ref,omitempty"` // the caller's User entity, if any
}

// Result answers a Call or a HostCall: a body, or an error, never both.
type Result struct {
	Body  json.RawMessage `json:"body,omitempty"`
	Data  []byte          `json:"data,omitempty"`
	Error *Error          `json:"error,omitempty"`
}

// HostCall is one request of a guest to a host service.
type HostCall struct {
	Service string          `json:"service"` // for example "http/v1"
	Method  string          `json:"method"`  // for example "do"
	Body    json.RawMessage `json:"body,omitempty"`
	Data    []byte          `json:"data,omitempty"`
}

// Error is how either side says what went wrong. Code is one of the codes
// below; a reader treats an unknown code as CodeInternal.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Hint says what to do next.
	Hint string `json:"hint,omitempty"`
	// RetryAfterSeconds is set where trying again later helps.
	RetryAfterSeconds int `json:"retryAfterSeconds,omitempty"`
	// Retryable says whether the same request may succeed later; nil leaves
	// it to the code: invalid, not-found, forbidden, unauthorised, not-granted,
	// conflict and unsupported are permanent. Jobs and deliveries of events that
	// fail for good become dead letters at once, the others are tried again.
	Retryable *bool `json:"retryable,omitempty"`
}

// Error returns the message with its code.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// The codes of Error.
const (
	CodeInvalid      = "invalid"      // the input is wrong; the caller must change it
	CodeNotFound     = "not-found"    // the thing named does not exist, or may not be seen
	CodeForbidden    = "forbidden"    // the caller's rights do not reach
	CodeUnauthorised = "unauthorised" // an upstream does not accept the credential
	CodeNotGranted   = "not-granted"  // the plugin's grants do not reach
	CodeNotReady     = "not-ready"    // configuration or a secret is missing
	CodeConflict     = "conflict"     // the state does not allow it
	CodeLimit        = "limit"        // a quota or budget is used up
	CodeRateLimited  = "rate-limited" // an upstream asks to come back later
	CodeTimeout      = "timeout"      // it took longer than allowed
	CodeUpstream     = "upstream"     // an upstream failed or answered nonsense
	CodeUnsupported  = "unsupported"  // the other side does not know this service or method
	CodeInternal     = "internal"     // a defect
)
