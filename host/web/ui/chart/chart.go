// Package chart draws series over time as SVG on the server: lines, bars,
// stacked bars and sparks, with axes, a legend that does not rest on colour
// alone, and the numbers in a table behind it. The plot stretches with its
// card; words stay outside the SVG so that they never stretch.
package chart

import (
	"io"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// The kinds of charts.
const (
	Line    = "line"
	Bar     = "bar"
	Stacked = "stacked"
	Spark   = "spark"
)

// Most series that are told apart; beyond, a chart groups or leaves to the table.
const seriesMax = 5

// Point is a value at a time; nil is a gap.
type Point struct {
	Time  time.Time
	Value *float64
}

// Series is one line, or one part of the bars.
type Series struct {
	Name   string
	Points []Point
}

// Chart is series over time.
type Chart struct {
	Title string
	Kind  string
	// Unit is said beside the title and behind figures.
	Unit string
	// From and To are the ends of the time axis; zero takes them from the points.
	From, To time.Time
	Series   []Series
	// Empty is shown instead of no points.
	Empty string
	// Query is what was asked of the upstream, shown on request.
	Query string
}

// Render writes the chart.
func (c Chart) Render(w io.Writer) error {
	if !c.drawable() {
		return c.nothing().Render(w)
	}
	if c.Kind == Spark {
		return c.spark().Render(w)
	}
	p := c.plan()
	return h.Figure(h.Class("chart"), c.caption(p),
		h.Div(h.Class("plot"), p.yAxis(), p.svg(), p.xAxis(), h.Div(h.Class("tip"), g.Attr("hidden"))),
		p.legend(), c.behind(p)).Render(w)
}

func (c Chart) caption(p plan) g.Node {
	note := ""
	if p.left > 0 {
		note = ui.Plural(p.left, "more series is", "more series are") + " in the table"
		if p.grouped {
			note = ui.Plural(p.left, "smaller series is", "smaller series are") + " shown as Other"
		}
	}
	return g.El("figcaption", h.Span(h.Class("title"), g.Text(c.Title)),
		ui.If(c.Unit != "", func() g.Node { return h.Span(h.Class("unit"), g.Text(c.Unit)) }),
		ui.If(note != "", func() g.Node { return h.Span(h.Class("unit"), g.Text(note)) }))
}

func (c Chart) nothing() g.Node {
	text := c.Empty
	if text == "" {
		text = "There are no values in this range."
	}
	if c.Kind == Spark {
		return h.Span(h.Class("quiet small"), g.Text(text))
	}
	return h.Figure(h.Class("chart"), c.caption(plan{}), ui.Empty{Title: text}, c.query())
}

// drawable reports whether any point has a value.
func (c Chart) drawable() bool {
	for _, s := range c.Series {
		for _, p := range s.Points {
			if p.Value != nil && finite(*p.Value) {
				return true
			}
		}
	}
	return false
}

func (c Chart) query() g.Node {
	if c.Query == "" {
		return nil
	}
	return h.Details(h.Class("behind"), h.Summary(ui.Icon("chevron-right"), g.Text("Query")), ui.Code{Text: c.Query})
}

// spark is the small line beside a figure.
func (c Chart) spark() g.Node {
	values := make([]float64, 0, len(c.Series[0].Points))
	for _, p := range c.Series[0].Points {
		if p.Value != nil {
			values = append(values, *p.Value)
		}
	}
	return SparkLine(c.Title, values)
}

// SparkLine is a line without axes; label says in words what it shows.
func SparkLine(label string, values []float64) g.Node {
	kept := make([]float64, 0, len(values))
	for _, v := range values {
		if finite(v) {
			kept = append(kept, v)
		}
	}
	if len(kept) < 2 {
		return nil
	}
	kept = thin(kept, plotPoints)
	lo, hi := bounds(kept)
	path := pen{}
	for i, v := range kept {
		path.to(float64(i)/float64(len(kept)-1)*plotW, sparkH-scaled(v, lo, hi)*(sparkH-2)-1)
	}
	return g.El("svg", h.Class("spark"), g.Attr("viewBox", "0 0 1000 32"), g.Attr("preserveAspectRatio", "none"),
		h.Role("img"), g.Attr("aria-label", label),
		g.El("path", h.Class("area ser-1"), g.Attr("d", path.closed(sparkH))),
		g.El("path", h.Class("path ser-1"), g.Attr("d", path.String())))
}
