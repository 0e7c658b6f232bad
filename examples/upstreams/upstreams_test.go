package upstreams_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/examples/upstreams"
)

// noon is the tests' clock.
func noon() time.Time { return time.Date(2026, 3, 4, 12, 40, 0, 0, time.UTC) }

// ask sends one request to a handler and returns status, header and body.
func ask(t *testing.T, h http.Handler, method, target string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Header(), string(body)
}

func decode[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

type matrix struct {
	Data struct {
		ResultType string
		Result     []struct {
			Metric map[string]string
			Values [][]any
		}
	}
}

func rangeOf(query, start, end, step string) string {
	return "/api/v1/query_range?" + url.Values{"query": {query}, "start": {start}, "end": {end}, "step": {step}}.Encode()
}

func TestPrometheusRange(t *testing.T) {
	t.Parallel()
	h := upstreams.Prometheus(upstreams.Settings{Seed: "a", Now: noon})
	tests := []struct {
		name, query string
		series      int
		labels      map[string]string
	}{
		{"BareSelectorHasInstances", `http_requests_total{service="petstore"}`, 2, map[string]string{"__name__": "http_requests_total", "service": "petstore"}},
		{"AggregateHasOneSeries", `sum(rate(http_requests_total[5m]))`, 1, nil},
		{"ByKeepsItsLabels", `sum by (code) (rate(http_requests_total{service="petstore"}[5m]))`, 3, map[string]string{"code": "200"}},
		{"ByASelectedLabelIsOneSeries", `sum by (service) (rate(x{service="petstore"}[5m]))`, 1, map[string]string{"service": "petstore"}},
		{"Number", `42`, 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, header, body := ask(t, h, "GET", rangeOf(tt.query, "1772625600", "1772629200", "15s"), nil)
			m := decode[matrix](t, body)
			if code != 200 || m.Data.ResultType != "matrix" || len(m.Data.Result) != tt.series {
				t.Fatalf("status %d, %s, %d series, want %d", code, m.Data.ResultType, len(m.Data.Result), tt.series)
			}
			if header.Get(upstreams.HeaderSimulator) != "Prometheus" {
				t.Error("the answer does not say that it is simulated")
			}
			first := m.Data.Result[0]
			for k, v := range tt.labels {
				if first.Metric[k] != v {
					t.Errorf("label %s is %q, want %q", k, first.Metric[k], v)
				}
			}
			if len(first.Values) != 241 {
				t.Errorf("%d points, want 241", len(first.Values))
			}
			if _, _, repeated := ask(t, h, "GET", rangeOf(tt.query, "1772625600", "1772629200", "15s"), nil); repeated != body {
				t.Error("the same question has another answer")
			}
		})
	}
}

func TestPrometheusRefuses(t *testing.T) {
	t.Parallel()
	h := upstreams.Prometheus(upstreams.Settings{Now: noon})
	tests := []struct{ name, target, want string }{
		{"NoExpression", "/api/v1/query?query=", "no expression found"},
		{"OpenBrace", "/api/v1/query?query=up%7B", "unexpected end of input"},
		{"WrongBracket", "/api/v1/query?query=sum(up%7D)", "parse error: unexpected"},
		{"OpenQuote", `/api/v1/query?query=up%7Ba%3D%22b%7D`, "unterminated quoted string"},
		{"BadTime", "/api/v1/query?query=up&time=soon", "valid timestamp"},
		{"NoStart", rangeOf("up", "", "10", "1"), `parameter \"start\"`},
		{"NoEnd", rangeOf("up", "10", "", "1"), `parameter \"end\"`},
		{"EndFirst", rangeOf("up", "10", "5", "1"), "must not be before"},
		{"ZeroStep", rangeOf("up", "1", "5", "0"), "zero or negative"},
		{"BadStep", rangeOf("up", "1", "5", "often"), "valid duration"},
		{"TooManyPoints", rangeOf("up", "0", "100000", "1"), "exceeded maximum resolution"},
		{"RuleType", "/api/v1/rules?type=odd", "not supported value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, _, body := ask(t, h, "GET", tt.target, nil)
			if code != 400 || !strings.Contains(body, tt.want) || !strings.Contains(body, `"errorType":"bad_data"`) {
				t.Fatalf("status %d, want 400 and %q: %s", code, tt.want, body)
			}
		})
	}
}

func TestPrometheusOtherEndpoints(t *testing.T) {
	t.Parallel()
	h := upstreams.Prometheus(upstreams.Settings{Now: noon, Services: []string{"petstore"}})
	tests := []struct{ name, target, want string }{
		{"Vector", "/api/v1/query?query=up&time=2026-03-04T12:00:00Z", `"value":[1772625600,"1"]`},
		{"Scalar", "/api/v1/query?query=7", `"resultType":"scalar"`},
		{"Labels", "/api/v1/labels", `"service"`},
		{"LabelValues", "/api/v1/label/service/values", `["petstore"]`},
		{"Buildinfo", "/api/v1/status/buildinfo", `"simulated"`},
		{"Ready", "/-/ready", "simulated"},
		{"AlertingRules", "/api/v1/rules?type=alert", `"name":"HighErrorRate"`},
		{"RecordingRules", "/api/v1/rules?type=record", `"type":"recording"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if code, _, body := ask(t, h, "GET", tt.target, nil); code != 200 || !strings.Contains(body, tt.want) {
				t.Fatalf("status %d, want %q in %s", code, tt.want, body)
			}
		})
	}
}

// Over a day, every state of an alert is seen, and each firing alert is in the
// list of alerts and in its rule alike.
func TestAlertsComeAndGo(t *testing.T) {
	t.Parallel()
	now := noon()
	h := upstreams.Prometheus(upstreams.Settings{Now: func() time.Time { return now }})
	seen := map[string]bool{}
	for range 24 * 12 {
		now = now.Add(5 * time.Minute)
		_, _, body := ask(t, h, "GET", "/api/v1/alerts", nil)
		list := decode[struct {
			Data struct {
				Alerts []struct {
					Labels map[string]string
					State  string
				}
			}
		}](t, body)
		_, _, rules := ask(t, h, "GET", "/api/v1/rules", nil)
		for _, a := range list.Data.Alerts {
			seen[a.State] = true
			if !strings.Contains(rules, `"service":"`+a.Labels["service"]+`"`) {
				t.Fatalf("%s of %s is in no rule", a.Labels["alertname"], a.Labels["service"])
			}
		}
		seen["none"] = seen["none"] || len(list.Data.Alerts) == 0
	}
	for _, state := range []string{"pending", "firing", "none"} {
		if !seen[state] {
			t.Errorf("no %s alert in a whole day", state)
		}
	}
}

func TestSeedChangesFigures(t *testing.T) {
	t.Parallel()
	target := rangeOf("cpu", "1772625600", "1772626000", "15")
	_, _, a := ask(t, upstreams.Prometheus(upstreams.Settings{Seed: "a"}), "GET", target, nil)
	_, _, b := ask(t, upstreams.Prometheus(upstreams.Settings{Seed: "b"}), "GET", target, nil)
	if a == b {
		t.Error("two seeds give the same figures")
	}
}
