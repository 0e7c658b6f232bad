package web

import (
	"net/http"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

// locationList shows the places that entities come from and how they are.
func (s *site) locationList(v *visit) error {
	list, err := v.Locations.Locations(v.ctx(), v.caller)
	if err != nil {
		return err
	}
	write, refresh := v.may(host.ActionLocationWrite), v.may(host.ActionCatalogRefresh)
	dialogs := g.Group{}
	t := data.Table{Caption: "Locations", Empty: ui.Empty{Page: true, Icon: "folder", Title: "No locations yet", Text: "Register the folder or repository in which your descriptors lie.",
		Code: "callboard catalog register https://github.com/owner/repository", Actions: v.registerButton(ui.Primary)},
		Columns: []data.Column{{Title: "Location", Telling: true}, {Title: "State", Telling: true}, {Title: "Entities", Numeric: true}, {Title: "Read", Numeric: true}, {Title: "Next", Numeric: true}, {Title: "Actions", HideTitle: true}}}
	for _, l := range list {
		t.Rows = append(t.Rows, data.Row{locationName(l), locationState(l), g.Text(ui.Count(l.Entities)), ui.Ago(l.RefreshedAt, v.now()), ui.Ago(l.NextAt, v.now()), v.locationActions(l, write, refresh)})
		if write && !l.Managed {
			dialogs = append(dialogs, v.removeDialog(l))
		}
	}
	return v.show(http.StatusOK, "/catalog/locations", "Locations", ui.Breadcrumb{{Label: "Catalog", Href: "/catalog"}, {Label: "Locations"}},
		frame.Head{Title: "Locations", Lead: g.Text("Each is read again on its own schedule. What cannot be read keeps its last good version."), Actions: v.registerButton(ui.Primary)},
		ui.Card{Flush: true, Body: t}, dialogs)
}

func locationName(l catalog.Location) g.Node {
	below := l.Type
	if l.Managed {
		below += ", from the configuration file"
	}
	message := g.Node(nil)
	if l.Error != nil {
		message = h.Div(h.Class("small"), ui.If(l.Error.Where != "", func() g.Node { return h.Span(h.Class("where"), g.Text(l.Error.Where+" ")) }), g.Text(l.Error.Message+" "), h.Span(h.Class("quiet"), g.Text(l.Error.Hint)))
	}
	return h.Div(h.Class("message"), h.Div(h.Class("mono break"), g.Text(l.Target)), h.Span(h.Class("sub"), g.Text(below)), message)
}

func locationState(l catalog.Location) g.Node {
	switch l.Status {
	case catalog.StatusOK:
		return ui.Chip{Text: "Well", Tone: ui.Good}
	case catalog.StatusError:
		return ui.Chip{Text: "Failing", Tone: ui.Bad}
	}
	return ui.Chip{Text: "Not read yet", Tone: ui.Info}
}

func (v *visit) locationActions(l catalog.Location, write, refresh bool) g.Node {
	out := g.Group{}
	if refresh {
		out = append(out, h.Form(v.post("/catalog/locations/"+l.ID+"/refresh"), ui.Button{Label: "Read " + l.Target + " now", Icon: "refresh", IconOnly: true, Small: true}))
	}
	if write && !l.Managed {
		out = append(out, ui.Button{Label: "Remove " + l.Target, Icon: "trash", IconOnly: true, Small: true, Kind: ui.Danger, Opens: "remove-" + l.ID})
	}
	return h.Div(h.Class("row"), out)
}

func (v *visit) removeDialog(l catalog.Location) g.Node {
	return ui.Dialog{ID: "remove-" + l.ID, Title: "Remove this location?", Keep: "Keep it", Act: ui.Button{Label: "Remove with its entities", Kind: ui.DangerSolid},
		Body: g.Group{h.P(h.Class("mono break"), g.Text(l.Target)), h.P(g.Text(ui.Plural(l.Entities, "entity that it provides is", "entities that it provides are") + " removed from the catalog. The files stay as they are."))},
		Form: []g.Node{v.post("/catalog/locations/" + l.ID + "/remove")}}
}

// refreshLocation reads a location now.
func (s *site) refreshLocation(v *visit) error {
	report, err := v.Entities.Refresh(v.ctx(), v.caller, v.r.PathValue("id"))
	if err != nil {
		return v.redirect("/catalog/locations", bad(host.AsError(err).Error()))
	}
	return v.redirect("/catalog/locations", outcome(report))
}

// removeLocation removes a location with its entities.
func (s *site) removeLocation(v *visit) error {
	if err := v.Locations.Unregister(v.ctx(), v.caller, v.r.PathValue("id")); err != nil {
		return v.redirect("/catalog/locations", bad(host.AsError(err).Error()))
	}
	return v.redirect("/catalog/locations", good("The location is removed."))
}

// problemList shows everything that is wrong with the catalog's documents.
func (s *site) problemList(v *visit) error {
	problems, err := v.Entities.Problems(v.ctx(), v.caller)
	if err != nil {
		return err
	}
	body := problemTable(problems)
	if len(problems) == 0 {
		body = ui.Empty{Page: true, Icon: "check", Title: "Nothing needs a look", Text: "Every location was read and every document is valid."}
	}
	lead := "The last good version of each document stays in the catalog until its problem is solved."
	if len(problems) > problemsShown {
		lead = "The first " + ui.Count(problemsShown) + " of " + ui.Count(len(problems)) + ". " + lead
	}
	return v.show(http.StatusOK, "/catalog/locations", "Problems", ui.Breadcrumb{{Label: "Catalog", Href: "/catalog"}, {Label: "Problems"}},
		frame.Head{Title: "Problems", Lead: g.Text(lead)}, ui.Card{Flush: true, Body: body})
}
