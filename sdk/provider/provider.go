// Package provider offers entities that no document describes: the capability
// provider/v1. The host asks at the interval in plugin.yaml; what it gets
// belongs to a location of the plugin's own.
//
//	provider.Full("teams", func(ctx *sdk.Context) ([]any, error) { return teams(ctx) })
package provider

import (
	"encoding/json"

	v1 "github.com/callboard-dev/callboard/schemas/capability/provider/v1"
	"github.com/callboard-dev/callboard/schemas/codec"
	"github.com/callboard-dev/callboard/sdk"
)

// Request asks for one page of a run.
type Request = v1.Request

// Response is one page; see the schema for what its fields mean.
type Response = v1.Response

// Handler answers one page of a run.
type Handler func(ctx *sdk.Context, r Request) (Response, error)

// Read offers the provider with the given id: with pages, changes and a state
// between runs.
func Read(id string, h Handler) sdk.Option {
	offer := sdk.Offer{Capability: v1.Name, Method: v1.MethodRead, Name: id, Decode: decode}
	if h != nil {
		offer.Handle = func(ctx *sdk.Context, request any) (any, error) {
			response, err := h(ctx, request.(v1.Request))
			if err != nil {
				return nil, err
			}
			return response, nil
		}
	}
	return offer
}

// Full offers a provider that answers all its entities at once; those that are
// missing from the answer are gone.
func Full(id string, h func(ctx *sdk.Context) ([]any, error)) sdk.Option {
	if h == nil {
		return Read(id, nil)
	}
	return Read(id, func(ctx *sdk.Context, _ Request) (Response, error) {
		list, err := h(ctx)
		if err != nil {
			return Response{}, err
		}
		docs, err := Encode(list...)
		return Response{Entities: docs}, err
	})
}

// Encode encodes entities for a Response.
func Encode(entities ...any) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, 0, len(entities))
	for i, e := range entities {
		doc, err := codec.Marshal(e)
		if err != nil {
			return nil, sdk.Errorf(sdk.CodeInternal, "encoding the entity %d: %w", i+1, err)
		}
		out = append(out, doc)
	}
	return out, nil
}

// decode reads a request and says which provider it asks for.
func decode(body json.RawMessage) (string, any, error) {
	var r v1.Request
	if err := codec.Unmarshal(body, &r); err != nil {
		return "", nil, err
	}
	return r.Provider, r, nil
}
