// Package event is the host service event/v1: a plugin publishes events to
// topics of its own. The permission names them without the plugin's name;
// subscribers write "namespace/name/topic".
package event

import "encoding/json"

const (
	// Name is the service's name in manifests and calls.
	Name = "event/v1"
	// MethodPublish takes a PublishRequest and returns a PublishResponse.
	MethodPublish = "publish"
)

// Bounds of one request.
const (
	MaxEvents  = 100
	MaxPayload = 64 << 10
	MaxKey     = 256
)

// PublishRequest holds the events that are published together: all or none.
type PublishRequest struct {
	Events []Event `json:"events"`
}

// Event is one event.
type Event struct {
	// Topic is one of the permission's, without the plugin's name.
	Topic string `json:"topic"`
	// Key orders: events of one key are delivered one after the other.
	Key     string          `json:"key,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// PublishResponse holds the ids of the events, in their order.
type PublishResponse struct {
	IDs []string `json:"ids"`
}
