package main

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/sdktest"
	"github.com/callboard-dev/callboard/sdk/view"
)

const curtain = "component:default/curtain"

func entity(annotations map[string]string) map[string]any {
	return map[string]any{"apiVersion": "backstage.io/v1alpha1", "kind": "Component",
		"metadata": map[string]any{"name": "curtain", "annotations": annotations},
		"spec":     map[string]any{"type": "service", "owner": "stagehands", "lifecycle": "production"}}
}

func open(t *testing.T, url string, annotations map[string]string, options ...sdktest.Option) *sdktest.Host {
	t.Helper()
	options = append([]sdktest.Option{
		sdktest.Config(map[string]any{"url": url, "instances": []map[string]string{{"name": "annex", "url": url + "/"}}}),
		sdktest.Entities(entity(annotations)),
	}, options...)
	return sdktest.New(t, New(), options...)
}

func request(operation string, query map[string][]string) route.Request {
	return route.Request{OperationID: operation, Query: query,
		Params: map[string]string{"kind": "component", "namespace": "default", "name": "curtain"}}
}

type seriesAnswer struct {
	Server string       `json:"server"`
	Step   int          `json:"stepSeconds"`
	Rules  []ruleSeries `json:"rules"`
}

type alertsAnswer struct {
	Server string  `json:"server"`
	Alerts []alert `json:"alerts"`
}

// TestRealPrometheus runs everything against a real server.
func TestRealPrometheus(t *testing.T) {
	url := startPrometheus(t)
	network := sdktest.Network(&http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})

	t.Run("series are named by the dimension and carry the rate", func(t *testing.T) {
		host := open(t, url, map[string]string{annotationRule: "rate(curtain_requests_total[5m])|instance, sum by (lamp) (lamp_celsius)|lamp"}, network)
		var out seriesAnswer
		if err := host.RouteJSON(request("prometheusEntitySeries", nil), &out); err != nil {
			t.Fatal(err)
		}
		if out.Server != "default" || out.Step != 15 || len(out.Rules) != 2 || len(out.Rules[0].Series) != 2 {
			t.Fatalf("answer = %+v", out)
		}
		want := map[string]float64{"left": 2, "right": 5}
		for _, s := range out.Rules[0].Series {
			if len(s.Points) < 200 {
				t.Errorf("%s has %d points, want about an hour of them", s.Name, len(s.Points))
			}
			if last := s.Points[len(s.Points)-1][1]; last == nil || math.Abs(*last-want[s.Name]) > 0.01 {
				t.Errorf("%s: rate %v, want %v", s.Name, last, want[s.Name])
			}
		}
		if name := out.Rules[1].Series[0].Name; name != "front" {
			t.Errorf("the lamp is called %q", name)
		}
	})
	t.Run("a rule that is wrong leaves the others", func(t *testing.T) {
		host := open(t, url, map[string]string{annotationRule: "rate(,lamp_celsius"}, network)
		var out seriesAnswer
		if err := host.RouteJSON(request("prometheusEntitySeries", nil), &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.Rules[0].Error, "parse error") || len(out.Rules[1].Series) != 1 {
			t.Errorf("answer = %+v", out)
		}
		tree, err := host.EntityView("metrics", curtain, nil)
		if err != nil || tree.Nodes[0].Error == nil || tree.Nodes[1].Chart == nil {
			t.Errorf("err %v, nodes %+v", err, tree.Nodes)
		}
	})
	t.Run("values that are no numbers are gaps", func(t *testing.T) {
		host := open(t, url, map[string]string{annotationRule: "0/(lamp_celsius*0)"}, network)
		var out seriesAnswer
		if err := host.RouteJSON(request("prometheusEntitySeries", map[string][]string{"range": {"6h"}}), &out); err != nil {
			t.Fatal(err)
		}
		if p := out.Rules[0].Series[0].Points; len(p) == 0 || p[0][1] != nil {
			t.Errorf("points = %v", p)
		}
	})
	for name, c := range map[string]struct {
		annotations map[string]string
		want        []string
	}{
		"all alerts, firing first":             {map[string]string{annotationAlert: "all"}, []string{"CurtainStuck firing", "LampHot pending", "NeverFires inactive"}},
		"named alerts only":                    {map[string]string{annotationAlert: "LampHot, NeverFires"}, []string{"LampHot pending", "NeverFires inactive"}},
		"alerts with a label":                  {map[string]string{annotationAlert: "all", annotationLabels: `service="curtain"`}, []string{"CurtainStuck firing"}},
		"alerts with all labels":               {map[string]string{annotationAlert: "all", annotationLabels: "service=curtain,house=old"}, []string{"CurtainStuck firing"}},
		"no alert where one label is another":  {map[string]string{annotationAlert: "all", annotationLabels: "service=curtain,house=new"}, nil},
		"the server that the annotation names": {map[string]string{annotationAlert: "CurtainStuck", annotationService: "annex"}, []string{"CurtainStuck firing"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out alertsAnswer
			if err := open(t, url, c.annotations, network).RouteJSON(request("prometheusEntityAlerts", nil), &out); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range out.Alerts {
				got = append(got, a.Name+" "+a.State)
				if strings.Contains(a.Value, "e+") {
					t.Errorf("the value of %s is %q", a.Name, a.Value)
				}
			}
			if strings.Join(got, ";") != strings.Join(c.want, ";") {
				t.Errorf("alerts = %v, want %v", got, c.want)
			}
		})
	}
	t.Run("the card counts and the tab shows both", func(t *testing.T) {
		host := open(t, url, map[string]string{annotationRule: "lamp_celsius|lamp", annotationAlert: "all"}, network)
		card, err := host.EntityView("alerts", curtain, nil)
		if err != nil || card.Nodes[0].Status == nil || card.Nodes[0].Status.Label != "1 firing" {
			t.Fatalf("err %v, card %s", err, text(t, card))
		}
		tab, err := host.EntityView("metrics", curtain, map[string]string{"range": "1h"})
		if doc := text(t, tab); err != nil || tab.Nodes[0].Chart == nil || !strings.Contains(doc, "The curtain of left is stuck") {
			t.Errorf("err %v, tab %s", err, doc)
		}
	})
	t.Run("settings say which server answers", func(t *testing.T) {
		host := open(t, url, nil, network)
		tree, err := hostView(host, "servers")
		if err != nil || strings.Count(tree, "Prometheus 2.") < 2 {
			t.Errorf("err %v, %s", err, tree)
		}
	})
}

func hostView(host *sdktest.Host, id string) (string, error) {
	tree, err := host.View(view.Request{View: id})
	b, _ := json.Marshal(tree)
	return string(b), err
}

func TestRefusals(t *testing.T) {
	html := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>a login page</html>") })
	down := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
	})
	for name, c := range map[string]struct {
		annotations map[string]string
		upstream    http.Handler
		want        sdk.Code
		says        string
	}{
		"no annotation":              {nil, html, sdk.CodeInvalid, annotationRule},
		"a rule without a query":     {map[string]string{annotationRule: "|instance"}, html, sdk.CodeInvalid, "no query"},
		"too many rules":             {map[string]string{annotationRule: strings.Repeat("up,", 13)}, html, sdk.CodeInvalid, "13 rules"},
		"two dimensions":             {map[string]string{annotationRule: "up|a|b"}, html, sdk.CodeInvalid, "more than one dimension"},
		"a server nobody knows":      {map[string]string{annotationRule: "up", annotationService: "moon"}, html, sdk.CodeNotReady, "moon"},
		"a login page for an answer": {map[string]string{annotationAlert: "all"}, html, sdk.CodeUpstream, "not its API's JSON"},
		"a server that is down":      {map[string]string{annotationAlert: "all"}, down, sdk.CodeUpstream, "503"},
		"a label without a value":    {map[string]string{annotationAlert: "all", annotationLabels: "service"}, html, sdk.CodeInvalid, "name=value"},
	} {
		t.Run(name+" is "+string(c.want), func(t *testing.T) {
			host := open(t, "https://prom.example", c.annotations, sdktest.Upstream("https://prom.example", c.upstream))
			operation := "prometheusEntitySeries"
			if c.annotations[annotationAlert] != "" {
				operation = "prometheusEntityAlerts"
			}
			_, err := host.Route(request(operation, nil))
			if sdk.CodeOf(err) != c.want || !strings.Contains(err.Error(), c.says) {
				t.Errorf("err = %v (%s), want %s and %q", err, sdk.CodeOf(err), c.want, c.says)
			}
		})
	}
	t.Run("an unknown range is refused", func(t *testing.T) {
		host := open(t, "https://prom.example", map[string]string{annotationRule: "up"}, sdktest.Upstream("https://prom.example", html))
		if _, err := host.EntityView("metrics", curtain, map[string]string{"range": "99y"}); sdk.CodeOf(err) != sdk.CodeInvalid {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("the token goes to the server and nowhere else", func(t *testing.T) {
		var got string
		spy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Get("Authorization")
			_, _ = io.WriteString(w, `{"status":"success","data":{"groups":[]}}`)
		})
		host := open(t, "https://prom.example", map[string]string{annotationAlert: "all"},
			sdktest.Upstream("https://prom.example", spy), sdktest.Secret("token", "s3cret"))
		var out alertsAnswer
		if err := host.RouteJSON(request("prometheusEntityAlerts", nil), &out); err != nil || got != "Bearer s3cret" || out.Alerts == nil {
			t.Errorf("err %v, sent %q, alerts %v", err, got, out.Alerts)
		}
	})
	t.Run("an entity without annotations is told the line to paste", func(t *testing.T) {
		tree, err := open(t, "https://prom.example", nil, sdktest.Upstream("https://prom.example", html)).EntityView("metrics", curtain, nil)
		if doc := text(t, tree); err != nil || !strings.Contains(doc, annotationRule) || tree.Nodes[0].Empty == nil {
			t.Errorf("err %v, %s", err, doc)
		}
	})
}

// FuzzAnnotations: no annotation, however odd, makes the readers fail other
// than by an error.
func FuzzAnnotations(f *testing.F) {
	f.Add("rate(up[5m])|job,up", "a=b,c='d'")
	f.Add("|||,,", "=,=")
	f.Fuzz(func(t *testing.T, rules, labels string) {
		if got, err := parseRules(rules); err == nil {
			for _, r := range got {
				if r.query == "" || strings.ContainsAny(r.query, ",|") || strings.ContainsAny(r.dimension, ",|") {
					t.Errorf("rule %+v", r)
				}
			}
		}
		if filter, err := parseAlertFilter(rules, labels); err == nil && filter.labels[""] != "" {
			t.Errorf("filter %+v", filter)
		}
	})
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAlertValuesAreWrittenAsPeopleWriteNumbers(t *testing.T) {
	for raw, want := range map[string]string{
		"1e+00": "1", "0e+00": "0", "-2.5e-01": "-0.25", "1.234567e+06": "1234567", "9e+20": "9e+20", "3e-09": "3e-09",
		"NaN": "NaN", "+Inf": "+Inf", "": "", "odd": "odd",
	} {
		if got := plain(raw); got != want {
			t.Errorf("plain(%q) = %q, want %q", raw, got, want)
		}
	}
}
