package ui

import (
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Tab is one page of several about the same thing. Tabs are links, so each
// has its own address and works without a script.
type Tab struct {
	Label   string
	Href    string
	Current bool
	// Count is shown beside the label; below zero is none.
	Count int
}

// Tabs is the row of tabs; Label names it for screen readers.
type Tabs struct {
	Label string
	Items []Tab
}

// Render writes the row.
func (t Tabs) Render(w io.Writer) error {
	return h.Nav(h.Class("tabs"), g.Attr("aria-label", t.Label), Map(t.Items, func(tab Tab) g.Node {
		return h.A(h.Href(tab.Href), g.If(tab.Current, g.Attr("aria-current", "page")), g.Text(tab.Label),
			If(tab.Count > 0, func() g.Node { return h.Span(h.Class("count"), g.Text(Count(tab.Count))) }))
	})).Render(w)
}

// Pager moves through pages by cursor.
type Pager struct {
	// Shown and Total are what stands in words: "50 of 1,284".
	Shown, Total int
	// First and Next are links; empty where there is none.
	First, Next string
	// Attrs go to the links, for partial loading.
	Attrs []g.Node
}

// Render writes the pager.
func (p Pager) Render(w io.Writer) error {
	return h.Nav(h.Class("pager"), g.Attr("aria-label", "Pages"),
		h.Span(h.Class("num"), g.Text(Count(p.Shown)+" of "+Count(p.Total))),
		If(p.First != "" || p.Next != "", func() g.Node {
			return Buttons(
				If(p.First != "", func() g.Node {
					return Button{Label: "First page", Icon: "chevron-left", Href: p.First, Small: true, Attrs: p.Attrs}
				}),
				If(p.Next != "", func() g.Node {
					return Button{Label: "Next page", Icon: "chevron-right", Href: p.Next, Small: true, Attrs: p.Attrs}
				}))
		})).Render(w)
}

// Crumb is one step of the path to a page.
type Crumb struct {
	Label string
	Href  string
}

// Breadcrumb is the path to the page; the last step is the page itself.
type Breadcrumb []Crumb

// Render writes the path.
func (b Breadcrumb) Render(w io.Writer) error {
	items := g.Group{}
	for i, c := range b {
		if i == len(b)-1 || c.Href == "" {
			items = append(items, h.Li(h.Span(g.If(i == len(b)-1, g.Attr("aria-current", "page")), g.Text(c.Label))))
			continue
		}
		items = append(items, h.Li(h.A(h.Href(c.Href), g.Text(c.Label))))
	}
	return h.Nav(h.Class("crumbs"), g.Attr("aria-label", "Path"), h.Ol(items)).Render(w)
}
