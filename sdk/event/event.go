// Package event lets plugins tell each other what happened: On offers a
// subscription (the capability event/v1), Publish says something to topics of
// one's own (the host service event/v1).
//
// A handler sees each event at least once, those of one key in their order. An
// error has the event brought again later, unless it is permanent
// (sdk.Error.WithRetry, or a code such as sdk.CodeInvalid): then it is a dead
// letter.
package event

import (
	"context"
	"encoding/json"
	"time"

	v1 "github.com/callboard-dev/callboard/schemas/capability/event/v1"
	"github.com/callboard-dev/callboard/schemas/codec"
	service "github.com/callboard-dev/callboard/schemas/service/event/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// Topics of the core.
const (
	EntityChanged     = v1.TopicEntityChanged     // Entity
	EntityDeleted     = v1.TopicEntityDeleted     // Entity
	PluginInstalled   = v1.TopicPluginInstalled   // Plugin
	PluginEnabled     = v1.TopicPluginEnabled     // Plugin
	PluginDisabled    = v1.TopicPluginDisabled    // Plugin
	PluginUpgraded    = v1.TopicPluginUpgraded    // Plugin
	PluginConfigured  = v1.TopicPluginConfigured  // Plugin
	PluginUninstalled = v1.TopicPluginUninstalled // Plugin
)

// Entity is the payload of catalog events, Plugin that of plugin events.
type (
	Entity = v1.Entity
	Plugin = v1.Plugin
)

// Event is one event.
type Event struct {
	// ID is the same each time the event is brought.
	ID string
	// Topic is the whole name, Key what orders events.
	Topic, Key string
	At         time.Time
	// Attempt counts from 1.
	Attempt int
	Payload json.RawMessage
}

// Decode decodes the payload into v. One that does not fit is CodeInvalid, so
// that the event becomes a dead letter.
func (e Event) Decode(v any) error {
	if err := codec.Unmarshal(e.Payload, v); err != nil {
		return sdk.Errorf(sdk.CodeInvalid, "decoding an event of %s: %w", e.Topic, err)
	}
	return nil
}

// Handler takes one event.
type Handler func(ctx *sdk.Context, e Event) error

// On offers the subscription with the given id.
func On(subscription string, h Handler) sdk.Option {
	offer := sdk.Offer{Capability: v1.Name, Method: v1.MethodDeliver, Name: subscription, Decode: decode}
	if h != nil {
		offer.Handle = func(ctx *sdk.Context, request any) (any, error) {
			r := request.(v1.Request)
			e := Event{ID: r.ID, Topic: r.Topic, Key: r.Key, At: r.At, Attempt: r.Attempt, Payload: r.Payload}
			if err := h(ctx, e); err != nil {
				return nil, err
			}
			return v1.Response{}, nil
		}
	}
	return offer
}

// decode reads a request and says which subscription it is for.
func decode(body json.RawMessage) (string, any, error) {
	var r v1.Request
	if err := codec.Unmarshal(body, &r); err != nil {
		return "", nil, err
	}
	return r.Subscription, r, nil
}

// Publish publishes one event to a topic of the plugin, without its name, and
// returns the event's id. The key orders; it may be empty.
func Publish(ctx context.Context, topic, key string, payload any) (id string, err error) {
	raw, err := codec.Marshal(payload)
	if err != nil {
		return "", sdk.Errorf(sdk.CodeInternal, "encoding an event of %s: %w", topic, err)
	}
	var out service.PublishResponse
	in := service.PublishRequest{Events: []service.Event{{Topic: topic, Key: key, Payload: raw}}}
	if err := sdk.Do(ctx, service.Name, service.MethodPublish, in, &out); err != nil {
		return "", err
	}
	if len(out.IDs) != 1 {
		return "", sdk.Errorf(sdk.CodeInternal, "publishing to %s: the host answers %d ids for one event", topic, len(out.IDs))
	}
	return out.IDs[0], nil
}
