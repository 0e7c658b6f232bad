package viewtree

import (
	"maps"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

// The names of what an action's form sends, beside "csrf" and "next". Names of
// parameters and fields follow their prefix.
const (
	InputOperation = "operation"
	PrefixParam    = "param."
	PrefixField    = "field."
	// PrefixKind says of what kind a field is, so that its value gets the right
	// JSON type. The operation's schema still decides.
	PrefixKind = "kind."
)

// hidden are the inputs that say what to call.
func (r *renderer) hidden(a viewv1.Action) g.Node {
	out := g.Group{form.Post(r.ActionURL, r.CSRF), form.Hidden("next", r.Here), form.Hidden(InputOperation, a.Operation)}
	for _, name := range slices.Sorted(maps.Keys(a.Params)) {
		out = append(out, form.Hidden(PrefixParam+name, a.Params[name]))
	}
	return out
}

// action is a button that calls an operation, after asking where the plugin
// says that it cannot be undone.
func (r *renderer) action(a viewv1.Action, fields g.Node, small bool) g.Node {
	if r.ActionURL == "" {
		return nil
	}
	kind := ui.Secondary
	if a.Danger {
		kind = ui.Danger
	}
	if a.Confirm == "" {
		return h.Form(h.Class(formClass(fields)), r.hidden(a), fields, ui.Buttons(ui.Button{Label: a.Label, Kind: kind, Small: small}))
	}
	id := r.id()
	act := ui.Button{Label: a.Label, Kind: ui.Primary}
	if a.Danger {
		act.Kind = ui.DangerSolid
	}
	if fields != nil {
		fields = h.Div(h.Class("form"), fields)
	}
	return g.Group{
		ui.Button{Label: a.Label, Kind: kind, Small: small, Opens: id},
		ui.Dialog{ID: id, Title: a.Label, Body: g.Group{h.P(g.Text(a.Confirm)), fields}, Keep: "Cancel", Act: act, Form: []g.Node{r.hidden(a)}},
	}
}

func formClass(fields g.Node) string {
	if fields == nil {
		return "form-inline"
	}
	return "form"
}

func (r *renderer) form(f viewv1.Form) g.Node {
	fields := g.Group{}
	for _, x := range f.Fields {
		fields = append(fields, form.Hidden(PrefixKind+x.Name, x.Kind), r.field(x))
	}
	return r.action(f.Action, fields, false)
}

func (r *renderer) field(x viewv1.Field) g.Node {
	out := form.Field{Name: PrefixField + x.Name, ID: r.id(), Label: x.Label, Help: x.Help, Value: x.Value, Required: x.Required}
	switch x.Kind {
	case form.Number, form.Checkbox, form.TextArea:
		out.Kind = x.Kind
	case form.Select:
		out.Kind = form.Select
		if !x.Required {
			out.Options = append(out.Options, form.Option{Label: "Not set"})
		}
	}
	for _, o := range x.Options {
		out.Options = append(out.Options, form.Option{Value: o.Value, Label: o.Label})
	}
	return out
}
