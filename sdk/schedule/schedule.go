// Package schedule offers work that the host starts at intervals: the
// capability schedule/v1. The interval stands in plugin.yaml; the host adds
// jitter, survives restarts and never runs one schedule twice at a time for
// one tenant.
package schedule

import (
	"encoding/json"
	"time"

	v1 "github.com/callboard-dev/callboard/schemas/capability/schedule/v1"
	"github.com/callboard-dev/callboard/schemas/codec"
	"github.com/callboard-dev/callboard/sdk"
)

// Handler does one run. The message is shown to the operator beside the run;
// it may be empty. Due is when the run should have started.
type Handler func(ctx *sdk.Context, due time.Time) (message string, err error)

// Run offers the schedule with the given id.
func Run(id string, h Handler) sdk.Option {
	offer := sdk.Offer{Capability: v1.Name, Method: v1.MethodRun, Name: id, Decode: decode}
	if h != nil {
		offer.Handle = func(ctx *sdk.Context, request any) (any, error) {
			message, err := h(ctx, request.(v1.Request).Due)
			if err != nil {
				return nil, err
			}
			return v1.Response{Message: message}, nil
		}
	}
	return offer
}

// decode reads a request and says which schedule is due.
func decode(body json.RawMessage) (string, any, error) {
	var r v1.Request
	if err := codec.Unmarshal(body, &r); err != nil {
		return "", nil, err
	}
	return r.Schedule, r, nil
}
