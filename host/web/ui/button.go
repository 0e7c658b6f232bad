package ui

import (
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Kind is how loud a button is. A view has one Primary at most.
type Kind string

// The kinds of buttons.
const (
	Secondary   Kind = ""
	Primary     Kind = "primary"
	Quiet       Kind = "quiet"
	Danger      Kind = "danger"
	DangerSolid Kind = "danger-solid"
)

// Button is a button, or a link that looks like one where Href is set.
type Button struct {
	// Label is a verb: "Install", "Keep 2.2.1".
	Label string
	Kind  Kind
	Icon  string
	// IconOnly hides the label from sight; it stays the accessible name.
	IconOnly bool
	Small    bool
	Wide     bool
	Href     string
	// Type is submit unless set; buttons that open a dialog are "button".
	Type     string
	Disabled bool
	// Busy shows that what the button started goes on.
	Busy bool
	// Opens is the id of the dialog that the button opens.
	Opens string
	Attrs []g.Node
}

// Render writes the button.
func (b Button) Render(w io.Writer) error {
	children := g.Group{b.class()}
	if b.Busy {
		children = append(children, g.Attr("aria-busy", "true"), Icon("refresh"))
	} else if b.Icon != "" {
		children = append(children, Icon(b.Icon))
	}
	if b.IconOnly {
		children = append(children, Hidden(b.Label), g.Attr("title", b.Label))
	} else {
		children = append(children, g.Text(b.Label))
	}
	children = append(children, b.Attrs...)
	if b.Href != "" {
		return h.A(h.Href(b.Href), children).Render(w)
	}
	return h.Button(b.typ(), g.If(b.Disabled || b.Busy, h.Disabled()), b.opens(), children).Render(w)
}

func (b Button) class() g.Node {
	kind := ""
	if b.Kind != Secondary {
		kind = "button-" + string(b.Kind)
	}
	return Class("button", kind, when(b.Small, "button-small"), when(b.Wide, "button-wide"), when(b.IconOnly, "button-icon"))
}

func (b Button) typ() g.Node {
	switch {
	case b.Type != "":
		return h.Type(b.Type)
	case b.Opens != "":
		return h.Type("button")
	}
	return h.Type("submit")
}

func (b Button) opens() g.Node {
	if b.Opens == "" {
		return nil
	}
	return g.Group{g.Attr("commandfor", b.Opens), g.Attr("command", "show-modal")}
}

// Buttons is a wrapping row of buttons.
func Buttons(buttons ...g.Node) g.Node { return h.Div(h.Class("buttons"), g.Group(buttons)) }

// when returns class where ok holds.
func when(ok bool, class string) string {
	if ok {
		return class
	}
	return ""
}
