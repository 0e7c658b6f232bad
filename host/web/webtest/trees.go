package webtest

import (
	"cmp"
	"math"
	"time"

	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

// runs is the tree of a build plugin.
func (s shows) runs() viewv1.Tree {
	now := s.r.now
	row := func(tone viewv1.Tone, result, workflow, branch, took string, ago time.Duration, run string) viewv1.Row {
		return viewv1.Row{Cells: []viewv1.Cell{{Text: result, Tone: tone}, {Text: workflow, URL: "https://ci.northwind.example/runs/" + run}, {Text: branch, Mono: true}, {Text: took}, {Time: now.Add(-ago)},
			{Action: &viewv1.Action{Label: "Re-run", Operation: "buildsRerun", Params: map[string]string{"run": run}, Confirm: "The workflow runs again with the same commit."}}}}
	}
	return viewv1.Tree{Source: &viewv1.Source{Label: "GitHub Actions", URL: "https://ci.northwind.example", FetchedAt: now.Add(-40 * time.Second)},
		Nodes: []viewv1.Node{{Table: &viewv1.Table{Columns: []viewv1.Column{{Title: "Result", Telling: true}, {Title: "Workflow", Telling: true}, {Title: "Branch"}, {Title: "Duration", Numeric: true}, {Title: "Started", Numeric: true}, {Title: "Action"}},
			Rows: []viewv1.Row{row(viewv1.ToneGood, "Passed", "deploy", "main", "4 min 12 s", 12*time.Minute, "814"), row(viewv1.ToneGood, "Passed", "test", "main", "2 min 51 s", 14*time.Minute, "813"),
				row(viewv1.ToneBad, "Failed", "test", "idempotent-refunds", "1 min 08 s", time.Hour, "812"), row(viewv1.ToneInfo, "Running", "test", "renovate/pgx-5", "52 s", 50*time.Second, "815")}}}}}
}

// metrics is the tree of a metrics plugin.
func (s shows) metrics(params map[string]string) viewv1.Tree {
	series := viewv1.Series{Name: "p99"}
	for i := range 72 {
		x := float64(i) / 72
		v := 330 + 60*math.Sin(x*9) + 20*math.Sin(x*41)
		if i > 60 {
			v += float64(i-60) * 14
		}
		series.Points = append(series.Points, viewv1.Point{Time: s.r.now.Add(time.Duration(i-71) * 20 * time.Minute), Value: &v})
	}
	return viewv1.Tree{Source: &viewv1.Source{Label: "Prometheus", FetchedAt: s.r.now.Add(-6 * time.Minute), Stale: true, Message: "slow"},
		Params: []viewv1.Param{{Name: "range", Label: "Range", Value: cmp.Or(params["range"], "24h"), Options: []viewv1.Option{{Value: "6h", Label: "6 hours"}, {Value: "24h", Label: "24 hours"}}}},
		Nodes: []viewv1.Node{{Stats: &viewv1.Stats{Items: []viewv1.Stat{{Label: "Latency, p99", Value: "412", Unit: "ms", Change: "up 18 % since yesterday", Tone: viewv1.ToneWarn}, {Label: "Requests", Value: "1,204", Unit: "per s"}}}},
			{Chart: &viewv1.Chart{Title: "Latency, p99", Kind: "line", Unit: "ms", Series: []viewv1.Series{series}, Query: "histogram_quantile(0.99, ...)"}}}}
}
