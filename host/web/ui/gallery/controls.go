package gallery

import (
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

func controls(now time.Time) []Specimen {
	return []Specimen{buttons(), chips(), {ID: "time", Title: "Time", About: "Relative, with the exact time on hover in the reader's zone.", States: []State{
		{Name: "Just now", Node: ui.Ago(now, now)},
		{Name: "Some minutes ago", Node: ui.Ago(now.Add(-12*time.Minute), now)},
		{Name: "Days ago", Node: ui.Ago(now.Add(-6*24*time.Hour), now)},
		{Name: "To come", Node: ui.Ago(now.Add(3*time.Hour), now)},
		{Name: "Long ago", Node: ui.Ago(now.Add(-300*24*time.Hour), now)},
		{Name: "Never", Node: ui.Ago(time.Time{}, now)},
	}}, heads(), navigation(), facetsAndPager()}
}

func buttons() Specimen {
	return Specimen{ID: "button", Title: "Button", About: "A verb. One primary action per view; what destroys is red and asks first.", States: []State{
		{Name: "Kinds", Node: row(ui.Button{Label: "Install", Kind: ui.Primary, Type: "button"}, ui.Button{Label: "View source", Type: "button"},
			ui.Button{Label: "Cancel", Kind: ui.Quiet, Type: "button"}, ui.Button{Label: "Uninstall", Kind: ui.Danger, Type: "button"},
			ui.Button{Label: "Uninstall now", Kind: ui.DangerSolid, Type: "button"})},
		{Name: "With icon, icon alone", Node: row(ui.Button{Label: "Refresh", Icon: "refresh", Type: "button"}, ui.Button{Label: "Refresh", Icon: "refresh", IconOnly: true, Type: "button"},
			ui.Button{Label: "More", Icon: "more", IconOnly: true, Kind: ui.Quiet, Type: "button"})},
		{Name: "Small", Node: row(ui.Button{Label: "Fix", Small: true, Type: "button"}, ui.Button{Label: "Re-run", Icon: "play", Small: true, Type: "button"})},
		{Name: "Link", Node: row(ui.Button{Label: "Open the catalog", Icon: "arrow-right", Href: "#button"})},
		{Name: "Busy and disabled", Node: row(ui.Button{Label: "Installing", Busy: true}, ui.Button{Label: "Install", Kind: ui.Primary, Disabled: true}, ui.Button{Label: "Keep 2.2.1", Disabled: true})},
	}}
}

func chips() Specimen {
	tones := []ui.Tone{ui.Neutral, ui.Good, ui.Warn, ui.Bad, ui.Info, ui.Accent}
	words := map[ui.Tone]string{ui.Neutral: "not checked", ui.Good: "production", ui.Warn: "experimental", ui.Bad: "deprecated", ui.Info: "compiling", ui.Accent: "demo"}
	return Specimen{ID: "chip", Title: "Chip and state", About: "A short fact. Each tone has a shape of its own, so colour never stands alone.", States: []State{
		{Name: "Plain", Node: ui.Chips(ui.Chip{Text: "Component"}, ui.Chip{Label: "owner", Text: "Team Ledger"}, ui.Chip{Text: "go", Icon: "tag"}, ui.Chip{Text: "checkout", Href: "#chip"})},
		{Name: "Tones", Node: h.Div(h.Class("chips"), ui.Map(tones, func(t ui.Tone) g.Node { return ui.Chip{Text: words[t], Tone: t} }))},
		{Name: "Removable filter", Node: ui.Chips(ui.Chip{Text: "my teams", Href: "#chip", Remove: true}, ui.Chip{Text: "Component", Href: "#chip", Remove: true})},
		{Name: "State in running text", Node: h.Div(h.Class("stack stack-tight"), ui.Map(tones[:5], func(t ui.Tone) g.Node { return h.Div(ui.State(t, words[t])) }))},
		{Name: "Too long", Node: ui.Chips(ui.Chip{Text: "a-name-that-somebody-made-far-too-long-to-fit-on-any-line-of-a-card-in-a-narrow-column", Tone: ui.Warn})},
	}}
}

func heads() Specimen {
	return Specimen{ID: "card", Title: "Card", About: "One subject. The head says where the content comes from and how old it is.", States: []State{
		{Name: "With origin", Flush: true, Node: ui.Card{Title: "Deployed", Level: 3, Origin: ui.Origin{Label: "Argo CD"}, Body: h.P(g.Text("Two environments follow main."))}},
		{Name: "With chip and actions", Flush: true, Node: ui.Card{Title: "Pipelines", Level: 3, Chips: []g.Node{ui.Chip{Text: "96 % passed", Tone: ui.Good}}, Actions: []g.Node{ui.Button{Label: "Run", Small: true, Type: "button"}}, Body: h.P(g.Text("The last thirty days."))}},
		{Name: "Stale", Flush: true, Node: ui.Card{Title: "Errors", Level: 3, Origin: ui.Origin{Label: "Sentry", Late: true, Why: "slow, 6 min old"}, Body: h.P(g.Text("What is shown is the last good answer."))}},
		{Name: "Loading", Flush: true, Node: ui.Card{Title: "Latency, p99", Level: 3, Body: ui.Skeleton{Label: "Loading latency"}}},
		{Name: "With emblem", Node: row(frame.Emblem("component"), frame.Letter("Argo CD", "callboard/argo-cd"), frame.Letter("Prometheus", "callboard/prometheus"), frame.Avatar("mara.ruiz@northwind.dev"))},
	}}
}

func navigation() Specimen {
	return Specimen{ID: "nav", Title: "Tabs, path and tree", About: "Where one is, and what lies beside it. Tabs are links and scroll on a narrow screen.", States: []State{
		{Name: "Tabs", Node: ui.Tabs{Label: "Example tabs", Items: []ui.Tab{{Label: "Overview", Href: "#nav", Current: true}, {Label: "CI/CD", Href: "#nav"}, {Label: "Errors", Href: "#nav", Count: 3}, {Label: "Dependencies", Href: "#nav"}, {Label: "History", Href: "#nav"}}}},
		{Name: "Path", Node: ui.Breadcrumb{{Label: "Catalog", Href: "#nav"}, {Label: "payments-api"}}},
		{Name: "Tree", Node: data.Tree{Label: "Files of the example", Roots: []data.Branch{{Label: "payments", Open: true, Children: []data.Branch{
			{Label: "catalog-info.yaml", Note: "3 entities", Href: "#nav"}, {Label: "services", Children: []data.Branch{{Label: "ledger.yaml", Note: "1 entity"}}}}}}}},
	}}
}

func facetsAndPager() Specimen {
	options := []data.FacetOption{{Label: "Component", Count: 742, Href: "#facets", On: true}, {Label: "API", Count: 212, Href: "#facets"}, {Label: "Resource", Count: 1188, Href: "#facets"}}
	long := make([]data.FacetOption, 12)
	for i := range long {
		long[i] = data.FacetOption{Label: "tag-" + string(rune('a'+i)), Count: 40 - i, Href: "#facets"}
	}
	return Specimen{ID: "facets", Title: "Facets and pager", About: "Filters with counts; each is a link, so the state is in the address.", States: []State{
		{Name: "Facets", Node: data.Facets{Open: true, Groups: []data.Facet{{Title: "Kind", Options: options}}}},
		{Name: "Many values", Node: data.Facets{Open: true, Groups: []data.Facet{{Title: "Tag", Options: long}}}},
		{Name: "Pager with more", Flush: true, Node: ui.Pager{Shown: 50, Total: 1284, First: "#facets", Next: "#facets"}},
		{Name: "Pager on the only page", Flush: true, Node: ui.Pager{Shown: 9, Total: 9}},
	}}
}
