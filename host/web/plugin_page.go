package web

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
	"github.com/callboard-dev/callboard/host/web/ui/text"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// pluginPage shows one installed plugin.
func (s *site) pluginPage(v *visit) error {
	in, err := v.Plugins.Get(v.ctx(), v.caller, v.r.PathValue("plugin"))
	if err != nil {
		return err
	}
	return v.showPlugin(http.StatusOK, in, cmp.Or(v.r.URL.Query().Get("tab"), "overview"), nil, nil)
}

func (v *visit) showPlugin(status int, in plugin.Instance, current string, sent []byte, failure *host.Error) error {
	tabs := ui.Tabs{Label: "About " + titleOfPlugin(in)}
	names := [][2]string{{"overview", "Overview"}, {"permissions", "Permissions"}, {"configuration", "Configuration"}, {"operations", "Operations"}, {"usage", "Usage"}, {"readme", "Readme"}}
	if v.may(host.ActionPluginManage) && in.Manifest != nil && in.Manifest.Runtime == manifestv1.RuntimeWASM {
		names = append(names[:len(names)-1], [2]string{"recordings", "Recordings"}, names[len(names)-1])
	}
	if in.Pending != nil {
		names = append(names[:1:1], append([][2]string{{"upgrade", "Upgrade " + in.Version + " → " + in.Pending.Version}}, names[1:]...)...)
	}
	for _, n := range names {
		tabs.Items = append(tabs.Items, ui.Tab{Label: n[1], Href: pluginURL(in.Short) + "?tab=" + n[0], Current: n[0] == current})
	}
	var content g.Node
	switch current {
	case "overview":
		content = v.pluginOverview(in)
	case "upgrade":
		content = v.upgradeTab(in)
	case "permissions":
		content = v.permissionsTab(in)
	case "configuration":
		content = v.configurationTab(in, sent, failure)
	case "operations":
		content = v.operationsTab(in)
	case "usage":
		content = v.usageTab(in, failure)
	case "recordings":
		content = v.recordingsTab(in, failure)
	case "readme":
		content = readmeTab(in)
	default:
		return notFound("%s has no tab %q.", titleOfPlugin(in), current)
	}
	return v.show(status, "/plugins", titleOfPlugin(in), ui.Breadcrumb{{Label: "Plugins", Href: "/plugins"}, {Label: titleOfPlugin(in)}},
		v.pluginHead(in), v.pluginBanners(in), tabs, content)
}

func (v *visit) pluginHead(in plugin.Instance) g.Node {
	head := frame.Head{Title: titleOfPlugin(in), Emblem: frame.Letter(titleOfPlugin(in), in.Name),
		Chips: []g.Node{stateChip(in.State), ui.Chip{Text: in.Name}, ui.Chip{Text: in.Version}}}
	if in.Manifest != nil {
		head.Lead = g.Text(in.Manifest.Description)
		if in.Manifest.License != "" {
			head.Chips = append(head.Chips, ui.Chip{Text: in.Manifest.License})
		}
	}
	if v.may(host.ActionPluginManage) {
		head.Actions = v.pluginActions(in)
	}
	return head
}

// pluginActions are the buttons for those who may manage plugins.
func (v *visit) pluginActions(in plugin.Instance) []g.Node {
	act := func(change string, b ui.Button) g.Node { return h.Form(v.post(pluginURL(in.Short)+"/"+change), b) }
	var out []g.Node
	if in.Enabled {
		out = append(out, act("disable", ui.Button{Label: "Disable", Icon: "pause"}))
	} else if !waitsForConsent(in) {
		out = append(out, act("enable", ui.Button{Label: "Enable", Icon: "play", Kind: ui.Primary}))
	}
	menu := ui.Menu{Label: "More actions", Summary: ui.Icon("more")}
	if in.Previous != "" && in.Pending == nil {
		menu.Items = append(menu.Items, act("rollback", ui.Button{Label: "Go back to " + in.Previous, Icon: "history", Kind: ui.Quiet}))
	}
	menu.Items = append(menu.Items, h.Button(h.Type("button"), h.Class("danger"), g.Attr("commandfor", "uninstall"), g.Attr("command", "show-modal"), ui.Icon("trash"), g.Text("Uninstall")))
	return append(out, menu, ui.Dialog{ID: "uninstall", Title: "Uninstall " + titleOfPlugin(in) + "?", Keep: "Keep it", Act: ui.Button{Label: "Uninstall", Kind: ui.DangerSolid},
		Body: h.P(g.Text("Its views and operations disappear at once. What it stored, its configuration and its secrets are deleted and cannot be restored.")),
		Form: []g.Node{v.post(pluginURL(in.Short) + "/uninstall")}})
}

// waitsForConsent reports whether nobody has decided about the permissions yet.
func waitsForConsent(in plugin.Instance) bool {
	return !in.Enabled && in.Manifest != nil && len(in.Manifest.Permissions) > 0 && len(in.Grants) == 0
}

// pluginBanners say what has to be done before the plugin works.
func (v *visit) pluginBanners(in plugin.Instance) g.Node {
	out := g.Group{v.progress(in)}
	switch in.State {
	case plugin.StateFailedToStart, plugin.StateFailedToStay, plugin.StateQuarantined:
		stopped := ui.Banner{Tone: ui.Bad, Title: "The plugin does not run", Text: in.StateDetail}
		if v.may(host.ActionPluginManage) {
			stopped.Actions = []g.Node{h.Form(v.post(pluginURL(in.Short)+"/retry"), ui.Button{Label: "Try again", Small: true})}
		}
		out = append(out, stopped)
	case plugin.StateUpdatePending:
		out = append(out, ui.Banner{Tone: ui.Warn, Title: "The new version asks for more", Text: in.Version + " keeps serving until you decide.",
			Actions: []g.Node{ui.Button{Label: "Review", Small: true, Href: pluginURL(in.Short) + "?tab=upgrade"}}})
	}
	if missing := in.Missing(); len(missing) > 0 {
		out = append(out, ui.Banner{Tone: ui.Warn, Title: "A secret is missing", Text: "Set " + strings.Join(missing, ", ") + " before it can work.",
			Actions: []g.Node{ui.Button{Label: "Configure", Small: true, Href: pluginURL(in.Short) + "?tab=configuration"}}})
	}
	if waitsForConsent(in) {
		out = append(out, ui.Banner{Tone: ui.Warn, Title: "It waits for your consent", Text: "Nothing of it runs before you have decided what it may reach.",
			Actions: []g.Node{ui.Button{Label: "Review permissions", Small: true, Href: pluginURL(in.Short) + "?tab=permissions"}}})
	}
	return out
}

// progress shows how far compiling is, and asks again until it is done.
func (v *visit) progress(in plugin.Instance) g.Node {
	if in.Progress == nil {
		return nil
	}
	bar := ui.Progress{Label: "Compiling " + titleOfPlugin(in) + " " + in.Version, Detail: in.Progress.Phase}
	if in.Progress.Fraction > 0 {
		bar.Done, bar.Of = int(in.Progress.Fraction*100), 100
		bar.Detail = fmt.Sprintf("%s, %d %%", in.Progress.Phase, bar.Done)
	}
	return h.Div(h.ID("progress"), g.Attr("hx-get", pluginURL(in.Short)+"/progress"), g.Attr("hx-trigger", "every 700ms"), g.Attr("hx-swap", "outerHTML"),
		ui.Card{Body: g.Group{bar, g.El("noscript", h.A(h.Href(v.here()), g.Text("Look again")))}})
}

// pluginProgress is the progress alone. Once there is none, the page is loaded
// again, because its state has changed.
func (s *site) pluginProgress(v *visit) error {
	in, err := v.Plugins.Get(v.ctx(), v.caller, v.r.PathValue("plugin"))
	if err != nil {
		return err
	}
	if in.Progress == nil {
		v.w.Header().Set("HX-Refresh", "true")
		return v.write(http.StatusOK, h.Div(h.ID("progress")))
	}
	return v.write(http.StatusOK, v.progress(in))
}

func (v *visit) pluginOverview(in plugin.Instance) g.Node {
	health, err := v.Plugins.Health(v.ctx(), v.caller, in.Short)
	if err != nil {
		return ui.Card{Title: "Health", Body: v.failed(host.AsError(err))}
	}
	failed := data.Stat{Label: "Failed calls", Value: ui.Count(int(health.Errors))}
	if health.Errors > 0 && health.LastError != nil {
		failed.Tone, failed.Change = ui.Bad, "last "+ui.AgoText(health.LastError.At, v.now())
	}
	loaded := "not in memory, loads at the next call"
	if health.Loaded {
		loaded = "in memory"
	}
	return h.Div(h.Class("grid"),
		ui.Card{Title: "Health", Span: "span-8", Origin: ui.Origin{Label: "since this host started"}, Body: data.Stats{
			{Label: "Calls", Value: ui.Count(int(health.Calls))}, failed,
			{Label: "Running now", Value: ui.Count(health.Running), Unit: "of " + ui.Count(health.Limit)},
			{Label: "Stored", Value: bytesInWords(health.KVBytes)}}},
		ui.Card{Title: "Sandbox", Span: "span-4", Body: append(data.Facts{{Key: "State", Value: ui.Nodes{stateChip(in.State), ui.If(in.StateDetail != "", func() g.Node { return h.Div(h.Class("small soft"), g.Text(in.StateDetail)) })}},
			{Key: "Code", Value: g.Text(bytesInWords(health.CodeBytes) + ", " + loaded)}, {Key: "Digest", Value: h.Code(g.Text(shortDigest(in.Digest)))},
			{Key: "Installed", Value: ui.Ago(in.InstalledAt, v.now())}, {Key: "Offers", Value: g.Text(cmp.Or(offers(in), "nothing"))}}, sandboxFacts(health.Facts)...)},
		ui.Card{Title: "Last calls", Span: "span-12", Flush: true, Body: v.callTable(health.Recent)})
}

func (v *visit) callTable(recent []plugin.CallRecord) g.Node {
	t := data.Table{Caption: "Last calls", Empty: ui.Empty{Icon: "clock", Title: "No calls yet", Text: "Open an entity that the plugin has something to say about."},
		Columns: []data.Column{{Title: "Result", Telling: true}, {Title: "Call", Telling: true}, {Title: "What happened"}, {Title: "Took", Numeric: true}, {Title: "When", Numeric: true}}}
	for _, r := range recent {
		result := ui.Chip{Text: "Well", Tone: ui.Good}
		if r.Code != "" {
			result = ui.Chip{Text: string(r.Code), Tone: ui.Bad}
		}
		t.Rows = append(t.Rows, data.Row{result, h.Code(g.Text(r.Capability + " " + r.Method)), h.Span(h.Class("break"), g.Text(r.Error)), g.Text(tookInWords(r.Took)), ui.Ago(r.At, v.now())})
	}
	return t
}

func tookInWords(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// upgradeTab shows what a waiting release asks for, or could do, beyond the installed one.
func (v *visit) upgradeTab(in plugin.Instance) g.Node {
	if in.Pending == nil {
		return ui.Card{Flush: true, Body: ui.Empty{Icon: "check", Title: "No upgrade waits", Text: "Version " + in.Version + " is the newest that was brought here."}}
	}
	foot := g.Node(nil)
	if v.may(host.ActionPluginManage) {
		foot = h.Div(h.Class("buttons"),
			h.Form(v.post(pluginURL(in.Short)+"/grant"), form.Hidden("all", "true"), form.Hidden("digest", in.Pending.Digest), ui.Button{Label: "Approve and upgrade", Kind: ui.Primary}),
			h.Form(v.post(pluginURL(in.Short)+"/rollback"), ui.Button{Label: "Keep " + in.Version}))
	}
	return ui.Card{Title: "This version asks for more", Flush: true, Chips: []g.Node{ui.Chip{Text: "Waiting for your approval", Tone: ui.Warn}},
		Origin: ui.Origin{Label: in.Version + " keeps serving until then"}, Body: form.Consent{Items: compared(in, in.Pending.Manifest, in.Pending.Wider, in.Pending.Widened)}, Foot: foot}
}

func (v *visit) permissionsTab(in plugin.Instance) g.Node {
	manage := v.may(host.ActionPluginManage)
	if !manage {
		return ui.Card{Title: "What it may do", Flush: true, Body: form.Consent{Items: granted(in)}}
	}
	items := asked(in.Manifest)
	if !waitsForConsent(in) {
		items = granted(in)
	}
	return h.Div(h.Class("stack"), h.Form(v.post(pluginURL(in.Short)+"/grant"), form.Hidden("digest", in.Digest),
		ui.Card{Title: "What it asks for", Flush: true, Chips: []g.Node{ui.Chip{Text: ui.Plural(len(items), "permission", "permissions"), Icon: "shield"}},
			Body: form.Consent{Items: items, Choose: len(items) > 0},
			Foot: ui.If(len(items) > 0, func() g.Node {
				label := "Save what it may do"
				if waitsForConsent(in) {
					label = "Grant and enable"
				}
				return ui.Buttons(ui.Button{Label: label, Kind: ui.Primary})
			})}), v.evidence(in))
}

func (v *visit) configurationTab(in plugin.Instance, sent []byte, failure *host.Error) g.Node {
	value := []byte(in.Config)
	if sent != nil {
		value = sent
	}
	out := g.Group{h.Class("stack")}
	switch {
	case in.Manifest == nil || in.Manifest.Config == nil && len(in.Manifest.Secrets) == 0:
		out = append(out, ui.Card{Flush: true, Body: ui.Empty{Icon: "sliders", Title: "There is nothing to configure"}})
	case !v.may(host.ActionPluginManage):
		out = append(out, ui.Card{Title: "Configuration", Body: ui.Code{Title: "JSON", Text: string(value)}})
	default:
		out = append(out, h.Form(v.post(pluginURL(in.Short)+"/config"), ui.Card{Title: "Configuration", Body: h.Div(h.Class("form narrow"),
			ui.If(failure != nil, func() g.Node { return ui.Banner{Tone: ui.Bad, Title: failure.Message, Text: failure.Hint} }),
			configFields(in.Manifest, value, in.Secrets, failure)), Foot: ui.Buttons(ui.Button{Label: "Save configuration", Kind: ui.Primary})}))
	}
	views, err := v.Views.List(v.ctx(), v.caller, viewv1.SlotSettings, nil)
	if err != nil {
		return append(out, ui.Card{Body: v.failed(host.AsError(err))})
	}
	for _, x := range views {
		if x.Short == in.Short {
			out = append(out, v.viewNow(x, catalog.Entity{}))
		}
	}
	return h.Div(out)
}

func (v *visit) operationsTab(in plugin.Instance) g.Node {
	t := data.Table{Caption: "Operations", Empty: ui.Empty{Icon: "api", Title: "No operations", Text: "A disabled plugin offers none."},
		Columns: []data.Column{{Title: "Operation", Telling: true}, {Title: "Needs", Telling: true}, {Title: "Identifier"}}}
	for _, op := range v.Operations.Operations(v.caller.TenantID()) {
		if op.Short != in.Short {
			continue
		}
		t.Rows = append(t.Rows, data.Row{
			h.Div(h.Div(h.Class("strong"), g.Text(cmp.Or(op.Summary, op.OperationID))), h.Code(h.Class("break"), g.Text(op.Method+" /api/plugins/"+op.Short+op.Path))),
			ui.Chip{Text: strings.TrimPrefix(string(op.Access), "plugin.operation.")}, h.A(h.Href("/docs#"+op.OperationID), g.Text(op.OperationID))})
	}
	return ui.Card{Title: "Operations", Flush: true, Body: t}
}

func readmeTab(in plugin.Instance) g.Node {
	if strings.TrimSpace(in.Readme) == "" {
		return ui.Card{Flush: true, Body: ui.Empty{Icon: "book", Title: "The package has no readme"}}
	}
	return ui.Card{Title: "Readme", Origin: ui.Origin{Label: "by its author"}, Body: text.Markdown(in.Readme)}
}
