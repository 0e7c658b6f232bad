package ui

import (
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Dialog asks before something that cannot be undone. A Button that Opens its
// ID shows it.
type Dialog struct {
	ID    string
	Title string
	Body  g.Node
	// Keep is the label of the button that closes it: "Keep 2.2.1".
	Keep string
	// Act is the button that goes on, inside the form that Form begins.
	Act g.Node
	// Form are the attributes and hidden fields of the form that Act sends.
	Form []g.Node
	// Shown renders it in place and not as a dialog, for the page of components.
	Shown bool
}

// Render writes the dialog.
func (d Dialog) Render(w io.Writer) error {
	title := d.ID + "-title"
	inner := Nodes{
		h.Div(h.Class("dialog-body"), h.H2(h.ID(title), g.Text(d.Title)), d.Body),
		h.Div(h.Class("dialog-foot"),
			Button{Label: d.Keep, Type: "button", Attrs: []g.Node{g.Attr("commandfor", d.ID), g.Attr("command", "close")}},
			d.Act),
	}
	content := g.Node(inner)
	if d.Form != nil {
		content = h.Form(g.Group(d.Form), inner)
	}
	if d.Shown {
		return h.Div(h.ID(d.ID), h.Class("dialog dialog-shown"), h.Role("group"), g.Attr("aria-labelledby", title), content).Render(w)
	}
	return g.El("dialog", h.ID(d.ID), h.Class("dialog"), g.Attr("aria-labelledby", title), content).Render(w)
}

// Menu is a button that shows a list of links and forms. It is a details
// element, so it opens without a script.
type Menu struct {
	// Label says to screen readers what the button opens; Summary is what it
	// shows beside that.
	Label   string
	Summary g.Node
	Items   []g.Node
	// Left opens it towards the right.
	Left  bool
	Round bool
	Open  bool
}

// Render writes the menu.
func (m Menu) Render(w io.Writer) error {
	return h.Details(Class("menu", when(m.Left, "menu-left"), when(m.Round, "menu-round")), g.If(m.Open, g.Attr("open")),
		h.Summary(g.If(!m.Round, h.Class("button")), m.Summary, Hidden(m.Label)),
		h.Div(h.Class("menu-list"), g.Group(m.Items))).Render(w)
}
