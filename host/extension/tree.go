package extension

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"

	"github.com/callboard-dev/callboard/host/plugin/schema"
	"github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

// What a tree may hold at most: enough for any page that a person reads.
const (
	maxNodes  = 500
	maxDepth  = 6
	maxRows   = 1000
	maxPoints = 50_000
	maxText   = 64 << 10
)

var (
	tones      = []view.Tone{"", view.ToneNeutral, view.ToneGood, view.ToneWarn, view.ToneBad, view.ToneInfo}
	chartKinds = []string{"line", "bar", "stacked", "spark"}
	fieldKinds = []string{"text", "number", "checkbox", "select", "textarea"}
)

// checkTree returns what is wrong with a tree, each fault with its pointer.
func checkTree(t *view.Tree) []schema.Fault {
	c := &treeCheck{}
	if t.Source != nil {
		c.link([]string{"source", "url"}, t.Source.URL, true)
	}
	c.nodes([]string{"nodes"}, t.Nodes, 1)
	for i, p := range t.Params {
		if p.Name == "" || len(p.Options) == 0 {
			c.fault([]string{"params", strconv.Itoa(i)}, "needs a name and options")
		}
	}
	return c.faults
}

// treeCheck collects faults, and counts what could grow without end.
type treeCheck struct {
	faults        []schema.Fault
	count, points int
}

func (c *treeCheck) fault(at []string, format string, args ...any) {
	if len(c.faults) < 20 {
		c.faults = append(c.faults, schema.Fault{Path: slices.Clone(at), Message: fmt.Sprintf(format, args...)})
	}
}

func (c *treeCheck) nodes(at []string, nodes []view.Node, depth int) {
	if depth > maxDepth {
		c.fault(at, "is nested deeper than %d levels", maxDepth)
		return
	}
	for i := range nodes {
		if c.count++; c.count > maxNodes {
			c.fault(at, "the tree has more than %d nodes", maxNodes)
			return
		}
		c.node(append(slices.Clone(at), strconv.Itoa(i)), &nodes[i], depth)
	}
}

// node checks one node: exactly one of its fields is set.
func (c *treeCheck) node(at []string, n *view.Node, depth int) {
	kinds := []struct {
		name  string
		set   bool
		check func(at []string)
	}{
		{"section", n.Section != nil, func(at []string) { c.nodes(append(at, "nodes"), n.Section.Nodes, depth+1) }},
		{"stats", n.Stats != nil, func(at []string) { c.stats(at, n.Stats) }},
		{"table", n.Table != nil, func(at []string) { c.table(at, n.Table) }},
		{"list", n.List != nil, func(at []string) { c.list(at, n.List) }},
		{"timeline", n.Timeline != nil, func(at []string) { c.timeline(at, n.Timeline) }},
		{"chart", n.Chart != nil, func(at []string) { c.chart(at, n.Chart) }},
		{"status", n.Status != nil, func(at []string) { c.tone(at, n.Status.Tone) }},
		{"link", n.Link != nil, func(at []string) { c.link(append(at, "url"), n.Link.URL, false) }},
		{"markdown", n.Markdown != nil, func(at []string) { c.text(append(at, "text"), n.Markdown.Text) }},
		{"form", n.Form != nil, func(at []string) { c.form(at, n.Form) }},
		{"empty", n.Empty != nil, func(at []string) { c.text(append(at, "text"), n.Empty.Text+n.Empty.Code) }},
		{"error", n.Error != nil, func(at []string) { c.text(append(at, "text"), n.Error.Text) }},
		{"keyValue", n.KeyValue != nil, func(at []string) { c.facts(at, n.KeyValue) }},
		{"code", n.Code != nil, func(at []string) { c.text(append(at, "text"), n.Code.Text) }},
	}
	set := 0
	for _, k := range kinds {
		if !k.set {
			continue
		}
		if set++; set == 1 {
			k.check(append(slices.Clone(at), k.name))
		}
	}
	if set != 1 {
		c.fault(at, "sets %d of the components, exactly one is needed", set)
	}
}

func (c *treeCheck) stats(at []string, s *view.Stats) {
	c.rows(at, len(s.Items))
	for i, item := range s.Items {
		here := append(slices.Clone(at), "items", strconv.Itoa(i))
		c.tone(here, item.Tone)
		c.plot(here, len(item.Spark))
		for _, v := range item.Spark {
			c.finite(here, v)
		}
	}
}

func (c *treeCheck) table(at []string, t *view.Table) {
	if len(t.Columns) == 0 || len(t.Columns) > 30 {
		c.fault(append(at, "columns"), "must be 1 to 30")
	}
	c.rows(at, len(t.Rows))
	for i, r := range t.Rows {
		here := append(slices.Clone(at), "rows", strconv.Itoa(i))
		if len(r.Cells) != len(t.Columns) {
			c.fault(here, "has %d cells, the table has %d columns", len(r.Cells), len(t.Columns))
		}
		for j := range r.Cells {
			c.cell(append(slices.Clone(here), "cells", strconv.Itoa(j)), &r.Cells[j])
		}
	}
}

func (c *treeCheck) cell(at []string, cell *view.Cell) {
	c.tone(at, cell.Tone)
	c.link(append(at, "url"), cell.URL, true)
	c.text(append(at, "text"), cell.Text)
	if cell.Action != nil {
		c.action(append(at, "action"), cell.Action)
	}
}

func (c *treeCheck) list(at []string, l *view.List) {
	c.rows(at, len(l.Items))
	for i, item := range l.Items {
		here := append(slices.Clone(at), "items", strconv.Itoa(i))
		c.tone(here, item.Tone)
		c.link(append(here, "url"), item.URL, true)
	}
}

func (c *treeCheck) timeline(at []string, t *view.Timeline) {
	c.rows(at, len(t.Events))
	for i, e := range t.Events {
		here := append(slices.Clone(at), "events", strconv.Itoa(i))
		c.tone(here, e.Tone)
		c.link(append(here, "url"), e.URL, true)
		if e.Time.IsZero() {
			c.fault(append(here, "time"), "is missing")
		}
	}
}

func (c *treeCheck) chart(at []string, chart *view.Chart) {
	if !slices.Contains(chartKinds, chart.Kind) {
		c.fault(append(at, "kind"), "is %q but must be line, bar, stacked or spark", clip(chart.Kind))
	}
	if !chart.From.IsZero() && !chart.To.IsZero() && chart.To.Before(chart.From) {
		c.fault(append(at, "to"), "is before from")
	}
	if len(chart.Series) > 100 {
		c.fault(append(at, "series"), "are more than 100")
		return
	}
	for i, s := range chart.Series {
		here := append(slices.Clone(at), "series", strconv.Itoa(i))
		c.plot(here, len(s.Points))
		for j, p := range s.Points {
			if j > 0 && p.Time.Before(s.Points[j-1].Time) {
				c.fault(append(here, "points", strconv.Itoa(j)), "is earlier than the point before it")
				break
			}
		}
	}
}

func (c *treeCheck) facts(at []string, kv *view.KeyValue) {
	c.rows(at, len(kv.Items))
	for i := range kv.Items {
		c.cell(append(slices.Clone(at), "items", strconv.Itoa(i)), &kv.Items[i].Cell)
	}
}

func (c *treeCheck) form(at []string, f *view.Form) {
	c.action(append(slices.Clone(at), "action"), &f.Action)
	if len(f.Fields) > 50 {
		c.fault(append(at, "fields"), "are more than 50")
	}
	for i, field := range f.Fields {
		here := append(slices.Clone(at), "fields", strconv.Itoa(i))
		if field.Name == "" || !slices.Contains(fieldKinds, field.Kind) {
			c.fault(here, "needs a name and one of the kinds text, number, checkbox, select, textarea")
		}
	}
}

func (c *treeCheck) action(at []string, a *view.Action) {
	if a.Label == "" || a.Operation == "" {
		c.fault(at, "needs a label and an operation")
	}
}

func (c *treeCheck) tone(at []string, t view.Tone) {
	if !slices.Contains(tones, t) {
		c.fault(append(slices.Clone(at), "tone"), "is %q, which is not a tone", clip(string(t)))
	}
}

// link allows absolute http and https URLs alone.
func (c *treeCheck) link(at []string, s string, optional bool) {
	if s == "" && optional {
		return
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(s) > 4096 {
		c.fault(at, "is %q but must be an http or https URL", clip(s))
	}
}

func (c *treeCheck) text(at []string, s string) {
	if len(s) > maxText {
		c.fault(at, "is longer than %d bytes", maxText)
	}
}

func (c *treeCheck) rows(at []string, n int) {
	if n > maxRows {
		c.fault(at, "has %d rows, at most %d are allowed", n, maxRows)
	}
}

// plot counts the points of all charts.
func (c *treeCheck) plot(at []string, n int) {
	if c.points += n; c.points > maxPoints {
		c.fault(at, "the tree has more than %d points", maxPoints)
	}
}

func (c *treeCheck) finite(at []string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		c.fault(at, "is not a finite number")
	}
}
