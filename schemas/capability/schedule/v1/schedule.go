// Package schedule is the capability schedule/v1: the host calls a plugin at
// the intervals that its manifest names, durably and with jitter.
package schedule

import "time"

const (
	// Name is the capability's name in manifests and calls.
	Name = "schedule/v1"
	// MethodRun takes a Request and returns a Response.
	MethodRun = "run"
)

// Request says which schedule is due.
type Request struct {
	Schedule string    `json:"schedule"`
	Due      time.Time `json:"due"`
}

// Response is what one run reports to the operator.
type Response struct {
	Message string `json:"message,omitempty"`
}
