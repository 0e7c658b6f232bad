// Package job is the capability job/v1: the host runs the jobs that the plugin
// enqueued with the service job/v1. A job that fails is tried again with
// growing pauses, unless the plugin says that its error is permanent; one that
// keeps failing becomes a dead letter.
package job

import (
	"encoding/json"
	"time"
)

const (
	// Name is the capability's name in manifests and calls.
	Name = "job/v1"
	// MethodRun takes a Request and returns a Response.
	MethodRun = "run"
)

// Request is one attempt of a job.
type Request struct {
	// Job is the id of the manifest's job, ID that of this one.
	Job     string          `json:"job"`
	ID      string          `json:"id"`
	Payload json.RawMessage `json:"payload,omitempty"`
	// Attempt counts from 1; after MaxAttempts the job is a dead letter.
	Attempt     int       `json:"attempt"`
	MaxAttempts int       `json:"maxAttempts"`
	EnqueuedAt  time.Time `json:"enqueuedAt"`
}

// Response ends the job, or this part of it.
type Response struct {
	// Result is kept with the job; at most 64 KiB.
	Result json.RawMessage `json:"result,omitempty"`
	// Again runs the job again after so many seconds, with Payload in place of
	// the old one: for work that takes longer than one call. It counts as no
	// attempt. Zero means done.
	AgainSeconds int             `json:"againSeconds,omitempty"`
	Payload      json.RawMessage `json:"payload,omitempty"`
}
