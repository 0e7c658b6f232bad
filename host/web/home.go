package web

import (
	"cmp"
	"net/http"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

// home is what concerns the reader: what they own, what is wrong, what changed
// and how the plugins are.
func (s *site) home(v *visit) error {
	name := v.caller.Tenant().Name
	entities, _ := v.tallies()
	problems, err := v.Entities.Problems(v.ctx(), v.caller)
	if err != nil && host.CodeOf(err) != host.CodeForbidden {
		return err
	}
	lead := ui.Plural(entities, "entity", "entities") + " in the catalog of " + name + "."
	body := []g.Node{frame.Head{Title: "Home", Lead: g.Text(lead), Actions: v.registerButton(ui.Secondary)}}
	if entities == 0 {
		body = append(body, v.firstSteps())
	}
	body = append(body, h.Div(h.Class("grid"),
		h.Div(h.Class("span-8 stack"), v.ownedCard(), v.recentCard()),
		h.Div(h.Class("span-4 stack"), v.problemCard(problems), v.pluginCard())))
	return v.show(http.StatusOK, "/", "Home", ui.Breadcrumb{{Label: "Home"}}, body...)
}

func (v *visit) registerButton(kind ui.Kind) []g.Node {
	if !v.may(host.ActionLocationWrite) {
		return nil
	}
	return []g.Node{ui.Button{Label: "Register", Icon: "plus", Kind: kind, Href: "/catalog/register"}}
}

// firstSteps is what an empty portal says.
func (v *visit) firstSteps() g.Node {
	return ui.Card{Flush: true, Body: ui.Empty{Icon: "folder", Title: "The catalog is empty",
		Text:    "Register a folder, a file or a repository with catalog-info.yaml files. Entities appear within seconds.",
		Code:    "callboard catalog register https://github.com/backstage/backstage/blob/master/catalog-info.yaml",
		Actions: v.registerButton(ui.Primary)}}
}

// ownedCard lists what the reader or their groups own.
func (v *visit) ownedCard() g.Node {
	card := ui.Card{Title: "Owned by you", Flush: true}
	owners := v.owners()
	if len(owners) == 0 {
		card.Body = ui.Empty{Icon: "user", Title: "Your account is not linked to a User entity",
			Text: "An admin can link it under Members. Then everything that you and your groups own stands here."}
		return card
	}
	list, err := v.Entities.List(v.ctx(), v.caller, catalog.Query{Filter: map[string][]string{"relations.ownedBy": owners}, Limit: 10})
	if err != nil {
		card.Body = v.failed(host.AsError(err))
		return card
	}
	card.Origin = ui.Origin{Label: ui.Plural(list.Total, "entity", "entities")}
	if list.Total > len(list.Items) {
		card.Foot = h.A(h.Href(listURL(url1("owner", owners))), g.Text("See all "+ui.Count(list.Total)))
	}
	card.Body = v.entityTable("Owned by you", list.Items, ui.Empty{Icon: "box", Title: "You own nothing yet",
		Text: "Entities whose owner is you or one of your groups appear here.", Code: "spec:\n  owner: " + owners[0]})
	return card
}

// owners are the reader's User entity and the groups it belongs to.
func (v *visit) owners() []string {
	ref, err := catalog.ParseRef(v.caller.Principal().EntityRef, catalog.Ref{Kind: "user"})
	if v.caller.Principal().EntityRef == "" || err != nil {
		return nil
	}
	out := []string{ref.String()}
	me, err := v.Entities.Get(v.ctx(), v.caller, ref)
	if err != nil {
		return out
	}
	for _, r := range me.Relations {
		if r.Type == "memberOf" {
			out = append(out, r.Target.String())
		}
	}
	return out
}

func (v *visit) problemCard(problems []catalog.Problem) g.Node {
	card := ui.Card{Title: "Needs a look", Flush: true}
	items := problemItems(problems, 5)
	if len(problems) > 0 {
		card.Chips = []g.Node{ui.Chip{Text: ui.Plural(len(problems), "problem", "problems"), Tone: ui.Bad, Href: "/catalog/problems"}}
	}
	if len(problems) > len(items) {
		card.Foot = h.A(h.Href("/catalog/problems"), g.Text("See all "+ui.Count(len(problems))))
	}
	card.Body = data.List{Items: items, Empty: ui.Empty{Icon: "check", Title: "All descriptors are well", Text: "Every location was read and every document is valid."}}
	return card
}

func problemItems(problems []catalog.Problem, most int) []data.Item {
	var items []data.Item
	for _, p := range problems[:min(len(problems), most)] {
		item := data.Item{Title: p.Message, Detail: p.Where, Icon: "error", Clamp: true}
		if p.Ref != "" {
			if ref, err := catalog.ParseRef(p.Ref, catalog.Ref{}); err == nil {
				item.Href = entityURL(ref)
			}
		}
		items = append(items, item)
	}
	return items
}

// recentCard lists what changed last.
func (v *visit) recentCard() g.Node {
	card := ui.Card{Title: "Changed last", Flush: true}
	list, err := v.Entities.List(v.ctx(), v.caller, catalog.Query{Sort: "updatedAt,desc", Limit: 8})
	if err != nil {
		card.Body = v.failed(host.AsError(err))
		return card
	}
	slices.SortStableFunc(list.Items, func(a, b catalog.Entity) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	items := []data.Item{}
	for _, e := range list.Items {
		items = append(items, data.Item{Title: nameOf(e), Href: entityURL(e.Ref), Icon: iconOf(e.Kind),
			Detail: cmp.Or(e.Description, e.Kind), End: ui.Ago(e.UpdatedAt, v.now())})
	}
	card.Body = data.List{Items: items, Empty: ui.Empty{Icon: "history", Title: "Nothing changed yet"}}
	return card
}

// pluginCard says how the plugins are.
func (v *visit) pluginCard() g.Node {
	card := ui.Card{Title: "Plugins", Flush: true, Origin: h.Span(h.Class("origin"), h.A(h.Href("/plugins"), g.Text("See all")))}
	list, err := v.Plugins.List(v.ctx(), v.caller)
	if err != nil {
		card.Body = v.failed(host.AsError(err))
		return card
	}
	items := []data.Item{}
	for _, in := range list {
		items = append(items, data.Item{Title: titleOfPlugin(in), Href: pluginURL(in.Short), Detail: in.StateDetail, End: stateChip(in.State)})
	}
	empty := ui.Empty{Icon: "plug", Title: "No plugins yet", Text: "Plugins show builds, metrics and more where you already are."}
	if v.may(host.ActionPluginManage) {
		empty.Actions = []g.Node{ui.Button{Label: "Choose plugins", Small: true, Href: "/plugins"}}
	}
	card.Body = data.List{Items: items, Empty: empty}
	return card
}

// stateChip shows a plugin's state in one word.
func stateChip(s plugin.State) g.Node {
	words := map[plugin.State]ui.Chip{
		plugin.StateInstalling: {Text: "Installing", Tone: ui.Info}, plugin.StateCompiling: {Text: "Compiling", Tone: ui.Info},
		plugin.StateActive: {Text: "Active", Tone: ui.Good}, plugin.StateDisabled: {Text: "Disabled", Tone: ui.Neutral},
		plugin.StateFailedToStart: {Text: "Failed to start", Tone: ui.Bad}, plugin.StateFailedToStay: {Text: "Failed", Tone: ui.Bad},
		plugin.StateQuarantined: {Text: "Quarantined", Tone: ui.Bad}, plugin.StateUpdatePending: {Text: "Update waits", Tone: ui.Warn},
	}
	if chip, ok := words[s]; ok {
		return chip
	}
	return ui.Chip{Text: string(s), Tone: ui.Neutral}
}
