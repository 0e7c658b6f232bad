package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/sdktest"
	"github.com/callboard-dev/callboard/sdk/view"
)

const service = `{"apiVersion":"backstage.io/v1alpha1","kind":"Component","metadata":{"name":"shop","namespace":"default",
	"annotations":{"prometheus.io/rule":"sum(rate(requests[5m]))|code","prometheus.io/alert":"all"}},"spec":{"type":"service"}}`

// prometheus answers as a Prometheus server does.
func prometheus(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer opensesame" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.URL.Path {
	case "/api/v1/rules":
		fmt.Fprint(w, `{"status":"success","data":{"groups":[{"name":"g","rules":[
			{"type":"alerting","name":"Down","state":"firing","labels":{"severity":"page"},"alerts":[
				{"state":"firing","labels":{"instance":"a"},"annotations":{"summary":"It is down."},"value":"1e+00","activeAt":"2026-01-02T03:04:05Z"}]},
			{"type":"alerting","name":"Slow","state":"inactive","labels":{},"alerts":[]}]}]}}`)
	case "/api/v1/query_range":
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[
			{"metric":{"code":"200"},"values":[[1767322800,"1.5"],[1767322860,"NaN"]]},{"metric":{"code":"500"},"values":[[1767322800,"0.25"]]}]}}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// TestPrometheusRunsAsAProcess runs a first-party plugin, whose source knows
// nothing of it, as a guest and as a process, on the same portal.
func TestPrometheusRunsAsAProcess(t *testing.T) {
	modules := both(t, "plugins/prometheus")
	answers := map[string]map[string]string{}
	for name, m := range modules {
		portal := sdktest.NewGuest(t, guest(m), sdktest.Manifest(manifestOf("plugins/prometheus")),
			sdktest.Config(map[string]any{"url": "https://prometheus.example.com"}), sdktest.Secret("token", "opensesame"),
			sdktest.Upstream("https://prometheus.example.com", http.HandlerFunc(prometheus)), sdktest.Entities(service))
		answers[name] = ask(t, portal)
	}
	for question, want := range answers["wasm"] {
		if got := answers["process"][question]; got != want {
			t.Errorf("%s: the process answers\n%s\nthe guest\n%s", question, got, want)
		}
	}
	if len(answers["wasm"]) != 5 {
		t.Errorf("the guest answered %v", answers["wasm"])
	}
}

// ask asks what does not depend on the time of day.
func ask(t *testing.T, portal *sdktest.Host) map[string]string {
	t.Helper()
	out := map[string]string{}
	keep := func(question string, answer any, err error) {
		raw, bad := json.Marshal(answer)
		if bad != nil {
			t.Fatal(bad)
		}
		out[question] = fmt.Sprintf("%s %v", raw, err)
	}
	params := map[string]string{"kind": "component", "namespace": "default", "name": "shop"}
	alerts, err := portal.Route(route.Request{OperationID: "prometheusEntityAlerts", Params: params})
	keep("alerts", string(alerts.Body), err)
	var series struct{ Rules json.RawMessage }
	err = portal.RouteJSON(route.Request{OperationID: "prometheusEntitySeries", Params: params}, &series)
	keep("series", string(series.Rules), err)
	_, err = portal.Route(route.Request{OperationID: "prometheusEntityAlerts", Params: map[string]string{"kind": "component", "namespace": "default", "name": "none"}})
	keep("an entity that is not there", nil, err)
	card, err := portal.EntityView("alerts", "component:default/shop", nil)
	keep("card", card.Nodes, err)
	servers, err := portal.View(view.Request{View: "servers"})
	keep("servers", servers, err)
	return out
}

// guest lets a module answer as a guest of sdktest does.
func guest(m plugin.Module) sdktest.Guest {
	return func(ctx context.Context, services sdk.Host, in []byte) []byte {
		var call v1.Call
		r := v1.Result{Error: &v1.Error{Code: v1.CodeInvalid, Message: "no call"}}
		if json.Unmarshal(in, &call) == nil {
			o, err := m.Call(ctx, plugin.Work{Call: call, World: plugin.World{Host: plugin.HostFunc(services)},
				Limits: plugin.Limits{Timeout: 30 * time.Second, Memory: 64 << 20, Output: 4 << 20, Input: 1 << 20, HostCalls: 100}})
			r = o.Result
			if err != nil {
				r = v1.Result{Error: &v1.Error{Code: v1.CodeInternal, Message: host.AsError(err).Message}}
			}
		}
		out, err := json.Marshal(r)
		if err != nil {
			return nil
		}
		return out
	}
}

// manifestOf is the path of a plugin's manifest.
func manifestOf(folder string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "..", filepath.FromSlash(folder), "plugin.yaml")
}
