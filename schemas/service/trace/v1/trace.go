// Package trace is the host service trace/v1: spans of the guest's own work,
// which become part of the call's trace. It needs no permission and is limited
// in number and size. The W3C context of a call is in its envelope.
package trace

import "time"

const (
	// Name is the service's name in calls.
	Name = "trace/v1"
	// MethodRecord takes a RecordRequest and returns nothing.
	MethodRecord = "record"
)

// Bounds.
const (
	MaxSpans      = 100 // of one call
	MaxAttributes = 16  // of one span
	MaxText       = 256 // bytes of a name or value
)

// RecordRequest holds spans that have ended.
type RecordRequest struct {
	Spans []Span `json:"spans"`
}

// Span is one piece of work. A parent stands before its children.
type Span struct {
	Name  string    `json:"name"`
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Parent is the position, from 1, of the parent among Spans; 0 is the call.
	Parent     int               `json:"parent,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	// Error is why it failed, or empty.
	Error string `json:"error,omitempty"`
}
