// Package webhook takes what other systems send: the capability webhook/v1. The
// host has checked the signature, the time and that the delivery did not come
// before; the plugin needs no secret.
//
//	webhook.Receive("github", func(ctx *sdk.Context, r webhook.Request) (webhook.Response, error) {
//		var push struct{ Ref string }
//		if err := r.Decode(&push); err != nil {
//			return webhook.Response{}, err
//		}
//		...
//		return webhook.Response{}, nil
//	})
package webhook

import (
	"encoding/json"

	v1 "github.com/callboard-dev/callboard/schemas/capability/webhook/v1"
	"github.com/callboard-dev/callboard/schemas/codec"
	"github.com/callboard-dev/callboard/sdk"
)

// Response is what the sender gets; the zero value is 204.
type Response = v1.Response

// Request is one delivery.
type Request struct {
	v1.Request
}

// Decode decodes a JSON body into v. One that does not fit is CodeInvalid.
func (r Request) Decode(v any) error {
	if err := codec.Unmarshal(r.Body, v); err != nil {
		return sdk.Errorf(sdk.CodeInvalid, "decoding a delivery of %s: %w", r.Webhook, err)
	}
	return nil
}

// Handler takes one delivery.
type Handler func(ctx *sdk.Context, r Request) (Response, error)

// Receive offers the webhook with the given id.
func Receive(id string, h Handler) sdk.Option {
	offer := sdk.Offer{Capability: v1.Name, Method: v1.MethodReceive, Name: id, Decode: decode}
	if h != nil {
		offer.Handle = func(ctx *sdk.Context, request any) (any, error) {
			r := Request{request.(v1.Request)}
			r.Body = ctx.Data()
			response, err := h(ctx, r)
			if err != nil {
				return nil, err
			}
			return response, nil
		}
	}
	return offer
}

// decode reads a request and says which webhook it came to.
func decode(body json.RawMessage) (string, any, error) {
	var r v1.Request
	if err := codec.Unmarshal(body, &r); err != nil {
		return "", nil, err
	}
	return r.Webhook, r, nil
}
