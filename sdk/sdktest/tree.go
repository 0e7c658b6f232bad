package sdktest

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/sdk/view"
)

// checkTree says what in a tree could not be shown.
func (h *Host) checkTree(t view.Tree) error {
	c := treeCheck{declares: func(operation string) bool { _, ok := h.routes[operation]; return ok }}
	for i, p := range t.Params {
		if p.Name == "" || len(p.Options) == 0 {
			c.fault(fmt.Sprintf("params[%d]", i), "a param needs a name and options")
		}
	}
	if t.Source != nil {
		c.link("source", t.Source.URL)
	}
	c.nodes("nodes", t.Nodes)
	return errors.Join(c.faults...)
}

// treeCheck collects what is wrong with a tree.
type treeCheck struct {
	declares func(operation string) bool
	faults   []error
}

func (c *treeCheck) fault(where, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

func (c *treeCheck) nodes(where string, nodes []view.Node) {
	for i, n := range nodes {
		c.node(fmt.Sprintf("%s[%d]", where, i), n)
	}
}

// node checks one node: exactly one field, and that field's own rules.
func (c *treeCheck) node(where string, n view.Node) {
	value := reflect.ValueOf(n)
	var set []string
	for i := range value.NumField() {
		if !value.Field(i).IsNil() {
			set = append(set, strings.ToLower(value.Type().Field(i).Name))
		}
	}
	if len(set) != 1 {
		c.fault(where, "a node has exactly one component, this one has %d %v", len(set), set)
		return
	}
	where += "." + set[0]
	switch {
	case n.Section != nil:
		c.nodes(where+".nodes", n.Section.Nodes)
	case n.Stats != nil:
		for i, s := range n.Stats.Items {
			c.tone(fmt.Sprintf("%s.items[%d]", where, i), s.Tone)
		}
	case n.Table != nil:
		c.table(where, n.Table)
	case n.List != nil:
		for i, item := range n.List.Items {
			at := fmt.Sprintf("%s.items[%d]", where, i)
			c.required(at+".title", item.Title)
			c.tone(at, item.Tone)
			c.link(at, item.URL)
		}
	case n.Timeline != nil:
		for i, e := range n.Timeline.Events {
			at := fmt.Sprintf("%s.events[%d]", where, i)
			c.required(at+".title", e.Title)
			c.tone(at, e.Tone)
			c.link(at, e.URL)
			if e.Time.IsZero() {
				c.fault(at, "an event needs a time")
			}
		}
	case n.Chart != nil:
		c.chart(where, n.Chart)
	case n.Status != nil:
		c.required(where+".label", n.Status.Label)
		c.tone(where, n.Status.Tone)
	case n.Link != nil:
		c.required(where+".title", n.Link.Title)
		c.required(where+".url", n.Link.URL)
		c.link(where, n.Link.URL)
	case n.Form != nil:
		c.form(where, n.Form)
	case n.KeyValue != nil:
		for i, f := range n.KeyValue.Items {
			at := fmt.Sprintf("%s.items[%d]", where, i)
			c.required(at+".key", f.Key)
			c.cell(at, f.Cell)
		}
	case n.Empty != nil:
		c.required(where+".title", n.Empty.Title)
	case n.Error != nil:
		c.required(where+".title", n.Error.Title)
	}
}

func (c *treeCheck) table(where string, t *view.Table) {
	if len(t.Columns) == 0 {
		c.fault(where, "a table needs columns")
	}
	for i, row := range t.Rows {
		at := fmt.Sprintf("%s.rows[%d]", where, i)
		if len(row.Cells) != len(t.Columns) {
			c.fault(at, "%d cells under %d columns", len(row.Cells), len(t.Columns))
		}
		for j, cell := range row.Cells {
			c.cell(fmt.Sprintf("%s.cells[%d]", at, j), cell)
		}
	}
}

func (c *treeCheck) cell(where string, cell view.Cell) {
	c.tone(where, cell.Tone)
	c.link(where, cell.URL)
	if cell.Action != nil {
		c.action(where+".action", *cell.Action)
	}
}

func (c *treeCheck) chart(where string, chart *view.Chart) {
	if !slices.Contains([]string{view.Line, view.Bar, view.Stacked, view.Spark}, chart.Kind) {
		c.fault(where, "a chart of kind %q cannot be drawn", chart.Kind)
	}
	for i, s := range chart.Series {
		for j := 1; j < len(s.Points); j++ {
			if s.Points[j].Time.Before(s.Points[j-1].Time) {
				c.fault(fmt.Sprintf("%s.series[%d].points[%d]", where, i, j), "points go back in time")
				break
			}
		}
	}
}

func (c *treeCheck) form(where string, f *view.Form) {
	c.action(where+".action", f.Action)
	seen := map[string]bool{}
	for i, field := range f.Fields {
		at := fmt.Sprintf("%s.fields[%d]", where, i)
		c.required(at+".name", field.Name)
		c.required(at+".label", field.Label)
		if seen[field.Name] {
			c.fault(at, "the name %q is there twice", field.Name)
		}
		seen[field.Name] = true
		if !slices.Contains([]string{"text", "number", "checkbox", "select", "textarea"}, field.Kind) {
			c.fault(at, "a field of kind %q is unknown", field.Kind)
		}
		if field.Kind == "select" && len(field.Options) == 0 {
			c.fault(at, "a select needs options")
		}
	}
}

func (c *treeCheck) action(where string, a view.Action) {
	c.required(where+".label", a.Label)
	if !c.declares(a.Operation) {
		c.fault(where, "the manifest declares no operation %q", a.Operation)
	}
}

func (c *treeCheck) required(where, value string) {
	if strings.TrimSpace(value) == "" {
		c.fault(where, "must not be empty")
	}
}

func (c *treeCheck) tone(where string, t view.Tone) {
	if t != "" && !slices.Contains([]view.Tone{view.Neutral, view.Good, view.Warn, view.Bad, view.Info}, t) {
		c.fault(where, "the tone %q is unknown", t)
	}
}

// link accepts http, https, mailto and paths within the portal.
func (c *treeCheck) link(where, address string) {
	if address == "" || strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//") {
		return
	}
	u, err := url.Parse(address)
	if err != nil || !slices.Contains([]string{"http", "https", "mailto"}, u.Scheme) {
		c.fault(where, "the host does not lead to %q", address)
	}
}
