package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/catalog"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/view"
)

// New returns the plugin with everything that plugin.yaml declares.
func New() *sdk.Plugin {
	return sdk.New(
		route.Handle("prometheusEntitySeries", handleSeries),
		route.Handle("prometheusEntityAlerts", handleAlerts),
		view.Render("metrics", renderMetrics),
		view.Render("alerts", renderAlerts),
		view.Render("servers", renderServers),
	)
}

// maxSeries bounds how many series of one rule are answered. The largest are
// kept, and the answer says that some were left out.
const maxSeries = 20

// ruleSeries is one rule with its series, as operation and chart need it.
type ruleSeries struct {
	Query     string   `json:"query"`
	Dimension string   `json:"dimension,omitempty"`
	Error     string   `json:"error,omitempty"`
	Series    []series `json:"series"`
	failure   error
}

type series struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Points [][2]*float64     `json:"points"`
}

// alert is one active alert, or an alerting rule without one.
type alert struct {
	Name     string            `json:"name"`
	State    string            `json:"state"`
	Summary  string            `json:"summary,omitempty"`
	Labels   map[string]string `json:"labels"`
	Value    string            `json:"value,omitempty"`
	ActiveAt time.Time         `json:"activeAt,omitzero"`
}

// readSeries asks the entity's server for all rules of the entity. A rule that
// fails does not keep the others back.
func readSeries(ctx *sdk.Context, e catalog.Entity, w window) (server, []ruleSeries, error) {
	rules, err := parseRules(e.Annotation(annotationRule))
	if err != nil {
		return server{}, nil, sdk.Errorf(sdk.CodeInvalid, "The annotation %s of %s cannot be read: %v.", annotationRule, e.Ref(), err).
			WithHint("Write it as query|dimension, with commas between several.")
	}
	srv, err := loadServer(ctx, e.Annotation(annotationService))
	if err != nil {
		return srv, nil, err
	}
	out := make([]ruleSeries, 0, len(rules))
	for _, r := range rules {
		answer := ruleSeries{Query: r.query, Dimension: r.dimension, Series: []series{}}
		streams, err := srv.queryRange(ctx, r.query, w)
		if err != nil {
			answer.failure, answer.Error = err, err.Error()
		}
		if len(streams) > maxSeries {
			answer.Error = "More series than can be shown; aggregate the query, for example with sum by (label)."
			streams = streams[:maxSeries]
		}
		for _, s := range streams {
			answer.Series = append(answer.Series, s.series(r.dimension))
		}
		out = append(out, answer)
	}
	return srv, out, nil
}

func (s stream) series(dimension string) series {
	out := series{Name: s.name(dimension), Labels: s.Metric, Points: make([][2]*float64, 0, len(s.Values))}
	for _, v := range s.Values {
		out.Points = append(out.Points, [2]*float64{&v.at, v.number()})
	}
	return out
}

// seriesName writes a metric as Prometheus does: name{label="value"}.
func seriesName(metric map[string]string) string {
	var labels []string
	for _, k := range slices.Sorted(maps.Keys(metric)) {
		if k != "__name__" {
			labels = append(labels, k+`="`+metric[k]+`"`)
		}
	}
	if len(labels) == 0 {
		return cmp.Or(metric["__name__"], "value")
	}
	return metric["__name__"] + "{" + strings.Join(labels, ", ") + "}"
}

// readAlerts asks the entity's server for the alerts that belong to the
// entity: firing first, then pending, then rules without an active alert.
func readAlerts(ctx *sdk.Context, e catalog.Entity) (server, []alert, error) {
	filter, err := parseAlertFilter(e.Annotation(annotationAlert), e.Annotation(annotationLabels))
	if err != nil {
		return server{}, nil, sdk.Errorf(sdk.CodeInvalid, "The annotation %s of %s cannot be read: %v.", annotationLabels, e.Ref(), err).
			WithHint("Write it as name=value, with commas between several.")
	}
	srv, err := loadServer(ctx, e.Annotation(annotationService))
	if err != nil {
		return srv, nil, err
	}
	rules, err := srv.alertingRules(ctx)
	if err != nil {
		return srv, nil, err
	}
	alerts := []alert{}
	for _, r := range rules {
		if filter.wants(r.Name) {
			alerts = append(alerts, r.alerts(filter)...)
		}
	}
	slices.SortStableFunc(alerts, func(a, b alert) int {
		return cmp.Or(cmp.Compare(stateOrder[a.State], stateOrder[b.State]), strings.Compare(a.Name, b.Name))
	})
	return srv, alerts, nil
}

var stateOrder = map[string]int{"firing": 0, "pending": 1, "inactive": 2}

// alerts returns the rule's active alerts that match the filter. A rule
// without any counts as one inactive alert, if its own labels match.
func (r alertingRule) alerts(filter alertFilter) []alert {
	var out []alert
	for _, a := range r.Alerts {
		if filter.matches(a.Labels) {
			out = append(out, alert{Name: r.Name, State: a.State, Summary: cmp.Or(a.Annotations["summary"], a.Annotations["description"]),
				Labels: a.Labels, Value: plain(a.Value), ActiveAt: a.ActiveAt})
		}
	}
	if len(r.Alerts) == 0 && filter.matches(r.Labels) {
		labels := r.Labels
		if labels == nil {
			labels = map[string]string{}
		}
		out = append(out, alert{Name: r.Name, State: "inactive", Labels: labels})
	}
	return out
}

// entityOf reads the entity that the operation's path names.
func entityOf(ctx *sdk.Context, r route.Request) (catalog.Entity, error) {
	return catalog.Get(ctx, r.Param("kind")+":"+r.Param("namespace")+"/"+r.Param("name"))
}

func missing(e catalog.Entity, annotation string) error {
	return sdk.Errorf(sdk.CodeInvalid, "%s has no annotation %s.", e.Ref(), annotation).
		WithHint("Add it to the entity's descriptor.")
}

func handleSeries(ctx *sdk.Context, r route.Request) (route.Response, error) {
	e, err := entityOf(ctx, r)
	if err != nil {
		return route.Response{}, err
	}
	if e.Annotation(annotationRule) == "" {
		return route.Response{}, missing(e, annotationRule)
	}
	w, err := newWindow(r.QueryValue("range"), time.Now())
	if err != nil {
		return route.Response{}, err
	}
	srv, rules, err := readSeries(ctx, e, w)
	if err != nil {
		return route.Response{}, err
	}
	return route.JSON(map[string]any{
		"server": srv.name, "from": w.from.UTC(), "to": w.to.UTC(), "stepSeconds": int(w.step.Seconds()), "rules": rules,
	})
}

func handleAlerts(ctx *sdk.Context, r route.Request) (route.Response, error) {
	e, err := entityOf(ctx, r)
	if err != nil {
		return route.Response{}, err
	}
	if e.Annotation(annotationAlert) == "" {
		return route.Response{}, missing(e, annotationAlert)
	}
	srv, alerts, err := readAlerts(ctx, e)
	if err != nil {
		return route.Response{}, err
	}
	return route.JSON(map[string]any{"server": srv.name, "alerts": alerts})
}
