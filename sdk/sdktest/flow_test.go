package sdktest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	webhookv1 "github.com/callboard-dev/callboard/schemas/capability/webhook/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/event"
	"github.com/callboard-dev/callboard/sdk/job"
	"github.com/callboard-dev/callboard/sdk/mail"
	"github.com/callboard-dev/callboard/sdk/metric"
	"github.com/callboard-dev/callboard/sdk/processor"
	"github.com/callboard-dev/callboard/sdk/provider"
	"github.com/callboard-dev/callboard/sdk/sdktest"
	"github.com/callboard-dev/callboard/sdk/trace"
	"github.com/callboard-dev/callboard/sdk/webhook"
)

const flowManifest = `
name: acme/night
version: "1.0.0"
title: Night
description: Works behind the scenes.
callboard: ">=0.1.0"
runtime: wasm
capabilities:
  - type: processor/v1
    processors: [{ id: check, phases: [pre] }, { id: relate, phases: [post] }]
  - type: provider/v1
    providers: [{ id: teams, every: 5m }, { id: pages, every: 5m }]
  - type: event/v1
    subscriptions: [{ id: heard, topics: [catalog.entity.changed, "acme/day/*"] }]
  - type: webhook/v1
    webhooks: [{ id: hook, scheme: github, secret: signing }]
  - type: job/v1
    jobs: [{ id: work, maxAttempts: 2 }]
permissions:
  - { type: catalog/v1, write: true, reason: Writes. }
  - { type: event/v1, publish: [done], subscribe: [catalog.entity.changed], reason: Hears and tells. }
  - { type: job/v1, waiting: 2, reason: Works. }
  - { type: mail/v1, domains: [acme.test, "*.acme.test"], perHour: 2, reason: Writes to people. }
  - type: metric/v1
    reason: Measures.
    metrics: [{ name: seen, kind: counter, labels: [what] }, { name: depth, kind: gauge }, { name: took, kind: histogram }]
secrets: [{ name: signing, title: S, reason: R }]
`

// night is a plugin whose parts a test gives.
type night struct {
	check func(ctx *sdk.Context, e processor.Entity) (processor.Result, error)
	hook  func(ctx *sdk.Context, r webhook.Request) (webhook.Response, error)
	heard func(ctx *sdk.Context, e event.Event) error
	work  func(ctx *sdk.Context, j job.Job) (job.Result, error)
	pages func(ctx *sdk.Context, r provider.Request) (provider.Response, error)
}

func (n night) host(t *testing.T) *sdktest.Host {
	t.Helper()
	if n.check == nil {
		n.check = func(*sdk.Context, processor.Entity) (processor.Result, error) { return processor.Result{}, nil }
	}
	if n.hook == nil {
		n.hook = func(*sdk.Context, webhook.Request) (webhook.Response, error) { return webhook.Response{}, nil }
	}
	if n.heard == nil {
		n.heard = func(*sdk.Context, event.Event) error { return nil }
	}
	if n.work == nil {
		n.work = func(*sdk.Context, job.Job) (job.Result, error) { return job.Result{}, nil }
	}
	if n.pages == nil {
		n.pages = func(*sdk.Context, provider.Request) (provider.Response, error) { return provider.Response{}, nil }
	}
	p := sdk.New(processor.Process("check", n.check), processor.Process("relate", n.check), event.On("heard", n.heard),
		webhook.Receive("hook", n.hook), job.Run("work", n.work), provider.Read("pages", n.pages),
		provider.Full("teams", func(*sdk.Context) ([]any, error) { return []any{map[string]string{"kind": "Group"}}, nil }))
	return sdktest.New(t, p, manifestFile(t, flowManifest))
}

// inHook runs f as a delivery of the webhook and returns its error.
func inHook(t *testing.T, f func(ctx *sdk.Context) error) (*sdktest.Host, error) {
	t.Helper()
	h := night{hook: func(ctx *sdk.Context, _ webhook.Request) (webhook.Response, error) { return webhook.Response{}, f(ctx) }}.host(t)
	_, err := h.Send(webhook.Request{Request: webhookv1.Request{Webhook: "hook"}})
	return h, err
}

func TestProcess(t *testing.T) {
	h := night{check: func(_ *sdk.Context, e processor.Entity) (processor.Result, error) {
		var doc map[string]any
		if err := e.Decode(&doc); err != nil {
			return processor.Result{}, err
		}
		switch doc["do"] {
		case "replace":
			return processor.Replace(map[string]string{"kind": "System"})
		case "problem":
			return processor.Problem("no owner", "name one"), nil
		case "emit":
			return processor.Result{Emit: []json.RawMessage{[]byte(`{}`)}}, nil
		}
		return processor.Result{}, sdk.Errorf(sdk.CodeUpstream, "down")
	}}.host(t)
	if got, err := h.Process("check", processor.Pre, `{"kind":"Component","metadata":{"name":"a"},"do":"replace"}`); err != nil || string(got.Entity) != `{"kind":"System"}` {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := h.Process("check", processor.Pre, `{"kind":"Component","metadata":{"name":"a"},"do":"problem"}`); err != nil || got.Problems[0].Hint != "name one" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := h.Process("check", processor.Pre, `{"kind":"Component","metadata":{"name":"a"}}`); sdk.CodeOf(err) != sdk.CodeUpstream {
		t.Error(err)
	}
	for name, f := range map[string]func(h *sdktest.Host){
		"phase": func(h *sdktest.Host) {
			_, _ = h.Process("relate", processor.Pre, `{"kind":"Component","metadata":{"name":"a"}}`)
		},
		"names no": func(h *sdktest.Host) { _, _ = h.Process("nosuch", processor.Pre, `{}`) },
		"does not allow": func(h *sdktest.Host) {
			_, _ = h.Process("check", processor.Pre, `{"kind":"Component","metadata":{"name":"a"},"do":"emit"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			says := faultsOf(t, func(tb sdktest.TB) {
				p := sdk.New(processor.Process("check", func(*sdk.Context, processor.Entity) (processor.Result, error) {
					return processor.Result{Emit: []json.RawMessage{[]byte(`{}`)}}, nil
				}), processor.Process("relate", func(*sdk.Context, processor.Entity) (processor.Result, error) { return processor.Result{}, nil }))
				f(sdktest.NewGuest(tb, p.Call, manifestFile(t, flowManifest)))
			})
			if !strings.Contains(says, name) {
				t.Errorf("the test says %q", says)
			}
		})
	}
}

func TestProvide(t *testing.T) {
	h := night{pages: func(_ *sdk.Context, r provider.Request) (provider.Response, error) {
		return provider.Response{Delta: true, Removed: []string{r.State}, Next: r.Page + "x"}, nil
	}}.host(t)
	if got, err := h.Provide(provider.Request{Provider: "teams"}); err != nil || string(got.Entities[0]) != `{"kind":"Group"}` {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := h.Provide(provider.Request{Provider: "pages", State: "s", Page: "1"}); err != nil || !got.Delta || got.Removed[0] != "s" || got.Next != "1x" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestEvents(t *testing.T) {
	var got event.Event
	h := night{heard: func(_ *sdk.Context, e event.Event) error {
		got = e
		var n int
		return e.Decode(&n)
	}}.host(t)
	if err := h.Deliver("heard", event.Event{Topic: "acme/day/rose", Key: "k", Payload: []byte(`7`)}); err != nil || got.ID == "" || got.At.IsZero() || got.Attempt != 1 || got.Key != "k" {
		t.Errorf("%+v %v", got, err)
	}
	if err := h.Deliver("heard", event.Event{Topic: event.EntityChanged, Payload: []byte(`"x"`)}); sdk.CodeOf(err) != sdk.CodeInvalid {
		t.Error(err)
	}
	h, err := inHook(t, func(ctx *sdk.Context) error {
		if _, err := event.Publish(ctx, "done", "k", 7); err != nil {
			return err
		}
		_, err := event.Publish(ctx, "undone", "", nil)
		return err
	})
	if sdk.CodeOf(err) != sdk.CodeNotGranted || len(h.Published()) != 1 || string(h.Published()[0].Payload) != "7" {
		t.Errorf("%v %+v", err, h.Published())
	}
}

func TestJobs(t *testing.T) {
	fail := sdk.Errorf(sdk.CodeUpstream, "down")
	h := night{
		hook: func(ctx *sdk.Context, r webhook.Request) (webhook.Response, error) {
			id, existed, err := job.Enqueue(ctx, "work", string(r.Body), job.Options{Key: string(r.Body)})
			if err == nil && existed {
				return webhook.Response{Status: 200, ContentType: "text/plain", Body: id}, nil
			}
			return webhook.Response{}, err
		},
		work: func(ctx *sdk.Context, j job.Job) (job.Result, error) {
			var what string
			if err := j.Decode(&what); err != nil {
				return job.Result{}, err
			}
			switch what {
			case "fail":
				return job.Result{}, fail
			case "never":
				return job.Result{}, fail.WithRetry(false)
			case "parts":
				return job.Result{Again: time.Minute, Next: "done"}, j.Progress(ctx, 50, "half")
			}
			return job.Result{Value: 1}, nil
		},
	}.host(t)
	send := func(body string) (webhook.Response, error) {
		t.Helper()
		return h.Send(webhook.Request{Request: webhookv1.Request{Webhook: "hook", Body: []byte(body)}})
	}
	if _, err := send("parts"); err != nil {
		t.Fatal(err)
	}
	if again, err := send("parts"); err != nil || again.Body != h.Jobs()[0].ID {
		t.Errorf("%+v %v", again, err)
	}
	h.RunJobs()
	h.Advance(time.Minute)
	h.RunJobs()
	if j := h.Jobs()[0]; j.State != job.Done || string(j.Result) != "1" || j.Attempts != 1 {
		t.Errorf("%+v", j)
	}
	for _, body := range []string{"fail", "never"} {
		if _, err := send(body); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := send("more"); sdk.CodeOf(err) != sdk.CodeLimit {
		t.Error("beyond the manifest's number:", err)
	}
	h.RunJobs()
	if j := h.Jobs(); j[1].State != job.Waiting || j[2].State != job.Dead {
		t.Errorf("%+v", j)
	}
	h.Advance(time.Minute)
	h.RunJobs()
	if j := h.Jobs()[1]; j.State != job.Dead || j.Attempts != 2 || j.Error != "down" {
		t.Errorf("%+v", j)
	}
}

func TestJobsAreLookedAfter(t *testing.T) {
	_, err := inHook(t, func(ctx *sdk.Context) error {
		id, _, err := job.Enqueue(ctx, "work", 1, job.Options{At: time.Now().Add(time.Hour)})
		if err != nil {
			return err
		}
		if err := job.Retry(ctx, id); sdk.CodeOf(err) != sdk.CodeConflict {
			t.Error("a job that waits was tried again:", err)
		}
		if err := job.Cancel(ctx, id); err != nil {
			return err
		}
		if s, err := job.Get(ctx, id); err != nil || s.State != job.Cancelled {
			t.Errorf("%+v %v", s, err)
		}
		if list, err := job.List(ctx, job.Cancelled, 0); err != nil || len(list) != 1 {
			t.Errorf("%+v %v", list, err)
		}
		if err := job.Retry(ctx, id); err != nil {
			return err
		}
		if err := (job.Job{ID: id}).Progress(ctx, 5, ""); sdk.CodeOf(err) != sdk.CodeConflict {
			t.Error("progress of a job that does not run:", err)
		}
		if _, err := job.Get(ctx, "nosuch"); sdk.CodeOf(err) != sdk.CodeNotFound {
			t.Error(err)
		}
		_, _, err = job.Enqueue(ctx, "nosuch", nil, job.Options{})
		return err
	})
	if sdk.CodeOf(err) != sdk.CodeInvalid {
		t.Error(err)
	}
}

func TestMail(t *testing.T) {
	ok := mail.Message{To: []string{"ann@acme.test"}, Subject: "s", Text: "t"}
	h, err := inHook(t, func(ctx *sdk.Context) error {
		id, err := mail.Send(ctx, ok)
		if err != nil || id == "" {
			t.Error(id, err)
		}
		for what, c := range map[string]struct {
			to   string
			code sdk.Code
		}{"another domain": {"eve@evil.test", sdk.CodeNotGranted}, "no address": {"nobody", sdk.CodeInvalid}} {
			bad := ok
			bad.To = []string{c.to}
			if _, err := mail.Send(ctx, bad); sdk.CodeOf(err) != c.code {
				t.Error(what, err)
			}
		}
		if _, err := mail.Send(ctx, mail.Message{To: ok.To}); sdk.CodeOf(err) != sdk.CodeInvalid {
			t.Error(err)
		}
		many := ok
		many.Cc = []string{"bob@eu.acme.test"}
		_, err = mail.Send(ctx, many)
		return err
	})
	if sdk.CodeOf(err) != sdk.CodeRateLimited || len(h.Mails()) != 1 {
		t.Error(err, h.Mails())
	}
}

func TestMetricsAndSpans(t *testing.T) {
	h, err := inHook(t, func(ctx *sdk.Context) error {
		outer, span := trace.Start(ctx, "outer", "k", "v")
		_, inner := trace.Start(outer, "inner")
		inner.Fail(sdk.Errorf(sdk.CodeInternal, "broken"))
		_, open := trace.Start(outer, "open")
		span.End()
		span.End()
		open.Fail(nil)
		for _, err := range []error{metric.Count(ctx, "seen", 1, "what", "x"), metric.Set(ctx, "depth", -1), metric.Observe(ctx, "took", 2)} {
			if err != nil {
				return err
			}
		}
		for what, err := range map[string]error{
			"a falling counter": metric.Count(ctx, "seen", -1), "another label": metric.Count(ctx, "seen", 1, "who", "x"), "a label without value": metric.Count(ctx, "seen", 1, "what"),
		} {
			if sdk.CodeOf(err) != sdk.CodeInvalid {
				t.Error(what, err)
			}
		}
		return metric.Set(ctx, "nosuch", 1)
	})
	if sdk.CodeOf(err) != sdk.CodeNotGranted || len(h.Points()) != 3 {
		t.Error(err, h.Points())
	}
	spans := h.Spans()
	if len(spans) != 3 || spans[0].Attributes["k"] != "v" || spans[1].Parent != 1 || spans[1].Error != "broken" || spans[2].End.IsZero() {
		t.Errorf("%+v", spans)
	}
}
