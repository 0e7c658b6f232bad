package ui

import (
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Code is a block of text in the fixed-width face with a copy button.
type Code struct {
	Text string
	// Title names the block: a language or a file.
	Title string
	// Tall limits the height of long blocks; they scroll.
	Tall bool
	// Lines are the marked-up lines to show instead of Text, which is still
	// what is copied.
	Lines []g.Node
}

// Render writes the block.
func (c Code) Render(w io.Writer) error {
	label := c.Title
	if label == "" {
		label = "Code"
	}
	shown := g.Text(c.Text)
	if c.Lines != nil {
		shown = g.Group(c.Lines)
	}
	pre := h.Pre(h.TabIndex("0"), h.Role("region"), g.Attr("aria-label", label),
		h.Code(g.Attr("data-copy", when(c.Lines != nil, c.Text)), shown))
	var head g.Node
	if c.Title != "" {
		head = h.Div(h.Class("code-head"), h.Span(g.Text(c.Title)), CopyButton())
	}
	return h.Div(Class("code", when(c.Tall, "code-tall")), g.Attr("data-copy-scope"), head, pre,
		If(c.Title == "", CopyButton)).Render(w)
}

// CopyButton copies what stands beside it in the same data-copy-scope. The
// script shows it; without one there is nothing to click.
func CopyButton() g.Node {
	return h.Button(h.Type("button"), h.Class("button button-quiet button-small copy"), g.Attr("hidden"),
		h.Span(h.Class("todo row"), Icon("copy"), g.Text("Copy")), h.Span(h.Class("done"), g.Text("Copied")))
}

// Mark is the product's mark: three lines on a board.
func Mark() g.Node {
	return g.El("svg", h.Class("mark"), g.Attr("viewBox", "0 0 32 32"), g.Attr("aria-hidden", "true"),
		g.El("rect", h.Class("mark-ground"), h.Width("32"), h.Height("32"), g.Attr("rx", "8")),
		g.El("path", h.Class("mark-accent"), g.Attr("d", "M8.5 10h15")),
		g.El("path", h.Class("mark-line"), g.Attr("d", "M8.5 16h15M8.5 22h9")))
}
