package sdktest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/sdktest"
	"github.com/callboard-dev/callboard/sdk/view"
)

// look renders the nodes as the probe's view and returns what a test would say.
func look(t *testing.T, tree view.Tree) string {
	t.Helper()
	p := probe{look: func(*sdk.Context, view.Request) (view.Tree, error) { return tree, nil }}
	return faultsOf(t, func(tb sdktest.TB) {
		if _, err := sdktest.New(tb, p.plugin(), manifestFile(t, manifestText)).View(view.Request{View: "look"}); err != nil {
			tb.Errorf("%v", err)
		}
	})
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// act is an action that the manifest declares.
func act() view.Action { return view.Action{Label: "Act", Operation: "act"} }

func TestTreesThatCanBeShown(t *testing.T) {
	tree := view.Of(
		view.Section("Empty"), view.Section("Full", view.Text("*hello*")),
		view.StatRow(view.Stat{Label: "L", Value: "1", Tone: view.Good}),
		view.TableOf(view.Table{Columns: []view.Column{{Title: "A"}, {Title: "B"}}, Rows: []view.Row{
			view.RowOf(view.TextCell("a"), view.MonoCell("b")), view.RowOf(view.LinkCell("a", "https://x.example"), view.TimeCell(noon)),
			view.RowOf(view.ToneCell(view.Bad, "a"), view.ActionCell(act()))}}),
		view.TableOf(view.Table{Columns: []view.Column{{Title: "A"}}, Empty: "Nothing."}),
		view.List("Nothing."), view.List("", view.ListItem{Title: "T", URL: "/catalog"}),
		view.Timeline(), view.Timeline(view.Event{Title: "T", Time: noon}),
		view.ChartOf(view.Chart{Title: "C"}),
		view.ChartOf(view.Chart{Title: "C", Kind: view.Bar, Series: []view.Series{{Points: []view.Point{view.At(noon, 1), view.Gap(noon.Add(1))}}}}),
		view.Status(view.Warn, "Slow", ""), view.Link("L", "mailto:a@b.example"), view.Facts(view.FactOf("K", view.TextCell("V"))),
		view.Code("sh", "ls"), view.FormOf(act()),
		view.FormOf(act(), view.Field{Name: "a", Label: "A", Kind: "text"}, view.Field{Name: "b", Label: "B", Kind: "select", Options: []view.Option{{Value: "1"}}}),
		view.Nothing("None", "", ""), view.MissingAnnotation("a/b", "c"),
		view.Failure("Broke", sdk.Errorf(sdk.CodeRateLimited, "later").WithRetryAfter(1500*time.Millisecond)), view.Failure("Broke", nil),
	)
	tree.Source = &view.Source{Label: "Up", URL: "https://up.example"}
	tree.Params = []view.Param{{Name: "range", Options: []view.Option{{Value: "1h"}}}}
	if got := look(t, tree); got != "" {
		t.Errorf("it was refused: %s", got)
	}
	if got := look(t, view.Tree{}); got != "" {
		t.Errorf("an empty tree was refused: %s", got)
	}
	if e := view.Failure("Broke", errors.New("x")).Error; e.Text != "x" || e.RetryAfterSeconds != 0 {
		t.Errorf("got %+v", e)
	}
	if e := view.Failure("Broke", sdk.Errorf(sdk.CodeRateLimited, "later").WithRetryAfter(1500*time.Millisecond)).Error; e.RetryAfterSeconds != 2 {
		t.Errorf("got %+v, want 2 s", e)
	}
}

func TestTreesThatCannotBeShown(t *testing.T) {
	mixed := view.Text("a")
	mixed.Link = view.Link("a", "https://b.example").Link
	late := []view.Point{view.At(noon, 1), view.At(noon.Add(-1), 1)}
	tests := map[string]struct {
		node view.Node
		want string
	}{
		"no component":                 {view.Node{}, "nodes[0]: a node has exactly one component, this one has 0"},
		"two components":               {view.Section("S", mixed), "nodes[0].section.nodes[0]: a node has exactly one component, this one has 2"},
		"a row that is too short":      {view.TableOf(view.Table{Columns: make([]view.Column, 2), Rows: []view.Row{view.RowOf(view.TextCell("a"))}}), "rows[0]: 1 cells under 2 columns"},
		"a table without columns":      {view.TableOf(view.Table{}), "needs columns"},
		"a tone that is unknown":       {view.Status("red", "R", ""), `the tone "red" is unknown`},
		"a stat's tone":                {view.StatRow(view.Stat{Tone: "x"}), `stats.items[0]: the tone "x"`},
		"a list item's link":           {view.List("", view.ListItem{Title: "T", URL: "javascript:alert(1)"}), "does not lead to"},
		"a list item without title":    {view.List("", view.ListItem{}), "list.items[0].title: must not be empty"},
		"a protocol-relative link":     {view.Link("L", "//evil.example"), "does not lead to"},
		"an event without time":        {view.Timeline(view.Event{Title: "T"}), "needs a time"},
		"a chart of an unknown kind":   {view.ChartOf(view.Chart{Kind: "pie"}), `kind "pie"`},
		"a chart that goes back":       {view.ChartOf(view.Chart{Series: []view.Series{{Points: late}}}), "back in time"},
		"an undeclared action":         {view.FormOf(view.Action{Label: "L", Operation: "none"}), `no operation "none"`},
		"an undeclared action in cell": {view.Facts(view.FactOf("K", view.ActionCell(view.Action{Label: "L", Operation: "none"}))), "keyvalue.items[0].action"},
		"a field that is there twice":  {view.FormOf(act(), view.Field{Name: "a", Label: "A", Kind: "text"}, view.Field{Name: "a", Label: "A", Kind: "text"}), "is there twice"},
		"a field of an unknown kind":   {view.FormOf(act(), view.Field{Name: "a", Label: "A", Kind: "colour"}), `kind "colour"`},
		"a select without options":     {view.FormOf(act(), view.Field{Name: "a", Label: "A", Kind: "select"}), "needs options"},
		"an empty state without title": {view.Nothing(" ", "", ""), "empty.title: must not be empty"},
		"an error without title":       {view.Failure("", errors.New("x")), "error.title: must not be empty"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := look(t, view.Of(tt.node)); !strings.Contains(got, tt.want) {
				t.Errorf("it said %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("a param without options", func(t *testing.T) {
		if got := look(t, view.Tree{Params: []view.Param{{Name: "a"}}}); !strings.Contains(got, "params[0]") {
			t.Errorf("it said %q", got)
		}
	})
	t.Run("a source with a strange link", func(t *testing.T) {
		if got := look(t, view.Tree{Source: &view.Source{URL: "ftp://x"}}); !strings.Contains(got, "source") {
			t.Errorf("it said %q", got)
		}
	})
}

func TestEntityView(t *testing.T) {
	p := probe{look: func(_ *sdk.Context, r view.Request) (view.Tree, error) {
		e, err := r.EntityDoc()
		return view.Of(view.Text(e.Ref() + " " + r.Slot + " " + r.Param("range", "1h") + " " + r.Param("unit", "s"))), err
	}}
	h := sdktest.New(t, p.plugin(), manifestFile(t, manifestText), sdktest.Entities(component("one", "service")))
	tree, err := h.EntityView("look", "Component:default/one", map[string]string{"range": "6h"})
	if err != nil || tree.Nodes[0].Markdown.Text != "component:default/one entity.tab 6h s" {
		t.Errorf("got %+v, %v", tree, err)
	}
	if _, err := h.View(view.Request{View: "look"}); sdk.CodeOf(err) != sdk.CodeInvalid {
		t.Errorf("without an entity it gives %v", err)
	}
}
