package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

// auditPage shows who changed what, the newest first.
func (s *site) auditPage(v *visit) error {
	page, err := v.Trail.List(v.ctx(), v.caller, v.r.URL.Query().Get("cursor"), pageSize)
	if err != nil {
		return err
	}
	t := data.Table{Caption: "Audit record", Empty: ui.Empty{Page: true, Icon: "history", Title: "Nothing was changed yet"},
		Columns: []data.Column{{Title: "When"}, {Title: "Who", Telling: true}, {Title: "What", Telling: true}, {Title: "Details"}, {Title: "Number", Numeric: true}}}
	for _, r := range page.Items {
		who := r.Name
		if r.Kind != host.KindUser {
			who += " (" + string(r.Kind) + ")"
		}
		t.Rows = append(t.Rows, data.Row{h.Div(ui.Exact(r.At)), h.Span(h.Class("break"), g.Text(who)), h.Div(h.Code(g.Text(string(r.Action))), h.Span(h.Class("sub"), g.Text(r.Resource))),
			h.Span(h.Class("small soft break"), g.Text(detailInWords(r.Detail))), g.Text(ui.Count(int(r.Seq)))})
	}
	next := ""
	if page.Next != "" {
		next = "/settings/audit?" + url.Values{"cursor": {page.Next}}.Encode()
	}
	return v.show(http.StatusOK, "/settings/audit", "Audit record", ui.Breadcrumb{{Label: "Audit record"}},
		frame.Head{Title: "Audit record", Lead: g.Group{g.Text("Each entry is sealed together with the one before it. An operator checks the chain with "), h.Code(g.Text("callboard audit verify")), g.Text(".")}},
		ui.Card{Flush: true, Body: ui.Nodes{t, ui.If(next != "" || v.r.URL.Query().Get("cursor") != "", func() g.Node {
			return h.Nav(h.Class("pager"), g.Attr("aria-label", "Pages"), ui.Buttons(
				ui.If(v.r.URL.Query().Get("cursor") != "", func() g.Node {
					return ui.Button{Label: "Newest", Icon: "chevron-left", Small: true, Href: "/settings/audit"}
				}),
				ui.If(next != "", func() g.Node {
					return ui.Button{Label: "Older", Icon: "chevron-right", Small: true, Href: next}
				})))
		})}})
}

func detailInWords(detail map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(detail)) {
		parts = append(parts, key+" "+detail[key])
	}
	return strings.Join(parts, ", ")
}
