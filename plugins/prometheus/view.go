package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/config"
	"github.com/callboard-dev/callboard/sdk/view"
)

// rangeParam is the choice of the metrics tab.
func rangeParam(chosen string) view.Param {
	return view.Param{Name: "range", Label: "Range", Value: chosen, Options: []view.Option{
		{Value: "1h", Label: "1 hour"}, {Value: "6h", Label: "6 hours"},
		{Value: "24h", Label: "24 hours"}, {Value: "7d", Label: "7 days"},
	}}
}

// renderMetrics is the entity tab: a chart for each rule, and the alerts.
func renderMetrics(ctx *sdk.Context, r view.Request) (view.Tree, error) {
	e, err := r.EntityDoc()
	if err != nil {
		return view.Tree{}, err
	}
	chosen := r.Param("range", "1h")
	w, err := newWindow(chosen, time.Now())
	if err != nil {
		return view.Tree{}, err
	}
	var nodes []view.Node
	label := "Prometheus"
	if e.Annotation(annotationRule) == "" {
		nodes = append(nodes, view.MissingAnnotation(annotationRule, `sum(rate(http_requests_total[5m]))|instance`))
	} else {
		srv, rules, err := readSeries(ctx, e, w)
		if err != nil {
			return view.Tree{}, err
		}
		label += " " + srv.name
		for _, rule := range rules {
			nodes = append(nodes, chartOf(rule, w))
		}
	}
	if e.Annotation(annotationAlert) != "" {
		nodes = append(nodes, alertSection(ctx, r))
	}
	return view.Tree{
		Source: &view.Source{Label: label, FetchedAt: time.Now().UTC()},
		Params: []view.Param{rangeParam(chosen)},
		Nodes:  nodes,
	}, nil
}

// chartOf draws one rule, or says why it cannot.
func chartOf(rule ruleSeries, w window) view.Node {
	if rule.failure != nil {
		return view.Failure(rule.Query, rule.failure)
	}
	c := view.Chart{
		Title: rule.Query, Query: rule.Query, Kind: view.Line, From: w.from.UTC(), To: w.to.UTC(),
		Empty: "The query has no data in this range.",
	}
	for _, s := range rule.Series {
		line := view.Series{Name: s.Name}
		for _, p := range s.Points {
			line.Points = append(line.Points, view.Point{Time: time.Unix(int64(*p[0]), 0).UTC(), Value: p[1]})
		}
		c.Series = append(c.Series, line)
	}
	return view.ChartOf(c)
}

// alertSection is the alerts under the charts. Their failure leaves the charts
// as they are.
func alertSection(ctx *sdk.Context, r view.Request) view.Node {
	tree, err := renderAlerts(ctx, r)
	if err != nil {
		return view.Section("Alerts", view.Failure("The alerts cannot be read", err))
	}
	return view.Section("Alerts", tree.Nodes...)
}

// words are the states as a reader sees them.
var words = map[string]struct {
	label string
	tone  view.Tone
}{"firing": {"Firing", view.Bad}, "pending": {"Pending", view.Warn}, "inactive": {"Quiet", view.Good}}

// renderAlerts is the entity card: how many alerts fire, and which.
func renderAlerts(ctx *sdk.Context, r view.Request) (view.Tree, error) {
	e, err := r.EntityDoc()
	if err != nil {
		return view.Tree{}, err
	}
	if e.Annotation(annotationAlert) == "" {
		return view.Of(view.MissingAnnotation(annotationAlert, "all")), nil
	}
	srv, alerts, err := readAlerts(ctx, e)
	if err != nil {
		return view.Tree{}, err
	}
	counts := map[string]int{}
	table := view.Table{
		Caption: "Alerts",
		Columns: []view.Column{{Title: "State", Telling: true}, {Title: "Alert", Telling: true}, {Title: "Labels"}, {Title: "Since"}},
		Empty:   "No alerting rule of the server matches this entity's annotations.",
	}
	for _, a := range alerts {
		counts[a.State]++
		since := view.TextCell("")
		if !a.ActiveAt.IsZero() {
			since = view.TimeCell(a.ActiveAt)
		}
		title := a.Name
		if a.Summary != "" {
			title += ": " + a.Summary
		}
		word := words[a.State]
		table.Rows = append(table.Rows, view.RowOf(view.ToneCell(word.tone, word.label), view.TextCell(title), view.MonoCell(labelText(a)), since))
	}
	return view.Tree{
		Source: &view.Source{Label: "Prometheus " + srv.name, FetchedAt: time.Now().UTC()},
		Nodes:  []view.Node{summary(counts), view.TableOf(table)},
	}, nil
}

// summary is the one line that a reader in a hurry needs.
func summary(counts map[string]int) view.Node {
	switch {
	case counts["firing"] > 0:
		return view.Status(view.Bad, fmt.Sprintf("%d firing", counts["firing"]), fmt.Sprintf("%d pending, %d quiet", counts["pending"], counts["inactive"]))
	case counts["pending"] > 0:
		return view.Status(view.Warn, fmt.Sprintf("%d pending", counts["pending"]), fmt.Sprintf("%d quiet", counts["inactive"]))
	case counts["inactive"] > 0:
		return view.Status(view.Good, "All quiet", fmt.Sprintf("%d alerting rules watched", counts["inactive"]))
	default:
		return view.Status(view.Neutral, "No alerts", "")
	}
}

// labelText writes an alert's labels without its name, which stands beside.
func labelText(a alert) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		if k != "alertname" {
			parts = append(parts, k+"="+a.Labels[k])
		}
	}
	return strings.Join(parts, " ")
}

// renderServers is the part of the settings page that says whether each
// configured server answers, and which version it is.
func renderServers(ctx *sdk.Context, _ view.Request) (view.Tree, error) {
	var s settings
	if err := config.Into(ctx, &s); err != nil {
		return view.Tree{}, err
	}
	if s.URL == "" {
		return view.Of(view.Nothing("No server yet", "Set the URL of a Prometheus server above.", "")), nil
	}
	servers := []server{{"default", s.URL}}
	for _, i := range s.Instances {
		servers = append(servers, server{i.Name, i.URL})
	}
	table := view.Table{
		Caption: "Servers",
		Columns: []view.Column{{Title: "Server", Telling: true}, {Title: "Answer", Telling: true}, {Title: "URL"}},
	}
	for _, srv := range servers {
		var build struct {
			Version string `json:"version"`
		}
		answer := view.ToneCell(view.Good, "")
		if err := srv.get(ctx, "status/buildinfo", nil, &build); err != nil {
			answer = view.ToneCell(view.Bad, sdk.AsError(err).Message)
		} else {
			answer.Text = "Prometheus " + build.Version
		}
		table.Rows = append(table.Rows, view.RowOf(view.TextCell(srv.name), answer, view.MonoCell(srv.url)))
	}
	return view.Of(view.TableOf(table)), nil
}
