package extension

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/work"
	jobv1 "github.com/callboard-dev/callboard/schemas/capability/job/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

const (
	// LaneJob is the lane of package work that holds the jobs of plugins.
	LaneJob = "job"
	// LaneEvent is the lane that holds events on their way to subscriptions.
	LaneEvent = "event"

	// DefaultAttempts is after how many failures an item is dead where the
	// manifest does not say.
	DefaultAttempts = 10
	// offPause is how long the work of a plugin waits that does not answer calls.
	offPause = time.Minute
	// busyPause is how long it waits where the plugin has too much to do.
	busyPause = 2 * time.Second
	// maxResult bounds what a job leaves behind, in bytes.
	maxResult = 64 << 10
	// maxAgain bounds the pause between two parts of a job.
	maxAgain = 24 * time.Hour
)

// Jobs runs the durable jobs of plugins (job/v1).
type Jobs struct {
	house   House
	tenants Tenants
}

// NewJobs returns Jobs over house.
func NewJobs(house House, tenants Tenants) *Jobs { return &Jobs{house: house, tenants: tenants} }

// Do runs one attempt of a job.
func (j *Jobs) Do(ctx context.Context, id host.TenantID, item work.Item) work.Verdict {
	t, in, err := whose(ctx, j.house, j.tenants, id, item)
	if err != nil {
		return work.Verdict{Err: err}
	}
	capability := in.Capability(jobv1.Name)
	if capability == nil || !hasJob(capability, item.Name) {
		return work.Verdict{Err: host.Errorf(host.CodePluginUnsupported, "the plugin %s has no job %q any more", in.Short, item.Name)}
	}
	req := jobv1.Request{Job: item.Name, ID: item.ID, Payload: rawOf(item.Payload), Attempt: item.Attempts, MaxAttempts: item.MaxAttempts, EnqueuedAt: item.CreatedAt}
	var out jobv1.Response
	if err := j.house.Call(ctx, host.System(t, "job"), in.Short, jobv1.Name, jobv1.MethodRun, req, &out); err != nil {
		return work.Verdict{Err: patient(err)}
	}
	if len(out.Result) > maxResult || len(out.Payload) > maxResult*4 {
		return work.Verdict{Err: host.Errorf(host.CodePluginOutput, "the job %s of %s leaves more than %d bytes", item.Name, in.Short, maxResult)}
	}
	v := work.Verdict{Result: out.Result}
	if out.AgainSeconds > 0 {
		v.Again, v.Payload = min(time.Duration(out.AgainSeconds)*time.Second, maxAgain), out.Payload
		if len(v.Payload) == 0 {
			v.Payload = item.Payload
		}
	}
	return v
}

func hasJob(c *manifestv1.Capability, id string) bool {
	for _, j := range c.Jobs {
		if j.ID == id {
			return true
		}
	}
	return false
}

// whose finds the tenant and the instance of an item. An instance that does
// not answer calls keeps its items until it does.
func whose(ctx context.Context, house House, tenants Tenants, id host.TenantID, item work.Item) (host.Tenant, *plugin.Instance, error) {
	active := house.Active(id)
	for i := range active {
		if active[i].ID == item.Instance {
			t, err := tenants.ByID(ctx, id)
			return t, &active[i], err
		}
	}
	return host.Tenant{}, nil, &work.Later{After: offPause, Why: "the plugin does not answer calls"}
}

// patient turns the failures that are nobody's fault into waiting: the plugin
// is busy, compiled or stopped just now.
func patient(err error) error {
	var he *host.Error
	if !errors.As(err, &he) || he.Code != host.CodeUnavailable && he.Code != host.CodeQuota {
		return err
	}
	return &work.Later{After: max(busyPause, min(he.RetryAfter, time.Hour)), Why: he.Message}
}

// rawOf returns JSON as it was kept; nothing is nothing.
func rawOf(b []byte) json.RawMessage {
	if len(b) == 0 {
		return nil
	}
	return b
}
