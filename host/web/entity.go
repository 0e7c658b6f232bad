package web

import (
	"cmp"
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
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

// entityPage shows one entity: head, what is wrong with it, and one tab.
func (s *site) entityPage(v *visit) error {
	e, err := v.entity()
	if err != nil {
		return err
	}
	tabs, err := v.Views.List(v.ctx(), v.caller, viewv1.SlotEntityTab, e.Doc)
	if err != nil {
		v.Log.WarnContext(v.ctx(), "the tabs of plugins cannot be listed", "error", err)
	}
	current := cmp.Or(v.r.URL.Query().Get("tab"), "overview")
	body := []g.Node{v.entityHead(e), v.entityBanners(e), entityTabs(e, tabs, current)}
	content, err := v.entityTab(e, tabs, current)
	if err != nil {
		return err
	}
	crumbs := ui.Breadcrumb{{Label: "Catalog", Href: "/catalog"}, {Label: e.Kind, Href: listURL(url1("kind", []string{e.Kind}))}, {Label: nameOf(e)}}
	return v.show(http.StatusOK, "/catalog", nameOf(e), crumbs, append(body, content)...)
}

// entity reads the entity that the address names.
func (v *visit) entity() (catalog.Entity, error) {
	return v.Entities.Get(v.ctx(), v.caller, catalog.Ref{Kind: v.r.PathValue("kind"), Namespace: v.r.PathValue("namespace"), Name: v.r.PathValue("name")})
}

func (v *visit) entityHead(e catalog.Entity) g.Node {
	kind := e.Kind
	if e.Type != "" {
		kind += " · " + e.Type
	}
	chips := []g.Node{ui.Chip{Text: kind, Href: listURL(kindQuery(e))}}
	if e.Lifecycle != "" {
		chips = append(chips, lifecycleChip(e))
	}
	if e.Owner != "" {
		if ref, err := catalog.ParseRef(e.Owner, catalog.Ref{Kind: "group", Namespace: "default"}); err == nil {
			chips = append(chips, ui.Chip{Label: "owner", Text: refLabel(ref), Href: entityURL(ref)})
		}
	}
	for _, r := range e.Relations {
		if r.Type == "partOf" {
			chips = append(chips, ui.Chip{Label: strings.ToLower(r.Target.Kind), Text: refLabel(r.Target), Href: entityURL(r.Target)})
		}
	}
	for _, tag := range e.Tags {
		chips = append(chips, ui.Chip{Text: tag, Href: listURL(url1("tag", []string{tag}))})
	}
	head := frame.Head{Title: nameOf(e), Emblem: frame.Emblem(iconOf(e.Kind)), Chips: chips, Actions: v.entityActions(e)}
	if e.Description != "" {
		head.Lead = g.Text(e.Description)
	}
	return head
}

func kindQuery(e catalog.Entity) url.Values {
	q := url.Values{"kind": {e.Kind}}
	if e.Type != "" {
		q.Set("type", e.Type)
	}
	return q
}

func (v *visit) entityActions(e catalog.Entity) []g.Node {
	var out []g.Node
	if source := sourceURL(e); source != "" {
		out = append(out, ui.Button{Label: "View source", Icon: "external", Href: source, Attrs: []g.Node{h.Rel("noopener noreferrer")}})
	}
	if v.may(host.ActionCatalogRefresh) {
		out = append(out, h.Form(v.post(entityURL(e.Ref)+"/refresh"), ui.Button{Label: "Refresh", Icon: "refresh"}))
	}
	return out
}

// sourceURL is where a person can see the entity's descriptor.
func sourceURL(e catalog.Entity) string {
	for _, key := range []string{"backstage.io/view-url", "backstage.io/source-location", "backstage.io/managed-by-location"} {
		target := strings.TrimPrefix(e.Annotations[key], "url:")
		if strings.HasPrefix(target, "http") && ui.SafeURL(target) {
			return target
		}
	}
	return ""
}

// entityBanners say what is wrong with the entity.
func (v *visit) entityBanners(e catalog.Entity) g.Node {
	out := g.Group{}
	if e.Orphan {
		banner := ui.Banner{Tone: ui.Warn, Title: "No location provides this entity any more", Text: "It stays until somebody removes it. Register its location again to keep it."}
		if v.may(host.ActionLocationWrite) {
			banner.Actions = []g.Node{ui.Button{Label: "Remove", Kind: ui.Danger, Small: true, Opens: "remove-entity"}}
			out = append(out, ui.Dialog{ID: "remove-entity", Title: "Remove " + nameOf(e) + "?", Keep: "Keep it", Act: ui.Button{Label: "Remove", Kind: ui.DangerSolid},
				Body: h.P(g.Text("Relations of others to it will point to nothing. It comes back when a location provides it again.")),
				Form: []g.Node{v.post(entityURL(e.Ref) + "/remove")}})
		}
		out = append(out, banner)
	}
	if len(e.Errors) == 0 {
		return out
	}
	items := g.Group{}
	for _, p := range e.Errors {
		items = append(items, h.Li(h.Span(h.Class("where"), g.Text(p.Where)), g.Text(" "+p.Message+" "), h.Span(h.Class("soft"), g.Text(p.Hint))))
	}
	return append(out, ui.Banner{Tone: ui.Bad, Title: "The newest descriptor could not be used",
		Body: g.Group{h.Ul(items), h.Div(h.Class("small"), g.Text("What you see is the last good version, read "), ui.Ago(e.UpdatedAt, v.now()), g.Text("."))}})
}

func entityTabs(e catalog.Entity, views []extension.View, current string) g.Node {
	base := entityURL(e.Ref)
	tab := func(label, id string, count int) ui.Tab {
		href := base
		if id != "overview" {
			href += "?tab=" + url.QueryEscape(id)
		}
		return ui.Tab{Label: label, Href: href, Current: id == current, Count: count}
	}
	tabs := ui.Tabs{Label: "About " + nameOf(e), Items: []ui.Tab{tab("Overview", "overview", 0)}}
	for _, x := range views {
		tabs.Items = append(tabs.Items, tab(x.Title, tabID(x), 0))
	}
	tabs.Items = append(tabs.Items, tab("Relations", "relations", len(e.Relations)), tab("Descriptor", "descriptor", 0))
	return tabs
}

// tabID names a plugin's tab in the address.
func tabID(x extension.View) string { return x.Short + "/" + x.ID }

func (v *visit) entityTab(e catalog.Entity, views []extension.View, current string) (g.Node, error) {
	switch current {
	case "overview":
		return v.overview(e), nil
	case "relations":
		return ui.Card{Title: "Relations", Body: relationsOf(e, false)}, nil
	case "descriptor":
		return v.descriptor(e), nil
	}
	i := slices.IndexFunc(views, func(x extension.View) bool { return tabID(x) == current })
	if i < 0 {
		return nil, notFound("%s has no tab %q.", nameOf(e), current).(*host.Error).WithHint("A plugin that showed it may have been disabled.")
	}
	return v.viewNow(views[i], e), nil
}

// overview is what everybody wants to know, and the cards of plugins.
func (v *visit) overview(e catalog.Entity) g.Node {
	out := g.Group{h.Class("grid"), v.aboutCard(e),
		ui.Card{Title: "Relations", Span: "span-8", Body: relationsOf(e, false)}}
	cards, err := v.Views.List(v.ctx(), v.caller, viewv1.SlotEntityCard, e.Doc)
	if err != nil {
		out = append(out, ui.Card{Title: "Plugins", Span: "span-12", Body: v.failed(host.AsError(err))})
	}
	for i, x := range cards {
		span := "span-6"
		if len(cards)%2 == 1 && i == 0 {
			span = "span-12"
		}
		out = append(out, v.viewLater(x, e, span))
	}
	if links := linksCard(e); links != nil {
		out = append(out, links)
	}
	return h.Div(out)
}

func (v *visit) aboutCard(e catalog.Entity) g.Node {
	facts := data.Facts{{Key: "Owner", Value: ownerLink(e.Owner)}}
	add := func(key string, value g.Node) { facts = append(facts, data.Fact{Key: key, Value: value}) }
	if e.Lifecycle != "" {
		add("Lifecycle", g.Text(e.Lifecycle))
	}
	if e.Type != "" {
		add("Type", g.Text(e.Type))
	}
	if ns := e.Ref.Namespace; ns != "" && ns != "default" {
		add("Namespace", g.Text(ns))
	}
	add("Reference", h.Code(g.Text(e.Ref.String())))
	if at := e.Annotations["backstage.io/managed-by-location"]; at != "" {
		target := strings.TrimPrefix(at, "url:")
		if source := sourceURL(e); source != "" {
			add("Defined in", ui.External(source, shortTarget(target)))
		} else {
			add("Defined in", h.Code(g.Text(shortTarget(target))))
		}
	}
	return ui.Card{Title: "About", Span: "span-4", Origin: h.Span(h.Class("origin"), g.Text("Catalog,"), ui.Ago(e.UpdatedAt, v.now())), Body: facts}
}

// shortTarget is the end of a long target, which tells files apart.
func shortTarget(target string) string {
	parts := strings.Split(target, "/")
	if len(parts) <= 3 {
		return target
	}
	return "…/" + strings.Join(parts[len(parts)-2:], "/")
}

// linksCard shows metadata.links, which the catalog keeps in the document.
func linksCard(e catalog.Entity) g.Node {
	links := linksOf(e)
	if len(links) == 0 {
		return nil
	}
	var items []data.Item
	for _, l := range links {
		items = append(items, data.Item{Title: cmp.Or(l.Title, l.URL), Href: l.URL, External: true, Icon: "external", Detail: l.Type})
	}
	return ui.Card{Title: "Links", Span: "span-4", Flush: true, Body: data.List{Items: items}}
}

// relationsOf lists an entity's relations, those that lead out first.
func relationsOf(e catalog.Entity, listOnly bool) g.Node {
	out := data.Relations{Name: nameOf(e), Kind: e.Kind, ListOnly: listOnly, Empty: ui.Empty{Title: "No relations",
		Text: "Say in the descriptor what this depends on.", Code: "spec:\n  dependsOn:\n    - component:default/other"}}
	for _, r := range e.Relations {
		word, incoming := relationWord(r.Type)
		out.Items = append(out.Items, data.Related{Word: word, Incoming: incoming, Name: refLabel(r.Target), Kind: kindWord(r.Target.Kind), Href: entityURL(r.Target)})
	}
	slices.SortStableFunc(out.Items, func(a, b data.Related) int {
		return cmp.Or(cmp.Compare(boolInt(a.Incoming), boolInt(b.Incoming)), strings.Compare(a.Word, b.Word), strings.Compare(a.Name, b.Name))
	})
	return out
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// refreshEntity reads the entity's location now.
func (s *site) refreshEntity(v *visit) error {
	e, err := v.entity()
	if err != nil {
		return err
	}
	report, err := v.Entities.Refresh(v.ctx(), v.caller, e.Ref.String())
	if err != nil {
		return v.redirect(entityURL(e.Ref), bad(host.AsError(err).Error()))
	}
	return v.redirect(entityURL(e.Ref), outcome(report))
}

// outcome says in a notice what reading a location did.
func outcome(r catalog.Report) ui.Toast {
	if len(r.Problems) > 0 {
		return bad("Read with " + ui.Plural(len(r.Problems), "problem", "problems") + ": " + r.Problems[0].Message)
	}
	return good("Read: " + ui.Count(len(r.Added)) + " added, " + ui.Count(len(r.Changed)) + " changed, " + ui.Count(len(r.Removed)) + " removed.")
}

// removeEntity removes an orphan.
func (s *site) removeEntity(v *visit) error {
	e, err := v.entity()
	if err != nil {
		return err
	}
	if err := v.Locations.Delete(v.ctx(), v.caller, e.Ref); err != nil {
		return v.redirect(entityURL(e.Ref), bad(host.AsError(err).Error()))
	}
	return v.redirect("/catalog", good(nameOf(e)+" is removed."))
}
