package data

import (
	"io"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// Line is one line of a Log.
type Line struct {
	At    time.Time
	Level string // debug, info, warn or error
	Text  string
}

// Log is lines as they were written, oldest first.
type Log struct {
	Label string
	Lines []Line
	// Follow keeps the end in sight.
	Follow bool
	Empty  g.Node
}

// Render writes the log.
func (l Log) Render(w io.Writer) error {
	if len(l.Lines) == 0 && l.Empty != nil {
		return l.Empty.Render(w)
	}
	return h.Div(h.Class("log"), h.TabIndex("0"), h.Role("log"), g.Attr("aria-label", l.Label), g.If(l.Follow, g.Attr("data-follow")),
		h.Ol(ui.Map(l.Lines, func(x Line) g.Node {
			return h.Li(h.Time(h.DateTime(x.At.UTC().Format(time.RFC3339)), g.Text(x.At.UTC().Format("15:04:05"))),
				h.Span(h.Class("level tone-"+string(levelTone(x.Level))), g.Text(x.Level)),
				h.Span(h.Class("text"), g.Text(x.Text)))
		}))).Render(w)
}

func levelTone(level string) ui.Tone {
	switch strings.ToLower(level) {
	case "error":
		return ui.Bad
	case "warn":
		return ui.Warn
	case "info":
		return ui.Info
	}
	return ui.Neutral
}

// Diff is a change of text, line by line: each line begins with "+", "-",
// " " or "@" as in a unified diff.
type Diff struct {
	Label string
	Text  string
}

// Render writes the diff. The mark of each line is text, so colour is not alone.
func (d Diff) Render(w io.Writer) error {
	lines := g.Group{}
	for line := range strings.SplitSeq(strings.TrimRight(d.Text, "\n"), "\n") {
		mark, rest := " ", line
		if line != "" {
			mark, rest = line[:1], line[1:]
		}
		class := map[string]string{"+": "add", "-": "del", "@": "hunk"}[mark]
		if class == "" {
			class = "same"
		}
		lines = append(lines, h.Div(h.Class(class), h.Span(h.Class("mark-col"), g.Text(mark)), h.Span(g.Text(rest))))
	}
	return h.Div(h.Class("diff"), h.TabIndex("0"), h.Role("region"), g.Attr("aria-label", d.Label), lines).Render(w)
}

// Branch is one entry of a Tree: a folder where it has children.
type Branch struct {
	Label    string
	Href     string
	Icon     string
	Note     string
	Children []Branch
	Open     bool
}

// Tree is entries within entries.
type Tree struct {
	Label string
	Roots []Branch
}

// Render writes the tree.
func (t Tree) Render(w io.Writer) error {
	return h.Nav(h.Class("tree"), g.Attr("aria-label", t.Label), h.Div(h.Class("part"), branches(t.Roots))).Render(w)
}

func branches(list []Branch) g.Node {
	return h.Ul(ui.Map(list, func(b Branch) g.Node {
		label := g.Node(h.Span(g.Text(b.Label)))
		if b.Href != "" {
			label = h.A(h.Href(b.Href), g.Text(b.Label))
		}
		note := ui.If(b.Note != "", func() g.Node { return h.Span(h.Class("note"), g.Text(b.Note)) })
		if len(b.Children) == 0 {
			return h.Li(h.Div(h.Class("leaf"), icon(b.Icon, "file"), label, note))
		}
		return h.Li(h.Details(g.If(b.Open, g.Attr("open")),
			h.Summary(ui.Icon("chevron-right"), icon(b.Icon, "folder"), h.Span(g.Text(b.Label)), note), branches(b.Children)))
	}))
}

func icon(name, otherwise string) g.Node {
	if name == "" {
		name = otherwise
	}
	return ui.Icon(name)
}
