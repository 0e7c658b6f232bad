package web

import (
	"net/http"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/web/reference"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

// docsPage shows the tenant's OpenAPI document: the core's operations and
// those of the plugins that are enabled right now.
func (s *site) docsPage(v *visit) error {
	text, err := v.Contract.Document(v.ctx(), v.caller)
	if err != nil {
		return err
	}
	d, err := reference.Parse(text)
	if err != nil {
		return host.Errorf(host.CodeInternal, "The API reference cannot be made: %w", err)
	}
	operations := 0
	for _, x := range d.Groups {
		operations += len(x.Operations)
	}
	lead := g.Group{g.Text(ui.Plural(operations, "operation", "operations") + " of version " + d.Info.Version + ", with those of the plugins that are enabled now. Make a token under "), h.A(h.Href("/settings/tokens"), g.Text("API tokens")), g.Text(".")}
	return v.show(http.StatusOK, "/docs", "API reference", ui.Breadcrumb{{Label: "API reference"}},
		frame.Head{Title: "API reference", Lead: lead, Actions: []g.Node{ui.Button{Label: "OpenAPI (JSON)", Icon: "download", Href: "/openapi.json"}, ui.Button{Label: "YAML", Icon: "download", Href: "/openapi.yaml"}}},
		reference.Page(d, v.origin()))
}
