// Package processor offers a look at each entity while the catalog reads it:
// the capability processor/v1. In the phase pre a processor may change the
// document, in post it may add relations and further entities; in both it may
// say what is wrong, or refuse the entity. An error leaves the entity as it was
// and is shown beside its location.
//
//	processor.Process("owners", func(ctx *sdk.Context, e processor.Entity) (processor.Result, error) {
//		var doc struct{ Metadata struct{ Annotations map[string]string } }
//		if err := e.Decode(&doc); err != nil {
//			return processor.Result{}, err
//		}
//		if doc.Metadata.Annotations["acme.com/pager"] == "" {
//			return processor.Problem("the annotation acme.com/pager is missing", "name the team's pager"), nil
//		}
//		return processor.Result{}, nil
//	})
package processor

import (
	"encoding/json"

	v1 "github.com/callboard-dev/callboard/schemas/capability/processor/v1"
	"github.com/callboard-dev/callboard/schemas/codec"
	"github.com/callboard-dev/callboard/sdk"
)

// The phases.
const (
	Pre  = v1.PhasePre
	Post = v1.PhasePost
)

// Result is what the processor makes of an entity; the zero value leaves it as
// it is.
type Result = v1.Response

// Relation is a relation to add, in both directions.
type Relation = v1.Relation

// Entity is the entity at hand.
type Entity struct {
	// Phase is Pre or Post, Location where the document was read.
	Phase, Location string
	// Doc is the document in Backstage's format.
	Doc json.RawMessage
}

// Decode decodes the document into v.
func (e Entity) Decode(v any) error {
	if err := codec.Unmarshal(e.Doc, v); err != nil {
		return sdk.Errorf(sdk.CodeInternal, "decoding an entity: %w", err)
	}
	return nil
}

// Handler looks at one entity. It must give the same answer for the same
// document and configuration.
type Handler func(ctx *sdk.Context, e Entity) (Result, error)

// Process offers the processor with the given id.
func Process(id string, h Handler) sdk.Option {
	offer := sdk.Offer{Capability: v1.Name, Method: v1.MethodProcess, Name: id, Decode: decode}
	if h != nil {
		offer.Handle = func(ctx *sdk.Context, request any) (any, error) {
			r := request.(v1.Request)
			result, err := h(ctx, Entity{Phase: r.Phase, Location: r.Location, Doc: r.Entity})
			if err != nil {
				return nil, err
			}
			return result, nil
		}
	}
	return offer
}

// Replace returns a result that puts v in the document's place (Pre).
func Replace(v any) (Result, error) {
	doc, err := codec.Marshal(v)
	if err != nil {
		return Result{}, sdk.Errorf(sdk.CodeInternal, "encoding an entity: %w", err)
	}
	return Result{Entity: doc}, nil
}

// Problem returns a result that says what is wrong, and how to make it right.
func Problem(message, hint string) Result {
	return Result{Problems: []v1.Problem{{Message: message, Hint: hint}}}
}

// decode reads a request and says which processor it asks for.
func decode(body json.RawMessage) (string, any, error) {
	var r v1.Request
	if err := codec.Unmarshal(body, &r); err != nil {
		return "", nil, err
	}
	return r.Processor, r, nil
}
