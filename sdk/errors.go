package sdk

import (
	"context"
	"errors"
	"fmt"
	"time"

	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Code says what kind of failure an Error is; the host maps it to an HTTP
// status. The set is closed.
type Code string

// The codes.
const (
	CodeInvalid      Code = plugin.CodeInvalid      // the input is wrong; the caller must change it
	CodeNotFound     Code = plugin.CodeNotFound     // the thing named does not exist, or may not be seen
	CodeForbidden    Code = plugin.CodeForbidden    // the caller's rights do not reach
	CodeUnauthorised Code = plugin.CodeUnauthorised // an upstream does not accept the credential
	CodeNotGranted   Code = plugin.CodeNotGranted   // the plugin's grants do not reach
	CodeNotReady     Code = plugin.CodeNotReady     // configuration or a secret is missing
	CodeConflict     Code = plugin.CodeConflict     // the state does not allow it
	CodeLimit        Code = plugin.CodeLimit        // a quota or budget is used up
	CodeRateLimited  Code = plugin.CodeRateLimited  // an upstream asks to come back later
	CodeTimeout      Code = plugin.CodeTimeout      // it took longer than allowed
	CodeUpstream     Code = plugin.CodeUpstream     // an upstream failed or answered nonsense
	CodeUnsupported  Code = plugin.CodeUnsupported  // the other side does not know this service or method
	CodeInternal     Code = plugin.CodeInternal     // a defect
)

// Error is a failure that the caller can act on. A handler returns one (or an
// error that wraps one) to choose the code, the hint and the time to wait; any
// other error reaches the caller as CodeInternal.
type Error struct {
	Code    Code
	Message string // what happened
	Hint    string // what to do next, or empty
	// RetryAfter is how long to wait where trying again helps, else zero.
	RetryAfter time.Duration
	// Retry says whether the same request may succeed later.
	Retry Retry
	// Err is the cause, or nil.
	Err error
}

// Retry says whether trying the same request again can help.
type Retry int8

// The answers.
const (
	RetryByCode Retry = iota // what the code says: see Retryable
	RetryLater               // it may succeed later
	RetryNever               // it is permanent: the request or something else must change
)

// Errorf returns an Error. A %w verb sets its cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint sets what to do next and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// WithRetryAfter sets how long to wait and returns e.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	e.RetryAfter = d
	return e
}

// WithRetry sets whether the same request may succeed later and returns e.
func (e *Error) WithRetry(later bool) *Error {
	e.Retry = RetryNever
	if later {
		e.Retry = RetryLater
	}
	return e
}

// Retryable reports whether the request that failed with err may succeed when
// it is made again later: what the error says, else what its code says, which
// is yes for CodeRateLimited, CodeTimeout and CodeUpstream.
func Retryable(err error) bool {
	if err == nil {
		return false
	}
	e := AsError(err)
	switch {
	case e.Retry != RetryByCode:
		return e.Retry == RetryLater
	default:
		return e.Code == CodeRateLimited || e.Code == CodeTimeout || e.Code == CodeUpstream
	}
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code with which err would reach the caller: that of the
// first Error in its chain, CodeTimeout for an expired deadline, CodeInternal
// for any other error, and the empty code for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}

// AsError returns err as the Error that reaches the caller: code, hint and
// time to wait of the first Error in its chain under the words of err itself.
func AsError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		out := *e
		out.Message = err.Error()
		return &out
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeTimeout, Message: err.Error(), Err: err}
	default:
		return &Error{Code: CodeInternal, Message: err.Error(), Err: err}
	}
}

// toWire encodes err for the envelope.
func toWire(err error) *plugin.Error {
	e := AsError(err)
	if e.Message == "" {
		e.Message = "the plugin failed without saying why"
	}
	out := &plugin.Error{Code: string(e.Code), Message: e.Message, Hint: e.Hint, RetryAfterSeconds: ceilSeconds(e.RetryAfter)}
	if e.Retry != RetryByCode {
		later := e.Retry == RetryLater
		out.Retryable = &later
	}
	return out
}

// fromWire decodes an error of the envelope; unknown codes become CodeInternal.
func fromWire(w *plugin.Error) *Error {
	code := Code(w.Code)
	switch code {
	case CodeInvalid, CodeNotFound, CodeForbidden, CodeUnauthorised, CodeNotGranted, CodeNotReady, CodeConflict, CodeLimit,
		CodeRateLimited, CodeTimeout, CodeUpstream, CodeUnsupported, CodeInternal:
	default:
		code = CodeInternal
	}
	out := &Error{Code: code, Message: w.Message, Hint: w.Hint, RetryAfter: time.Duration(w.RetryAfterSeconds) * time.Second}
	if w.Retryable != nil {
		out = out.WithRetry(*w.Retryable)
	}
	return out
}

// ceilSeconds rounds up, so that "a moment" never becomes "now".
func ceilSeconds(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int((d + time.Second - 1) / time.Second)
}
