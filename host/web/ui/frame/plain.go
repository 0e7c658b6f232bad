package frame

import (
	"io"
	"strings"
	"unicode"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// Plain is a page without the frame: sign-in, and errors of people who are
// not signed in.
type Plain struct {
	Title  string
	Theme  string
	Assets Assets
	Toasts []ui.Toast
	Foot   string
	Body   g.Node
}

// Render writes the page.
func (p Plain) Render(w io.Writer) error {
	var missing g.Node
	if p.Assets.Missing != "" {
		missing = ui.Banner{Tone: ui.Warn, Title: "The styles and scripts of this page are not built", Text: p.Assets.Missing}
	}
	return document(p.Title+" · Callboard", p.Theme, p.Assets,
		h.Div(h.Class("plain"),
			g.El("main", h.ID("main"), h.Class("plain-main"), h.Div(h.Class("plain-brand"), ui.Mark(), g.Text("Callboard")), missing, p.Body),
			g.El("footer", h.Class("plain-foot"), g.Text(p.Foot))),
		toasts(p.Toasts)).Render(w)
}

// Avatar is the initials of a name in a disc.
func Avatar(name string) g.Node {
	return h.Span(h.Class("avatar"), g.Attr("aria-hidden", "true"), g.Text(initials(name)))
}

// initials takes the first letters of the first two words; of an e-mail
// address, those before the at sign.
func initials(name string) string {
	name, _, _ = strings.Cut(name, "@")
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	out := ""
	for _, w := range words[:min(2, len(words))] {
		out += string(unicode.ToUpper([]rune(w)[0]))
	}
	if out == "" {
		return "?"
	}
	return out
}

// Head is the top of a page's content: what it is about and what one can do.
type Head struct {
	Title string
	Lead  g.Node
	// Emblem stands before the title.
	Emblem  g.Node
	Chips   []g.Node
	Actions []g.Node
}

// Render writes the head with the page's only h1.
func (p Head) Render(w io.Writer) error {
	return h.Div(h.Class("page-head"), p.Emblem,
		h.Div(h.Class("titles"), h.H1(h.Class("break"), g.Text(p.Title)),
			ui.If(p.Lead != nil, func() g.Node { return h.P(h.Class("lead"), p.Lead) }),
			ui.If(len(p.Chips) > 0, func() g.Node { return h.Div(h.Class("chips"), g.Group(p.Chips)) })),
		ui.If(len(p.Actions) > 0, func() g.Node { return h.Div(h.Class("page-actions"), g.Group(p.Actions)) })).Render(w)
}

// Emblem is an icon in a box, for an entity's kind.
func Emblem(icon string) g.Node {
	return h.Span(h.Class("emblem"), g.El("svg", h.Class("icon icon-lg"), g.Attr("aria-hidden", "true"),
		g.El("use", g.Attr("href", "/assets/icons.svg#"+icon))))
}

// Letter is the first letter of a plugin's title on one of five colours.
func Letter(title, name string) g.Node {
	sum := 0
	for _, b := range []byte(name) {
		sum += int(b)
	}
	hue := string(rune('1' + sum%5))
	return h.Span(h.Class("emblem emblem-letter hue-"+hue), g.Attr("aria-hidden", "true"), g.Text(string([]rune(initials(title))[:1])))
}
