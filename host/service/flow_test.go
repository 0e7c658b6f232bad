package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/mail"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/work"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	eventv1 "github.com/callboard-dev/callboard/schemas/service/event/v1"
	jobv1 "github.com/callboard-dev/callboard/schemas/service/job/v1"
	mailv1 "github.com/callboard-dev/callboard/schemas/service/mail/v1"
	metricv1 "github.com/callboard-dev/callboard/schemas/service/metric/v1"
	tracev1 "github.com/callboard-dev/callboard/schemas/service/trace/v1"
)

// made makes one call of a service and decodes its answer.
func made[Out any](t *testing.T, svc plugin.Service, s *plugin.Session, method string, in any) (Out, error) {
	t.Helper()
	return madeIn[Out](t.Context(), t, svc, s, method, in)
}

func madeIn[Out any](ctx context.Context, t *testing.T, svc plugin.Service, s *plugin.Session, method string, in any) (out Out, err error) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := svc.Serve(ctx, s, pluginv1.HostCall{Method: method, Body: body})
	if err != nil || answer == nil {
		return out, err
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return out, json.Unmarshal(raw, &out)
}

// strangers tries what every service must refuse.
func strangers(t *testing.T, svc plugin.Service, name, method string) {
	t.Helper()
	if name != tracev1.Name {
		if _, err := svc.Serve(t.Context(), session(`{}`, nil), pluginv1.HostCall{Method: method, Body: []byte(`{}`)}); host.CodeOf(err) != host.CodeNotGranted {
			t.Errorf("without a grant: %v", err)
		}
	}
	s := session(`{}`, nil, plugin.Grant{Type: name, Waiting: 1, PerHour: 1})
	var typed *pluginv1.Error
	if _, err := svc.Serve(t.Context(), s, pluginv1.HostCall{Method: "nosuch"}); !errors.As(err, &typed) || typed.Code != pluginv1.CodeUnsupported {
		t.Errorf("an unknown method: %v", err)
	}
	for _, body := range []string{`{`, `[]`, `"x"`} {
		if _, err := svc.Serve(t.Context(), s, pluginv1.HostCall{Method: method, Body: []byte(body)}); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("the body %s: %v", body, err)
		}
	}
}

// publisher keeps what is published.
type publisher struct {
	tenant host.TenantID
	events []Event
}

func (p *publisher) Publish(_ context.Context, t host.TenantID, events []Event) ([]string, error) {
	p.tenant, p.events = t, append(p.events, events...)
	return make([]string, len(events)), nil
}

func TestEvents(t *testing.T) {
	p := &publisher{}
	svc := NewEvents(p)
	strangers(t, svc, eventv1.Name, eventv1.MethodPublish)
	grant := plugin.Grant{Type: eventv1.Name, Publish: []string{"deployed"}, Subscribe: []string{"catalog.*"}}
	publish := func(s *plugin.Session, events ...eventv1.Event) error {
		_, err := made[eventv1.PublishResponse](t, svc, s, eventv1.MethodPublish, eventv1.PublishRequest{Events: events})
		return err
	}
	if err := publish(session(`{}`, nil, grant), eventv1.Event{Topic: "deployed", Key: "a\x00b", Payload: []byte(`{"n":1}`)}); err != nil {
		t.Fatal(err)
	}
	if e := p.events[0]; e.Topic != "acme/probe/deployed" || e.Key != "ab" || string(e.Payload) != `{"n":1}` || p.tenant != acme.ID {
		t.Errorf("%+v", e)
	}
	for name, c := range map[string]struct {
		event eventv1.Event
		code  host.Code
	}{
		"OtherTopic": {eventv1.Event{Topic: "other"}, host.CodeNotGranted},
		"CoreTopic":  {eventv1.Event{Topic: "catalog.entity.changed"}, host.CodeNotGranted},
		"WholeName":  {eventv1.Event{Topic: "acme/probe/deployed"}, host.CodeNotGranted},
		"LongKey":    {eventv1.Event{Topic: "deployed", Key: strings.Repeat("k", 257)}, host.CodeTooLarge},
		"Huge":       {eventv1.Event{Topic: "deployed", Payload: json.RawMessage(`"` + strings.Repeat("x", eventv1.MaxPayload) + `"`)}, host.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(p.events)
			if err := publish(session(`{}`, nil, grant), eventv1.Event{Topic: "deployed"}, c.event); host.CodeOf(err) != c.code || len(p.events) != before {
				t.Errorf("%v, %d published", err, len(p.events)-before)
			}
		})
	}
	t.Run("Storm", func(t *testing.T) {
		s := session(`{}`, nil, grant)
		many := make([]eventv1.Event, eventv1.MaxEvents)
		for i := range many {
			many[i].Topic = "deployed"
		}
		for range eventsPerCall / eventv1.MaxEvents {
			if err := publish(s, many...); err != nil {
				t.Fatal(err)
			}
		}
		if err := publish(s, many[0]); host.CodeOf(err) != host.CodeLimit {
			t.Error(err)
		}
		if err := publish(session(`{}`, nil, grant), append(many, many...)...); host.CodeOf(err) != host.CodeInvalid {
			t.Error(err)
		}
	})
}

func TestJobs(t *testing.T) {
	db := storetest.SQLite(t)
	tenant := storetest.Tenant(t, db)
	svc := NewJobs(work.New(db, work.Settings{}))
	strangers(t, svc, jobv1.Name, jobv1.MethodEnqueue)
	of := func(instance string) *plugin.Session {
		s := session(`{}`, nil, plugin.Grant{Type: jobv1.Name, Waiting: 3})
		s.Instance.Tenant, s.Instance.ID = tenant.ID, instance
		s.Instance.Manifest.Capabilities = []manifestv1.Capability{{Type: jobv1.Name, Jobs: []manifestv1.Job{{ID: "import", MaxAttempts: 4}}}}
		return s
	}
	enqueue := func(in jobv1.EnqueueRequest) (jobv1.EnqueueResponse, error) {
		return made[jobv1.EnqueueResponse](t, svc, of("i1"), jobv1.MethodEnqueue, in)
	}
	first, err := enqueue(jobv1.EnqueueRequest{Job: "import", Key: "k", Payload: []byte(`{"a":1}`)})
	if err != nil || first.ID == "" || first.Existed {
		t.Fatal(first, err)
	}
	if again, err := enqueue(jobv1.EnqueueRequest{Job: "import", Key: "k"}); err != nil || !again.Existed || again.ID != first.ID {
		t.Error(again, err)
	}
	status, err := made[jobv1.Status](t, svc, of("i1"), jobv1.MethodStatus, jobv1.IDRequest{ID: first.ID})
	if err != nil || status.State != jobv1.StateWaiting || status.Job != "import" || status.Key != "k" || status.EnqueuedAt.IsZero() {
		t.Errorf("%+v %v", status, err)
	}
	for name, c := range map[string]struct {
		in   jobv1.EnqueueRequest
		code host.Code
	}{
		"UnknownJob": {jobv1.EnqueueRequest{Job: "export"}, host.CodeInvalid},
		"LongKey":    {jobv1.EnqueueRequest{Job: "import", Key: strings.Repeat("k", 257)}, host.CodeTooLarge},
		"Huge":       {jobv1.EnqueueRequest{Job: "import", Payload: json.RawMessage(`"` + strings.Repeat("x", jobv1.MaxPayload) + `"`)}, host.CodeTooLarge},
		"FarAway":    {jobv1.EnqueueRequest{Job: "import", RunAt: time.Now().AddDate(3, 0, 0)}, host.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := enqueue(c.in); host.CodeOf(err) != c.code {
				t.Error(err)
			}
		})
	}
	t.Run("TooMany", func(t *testing.T) {
		for range 2 {
			if _, err := enqueue(jobv1.EnqueueRequest{Job: "import"}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := enqueue(jobv1.EnqueueRequest{Job: "import"}); host.CodeOf(err) != host.CodeLimit {
			t.Error(err)
		}
	})
	t.Run("ListAndCancel", func(t *testing.T) {
		list, err := made[jobv1.ListResponse](t, svc, of("i1"), jobv1.MethodList, jobv1.ListRequest{State: "waiting"})
		if err != nil || len(list.Jobs) != 3 {
			t.Error(list, err)
		}
		if _, err := made[any](t, svc, of("i1"), jobv1.MethodCancel, jobv1.IDRequest{ID: first.ID}); err != nil {
			t.Error(err)
		}
		if _, err := made[any](t, svc, of("i1"), jobv1.MethodRetry, jobv1.IDRequest{ID: first.ID}); err != nil {
			t.Error(err)
		}
		if _, err := made[any](t, svc, of("i1"), jobv1.MethodProgress, jobv1.ProgressRequest{ID: first.ID, Percent: 5}); host.CodeOf(err) != host.CodeConflict {
			t.Error("progress of a job that does not run:", err)
		}
		if _, err := made[any](t, svc, of("i1"), jobv1.MethodProgress, jobv1.ProgressRequest{ID: first.ID, Percent: 500}); host.CodeOf(err) != host.CodeInvalid {
			t.Error(err)
		}
	})
	t.Run("OthersJobs", func(t *testing.T) {
		for _, method := range []string{jobv1.MethodStatus, jobv1.MethodCancel, jobv1.MethodRetry} {
			if _, err := made[any](t, svc, of("i2"), method, jobv1.IDRequest{ID: first.ID}); host.CodeOf(err) != host.CodeNotFound {
				t.Error(method, err)
			}
		}
		if list, err := made[jobv1.ListResponse](t, svc, of("i2"), jobv1.MethodList, jobv1.ListRequest{}); err != nil || len(list.Jobs) != 0 {
			t.Error(list, err)
		}
	})
	for _, in := range []jobv1.ListRequest{{State: "odd"}, {Limit: -1}, {Limit: 201}} {
		if _, err := made[any](t, svc, of("i1"), jobv1.MethodList, in); host.CodeOf(err) != host.CodeInvalid {
			t.Error(in, err)
		}
	}
}

// mailer keeps what is sent.
type mailer struct {
	sent []mail.Message
	err  error
}

func (m *mailer) Send(_ context.Context, msg mail.Message) (string, error) {
	m.sent = append(m.sent, msg)
	return "id1", m.err
}

func TestMail(t *testing.T) {
	m := &mailer{}
	svc := NewMail(m)
	now := time.Unix(1_800_000_000, 0)
	svc.now = func() time.Time { return now }
	strangers(t, svc, mailv1.Name, mailv1.MethodSend)
	grant := plugin.Grant{Type: mailv1.Name, Domains: []string{"acme.test", "*.acme.test"}, PerHour: 4}
	send := func(in mailv1.Message) error {
		_, err := made[mailv1.Receipt](t, svc, session(`{}`, nil, grant), mailv1.MethodSend, in)
		return err
	}
	ok := mailv1.Message{
		To: []string{"Ann <ann@ACME.test>"}, Cc: []string{"bob@eu.acme.test"}, Subject: "Hi {{name}}", Text: "{{ name }} {{none}}{{name}}", HTML: "<b>{{name}}</b>",
		Data: map[string]string{"name": `<i>{{name}}</i>`},
	}
	if err := send(ok); err != nil {
		t.Fatal(err)
	}
	got := m.sent[0]
	if got.To[0] != "ann@acme.test" || got.Text != "<i>{{name}}</i> <i>{{name}}</i>" || got.HTML != "<b>&lt;i&gt;{{name}}&lt;/i&gt;</b>" || !strings.Contains(got.Footer, "acme/probe") {
		t.Errorf("%+v", got)
	}
	for name, c := range map[string]struct {
		change func(*mailv1.Message)
		code   host.Code
	}{
		"NobodyElse":     {func(m *mailv1.Message) { m.To = []string{"eve@evil.test"} }, host.CodeNotGranted},
		"NobodyInCopy":   {func(m *mailv1.Message) { m.Cc = []string{"eve@evil.test"} }, host.CodeNotGranted},
		"NoReplyOutside": {func(m *mailv1.Message) { m.ReplyTo = "eve@evil.test" }, host.CodeNotGranted},
		"NotBelow":       {func(m *mailv1.Message) { m.To = []string{"eve@evilacme.test"} }, host.CodeNotGranted},
		"TwoAddresses":   {func(m *mailv1.Message) { m.To = []string{"ann@acme.test, eve@evil.test"} }, host.CodeInvalid},
		"Header":         {func(m *mailv1.Message) { m.To = []string{"ann@acme.test\r\nBcc: eve@evil.test"} }, host.CodeInvalid},
		"Quoted":         {func(m *mailv1.Message) { m.To = []string{`"eve@evil.test"@acme.test`} }, host.CodeInvalid},
		"PercentHack":    {func(m *mailv1.Message) { m.To = []string{"eve%evil.test@acme.test"} }, host.CodeInvalid},
		"Bang":           {func(m *mailv1.Message) { m.To = []string{"evil.test!eve@acme.test"} }, host.CodeInvalid},
		"AddressLiteral": {func(m *mailv1.Message) { m.To = []string{"eve@[10.0.0.1]"} }, host.CodeInvalid},
		"Nobody":         {func(m *mailv1.Message) { m.To = nil }, host.CodeInvalid},
		"Everybody":      {func(m *mailv1.Message) { m.To = strings.Fields(strings.Repeat("a@acme.test ", 51)) }, host.CodeInvalid},
		"NoSubject":      {func(m *mailv1.Message) { m.Subject = " " }, host.CodeInvalid},
		"NoText":         {func(m *mailv1.Message) { m.Text = "" }, host.CodeInvalid},
		"LongText":       {func(m *mailv1.Message) { m.Text = strings.Repeat("x", mailv1.MaxText+1) }, host.CodeTooLarge},
		"TooManyAnHour":  {func(m *mailv1.Message) { m.To = strings.Fields("a@acme.test b@acme.test c@acme.test") }, host.CodeRateLimited},
	} {
		t.Run(name, func(t *testing.T) {
			in := ok
			in.To, in.Cc = []string{"ann@acme.test"}, nil
			c.change(&in)
			before := len(m.sent)
			if err := send(in); host.CodeOf(err) != c.code || len(m.sent) != before {
				t.Errorf("%v (%s), %d sent", err, host.CodeOf(err), len(m.sent)-before)
			}
		})
	}
	now = now.Add(time.Hour)
	if err := send(ok); err != nil {
		t.Error("the next hour:", err)
	}
	svc.mailer = nil
	if err := send(ok); host.CodeOf(err) != host.CodePluginNotReady {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	svc := NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test"))
	strangers(t, svc, metricv1.Name, metricv1.MethodRecord)
	grant := plugin.Grant{Type: metricv1.Name, Metrics: []manifestv1.Metric{
		{Name: "seen", Kind: "counter", Labels: []string{"result"}}, {Name: "depth", Kind: "gauge"}, {Name: "took", Kind: "histogram", Unit: "s", Buckets: []float64{1, 2}},
	}}
	record := func(s *plugin.Session, points ...metricv1.Point) error {
		_, err := made[any](t, svc, s, metricv1.MethodRecord, metricv1.RecordRequest{Points: points})
		return err
	}
	one := session(`{}`, nil, grant)
	err := record(one, metricv1.Point{Metric: "seen", Value: 2, Labels: map[string]string{"result": "ok"}}, metricv1.Point{Metric: "depth", Value: -3}, metricv1.Point{Metric: "took", Value: 1.5})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		point metricv1.Point
		code  host.Code
	}{
		"NotDeclared":  {metricv1.Point{Metric: "other"}, host.CodeNotGranted},
		"OtherLabel":   {metricv1.Point{Metric: "seen", Labels: map[string]string{"tenant": "other"}}, host.CodeInvalid},
		"FallingCount": {metricv1.Point{Metric: "seen", Value: -1}, host.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if err := record(session(`{}`, nil, grant), metricv1.Point{Metric: "seen", Value: 100}, c.point); host.CodeOf(err) != c.code {
				t.Error(err)
			}
		})
	}
	for range 300 {
		err = record(session(`{}`, nil, grant), metricv1.Point{Metric: "seen", Value: 1, Labels: map[string]string{"result": host.NewID("x")}})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("OtherReleasesAgree", func(t *testing.T) {
		other := plugin.Grant{Type: metricv1.Name, Metrics: []manifestv1.Metric{{Name: "seen", Kind: "gauge"}}}
		if err := record(session(`{}`, nil, other), metricv1.Point{Metric: "seen"}); host.CodeOf(err) != host.CodeConflict {
			t.Error(err)
		}
	})
	t.Run("Storm", func(t *testing.T) {
		s := session(`{}`, nil, grant)
		many := make([]metricv1.Point, metricv1.MaxPoints)
		for i := range many {
			many[i].Metric = "depth"
		}
		for range pointsPerCall / metricv1.MaxPoints {
			if err := record(s, many...); err != nil {
				t.Fatal(err)
			}
		}
		if err := record(s, many[0]); host.CodeOf(err) != host.CodeLimit {
			t.Error(err)
		}
	})
	var out metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, m := range out.ScopeMetrics[0].Metrics {
		if m.Name != "callboard.plugin.probe.seen" {
			continue
		}
		points, total, other := m.Data.(metricdata.Sum[float64]).DataPoints, 0.0, 0.0
		for _, p := range points {
			total += p.Value
			if v, _ := p.Attributes.Value("tenant"); v.AsString() != "acme" {
				t.Errorf("%v", p.Attributes)
			}
			if v, _ := p.Attributes.Value("plugin"); v.AsString() != "acme/probe" {
				t.Errorf("%v", p.Attributes)
			}
			if v, _ := p.Attributes.Value("result"); v.AsString() == "other" {
				other = p.Value
			}
		}
		if len(points) != metricv1.MaxSeries+1 || total != 302 || other != 101 {
			t.Errorf("%d series, %v in all, %v others", len(points), total, other)
		}
		return
	}
	t.Errorf("the metric is not exported: %+v", out.ScopeMetrics)
}

func TestPointsAreNumbers(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if err := checkPoint(&manifestv1.Metric{Kind: "gauge"}, metricv1.Point{Value: v}); host.CodeOf(err) != host.CodeInvalid {
			t.Error(v, err)
		}
	}
}

func TestTraces(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	tracer := provider.Tracer("test")
	svc := NewTraces(tracer)
	strangers(t, svc, tracev1.Name, tracev1.MethodRecord)
	ctx, call := tracer.Start(t.Context(), "plugin.call")
	ctx, hostCall := tracer.Start(ctx, "plugin.host")
	now := time.Now()
	in := tracev1.RecordRequest{Spans: []tracev1.Span{
		{Name: "parse", Start: now.Add(-2 * time.Second), End: now, Attributes: map[string]string{"lines": "12"}},
		{Name: "inner", Start: now.Add(-time.Second), End: now, Parent: 1, Error: "bad line"},
	}}
	if _, err := madeIn[any](ctx, t, svc, session(`{}`, nil), tracev1.MethodRecord, in); err != nil {
		t.Fatal(err)
	}
	hostCall.End()
	call.End()
	by := map[string]tracetest.SpanStub{}
	for _, s := range spans.GetSpans() {
		by[s.Name] = s
	}
	if by["parse"].Parent.SpanID() != call.SpanContext().SpanID() || by["inner"].Parent.SpanID() != by["parse"].SpanContext.SpanID() || by["inner"].SpanContext.TraceID() != call.SpanContext().TraceID() {
		t.Error("the spans are not where they belong")
	}
	if !by["parse"].StartTime.Equal(in.Spans[0].Start) || by["inner"].Status.Description != "bad line" {
		t.Errorf("%+v", by)
	}
	found := false
	for _, a := range by["parse"].Attributes {
		found = found || a == attribute.String("plugin.lines", "12")
	}
	if !found {
		t.Errorf("%v", by["parse"].Attributes)
	}
	for name, span := range map[string]tracev1.Span{
		"NoName":     {Start: now, End: now},
		"Backwards":  {Name: "x", Start: now, End: now.Add(-time.Second)},
		"LongAgo":    {Name: "x", Start: now.Add(-time.Hour), End: now},
		"NotYet":     {Name: "x", Start: now, End: now.Add(time.Hour)},
		"OwnParent":  {Name: "x", Start: now, End: now, Parent: 1},
		"LostParent": {Name: "x", Start: now, End: now, Parent: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := made[any](t, svc, session(`{}`, nil), tracev1.MethodRecord, tracev1.RecordRequest{Spans: []tracev1.Span{span}}); host.CodeOf(err) != host.CodeInvalid {
				t.Error(err)
			}
		})
	}
	t.Run("Storm", func(t *testing.T) {
		spans.Reset()
		many := make([]tracev1.Span, tracev1.MaxSpans+1)
		for i := range many {
			many[i] = tracev1.Span{Name: fmt.Sprint(i), Start: now, End: now}
		}
		if _, err := made[any](t, svc, session(`{}`, nil), tracev1.MethodRecord, tracev1.RecordRequest{Spans: many}); err != nil || len(spans.GetSpans()) != 0 {
			t.Error(err, len(spans.GetSpans()))
		}
	})
}

func TestKindsIn(t *testing.T) {
	got := kindsIn([]json.RawMessage{
		[]byte(`{"apiVersion":"v1","kind":"API","spec":{"kind":"X"}}`), []byte(`{"metadata":{"kind":"Y"},"kind":"Component"}`), []byte(`{"kind":7}`), []byte(`[]`), []byte(`{`), nil,
	})
	if len(got) != 2 || !got["API"] || !got["Component"] {
		t.Errorf("%v", got)
	}
}
