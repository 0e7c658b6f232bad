// Package frame is the page around the content: head, skip link, sidebar, top
// bar, notices. It knows nothing about what the page shows.
package frame

import (
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/form"
)

// Assets are the addresses of what every page loads.
type Assets struct {
	Style, Script, Icon, Font string
	// Missing says how to build them, where they are not there.
	Missing string
}

// Link is one entry of the sidebar.
type Link struct {
	Label   string
	Href    string
	Icon    string
	Current bool
	// Count is shown at the right; below one is none.
	Count int
}

// Group is links of the sidebar under one title.
type Group struct {
	Title string
	Links []Link
}

// User is who is signed in.
type User struct {
	Name, Role string
}

// Page is a whole page.
type Page struct {
	// Title names the page in the browser; the tenant's name follows it.
	Title  string
	Tenant string
	Demo   bool
	Theme  string // "light", "dark" or empty for the system's
	Assets Assets
	Crumbs ui.Breadcrumb
	Groups []Group
	User   User
	CSRF   string
	// Version is the host's, for the sidebar's foot.
	Version string
	// Query fills the search field.
	Query  string
	Toasts []ui.Toast
	Body   g.Node
	// Here is the page's own address, to come back to.
	Here string
}

// Render writes the page.
func (p Page) Render(w io.Writer) error {
	return document(p.Title+" · "+p.Tenant, p.Theme, p.Assets,
		h.A(h.Class("skip"), h.Href("#main"), g.Text("Skip to content")),
		h.Div(h.Class("frame"), p.sidebar(),
			h.Div(h.Class("grow"), p.demo(), p.topbar(),
				g.El("main", h.ID("main"), h.Class("main"), h.TabIndex("-1"), p.missing(), p.Body))),
		toasts(p.Toasts), templates()).Render(w)
}

// document is the head and body around any page.
func document(title, theme string, a Assets, body ...g.Node) g.Node {
	return h.Doctype(h.HTML(h.Lang("en"), g.If(theme != "", g.Attr("data-theme", theme)),
		h.Head(h.Meta(h.Charset("utf-8")), h.TitleEl(g.Text(title)),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("color-scheme"), h.Content(scheme(theme))),
			themeColor(theme),
			g.If(a.Font != "", h.Link(h.Rel("preload"), h.Href(a.Font), g.Attr("as", "font"), h.Type("font/woff2"), g.Attr("crossorigin"))),
			g.If(a.Icon != "", h.Link(h.Rel("icon"), h.Href(a.Icon), h.Type("image/svg+xml"))),
			g.If(a.Style != "", h.Link(h.Rel("stylesheet"), h.Href(a.Style))),
			g.If(a.Script != "", h.Script(h.Src(a.Script), h.Defer()))),
		h.Body(g.Group(body), h.Div(h.ID("live"), h.Class("sr"), h.Role("status"), g.Attr("aria-live", "polite")))))
}

func scheme(theme string) string {
	if theme == "" {
		return "light dark"
	}
	return theme
}

func themeColor(theme string) g.Node {
	const light, dark = "#ffffff", "#1c1b18"
	switch theme {
	case "light":
		return h.Meta(h.Name("theme-color"), h.Content(light))
	case "dark":
		return h.Meta(h.Name("theme-color"), h.Content(dark))
	}
	return g.Group{
		h.Meta(h.Name("theme-color"), h.Content(light), g.Attr("media", "(prefers-color-scheme: light)")),
		h.Meta(h.Name("theme-color"), h.Content(dark), g.Attr("media", "(prefers-color-scheme: dark)")),
	}
}

func (p Page) missing() g.Node {
	if p.Assets.Missing == "" {
		return nil
	}
	return ui.Banner{Tone: ui.Warn, Title: "The styles and scripts of this page are not built", Text: p.Assets.Missing}
}

func (p Page) demo() g.Node {
	if !p.Demo {
		return nil
	}
	return h.Div(h.Class("demo"), h.Role("note"), ui.Icon("info"),
		h.Span(h.B(g.Text("Demo tenant.")), g.Text(" The catalog files are real and public; metrics and builds come from a simulator.")))
}

func (p Page) sidebar() g.Node {
	groups := g.Group{}
	for _, x := range p.Groups {
		groups = append(groups, h.Nav(h.Class("nav"), g.Attr("aria-label", label(x.Title)),
			ui.If(x.Title != "", func() g.Node { return h.Div(h.Class("nav-title"), g.Text(x.Title)) }),
			ui.Map(x.Links, link)))
	}
	return h.Div(h.ID("sidebar"), h.Class("sidebar"), g.Attr("popover", "auto"),
		h.A(h.Class("brand"), h.Href("/"), ui.Mark(), g.Text("Callboard")),
		h.Div(h.Class("tenant"), h.Span(h.Class("truncate"), ui.Hidden("Tenant: "), g.Text(p.Tenant)),
			ui.If(p.Demo, func() g.Node { return ui.Chip{Text: "demo", Tone: ui.Accent} })),
		groups,
		h.Div(h.Class("sidebar-foot"), h.Span(g.Text("Callboard "+p.Version)), h.A(h.Href("/-/components"), g.Text("Components"))))
}

func label(title string) string {
	if title == "" {
		return "Sections"
	}
	return title
}

func link(l Link) g.Node {
	return h.A(h.Href(l.Href), g.If(l.Current, g.Attr("aria-current", "page")), ui.Icon(l.Icon), h.Span(h.Class("truncate"), g.Text(l.Label)),
		ui.If(l.Count > 0, func() g.Node { return h.Span(h.Class("count"), g.Text(ui.Count(l.Count))) }))
}

func (p Page) topbar() g.Node {
	return h.Header(h.Class("topbar"),
		h.Button(h.Type("button"), h.Class("button button-quiet button-icon sheet-open"), g.Attr("popovertarget", "sidebar"), ui.Icon("menu"), ui.Hidden("Sections")),
		p.Crumbs,
		h.Form(h.Class("search"), h.Role("search"), h.Action("/catalog"), h.Method("get"),
			ui.Icon("search"),
			h.Input(h.ID("search"), h.Type("search"), h.Name("q"), h.Value(p.Query), h.Placeholder("Search"), g.Attr("aria-label", "Search the catalog"), g.Attr("aria-keyshortcuts", "/ Control+K Meta+K"), h.AutoComplete("off")),
			g.El("kbd", g.Attr("aria-hidden", "true"), g.Text("/"))),
		p.account())
}

func (p Page) account() g.Node {
	return ui.Menu{Label: "Account of " + p.User.Name, Round: true, Summary: Avatar(p.User.Name), Items: []g.Node{
		h.Div(h.Class("menu-head"), h.Div(h.Class("strong break"), g.Text(p.User.Name)), h.Div(h.Class("quiet small"), g.Text(p.User.Role))),
		h.Form(form.Post("/settings/theme", p.CSRF), form.Hidden("next", p.Here), h.Div(h.Class("segments"), h.Role("group"), g.Attr("aria-label", "Theme"),
			p.theme("", "monitor", "System"), p.theme("light", "sun", "Light"), p.theme("dark", "moon", "Dark"))),
		h.Div(h.Class("menu-rule")),
		h.A(h.Href("/settings"), ui.Icon("settings"), g.Text("Settings")),
		h.A(h.Href("/settings/tokens"), ui.Icon("key"), g.Text("API tokens")),
		h.A(h.Href("/docs"), ui.Icon("book"), g.Text("API reference")),
		h.Div(h.Class("menu-rule")),
		h.Form(form.Post("/logout", p.CSRF), h.Button(h.Type("submit"), ui.Icon("logout"), g.Text("Sign out"))),
	}}
}

func (p Page) theme(value, icon, name string) g.Node {
	pressed := "false"
	if p.Theme == value {
		pressed = "true"
	}
	return h.Button(h.Type("submit"), h.Name("theme"), h.Value(value), g.Attr("aria-pressed", pressed), ui.Icon(icon), g.Text(name))
}

// toasts is where notices appear, now and later.
func toasts(list []ui.Toast) g.Node {
	return h.Div(h.Class("toasts"), h.Role("status"), g.Attr("aria-label", "Notices"), ui.Map(list, func(t ui.Toast) g.Node { return t }))
}

// templates are what the script shows where a request failed.
func templates() g.Node {
	return g.Group{
		g.El("template", h.ID("request-failed"), ui.Failed{Title: "This part did not load", Text: "The portal did not answer in time.",
			Hint:    "Try again; the rest of the page still works.",
			Actions: []g.Node{ui.Button{Label: "Try again", Icon: "refresh", Small: true, Type: "button", Attrs: []g.Node{g.Attr("data-again")}}}}),
		g.El("template", h.ID("request-failed-toast"), ui.Toast{Tone: ui.Bad, Text: "The portal did not answer. Try again."}),
	}
}
