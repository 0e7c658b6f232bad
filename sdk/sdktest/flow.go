package sdktest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	netmail "net/mail"
	"slices"
	"strings"

	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	eventv1 "github.com/callboard-dev/callboard/schemas/service/event/v1"
	jobv1 "github.com/callboard-dev/callboard/schemas/service/job/v1"
	mailv1 "github.com/callboard-dev/callboard/schemas/service/mail/v1"
	metricv1 "github.com/callboard-dev/callboard/schemas/service/metric/v1"
	tracev1 "github.com/callboard-dev/callboard/schemas/service/trace/v1"
)

// flow is what the plugin did behind the scenes.
type flow struct {
	published []Published
	jobs      []*job
	mails     []Mail
	points    []Point
	spans     []Span
}

// Published is one event that the plugin published: Topic is without its name.
type Published = eventv1.Event

// Mail is one message that the plugin sent, with its placeholders.
type Mail = mailv1.Message

// Point is one measurement of the plugin.
type Point = metricv1.Point

// Span is one span of the plugin's own.
type Span = tracev1.Span

// Published returns the events that the plugin published so far.
func (h *Host) Published() []Published { return locked(h, &h.flow.published) }

// Mails returns the messages that the plugin sent so far.
func (h *Host) Mails() []Mail { return locked(h, &h.flow.mails) }

// Points returns the measurements of the plugin so far.
func (h *Host) Points() []Point { return locked(h, &h.flow.points) }

// Spans returns the spans that the plugin added to traces so far.
func (h *Host) Spans() []Span { return locked(h, &h.flow.spans) }

func locked[T any](h *Host, list *[]T) []T {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(*list)
}

func (h *Host) eventPublish(_ context.Context, in eventv1.PublishRequest) (any, *plugin.Error) {
	if len(in.Events) == 0 || len(in.Events) > eventv1.MaxEvents {
		return nil, fault(plugin.CodeInvalid, "publish 1 to %d events at a time", eventv1.MaxEvents)
	}
	out := eventv1.PublishResponse{}
	for _, e := range in.Events {
		if !slices.Contains(h.permission(eventv1.Name).Publish, e.Topic) {
			return nil, fault(plugin.CodeNotGranted, "publish of the permission event/v1 in %s does not name %q", h.file, e.Topic)
		}
		if len(e.Key) > eventv1.MaxKey || len(e.Payload) > eventv1.MaxPayload {
			return nil, fault(plugin.CodeLimit, "an event has a key of at most %d and a payload of at most %d bytes", eventv1.MaxKey, eventv1.MaxPayload)
		}
		out.IDs = append(out.IDs, h.id("event"))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flow.published = append(h.flow.published, in.Events...)
	return out, nil
}

// id makes a name that no other thing of this host has.
func (h *Host) id(kind string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made++
	return fmt.Sprintf("%s_%d", kind, h.made)
}

// job is one job with what is needed to run it.
type job struct {
	jobv1.Status
	payload []byte
	most    int
}

// jobs returns the jobs of the manifest.
func (h *Host) declaredJob(id string) *manifest.Job {
	for _, c := range h.manifest.Capabilities {
		for i := range c.Jobs {
			if c.Jobs[i].ID == id {
				return &c.Jobs[i]
			}
		}
	}
	return nil
}

func (h *Host) jobEnqueue(_ context.Context, in jobv1.EnqueueRequest) (any, *plugin.Error) {
	kind := h.declaredJob(in.Job)
	if kind == nil {
		return nil, fault(plugin.CodeInvalid, "%s has no job %q", h.file, in.Job)
	}
	if len(in.Payload) > jobv1.MaxPayload || len(in.Key) > jobv1.MaxKey {
		return nil, fault(plugin.CodeLimit, "a job has a key of at most %d and a payload of at most %d bytes", jobv1.MaxKey, jobv1.MaxPayload)
	}
	id := h.id("job")
	h.mu.Lock()
	defer h.mu.Unlock()
	open := 0
	for _, j := range h.flow.jobs {
		if j.State != jobv1.StateWaiting && j.State != jobv1.StateRunning {
			continue
		}
		if open++; in.Key != "" && j.Key == in.Key && j.Job == in.Job {
			return jobv1.EnqueueResponse{ID: j.ID, Existed: true}, nil
		}
	}
	if open >= h.permission(jobv1.Name).Waiting {
		return nil, fault(plugin.CodeLimit, "%d jobs wait already", open)
	}
	j := &job{payload: in.Payload, most: kind.MaxAttempts, Status: jobv1.Status{
		ID: id, Job: in.Job, Key: in.Key, State: jobv1.StateWaiting, RunAt: in.RunAt, EnqueuedAt: h.now,
	}}
	if j.most <= 0 {
		j.most = 10
	}
	if j.RunAt.Before(h.now) {
		j.RunAt = h.now
	}
	h.flow.jobs = append(h.flow.jobs, j)
	return jobv1.EnqueueResponse{ID: id}, nil
}

// withJob runs f on a job, under the lock.
func (h *Host) withJob(id string, f func(j *job) *plugin.Error) *plugin.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, j := range h.flow.jobs {
		if j.ID == id {
			return f(j)
		}
	}
	return fault(plugin.CodeNotFound, "there is no job %q", id)
}

func (h *Host) jobStatus(_ context.Context, in jobv1.IDRequest) (any, *plugin.Error) {
	var out jobv1.Status
	err := h.withJob(in.ID, func(j *job) *plugin.Error { out = j.Status; return nil })
	return out, err
}

func (h *Host) jobCancel(_ context.Context, in jobv1.IDRequest) (any, *plugin.Error) {
	return nil, h.withJob(in.ID, func(j *job) *plugin.Error {
		if j.State != jobv1.StateWaiting && j.State != jobv1.StateRunning {
			return fault(plugin.CodeConflict, "the job has ended already: it is %s", j.State)
		}
		j.State, j.EndedAt = jobv1.StateCancelled, h.now
		return nil
	})
}

func (h *Host) jobRetry(_ context.Context, in jobv1.IDRequest) (any, *plugin.Error) {
	return nil, h.withJob(in.ID, func(j *job) *plugin.Error {
		if j.State != jobv1.StateDead && j.State != jobv1.StateCancelled {
			return fault(plugin.CodeConflict, "the job is %s, so there is nothing to try again", j.State)
		}
		j.State, j.Attempts, j.RunAt = jobv1.StateWaiting, 0, h.now
		return nil
	})
}

func (h *Host) jobProgress(_ context.Context, in jobv1.ProgressRequest) (any, *plugin.Error) {
	if in.Percent < 0 || in.Percent > 100 {
		return nil, fault(plugin.CodeInvalid, "percent is 0 to 100")
	}
	return nil, h.withJob(in.ID, func(j *job) *plugin.Error {
		if j.State != jobv1.StateRunning {
			return fault(plugin.CodeConflict, "the job is not running")
		}
		j.Percent, j.Note = in.Percent, in.Note
		return nil
	})
}

func (h *Host) jobList(_ context.Context, in jobv1.ListRequest) (any, *plugin.Error) {
	if in.Limit == 0 {
		in.Limit = 50
	}
	if in.Limit < 0 || in.Limit > 200 {
		return nil, fault(plugin.CodeInvalid, "limit is 1 to 200")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	out := jobv1.ListResponse{Jobs: []jobv1.Status{}}
	for _, j := range slices.Backward(h.flow.jobs) {
		if (in.State == "" || in.State == j.State) && len(out.Jobs) < in.Limit {
			s := j.Status
			s.Result = nil
			out.Jobs = append(out.Jobs, s)
		}
	}
	return out, nil
}

func (h *Host) mailSend(_ context.Context, in mailv1.Message) (any, *plugin.Error) {
	all := slices.Concat(in.To, in.Cc)
	if len(in.To) == 0 || len(all) > mailv1.MaxRecipients || strings.TrimSpace(in.Subject) == "" || strings.TrimSpace(in.Text) == "" {
		return nil, fault(plugin.CodeInvalid, "a message has 1 to %d recipients, a subject and a text", mailv1.MaxRecipients)
	}
	if in.ReplyTo != "" {
		all = append(all, in.ReplyTo)
	}
	p := h.permission(mailv1.Name)
	for _, address := range all {
		a, err := netmail.ParseAddress(address)
		if err != nil {
			return nil, fault(plugin.CodeInvalid, "%q is not an address of mail", address)
		}
		domain := strings.ToLower(a.Address[strings.LastIndexByte(a.Address, '@')+1:])
		if !slices.ContainsFunc(p.Domains, func(d string) bool { return coversDomain(d, domain) }) {
			return nil, fault(plugin.CodeNotGranted, "domains of the permission mail/v1 in %s do not cover %s", h.file, domain)
		}
	}
	id := h.id("mail")
	h.mu.Lock()
	defer h.mu.Unlock()
	sent := 0
	for _, m := range h.flow.mails {
		sent += len(m.To) + len(m.Cc)
	}
	if sent+len(in.To)+len(in.Cc) > p.PerHour {
		return nil, fault(plugin.CodeRateLimited, "%d recipients an hour are allowed", p.PerHour)
	}
	h.flow.mails = append(h.flow.mails, in)
	return mailv1.Receipt{ID: id}, nil
}

func coversDomain(pattern, domain string) bool {
	below, wild := strings.CutPrefix(pattern, "*.")
	return pattern == "*" || strings.EqualFold(pattern, domain) || wild && strings.HasSuffix(domain, "."+below)
}

func (h *Host) metricRecord(_ context.Context, in metricv1.RecordRequest) (any, *plugin.Error) {
	for _, p := range in.Points {
		n := slices.IndexFunc(h.permission(metricv1.Name).Metrics, func(m manifest.Metric) bool { return m.Name == p.Metric })
		if n < 0 {
			return nil, fault(plugin.CodeNotGranted, "metrics of the permission metric/v1 in %s do not name %q", h.file, p.Metric)
		}
		m := h.permission(metricv1.Name).Metrics[n]
		for label := range maps.Keys(p.Labels) {
			if !slices.Contains(m.Labels, label) {
				return nil, fault(plugin.CodeInvalid, "the metric %s has no label %q", p.Metric, label)
			}
		}
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) || m.Kind == metricv1.KindCounter && p.Value < 0 {
			return nil, fault(plugin.CodeInvalid, "%v is no value of the %s %s", p.Value, m.Kind, p.Metric)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flow.points = append(h.flow.points, in.Points...)
	return nil, nil
}

func (h *Host) traceRecord(_ context.Context, in tracev1.RecordRequest) (any, *plugin.Error) {
	for i, s := range in.Spans {
		if s.Name == "" || s.End.Before(s.Start) || s.Parent < 0 || s.Parent > i {
			return nil, fault(plugin.CodeInvalid, "the span %d cannot be", i+1)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flow.spans = append(h.flow.spans, in.Spans...)
	return nil, nil
}

// addToken puts what stands for a fetched token or a signature on a request:
// the portal fetches and signs for real, from origins that the grant names.
func (h *Host) addToken(r *http.Request, auth *manifest.Auth) *plugin.Error {
	switch auth.Type {
	case "oauth2", "google", "github-app":
		r.Header.Set("Authorization", "Bearer "+auth.Type+"-token")
	case "aws":
		id := strings.Join(h.expand(auth.AccessKeyID), "")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+id+"/20260101/"+strings.Join(h.expand(auth.Region), "")+"/"+strings.Join(h.expand(auth.Service), "")+"/aws4_request")
	default:
		return fault(plugin.CodeInternal, "the manifest's auth type %q is unknown", auth.Type)
	}
	return nil
}
