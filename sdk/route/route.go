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
	streamv1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/stream"
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
	offer := sdk.Offer{Capability: v1.Name, Method: v1.MethodHandle, Name: operationID, Decode: decode}
	if h == nil {
		return offer
	}
	offer.Handle = func(ctx *sdk.Context, request any) (any, error) {
		r := request.(Request)
		var in In
		if len(r.Body) > 0 {
			if err := r.Decode(&in); err != nil {
				return nil, err
			}
		}
		out, err := h(ctx, r, in)
		if err != nil {
			return nil, err
		}
		return answered(out)
	}
	offer.Warm = func() {
		var in In
		var out Out
		_, _ = codec.Marshal(out)
		_ = codec.Unmarshal([]byte("{}"), &in)
	}
	return offer
}

// answered is the response of status 200 with the value as its body, written in
// one go.
func answered(body any) (sdk.Encoded, error) {
	const usual = 1 << 10
	out := append(make([]byte, 0, usual), `{"status":200,"body":`...)
	out, err := codec.Append(out, body)
	if err != nil {
		return nil, sdk.Errorf(sdk.CodeInternal, "encoding the response: %w", err)
	}
	return append(out, '}'), nil
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
	if err := codec.UnmarshalTrusted(body, &r); err != nil {
		return "", nil, err
	}
	return r.OperationID, Request(r), nil
}

// Body reads the body of a request to an operation whose fragment says
// x-callboard-stream: request or both. Its media type is r.ContentType.
func Body(ctx *sdk.Context) *stream.Reader {
	return stream.NewReader(ctx, streamv1.HandleRequest)
}

// Stream begins the response of an operation whose fragment says
// x-callboard-stream: response or both. Status and content type must be among
// those that the fragment describes. Write the body to what it returns, then
// answer with Streamed. An error after the first byte breaks the connection off:
// nobody takes half a body for a whole one.
func Stream(ctx *sdk.Context, status int, contentType string, header map[string]string) (*stream.Writer, error) {
	w := stream.NewWriter(ctx, streamv1.HandleResponse)
	return w, w.Begin(status, contentType, header)
}

// Streamed is the answer of an operation that has streamed its response.
func Streamed() (Response, error) { return Response{Status: 200, Streamed: true}, nil }
