package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
	"github.com/callboard-dev/callboard/host/web/ui/viewtree"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

// paramPrefix begins the names of a view's own parameters in an address.
const paramPrefix = "p."

// viewLater is a card whose content the script loads, so that a slow plugin
// never holds up the page. Without the script a link leads to the view alone.
func (v *visit) viewLater(x extension.View, e catalog.Entity, span string) g.Node {
	part := partURL(x, e.Ref.String(), nil)
	return ui.Card{Span: span, Attrs: []g.Node{g.Attr("data-lazy"), g.Attr("aria-busy", "true"), g.Attr("aria-label", x.Title), g.Attr("hx-get", part), g.Attr("hx-trigger", "load, again"), g.Attr("hx-swap", "innerHTML")},
		Title: x.Title, Origin: h.Span(h.Class("origin"), g.Text(x.PluginTitle)), Flush: true, Body: h.Div(h.Class("card-body"),
			ui.Skeleton{Label: "Loading " + x.Title}, g.El("noscript", h.A(h.Href(part), g.Text("Show "+x.Title))))}
}

// partURL is the address of a view alone; entity is a ref or empty.
func partURL(x extension.View, entity string, params map[string]string) string {
	q := url.Values{}
	if entity != "" {
		q.Set("entity", entity)
	}
	for name, value := range params {
		q.Set(paramPrefix+name, value)
	}
	out := "/-/views/" + url.PathEscape(x.Short) + "/" + url.PathEscape(x.ID)
	if len(q) > 0 {
		out += "?" + q.Encode()
	}
	return out
}

// viewNow is a view rendered with the page, for a tab or a page of its own.
// The script loads its choices in place.
func (v *visit) viewNow(x extension.View, e catalog.Entity) g.Node {
	return ui.Card{Attrs: []g.Node{g.Attr("data-lazy")}, Flush: true, Body: v.viewBody(x, e, v.here())}
}

// viewPart answers a card's request for its content; without the script it is
// a page.
func (s *site) viewPart(v *visit) error {
	x, e, err := v.viewOf(v.r.PathValue("plugin"), v.r.PathValue("view"), v.r.URL.Query().Get("entity"))
	if err != nil {
		return err
	}
	if v.partial() {
		return v.write(http.StatusOK, v.viewBody(x, e, local(pathOf(v.r.Header.Get("HX-Current-URL")), "/")))
	}
	crumbs := ui.Breadcrumb{{Label: x.Title}}
	if !e.Ref.IsZero() {
		crumbs = ui.Breadcrumb{{Label: "Catalog", Href: "/catalog"}, {Label: nameOf(e), Href: entityURL(e.Ref)}, {Label: x.Title}}
	}
	return v.show(http.StatusOK, "/catalog", x.Title, crumbs, frame.Head{Title: x.Title, Lead: g.Text(x.PluginTitle)}, v.viewNow(x, e))
}

// pathOf is the path and query of an address.
func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.RequestURI()
}

// viewOf finds a view that the reader may see, with its entity.
func (v *visit) viewOf(short, id, entity string) (extension.View, catalog.Entity, error) {
	var e catalog.Entity
	slots := []string{viewv1.SlotPage, viewv1.SlotSettings}
	if entity != "" {
		ref, err := catalog.ParseRef(entity, catalog.Ref{})
		if err != nil {
			return extension.View{}, e, err
		}
		if e, err = v.Entities.Get(v.ctx(), v.caller, ref); err != nil {
			return extension.View{}, e, err
		}
		slots = []string{viewv1.SlotEntityCard, viewv1.SlotEntityTab}
	}
	for _, slot := range slots {
		list, err := v.Views.List(v.ctx(), v.caller, slot, e.Doc)
		if err != nil {
			return extension.View{}, e, err
		}
		if i := slices.IndexFunc(list, func(x extension.View) bool { return x.Short == short && x.ID == id }); i >= 0 {
			return list[i], e, nil
		}
	}
	return extension.View{}, e, notFound("There is no view %q of the plugin %q here.", id, short)
}

// viewBody is a view's head and content; where the plugin fails, what failed.
func (v *visit) viewBody(x extension.View, e catalog.Entity, here string) g.Node {
	var doc json.RawMessage
	entity := ""
	if !e.Ref.IsZero() {
		doc, entity = e.Doc, e.Ref.String()
	}
	head := func(origin g.Node) g.Node {
		return h.Header(h.Class("card-head"), h.H2(g.Text(x.Title)), origin)
	}
	tree, err := v.Views.Render(v.ctx(), v.caller, x.Short, x.ID, doc, v.params())
	if err != nil {
		return g.Group{head(ui.Origin{Label: x.PluginTitle}), v.viewFailed(x, entity, host.AsError(err))}
	}
	page, rest := split(here)
	settings := viewtree.Settings{ID: "view-" + x.Short + "-" + x.ID, Title: x.Title, Now: v.now(), ActionURL: "/-/actions/" + url.PathEscape(x.Short),
		CSRF: v.csrf(), Here: here, PageURL: page, PageQuery: rest, PartURL: partURL(x, entity, nil)}
	return g.Group{head(viewtree.Origin(tree, x.PluginTitle, v.now())), h.Div(h.Class("card-body"), viewtree.Tree{Tree: tree, Settings: settings})}
}

// split is an address as its path and what its query holds beside a view's
// own choices, such as the tab.
func split(address string) (path string, rest url.Values) {
	u, err := url.Parse(address)
	if err != nil {
		return "/", nil
	}
	rest = u.Query()
	for name := range rest {
		if strings.HasPrefix(name, paramPrefix) {
			delete(rest, name)
		}
	}
	return u.Path, rest
}

// viewFailed says what a plugin's failure means to the reader.
func (v *visit) viewFailed(x extension.View, entity string, e *host.Error) g.Node {
	out := v.failed(e)
	if e.Code == host.CodePluginNotReady && v.may(host.ActionPluginManage) {
		out.Actions = append(out.Actions, ui.Button{Label: "Configure " + x.PluginTitle, Small: true, Href: pluginURL(x.Short) + "?tab=configuration"})
	}
	out.Actions = append(out.Actions, ui.Button{Label: "Try again", Icon: "refresh", Small: true, Type: "button",
		Attrs: []g.Node{g.Attr("hx-get", partURL(x, entity, v.params())), g.Attr("hx-target", "closest [data-lazy]"), g.Attr("hx-swap", "innerHTML")}})
	return out
}

// params are the view's own parameters of the request.
func (v *visit) params() map[string]string {
	out := map[string]string{}
	for name, values := range v.r.URL.Query() {
		if key, ok := strings.CutPrefix(name, paramPrefix); ok && len(values) > 0 && len(out) < 20 {
			out[key] = values[0]
		}
	}
	return out
}

// viewPage is a plugin's page of its own.
func (s *site) viewPage(v *visit) error {
	x, _, err := v.viewOf(v.r.PathValue("plugin"), v.r.PathValue("view"), "")
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, v.r.URL.Path, x.Title, ui.Breadcrumb{{Label: x.Title}},
		frame.Head{Title: x.Title, Lead: g.Text("By the plugin " + x.PluginTitle + ".")}, v.viewNow(x, catalog.Entity{}))
}
