package viewtree

import (
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

func (r *renderer) table(t viewv1.Table) g.Node {
	empty := t.Empty
	if empty == "" {
		empty = "No rows"
	}
	out := data.Table{Caption: t.Caption, ShowCaption: t.Caption != "" && !strings.EqualFold(t.Caption, r.heading), Empty: h.Div(h.Class("pad"), ui.Empty{Title: empty})}
	if out.Caption == "" {
		out.Caption = "Table"
	}
	for _, c := range t.Columns {
		out.Columns = append(out.Columns, data.Column{Title: c.Title, Numeric: c.Numeric, Telling: c.Telling})
	}
	for _, row := range t.Rows[:min(len(t.Rows), rowsMax)] {
		cells := data.Row{}
		for i := range t.Columns {
			if i < len(row.Cells) {
				cells = append(cells, r.cell(row.Cells[i]))
			}
		}
		out.Rows = append(out.Rows, cells)
	}
	if len(t.Rows) > rowsMax {
		return g.Group{out, h.P(h.Class("pad quiet small"), g.Text(ui.Count(rowsMax)+" of "+ui.Count(len(t.Rows))+" rows are shown."))}
	}
	return out
}

// cell shows an action, a time, a state, a link or plain text, in this order.
func (r *renderer) cell(c viewv1.Cell) g.Node {
	switch {
	case c.Action != nil:
		return r.action(*c.Action, nil, true)
	case !c.Time.IsZero():
		return ui.Ago(c.Time, r.Now)
	case c.Tone != "" && c.URL == "":
		return ui.Chip{Text: c.Text, Tone: tone(c.Tone)}
	}
	label := g.Node(g.Text(c.Text))
	if c.Mono {
		label = h.Code(label)
	}
	if c.URL != "" && ui.SafeURL(c.URL) {
		label = h.A(h.Href(c.URL), h.Rel("noopener noreferrer nofollow"), label)
	}
	if c.Tone != "" {
		return h.Span(h.Class("row"), ui.Shape(tone(c.Tone)), label)
	}
	return label
}

func (r *renderer) list(l viewv1.List) g.Node {
	empty := l.Empty
	if empty == "" {
		empty = "Nothing here"
	}
	out := data.List{Empty: h.Div(h.Class("pad"), ui.Empty{Title: empty})}
	for _, x := range l.Items[:min(len(l.Items), rowsMax)] {
		end := g.Group{}
		if !x.Time.IsZero() {
			end = append(end, ui.Ago(x.Time, r.Now))
		}
		switch {
		case x.Label != "":
			end = append(end, ui.Chip{Text: x.Label, Tone: tone(x.Tone)})
		case x.Tone != "":
			end = append(end, ui.Chip{Text: wordOf(tone(x.Tone)), Tone: tone(x.Tone)})
		}
		item := data.Item{Title: x.Title, Detail: x.Detail, Href: x.URL, External: true}
		if len(end) > 0 {
			item.End = end
		}
		out.Items = append(out.Items, item)
	}
	return out
}

// wordOf names a tone where the plugin gave no word: colour never stands alone.
func wordOf(t ui.Tone) string {
	switch t {
	case ui.Good:
		return "Well"
	case ui.Warn:
		return "Look"
	case ui.Bad:
		return "Act"
	case ui.Info:
		return "Moving"
	}
	return "Neutral"
}

func (r *renderer) facts(k viewv1.KeyValue) g.Node {
	out := data.Facts{}
	for _, f := range k.Items {
		out = append(out, data.Fact{Key: f.Key, Value: r.cell(f.Cell)})
	}
	return out
}
