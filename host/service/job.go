package service

import (
	"context"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/work"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	jobv1 "github.com/callboard-dev/callboard/schemas/service/job/v1"
)

const (
	jobLane = "job" // as host/extension runs it
	// jobHorizon is how far ahead a job may be planned.
	jobHorizon      = 366 * 24 * time.Hour
	defaultAttempts = 10
	defaultJobs     = 50
	maxJobs         = 200
)

// Jobs is job/v1: durable work that a plugin hands to the host.
type Jobs struct{ store *work.Store }

var _ plugin.Service = (*Jobs)(nil)

// NewJobs returns the service over the store of work.
func NewJobs(store *work.Store) *Jobs { return &Jobs{store: store} }

// Serve answers one call.
func (j *Jobs) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	grants, err := granted(s, jobv1.Name)
	if err != nil {
		return nil, err
	}
	switch call.Method {
	case jobv1.MethodEnqueue:
		return j.enqueue(ctx, s, grants, call.Body)
	case jobv1.MethodProgress:
		return nil, j.progress(ctx, s, call.Body)
	case jobv1.MethodList:
		return j.list(ctx, s, call.Body)
	case jobv1.MethodStatus, jobv1.MethodCancel, jobv1.MethodRetry:
	default:
		return nil, unknownMethod(jobv1.Name, call.Method)
	}
	in, err := read[jobv1.IDRequest](call.Body)
	if err != nil {
		return nil, err
	}
	in.ID = text(in.ID)
	switch call.Method {
	case jobv1.MethodCancel:
		return nil, j.store.Cancel(ctx, s.Instance.Tenant, s.Instance.ID, jobLane, in.ID)
	case jobv1.MethodRetry:
		return nil, j.store.Retry(ctx, s.Instance.Tenant, s.Instance.ID, jobLane, in.ID)
	}
	item, err := j.store.Get(ctx, s.Instance.Tenant, s.Instance.ID, jobLane, in.ID)
	if err != nil {
		return nil, err
	}
	return statusOf(item), nil
}

func (j *Jobs) enqueue(ctx context.Context, s *plugin.Session, grants []plugin.Grant, body []byte) (any, error) {
	in, err := read[jobv1.EnqueueRequest](body)
	if err != nil {
		return nil, err
	}
	kind := jobOf(s.Instance, in.Job)
	if kind == nil {
		return nil, host.Errorf(host.CodeInvalid, "the manifest of %s has no job %q", s.Instance.Short, clip(in.Job, 64)).
			WithHint("add it to jobs of the capability job/v1")
	}
	if len(in.Payload) > jobv1.MaxPayload || len(in.Key) > jobv1.MaxKey {
		return nil, host.Errorf(host.CodeTooLarge, "a job has a key of at most %d and a payload of at most %d bytes", jobv1.MaxKey, jobv1.MaxPayload)
	}
	if in.RunAt.After(time.Now().Add(jobHorizon)) {
		return nil, host.Errorf(host.CodeInvalid, "a job runs within a year, not at %s", in.RunAt.Format(time.DateOnly))
	}
	most := 0
	for _, g := range grants {
		most = max(most, g.Waiting)
	}
	attempts := kind.MaxAttempts
	if attempts <= 0 {
		attempts = defaultAttempts
	}
	item := work.Item{
		Queue: work.Queue{Instance: s.Instance.ID, Lane: jobLane, Name: kind.ID}, Key: text(in.Key), Payload: in.Payload, MaxAttempts: attempts, RunAt: in.RunAt,
	}
	added, err := j.store.Add(ctx, s.Instance.Tenant, []work.Item{item}, most)
	if err != nil {
		return nil, err
	}
	if added[0].Dropped {
		return nil, host.Errorf(host.CodeLimit, "%d jobs of %s wait or run already", most, s.Instance.Short).
			WithHint("wait until some are done, or ask for a larger number in the manifest")
	}
	return jobv1.EnqueueResponse{ID: added[0].ID, Existed: added[0].Existed}, nil
}

// jobOf finds a job in the instance's manifest.
func jobOf(in *plugin.Instance, id string) *manifestv1.Job {
	capability := in.Capability(jobv1.Name)
	if capability == nil {
		return nil
	}
	for i := range capability.Jobs {
		if capability.Jobs[i].ID == id {
			return &capability.Jobs[i]
		}
	}
	return nil
}

func (j *Jobs) progress(ctx context.Context, s *plugin.Session, body []byte) error {
	in, err := read[jobv1.ProgressRequest](body)
	if err != nil {
		return err
	}
	if in.Percent < 0 || in.Percent > 100 {
		return host.Errorf(host.CodeInvalid, "percent is 0 to 100, not %d", in.Percent)
	}
	return j.store.Progress(ctx, s.Instance.Tenant, s.Instance.ID, jobLane, text(in.ID), in.Percent, in.Note)
}

func (j *Jobs) list(ctx context.Context, s *plugin.Session, body []byte) (any, error) {
	in, err := read[jobv1.ListRequest](body)
	if err != nil {
		return nil, err
	}
	switch in.State {
	case "", jobv1.StateWaiting, jobv1.StateRunning, jobv1.StateDone, jobv1.StateDead, jobv1.StateCancelled:
	default:
		return nil, host.Errorf(host.CodeInvalid, "there is no state %q of jobs", clip(in.State, 20)).WithHint("write waiting, running, done, dead or cancelled")
	}
	if in.Limit == 0 {
		in.Limit = defaultJobs
	}
	if in.Limit < 0 || in.Limit > maxJobs {
		return nil, host.Errorf(host.CodeInvalid, "limit must be between 1 and %d", maxJobs)
	}
	items, err := j.store.List(ctx, s.Instance.Tenant, s.Instance.ID, jobLane, work.State(in.State), in.Limit)
	if err != nil {
		return nil, err
	}
	out := jobv1.ListResponse{Jobs: make([]jobv1.Status, 0, len(items))}
	for _, item := range items {
		out.Jobs = append(out.Jobs, statusOf(item))
	}
	return out, nil
}

func statusOf(i work.Item) jobv1.Status {
	out := jobv1.Status{
		ID: i.ID, Job: i.Name, Key: i.Key, State: string(i.State), Attempts: i.Attempts, Percent: i.Percent, Note: i.Note,
		Error: i.Error, RunAt: i.RunAt, EnqueuedAt: i.CreatedAt, EndedAt: i.EndedAt,
	}
	if len(i.Result) > 0 {
		out.Result = i.Result
	}
	return out
}

// text makes a guest's word fit for every database.
func text(s string) string { return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD") }
