package chart

import (
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
)

// tableRows is how many rows the table behind a chart has at most.
const tableRows = 60

// legend names the series beside samples of their lines.
func (p *plan) legend() g.Node {
	if len(p.drawn) < 2 {
		return nil
	}
	items := g.Group{}
	for i, s := range p.drawn {
		ser := "ser-" + strconv.Itoa(i+1)
		sample := g.El("path", h.Class("path "+ser), g.Attr("d", "M0 4h18"))
		if p.kind != Line {
			sample = g.El("rect", h.Class("bar "+ser), g.Attr("x", "4"), h.Width("10"), h.Height("8"), g.Attr("rx", "2"))
		}
		items = append(items, h.Li(g.El("svg", g.Attr("viewBox", "0 0 18 8"), g.Attr("aria-hidden", "true"), sample),
			h.Span(h.Class("truncate"), g.Text(s.Name))))
	}
	return h.Ul(h.Class("legend"), items)
}

// behind is the numbers as a table, and the query.
func (c Chart) behind(p plan) g.Node {
	times := timesOf(p.all)
	kept := thin(times, tableRows)
	table := data.Table{Caption: c.Title, Wide: true, Dense: true, Columns: []data.Column{{Title: "Time"}}}
	for _, s := range p.all {
		table.Columns = append(table.Columns, data.Column{Title: s.Name, Numeric: true})
	}
	for i := len(kept) - 1; i >= 0; i-- {
		table.Rows = append(table.Rows, row(kept[i], p.all))
	}
	label := "Values"
	if len(kept) < len(times) {
		label = "Values (" + ui.Count(len(kept)) + " of " + ui.Count(len(times)) + ")"
	}
	return h.Div(h.Class("row row-wrap row-top"),
		h.Details(h.Class("behind"), h.Summary(ui.Icon("chevron-right"), g.Text(label)), table), c.query())
}

func row(t time.Time, all []Series) data.Row {
	out := data.Row{ui.Exact(t)}
	for _, s := range all {
		if v, ok := s.at(t); ok {
			out = append(out, g.Text(trim(v)))
			continue
		}
		out = append(out, h.Span(h.Class("quiet"), g.Text("–")))
	}
	return out
}
