package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	v1 "github.com/callboard-dev/callboard/schemas/capability/webhook/v1"
	"github.com/callboard-dev/callboard/sdk/event"
	"github.com/callboard-dev/callboard/sdk/processor"
	"github.com/callboard-dev/callboard/sdk/provider"
	"github.com/callboard-dev/callboard/sdk/sdktest"
	"github.com/callboard-dev/callboard/sdk/webhook"
)

const plain = `{"apiVersion":"backstage.io/v1alpha1","kind":"Component","metadata":{"name":"a"},"spec":{"type":"service"}}`

func TestStamp(t *testing.T) {
	host := sdktest.New(t, New())
	t.Run("a component without a pager gets one", func(t *testing.T) {
		got, err := host.Process("stamp", processor.Pre, plain)
		if err != nil || !strings.Contains(string(got.Entity), `"release-desk/pager":"team"`) {
			t.Errorf("%s %v", got.Entity, err)
		}
	})
	t.Run("nobody is a problem", func(t *testing.T) {
		got, err := host.Process("stamp", processor.Pre, strings.Replace(plain, `"name":"a"`, `"name":"a","annotations":{"release-desk/pager":"nobody"}`, 1))
		if err != nil || len(got.Problems) != 1 || got.Entity != nil {
			t.Errorf("%+v %v", got, err)
		}
	})
	t.Run("it is part of the train", func(t *testing.T) {
		got, err := host.Process("stamp", processor.Post, plain)
		if err != nil || len(got.Relations) != 1 || got.Relations[0].Target != "system:default/release-train" {
			t.Errorf("%+v %v", got, err)
		}
	})
}

func TestTrain(t *testing.T) {
	got, err := sdktest.New(t, New()).Provide(provider.Request{Provider: "train"})
	if err != nil || got.Delta || len(got.Entities) != 1 || !strings.Contains(string(got.Entities[0]), "release-train") {
		t.Errorf("%+v %v", got, err)
	}
}

func TestChangeIsCountedInAJob(t *testing.T) {
	host := sdktest.New(t, New())
	payload, _ := json.Marshal(event.Entity{Ref: "component:default/a"})
	for range 2 { // brought twice, counted once
		if err := host.Deliver("changes", event.Event{Topic: event.EntityChanged, Payload: payload}); err != nil {
			t.Fatal(err)
		}
	}
	if n := host.RunJobs(); n != 1 {
		t.Fatalf("%d attempts", n)
	}
	if j := host.Jobs()[0]; j.State != "waiting" || j.Percent != 50 {
		t.Errorf("after the first part: %+v", j)
	}
	host.Advance(time.Second)
	if n := host.RunJobs(); n != 1 {
		t.Fatalf("%d attempts", n)
	}
	if j := host.Jobs()[0]; j.State != "done" || string(j.Result) != "1" || len(host.Jobs()) != 1 {
		t.Errorf("%+v", host.Jobs())
	}
	if got := host.Published(); len(got) != 1 || got[0].Topic != "counted" || got[0].Key != "change component:default/a" {
		t.Errorf("%+v", got)
	}
	if got := host.Points(); len(got) != 1 || got[0].Labels["what"] != "change" {
		t.Errorf("%+v", got)
	}
	if got := host.Spans(); len(got) != 2 || got[0].Name != "count" || got[0].Attributes["what"] == "" {
		t.Errorf("%+v", got)
	}
}

func TestPush(t *testing.T) {
	host := sdktest.New(t, New())
	send := func(body string) webhook.Response {
		t.Helper()
		out, err := host.Send(webhook.Request{Request: v1.Request{Webhook: "github", Body: []byte(body)}})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := send(`{"ref":"refs/heads/main"}`); out.Status != 202 || !strings.Contains(out.Body, "job_") {
		t.Errorf("%+v", out)
	}
	if out := send(`{}`); out.Status != 422 {
		t.Errorf("%+v", out)
	}
	t.Run("a job that cannot be done is dead at once", func(t *testing.T) {
		send(`{"ref":"refs/heads/broken"}`)
		host.RunJobs()
		if j := host.Jobs()[1]; j.State != "dead" || j.Attempts != 1 || !strings.Contains(j.Error, "cannot be counted") {
			t.Errorf("%+v", j)
		}
	})
}
