package sdktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	eventv1 "github.com/callboard-dev/callboard/schemas/capability/event/v1"
	jobcap "github.com/callboard-dev/callboard/schemas/capability/job/v1"
	processorv1 "github.com/callboard-dev/callboard/schemas/capability/processor/v1"
	providerv1 "github.com/callboard-dev/callboard/schemas/capability/provider/v1"
	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	schedulev1 "github.com/callboard-dev/callboard/schemas/capability/schedule/v1"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
	webhookv1 "github.com/callboard-dev/callboard/schemas/capability/webhook/v1"
	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
	jobv1 "github.com/callboard-dev/callboard/schemas/service/job/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/event"
	"github.com/callboard-dev/callboard/sdk/processor"
	"github.com/callboard-dev/callboard/sdk/provider"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/view"
	"github.com/callboard-dev/callboard/sdk/webhook"
)

// Route calls an operation. Method, path and the defaults of query parameters
// are filled from the manifest; values are not checked against its schemas. The
// test fails where the manifest does not declare the operation or the status
// that it answers. The error is the *sdk.Error that the caller would get.
func (h *Host) Route(r route.Request) (route.Response, error) {
	h.tb.Helper()
	op, ok := h.routes[r.OperationID]
	if !ok {
		h.tb.Fatalf("sdktest: %s declares no operation %q", h.file, r.OperationID)
		return route.Response{}, nil
	}
	r.Method, r.Path, r.Query = op.method, op.path, op.withDefaults(r.Query)
	var out route.Response
	if err := h.call(routev1.Name, routev1.MethodHandle, r, &out); err != nil {
		return route.Response{}, err
	}
	if !op.declares(out.Status) {
		h.tb.Errorf("sdktest: operation %q answers %d, which its responses in %s do not declare (they declare %v)",
			r.OperationID, out.Status, h.file, op.statuses)
	}
	return out, nil
}

// withDefaults adds the defaults of query parameters that are not given.
func (o operation) withDefaults(query map[string][]string) map[string][]string {
	if len(o.defaults) == 0 {
		return query
	}
	out := maps.Clone(query)
	if out == nil {
		out = map[string][]string{}
	}
	for name, value := range o.defaults {
		if _, given := out[name]; !given {
			out[name] = []string{value}
		}
	}
	return out
}

// RouteJSON calls an operation and decodes its answer into out.
func (h *Host) RouteJSON(r route.Request, out any) error {
	h.tb.Helper()
	response, err := h.Route(r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(response.Body, out); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w", r.OperationID, err)
	}
	return nil
}

// View renders a view. The slot is filled from the manifest. The test fails
// where the manifest does not name the view, or the tree could not be shown.
func (h *Host) View(r view.Request) (view.Tree, error) {
	h.tb.Helper()
	declared := h.view(r.View)
	if declared == "" {
		h.tb.Fatalf("sdktest: %s names no view %q", h.file, r.View)
		return view.Tree{}, nil
	}
	if r.Slot == "" {
		r.Slot = declared
	}
	var out view.Tree
	if err := h.call(viewv1.Name, viewv1.MethodRender, r, &out); err != nil {
		return view.Tree{}, err
	}
	if err := h.checkTree(out); err != nil {
		h.tb.Errorf("sdktest: view %q: %v", r.View, err)
	}
	return out, nil
}

// EntityView renders a view on the page of an entity of the catalog.
func (h *Host) EntityView(id, ref string, params map[string]string) (view.Tree, error) {
	h.tb.Helper()
	doc := h.entityDoc(ref)
	if doc == nil {
		h.tb.Fatalf("sdktest: the catalog has no %s; give it with sdktest.Entities", ref)
		return view.Tree{}, nil
	}
	return h.View(view.Request{View: id, Entity: doc, Params: params})
}

// view returns the slot of a view of the manifest, or "".
func (h *Host) view(id string) string {
	for _, c := range h.manifest.Capabilities {
		for _, v := range c.Views {
			if v.ID == id {
				return v.Slot
			}
		}
	}
	return ""
}

// Schedule runs a schedule that is due now and returns its message. The test
// fails where the manifest does not name it.
func (h *Host) Schedule(id string) (message string, err error) {
	h.tb.Helper()
	if !slices.Contains(h.declared(), sdk.Offered{Capability: schedulev1.Name, Name: id}) {
		h.tb.Fatalf("sdktest: %s names no schedule %q", h.file, id)
		return "", nil
	}
	var out schedulev1.Response
	err = h.call(schedulev1.Name, schedulev1.MethodRun, schedulev1.Request{Schedule: id, Due: h.Now()}, &out)
	return out.Message, err
}

// Now returns the portal's time; it starts at the real time.
func (h *Host) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// Advance moves the portal's time on: what is stored with a time to live
// expires. The plugin's own clock is the real one.
func (h *Host) Advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// declaredFlow returns what a capability of the manifest names.
func declaredFlow(c manifest.Capability) []sdk.Offered {
	var out []sdk.Offered
	for _, p := range c.Processors {
		out = append(out, sdk.Offered{Capability: processorv1.Name, Name: p.ID})
	}
	for _, p := range c.Providers {
		out = append(out, sdk.Offered{Capability: providerv1.Name, Name: p.ID})
	}
	for _, s := range c.Subscriptions {
		out = append(out, sdk.Offered{Capability: eventv1.Name, Name: s.ID})
	}
	for _, w := range c.Webhooks {
		out = append(out, sdk.Offered{Capability: webhookv1.Name, Name: w.ID})
	}
	for _, j := range c.Jobs {
		out = append(out, sdk.Offered{Capability: jobcap.Name, Name: j.ID})
	}
	return out
}

// named fails the test where the manifest does not name the offer.
func (h *Host) named(capability, name string) bool {
	h.tb.Helper()
	if slices.Contains(h.declared(), sdk.Offered{Capability: capability, Name: name}) {
		return true
	}
	h.tb.Fatalf("sdktest: %s names no %s %q", h.file, capability, name)
	return false
}

// Process shows an entity to a processor in one phase: a JSON document, or a
// value that encodes to one. The test fails where the manifest does not name
// the processor with that phase, or the answer says more than the phase allows.
func (h *Host) Process(id, phase string, entity any) (processor.Result, error) {
	h.tb.Helper()
	if !h.named(processorv1.Name, id) {
		return processor.Result{}, nil
	}
	for _, c := range h.manifest.Capabilities {
		for _, p := range c.Processors {
			if p.ID == id && !slices.Contains(p.Phases, phase) {
				h.tb.Fatalf("sdktest: the processor %q of %s does not work in the phase %q", id, h.file, phase)
			}
		}
	}
	e, err := newEntity(entity)
	if err != nil {
		return processor.Result{}, err
	}
	var out processor.Result
	req := processorv1.Request{Processor: id, Phase: phase, Location: "file:test.yaml", Entity: e.doc}
	if err := h.call(processorv1.Name, processorv1.MethodProcess, req, &out); err != nil {
		return processor.Result{}, err
	}
	if phase == processor.Pre && len(out.Relations)+len(out.Emit) > 0 || phase == processor.Post && out.Entity != nil {
		h.tb.Errorf("sdktest: the processor %q answers what the phase %s does not allow: documents change in pre, relations and entities come in post", id, phase)
	}
	return out, nil
}

// Provide asks a provider for one page.
func (h *Host) Provide(r provider.Request) (provider.Response, error) {
	h.tb.Helper()
	if !h.named(providerv1.Name, r.Provider) {
		return provider.Response{}, nil
	}
	var out provider.Response
	err := h.call(providerv1.Name, providerv1.MethodRead, r, &out)
	return out, err
}

// Deliver brings an event to a subscription. The test fails where the manifest
// does not name it, or its topics do not cover the event's.
func (h *Host) Deliver(subscription string, e event.Event) error {
	h.tb.Helper()
	if !h.named(eventv1.Name, subscription) {
		return nil
	}
	for _, c := range h.manifest.Capabilities {
		for _, s := range c.Subscriptions {
			if s.ID == subscription && !slices.ContainsFunc(s.Topics, func(t string) bool { return coversTopic(t, e.Topic) }) {
				h.tb.Errorf("sdktest: the subscription %q of %s does not cover the topic %q", subscription, h.file, e.Topic)
			}
		}
	}
	if e.ID == "" {
		e.ID = h.id("event")
	}
	if e.At.IsZero() {
		e.At = h.Now()
	}
	req := eventv1.Request{Subscription: subscription, ID: e.ID, Topic: e.Topic, Key: e.Key, At: e.At, Attempt: max(1, e.Attempt), Payload: e.Payload}
	var out eventv1.Response
	return h.call(eventv1.Name, eventv1.MethodDeliver, req, &out)
}

func coversTopic(pattern, topic string) bool {
	prefix, wild := strings.CutSuffix(pattern, "*")
	if !wild {
		return pattern == topic
	}
	return strings.HasPrefix(topic, prefix) && strings.Contains(prefix, "/") == strings.Contains(topic, "/")
}

// Send sends a delivery to a webhook, as one whose signature the portal has
// checked.
func (h *Host) Send(r webhook.Request) (webhook.Response, error) {
	h.tb.Helper()
	if !h.named(webhookv1.Name, r.Webhook) {
		return webhook.Response{}, nil
	}
	if r.Delivery == "" {
		r.Delivery = h.id("delivery")
	}
	var out webhook.Response
	if err := h.callWith(webhookv1.Name, webhookv1.MethodReceive, r.Request, r.Body, &out); err != nil {
		return webhook.Response{}, err
	}
	if out.Status == 0 {
		out.Status = 204
		if out.Body != "" {
			out.Status = 200
		}
	}
	if !slices.Contains([]int{200, 201, 202, 204, 400, 404, 410, 422}, out.Status) {
		h.tb.Errorf("sdktest: the webhook %q answers %d, which the portal does not pass on", r.Webhook, out.Status)
	}
	return out, nil
}

// Jobs returns how the plugin's jobs stand, in the order in which they were
// enqueued.
func (h *Host) Jobs() []jobv1.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]jobv1.Status, len(h.flow.jobs))
	for i, j := range h.flow.jobs {
		out[i] = j.Status
	}
	return out
}

// RunJobs runs the jobs that are due, also those that they enqueue, and returns
// how many attempts that took. A job that fails waits for a minute of the
// portal's time (Advance), or is dead.
func (h *Host) RunJobs() int {
	h.tb.Helper()
	for n := 0; ; n++ {
		j := h.dueJob()
		if j == nil {
			return n
		}
		if n == 1000 {
			h.tb.Fatalf("sdktest: 1000 attempts of jobs ran, and more are due")
			return n
		}
		var out jobcap.Response
		req := jobcap.Request{Job: j.Job, ID: j.ID, Payload: j.payload, Attempt: j.Attempts, MaxAttempts: j.most, EnqueuedAt: j.EnqueuedAt}
		err := h.call(jobcap.Name, jobcap.MethodRun, req, &out)
		h.settle(j, out, err)
	}
}

// dueJob takes the first job that is due.
func (h *Host) dueJob() *job {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, j := range h.flow.jobs {
		if j.State == jobv1.StateWaiting && !j.RunAt.After(h.now) {
			j.State = jobv1.StateRunning
			j.Attempts++
			return j
		}
	}
	return nil
}

// settle writes down what came of an attempt.
func (h *Host) settle(j *job, out jobcap.Response, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if j.State != jobv1.StateRunning {
		return // cancelled meanwhile
	}
	j.Error = ""
	switch {
	case err != nil && (permanent(err) || j.Attempts >= j.most):
		j.State, j.Error, j.EndedAt = jobv1.StateDead, err.Error(), h.now
	case err != nil:
		j.State, j.Error, j.RunAt = jobv1.StateWaiting, err.Error(), h.now.Add(time.Minute)
	case out.AgainSeconds > 0:
		j.State, j.RunAt = jobv1.StateWaiting, h.now.Add(time.Duration(out.AgainSeconds)*time.Second)
		j.Attempts--
		if len(out.Payload) > 0 {
			j.payload = out.Payload
		}
	default:
		j.State, j.Result, j.Percent, j.EndedAt = jobv1.StateDone, json.RawMessage(out.Result), 100, h.now
	}
}

// permanent says whether the portal would not try again after err.
func permanent(err error) bool {
	e := sdk.AsError(err)
	if e.Retry != sdk.RetryByCode {
		return e.Retry == sdk.RetryNever
	}
	return slices.Contains([]sdk.Code{
		sdk.CodeInvalid, sdk.CodeNotFound, sdk.CodeForbidden, sdk.CodeUnauthorised, sdk.CodeNotGranted, sdk.CodeConflict, sdk.CodeUnsupported,
	}, e.Code)
}
