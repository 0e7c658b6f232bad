// Package job is the host service job/v1: durable work that the plugin hands to
// the host and does later, through its capability job/v1.
package job

import (
	"encoding/json"
	"time"
)

const (
	// Name is the service's name in manifests and calls.
	Name = "job/v1"

	MethodEnqueue  = "enqueue"  // EnqueueRequest -> EnqueueResponse
	MethodStatus   = "status"   // IDRequest -> Status
	MethodCancel   = "cancel"   // IDRequest -> nothing
	MethodRetry    = "retry"    // IDRequest -> nothing; for dead letters
	MethodProgress = "progress" // ProgressRequest -> nothing; from within the job
	MethodList     = "list"     // ListRequest -> ListResponse
)

// Bounds of one request.
const (
	MaxPayload = 256 << 10
	MaxKey     = 256
)

// The states of a job.
const (
	StateWaiting   = "waiting"
	StateRunning   = "running"
	StateDone      = "done"
	StateDead      = "dead"
	StateCancelled = "cancelled"
)

// EnqueueRequest asks for one run of a job.
type EnqueueRequest struct {
	// Job is the id of one of the manifest's jobs.
	Job string `json:"job"`
	// Key, if not empty, is unique among the jobs of this id that wait or run:
	// a second one is not enqueued, and the answer names the first.
	Key     string          `json:"key,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	// RunAt is when to run it; the zero time means now.
	RunAt time.Time `json:"runAt,omitzero"`
}

// EnqueueResponse names the job.
type EnqueueResponse struct {
	ID string `json:"id"`
	// Existed is true where a job with the key was there already.
	Existed bool `json:"existed,omitempty"`
}

// IDRequest names a job.
type IDRequest struct {
	ID string `json:"id"`
}

// Status is how a job stands.
type Status struct {
	ID       string `json:"id"`
	Job      string `json:"job"`
	Key      string `json:"key,omitempty"`
	State    string `json:"state"`
	Attempts int    `json:"attempts"`
	// Percent and Note are what the job said of itself.
	Percent int             `json:"percent,omitempty"`
	Note    string          `json:"note,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	// Error is that of the last attempt.
	Error      string    `json:"error,omitempty"`
	RunAt      time.Time `json:"runAt,omitzero"`
	EnqueuedAt time.Time `json:"enqueuedAt"`
	EndedAt    time.Time `json:"endedAt,omitzero"`
}

// ProgressRequest says how far a job is; it also keeps the job from being taken
// for lost.
type ProgressRequest struct {
	ID      string `json:"id"`
	Percent int    `json:"percent"`
	Note    string `json:"note,omitempty"` // at most 200 bytes
}

// ListRequest asks for the newest jobs, of one state if State is set.
type ListRequest struct {
	State string `json:"state,omitempty"`
	Limit int    `json:"limit,omitempty"` // at most 200, 0 means 50
}

// ListResponse holds them, without results.
type ListResponse struct {
	Jobs []Status `json:"jobs"`
}
