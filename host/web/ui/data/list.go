package data

import (
	"io"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// Item is one item of a List.
type Item struct {
	Title string
	Href  string
	// External marks Href as written by a stranger.
	External bool
	Detail   string
	Icon     string
	// Clamp cuts a long title after three lines.
	Clamp bool
	// End stands at the right: a state, a time, a button.
	End g.Node
}

// List is titled items under one another.
type List struct {
	Items []Item
	// Empty is shown instead of no items.
	Empty g.Node
}

// Render writes the list.
func (l List) Render(w io.Writer) error {
	if len(l.Items) == 0 && l.Empty != nil {
		return l.Empty.Render(w)
	}
	return h.Ul(h.Class("list"), ui.Map(l.Items, func(i Item) g.Node {
		return h.Li(
			ui.If(i.Icon != "", func() g.Node { return h.Span(h.Class("lead-icon"), ui.Icon(i.Icon)) }),
			h.Div(ui.Class("what", map[bool]string{true: "clamp"}[i.Clamp]), i.title(),
				ui.If(i.Detail != "", func() g.Node { return h.Span(h.Class("sub"), g.Text(i.Detail)) })),
			ui.If(i.End != nil, func() g.Node { return h.Div(h.Class("end"), i.End) }))
	})).Render(w)
}

func (i Item) title() g.Node {
	switch {
	case i.Href == "":
		return h.Span(h.Class("title"), g.Text(i.Title))
	case i.External:
		if !ui.SafeURL(i.Href) {
			return h.Span(h.Class("title"), g.Text(i.Title))
		}
		return h.A(h.Href(i.Href), h.Rel("noopener noreferrer nofollow"), g.Text(i.Title))
	}
	return h.A(h.Href(i.Href), g.Text(i.Title))
}

// Fact is a key and its value.
type Fact struct {
	Key   string
	Value g.Node
}

// Facts is a list of keys and values.
type Facts []Fact

// Render writes the list.
func (f Facts) Render(w io.Writer) error {
	return h.Dl(h.Class("facts"), ui.Map(f, func(x Fact) g.Node {
		return g.Group{h.Dt(g.Text(x.Key)), h.Dd(x.Value)}
	})).Render(w)
}

// Event is one event of a Timeline.
type Event struct {
	At     time.Time
	Title  string
	Detail string
	Tone   ui.Tone
	URL    string
}

// Timeline is events in time, newest first.
type Timeline struct {
	Events []Event
	Now    time.Time
	Empty  g.Node
}

// Render writes the timeline.
func (t Timeline) Render(w io.Writer) error {
	if len(t.Events) == 0 && t.Empty != nil {
		return t.Empty.Render(w)
	}
	return h.Ol(h.Class("timeline"), ui.Map(t.Events, func(e Event) g.Node {
		title := g.Text(e.Title)
		if e.URL != "" {
			title = ui.External(e.URL, e.Title)
		}
		return h.Li(ui.Shape(e.Tone), h.Span(h.Class("title"), title), ui.Ago(e.At, t.Now),
			ui.If(e.Detail != "", func() g.Node { return h.Span(h.Class("sub"), g.Text(e.Detail)) }))
	})).Render(w)
}
