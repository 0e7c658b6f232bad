// Package job is durable work: Enqueue hands it to the host (the host service
// job/v1), and the host runs it through what Run offers (the capability job/v1).
//
// A job runs at least once. An error has it tried again later, unless it is
// permanent (sdk.Error.WithRetry, or a code such as sdk.CodeInvalid): then, or
// after the attempts of plugin.yaml, it is a dead letter.
package job

import (
	"context"
	"encoding/json"
	"time"

	v1 "github.com/callboard-dev/callboard/schemas/capability/job/v1"
	"github.com/callboard-dev/callboard/schemas/codec"
	service "github.com/callboard-dev/callboard/schemas/service/job/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// States of a job.
const (
	Waiting   = service.StateWaiting
	Running   = service.StateRunning
	Done      = service.StateDone
	Dead      = service.StateDead
	Cancelled = service.StateCancelled
)

// Status is how a job stands.
type Status = service.Status

// Job is one attempt of a job.
type Job struct {
	ID string
	// Attempt counts from 1, up to MaxAttempts.
	Attempt, MaxAttempts int
	EnqueuedAt           time.Time
	Payload              json.RawMessage
}

// Decode decodes the payload into v. One that does not fit is CodeInvalid, so
// that the job becomes a dead letter.
func (j Job) Decode(v any) error {
	if err := codec.Unmarshal(j.Payload, v); err != nil {
		return sdk.Errorf(sdk.CodeInvalid, "decoding the job's payload: %w", err)
	}
	return nil
}

// Progress says how far the job is, in percent and in words.
func (j Job) Progress(ctx context.Context, percent int, note string) error {
	in := service.ProgressRequest{ID: j.ID, Percent: percent, Note: note}
	return sdk.Do(ctx, service.Name, service.MethodProgress, in, nil)
}

// Result is what came of an attempt; the zero value is done.
type Result struct {
	// Value is kept with the job; it encodes to JSON of at most 64 KiB.
	Value any
	// Again runs the job again after that time with Next as its payload, for
	// work that takes longer than one call. It counts as no attempt.
	Again time.Duration
	Next  any
}

// Handler runs one attempt.
type Handler func(ctx *sdk.Context, j Job) (Result, error)

// Run offers the job with the given id.
func Run(id string, h Handler) sdk.Option {
	offer := sdk.Offer{Capability: v1.Name, Method: v1.MethodRun, Name: id, Decode: decode}
	if h != nil {
		offer.Handle = func(ctx *sdk.Context, request any) (any, error) {
			r := request.(v1.Request)
			result, err := h(ctx, Job{ID: r.ID, Attempt: r.Attempt, MaxAttempts: r.MaxAttempts, EnqueuedAt: r.EnqueuedAt, Payload: r.Payload})
			if err != nil {
				return nil, err
			}
			return result.wire()
		}
	}
	return offer
}

// wire encodes the result.
func (r Result) wire() (v1.Response, error) {
	var out v1.Response
	var err error
	if r.Value != nil {
		if out.Result, err = codec.Marshal(r.Value); err != nil {
			return out, sdk.Errorf(sdk.CodeInternal, "encoding the job's result: %w", err)
		}
	}
	if r.Again <= 0 {
		return out, nil
	}
	out.AgainSeconds = int((r.Again + time.Second - 1) / time.Second)
	if r.Next != nil {
		if out.Payload, err = codec.Marshal(r.Next); err != nil {
			return out, sdk.Errorf(sdk.CodeInternal, "encoding the job's next part: %w", err)
		}
	}
	return out, nil
}

// decode reads a request and says which job it is.
func decode(body json.RawMessage) (string, any, error) {
	var r v1.Request
	if err := codec.Unmarshal(body, &r); err != nil {
		return "", nil, err
	}
	return r.Job, r, nil
}

// Options say when a job runs; the zero value means now.
type Options struct {
	// Key, if not empty, is unique among the jobs of the id that wait or run.
	Key string
	// At is when to run it.
	At time.Time
}

// Enqueue hands a job to the host and returns its id; existed is true where
// one with the key was there already, whose id it is.
func Enqueue(ctx context.Context, id string, payload any, o Options) (job string, existed bool, err error) {
	raw, err := codec.Marshal(payload)
	if err != nil {
		return "", false, sdk.Errorf(sdk.CodeInternal, "encoding the payload of the job %s: %w", id, err)
	}
	var out service.EnqueueResponse
	in := service.EnqueueRequest{Job: id, Key: o.Key, Payload: raw, RunAt: o.At}
	err = sdk.Do(ctx, service.Name, service.MethodEnqueue, in, &out)
	return out.ID, out.Existed, err
}

// Get returns how a job stands; it is kept for a day after its end, a dead one
// for 30 days.
func Get(ctx context.Context, id string) (Status, error) {
	var out Status
	err := sdk.Do(ctx, service.Name, service.MethodStatus, service.IDRequest{ID: id}, &out)
	return out, err
}

// List returns the newest jobs, of one state if state is not empty, without
// their results. A limit of 0 means 50, 200 is the most.
func List(ctx context.Context, state string, limit int) ([]Status, error) {
	var out service.ListResponse
	err := sdk.Do(ctx, service.Name, service.MethodList, service.ListRequest{State: state, Limit: limit}, &out)
	return out.Jobs, err
}

// Cancel keeps a job from running; one that runs ends as cancelled.
func Cancel(ctx context.Context, id string) error {
	return sdk.Do(ctx, service.Name, service.MethodCancel, service.IDRequest{ID: id}, nil)
}

// Retry runs a dead or cancelled job again, as if it had not been tried.
func Retry(ctx context.Context, id string) error {
	return sdk.Do(ctx, service.Name, service.MethodRetry, service.IDRequest{ID: id}, nil)
}
