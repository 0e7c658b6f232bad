package extension

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/work"
	eventv1 "github.com/callboard-dev/callboard/schemas/capability/event/v1"
	jobv1 "github.com/callboard-dev/callboard/schemas/capability/job/v1"
	processorv1 "github.com/callboard-dev/callboard/schemas/capability/processor/v1"
	providerv1 "github.com/callboard-dev/callboard/schemas/capability/provider/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// worker is an instance that works behind the scenes.
func worker() plugin.Instance {
	return plugin.Instance{
		ID: "i1", Name: "acme/worker", Short: "worker", Version: "1.0.0", Digest: "sha256:1", Enabled: true, State: plugin.StateActive,
		Grants: []plugin.Grant{{Type: "catalog/v1", Write: true, Kinds: []string{"Component", "System"}}, {Type: "event/v1", Subscribe: []string{"catalog.*", "acme/board/*"}}},
		Manifest: &manifestv1.Manifest{Title: "Worker", Capabilities: []manifestv1.Capability{
			{Type: jobv1.Name, Jobs: []manifestv1.Job{{ID: "import"}}},
			{Type: eventv1.Name, Subscriptions: []manifestv1.Subscription{{ID: "changes", Topics: []string{"catalog.entity.changed"}, MaxAttempts: 3}, {ID: "board", Topics: []string{"acme/board/*", "other/board/*"}}}},
			{Type: processorv1.Name, Processors: []manifestv1.Processor{{ID: "late", Phases: []string{"pre", "post"}, Order: 5}, {ID: "early", Phases: []string{"pre"}, When: &manifestv1.When{Kinds: []string{"component"}}}}},
			{Type: providerv1.Name, Providers: []manifestv1.Schedule{{ID: "teams", Every: "5m"}}},
		}},
	}
}

// registry knows one tenant.
type registry struct{ gone bool }

func (r *registry) List(context.Context) ([]host.Tenant, error) { return []host.Tenant{acme}, nil }

func (r *registry) ByID(_ context.Context, id host.TenantID) (host.Tenant, error) {
	if r.gone || id != acme.ID {
		return host.Tenant{}, host.Errorf(host.CodeNotFound, "no such tenant")
	}
	return acme, nil
}

func TestJobsRun(t *testing.T) {
	h := &house{active: []plugin.Instance{worker()}}
	j := NewJobs(h, &registry{})
	item := work.Item{Queue: work.Queue{Instance: "i1", Lane: LaneJob, Name: "import"}, ID: "job_1", Payload: []byte(`{"a":1}`), Attempts: 2, MaxAttempts: 10}
	t.Run("Done", func(t *testing.T) {
		h.answer = jobv1.Response{Result: json.RawMessage(`7`)}
		if v := j.Do(t.Context(), acme.ID, item); v.Err != nil || string(v.Result) != "7" || v.Again != 0 {
			t.Errorf("%+v", v)
		}
		var req jobv1.Request
		if err := json.Unmarshal(h.calls[0], &req); err != nil || req.ID != "job_1" || req.Attempt != 2 || string(req.Payload) != `{"a":1}` {
			t.Errorf("%s", h.calls[0])
		}
		if h.caller.Principal().Kind != host.KindSystem || h.caller.TenantID() != acme.ID {
			t.Errorf("%+v", h.caller.Principal())
		}
	})
	t.Run("AgainKeepsThePayload", func(t *testing.T) {
		h.answer = jobv1.Response{AgainSeconds: 1 << 30}
		if v := j.Do(t.Context(), acme.ID, item); v.Again != maxAgain || string(v.Payload) != `{"a":1}` {
			t.Errorf("%+v", v)
		}
		h.answer = jobv1.Response{AgainSeconds: 3, Payload: json.RawMessage(`2`)}
		if v := j.Do(t.Context(), acme.ID, item); v.Again != 3*time.Second || string(v.Payload) != `2` {
			t.Errorf("%+v", v)
		}
	})
	t.Run("HugeResult", func(t *testing.T) {
		h.answer = jobv1.Response{Result: json.RawMessage(`"` + strings.Repeat("x", maxResult) + `"`)}
		if v := j.Do(t.Context(), acme.ID, item); !host.Permanent(v.Err) {
			t.Errorf("%v", v.Err)
		}
	})
	t.Run("FailureIsPassedOn", func(t *testing.T) {
		h.err = host.Errorf(host.CodeUpstream, "down")
		if v := j.Do(t.Context(), acme.ID, item); !errors.Is(v.Err, h.err) {
			t.Errorf("%v", v.Err)
		}
	})
	t.Run("BusyIsNoFailure", func(t *testing.T) {
		busy := host.Errorf(host.CodeUnavailable, "busy")
		busy.RetryAfter = 9 * time.Second
		h.err = busy
		var later *work.Later
		if v := j.Do(t.Context(), acme.ID, item); !errors.As(v.Err, &later) || later.After != 9*time.Second {
			t.Errorf("%v", v.Err)
		}
	})
	h.err = nil
	t.Run("SwitchedOffWaits", func(t *testing.T) {
		var later *work.Later
		other := item
		other.Instance = "i2"
		if v := j.Do(t.Context(), acme.ID, other); !errors.As(v.Err, &later) {
			t.Errorf("%v", v.Err)
		}
	})
	t.Run("GoneFromTheManifest", func(t *testing.T) {
		other := item
		other.Name = "export"
		if v := j.Do(t.Context(), acme.ID, other); !host.Permanent(v.Err) {
			t.Errorf("%v", v.Err)
		}
	})
}

// bench runs the jobs of work at once.
type bench struct {
	run func(context.Context, json.RawMessage) error
}

func (b *bench) Register(_ string, run func(context.Context, json.RawMessage) error) { b.run = run }

func TestEventsAreBrought(t *testing.T) {
	db := storetest.SQLite(t)
	tenant := storetest.Tenant(t, db)
	h := &house{active: []plugin.Instance{worker(), {ID: "i2", Name: "acme/mute", Short: "mute", Manifest: &manifestv1.Manifest{}}}}
	tenants := &tenantsOf{tenant}
	s := work.New(db, work.Settings{})
	e := NewEvents(h, tenants, s, nil)
	count := func() int {
		t.Helper()
		n, err := s.Count(t.Context(), tenant.ID, "i1", LaneEvent)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ids, err := e.Publish(t.Context(), tenant.ID, []Event{
		{Topic: eventv1.TopicEntityChanged, Key: "component:default/a", Payload: json.RawMessage(`{"ref":"component:default/a"}`)},
		{Topic: eventv1.TopicEntityDeleted}, // nobody subscribes
		{Topic: eventv1.TopicPluginEnabled}, // nor may
		{Topic: "acme/board/moved", Payload: json.RawMessage(`1`)},
		{Topic: "other/board/moved"}, // subscribed, but not granted
	})
	if err != nil || len(ids) != 5 || count() != 2 {
		t.Fatal(ids, err, count())
	}
	if !e.Wanted(tenant.ID, eventv1.TopicEntityChanged) || e.Wanted(tenant.ID, eventv1.TopicEntityDeleted) || e.Wanted(tenant.ID, "other/board/moved") {
		t.Error("what is wanted is not what is subscribed to and granted")
	}
	item, ok, err := s.Claim(t.Context(), tenant.ID, work.Queue{Instance: "i1", Lane: LaneEvent, Name: "changes"}, time.Minute)
	if err != nil || !ok || item.MaxAttempts != 3 || item.Order != "component:default/a" {
		t.Fatal(item, ok, err)
	}
	h.answer = eventv1.Response{}
	if v := e.Do(t.Context(), tenant.ID, item); v.Err != nil || !v.Forget {
		t.Errorf("%+v", v)
	}
	var req eventv1.Request
	if err := json.Unmarshal(h.calls[0], &req); err != nil || req.ID != ids[0] || req.Topic != eventv1.TopicEntityChanged || req.Attempt != 1 || req.At.IsZero() || string(req.Payload) != `{"ref":"component:default/a"}` {
		t.Errorf("%s", h.calls[0])
	}
	t.Run("FailureIsTriedAgain", func(t *testing.T) {
		h.err = host.Errorf(host.CodePluginTrap, "panic")
		if v := e.Do(t.Context(), tenant.ID, item); v.Err == nil || host.Permanent(v.Err) {
			t.Errorf("%+v", v)
		}
		h.err = nil
	})
	t.Run("TakenGrantForgets", func(t *testing.T) {
		h.calls, h.active[0].Grants = nil, nil
		if v := e.Do(t.Context(), tenant.ID, item); v.Err != nil || !v.Forget || len(h.calls) != 0 {
			t.Errorf("%+v", v)
		}
	})
}

// tenantsOf knows one tenant.
type tenantsOf struct{ t host.Tenant }

func (o *tenantsOf) List(context.Context) ([]host.Tenant, error) { return []host.Tenant{o.t}, nil }
func (o *tenantsOf) ByID(context.Context, host.TenantID) (host.Tenant, error) {
	return o.t, nil
}

// answers is a house whose processors answer by their id.
type answers struct {
	house
	by      map[string]func(processorv1.Request) (processorv1.Response, error)
	asked   []string
	neutral bool // of those that by does not have: left out by their policy
}

func (a *answers) Ask(_ context.Context, _ host.Caller, r plugin.Request) (plugin.Answer, error) {
	req := r.Body.(processorv1.Request)
	a.asked = append(a.asked, r.Plugin+"/"+req.Processor)
	answer := a.by[r.Plugin+"/"+req.Processor]
	if answer == nil {
		return plugin.Answer{Neutral: a.neutral}, nil
	}
	got, err := answer(req)
	*r.Out.(*processorv1.Response) = got
	return plugin.Answer{}, err
}

func TestProcessorsInOrder(t *testing.T) {
	second := worker()
	second.ID, second.Name, second.Short = "i2", "acme/aide", "aide"
	a := &answers{house: house{active: []plugin.Instance{worker(), second}}, by: map[string]func(processorv1.Request) (processorv1.Response, error){}}
	p := NewProcessors(a, &registry{})
	r := p.Reading(acme.ID)
	doc := json.RawMessage(`{"kind":"Component","metadata":{"name":"a"}}`)
	changed := json.RawMessage(`{"kind":"Component","metadata":{"name":"a","title":"A"}}`)
	a.by["aide/early"] = func(processorv1.Request) (processorv1.Response, error) {
		return processorv1.Response{Entity: changed}, nil
	}
	var saw string
	a.by["worker/late"] = func(req processorv1.Request) (processorv1.Response, error) {
		saw = string(req.Entity)
		return processorv1.Response{}, nil
	}
	got := r.Process(t.Context(), "pre", "file:x", doc)
	if want := []string{"aide/early", "worker/early", "aide/late", "worker/late"}; !slices.Equal(a.asked, want) {
		t.Errorf("asked %q", a.asked)
	}
	if string(got.Doc) != string(changed) || saw != string(changed) {
		t.Errorf("made %s, the last one saw %s", got.Doc, saw)
	}
	t.Run("OtherKindsAreNotSeen", func(t *testing.T) {
		a.asked = nil
		r.Process(t.Context(), "pre", "file:x", json.RawMessage(`{"kind":"System"}`)) // early wants components
		r.Process(t.Context(), "pre", "file:x", json.RawMessage(`{"kind":"User"}`))   // not granted
		r.Process(t.Context(), "pre", "file:x", json.RawMessage(`{}`))
		if want := []string{"aide/late", "worker/late"}; !slices.Equal(a.asked, want) {
			t.Errorf("asked %q", a.asked)
		}
	})
	t.Run("StampFollowsReleasesAndSettings", func(t *testing.T) {
		before := p.Reading(acme.ID).Stamp()
		a.active[0].Revision++
		if p.Reading(acme.ID).Stamp() == before {
			t.Error("the stamp stays")
		}
	})
	t.Run("WithoutTheGrantNobodyIsAsked", func(t *testing.T) {
		mute := worker()
		mute.Grants = []plugin.Grant{{Type: "catalog/v1"}}
		if NewProcessors(&house{active: []plugin.Instance{mute}}, &registry{}).Reading(acme.ID) != nil {
			t.Error("it may read, but not write")
		}
	})
}

func TestProcessorsFail(t *testing.T) {
	doc := json.RawMessage(`{"kind":"Component","metadata":{"name":"a"}}`)
	many := func(n int) []json.RawMessage {
		out := make([]json.RawMessage, n)
		for i := range out {
			out[i] = json.RawMessage(`{"kind":"System"}`)
		}
		return out
	}
	for name, c := range map[string]struct {
		phase  string
		answer processorv1.Response
		err    error
		says   string
		failed bool
	}{
		"Failure":          {"pre", processorv1.Response{}, host.Errorf(host.CodePluginTimeout, "too slow").WithHint("be fast"), "too slow", true},
		"PermanentFailure": {"pre", processorv1.Response{}, host.Errorf(host.CodeInvalid, "never"), "never", false},
		"EmitsTooEarly":    {"pre", processorv1.Response{Emit: many(1)}, nil, "phase post", false},
		"ChangesTooLate":   {"post", processorv1.Response{Entity: doc}, nil, "phase pre", false},
		"EmitsTooMuch":     {"post", processorv1.Response{Emit: many(processorv1.MaxEmit + 1)}, nil, "more than", false},
		"EmitsOtherKinds":  {"post", processorv1.Response{Emit: []json.RawMessage{json.RawMessage(`{"kind":"User"}`)}}, nil, "may not write", false},
		"EmitsNothing":     {"post", processorv1.Response{Emit: []json.RawMessage{json.RawMessage(`7`)}}, nil, "has no kind", false},
		"OddRelation":      {"post", processorv1.Response{Relations: []processorv1.Relation{{Type: "a b", Target: "x"}}}, nil, "has the type", false},
	} {
		t.Run(name, func(t *testing.T) {
			a := &answers{house: house{active: []plugin.Instance{worker()}}, by: map[string]func(processorv1.Request) (processorv1.Response, error){}}
			a.by["worker/late"] = func(processorv1.Request) (processorv1.Response, error) { return c.answer, c.err }
			got := NewProcessors(a, &registry{}).Reading(acme.ID).Process(t.Context(), c.phase, "file:x", doc)
			if len(got.Problems) != 1 || !strings.Contains(got.Problems[0].Message, c.says) || !strings.Contains(got.Problems[0].Message, "late of worker") || got.Failed != c.failed {
				t.Errorf("%+v", got)
			}
			if got.Doc != nil || got.Emit != nil || got.Relations != nil || got.Refuse {
				t.Errorf("something of a failed answer is taken: %+v", got)
			}
		})
	}
	t.Run("LeftOutByItsPolicyIsTriedAgain", func(t *testing.T) {
		a := &answers{house: house{active: []plugin.Instance{worker()}}, neutral: true}
		got := NewProcessors(a, &registry{}).Reading(acme.ID).Process(t.Context(), "post", "file:x", doc)
		if len(got.Problems) != 0 || !got.Failed {
			t.Errorf("%+v", got)
		}
	})
	t.Run("OneThatKeepsFailingIsLeftAlone", func(t *testing.T) {
		a := &answers{house: house{active: []plugin.Instance{worker()}}, by: map[string]func(processorv1.Request) (processorv1.Response, error){}}
		a.by["worker/late"] = func(processorv1.Request) (processorv1.Response, error) {
			return processorv1.Response{}, host.Errorf(host.CodePluginTimeout, "too slow")
		}
		r := NewProcessors(a, &registry{}).Reading(acme.ID)
		problems := 0
		for range 50 {
			got := r.Process(t.Context(), "post", "file:x", doc)
			problems += len(got.Problems)
			if !got.Failed {
				t.Error("the location would not be read again")
			}
		}
		if len(a.asked) != maxFailures || problems != maxFailures+1 {
			t.Errorf("asked %d times, %d problems", len(a.asked), problems)
		}
	})
}

// shelf is the catalog as Providers see it.
type shelf struct {
	state string
	given []Provision
	keeps map[string]bool
}

func (s *shelf) State(context.Context, host.TenantID, string, string) (string, error) {
	return s.state, nil
}

func (s *shelf) Provide(_ context.Context, _ host.TenantID, p Provision) error {
	s.given = append(s.given, p)
	if p.Failed == nil {
		s.state = p.State
	}
	return nil
}

func (s *shelf) Withdraw(_ context.Context, _ host.Tenant, keep func(plugin, provider string) bool) error {
	s.keeps = map[string]bool{"worker/teams": keep("worker", "teams"), "worker/old": keep("worker", "old"), "gone/teams": keep("gone", "teams")}
	return nil
}

// pages is a house that answers page by page.
type pages struct {
	house
	list  []providerv1.Response
	asked []providerv1.Request
	fail  error
}

func (p *pages) List(context.Context, host.Caller) ([]plugin.Instance, error) { return p.active, nil }

func (p *pages) Call(_ context.Context, _ host.Caller, _, _, _ string, body, out any) error {
	p.asked = append(p.asked, body.(providerv1.Request))
	if p.fail != nil {
		return p.fail
	}
	*out.(*providerv1.Response) = p.list[(len(p.asked)-1)%len(p.list)]
	return nil
}

func TestProviders(t *testing.T) {
	entity := json.RawMessage(`{"kind":"System"}`)
	start := func(list ...providerv1.Response) (*pages, *shelf, func() error) {
		h := &pages{house: house{active: []plugin.Instance{worker()}}, list: list}
		s := &shelf{state: "before"}
		q := &bench{}
		NewProviders(h, h, &queueOf{q}, &registry{}, s, ScheduleSettings{})
		args, _ := json.Marshal(job{Tenant: acme.ID, Instance: "i1", Short: "worker", Schedule: "teams"})
		return h, s, func() error { return q.run(t.Context(), args) }
	}
	t.Run("Pages", func(t *testing.T) {
		h, s, run := start(providerv1.Response{Entities: []json.RawMessage{entity}, Next: "2"}, providerv1.Response{Entities: []json.RawMessage{entity}, State: "after"})
		if err := run(); err != nil {
			t.Fatal(err)
		}
		if len(h.asked) != 2 || h.asked[0].State != "before" || h.asked[1].Page != "2" || len(s.given) != 1 || len(s.given[0].Docs) != 2 || s.state != "after" || !slices.Equal(s.given[0].Kinds, []string{"Component", "System"}) {
			t.Errorf("%+v %+v", h.asked, s.given)
		}
	})
	for name, list := range map[string][]providerv1.Response{
		"MixedPages":        {{Delta: true, Next: "2"}, {}},
		"RemovesWithoutSay": {{Removed: []string{"a"}}},
		"EndlessPage":       {{Next: "same"}},
		"EndlessPages":      {{Next: "1"}, {Next: "2"}},
		"TooMuchOnAPage":    {{Entities: slices.Repeat([]json.RawMessage{entity}, providerv1.MaxPage+1)}},
		"TooMuchInAll":      {{Entities: slices.Repeat([]json.RawMessage{entity}, providerv1.MaxPage), Next: "1"}, {Entities: slices.Repeat([]json.RawMessage{entity}, providerv1.MaxPage), Next: "2"}},
		"TooMuchToRemember": {{State: strings.Repeat("x", maxState+1)}},
	} {
		t.Run(name, func(t *testing.T) {
			h, s, run := start(list...)
			if err := run(); err != nil {
				t.Error("a permanent failure is the location's, not the queue's:", err)
			}
			if len(s.given) != 1 || host.CodeOf(s.given[0].Failed) != host.CodePluginOutput || s.state != "before" || len(h.asked) > providerv1.MaxPages {
				t.Errorf("%d given, %d asked, %v", len(s.given), len(h.asked), s.given)
			}
		})
	}
	t.Run("FailureIsTriedAgain", func(t *testing.T) {
		h, s, run := start()
		h.fail = host.Errorf(host.CodeUpstream, "down")
		if err := run(); !errors.Is(err, h.fail) || len(s.given) != 1 || s.given[0].Failed == nil {
			t.Error(err, s.given)
		}
	})
	t.Run("GoneSince", func(t *testing.T) {
		h, s, run := start()
		h.active[0].Grants = nil
		if err := run(); err != nil || len(h.asked) != 0 || len(s.given) != 0 {
			t.Error(err, h.asked)
		}
	})
}

// queueOf keeps what is enqueued nowhere.
type queueOf struct{ *bench }

func (queueOf) Enqueue(context.Context, string, string, json.RawMessage, time.Time) error { return nil }

// keys notes what is enqueued.
type keys struct {
	bench
	list []string
}

func (k *keys) Enqueue(_ context.Context, kind, key string, _ json.RawMessage, _ time.Time) error {
	if kind == ProviderJobKind && !slices.Contains(k.list, key) {
		k.list = append(k.list, key)
	}
	return nil
}

func TestProvidersArePlanned(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	h := &pages{house: house{active: []plugin.Instance{worker()}}}
	h.active[0].UpdatedAt, h.active[0].Revision = now.Add(-time.Minute), 7
	s, q := &shelf{}, &keys{}
	p := NewProviders(h, h, q, &registry{}, s, ScheduleSettings{Now: func() time.Time { return now }})
	for range 2 {
		if err := p.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(q.list) != 2 || q.list[0] != "i1/teams/first/7" {
		t.Errorf("%q", q.list)
	}
	if !s.keeps["worker/teams"] || s.keeps["worker/old"] || s.keeps["gone/teams"] {
		t.Errorf("%v", s.keeps)
	}
	s.keeps = nil                // nothing changed: nothing is looked for
	now = now.Add(2 * time.Hour) // an old change has no first run
	q.list = nil
	if err := p.Sync(t.Context()); err != nil || len(q.list) != 1 || strings.Contains(q.list[0], "first") || s.keeps != nil {
		t.Errorf("%q %v", q.list, err)
	}
	q.list, h.active[0].State = nil, plugin.StateDisabled
	s.keeps, h.revision = nil, 1
	if err := p.Sync(t.Context()); err != nil || len(q.list) != 0 || !s.keeps["worker/teams"] {
		t.Errorf("a plugin that is switched off: %q %v %v", q.list, s.keeps, err)
	}
}
