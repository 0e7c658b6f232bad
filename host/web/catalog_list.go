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
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

// pageSize is how many entities a page of the list has.
const pageSize = 50

// listPart is the id of the part of the page that the script replaces.
const listPart = "catalog-list"

// catalogList shows the entities that the address selects. The script asks for
// the part that changes, everybody else for the page.
func (s *site) catalogList(v *visit) error {
	sel := selectionOf(v.r.URL.Query())
	list, err := v.Entities.List(v.ctx(), v.caller, sel.query())
	if err != nil {
		return err
	}
	facets, err := v.facets(sel)
	if err != nil {
		return err
	}
	part := h.Div(h.ID(listPart), h.Class("with-facets"), data.Facets{Groups: facets, Attrs: swap()}, v.listCard(sel, list))
	if v.partial() && v.r.Header.Get("HX-Target") == listPart {
		return v.write(http.StatusOK, part)
	}
	return v.show(http.StatusOK, "/catalog", "Catalog", ui.Breadcrumb{{Label: "Catalog"}},
		frame.Head{Title: "Catalog", Lead: v.catalogLead(), Actions: v.registerButton(ui.Primary)}, part)
}

// swap are the attributes by which the script replaces the list in place.
func swap() []g.Node {
	return []g.Node{g.Attr("hx-target", "#"+listPart), g.Attr("hx-swap", "outerHTML"), g.Attr("hx-push-url", "true"), g.Attr("hx-boost", "true")}
}

func (v *visit) catalogLead() g.Node {
	total, _ := v.tallies()
	out := g.Group{g.Text(ui.Plural(total, "entity", "entities"))}
	if locations, err := v.Locations.Locations(v.ctx(), v.caller); err == nil {
		out = append(out, g.Text(" from "), h.A(h.Href("/catalog/locations"), g.Text(ui.Plural(len(locations), "location", "locations"))))
	}
	out = append(out, g.Text("."))
	problems, err := v.Entities.Problems(v.ctx(), v.caller)
	if err == nil && len(problems) > 0 {
		out = append(out, g.Text(" "+ui.Plural(len(problems), "problem", "problems")+", "), h.A(h.Href("/catalog/problems"), g.Text("see what to fix")), g.Text("."))
	}
	return out
}

// facetKeys are the filters of the list: the name in the address, the title,
// and the path in the entity.
func facetKeys() []facetKey {
	return []facetKey{{"kind", "Kind", "kind"}, {"type", "Type", "spec.type"}, {"owner", "Owner", "relations.ownedBy"},
		{"lifecycle", "Lifecycle", "spec.lifecycle"}, {"tag", "Tag", "metadata.tags"}}
}

type facetKey struct{ name, title, path string }

// selection is what the address of a list selects.
type selection struct {
	values url.Values // of the facets
	text   string
	sort   string
	cursor string
}

func selectionOf(q url.Values) selection {
	out := selection{values: url.Values{}, text: strings.TrimSpace(q.Get("q")), sort: q.Get("sort"), cursor: q.Get("cursor")}
	for _, key := range facetKeys() {
		for _, value := range q[key.name] {
			if value != "" && len(out.values[key.name]) < 20 {
				out.values.Add(key.name, value)
			}
		}
	}
	return out
}

// query is the selection as the catalog reads it; without leaves one facet out.
func (s selection) query(without ...string) catalog.Query {
	q := catalog.Query{Filter: map[string][]string{}, Text: s.text, Cursor: s.cursor, Limit: pageSize, Sort: s.sort}
	for _, key := range facetKeys() {
		if values := s.values[key.name]; len(values) > 0 && !slices.Contains(without, key.name) {
			q.Filter[key.path] = values
		}
	}
	return q
}

// address is the list's address with the selection.
func (s selection) address() string {
	q := url.Values{}
	for name, values := range s.values {
		q[name] = values
	}
	for name, value := range map[string]string{"q": s.text, "sort": s.sort, "cursor": s.cursor} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return listURL(q)
}

func listURL(q url.Values) string {
	if len(q) == 0 {
		return "/catalog"
	}
	return "/catalog?" + q.Encode()
}

func url1(name string, values []string) url.Values { return url.Values{name: values} }

// toggled is the selection with one value of a facet switched, on the first page.
func (s selection) toggled(name, value string) selection {
	out := selection{values: url.Values{}, text: s.text, sort: s.sort}
	for k, list := range s.values {
		out.values[k] = slices.Clone(list)
	}
	if i := slices.Index(out.values[name], value); i >= 0 {
		out.values[name] = slices.Delete(out.values[name], i, i+1)
	} else {
		out.values.Add(name, value)
	}
	if len(out.values[name]) == 0 {
		delete(out.values, name)
	}
	return out
}

// facets counts what each filter would leave. A facet's own choice does not
// narrow its counts, so that one can choose a second value.
func (v *visit) facets(s selection) ([]data.Facet, error) {
	var open []string
	counts := map[string][]catalog.FacetCount{}
	for _, key := range facetKeys() {
		if len(s.values[key.name]) == 0 {
			open = append(open, key.path)
			continue
		}
		own, err := v.count(s.query(key.name), key.path)
		if err != nil {
			return nil, err
		}
		counts[key.path] = own[key.path]
	}
	if len(open) > 0 {
		rest, err := v.count(s.query(), open...)
		if err != nil {
			return nil, err
		}
		for path, list := range rest {
			counts[path] = list
		}
	}
	var out []data.Facet
	for _, key := range facetKeys() {
		out = append(out, facet(s, key, counts[key.path]))
	}
	return out, nil
}

func (v *visit) count(q catalog.Query, paths ...string) (map[string][]catalog.FacetCount, error) {
	q.Cursor, q.Limit, q.Sort = "", 0, ""
	return v.Entities.Facets(v.ctx(), v.caller, q, paths)
}

func facet(s selection, key facetKey, counts []catalog.FacetCount) data.Facet {
	out := data.Facet{Title: key.title}
	chosen := slices.Clone(s.values[key.name])
	add := func(value string, n int) {
		on := slices.ContainsFunc(s.values[key.name], func(x string) bool { return strings.EqualFold(x, value) })
		if on {
			chosen = slices.DeleteFunc(chosen, func(x string) bool { return strings.EqualFold(x, value) })
			for _, x := range s.values[key.name] {
				if strings.EqualFold(x, value) {
					value = x
				}
			}
		}
		out.Options = append(out.Options, data.FacetOption{Label: facetLabel(key.name, value), Count: n, On: on, Href: s.toggled(key.name, value).address()})
	}
	counts = slices.Clone(counts)
	slices.SortStableFunc(counts, func(a, b catalog.FacetCount) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Value, b.Value)) })
	for _, c := range counts {
		add(c.Value, c.Count)
	}
	for _, value := range chosen { // chosen, but nothing has it any more
		add(value, 0)
	}
	slices.SortStableFunc(out.Options, func(a, b data.FacetOption) int {
		switch {
		case a.On && !b.On:
			return -1
		case b.On && !a.On:
			return 1
		}
		return 0
	})
	return out
}

// facetLabel is a value as people say it: owners without kind and namespace.
func facetLabel(name, value string) string {
	if name != "owner" {
		return value
	}
	ref, err := catalog.ParseRef(value, catalog.Ref{Kind: "group"})
	if err != nil {
		return value
	}
	if ref.Namespace == "default" {
		return ref.Name
	}
	return ref.Namespace + "/" + ref.Name
}

func (v *visit) listCard(s selection, list catalog.Page) g.Node {
	return ui.Card{Flush: true, Attrs: []g.Node{g.Attr("aria-label", "Entities")}, Body: ui.Nodes{
		h.Div(h.Class("toolbar"), v.filterForm(s), s.chips(), h.Span(h.Class("summary"), h.Role("status"), g.Text(summary(s, list)))),
		v.sortedTable(s, list.Items),
		ui.If(list.Next != "" || s.cursor != "", func() g.Node {
			first, next := s, s
			first.cursor, next.cursor = "", list.Next
			p := ui.Pager{Shown: len(list.Items), Total: list.Total, Attrs: swap()}
			if s.cursor != "" {
				p.First = first.address()
			}
			if list.Next != "" {
				p.Next = next.address()
			}
			return p
		})}}
}

func summary(s selection, list catalog.Page) string {
	text := ui.Plural(list.Total, "entity", "entities")
	if len(list.Items) < list.Total {
		text = ui.Count(len(list.Items)) + " of " + text
	}
	return text
}

// filterForm filters by text as one types, or on Enter without the script.
func (v *visit) filterForm(s selection) g.Node {
	hidden := g.Group{}
	for _, key := range facetKeys() {
		for _, value := range s.values[key.name] {
			hidden = append(hidden, form.Hidden(key.name, value))
		}
	}
	if s.sort != "" {
		hidden = append(hidden, form.Hidden("sort", s.sort))
	}
	return h.Form(h.Class("grow-field"), h.Method("get"), h.Action("/catalog"), h.Role("search"), g.Attr("aria-label", "Filter the list"),
		g.Attr("hx-get", "/catalog"), g.Attr("hx-trigger", "submit, input changed delay:250ms from:find input[name=q]"),
		g.Attr("hx-target", "#"+listPart), g.Attr("hx-swap", "outerHTML"), g.Attr("hx-push-url", "true"), hidden,
		form.Field{Name: "q", ID: "filter", Label: "Filter by name, tag or owner", HideLabel: true, Kind: form.Search, Icon: "search", Value: s.text,
			Placeholder: "Filter by name, tag or owner", AutoComplete: "off"})
}

// chips are the chosen filters; a click takes one away.
func (s selection) chips() g.Node {
	out := g.Group{}
	for _, key := range facetKeys() {
		for _, value := range s.values[key.name] {
			out = append(out, ui.Chip{Text: facetLabel(key.name, value), Href: s.toggled(key.name, value).address(), Remove: true})
		}
	}
	if len(out) == 0 {
		return nil
	}
	return ui.Chips(out...)
}

// sortedTable is the list's table with titles that sort.
func (v *visit) sortedTable(s selection, items []catalog.Entity) g.Node {
	t := v.entityTable("Entities", items, nothingFound(s, v.may(host.ActionLocationWrite)))
	paths := []string{"metadata.name", "kind", "spec.owner", "spec.lifecycle", ""}
	for i := range t.Columns {
		if paths[i] != "" {
			t.Columns[i].Sort = s.sorting(paths[i])
		}
	}
	return t
}

func (s selection) sorting(path string) *data.Sort {
	by, direction, _ := strings.Cut(cmp.Or(s.sort, "metadata.name"), ",")
	next := s
	next.sort, next.cursor = path, ""
	out := &data.Sort{Attrs: swap()}
	if by == path {
		out.Direction = "ascending"
		next.sort = path + ",desc"
		if direction == "desc" {
			out.Direction, next.sort = "descending", path
		}
	}
	out.Href = next.address()
	return out
}

func nothingFound(s selection, mayRegister bool) g.Node {
	if s.text == "" && len(s.values) == 0 {
		e := ui.Empty{Page: true, Icon: "folder", Title: "The catalog is empty", Text: "Register the folder or repository in which your descriptors lie."}
		if mayRegister {
			e.Actions = []g.Node{ui.Button{Label: "Register a location", Kind: ui.Primary, Href: "/catalog/register"}}
		}
		return e
	}
	return ui.Empty{Page: true, Icon: "search", Title: "Nothing matches", Text: "No entity that you may see has all of these filters.",
		Actions: []g.Node{ui.Button{Label: "Clear filters", Href: "/catalog"}}}
}

// entityTable is entities under the columns that every list of them has.
func (v *visit) entityTable(caption string, items []catalog.Entity, empty g.Node) data.Table {
	t := data.Table{Caption: caption, Empty: empty, Columns: []data.Column{
		{Title: "Name", Telling: true}, {Title: "Kind"}, {Title: "Owner"}, {Title: "Lifecycle", Telling: true}, {Title: "Changed", Numeric: true}}}
	for _, e := range items {
		kind := e.Kind
		if e.Type != "" {
			kind += " · " + e.Type
		}
		t.Rows = append(t.Rows, data.Row{
			data.Title(nameOf(e), entityURL(e.Ref), e.Description), h.Span(h.Class("nowrap"), g.Text(kind)), ownerLink(e.Owner),
			lifecycleChip(e), h.Span(h.Class("quiet nowrap"), ui.Ago(e.UpdatedAt, v.now()))})
	}
	return t
}
