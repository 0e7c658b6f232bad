package viewtree_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/callboard-dev/callboard/host/web/ui/viewtree"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

var settings = viewtree.Settings{ID: "v", Now: time.Unix(1_800_000_000, 0), ActionURL: "/-/actions/p", CSRF: "token", Here: "/here", PageURL: "/page", PartURL: "/part"}

func render(t *testing.T, tree viewv1.Tree, s viewtree.Settings) string {
	t.Helper()
	var out strings.Builder
	if err := (viewtree.Tree{Tree: tree, Settings: s}).Render(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// evil is put wherever a plugin may write text.
const evil = `"'><script>alert(1)</script><a href=javascript:alert(1) onclick=alert(1) style=x>`

// hostileTree sets every text of every node to evil, whatever fields they get.
func hostileTree(t *testing.T) viewv1.Tree {
	t.Helper()
	const all = `{"source": {"label": "E", "url": "javascript:alert(1)", "stale": true, "message": "E"},
	"params": [{"name": "E", "label": "E", "value": "E", "options": [{"value": "E", "label": "E"}]}],
	"nodes": [
	 {"section": {"title": "E", "nodes": [{"status": {"tone": "E", "label": "E", "detail": "E"}}]}},
	 {"stats": {"items": [{"label": "E", "value": "E", "unit": "E", "change": "E", "tone": "E", "spark": [1, 2, 3]}]}},
	 {"table": {"caption": "E", "columns": [{"title": "E"}, {"title": "E"}], "rows": [{"cells": [{"text": "E", "url": "javascript:alert(1)", "tone": "E", "mono": true}, {"text": "E", "action": {"label": "E", "operation": "E", "params": {"E": "E"}, "confirm": "E", "danger": true}}]}, {"cells": []}]}},
	 {"list": {"items": [{"title": "E", "detail": "E", "url": "data:text/html,x", "tone": "E", "label": "E"}]}},
	 {"timeline": {"events": [{"time": "2026-01-01T00:00:00Z", "title": "E", "detail": "E", "tone": "E", "url": "//evil.example"}]}},
	 {"chart": {"title": "E", "kind": "E", "unit": "E", "query": "E", "empty": "E", "series": [{"name": "E", "points": [{"t": "2026-01-01T00:00:00Z", "v": 1}, {"t": "2026-01-01T01:00:00Z", "v": null}]}]}},
	 {"link": {"title": "E", "url": "javascript:alert(1)"}}, {"markdown": {"text": "E"}}, {"code": {"language": "E", "text": "E"}},
	 {"form": {"action": {"label": "E", "operation": "E", "params": {"E": "E"}}, "fields": [{"name": "E", "label": "E", "help": "E", "kind": "E", "value": "E", "options": [{"value": "E", "label": "E"}]}, {"name": "E2", "label": "E", "kind": "select"}]}},
	 {"empty": {"title": "E", "text": "E", "code": "E"}}, {"error": {"title": "E", "text": "E", "hint": "E", "retryAfterSeconds": 5}},
	 {"keyValue": {"items": [{"key": "E", "text": "E", "url": "javascript:alert(1)"}]}}, {}]}`
	quoted, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	var tree viewv1.Tree
	if err := json.Unmarshal([]byte(strings.ReplaceAll(all, `"E"`, string(quoted))), &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestHostileTextComesOutAsText(t *testing.T) {
	out := render(t, hostileTree(t), settings)
	root, err := html.Parse(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" || n.Data == "img" || n.Data == "style" {
			t.Errorf("a %s element got through", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("%s has the attribute %s=%q", n.Data, a.Key, a.Val)
			}
			if a.Key == "href" && !strings.HasPrefix(a.Val, "/assets/") {
				t.Errorf("a link leads to %q", a.Val)
			}
			if a.Key == "class" && strings.ContainsAny(a.Val, `"<>`) {
				t.Errorf("the class %q was made of a plugin's text", a.Val)
			}
			if a.Key == "action" && a.Val != settings.ActionURL && a.Val != settings.PageURL {
				t.Errorf("a form posts to %q", a.Val)
			}
		}
	}
}

func TestActionsCarryTokenAndPlace(t *testing.T) {
	tree := viewv1.Tree{Nodes: []viewv1.Node{{Form: &viewv1.Form{Action: viewv1.Action{Label: "Go", Operation: "op", Params: map[string]string{"b": "2", "a": "1"}}, Fields: []viewv1.Field{{Name: "n", Label: "N", Kind: "number", Required: true}}}}}}
	out := render(t, tree, settings)
	for _, want := range []string{`action="/-/actions/p"`, `name="csrf" value="token"`, `name="next" value="/here"`, `name="operation" value="op"`, `name="param.a" value="1"`, `name="kind.n" value="number"`, `name="field.n" type="number"`} {
		if !strings.Contains(out, want) && !strings.Contains(out, strings.Replace(want, `name="field.n" type="number"`, `name="field.n"`, 1)) {
			t.Errorf("%s is not in %s", want, out)
		}
	}
}

func TestViewsWithoutAPlaceToPostHaveNoActions(t *testing.T) {
	s := settings
	s.ActionURL = ""
	tree := viewv1.Tree{Nodes: []viewv1.Node{{Form: &viewv1.Form{Action: viewv1.Action{Label: "Go", Operation: "op"}}}}}
	if out := render(t, tree, s); strings.Contains(out, "<form") || strings.Contains(out, "<button") {
		t.Errorf("there is an action in %s", out)
	}
}

func TestGreedyTreesAreBounded(t *testing.T) {
	t.Run("many nodes", func(t *testing.T) {
		tree := viewv1.Tree{}
		for range 5000 {
			tree.Nodes = append(tree.Nodes, viewv1.Node{Status: &viewv1.Status{Label: "x"}})
		}
		if out := render(t, tree, settings); !strings.Contains(out, "too long") || len(out) > 300_000 {
			t.Errorf("%d bytes were shown", len(out))
		}
	})
	t.Run("deep sections", func(t *testing.T) {
		node := viewv1.Node{Status: &viewv1.Status{Label: "bottom"}}
		for range 5000 {
			node = viewv1.Node{Section: &viewv1.Section{Nodes: []viewv1.Node{node}}}
		}
		if out := render(t, viewv1.Tree{Nodes: []viewv1.Node{node}}, settings); !strings.Contains(out, "nested too deeply") || strings.Contains(out, "bottom") {
			t.Error("the bottom was reached")
		}
	})
	t.Run("many rows", func(t *testing.T) {
		table := viewv1.Table{Columns: []viewv1.Column{{Title: "A"}}, Rows: make([]viewv1.Row, 20_000)}
		for i := range table.Rows {
			table.Rows[i] = viewv1.Row{Cells: []viewv1.Cell{{Text: "x"}}}
		}
		if out := render(t, viewv1.Tree{Nodes: []viewv1.Node{{Table: &table}}}, settings); !strings.Contains(out, "1,000 of 20,000 rows") {
			t.Error("it does not say how many rows are shown")
		}
	})
	t.Run("impossible numbers", func(t *testing.T) {
		var points []viewv1.Point
		for i, v := range []float64{math.NaN(), math.Inf(1), math.MaxFloat64, -math.MaxFloat64, 0, 1e-320} {
			points = append(points, viewv1.Point{Time: time.Unix(int64(i), 0), Value: &v})
		}
		for _, kind := range []string{"line", "bar", "stacked", "spark", "pie"} {
			out := render(t, viewv1.Tree{Nodes: []viewv1.Node{{Chart: &viewv1.Chart{Title: "x", Kind: kind, Series: []viewv1.Series{{Points: points}, {}}}}, {Stats: &viewv1.Stats{Items: []viewv1.Stat{{Spark: []float64{math.NaN(), math.Inf(-1), 1, 2}}}}}}}, settings)
			if strings.Contains(out, "NaN") || strings.Contains(out, "Inf") {
				t.Errorf("%s draws what is no number: …%s…", kind, out[max(0, strings.Index(out, "Inf")-80):][:160])
			}
		}
	})
}

func TestOriginSaysWhereAndHowOld(t *testing.T) {
	tree := viewv1.Tree{Source: &viewv1.Source{Label: "Sentry", Stale: true, Message: "slow", FetchedAt: settings.Now.Add(-6 * time.Minute)}}
	var out strings.Builder
	if err := viewtree.Origin(tree, "Plugin", settings.Now).Render(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "Sentry: slow") || !strings.Contains(out.String(), "6 min ago") {
		t.Errorf("got %s", out.String())
	}
}
