package ui

import (
	"fmt"
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Banner says something about the whole page or card.
type Banner struct {
	Tone  Tone
	Title string
	Text  string
	// Body follows the text.
	Body    g.Node
	Actions []g.Node
}

// Render writes the banner. One that asks to act is announced at once.
func (b Banner) Render(w io.Writer) error {
	role := "status"
	if b.Tone == Bad {
		role = "alert"
	}
	return h.Div(Class("banner", b.Tone.class()), h.Role(role), Icon(b.Tone.icon()),
		h.Div(h.Class("grow"),
			If(b.Title != "", func() g.Node { return h.Div(h.Class("title"), g.Text(b.Title)) }),
			If(b.Text != "", func() g.Node { return h.Div(h.Class("text"), g.Text(b.Text)) }),
			b.Body),
		If(len(b.Actions) > 0, func() g.Node { return Buttons(b.Actions...) })).Render(w)
}

func (t Tone) icon() string {
	switch t {
	case Good:
		return "check"
	case Warn:
		return "alert"
	case Bad:
		return "error"
	}
	return "info"
}

// Toast tells what an action did, once, at the edge of the page.
type Toast struct {
	Tone Tone
	Text string
}

// Render writes the toast.
func (t Toast) Render(w io.Writer) error {
	return h.Div(Class("toast", t.Tone.class()), Icon(t.Tone.icon()),
		h.Div(h.Class("grow"), g.Text(t.Text)),
		h.Button(h.Type("button"), h.Class("button button-quiet button-small button-icon toast-close"),
			Icon("x"), Hidden("Dismiss"))).Render(w)
}

// Progress is how far something is; Of below 1 means that nobody knows.
type Progress struct {
	Label string
	Done  int
	Of    int
	// Detail is what happens right now.
	Detail string
}

// Render writes the bar with its words.
func (p Progress) Render(w io.Writer) error {
	bar := g.Group{g.Attr("aria-label", p.Label)}
	right := p.Detail
	if p.Of > 0 {
		bar = append(bar, h.Max(fmt.Sprint(p.Of)), h.Value(fmt.Sprint(p.Done)))
		if right == "" {
			right = fmt.Sprintf("%d of %d", p.Done, p.Of)
		}
	}
	return h.Div(h.Class("progress"),
		h.Div(h.Class("line"), h.Span(g.Text(p.Label)), h.Span(h.Class("quiet num"), g.Text(right))),
		g.El("progress", bar)).Render(w)
}

// Empty says that there is nothing, and the next step.
type Empty struct {
	Title string
	Text  string
	Icon  string
	// Code is the exact line to paste.
	Code    string
	Actions []g.Node
	// Page centres it, for a page that has nothing else.
	Page bool
}

// Render writes the state.
func (e Empty) Render(w io.Writer) error {
	return h.Div(Class("empty", when(e.Page, "empty-page")),
		h.Div(h.Class("title"), If(e.Icon != "", func() g.Node { return Icon(e.Icon) }), g.Text(e.Title)),
		If(e.Text != "", func() g.Node { return h.P(g.Text(e.Text)) }),
		If(e.Code != "", func() g.Node { return Code{Text: e.Code} }),
		If(len(e.Actions) > 0, func() g.Node { return Buttons(e.Actions...) })).Render(w)
}

// Failed says what failed, where, and what to do.
type Failed struct {
	Title string
	Text  string
	// Where is a place in a document.
	Where string
	Hint  string
	// Trace is what an operator asks for.
	Trace   string
	Actions []g.Node
}

// Render writes the state.
func (f Failed) Render(w io.Writer) error {
	return h.Div(h.Class("failed"), h.Role("alert"),
		h.Div(h.Class("title"), Icon("error"), g.Text(f.Title)),
		If(f.Where != "", func() g.Node { return h.Div(h.Class("where"), g.Text(f.Where)) }),
		If(f.Text != "", func() g.Node { return h.P(g.Text(f.Text)) }),
		If(f.Hint != "", func() g.Node { return h.P(h.B(g.Text("What to do: ")), g.Text(f.Hint)) }),
		If(f.Trace != "", func() g.Node {
			return h.P(h.Class("quiet small"), g.Text("Trace "), h.Code(g.Text(f.Trace)))
		}),
		If(len(f.Actions) > 0, func() g.Node { return Buttons(f.Actions...) })).Render(w)
}

// Skeleton holds the place of what is on its way.
type Skeleton struct {
	// Label is said to screen readers.
	Label string
	// Lines is how many lines to hold; 3 unless set.
	Lines int
	// Block holds the place of a chart.
	Block bool
}

// Render writes the bones.
func (s Skeleton) Render(w io.Writer) error {
	lines := s.Lines
	if lines == 0 {
		lines = 3
	}
	widths := []string{"bone-mid", "", "bone-short"}
	bones := g.Group{}
	for i := range lines {
		bones = append(bones, h.Div(Class("bone", widths[i%len(widths)])))
	}
	if s.Block {
		bones = append(bones, h.Div(h.Class("bone bone-block")))
	}
	return h.Div(h.Class("skeleton"), h.Role("status"), Hidden(s.Label), bones).Render(w)
}
