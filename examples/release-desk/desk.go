package main

import (
	"fmt"
	"strings"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/event"
	"github.com/callboard-dev/callboard/sdk/job"
	"github.com/callboard-dev/callboard/sdk/kv"
	"github.com/callboard-dev/callboard/sdk/metric"
	"github.com/callboard-dev/callboard/sdk/processor"
	"github.com/callboard-dev/callboard/sdk/provider"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/trace"
	"github.com/callboard-dev/callboard/sdk/webhook"
)

// New returns the plugin.
func New() *sdk.Plugin {
	return sdk.New(
		processor.Process("stamp", stamp),
		provider.Full("train", train),
		event.On("changes", changed),
		event.On("own", counted),
		webhook.Receive("github", pushed),
		job.Run("count", count),
		route.Handle("getDesk", desk),
	)
}

// pagerKey is the annotation that every service should have.
const pagerKey = "release-desk/pager"

// component is what the desk reads of an entity, and writes.
type component struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       map[string]any `json:"spec,omitempty"`
}

// stamp gives every component a pager, and makes it part of the release train.
func stamp(_ *sdk.Context, e processor.Entity) (processor.Result, error) {
	var c component
	if err := e.Decode(&c); err != nil {
		return processor.Result{}, err
	}
	if e.Phase == processor.Post {
		return processor.Result{Relations: []processor.Relation{{Type: "partOf", Inverse: "hasPart", Target: "system:default/release-train"}}}, nil
	}
	annotations, _ := c.Metadata["annotations"].(map[string]any)
	if annotations == nil {
		annotations = map[string]any{}
	}
	switch annotations[pagerKey] {
	case nil:
		annotations[pagerKey] = "team"
		c.Metadata["annotations"] = annotations
		return processor.Replace(c)
	case "nobody":
		return processor.Problem("nobody wears the pager", "name a team in the annotation "+pagerKey), nil
	}
	return processor.Result{}, nil
}

// train is the system that the desk provides.
func train(*sdk.Context) ([]any, error) {
	return []any{component{
		APIVersion: "backstage.io/v1alpha1", Kind: "System",
		Metadata: map[string]any{"name": "release-train", "description": "What is released together."}, Spec: map[string]any{"owner": "release-desk"},
	}}, nil
}

// task is the payload of the job.
type task struct {
	What string `json:"what"`
	Part int    `json:"part"`
}

// changed hears of entities and leaves the counting to a job.
func changed(ctx *sdk.Context, e event.Event) error {
	var entity event.Entity
	if err := e.Decode(&entity); err != nil {
		return err
	}
	_, _, err := job.Enqueue(ctx, "count", task{What: "change " + entity.Ref}, job.Options{Key: entity.Ref})
	return err
}

// pushed takes GitHub's deliveries.
func pushed(ctx *sdk.Context, r webhook.Request) (webhook.Response, error) {
	var push struct {
		Ref string `json:"ref"`
	}
	if err := r.Decode(&push); err != nil {
		return webhook.Response{}, err
	}
	if push.Ref == "" {
		return webhook.Response{Status: 422, Body: `{"error":"the push has no ref"}`}, nil
	}
	id, _, err := job.Enqueue(ctx, "count", task{What: "push " + push.Ref}, job.Options{})
	if err != nil {
		return webhook.Response{}, err
	}
	return webhook.Response{Status: 202, Body: fmt.Sprintf(`{"job":%q}`, id)}, nil
}

// count counts a task in two parts, as work does that takes longer than a call.
func count(ctx *sdk.Context, j job.Job) (job.Result, error) {
	var t task
	if err := j.Decode(&t); err != nil {
		return job.Result{}, err
	}
	within, span := trace.Start(ctx, "count", "what", t.What)
	defer span.End()
	if strings.HasSuffix(t.What, "refs/heads/broken") {
		return job.Result{}, sdk.Errorf(sdk.CodeInvalid, "%s cannot be counted", t.What)
	}
	if t.Part == 0 {
		t.Part = 1
		return job.Result{Again: 1, Next: t}, j.Progress(within, 50, "half of it")
	}
	var n int
	if _, err := kv.GetJSON(within, t.What, &n); err != nil {
		return job.Result{}, err
	}
	if err := kv.SetJSON(within, t.What, n+1, kv.Forever); err != nil {
		return job.Result{}, err
	}
	what, _, _ := strings.Cut(t.What, " ")
	if err := metric.Count(within, "counted", 1, "what", what); err != nil {
		return job.Result{}, err
	}
	if _, err := event.Publish(within, "counted", t.What, t); err != nil {
		return job.Result{}, err
	}
	return job.Result{Value: n + 1}, nil
}

// counted hears of the desk's own events.
func counted(ctx *sdk.Context, e event.Event) error {
	return kv.Set(ctx, "heard "+e.Key, []byte(e.Topic), kv.Forever)
}

// state is what the desk shows.
type state struct {
	Kept map[string]string `json:"kept"`
	Jobs []string          `json:"jobs"`
}

// desk tells what was counted, heard and run.
func desk(ctx *sdk.Context, _ route.Request) (route.Response, error) {
	out := state{Kept: map[string]string{}, Jobs: []string{}}
	for key, err := range kv.Keys(ctx, "") {
		if err != nil {
			return route.Response{}, err
		}
		value, _, err := kv.Get(ctx, key)
		if err != nil {
			return route.Response{}, err
		}
		out.Kept[key] = string(value)
	}
	jobs, err := job.List(ctx, "", 0)
	if err != nil {
		return route.Response{}, err
	}
	for _, j := range jobs {
		out.Jobs = append(out.Jobs, j.Job+" "+j.State)
	}
	return route.JSON(out)
}
