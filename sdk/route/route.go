// Package route offers HTTP operations: the capability route/v1. An operation
// is described by the OpenAPI fragment in plugin.yaml; the host checks each
// request against it before the plugin is called, and each response after.
//
//	route.Handle("getGreeting", func(ctx *sdk.Context, r route.Request) (route.Response, error) {
//		return route.JSON(map[string]string{"text": "Hello, " + r.Param("name")})
//	})
package route

import (
	"encoding/json"

	v1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	"github.com/callboard-dev/callboard/schemas/codec"
	"github.com/callboard-dev/callboard/sdk"
)

// Request is one request to an operation. Its fields are those of the wire;
// the methods are the convenient way.
type Request v1.Request

// Response is the answer: a status that the fragment declares, headers and a
// JSON body. Status 0 means 200.
type Response v1.Response

// Handler answers one operation.
type Handler func(ctx *sdk.Context, r Request) (Response, error)

// Handle offers the operation with the given operationId.
func Handle(operationID string, h Handler) sdk.Option {
	offer := sdk.Offer{Capability: v1.Name, Method: v1.MethodHandle, Name: operationID, Decode: decode}
	if h != nil {
		offer.Handle = func(ctx *sdk.Context, request any) (any, error) {
			response, err := h(ctx, request.(Request))
			if err != nil {
				return nil, err
			}
			if response.Status == 0 {
				response.Status = 200
			}
			return v1.Response(response), nil
		}
	}
	return offer
}

// HandleJSON offers an operation whose body is decoded into In and whose
// answer Out is encoded with status 200. A request without a body leaves In
// at its zero value.
func HandleJSON[In, Out any](operationID string, h func(ctx *sdk.Context, r Request, in In) (Out, error)) sdk.Option {
	return Handle(operationID, func(ctx *sdk.Context, r Request) (Response, error) {
		var in In
		if len(r.Body) > 0 {
			if err := r.Decode(&in); err != nil {
				return Response{}, err
			}
		}
		out, err := h(ctx, r, in)
		if err != nil {
			return Response{}, err
		}
		return JSON(out)
	})
}

// Param returns a path parameter, or "".
func (r Request) Param(name string) string { return r.Params[name] }

// QueryValue returns the first value of a query parameter, or "".
func (r Request) QueryValue(name string) string {
	if values := r.Query[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Decode decodes the body into v. A body that does not fit is CodeInvalid.
func (r Request) Decode(v any) error {
	if err := codec.Unmarshal(r.Body, v); err != nil {
		return sdk.Errorf(sdk.CodeInvalid, "decoding the request body: %w", err)
	}
	return nil
}

// JSON returns a response of status 200 with v as its body.
func JSON(v any) (Response, error) { return JSONStatus(200, v) }

// JSONStatus returns a response of the given status with v as its body.
func JSONStatus(status int, v any) (Response, error) {
	body, err := codec.Marshal(v)
	if err != nil {
		return Response{}, sdk.Errorf(sdk.CodeInternal, "encoding the response: %w", err)
	}
	return Response{Status: status, Body: body}, nil
}

// NoContent returns a response of status 204.
func NoContent() (Response, error) { return Response{Status: 204}, nil }

// decode reads a request and says which operation it asks for.
func decode(body json.RawMessage) (string, any, error) {
	var r v1.Request
	if err := codec.Unmarshal(body, &r); err != nil {
		return "", nil, err
	}
	return r.OperationID, Request(r), nil
}
