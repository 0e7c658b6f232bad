// Package gallery is every component in every state, once: the page
// /-/components shows it, the golden tests compare it, and the accessibility
// tests walk it. A component that is not here does not exist.
package gallery

import (
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// State is a component in one state.
type State struct {
	// Name says which state.
	Name string
	Node g.Node
	// Flush shows it without padding.
	Flush bool
}

// Specimen is one component in all its states.
type Specimen struct {
	// ID is the anchor on the page and the name of the golden file.
	ID    string
	Title string
	// About says when to use it.
	About  string
	States []State
	// Wide gives each state the whole width.
	Wide bool
}

// Specimens returns all components in the order of the page. All times are
// relative to now.
func Specimens(now time.Time) []Specimen {
	var out []Specimen
	out = append(out, controls(now)...)
	out = append(out, forms()...)
	out = append(out, facts(now)...)
	out = append(out, drawings(now)...)
	out = append(out, notices(now)...)
	out = append(out, overlays(now)...)
	return append(out, views(now)...)
}

// Page is the body of the page of components.
func Page(now time.Time) g.Node {
	all := Specimens(now)
	return h.Div(h.Class("gallery"),
		h.Nav(h.Class("gallery-nav"), g.Attr("aria-label", "Components"), h.Ul(ui.Map(all, func(s Specimen) g.Node {
			return h.Li(h.A(h.Href("#"+s.ID), g.Text(s.Title)))
		}))),
		h.Div(ui.Map(all, func(s Specimen) g.Node { return s.node() })))
}

func (s Specimen) node() g.Node {
	class := "states"
	if s.Wide {
		class += " states-wide"
	}
	return h.Section(h.ID(s.ID), h.Class("specimen"), h.H2(g.Text(s.Title)), h.P(g.Text(s.About)),
		h.Div(h.Class(class), ui.Map(s.States, func(x State) g.Node {
			shown := "shown"
			if x.Flush {
				shown += " shown-bleed"
			}
			return h.Div(h.Class("state-box"), h.Div(h.Class("name"), g.Text(x.Name)), h.Div(h.Class(shown), x.Node))
		})))
}

// row lays nodes side by side.
func row(nodes ...g.Node) g.Node { return h.Div(h.Class("row row-wrap"), g.Group(nodes)) }
