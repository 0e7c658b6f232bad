package data

import (
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// Stat is one figure with its change.
type Stat struct {
	Label string
	Value string
	Unit  string
	// Change is what changed, in words; Tone says whether that is well.
	Change string
	Tone   ui.Tone
	// Href makes the figure a link to what it counts.
	Href string
	// Spark is drawn below the figure.
	Spark g.Node
	Big   bool
}

// Render writes the figure.
func (s Stat) Render(w io.Writer) error {
	value := g.Node(g.Text(s.Value))
	if s.Href != "" {
		value = h.A(h.Href(s.Href), g.Text(s.Value))
	}
	class := "stat"
	if s.Big {
		class += " stat-big"
	}
	return h.Div(h.Class(class), h.Div(h.Class("label"), g.Text(s.Label)),
		h.Div(h.Class("figure"), h.Span(value),
			ui.If(s.Unit != "", func() g.Node { return h.Span(h.Class("unit"), g.Text(s.Unit)) })),
		s.change(), s.Spark).Render(w)
}

func (s Stat) change() g.Node {
	if s.Change == "" {
		return nil
	}
	tone := s.Tone
	if tone == "" {
		tone = ui.Neutral
	}
	return h.Div(h.Class("change tone-"+string(tone)), g.If(tone != ui.Neutral, ui.Shape(tone)), h.Span(g.Text(s.Change)))
}

// Stats is a row of figures.
type Stats []Stat

// Render writes the row.
func (s Stats) Render(w io.Writer) error {
	return h.Div(h.Class("stats"), ui.Map(s, func(x Stat) g.Node { return x })).Render(w)
}
