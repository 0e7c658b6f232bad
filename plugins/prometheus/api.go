package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/config"
	"github.com/callboard-dev/callboard/sdk/http"
)

// settings is the instance's configuration, as plugin.yaml describes it.
type settings struct {
	URL       string `json:"url"`
	Instances []struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	} `json:"instances"`
}

// server is one Prometheus server.
type server struct {
	name, url string
}

// loadServer returns the server that the service-name annotation chooses; an
// empty name is the first one.
func loadServer(ctx *sdk.Context, name string) (server, error) {
	var s settings
	if err := config.Into(ctx, &s); err != nil {
		return server{}, err
	}
	if s.URL == "" {
		return server{}, sdk.Errorf(sdk.CodeNotReady, "No Prometheus server is configured.").
			WithHint("An admin sets its URL on the plugin's page.")
	}
	if name == "" {
		return server{"default", s.URL}, nil
	}
	var known []string
	for _, i := range s.Instances {
		if i.Name == name {
			return server{name, i.URL}, nil
		}
		known = append(known, i.Name)
	}
	return server{}, sdk.Errorf(sdk.CodeNotReady, "The annotation %s names the server %q, which is not configured.",
		annotationService, name).WithHint("Configured servers: %s.", orNone(known))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "only the default one"
	}
	return strings.Join(names, ", ")
}

// answer is the envelope of Prometheus's HTTP API,
// https://prometheus.io/docs/prometheus/latest/querying/api/.
type answer struct {
	Status    string          `json:"status"`
	Data      json.RawMessage `json:"data"`
	ErrorType string          `json:"errorType"`
	Error     string          `json:"error"`
	Warnings  []string        `json:"warnings"`
}

// get reads one path of the server's API into data.
func (s server) get(ctx *sdk.Context, path string, query url.Values, data any) error {
	target := strings.TrimSuffix(s.url, "/") + "/api/v1/" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	// A refused query is a 4xx with a JSON body, so the status alone says little.
	resp, err := http.Do(ctx, http.Request{URL: target, Header: http.Header{"Accept": {"application/json"}}})
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(resp.Body, &a); err != nil || a.Status == "" {
		if err := resp.Err(); err != nil {
			return err
		}
		return sdk.Errorf(sdk.CodeUpstream, "The Prometheus server %q answered %d with something that is not its API's JSON.",
			s.name, resp.Status).WithHint("Check that the configured URL is the server's base URL.")
	}
	if a.Status != "success" {
		return sdk.Errorf(sdk.CodeUpstream, "Prometheus refused the query: %s: %s", a.ErrorType, a.Error).
			WithHint("Check the query in the entity's %s annotation.", annotationRule)
	}
	if err := json.Unmarshal(a.Data, data); err != nil {
		return sdk.Errorf(sdk.CodeUpstream, "The Prometheus server %q sent data of an unknown shape: %v", s.name, err)
	}
	return nil
}

// sample is a [unix seconds, "value"] pair of the API.
type sample struct {
	at    float64
	value float64
}

// UnmarshalJSON reads the pair; "NaN" and "±Inf" are values like any other.
func (p *sample) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &[]any{&p.at, &text}); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	p.value = v
	return err
}

// number returns the value, or nil where it is no finite number, which JSON
// cannot carry and a chart shows as a gap.
func (p sample) number() *float64 {
	if math.IsNaN(p.value) || math.IsInf(p.value, 0) {
		return nil
	}
	return &p.value
}

// plain writes an alert's value, which the server sends as "1e+00", the way
// people write numbers. Very large and very small ones keep their exponent.
func plain(value string) string {
	v, err := strconv.ParseFloat(value, 64)
	switch size := math.Abs(v); {
	case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
		return value
	case v != 0 && (size >= 1e15 || size < 1e-6):
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// stream is one series of a range query.
type stream struct {
	Metric map[string]string `json:"metric"`
	Values []sample          `json:"values"`
}

// name returns the value of the dimension's label, or the metric in
// Prometheus's own notation.
func (s stream) name(dimension string) string {
	if v := s.Metric[dimension]; v != "" {
		return v
	}
	return seriesName(s.Metric)
}

// window is the time that a range query looks at. At most 11,000 points a
// series are allowed by Prometheus; a chart needs far fewer.
type window struct {
	from, to time.Time
	step     time.Duration
}

// ranges are the choices of the view, with about 240 points each.
var ranges = map[string]time.Duration{"1h": time.Hour, "6h": 6 * time.Hour, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour}

const pointsPerSeries = 240

func newWindow(name string, now time.Time) (window, error) {
	if name == "" {
		name = "1h"
	}
	length, ok := ranges[name]
	if !ok {
		return window{}, sdk.Errorf(sdk.CodeInvalid, "The range %q is not one of 1h, 6h, 24h and 7d.", name)
	}
	step := (length / pointsPerSeries).Round(time.Second)
	// Ends on a multiple of the step, so that reloads within a step ask the
	// same question and the host's cache can answer it.
	to := now.Truncate(step)
	return window{from: to.Add(-length), to: to, step: step}, nil
}

// queryRange runs a range query.
func (s server) queryRange(ctx *sdk.Context, query string, w window) ([]stream, error) {
	var data struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	}
	err := s.get(ctx, "query_range", url.Values{
		"query": {query},
		"start": {strconv.FormatInt(w.from.Unix(), 10)},
		"end":   {strconv.FormatInt(w.to.Unix(), 10)},
		"step":  {fmt.Sprintf("%ds", int(w.step.Seconds()))},
	}, &data)
	if err != nil {
		return nil, err
	}
	var streams []stream
	if data.ResultType != "matrix" {
		return nil, sdk.Errorf(sdk.CodeUpstream, "Prometheus answered a range query with a %s.", data.ResultType)
	}
	return streams, json.Unmarshal(data.Result, &streams)
}

// alertingRule is a rule of /api/v1/rules?type=alert.
type alertingRule struct {
	Name        string            `json:"name"`
	State       string            `json:"state"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Alerts      []struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		State       string            `json:"state"`
		ActiveAt    time.Time         `json:"activeAt"`
		Value       string            `json:"value"`
	} `json:"alerts"`
}

// alertingRules reads all alerting rules.
func (s server) alertingRules(ctx *sdk.Context) ([]alertingRule, error) {
	var data struct {
		Groups []struct {
			Rules []alertingRule `json:"rules"`
		} `json:"groups"`
	}
	if err := s.get(ctx, "rules", url.Values{"type": {"alert"}}, &data); err != nil {
		return nil, err
	}
	var rules []alertingRule
	for _, g := range data.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules, nil
}
