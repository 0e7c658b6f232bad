package web

import (
	"net/http"

	g "maragu.dev/gomponents"

	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
	"github.com/callboard-dev/callboard/host/web/ui/gallery"
)

// components shows every component in every state.
func (s *site) components(v *visit) error {
	return v.show(http.StatusOK, "/-/components", "Components", ui.Breadcrumb{{Label: "Components"}},
		frame.Head{Title: "Components", Lead: g.Text("Every part of the interface in every state. Plugins' views are made of the same parts.")},
		gallery.Page(v.now()))
}
