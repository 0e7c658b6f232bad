package gallery

import (
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

func notices(now time.Time) []Specimen {
	return []Specimen{banners(), {ID: "progress", Title: "Progress and skeleton", About: "Known or unknown; a skeleton holds the place of what is on its way.", States: []State{
		{Name: "Known", Node: ui.Progress{Label: "Reading locations", Done: 37, Of: 96}},
		{Name: "Unknown", Node: ui.Progress{Label: "Compiling prometheus 0.1.0", Detail: "about 3 s"}},
		{Name: "Skeleton", Node: ui.Skeleton{Label: "Loading"}},
		{Name: "Skeleton of a chart", Node: ui.Skeleton{Label: "Loading a chart", Lines: 1, Block: true}},
	}}, {ID: "empty", Title: "Empty, error and stale", About: "The next step with the exact line to paste; what happened, where, and what to do.", States: []State{
		{Name: "Empty", Node: ui.Empty{Icon: "folder", Title: "No locations yet", Text: "Register the folder or repository in which your descriptors lie.", Code: "callboard catalog register https://github.com/northwind/payments", Actions: []g.Node{ui.Button{Label: "Register a location", Type: "button"}}}},
		{Name: "Empty page", Node: ui.Empty{Page: true, Title: "Nothing matches", Text: "No entity has all of these filters.", Actions: []g.Node{ui.Button{Label: "Clear filters", Type: "button"}}}},
		{Name: "Error", Node: ui.Failed{Title: "The document is not valid", Where: "catalog-info.yaml:14", Text: "spec.lifecycle must not be empty.", Hint: "Write for example lifecycle: production.", Actions: []g.Node{ui.Button{Label: "Read it again", Small: true, Type: "button"}}}},
		{Name: "Error with a trace", Node: ui.Failed{Title: "Something failed inside the portal", Text: "The page could not be made.", Hint: "Try again; if it stays, give your operator the trace.", Trace: "4bf92f3577b34da6a3ce929d0e0e4736"}},
		{Name: "Stale", Flush: true, Node: ui.Card{Title: "Builds", Level: 3, Origin: ui.Origin{Label: "GitHub Actions", At: now.Add(-22 * time.Minute), Now: now, Late: true, Why: "rate limited until 14:20"}, Body: h.P(g.Text("The last answer stays in sight."))}},
	}}}
}

func banners() Specimen {
	return Specimen{ID: "banner", Title: "Banner and toast", About: "A banner speaks of the whole page, a toast of what was just done. Errors stay until dismissed.", States: []State{
		{Name: "Information", Node: ui.Banner{Tone: ui.Info, Title: "Reading 96 locations", Text: "New entities appear as they are found."}},
		{Name: "Well", Node: ui.Banner{Tone: ui.Good, Text: "All locations were read within the last 5 minutes."}},
		{Name: "Look", Node: ui.Banner{Tone: ui.Warn, Title: "This version asks for more", Text: "2.2.1 keeps serving until you decide.", Actions: []g.Node{ui.Button{Label: "Compare", Small: true, Type: "button"}}}},
		{Name: "Act", Node: ui.Banner{Tone: ui.Bad, Title: "The newest descriptor could not be read", Body: g.Group{h.Div(h.Class("where"), g.Text("catalog-info.yaml:14")), h.Div(g.Text("What is shown is the version of yesterday."))}}},
		{Name: "Toasts", Node: h.Div(h.Class("toasts toasts-static"), ui.Toast{Tone: ui.Good, Text: "prometheus 0.1.0 is enabled."}, ui.Toast{Tone: ui.Bad, Text: "The re-run was refused: you need the role member."})},
	}}
}

func overlays(now time.Time) []Specimen {
	keep := ui.Dialog{ID: "gallery-dialog", Title: "Uninstall github-actions?", Keep: "Keep it", Act: ui.Button{Label: "Uninstall", Kind: ui.DangerSolid, Type: "button"},
		Body: h.P(g.Text("Its cards and operations disappear at once, and what it stored is deleted. Its configuration cannot be restored."))}
	shown := keep
	shown.ID, shown.Shown = "gallery-dialog-shown", true
	return []Specimen{{ID: "dialog", Title: "Dialog and menu", About: "Asks before something that cannot be undone; both buttons say what they do.", States: []State{
		{Name: "Opened by a button", Node: g.Group{ui.Button{Label: "Uninstall", Kind: ui.Danger, Opens: keep.ID}, keep}},
		{Name: "As it looks", Flush: true, Node: shown},
		{Name: "Menu", Node: ui.Menu{Label: "More actions", Left: true, Summary: g.Group{g.Text("More"), ui.Icon("chevron-down")}, Items: []g.Node{
			h.A(h.Href("#dialog"), ui.Icon("download"), g.Text("Export")), h.Button(h.Type("button"), h.Class("danger"), ui.Icon("trash"), g.Text("Uninstall"))}}},
		{Name: "Changed since", Node: h.P(h.Class("quiet"), g.Text("Last change "), ui.Ago(now.Add(-time.Hour), now))},
	}}}
}
