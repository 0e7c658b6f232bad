package web

import (
	"net/http"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

// problemsShown is how many problems a page lists before it says how many more
// there are.
const problemsShown = 200

// registerPage asks for a location.
func (s *site) registerPage(v *visit) error {
	if err := v.Authz.Authorize(v.ctx(), v.caller, host.ActionLocationWrite, "*"); err != nil {
		return err
	}
	return v.registerForm(http.StatusOK, v.r.URL.Query().Get("type"), v.r.URL.Query().Get("target"), nil, nil)
}

// register shows what a location would add, or adds it. Nothing is added that
// was not shown, unless the reader asks for it at once.
func (s *site) register(v *visit) error {
	typ, target := v.r.PostFormValue("type"), strings.TrimSpace(v.r.PostFormValue("target"))
	preview := v.r.PostFormValue("do") != "register"
	report, err := v.Locations.Register(v.ctx(), v.caller, typ, target, preview)
	if err != nil {
		e := host.AsError(err)
		if e.Code.Status() >= http.StatusInternalServerError && e.Code != host.CodeUpstream && e.Code != host.CodeUnavailable {
			return err
		}
		return v.registerForm(http.StatusUnprocessableEntity, typ, target, nil, e)
	}
	if preview {
		return v.registerForm(http.StatusOK, typ, target, &report, nil)
	}
	notice := good(target + " is registered: " + ui.Plural(len(report.Added), "entity", "entities") + " added.")
	if len(report.Problems) > 0 {
		notice = ui.Toast{Tone: ui.Warn, Text: target + " is registered with " + ui.Plural(len(report.Problems), "problem", "problems") + "."}
		return v.redirect("/catalog/problems", notice)
	}
	if len(report.Added) == 1 {
		if ref, err := catalog.ParseRef(report.Added[0], catalog.Ref{}); err == nil {
			return v.redirect(entityURL(ref), notice)
		}
	}
	return v.redirect("/catalog/locations", notice)
}

func (v *visit) registerForm(status int, typ, target string, report *catalog.Report, failure *host.Error) error {
	step := 1
	if report != nil {
		step = 2
	}
	fields := []g.Node{
		form.Field{Name: "target", Label: "Location", Required: true, Mono: true, Value: target, Placeholder: "https://github.com/owner/repository/blob/main/catalog-info.yaml",
			Help: "A descriptor's URL, a Git repository, or a path on the server that your operator allowed.", Attrs: []g.Node{h.AutoFocus(), g.Attr("spellcheck", "false")}},
		form.Field{Name: "type", Label: "Type", Kind: form.Select, Value: typ, Options: []form.Option{{Label: "Found out from the location"}, {Value: "url", Label: "URL of a descriptor"}, {Value: "git", Label: "Git repository"}, {Value: "file", Label: "File or folder on the server"}}},
	}
	if failure != nil {
		fields[0] = withError(fields[0], failure.Message)
	}
	buttons := []g.Node{ui.Button{Label: "Show what it adds", Kind: ui.Primary, Attrs: do("preview")}}
	if report != nil {
		buttons = []g.Node{ui.Button{Label: registerLabel(*report), Kind: ui.Primary, Attrs: do("register")}, ui.Button{Label: "Look again", Icon: "refresh", Attrs: do("preview")}}
	}
	body := []g.Node{frame.Head{Title: "Register a location", Lead: g.Text("See what a location adds before anything changes. It is then read again and again, so the catalog follows your files.")},
		steps(step, "Name the location", "See what it adds", "Register"),
		h.Div(h.Class("grid"),
			ui.Card{Span: "span-8", Body: h.Form(h.Class("form"), v.post("/catalog/register"), g.Group(fields),
				ui.If(failure != nil, func() g.Node { return registerFailure(failure) }), ui.Buttons(buttons...))},
			ui.Card{Title: "From the command line", Span: "span-4", Body: g.Group{
				h.P(h.Class("soft"), g.Text("The same, for scripts and pipelines:")), ui.Code{Text: "callboard catalog register " + shellTarget(target)},
				h.P(h.Class("soft"), g.Text("Check a file before you push it:")), ui.Code{Text: "callboard catalog validate catalog-info.yaml"}}})}
	if report != nil {
		body = append(body, reportCards(*report))
	}
	return v.show(status, "/catalog/locations", "Register a location", ui.Breadcrumb{{Label: "Catalog", Href: "/catalog"}, {Label: "Register"}}, body...)
}

// withError marks a field as wrong.
func withError(n g.Node, message string) g.Node {
	f, ok := n.(form.Field)
	if !ok {
		return n
	}
	f.Error = message
	return f
}

func registerFailure(e *host.Error) g.Node {
	return ui.Banner{Tone: ui.Bad, Title: "The location could not be read", Body: g.Group{
		ui.If(e.Where != "", func() g.Node { return h.Div(h.Class("where"), g.Text(e.Where)) }),
		ui.If(e.Hint != "", func() g.Node { return h.Div(h.B(g.Text("What to do: ")), g.Text(e.Hint)) })}}
}

func do(what string) []g.Node { return []g.Node{h.Name("do"), h.Value(what)} }

func registerLabel(r catalog.Report) string {
	if len(r.Added) == 0 {
		return "Register anyway"
	}
	return "Register " + ui.Plural(len(r.Added)+len(r.Changed)+len(r.Unchanged), "entity", "entities")
}

func shellTarget(target string) string {
	if target == "" {
		return "URL"
	}
	return "'" + strings.ReplaceAll(target, "'", `'\''`) + "'"
}

// steps shows how far somebody is on a way of several steps.
func steps(current int, names ...string) g.Node {
	out := g.Group{}
	for i, name := range names {
		out = append(out, h.Li(g.If(i+1 == current, g.Attr("aria-current", "step")), h.Span(h.Class("n"), g.Text(ui.Count(i+1))), g.Text(name)))
	}
	return h.Ol(h.Class("steps"), out)
}

// reportCards show what a location adds and what is wrong with it.
func reportCards(r catalog.Report) g.Node {
	out := g.Group{h.Class("grid")}
	if len(r.Problems) > 0 {
		out = append(out, ui.Card{Title: "Problems", Span: "span-12", Flush: true, Chips: []g.Node{ui.Chip{Text: ui.Count(len(r.Problems)), Tone: ui.Bad}},
			Body: problemTable(r.Problems)})
	}
	span := "span-12"
	groups := []struct {
		title, tone string
		refs        []string
	}{{"Adds", "good", r.Added}, {"Changes", "info", r.Changed}, {"Leaves as they are", "", r.Unchanged}, {"Removes", "warn", r.Removed}}
	for _, x := range groups {
		if len(x.refs) == 0 {
			continue
		}
		out = append(out, ui.Card{Title: x.title, Span: span, Flush: true, Chips: []g.Node{ui.Chip{Text: ui.Plural(len(x.refs), "entity", "entities"), Tone: ui.ToneOf(x.tone)}}, Body: refList(x.refs)})
	}
	if len(out) == 1 {
		out = append(out, ui.Card{Span: span, Flush: true, Body: ui.Empty{Icon: "search", Title: "No entities were found there", Text: "A descriptor has apiVersion, kind, metadata and spec. A repository is searched for catalog-info.yaml."}})
	}
	return h.Div(out)
}

// refList lists the entities of a report, the first of many.
func refList(refs []string) g.Node {
	const most = 100
	items := []data.Item{}
	for _, text := range refs[:min(len(refs), most)] {
		ref, err := catalog.ParseRef(text, catalog.Ref{})
		if err != nil {
			items = append(items, data.Item{Title: text})
			continue
		}
		items = append(items, data.Item{Title: refLabel(ref), Detail: kindWord(ref.Kind), Icon: iconOf(ref.Kind)})
	}
	if rest := len(refs) - most; rest > 0 {
		items = append(items, data.Item{Title: "and " + ui.Count(rest) + " more"})
	}
	return data.List{Items: items}
}

// problemTable lists problems with their places and what to do.
func problemTable(problems []catalog.Problem) g.Node {
	t := data.Table{Caption: "Problems", Columns: []data.Column{{Title: "Problem", Telling: true}, {Title: "Where", Telling: true}, {Title: "Entity"}}}
	for _, p := range problems[:min(len(problems), problemsShown)] {
		entity := g.Node(h.Span(h.Class("quiet"), g.Text("–")))
		if ref, err := catalog.ParseRef(p.Ref, catalog.Ref{}); err == nil && p.Ref != "" {
			entity = h.A(h.Href(entityURL(ref)), g.Text(refLabel(ref)))
		}
		t.Rows = append(t.Rows, data.Row{
			h.Div(h.Class("message"), h.Div(h.Class("strong"), g.Text(p.Message)), ui.If(p.Hint != "", func() g.Node { return h.Div(h.Class("quiet small"), g.Text(p.Hint)) })),
			h.Span(h.Class("where"), g.Text(p.Where)), entity})
	}
	return t
}
