package form

import (
	"fmt"
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// Change says how a permission stands to what is granted already.
type Change string

// The changes, as the reader sees them.
const (
	Asked     Change = ""
	New       Change = "New"
	Unchanged Change = "Unchanged"
	Dropped   Change = "Dropped"
	Granted   Change = "Granted"
	Refused   Change = "Not granted"
)

// Permission is one thing that a plugin asks for.
type Permission struct {
	// Icon, Verb and Object say what: "Reach", "https://api.github.com".
	Icon   string
	Verb   string
	Object string
	// Reason is the author's, quoted.
	Reason string
	// Note is ours: "The host signs requests with it. The plugin never sees it."
	Note   string
	Change Change
}

// Consent is the list of what a plugin asks for, with reasons.
type Consent struct {
	// ID begins the ids within; "permission" unless set. It matters where a
	// page has two lists.
	ID    string
	Items []Permission
	// Choose makes each a checkbox named "grant" with its index as the value.
	Choose bool
}

// Render writes the list.
func (c Consent) Render(w io.Writer) error {
	if len(c.Items) == 0 {
		return ui.Empty{Icon: "shield", Title: "It asks for nothing", Text: "The plugin runs in its sandbox and reaches neither the network nor your data."}.Render(w)
	}
	out := g.Group{}
	for n, p := range c.Items {
		out = append(out, h.Li(ui.Icon(p.Icon), c.what(n, p), c.end(n, p)))
	}
	return h.Ul(h.Class("consent"), out).Render(w)
}

func (c Consent) what(n int, p Permission) g.Node {
	return h.Div(
		h.Div(h.Class("what"), h.ID(c.id(n)), g.Text(p.Verb+" "),
			ui.If(p.Object != "", func() g.Node { return h.Code(g.Text(p.Object)) })),
		ui.If(p.Reason != "", func() g.Node { return h.Div(h.Class("why"), g.Text("“"+p.Reason+"”")) }),
		ui.If(p.Note != "", func() g.Node { return h.Div(h.Class("why"), g.Text(p.Note)) }))
}

func (c Consent) end(n int, p Permission) g.Node {
	chip := ui.If(p.Change != Asked, func() g.Node { return ui.Chip{Text: string(p.Change), Tone: p.Change.tone()} })
	if !c.Choose || p.Change == Dropped {
		return h.Div(h.Class("end"), chip)
	}
	id := c.id(n) + "-allow"
	return h.Div(h.Class("end row"), chip,
		h.Div(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("grant"), h.ID(id), h.Value(fmt.Sprint(n)), h.Checked(),
			g.Attr("aria-describedby", c.id(n))),
			h.Label(h.For(id), g.Text("Allow"))))
}

func (c Consent) id(n int) string {
	if c.ID == "" {
		return fmt.Sprintf("permission-%d", n)
	}
	return fmt.Sprintf("%s-%d", c.ID, n)
}

func (c Change) tone() ui.Tone {
	switch c {
	case New, Refused:
		return ui.Warn
	case Dropped, Granted:
		return ui.Good
	}
	return ""
}
