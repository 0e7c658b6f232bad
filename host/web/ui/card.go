package ui

import (
	"io"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Card frames one subject and says where its content comes from.
type Card struct {
	Title string
	// Chips stand beside the title.
	Chips []g.Node
	// Origin is where the content comes from and how old it is.
	Origin g.Node
	// Actions stand at the right of the head.
	Actions []g.Node
	// Flush leaves out the padding, for tables and lists.
	Flush bool
	// Level is the heading's level; 2 unless set.
	Level int
	// Span is the card's width in columns of the page's grid; 0 is none.
	Span string
	Foot g.Node
	Body g.Node
	// Attrs go to the card's element.
	Attrs []g.Node
}

// Render writes the card.
func (c Card) Render(w io.Writer) error {
	body := c.Body
	if !c.Flush && body != nil {
		body = h.Div(h.Class("card-body"), body)
	}
	return h.Section(Class("card", c.Span), g.Group(c.Attrs), c.head(), body,
		If(c.Foot != nil, func() g.Node { return h.Div(h.Class("card-foot"), c.Foot) })).Render(w)
}

func (c Card) head() g.Node {
	if c.Title == "" {
		return nil
	}
	heading := h.H2(g.Text(c.Title))
	if c.Level == 3 {
		heading = h.H3(g.Text(c.Title))
	}
	return h.Header(h.Class("card-head"), heading, g.Group(c.Chips), c.Origin,
		If(len(c.Actions) > 0, func() g.Node { return Buttons(c.Actions...) }))
}

// Origin says where content comes from and how old it is.
type Origin struct {
	Label string
	URL   string
	At    time.Time
	Now   time.Time
	// Late marks content that is older than it should be; Why says the reason.
	Late bool
	Why  string
}

// Render writes the line.
func (o Origin) Render(w io.Writer) error {
	label := g.Text(o.Label)
	if o.URL != "" {
		label = External(o.URL, o.Label)
	}
	parts := g.Group{}
	if o.Late {
		parts = append(parts, Shape(Warn))
	}
	text := g.Group{label}
	switch {
	case o.Late && o.Why != "":
		text = append(text, g.Text(": "+o.Why))
	case !o.At.IsZero():
		text = append(text, g.If(o.Label != "", g.Text(", ")), Ago(o.At, o.Now))
	}
	if o.Late && o.Why != "" && !o.At.IsZero() {
		text = append(text, g.Text(", "), Ago(o.At, o.Now))
	}
	return h.Span(Class("origin", when(o.Late, "late")), parts, h.Span(text)).Render(w)
}

// External is a link that leads out of the portal. A URL of any scheme but
// http, https and mailto is shown as plain text.
func External(url, label string) g.Node {
	if !SafeURL(url) {
		return g.Text(label)
	}
	return h.A(h.Href(url), h.Rel("noopener noreferrer nofollow"), g.Text(label))
}
