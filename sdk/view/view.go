// Package view offers what to show: the capability view/v1. A view returns a
// tree of components, and the host renders it in its own style; a plugin ships
// no script and no style sheet.
//
//	view.Render("builds", func(ctx *sdk.Context, r view.Request) (view.Tree, error) {
//		return view.Of(
//			view.StatRow(view.Stat{Label: "Green", Value: "97", Unit: "%", Tone: view.Good}),
//			view.Text("Last week, all branches."),
//		), nil
//	})
package view

import (
	"encoding/json"
	"strings"

	v1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
	"github.com/callboard-dev/callboard/schemas/codec"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/catalog"
)

// Request asks for one view. Its fields are those of the wire; the methods are
// the convenient way.
type Request v1.Request

// Handler renders one view. An error is shown in the view's place, with its
// hint; to show a part of the view beside an error, return a tree with
// Failure in it.
type Handler func(ctx *sdk.Context, r Request) (Tree, error)

// Render offers the view with the given id.
func Render(id string, h Handler) sdk.Option {
	offer := sdk.Offer{Capability: v1.Name, Method: v1.MethodRender, Name: id, Decode: decode}
	if h != nil {
		offer.Handle = func(ctx *sdk.Context, request any) (any, error) {
			tree, err := h(ctx, request.(Request))
			if err != nil {
				return nil, err
			}
			if tree.Nodes == nil {
				tree.Nodes = []Node{}
			}
			return tree, nil
		}
	}
	return offer
}

// EntityDoc decodes the entity on whose page the view is shown. It is
// CodeInvalid in a slot without one.
func (r Request) EntityDoc() (catalog.Entity, error) {
	if len(r.Entity) == 0 {
		return catalog.Entity{}, sdk.Errorf(sdk.CodeInvalid, "view %q was asked for without an entity", r.View)
	}
	return catalog.Decode(r.Entity)
}

// Param returns what the reader chose for the parameter, or fallback.
func (r Request) Param(name, fallback string) string {
	if v := r.Params[name]; v != "" {
		return v
	}
	return fallback
}

// Of returns a tree of the nodes.
func Of(nodes ...Node) Tree { return Tree{Nodes: nodes} }

// MissingAnnotation returns what to show on an entity that lacks an annotation
// the plugin needs: the line to paste into its descriptor.
func MissingAnnotation(annotation, example string) Node {
	return Nothing("This needs one annotation",
		"Add it to the entity's descriptor; the portal reads it at the next refresh.",
		strings.Join([]string{"metadata:", "  annotations:", "    " + annotation + ": " + example}, "\n"))
}

// decode reads a request and says which view it asks for.
func decode(body json.RawMessage) (string, any, error) {
	var r v1.Request
	if err := codec.UnmarshalTrusted(body, &r); err != nil {
		return "", nil, err
	}
	return r.View, Request(r), nil
}
