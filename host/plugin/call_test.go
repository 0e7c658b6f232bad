package plugin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// TestHostileGuests: whatever a guest does costs that call a clear answer.
func TestHostileGuests(t *testing.T) {
	s := newStage(t, func(set *plugin.Settings) { set.Breaker.Least = 1000 })
	s.install(t, museum(t, "1.0.0", "limits: {timeout: 2s, memory: 32MiB, output: 1MiB, fuel: 300000000}\n"), plugin.InstallOptions{Enable: true})
	eventually(t, "the museum is compiled", func() bool {
		in, err := s.house.Get(t.Context(), s.admin(), "museum")
		return err == nil && in.State == plugin.StateActive
	})
	cases := []struct {
		act  string
		body any
		code host.Code
		says string
	}{
		{"loop", nil, host.CodePluginFuel, "300004000 units of fuel"},
		{"flood", 2 << 20, host.CodePluginOutput, "1MiB"},
		{"panic", nil, host.CodePluginTrap, "on fire"},
		{"junk", nil, host.CodePluginOutput, "not the JSON"},
		{"latin", nil, host.CodePluginOutput, "UTF-8"},
		{"neither", nil, host.CodePluginOutput, "neither"},
		{"stranger", nil, host.CodePluginOutput, "not the JSON"},
		{"two", nil, host.CodePluginOutput, "not the JSON"},
		{"silent", nil, host.CodePluginOutput, "not the JSON"},
		{"echo", strings.Repeat("x", 2<<20), host.CodeTooLarge, "at most"},
		{"nosuch", nil, host.CodePluginUnsupported, "no act"},
		{"fail", map[string]any{"code": pluginv1.CodeRateLimited, "message": "slow down", "hint": "at noon", "retryAfterSeconds": 90}, host.CodeRateLimited, "at noon"},
		{"fail", map[string]any{"code": pluginv1.CodeUpstream, "message": "gone"}, host.CodeUpstream, "gone"},
		{"fail", map[string]any{"code": "made-up", "message": "odd"}, host.CodePluginTrap, "odd"},
		{"fail", map[string]any{"code": "internal"}, host.CodePluginTrap, "without a message"},
	}
	for _, c := range cases {
		t.Run(c.act+"/"+c.says, func(t *testing.T) {
			_, err := s.act(t, s.house, c.act, c.body)
			if host.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v (%s), want %s saying %q", err, host.CodeOf(err), c.code, c.says)
			}
		})
	}
	t.Run("WrongForm", func(t *testing.T) {
		var out struct{ A int }
		err := s.house.Call(t.Context(), s.admin(), "museum", "view/v1", "echo", "text", &out)
		if host.CodeOf(err) != host.CodePluginOutput {
			t.Errorf("got %v", err)
		}
	})
	t.Run("AfterAllThatItStillWorks", func(t *testing.T) {
		if _, err := s.act(t, s.house, "echo", 1); err != nil {
			t.Error(err)
		}
		h, err := s.house.Health(t.Context(), s.admin(), "museum")
		if err != nil || h.Errors < int64(len(cases)) || h.LastError == nil || len(h.Recent) == 0 || h.Recent[0].Code != "" {
			t.Errorf("its health is %+v, %v", h, err)
		}
	})
}

func TestHostServicesNeedAGrant(t *testing.T) {
	s := newStage(t, nil)
	s.install(t, museum(t, "1.0.0", kvPermission), plugin.InstallOptions{Grants: []plugin.Grant{}, Enable: true})
	ask := func(service, method string) pluginv1.Error {
		t.Helper()
		got, err := s.act(t, s.house, "host", pluginv1.HostCall{Service: service, Method: method, Body: json.RawMessage(`{"key":"a"}`)})
		if err != nil {
			t.Fatal(err)
		}
		var r pluginv1.Result
		if err := json.Unmarshal(got, &r); err != nil || r.Error == nil {
			t.Fatalf("%s %s answered %s", service, method, got)
		}
		return *r.Error
	}
	if e := ask("kv/v1", "get"); e.Code != pluginv1.CodeNotGranted || !strings.Contains(e.Hint, "admin") {
		t.Errorf("asked for and not granted: %+v", e)
	}
	if e := ask("http/v1", "do"); e.Code != pluginv1.CodeNotGranted || !strings.Contains(e.Hint, "plugin.yaml") {
		t.Errorf("not asked for: %+v", e)
	}
	if e := ask("shell/v1", "run"); e.Code != pluginv1.CodeUnsupported {
		t.Errorf("unknown: %+v", e)
	}
	got, err := s.act(t, s.house, "storm", pluginv1.HostCall{Service: "config/v1", Method: "get"})
	if err != nil || !strings.Contains(string(got), pluginv1.CodeLimit) {
		t.Errorf("a storm of calls gave %s, %v", got, err)
	}
}

func TestCallsAreBounded(t *testing.T) {
	s := newStage(t, func(set *plugin.Settings) { set.Default.Concurrency, set.Wait = 2, 10*time.Millisecond })
	s.install(t, museum(t, "1.0.0", "limits: {timeout: 30s}\n"), plugin.InstallOptions{Enable: true})
	if _, err := s.act(t, s.house, "echo", 1); err != nil {
		t.Fatal(err)
	}
	calls := []chan error{s.hold(t), s.hold(t)}
	_, err := s.act(t, s.house, "echo", 1)
	if host.CodeOf(err) != host.CodeUnavailable || host.AsError(err).RetryAfter == 0 {
		t.Errorf("the third call got %v", err)
	}
	close(s.gate.open)
	for _, ended := range calls {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if _, err := s.act(t, s.house, "echo", 1); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestCompilingIsNotOnARequestsPath(t *testing.T) {
	s := newStage(t, func(set *plugin.Settings) { set.CompileWait = time.Millisecond })
	s.cache = t.TempDir() // nothing is compiled here yet
	if err := s.house.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.house = s.open(t)
	in := s.install(t, museum(t, "1.0.0", ""), plugin.InstallOptions{Enable: true})
	if in.State != plugin.StateCompiling || in.Progress == nil || in.Progress.Bytes == 0 {
		t.Fatalf("right after the installation it is %s with %+v", in.State, in.Progress)
	}
	_, err := s.act(t, s.house, "echo", 1)
	if host.CodeOf(err) != host.CodeUnavailable || host.AsError(err).RetryAfter == 0 || !strings.Contains(err.Error(), "compiled") {
		t.Errorf("a call meanwhile got %v", err)
	}
	eventually(t, "it is active", func() bool {
		in, err := s.house.Get(t.Context(), s.admin(), "museum")
		return err == nil && in.State == plugin.StateActive && in.Progress == nil
	})
}

func TestCallIsTraced(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	defer otel.SetTracerProvider(before)
	s := newStage(t, nil)
	s.install(t, museum(t, "1.2.3", ""), plugin.InstallOptions{Enable: true})
	ctx, root := provider.Tracer("test").Start(t.Context(), "request")
	var seen pluginv1.Call
	if err := s.house.Call(ctx, s.admin(), "museum", "view/v1", "call", nil, &seen); err != nil {
		t.Fatal(err)
	}
	if _, err := s.act(t, s.house, "host", pluginv1.HostCall{Service: "config/v1", Method: "get"}); err != nil {
		t.Fatal(err)
	}
	root.End()
	names := map[string]string{}
	for _, span := range spans.GetSpans() {
		for _, a := range span.Attributes {
			names[span.Name+" "+string(a.Key)] = a.Value.String()
		}
	}
	for key, want := range map[string]string{
		"plugin.call callboard.plugin": "acme/museum", "plugin.call callboard.release": "1.2.3",
		"plugin.call callboard.capability": "view/v1", "plugin.host callboard.service": "config/v1",
	} {
		if names[key] != want {
			t.Errorf("%s is %q, want %q", key, names[key], want)
		}
	}
	if !strings.Contains(seen.Traceparent, root.SpanContext().TraceID().String()) {
		t.Errorf("the guest got the trace context %q", seen.Traceparent)
	}
	if seen.Tenant != "acme" || seen.Caller.Role != "admin" || seen.Caller.Name != "ann@example.com" || seen.DeadlineMillis <= 0 {
		t.Errorf("the guest got %+v", seen)
	}
}

// TestTenantsShareNothing: two tenants, one release.
func TestTenantsShareNothing(t *testing.T) {
	s := newStage(t, nil)
	other := host.Tenant{ID: host.NewTenantID(), Slug: "globex"}
	if err := s.db.CreateTenant(t.Context(), other.ID); err != nil {
		t.Fatal(err)
	}
	s.install(t, museum(t, "1.0.0", kvPermission), plugin.InstallOptions{AcceptAll: true, Enable: true})
	stranger := host.NewCaller(other, host.Principal{Kind: host.KindUser, ID: "u2", Role: host.RoleAdmin})
	if err := s.house.Call(t.Context(), stranger, "museum", "view/v1", "echo", 1, nil); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("another tenant's call gave %v", err)
	}
	if _, err := s.house.Get(t.Context(), stranger, "museum"); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("another tenant sees it: %v", err)
	}
	if _, err := s.house.Install(t.Context(), stranger, museum(t, "1.0.0", kvPermission), plugin.InstallOptions{AcceptAll: true, Enable: true}); err != nil {
		t.Fatal(err)
	}
	store := pluginv1.HostCall{Service: "kv/v1", Method: "set", Body: json.RawMessage(`{"key":"canary","value":"c2VjcmV0"}`)}
	if _, err := s.act(t, s.house, "host", store); err != nil {
		t.Fatal(err)
	}
	var got json.RawMessage
	err := s.house.Call(t.Context(), stranger, "museum", "view/v1", "host", pluginv1.HostCall{Service: "kv/v1", Method: "get", Body: json.RawMessage(`{"key":"canary"}`)}, &got)
	if err != nil || !strings.Contains(string(got), `"found":false`) {
		t.Errorf("another tenant's guest reads %s, %v", got, err)
	}
}

func BenchmarkCall(b *testing.B) {
	s := newStage(b, nil)
	s.install(b, museum(b, "1.0.0", ""), plugin.InstallOptions{Enable: true})
	if _, err := s.act(b, s.house, "echo", 1); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.act(b, s.house, "echo", 1); err != nil {
			b.Fatal(err)
		}
	}
}
