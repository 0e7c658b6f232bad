package web

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

// pluginURL is the address of an installed plugin's page.
func pluginURL(short string) string { return "/plugins/" + url.PathEscape(short) }

func titleOfPlugin(in plugin.Instance) string {
	if in.Manifest != nil && in.Manifest.Title != "" {
		return in.Manifest.Title
	}
	return in.Short
}

// pluginList shows what is installed and what could be.
func (s *site) pluginList(v *visit) error {
	list, err := v.Plugins.List(v.ctx(), v.caller)
	if err != nil {
		return err
	}
	bundled, err := v.Plugins.Bundled(v.ctx(), v.caller)
	if err != nil {
		return err
	}
	manage := v.may(host.ActionPluginManage)
	body := []g.Node{frame.Head{Title: "Plugins", Lead: g.Text("Each runs in a sandbox, reaches only what you granted, and appears without a restart.")},
		installedCard(list, bundled, v)}
	if more := available(list, bundled); len(more) > 0 {
		body = append(body, ui.Card{Title: "Ready to install", Flush: true, Origin: ui.Origin{Label: "come with this host"}, Body: bundledList(more, manage)})
	}
	if manage {
		body = append(body, v.uploadCard())
	}
	return v.show(http.StatusOK, "/plugins", "Plugins", ui.Breadcrumb{{Label: "Plugins"}}, body...)
}

func installedCard(list []plugin.Instance, bundled []plugin.Preview, v *visit) g.Node {
	t := data.Table{Caption: "Installed plugins", Empty: ui.Empty{Icon: "plug", Title: "Nothing is installed yet", Text: "Choose one below, or upload a package that you built.", Code: "callboard plugin install callboard/prometheus --yes"},
		Columns: []data.Column{{Title: "Plugin", Telling: true}, {Title: "Version"}, {Title: "State", Telling: true}, {Title: "Offers"}, {Title: "Changed", Numeric: true}}}
	for _, in := range list {
		below := ""
		if in.Manifest != nil {
			below = in.Manifest.Description
		}
		version := g.Group{h.Code(g.Text(in.Version))}
		if newer := newerOf(in, bundled); newer != "" {
			version = append(version, g.Text(" "), ui.Chip{Text: newer + " is ready", Tone: ui.Info, Href: installURL(in.Name)})
		}
		t.Rows = append(t.Rows, data.Row{data.Title(titleOfPlugin(in), pluginURL(in.Short), below), h.Div(h.Class("nowrap"), version), stateCell(in),
			g.Text(offers(in)), ui.Ago(in.UpdatedAt, v.now())})
	}
	return ui.Card{Title: "Installed", Flush: true, Chips: []g.Node{ui.If(len(list) > 0, func() g.Node { return ui.Chip{Text: ui.Count(len(list))} })}, Body: t}
}

func stateCell(in plugin.Instance) g.Node {
	return h.Div(stateChip(in.State), ui.If(in.StateDetail != "" && in.State != plugin.StateActive, func() g.Node { return h.Span(h.Class("sub"), g.Text(in.StateDetail)) }))
}

// offers says in a few words what a plugin adds.
func offers(in plugin.Instance) string {
	text := ""
	add := func(s string) {
		if text != "" {
			text += ", "
		}
		text += s
	}
	if in.Manifest == nil {
		return ""
	}
	for _, c := range in.Manifest.Capabilities {
		switch {
		case len(c.Views) > 0:
			add(ui.Plural(len(c.Views), "view", "views"))
		case len(c.Schedules) > 0:
			add(ui.Plural(len(c.Schedules), "schedule", "schedules"))
		case len(c.OpenAPI) > 0:
			add("operations")
		}
	}
	return text
}

// newerOf is the version of the bundled release that differs from the
// installed one, or empty.
func newerOf(in plugin.Instance, bundled []plugin.Preview) string {
	for _, b := range bundled {
		if b.Manifest.Name == in.Name && b.Digest != in.Digest && b.Manifest.Version != in.Version {
			return b.Manifest.Version
		}
	}
	return ""
}

func available(list []plugin.Instance, bundled []plugin.Preview) []plugin.Preview {
	return slices.DeleteFunc(slices.Clone(bundled), func(b plugin.Preview) bool {
		return slices.ContainsFunc(list, func(in plugin.Instance) bool { return in.Name == b.Manifest.Name })
	})
}

func installURL(name string) string {
	return "/plugins/install?" + url.Values{"bundled": {name}}.Encode()
}

func bundledList(list []plugin.Preview, manage bool) g.Node {
	return h.Ul(ui.Map(list, func(p plugin.Preview) g.Node {
		m := p.Manifest
		return h.Li(h.Class("plugin-card"), frame.Letter(cmp.Or(m.Title, m.Name), m.Name),
			h.Div(h.Class("what"), h.H3(g.Text(cmp.Or(m.Title, m.Name))), h.P(h.Class("soft"), g.Text(m.Description)),
				ui.Chips(ui.Chip{Text: m.Name}, ui.Chip{Text: m.Version}, ui.If(m.License != "", func() g.Node { return ui.Chip{Text: m.License} }),
					ui.Chip{Text: ui.Plural(len(m.Permissions), "permission", "permissions"), Icon: "shield"})),
			ui.If(manage, func() g.Node {
				return h.Div(ui.Button{Label: "Review and install", Href: installURL(m.Name), Attrs: []g.Node{g.Attr("aria-label", "Review and install "+cmp.Or(m.Title, m.Name))}})
			}))
	}))
}

func (v *visit) uploadCard() g.Node {
	return ui.Card{Title: "Upload a package", Body: h.Form(h.Class("form"), h.EncType("multipart/form-data"), v.post("/plugins/upload"),
		form.Field{Name: "package", Label: "Packaged plugin", Kind: form.File, Required: true, Help: "The file that “callboard plugin package” wrote. Nothing runs before you have seen and granted what it asks for.", Attrs: []g.Node{h.Accept(".tar,.callboard,.gz")}},
		ui.Buttons(ui.Button{Label: "Upload and review", Icon: "upload"}))}
}

// upload takes a package in without granting it anything, and goes on to its
// page, where its permissions wait for consent. A package of a plugin that is
// installed upgrades it.
func (s *site) upload(v *visit) error {
	file, _, err := v.r.FormFile("package")
	if err != nil {
		return v.redirect("/plugins", bad("Choose a file first."))
	}
	defer func() { _ = file.Close() }()
	code, err := io.ReadAll(io.LimitReader(file, v.MaxUpload+1))
	if err != nil {
		return err
	}
	if int64(len(code)) > v.MaxUpload {
		return host.Errorf(host.CodeTooLarge, "The package is larger than %d MiB.", v.MaxUpload>>20)
	}
	from := plugin.Source{Upload: code}
	preview, err := v.Plugins.Inspect(v.ctx(), v.caller, from)
	if err != nil {
		return err
	}
	var in plugin.Instance
	if preview.Installed != "" {
		in, err = v.Installer.Upgrade(v.ctx(), v.caller, preview.Manifest.Name, from, plugin.UpgradeOptions{})
	} else {
		in, err = v.Installer.Install(v.ctx(), v.caller, from, plugin.InstallOptions{})
	}
	if err != nil {
		return err
	}
	return v.redirect(pluginURL(in.Short), good(titleOfPlugin(in)+" "+preview.Manifest.Version+" is here. Review what it asks for."))
}

// installPage shows a bundled release before it is installed: who it is, what
// it asks for and why, and what it wants to know. For an installed plugin it
// shows what an upgrade changes.
func (s *site) installPage(v *visit) error {
	p, err := v.Plugins.Inspect(v.ctx(), v.caller, plugin.Source{Bundled: v.r.URL.Query().Get("bundled")})
	if err != nil {
		return err
	}
	return v.installForm(http.StatusOK, p, nil, nil)
}

func (v *visit) installForm(status int, p plugin.Preview, sent []byte, failure *host.Error) error {
	m := p.Manifest
	title := cmp.Or(m.Title, m.Name)
	head := frame.Head{Title: "Install " + title, Lead: g.Text(m.Description), Emblem: frame.Letter(title, m.Name), Chips: []g.Node{ui.Chip{Text: m.Name}, ui.Chip{Text: m.Version},
		ui.If(m.License != "", func() g.Node { return ui.Chip{Text: m.License} })}}
	items, label, first := asked(m), "Grant and install", "What it asks for"
	if p.Installed != "" {
		in, err := v.Plugins.Get(v.ctx(), v.caller, m.Name)
		if err != nil {
			return err
		}
		head.Title, items, label, first = "Upgrade "+title, compared(in, m, p.Wider, p.Widened), "Approve and upgrade", "What changes from "+p.Installed
	}
	fields := g.Group{v.post("/plugins/install"), form.Hidden("bundled", m.Name), form.Hidden("digest", p.Digest), ui.If(failure != nil, func() g.Node {
		return ui.Banner{Tone: ui.Bad, Title: failure.Message, Text: failure.Hint}
	}),
		ui.Card{Title: first, Flush: true, Chips: []g.Node{ui.Chip{Text: ui.Plural(len(m.Permissions), "permission", "permissions"), Icon: "shield"}}, Body: form.Consent{Items: items, Choose: p.Installed == "" && len(items) > 0}}}
	if p.Installed == "" && (m.Config != nil || len(m.Secrets) > 0) {
		fields = append(fields, ui.Card{Title: "What it wants to know", Body: h.Div(h.Class("form"), configFields(m, sent, nil, failure))})
	}
	keep := "Not now"
	if p.Installed != "" {
		keep = "Keep " + p.Installed
	}
	fields = append(fields, ui.Card{Body: g.Group{
		ui.If(p.Installed == "", func() g.Node {
			return form.Field{Name: "enable", Label: "Enable it at once", Kind: form.Checkbox, Value: "true", Help: "Its operations and views appear the moment its code is compiled."}
		}),
		ui.Buttons(ui.Button{Label: label, Kind: ui.Primary}, ui.Button{Label: keep, Href: "/plugins"})}})
	return v.show(status, "/plugins", head.Title, ui.Breadcrumb{{Label: "Plugins", Href: "/plugins"}, {Label: title}}, head,
		h.Div(h.Class("grid"), h.Form(h.Class("span-8 stack"), fields), h.Div(h.Class("span-4"), releaseCard(p))))
}

func releaseCard(p plugin.Preview) g.Node {
	m := p.Manifest
	facts := data.Facts{{Key: "Version", Value: g.Text(m.Version)}, {Key: "Runs as", Value: g.Text(m.Runtime + ", in a sandbox")}, {Key: "Size", Value: g.Text(bytesInWords(p.CodeBytes))},
		{Key: "Needs", Value: h.Code(g.Text("callboard " + m.Callboard))}, {Key: "Digest", Value: h.Code(h.Class("small"), g.Text(shortDigest(p.Digest)))}}
	if m.Homepage != "" {
		facts = append(facts, data.Fact{Key: "Homepage", Value: ui.External(m.Homepage, m.Homepage)})
	}
	return ui.Card{Title: "This release", Body: facts}
}

// install installs a bundled release with what was granted, or upgrades to it.
func (s *site) install(v *visit) error {
	from := plugin.Source{Bundled: v.r.PostFormValue("bundled")}
	p, err := v.Plugins.Inspect(v.ctx(), v.caller, from)
	if err != nil {
		return err
	}
	if sent := v.r.PostFormValue("digest"); sent != p.Digest {
		return v.installForm(http.StatusConflict, p, nil, host.Errorf(host.CodeConflict, "The release changed while you looked at it.").WithHint("Review it again."))
	}
	var in plugin.Instance
	if p.Installed != "" {
		in, err = v.Installer.Upgrade(v.ctx(), v.caller, p.Manifest.Name, from, plugin.UpgradeOptions{AcceptAll: true})
	} else {
		in, err = v.installNew(from, p)
	}
	if err != nil {
		e := host.AsError(err)
		if e.Code.Status() >= http.StatusInternalServerError || e.Code == host.CodeForbidden {
			return err
		}
		config, _ := configForm(p.Manifest).Parse(v.r.PostForm) // to show again what can be shown
		return v.installForm(http.StatusUnprocessableEntity, p, config, e)
	}
	return v.redirect(pluginURL(in.Short), good(titleOfPlugin(in)+" "+in.Version+" is installed."))
}

func (v *visit) installNew(from plugin.Source, p plugin.Preview) (plugin.Instance, error) {
	config, err := configForm(p.Manifest).Parse(v.r.PostForm)
	if err != nil {
		return plugin.Instance{}, err
	}
	return v.Installer.Install(v.ctx(), v.caller, from, plugin.InstallOptions{Grants: chosen(p.Manifest, v.r.PostForm["grant"]), Config: config,
		Secrets: secretsSent(p.Manifest, v.r.PostForm), Enable: v.r.PostFormValue("enable") == "true"})
}
