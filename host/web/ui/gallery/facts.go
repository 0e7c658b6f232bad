package gallery

import (
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/chart"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/text"
)

func facts(now time.Time) []Specimen {
	return []Specimen{tables(now), lists(now), figures(), streams(now), relations(), prose()}
}

func tables(now time.Time) Specimen {
	columns := []data.Column{
		{Title: "Result", Telling: false},
		{Title: "Workflow", Telling: true, Sort: &data.Sort{Href: "#table", Direction: "ascending"}},
		{Title: "Branch"},
		{Title: "Duration", Numeric: true, Sort: &data.Sort{Href: "#table"}},
		{Title: "Started", Numeric: true, Telling: true},
	}
	run := func(tone ui.Tone, result, workflow, below, branch, took string, ago time.Duration) data.Row {
		return data.Row{ui.Chip{Text: result, Tone: tone}, data.Title(workflow, "#table", below), h.Code(g.Text(branch)), g.Text(took), ui.Ago(now.Add(-ago), now)}
	}
	rows := []data.Row{
		run(ui.Good, "Passed", "deploy", "Raise pool size to 40", "main", "4 min 12 s", 12*time.Minute),
		run(ui.Bad, "Failed", "test", "Retry refunds with the same key", "idempotent-refunds", "1 min 08 s", time.Hour),
		run(ui.Info, "Running", "test", "Update pgx to 5.12", "renovate/pgx-5", "52 s", 0),
	}
	wide := data.Table{Caption: "Values by region", ShowCaption: true, Wide: true}
	for _, name := range []string{"Region", "Requests", "Errors", "p50", "p90", "p99", "Saturation", "Replicas", "Restarts", "Memory"} {
		wide.Columns = append(wide.Columns, data.Column{Title: name, Numeric: name != "Region"})
	}
	wide.Rows = []data.Row{{g.Text("eu-west"), g.Text("1,204,311"), g.Text("318"), g.Text("12 ms"), g.Text("48 ms"), g.Text("412 ms"), g.Text("0.61"), g.Text("12"), g.Text("0"), g.Text("6.1 GiB")}}
	return Specimen{ID: "table", Title: "Table", About: "Tables before tiles. On a narrow screen it becomes a list of its two most telling columns.", Wide: true, States: []State{
		{Name: "Sorted", Flush: true, Node: data.Table{Caption: "Pipelines", Columns: columns, Rows: rows}},
		{Name: "Loading", Flush: true, Node: data.Table{Caption: "Pipelines", Columns: columns, Loading: 3}},
		{Name: "Empty", Flush: true, Node: data.Table{Caption: "Pipelines", Columns: columns, Empty: ui.Empty{Title: "No runs yet", Text: "A run appears here within a minute of its start."}}},
		{Name: "Wider than its card", Flush: true, Node: wide},
	}}
}

func lists(now time.Time) Specimen {
	return Specimen{ID: "list", Title: "List, facts and timeline", About: "For what has a name and one thing to say.", States: []State{
		{Name: "List", Flush: true, Node: data.List{Items: []data.Item{
			{Title: "production", Detail: "3f9c1d2", End: ui.Chip{Text: "Synced, healthy", Tone: ui.Good}},
			{Title: "staging", Href: "#list", Detail: "a81e77b", End: ui.Chip{Text: "Progressing", Tone: ui.Info}},
			{Title: "eu-west", Icon: "globe", Detail: "3f9c1d2", End: ui.Chip{Text: "Out of sync", Tone: ui.Warn}}}}},
		{Name: "Empty list", Flush: true, Node: data.List{Empty: ui.Empty{Title: "No environments"}}},
		{Name: "Facts", Node: data.Facts{{Key: "Team", Value: g.Text("Team Ledger")}, {Key: "Lifecycle", Value: ui.Chip{Text: "production", Tone: ui.Good}},
			{Key: "Channel", Value: h.A(h.Href("#list"), g.Text("#ledger"))}, {Key: "Defined in", Value: h.Code(g.Text("https://github.com/northwind/payments/blob/main/catalog-info.yaml:14"))}}},
		{Name: "Timeline", Node: data.Timeline{Now: now, Events: []data.Event{
			{At: now.Add(-2 * time.Minute), Title: "Alert firing: PaymentsLatencyHigh", Detail: "p99 above 400 ms for 10 minutes", Tone: ui.Bad},
			{At: now.Add(-26 * time.Minute), Title: "Deployed 3f9c1d2", Detail: "Raise pool size to 40", Tone: ui.Info, URL: "https://example.org/deploy"},
			{At: now.Add(-3 * time.Hour), Title: "Alert resolved", Tone: ui.Good}, {At: now.Add(-50 * time.Hour), Title: "Owner changed to Team Ledger"}}}},
		{Name: "Empty timeline", Node: data.Timeline{Empty: ui.Empty{Title: "Nothing happened yet"}}},
	}}
}

func figures() Specimen {
	values := []float64{12, 14, 13, 17, 16, 21, 20, 24, 22, 28}
	return Specimen{ID: "stat", Title: "Stat", About: "One figure with its change. Units and changes are words, not only colours.", Wide: true, States: []State{
		{Name: "Row", Node: data.Stats{
			{Label: "Latency, p99", Value: "412", Unit: "ms", Change: "up 18 % since yesterday", Tone: ui.Warn, Spark: chart.SparkLine("Latency over a day", values)},
			{Label: "Requests", Value: "1,204", Unit: "per s", Change: "as last week", Spark: chart.SparkLine("Requests over a day", []float64{5, 5, 6, 5, 5, 6, 5})},
			{Label: "Error rate", Value: "0.02", Unit: "%", Change: "down 0.01 points", Tone: ui.Good},
			{Label: "Alerts", Value: "2", Href: "#stat", Change: "1 needs you", Tone: ui.Bad}, {Label: "Deploys", Value: "14", Unit: "this week"}}},
		{Name: "Big", Node: data.Stats{{Label: "Cost this month", Value: "$4,182", Big: true, Change: "12 % over forecast", Tone: ui.Bad}}},
	}}
}

func streams(now time.Time) Specimen {
	line := func(ago time.Duration, level, text string) data.Line {
		return data.Line{At: now.Add(-ago), Level: level, Text: text}
	}
	return Specimen{ID: "code", Title: "Code, diff and log", About: "Text as it was written, to copy or to compare.", States: []State{
		{Name: "Code", Node: ui.Code{Text: "callboard catalog register https://github.com/northwind/payments"}},
		{Name: "Code with title", Node: ui.Code{Title: "catalog-info.yaml", Text: "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: payments-api\n"}},
		{Name: "Diff", Node: data.Diff{Label: "Example change", Text: "@@ permissions\n hosts:\n-  - https://argocd.northwind.dev\n+  - https://argocd.northwind.dev:443\n+  - https://argocd.eu.northwind.dev:443\n"}},
		{Name: "Log", Node: data.Log{Label: "Example log", Lines: []data.Line{line(9*time.Second, "info", "polling 12 repositories"), line(7*time.Second, "debug", "etag unchanged for northwind/payments"),
			line(4*time.Second, "warn", "rate limit at 12 %, next poll in 10 minutes"), line(time.Second, "error", "northwind/ledger: 404, is the slug right?")}}},
		{Name: "Empty log", Node: data.Log{Label: "Example log", Empty: ui.Empty{Title: "No lines yet", Text: "Lines appear while the plugin works."}}},
	}}
}

func relations() Specimen {
	items := []data.Related{
		{Word: "owned by", Name: "team-ledger", Kind: "Group", Href: "#relations"}, {Word: "part of", Name: "checkout", Kind: "System", Href: "#relations"},
		{Word: "depends on", Name: "ledger-core", Kind: "Component", Href: "#relations"}, {Word: "depends on", Name: "payments-db", Kind: "Resource", Missing: true},
		{Word: "used by", Incoming: true, Name: "checkout-web", Kind: "Component", Href: "#relations"}, {Word: "used by", Incoming: true, Name: "invoice-pdf", Kind: "Component", Href: "#relations"}}
	many := items
	for i := range 7 {
		many = append(many, data.Related{Word: "used by", Incoming: true, Name: "storefront-" + string(rune('a'+i)), Kind: "Component", Href: "#relations"})
	}
	return Specimen{ID: "relations", Title: "Relations", About: "A small graph with the whole list beside it; a narrow screen shows the list.", Wide: true, States: []State{
		{Name: "Graph and list", Node: data.Relations{Name: "payments-api", Kind: "Component", Items: items}},
		{Name: "More than the graph holds", Node: data.Relations{Name: "payments-api", Kind: "Component", Items: many}},
		{Name: "None", Node: data.Relations{Empty: ui.Empty{Title: "No relations", Text: "Say in the descriptor what this depends on.", Code: "spec:\n  dependsOn:\n    - component:default/ledger-core"}}},
	}}
}

func prose() Specimen {
	return Specimen{ID: "markdown", Title: "Markdown", About: "Written by strangers: cut down to prose, images become links, headings begin below the page's.", States: []State{
		{Name: "Prose", Node: text.Markdown("# Payments\n\nTakes **card** and *bank* payments. See the [runbook](https://example.org/runbook) before you `kubectl delete` anything.\n\n- refunds\n- payouts\n\n1. Stop the worker\n2. Drain the queue\n\n> Never both at once.\n\n```sh\nmake drain\n```\n")},
		{Name: "Table", Node: text.Markdown("| Code | Means |\n|---|---|\n| 402 | declined |\n| 409 | same key, other amount |\n")},
		{Name: "Hostile", Node: text.Markdown("<script>alert(1)</script>\n\nA [click](javascript:alert(1)), <b onclick=alert(1)>bold</b> and ![a tracker](https://evil.example/p.png)")},
	}}
}
