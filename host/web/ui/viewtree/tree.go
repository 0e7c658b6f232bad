// Package viewtree renders what a plugin's view answers: the typed tree of
// view/v1, with the portal's own components. The tree was written by a
// stranger: text is escaped, links are http(s) or mailto, depth and number of
// nodes are bounded, and actions are forms that post to the portal, which
// calls the plugin's operation with the reader's rights.
package viewtree

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/chart"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	"github.com/callboard-dev/callboard/host/web/ui/text"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

// Bounds of what one view may show.
const (
	depthMax = 6
	nodesMax = 400
	rowsMax  = 1000
)

// Settings say where a tree stands.
type Settings struct {
	// ID is unique on the page; ids within begin with it.
	ID string
	// Title is the heading above the tree; what repeats it is said to screen
	// readers only.
	Title string
	Now   time.Time
	// ActionURL receives the forms; empty shows no actions.
	ActionURL string
	CSRF      string
	// Here is the page to return to after an action.
	Here string
	// PageURL is the page that shows the view, for choices without a script;
	// PartURL is the view alone, with its query.
	PageURL, PartURL string
	// PageQuery is what the page's address holds beside the choices.
	PageQuery url.Values
}

// Tree is a view's answer as a component.
type Tree struct {
	Tree viewv1.Tree
	Settings
}

// Render writes the nodes and, before them, the choices.
func (t Tree) Render(w io.Writer) error {
	r := &renderer{Settings: t.Settings, heading: t.Title}
	nodes := r.nodes(t.Tree.Nodes, 0)
	if len(t.Tree.Nodes) == 0 {
		nodes = ui.Empty{Title: "Nothing to show", Text: "The plugin answered with an empty view."}
	}
	return ui.Nodes{r.params(t.Tree.Params), nodes}.Render(w)
}

// Origin returns the line that says where the content comes from.
func Origin(t viewv1.Tree, fallback string, now time.Time) g.Node {
	if t.Source == nil {
		return ui.Origin{Label: fallback, Now: now}
	}
	return ui.Origin{Label: t.Source.Label, URL: t.Source.URL, At: t.Source.FetchedAt, Now: now, Late: t.Source.Stale, Why: t.Source.Message}
}

// renderer counts nodes and ids while it walks one tree.
type renderer struct {
	Settings
	count, ids int
	// heading is the nearest one above the node.
	heading string
}

func (r *renderer) id() string {
	r.ids++
	return r.ID + "-" + strconv.Itoa(r.ids)
}

func (r *renderer) nodes(list []viewv1.Node, depth int) g.Node {
	if depth > depthMax {
		return refused("This view is nested too deeply.", fmt.Sprintf("Sections may lie %d deep.", depthMax))
	}
	out := g.Group{}
	for _, n := range list {
		r.count++
		if r.count > nodesMax {
			return append(out, refused("This view is too long.", fmt.Sprintf("The first %d parts are shown.", nodesMax)))
		}
		out = append(out, r.node(n, depth))
	}
	return out
}

func refused(title, text string) g.Node {
	return ui.Banner{Tone: ui.Warn, Title: title, Text: text + " Tell the plugin's author."}
}

// node renders the one field that is set.
func (r *renderer) node(n viewv1.Node, depth int) g.Node {
	switch {
	case n.Section != nil:
		return r.section(*n.Section, depth)
	case n.Stats != nil:
		return stats(*n.Stats)
	case n.Table != nil:
		return h.Div(h.Class("bleed"), r.table(*n.Table))
	case n.List != nil:
		return h.Div(h.Class("bleed"), r.list(*n.List))
	case n.Timeline != nil:
		return r.timeline(*n.Timeline)
	case n.Chart != nil:
		return drawing(*n.Chart)
	case n.Status != nil:
		return h.Div(h.Class("row row-wrap"), ui.Chip{Text: n.Status.Label, Tone: tone(n.Status.Tone)}, h.Span(h.Class("soft break"), g.Text(n.Status.Detail)))
	case n.Link != nil:
		return h.Div(h.Class("row"), ui.Icon("external"), ui.External(n.Link.URL, n.Link.Title))
	}
	return r.wordy(n)
}

func (r *renderer) section(s viewv1.Section, depth int) g.Node {
	title := h.H3(g.Text(s.Title))
	if strings.EqualFold(s.Title, r.heading) {
		title = h.H3(h.Class("sr"), g.Text(s.Title))
	}
	outer := r.heading
	r.heading = s.Title
	inner := r.nodes(s.Nodes, depth+1)
	r.heading = outer
	return h.Section(h.Class("part"), title, inner)
}

func (r *renderer) wordy(n viewv1.Node) g.Node {
	switch {
	case n.Markdown != nil:
		return text.Markdown(n.Markdown.Text)
	case n.Form != nil:
		return r.form(*n.Form)
	case n.Empty != nil:
		return ui.Empty{Title: n.Empty.Title, Text: n.Empty.Text, Code: n.Empty.Code}
	case n.Error != nil:
		return failed(*n.Error)
	case n.KeyValue != nil:
		return r.facts(*n.KeyValue)
	case n.Code != nil:
		return ui.Code{Text: n.Code.Text, Title: n.Code.Language}
	}
	return refused("One part of this view is of a kind that this portal does not know.", "")
}

func failed(e viewv1.Error) g.Node {
	hint := e.Hint
	if e.RetryAfterSeconds > 0 {
		wait := time.Duration(e.RetryAfterSeconds) * time.Second
		if hint != "" {
			hint += " "
		}
		hint += "Try again " + ui.AgoText(time.Time{}.Add(wait), time.Time{}) + "."
	}
	return ui.Failed{Title: e.Title, Text: e.Text, Hint: hint}
}

func stats(s viewv1.Stats) g.Node {
	out := data.Stats{}
	for _, x := range s.Items {
		out = append(out, data.Stat{Label: x.Label, Value: x.Value, Unit: x.Unit, Change: x.Change, Tone: tone(x.Tone),
			Spark: chart.SparkLine(x.Label+", recent values", x.Spark)})
	}
	return out
}

func (r *renderer) timeline(t viewv1.Timeline) g.Node {
	out := data.Timeline{Now: r.Now, Empty: ui.Empty{Title: "Nothing happened yet"}}
	for _, e := range t.Events[:min(len(t.Events), rowsMax)] {
		out.Events = append(out.Events, data.Event{At: e.Time, Title: e.Title, Detail: e.Detail, Tone: tone(e.Tone), URL: e.URL})
	}
	return out
}

func drawing(c viewv1.Chart) g.Node {
	out := chart.Chart{Title: c.Title, Kind: c.Kind, Unit: c.Unit, From: c.From, To: c.To, Empty: c.Empty, Query: c.Query}
	for _, s := range c.Series {
		series := chart.Series{Name: s.Name}
		for _, p := range s.Points {
			series.Points = append(series.Points, chart.Point{Time: p.Time, Value: p.Value})
		}
		out.Series = append(out.Series, series)
	}
	return out
}

// params are the view's choices. They reload the view alone, or the whole
// page without a script.
func (r *renderer) params(list []viewv1.Param) g.Node {
	if len(list) == 0 || r.PageURL == "" {
		return nil
	}
	fields := g.Group{}
	for _, name := range slices.Sorted(maps.Keys(r.PageQuery)) {
		fields = append(fields, form.Hidden(name, r.PageQuery.Get(name)))
	}
	for _, p := range list {
		f := form.Field{Name: "p." + p.Name, ID: r.id(), Label: p.Label, Kind: form.Select, Value: p.Value}
		for _, o := range p.Options {
			f.Options = append(f.Options, form.Option{Value: o.Value, Label: o.Label})
		}
		fields = append(fields, f)
	}
	return h.Form(h.Class("choices"), h.Method("get"), h.Action(r.PageURL), g.Attr("data-auto"),
		g.If(r.PartURL != "", g.Group{g.Attr("hx-get", r.PartURL), g.Attr("hx-target", "closest [data-lazy]"), g.Attr("hx-swap", "innerHTML")}),
		fields, ui.Button{Label: "Show", Small: true, Attrs: []g.Node{g.Attr("data-plain")}})
}

func tone(t viewv1.Tone) ui.Tone { return ui.ToneOf(string(t)) }
