package grant

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// operation is the fragment of one operation that needs a right.
func operation(path, access string) manifestv1.Capability {
	params := "[]"
	if name := placeholder.FindString(path); name != "" {
		params = fmt.Sprintf(`[{"name":%q,"in":"path","required":true,"schema":{"type":"string"}}]`, strings.Trim(name, "{}"))
	}
	return manifestv1.Capability{Type: "route/v1", OpenAPI: json.RawMessage(fmt.Sprintf(
		`{"paths":{%q:{"post":{"operationId":"add","summary":"Add","x-callboard-access":%q,"parameters":%s,"responses":{"204":{"description":"Done."}}}}}}`, path, access, params))}
}

func TestWidened(t *testing.T) {
	type m = manifestv1.Manifest
	offer := func(c ...manifestv1.Capability) m { return m{Capabilities: c} }
	timed := func(every string) m {
		return offer(manifestv1.Capability{Type: "schedule/v1", Schedules: []manifestv1.Schedule{{ID: "tick", Every: every}}})
	}
	for name, c := range map[string]struct {
		old, next m
		says      []string // nothing if empty
	}{
		"Same":            {timed("5m"), timed("5m"), nil},
		"NewVersion":      {m{Version: "1.0.0"}, m{Version: "2.0.0"}, nil},
		"LongerInterval":  {timed("5m"), timed("1h"), nil},
		"ShorterInterval": {timed("1h"), timed("5m"), []string{"schedule “tick” runs every 5m, before every 1h"}},
		"NewSchedule":     {offer(manifestv1.Capability{Type: "schedule/v1"}), timed("5m"), []string{"new schedule: “tick”, every 5m"}},
		"NewCapability":   {m{}, offer(manifestv1.Capability{Type: "view/v1"}), []string{"offers view/v1 for the first time"}},
		"NewView":         {offer(manifestv1.Capability{Type: "view/v1"}), offer(manifestv1.Capability{Type: "view/v1", Views: []manifestv1.View{{ID: "a"}}}), nil},
		"NewWebhook":      {m{}, offer(manifestv1.Capability{Type: "webhook/v1", Webhooks: []manifestv1.Webhook{{ID: "push"}}}), []string{"offers webhook/v1", "public entrance: the webhook “push”"}},
		"NewSubscription": {offer(manifestv1.Capability{Type: "event/v1"}), offer(manifestv1.Capability{Type: "event/v1", Subscriptions: []manifestv1.Subscription{{ID: "built"}}}), []string{"subscription to events: “built”"}},
		"NewProcessor":    {offer(manifestv1.Capability{Type: "processor/v1"}), offer(manifestv1.Capability{Type: "processor/v1", Processors: []manifestv1.Processor{{ID: "mark"}}}), []string{"processor of entities: “mark”"}},
		"NewProvider":     {offer(manifestv1.Capability{Type: "provider/v1"}), offer(manifestv1.Capability{Type: "provider/v1", Providers: []manifestv1.Schedule{{ID: "all", Every: "1h"}}}), []string{"provider of entities: “all”"}},
		"NewJob":          {offer(manifestv1.Capability{Type: "job/v1"}), offer(manifestv1.Capability{Type: "job/v1", Jobs: []manifestv1.Job{{ID: "count"}}}), []string{"job in the background: “count”"}},
		"NewOperation":    {offer(operation("/a", "admin")), offer(operation("/b", "read")), nil},
		"WeakerOperation": {offer(operation("/a/{id}", "admin")), offer(operation("/a/{key}", "write")), []string{"POST /a/{key}: it needs the right write, before admin"}},
		"StrongerAccess":  {offer(operation("/a", "read")), offer(operation("/a", "admin")), nil},
		"NewSecret":       {m{}, m{Secrets: []manifestv1.Secret{{Name: "key"}}}, []string{"new secret: “key”"}},
		"Process":         {m{Runtime: "wasm"}, m{Runtime: "process"}, []string{"process of its own"}},
		"BackToWASM":      {m{Runtime: "process"}, m{Runtime: "wasm"}, nil},
		"LowerLimits":     {m{Limits: manifestv1.Limits{Fuel: 9, Memory: "1GiB"}}, m{Limits: manifestv1.Limits{Fuel: 8, Memory: "1MiB"}}, nil},
		"NoLimits":        {m{Limits: manifestv1.Limits{Fuel: 9}}, m{}, nil},
		"NamedFirst":      {m{}, m{Limits: manifestv1.Limits{Fuel: 9}}, []string{"fuel: 9, before the host's default"}},
		"HigherLimits": {m{Limits: manifestv1.Limits{Timeout: "1s", Memory: "1MiB", Input: "1MiB", Output: "1MiB", HostBytes: "1MiB", Fuel: 1, HostCalls: 1, Concurrency: 1, LogRate: "1KiB"}},
			m{Limits: manifestv1.Limits{Timeout: "1m", Memory: "2MiB", Input: "3MiB", Output: "4MiB", HostBytes: "5MiB", Fuel: 2, HostCalls: 3, Concurrency: 4, LogRate: "6KiB"}},
			[]string{"1m0s, before 1s", "memory: 2MiB, before 1MiB", "fuel: 2", "request: 3MiB", "answer: 4MiB", "calls of the host: 3", "calls of the host: 5MiB", "second: 6KiB", "same time: 4, before 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Widened(&c.old, &c.next)
			if len(got) != len(c.says) {
				t.Fatalf("it says %q", got)
			}
			for i, want := range c.says {
				if !strings.Contains(got[i], want) {
					t.Errorf("%q does not say %q", got[i], want)
				}
			}
		})
	}
}
