package reference

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/text"
)

// Page is the reference's body. Origin is where the commands send requests.
func Page(d *Document, origin string) g.Node {
	return h.Div(h.Class("docs"), d.nav(), h.Div(ui.Map(d.Groups, func(x Group) g.Node { return d.section(x, origin) })))
}

// anchor is the id of a tag's section.
func anchor(tag string) string { return "tag-" + url.PathEscape(strings.ReplaceAll(tag, " ", "-")) }

func (d *Document) nav() g.Node {
	return h.Nav(h.Class("docs-nav"), g.Attr("aria-label", "Operations"), ui.Map(d.Groups, func(x Group) g.Node {
		return h.A(h.Href("#"+anchor(x.Name)), h.Span(h.Class("truncate"), g.Text(x.Name)), h.Span(h.Class("quiet num"), g.Text(ui.Count(len(x.Operations)))))
	}))
}

func (d *Document) section(x Group, origin string) g.Node {
	return h.Section(h.Class("docs-group"),
		h.Div(h.ID(anchor(x.Name)), h.Class("docs-tag"), h.H2(g.Text(x.Name)),
			ui.If(x.Description != "", func() g.Node { return text.Markdown(x.Description) })),
		ui.Map(x.Operations, func(op Operation) g.Node { return d.operationNode(op, origin) }))
}

func tone(method string) string {
	switch method {
	case "GET", "HEAD":
		return "tone-info"
	case "POST":
		return "tone-good"
	case "DELETE":
		return "tone-bad"
	}
	return "tone-warn"
}

func (d *Document) operationNode(op Operation, origin string) g.Node {
	d.budget.next()
	title := op.Summary
	if title == "" {
		title = op.OperationID
	}
	return h.Details(h.ID(op.OperationID), h.Class("operation"),
		h.Summary(h.Span(h.Class("method "+tone(op.Method)), g.Text(op.Method)), h.Span(h.Class("path"), g.Text(op.Path)), h.H3(g.Text(title)),
			ui.If(op.Deprecated, func() g.Node { return ui.Chip{Text: "deprecated", Tone: ui.Warn} }),
			h.Span(h.Class("arrow"), ui.Icon("chevron-right"))),
		h.Div(h.Class("operation-body"), h.Div(h.Class("stack"), d.about(op), d.parameters(op), d.body(op), d.answers(op)),
			h.Div(h.Class("stack"), h.Div(h.H4(g.Text("Try it from a shell")), ui.Code{Text: d.curl(op, origin)}), d.example(op))))
}

func (d *Document) about(op Operation) g.Node {
	out := g.Group{}
	if op.Description != "" {
		out = append(out, text.Markdown(op.Description))
	}
	chips := []g.Node{ui.Chip{Label: "operation", Text: op.OperationID}}
	if op.Access != "" {
		chips = append(chips, ui.Chip{Label: "needs", Text: op.Access, Icon: "shield"})
	}
	return append(out, ui.Chips(chips...))
}

func (d *Document) parameters(op Operation) g.Node {
	if len(op.Parameters) == 0 {
		return nil
	}
	return h.Div(h.H4(g.Text("Parameters")), h.Ul(h.Class("props"), ui.Map(op.Parameters, func(p *Parameter) g.Node {
		s := p.Schema
		if s == nil {
			s = &Schema{}
		}
		return property(p.Name, "in the "+p.In, d.words(p.Schema), p.Required, p.Deprecated, p.Description, s, nil)
	})))
}

// property is one row: a name, its type, whether it must be there, and what it
// is for.
func property(name, place, kind string, required, deprecated bool, about string, s *Schema, inner g.Node) g.Node {
	notes := []string{kind}
	if place != "" {
		notes = append(notes, place)
	}
	if limits := bounds(s); limits != "" {
		notes = append(notes, limits)
	}
	if about == "" {
		about = s.Description
	}
	return h.Li(h.Div(h.Class("row row-wrap"), h.Code(h.Class("strong break"), g.Text(name)), h.Span(h.Class("small soft break"), g.Text(strings.Join(notes, ", "))),
		ui.If(required, func() g.Node { return ui.Chip{Text: "required"} }), ui.If(deprecated, func() g.Node { return ui.Chip{Text: "deprecated", Tone: ui.Warn} })),
		ui.If(about != "", func() g.Node { return h.Div(h.Class("sub"), g.Text(about)) }), inner)
}

func (d *Document) body(op Operation) g.Node {
	if op.RequestBody == nil {
		return nil
	}
	return h.Div(h.H4(g.Text("Body")), ui.Map(slices.Sorted(maps.Keys(op.RequestBody.Content)), func(media string) g.Node {
		return h.Div(h.P(h.Class("small quiet"), g.Text(media+", "+d.words(op.RequestBody.Content[media].Schema))), d.properties(op.RequestBody.Content[media].Schema, 0))
	}))
}

// properties lists an object's properties; those of objects within open.
func (d *Document) properties(s *Schema, depth int) g.Node {
	s = d.resolve(s)
	if s == nil || depth >= depthMax {
		return nil
	}
	if len(s.Properties) == 0 {
		if s.Items != nil {
			return d.properties(s.Items, depth+1)
		}
		return nil
	}
	return h.Ul(h.Class("props"), ui.Map(slices.Sorted(maps.Keys(s.Properties)), func(name string) g.Node {
		p := s.Properties[name]
		full := d.resolve(p)
		if full == nil {
			full = &Schema{}
		}
		inner := d.properties(p, depth+1)
		if inner != nil {
			inner = h.Details(h.Class("behind"), h.Summary(ui.Icon("chevron-right"), g.Text("Fields of "+name)), inner)
		}
		return property(name, "", d.words(p), slices.Contains(s.Required, name), false, full.Description, full, inner)
	}))
}

func (d *Document) answers(op Operation) g.Node {
	return h.Div(h.H4(g.Text("Answers")), h.Ul(h.Class("props"), ui.Map(slices.Sorted(maps.Keys(op.Responses)), func(status string) g.Node {
		r := op.Responses[status]
		if r == nil {
			return nil
		}
		inner := g.Group{}
		for _, media := range slices.Sorted(maps.Keys(r.Content)) {
			fields := d.properties(r.Content[media].Schema, 0)
			if fields != nil {
				fields = h.Details(h.Class("behind"), h.Summary(ui.Icon("chevron-right"), g.Text("Fields, "+status)), fields)
			}
			inner = append(inner, h.Div(h.Class("small quiet break"), g.Text(media+", "+d.words(r.Content[media].Schema))), fields)
		}
		return h.Li(h.Div(h.Class("row"), statusChip(status), h.Span(h.Class("soft break"), g.Text(r.Description))), inner)
	})))
}

func statusChip(status string) g.Node {
	tone := ui.Neutral
	switch {
	case strings.HasPrefix(status, "2"), strings.HasPrefix(status, "3"):
		tone = ui.Good
	case strings.HasPrefix(status, "4"):
		tone = ui.Warn
	case strings.HasPrefix(status, "5"):
		tone = ui.Bad
	}
	return ui.Chip{Text: status, Tone: tone}
}

// example is the body of the first good answer.
func (d *Document) example(op Operation) g.Node {
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		if r == nil || !strings.HasPrefix(status, "2") {
			continue
		}
		if shown := d.mediaExample(r.Content); shown != "" {
			return h.Div(h.H4(g.Text("Answer, "+status)), ui.Code{Title: "Example", Text: shown, Tall: true})
		}
	}
	return nil
}

// mediaExample is an example of the JSON among the media types.
func (d *Document) mediaExample(content map[string]Media) string {
	for _, media := range slices.Sorted(maps.Keys(content)) {
		m := content[media]
		if !strings.HasSuffix(media, "json") {
			continue
		}
		if len(m.Example) > 0 {
			return indented(m.Example)
		}
		b, err := json.Marshal(d.sample(m.Schema, 0))
		if err == nil && string(b) != "null" && string(b) != "{}" {
			return indented(b)
		}
	}
	return ""
}

// curl is the operation as a command.
func (d *Document) curl(op Operation, origin string) string {
	path, query := op.Path, url.Values{}
	for _, p := range op.Parameters {
		value := plainText(d.parameterSample(p))
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
		case p.In == "query" && p.Required:
			query.Set(p.Name, value)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	out := "curl"
	if op.Method != "GET" {
		out += " -X " + op.Method
	}
	out += " -H \"Authorization: Bearer $CALLBOARD_TOKEN\""
	if op.RequestBody != nil {
		if body := d.mediaExample(op.RequestBody.Content); body != "" {
			out += " \\\n  -H 'Content-Type: application/json' -d '" + strings.ReplaceAll(body, "'", `'\''`) + "'"
		}
	}
	return out + " \\\n  '" + strings.ReplaceAll(origin+path, "'", `%27`) + "'"
}

func (d *Document) parameterSample(p *Parameter) any {
	var v any
	if json.Unmarshal(p.Example, &v) == nil && v != nil {
		return v
	}
	v = d.sample(p.Schema, 0)
	if v == "text" || v == nil {
		return p.Name
	}
	return v
}

func plainText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return literal(v)
}
