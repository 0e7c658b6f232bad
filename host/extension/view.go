package extension

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/schemas/capability/view/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// View is one view that a plugin offers.
type View struct {
	Plugin string `json:"plugin"` // "namespace/name"
	Short  string `json:"short"`
	// PluginTitle is the plugin's title, Title the view's.
	PluginTitle string `json:"pluginTitle"`
	ID          string `json:"id"`
	Slot        string `json:"slot"`
	Title       string `json:"title"`
}

// Views lists and renders the views of plugins (view/v1).
type Views struct {
	house House
	authz host.Authorizer
}

// NewViews returns Views over house.
func NewViews(house House, authz host.Authorizer) *Views {
	return &Views{house: house, authz: authz}
}

// List returns the views of a slot, sorted by plugin and in the order of their
// manifest. For the entity slots, entity is the entity whose page is shown, in
// Backstage's format; views that have nothing to say about it are left out.
// Views that the caller may not see are left out too.
func (v *Views) List(ctx context.Context, c host.Caller, slot string, entity json.RawMessage) ([]View, error) {
	subject, err := subjectOf(slot, entity)
	if err != nil {
		return nil, err
	}
	var out []View
	for _, in := range v.house.Active(c.TenantID()) {
		capability := in.Capability(view.Name)
		if capability == nil || v.authz.Authorize(ctx, c, accessOf(slot), "plugin:"+in.Short) != nil {
			continue
		}
		for _, offer := range capability.Views {
			if offer.Slot == slot && subject.fits(offer.When) {
				out = append(out, View{Plugin: in.Name, Short: in.Short, PluginTitle: in.Manifest.Title, ID: offer.ID, Slot: offer.Slot, Title: offer.Title})
			}
		}
	}
	return out, nil
}

// Render asks a plugin for one of its views and checks the tree that it
// answers. The host renders the tree; it holds nothing but text, numbers,
// times and http(s) links.
func (v *Views) Render(ctx context.Context, c host.Caller, short, id string, entity json.RawMessage, params map[string]string) (view.Tree, error) {
	offer, err := v.offer(c, short, id)
	if err != nil {
		return view.Tree{}, err
	}
	if err := v.authz.Authorize(ctx, c, accessOf(offer.Slot), "plugin:"+short); err != nil {
		return view.Tree{}, err
	}
	subject, err := subjectOf(offer.Slot, entity)
	if err != nil {
		return view.Tree{}, err
	}
	if !subject.fits(offer.When) {
		return view.Tree{}, host.Errorf(host.CodeNotFound, "the view %q of %s has nothing to say about this entity", id, short)
	}
	if !entitySlot(offer.Slot) {
		entity = nil
	}
	var tree view.Tree
	answer, err := v.house.Ask(ctx, c, plugin.Request{Plugin: short, Capability: view.Name, Method: view.MethodRender,
		Body: view.Request{View: id, Slot: offer.Slot, Entity: entity, Params: params}, Out: &tree, Repeatable: true})
	if err != nil {
		return view.Tree{}, err
	}
	if answer.Neutral {
		return view.Tree{Nodes: []view.Node{{Empty: &view.Empty{Title: "Nothing to show for now", Text: "The plugin " + short + " does not answer."}}}}, nil
	}
	if faults := checkTree(&tree); len(faults) > 0 {
		return view.Tree{}, lied(short, "the view "+id, faults)
	}
	if answer.Stale > 0 {
		tree.Source = staleSource(tree.Source, short, answer)
	}
	return tree, nil
}

// staleSource says under the title that the view is an earlier one, and why.
func staleSource(s *view.Source, short string, a plugin.Answer) *view.Source {
	out := view.Source{Label: short, FetchedAt: time.Now().Add(-a.Stale).UTC()}
	if s != nil {
		out = *s
	}
	out.Stale = true
	out.Message = fmt.Sprintf("The plugin does not answer; this is its answer from %s ago.", a.Stale.Truncate(time.Second))
	return &out
}

// offer finds a view in the manifest of an active plugin.
func (v *Views) offer(c host.Caller, short, id string) (*manifestv1.View, error) {
	active := v.house.Active(c.TenantID())
	n := slices.IndexFunc(active, func(in plugin.Instance) bool { return in.Short == short })
	if n < 0 {
		return nil, host.Errorf(host.CodeNotFound, "no plugin %q is active", clip(short))
	}
	if capability := active[n].Capability(view.Name); capability != nil {
		for i := range capability.Views {
			if capability.Views[i].ID == id {
				return &capability.Views[i], nil
			}
		}
	}
	return nil, host.Errorf(host.CodeNotFound, "the plugin %s has no view %q", short, clip(id))
}

// accessOf is the right that a slot's views need: settings are for admins.
func accessOf(slot string) host.Action {
	if slot == view.SlotSettings {
		return host.ActionOperationAdmin
	}
	return host.ActionOperationRead
}

func entitySlot(slot string) bool { return slot == view.SlotEntityTab || slot == view.SlotEntityCard }

// subject is what of an entity decides which views it has.
type subject struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
}

func subjectOf(slot string, entity json.RawMessage) (*subject, error) {
	s := new(subject)
	if !entitySlot(slot) {
		return s, nil
	}
	if err := json.Unmarshal(entity, s); err != nil || s.Kind == "" {
		return nil, host.Errorf(host.CodeInvalid, "the slot %s needs an entity", slot)
	}
	return s, nil
}

func (s *subject) fits(w *manifestv1.When) bool {
	if w == nil {
		return true
	}
	if len(w.Kinds) > 0 && !slices.ContainsFunc(w.Kinds, func(k string) bool { return strings.EqualFold(k, s.Kind) }) {
		return false
	}
	return len(w.Annotations) == 0 || slices.ContainsFunc(w.Annotations, func(a string) bool {
		_, ok := s.Metadata.Annotations[a]
		return ok
	})
}
