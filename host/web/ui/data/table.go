// Package data is the components that show data: tables, lists, facts,
// figures, timelines, logs, diffs, trees, relations and facets.
package data

import (
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// Column is a column of a Table.
type Column struct {
	Title string
	// Numeric aligns right, with figures of equal width.
	Numeric bool
	// Telling columns stay on a narrow screen; at most two should.
	Telling bool
	// HideTitle leaves the title to screen readers, for columns of buttons.
	HideTitle bool
	// Sort makes the title a link that sorts.
	Sort *Sort
}

// Sort is a column's link to the same table in another order.
type Sort struct {
	Href string
	// Direction is "ascending" or "descending" where the table is sorted by
	// this column now, and empty otherwise.
	Direction string
	Attrs     []g.Node
}

// Row is one row; it has as many cells as the table has columns.
type Row []g.Node

// Table is rows of cells under columns. On a narrow screen it becomes a list
// of its telling columns.
type Table struct {
	// Caption names the table for screen readers; ShowCaption shows it.
	Caption     string
	ShowCaption bool
	Columns     []Column
	Rows        []Row
	// Empty is shown instead of no rows.
	Empty g.Node
	// Loading is the number of rows to hold a place for.
	Loading int
	// Wide keeps all columns on a narrow screen; the table scrolls.
	Wide bool
	// Dense is for tables behind charts.
	Dense bool
}

// Render writes the table, or what stands for it.
func (t Table) Render(w io.Writer) error {
	if len(t.Rows) == 0 && t.Loading == 0 && t.Empty != nil {
		return t.Empty.Render(w)
	}
	t.Columns = telling(t.Columns)
	class := "table"
	if !t.Wide {
		class += " table-list"
	}
	if t.Dense {
		class += " table-plain"
	}
	var caption g.Node = h.Caption(h.Class("sr"), g.Text(t.Caption))
	if t.ShowCaption {
		caption = h.Caption(g.Text(t.Caption))
	}
	return h.Div(h.Class("table-wrap"), h.TabIndex("0"), h.Role("region"), g.Attr("aria-label", t.Caption),
		h.Table(h.Class(class), caption, h.THead(h.Tr(ui.Map(t.Columns, head))), h.TBody(t.body())),
		ui.If(t.Loading > 0, func() g.Node { return h.Span(h.Role("status"), ui.Hidden("Loading "+t.Caption)) })).Render(w)
}

// telling marks the first two columns where nobody marked any.
func telling(columns []Column) []Column {
	for _, c := range columns {
		if c.Telling {
			return columns
		}
	}
	marked := append([]Column(nil), columns...)
	for i := range min(2, len(marked)) {
		marked[i].Telling = true
	}
	return marked
}

func head(c Column) g.Node {
	title := g.Text(c.Title)
	if c.HideTitle {
		title = ui.Hidden(c.Title)
	}
	if c.Sort == nil {
		return h.Th(g.Attr("scope", "col"), classes(c), title)
	}
	icon := "sort"
	switch c.Sort.Direction {
	case "ascending":
		icon = "sort-up"
	case "descending":
		icon = "sort-down"
	}
	return h.Th(g.Attr("scope", "col"), classes(c), g.If(c.Sort.Direction != "", g.Attr("aria-sort", c.Sort.Direction)),
		h.A(h.Href(c.Sort.Href), g.Group(c.Sort.Attrs), title, ui.Icon(icon)))
}

func (t Table) body() g.Node {
	rows := g.Group{}
	for _, r := range t.Rows {
		cells := g.Group{}
		for i, c := range t.Columns {
			var cell g.Node
			if i < len(r) {
				cell = r[i]
			}
			cells = append(cells, h.Td(classes(c), cell))
		}
		rows = append(rows, h.Tr(cells))
	}
	for range t.Loading {
		cells := g.Group{}
		for _, c := range t.Columns {
			cells = append(cells, h.Td(classes(c), h.Div(h.Class("bone bone-mid"))))
		}
		rows = append(rows, h.Tr(g.Attr("aria-hidden", "true"), cells))
	}
	return rows
}

func classes(c Column) g.Node {
	if !c.Numeric && !c.Telling {
		return nil
	}
	var out []string
	if c.Numeric {
		out = append(out, "num")
	}
	if c.Telling {
		out = append(out, "tell")
	}
	return ui.Class(out...)
}

// Title is a table's first cell: a link with a quiet line below it.
func Title(label, href, below string) g.Node {
	name := g.Node(h.Span(h.Class("strong"), g.Text(label)))
	if href != "" {
		name = h.A(h.Class("title"), h.Href(href), g.Text(label))
	}
	return g.Group{name, ui.If(below != "", func() g.Node { return h.Span(h.Class("sub"), g.Text(below)) })}
}
