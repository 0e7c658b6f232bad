package gallery

import (
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui/viewtree"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

// views shows the trees of plugins: all nodes of view/v1 in one, and what a
// hostile one comes out as.
func views(now time.Time) []Specimen {
	settings := func(id string) viewtree.Settings {
		return viewtree.Settings{ID: id, Now: now, ActionURL: "/-/components", CSRF: "none", Here: "/-/components", PageURL: "/-/components"}
	}
	return []Specimen{{ID: "view", Title: "A plugin's view", About: "The typed tree of view/v1, rendered with the same components. Plugins ship no script and no style.", Wide: true, States: []State{
		{Name: "Every node", Flush: true, Node: body(viewtree.Tree{Tree: everyNode(now), Settings: settings("every")})},
		{Name: "Empty tree", Node: viewtree.Tree{Settings: settings("none")}},
		{Name: "Hostile tree", Flush: true, Node: body(viewtree.Tree{Tree: hostile(now), Settings: settings("hostile")})},
	}}}
}

// body lays a tree out as the body of a card does.
func body(n g.Node) g.Node { return h.Div(h.Class("card-body"), n) }

func everyNode(now time.Time) viewv1.Tree {
	v := func(f float64) *float64 { return &f }
	rerun := &viewv1.Action{Label: "Re-run", Operation: "rerun", Params: map[string]string{"run": "812"}}
	cancel := &viewv1.Action{Label: "Cancel", Operation: "cancel", Params: map[string]string{"run": "813"}, Confirm: "The run stops where it is. You can start it again.", Danger: true}
	var points []viewv1.Point
	for i := range 12 {
		points = append(points, viewv1.Point{Time: now.Add(time.Duration(i-11) * time.Hour), Value: v(float64(i*i%17) + 3)})
	}
	nodes := []viewv1.Node{
		{Status: &viewv1.Status{Tone: viewv1.ToneGood, Label: "Healthy", Detail: "All checks passed in the last hour."}},
		{Stats: &viewv1.Stats{Items: []viewv1.Stat{{Label: "Success", Value: "96", Unit: "%", Change: "+2 points", Tone: viewv1.ToneGood, Spark: []float64{3, 5, 4, 7, 8}}, {Label: "Runs", Value: "128"}}}},
		{Section: &viewv1.Section{Title: "Runs", Nodes: []viewv1.Node{{Table: &viewv1.Table{Caption: "Runs", Columns: []viewv1.Column{{Title: "Result"}, {Title: "Workflow", Telling: true}, {Title: "Commit"}, {Title: "Started", Numeric: true, Telling: true}, {Title: "Action"}},
			Rows: []viewv1.Row{
				{Cells: []viewv1.Cell{{Text: "Failed", Tone: viewv1.ToneBad}, {Text: "test", URL: "https://example.org/runs/812"}, {Text: "3f9c1d2", Mono: true}, {Time: now.Add(-time.Hour)}, {Action: rerun}}},
				{Cells: []viewv1.Cell{{Text: "Running", Tone: viewv1.ToneInfo}, {Text: "deploy", URL: "https://example.org/runs/813", Tone: viewv1.ToneInfo}, {Text: "a81e77b", Mono: true}, {Time: now.Add(-time.Minute)}, {Action: cancel}}}}}}}}},
		{List: &viewv1.List{Items: []viewv1.ListItem{{Title: "PaymentsLatencyHigh", Detail: "p99 above 400 ms for 10 minutes", URL: "https://example.org/alerts", Tone: viewv1.ToneBad, Label: "Firing", Time: now.Add(-10 * time.Minute)}, {Title: "QueueGrowing", Tone: viewv1.ToneWarn}}}},
		{Timeline: &viewv1.Timeline{Events: []viewv1.Event{{Time: now.Add(-time.Hour), Title: "Deployed", Detail: "3f9c1d2", Tone: viewv1.ToneInfo, URL: "https://example.org/d"}}}},
		{Chart: &viewv1.Chart{Title: "Requests", Kind: "line", Unit: "per s", Series: []viewv1.Series{{Name: "requests", Points: points}}, Query: "sum(rate(http_requests_total[5m]))"}},
		{KeyValue: &viewv1.KeyValue{Items: []viewv1.Fact{{Key: "Repository", Cell: viewv1.Cell{Text: "northwind/payments", URL: "https://example.org"}}, {Key: "Checked", Cell: viewv1.Cell{Time: now.Add(-time.Minute)}}}}},
		{Markdown: &viewv1.Markdown{Text: "Runs are kept for **90 days**."}}, {Code: &viewv1.Code{Language: "yaml", Text: "github.com/project-slug: northwind/payments"}},
		{Link: &viewv1.Link{Title: "Open in GitHub", URL: "https://example.org/actions"}},
		{Form: &viewv1.Form{Action: viewv1.Action{Label: "Run workflow", Operation: "dispatch"}, Fields: []viewv1.Field{{Name: "ref", Label: "Branch", Kind: "text", Value: "main", Required: true}, {Name: "env", Label: "Environment", Kind: "select", Options: []viewv1.Option{{Value: "staging", Label: "Staging"}}}, {Name: "dry", Label: "Only check", Kind: "checkbox"}}}},
		{Empty: &viewv1.Empty{Title: "No annotation", Text: "Add this line to the descriptor.", Code: "github.com/project-slug: owner/repository"}},
		{Error: &viewv1.Error{Title: "GitHub refused the request", Text: "The rate limit is used up.", Hint: "Add a token in the plugin's settings.", RetryAfterSeconds: 600}},
	}
	return viewv1.Tree{Nodes: nodes, Source: &viewv1.Source{Label: "GitHub Actions", FetchedAt: now},
		Params: []viewv1.Param{{Name: "range", Label: "Range", Value: "6h", Options: []viewv1.Option{{Value: "1h", Label: "1 hour"}, {Value: "6h", Label: "6 hours"}}}}}
}

// hostile is what somebody would send who wants out of the sandbox.
func hostile(now time.Time) viewv1.Tree {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	deep := viewv1.Node{Status: &viewv1.Status{Label: "deep"}}
	for range 12 {
		deep = viewv1.Node{Section: &viewv1.Section{Title: "In", Nodes: []viewv1.Node{deep}}}
	}
	return viewv1.Tree{Nodes: []viewv1.Node{
		{Status: &viewv1.Status{Tone: `bad" onclick="alert(1)`, Label: evil}},
		{Link: &viewv1.Link{Title: "javascript link", URL: "javascript:alert(1)"}},
		{List: &viewv1.List{Items: []viewv1.ListItem{{Title: "data link", URL: "data:text/html,<script>alert(1)</script>", Time: now}, {Title: strings.Repeat("long", 60)}}}},
		{Table: &viewv1.Table{Columns: []viewv1.Column{{Title: evil}, {Title: "B"}}, Rows: []viewv1.Row{{Cells: []viewv1.Cell{{Text: evil, URL: "//evil.example"}}}}}},
		{}, deep,
	}}
}
