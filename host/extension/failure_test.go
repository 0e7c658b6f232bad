package extension

import (
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
	"github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

// TestAnswersSayHowTheyCameAbout: headers of operations and the line under a
// view say how long an answer waited, and how old it is.
func TestAnswersSayHowTheyCameAbout(t *testing.T) {
	h := &house{active: []plugin.Instance{board()}, revision: 1, answer: route.Response{Status: 200, Body: []byte(`{"name":"x"}`)}}
	r, v := NewRouter(h, authz{}), NewViews(h, authz{})
	t.Run("Fresh", func(t *testing.T) {
		out, err := r.Serve(t.Context(), viewer(), "board", "GET", "/items/7", RouteRequest{})
		if err != nil || out.Header["Server-Timing"] != "wait;dur=1.500, plugin;dur=0.020" || out.Header[HeaderStale] != "" || !h.repeatable {
			t.Errorf("got %+v, %v", out.Header, err)
		}
	})
	t.Run("Stale", func(t *testing.T) {
		h.stale = 90 * time.Second
		out, err := r.Serve(t.Context(), viewer(), "board", "GET", "/items/7", RouteRequest{})
		if err != nil || out.Header[HeaderStale] != "90" {
			t.Errorf("got %+v, %v", out.Header, err)
		}
	})
	t.Run("AChangeIsNeverAnsweredByAnEarlierOne", func(t *testing.T) {
		h.answer = route.Response{Status: 204}
		_, err := r.Serve(t.Context(), viewer(), "board", "PUT", "/items/7", RouteRequest{Body: []byte(`{"name":"y"}`), ContentType: "application/json"})
		if err != nil || h.repeatable {
			t.Errorf("repeatable %v, %v", h.repeatable, err)
		}
	})
	t.Run("StaleView", func(t *testing.T) {
		h.answer = view.Tree{Nodes: []view.Node{{Markdown: &view.Markdown{Text: "x"}}}}
		tree, err := v.Render(t.Context(), viewer(), "board", "page", nil, nil)
		if err != nil || tree.Source == nil || !tree.Source.Stale || !strings.Contains(tree.Source.Message, "1m30s") || tree.Source.FetchedAt.IsZero() {
			t.Errorf("got %+v, %v", tree.Source, err)
		}
	})
	t.Run("NeutralView", func(t *testing.T) {
		h.stale, h.neutral, h.err = 0, true, host.Errorf(host.CodePluginTrap, "crashed")
		tree, err := v.Render(t.Context(), viewer(), "board", "page", nil, nil)
		if err != nil || len(tree.Nodes) != 1 || tree.Nodes[0].Empty == nil {
			t.Errorf("got %+v, %v", tree, err)
		}
	})
}
