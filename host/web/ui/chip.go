package ui

import (
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Chip is a short fact: a kind, an owner, a state.
type Chip struct {
	// Label is quiet text before Text, for example "owner".
	Label string
	Text  string
	// Tone colours the chip and puts its shape before the text; empty leaves it plain.
	Tone Tone
	// Icon replaces the shape.
	Icon string
	Href string
	// Remove makes the chip a filter that a click takes away; the text says what.
	Remove bool
}

// Render writes the chip.
func (c Chip) Render(w io.Writer) error {
	class := "chip"
	if c.Tone != "" {
		class += " chip-tone " + c.Tone.class()
	}
	children := g.Group{h.Class(class)}
	switch {
	case c.Icon != "":
		children = append(children, Icon(c.Icon))
	case c.Tone != "" && c.Tone != Accent:
		children = append(children, Shape(c.Tone))
	}
	if c.Label != "" {
		children = append(children, g.Text(c.Label+" "), h.B(g.Text(c.Text)))
	} else {
		children = append(children, h.Span(h.Class("truncate"), g.Text(c.Text)))
	}
	if c.Remove {
		children = append(children, Hidden(" (remove this filter)"), Icon("x"))
	}
	if c.Href != "" {
		return h.A(h.Href(c.Href), children).Render(w)
	}
	return h.Span(children).Render(w)
}

// Shape is the mark of a tone: a disc is well, a triangle asks to look, a
// square asks to act, a ring moves, a bar is neutral.
func Shape(t Tone) g.Node {
	var mark g.Node
	switch t {
	case Good:
		mark = g.El("circle", g.Attr("cx", "4"), g.Attr("cy", "4"), g.Attr("r", "3.5"))
	case Warn:
		mark = g.El("path", g.Attr("d", "M4 .6 8 7.6H0z"))
	case Bad:
		mark = g.El("path", g.Attr("d", "M.8.8h6.4v6.4H.8z"))
	case Info:
		mark = g.El("path", g.Attr("d", "M4 .3a3.7 3.7 0 1 1 0 7.4A3.7 3.7 0 0 1 4 .3Zm0 1.9a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6Z"))
	default:
		mark = g.El("path", g.Attr("d", "M.8 2.8h6.4v2.4H.8z"))
	}
	return g.El("svg", Class("shape", t.class()), g.Attr("viewBox", "0 0 8 8"), g.Attr("aria-hidden", "true"), mark)
}

// State is a shape and a word in running text, where a chip would be too loud.
func State(t Tone, word string) g.Node {
	return h.Span(Class("state", t.class()), Shape(t), h.Span(h.Class("word"), g.Text(word)))
}

// Chips is a wrapping row of chips.
func Chips(chips ...g.Node) g.Node { return h.Div(h.Class("chips"), g.Group(chips)) }
