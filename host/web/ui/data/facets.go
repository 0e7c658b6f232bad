package data

import (
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// Facet is one group of filters: all the values of one field.
type Facet struct {
	Title   string
	Options []FacetOption
}

// FacetOption is one value with how many there are. It is a link to the same
// list with the filter on or off, so it works without a script.
type FacetOption struct {
	Label string
	Count int
	Href  string
	On    bool
}

// facetShown is how many options a group shows before "more".
const facetShown = 8

// Facets is the groups of filters of a list. On a narrow screen they open
// from a button.
type Facets struct {
	Groups []Facet
	// Attrs go to each link, for partial loading.
	Attrs []g.Node
	// Open shows them on a narrow screen too.
	Open bool
}

// Render writes the groups.
func (f Facets) Render(w io.Writer) error {
	return h.Details(h.Class("facets-sheet"), g.If(f.Open, g.Attr("open")),
		h.Summary(h.Class("button"), ui.Icon("sliders"), g.Text("Filters")),
		h.Div(h.Class("facets"), ui.Map(f.Groups, f.group))).Render(w)
}

func (f Facets) group(x Facet) g.Node {
	if len(x.Options) == 0 {
		return nil
	}
	shown, more := x.Options, []FacetOption(nil)
	if len(shown) > facetShown+2 {
		shown, more = x.Options[:facetShown], x.Options[facetShown:]
	}
	return g.El("fieldset", h.Legend(g.Text(x.Title)), ui.Map(shown, f.option),
		ui.If(len(more) > 0, func() g.Node {
			return h.Details(h.Class("more"), h.Summary(g.Text(ui.Count(len(more))+" more")), ui.Map(more, f.option))
		}))
}

func (f Facets) option(o FacetOption) g.Node {
	return h.A(h.Class("facet"), h.Href(o.Href), g.If(o.On, g.Attr("aria-current", "true")), g.Group(f.Attrs),
		h.Span(h.Class("box")), h.Span(h.Class("truncate"), g.Text(o.Label)),
		h.Span(h.Class("count"), g.Text(ui.Count(o.Count))))
}
