package data

import (
	"fmt"
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// Related is one entity that another is related to.
type Related struct {
	// Word says how, read from the subject: "owned by", "depends on".
	Word string
	// Incoming puts it left of the subject in the graph.
	Incoming bool
	Name     string
	Kind     string
	Href     string
	// Missing marks a target that the catalog does not know.
	Missing bool
}

// Relations is a list of related entities with a small graph beside it. The
// graph says nothing that the list does not: screen readers and the Tab key
// skip it.
type Relations struct {
	Name, Kind string
	Items      []Related
	// ListOnly leaves out the graph.
	ListOnly bool
	Empty    g.Node
}

// graphSide is how many entities the graph shows on each side; the list has all.
const graphSide = 6

// Render writes list and graph.
func (r Relations) Render(w io.Writer) error {
	if len(r.Items) == 0 && r.Empty != nil {
		return r.Empty.Render(w)
	}
	if r.ListOnly {
		return r.list().Render(w)
	}
	return h.Div(h.Class("relations"), r.graph(), r.list()).Render(w)
}

// list groups the relations by their words, in the order given.
func (r Relations) list() g.Node {
	var words []string
	grouped := map[string][]Related{}
	for _, i := range r.Items {
		if grouped[i.Word] == nil {
			words = append(words, i.Word)
		}
		grouped[i.Word] = append(grouped[i.Word], i)
	}
	facts := Facts{}
	for _, word := range words {
		facts = append(facts, Fact{Key: word, Value: h.Ul(ui.Map(grouped[word], related))})
	}
	return facts
}

func related(i Related) g.Node {
	if i.Missing {
		return h.Li(h.Span(g.Text(i.Name)), g.Text(" "), h.Span(h.Class("quiet small"), g.Text("not in the catalog")))
	}
	return h.Li(h.A(h.Href(i.Href), g.Text(i.Name)), g.Text(" "), h.Span(h.Class("quiet small"), g.Text(i.Kind)))
}

// Measures of the graph, in its own units.
const (
	nodeW, nodeH = 132, 38
	rowH         = 52
	graphW       = 470
)

func (r Relations) graph() g.Node {
	var left, right []Related
	for _, i := range r.Items {
		if i.Incoming {
			left = append(left, i)
		} else {
			right = append(right, i)
		}
	}
	rows := max(1, min(len(left), graphSide), min(len(right), graphSide))
	height := rows*rowH + 8
	if len(left) > graphSide || len(right) > graphSide {
		height += 20
	}
	mid := rows * rowH / 2
	return g.El("svg", h.Class("graph"), g.Attr("aria-hidden", "true"),
		g.Attr("viewBox", fmt.Sprintf("0 0 %d %d", graphW, height)),
		side(left, 0, rows, mid), side(right, graphW-nodeW, rows, mid),
		g.El("g", h.Class("me"), box((graphW-nodeW)/2, mid-nodeH/2, r.Name, r.Kind)))
}

// side draws one column of entities and their edges to the middle.
func side(items []Related, x, rows, mid int) g.Node {
	out := g.Group{}
	shown := min(len(items), graphSide)
	top := (rows - shown) * rowH / 2
	for n, i := range items[:shown] {
		y := top + n*rowH + (rowH-nodeH)/2
		x1, x2 := x+nodeW, (graphW-nodeW)/2
		if x > 0 {
			x1, x2 = x, (graphW+nodeW)/2
		}
		bend := (x1 + x2) / 2
		out = append(out, g.El("path", h.Class("edge"),
			g.Attr("d", fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y+nodeH/2, bend, y+nodeH/2, bend, mid, x2, mid))))
		node := box(x, y, i.Name, i.Word)
		if !i.Missing {
			node = g.El("a", g.Attr("href", i.Href), g.Attr("tabindex", "-1"), node)
		}
		out = append(out, node)
	}
	if rest := len(items) - shown; rest > 0 {
		out = append(out, g.El("text", h.Class("kind"), g.Attr("x", fmt.Sprint(x+4)), g.Attr("y", fmt.Sprint(rows*rowH+16)),
			g.Text(fmt.Sprintf("and %d more in the list", rest))))
	}
	return out
}

func box(x, y int, name, below string) g.Node {
	return g.Group{
		g.El("rect", g.Attr("x", fmt.Sprint(x)), g.Attr("y", fmt.Sprint(y)), h.Width(fmt.Sprint(nodeW)), h.Height(fmt.Sprint(nodeH)), g.Attr("rx", "8")),
		g.El("text", g.Attr("x", fmt.Sprint(x+10)), g.Attr("y", fmt.Sprint(y+16)), g.Text(shorten(name, 17))),
		g.El("text", h.Class("kind"), g.Attr("x", fmt.Sprint(x+10)), g.Attr("y", fmt.Sprint(y+30)), g.Text(shorten(below, 20))),
	}
}

func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
