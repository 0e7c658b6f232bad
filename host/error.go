package host

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Code is a stable name for a kind of failure. It is the last part of the
// "type" of a problem document and never changes its meaning.
type Code string

// The closed set of codes.
const (
	CodeInvalid         Code = "invalid-request"
	CodeUnauthenticated Code = "unauthenticated"
	CodeForbidden       Code = "forbidden"
	CodeTenantMismatch  Code = "tenant-mismatch"
	CodeNotFound        Code = "not-found"
	CodeConflict        Code = "conflict"
	CodePrecondition    Code = "precondition-failed"
	CodeTooLarge        Code = "too-large"
	CodeRateLimited     Code = "rate-limited"
	CodeLimit           Code = "limit-exceeded" // a limit of the tenant or instance
	CodeQuota           Code = "quota-exceeded" // what a plugin may use in a day or minute
	CodeUnavailable     Code = "unavailable"    // shedding load, draining, compiling
	CodeUpstream        Code = "upstream-failed"
	CodeUnauthorised    Code = "upstream-unauthorised" // an upstream does not accept the credential
	CodeInternal        Code = "internal"

	// What can be wrong with one plugin call.
	CodePluginTimeout  Code = "plugin-timeout"
	CodePluginMemory   Code = "plugin-out-of-memory"
	CodePluginFuel     Code = "plugin-out-of-fuel" // it executed more instructions than it may
	CodePluginTrap     Code = "plugin-trapped"
	CodePluginOutput   Code = "plugin-output-invalid"
	CodePluginNotReady Code = "plugin-not-ready" // configuration or a secret is missing
	// CodePluginUnsupported: the plugin does not implement what it was asked.
	CodePluginUnsupported Code = "plugin-not-implemented"
	CodeNotGranted        Code = "plugin-not-granted"
)

// statuses maps each code to its HTTP status.
var statuses = map[Code]int{
	CodeInvalid: http.StatusBadRequest, CodeUnauthenticated: http.StatusUnauthorized,
	CodeForbidden: http.StatusForbidden, CodeTenantMismatch: http.StatusForbidden,
	CodeNotFound: http.StatusNotFound, CodeConflict: http.StatusConflict,
	CodePrecondition: http.StatusPreconditionFailed, CodeTooLarge: http.StatusRequestEntityTooLarge,
	CodeRateLimited: http.StatusTooManyRequests, CodeLimit: http.StatusTooManyRequests,
	CodeQuota: http.StatusTooManyRequests, CodePluginFuel: http.StatusBadGateway,
	CodeUnavailable: http.StatusServiceUnavailable, CodeUpstream: http.StatusBadGateway,
	CodeInternal: http.StatusInternalServerError, CodePluginTimeout: http.StatusGatewayTimeout,
	CodePluginMemory: http.StatusBadGateway, CodePluginTrap: http.StatusBadGateway,
	CodePluginOutput: http.StatusBadGateway, CodePluginNotReady: http.StatusConflict,
	CodeNotGranted: http.StatusForbidden, CodePluginUnsupported: http.StatusNotImplemented,
	CodeUnauthorised: http.StatusBadGateway,
}

// Status returns the HTTP status that belongs to the code.
func (c Code) Status() int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// Error is a failure that a person can act on: what happened, where, and what
// to do next.
type Error struct {
	Code Code
	// Message says what happened; it may be shown to the caller.
	Message string
	// Hint says what to do next.
	Hint string
	// Where is a place in a document, "file:line", or empty.
	Where string
	// Fields are what is wrong with single fields of the input.
	Fields []FieldError
	// RetryAfter is set where trying again later helps.
	RetryAfter time.Duration
	// Retryable says whether the same request may succeed later; nil leaves it
	// to the code, see Permanent.
	Retryable *bool
	// Err is the cause. It goes to the log and is never shown to the caller.
	Err error
}

// FieldError is what is wrong with one field, named by JSON Pointer.
type FieldError struct {
	Pointer string `json:"pointer"`
	Message string `json:"message"`
}

// Errorf returns an Error of the given code. A %w verb sets its cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint sets the hint and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// At sets where it happened and returns e.
func (e *Error) At(where string) *Error {
	e.Where = where
	return e
}

// Error returns place, message and hint in one line.
func (e *Error) Error() string {
	s := e.Message
	if e.Where != "" {
		s = e.Where + ": " + s
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in err's chain; CodeInternal for
// any other error, and the empty code for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// permanent are the codes of failures that come again however often the same
// thing is tried: somebody has to change it first.
var permanent = map[Code]bool{
	CodeInvalid: true, CodeUnauthenticated: true, CodeForbidden: true, CodeTenantMismatch: true, CodeNotFound: true,
	CodeConflict: true, CodePrecondition: true, CodeTooLarge: true, CodePluginOutput: true, CodeNotGranted: true,
	CodePluginUnsupported: true, CodeUnauthorised: true,
}

// Permanent reports whether trying the same thing again cannot help: the first
// Error in err's chain says so, or its code does. What nobody typed is not
// permanent.
func Permanent(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	if e.Retryable != nil {
		return !*e.Retryable
	}
	return permanent[e.Code]
}

// AsError returns the first Error in err's chain, or an internal one that
// hides err from the caller.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeInternal, Message: "Something failed inside the portal.",
		Hint: "Try again; if it stays, give your operator the trace id of this answer.", Err: err}
}
