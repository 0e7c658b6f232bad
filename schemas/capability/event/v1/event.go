// Package event is the capability event/v1: the host brings a plugin the events
// of the topics that its subscriptions name. Each subscription gets each event
// at least once, those of one key in their order. A delivery that fails is
// tried again with growing pauses; one that keeps failing, or that the plugin
// says is permanent, becomes a dead letter and the next one follows.
//
// Topics of the core are words with dots. Those of a plugin begin with its
// name and a slash: "acme/deploy-board/finished".
package event

import (
	"encoding/json"
	"time"
)

const (
	// Name is the capability's name in manifests and calls.
	Name = "event/v1"
	// MethodDeliver takes a Request and returns a Response.
	MethodDeliver = "deliver"
)

// Topics of the core. The key of catalog events is the entity's reference,
// that of plugin events the plugin's name.
const (
	TopicEntityChanged     = "catalog.entity.changed" // Entity
	TopicEntityDeleted     = "catalog.entity.deleted" // Entity
	TopicPluginInstalled   = "plugin.installed"       // Plugin
	TopicPluginEnabled     = "plugin.enabled"         // Plugin
	TopicPluginDisabled    = "plugin.disabled"        // Plugin
	TopicPluginUpgraded    = "plugin.upgraded"        // Plugin
	TopicPluginConfigured  = "plugin.configured"      // Plugin
	TopicPluginUninstalled = "plugin.uninstalled"     // Plugin
)

// CoreTopics returns all topics of the core.
func CoreTopics() []string {
	return []string{
		TopicEntityChanged, TopicEntityDeleted, TopicPluginInstalled, TopicPluginEnabled, TopicPluginDisabled,
		TopicPluginUpgraded, TopicPluginConfigured, TopicPluginUninstalled,
	}
}

// Entity is the payload of catalog events.
type Entity struct {
	Ref string `json:"ref"`
	// ETag is the new version's; empty for a deleted entity.
	ETag string `json:"etag,omitempty"`
}

// Plugin is the payload of plugin events.
type Plugin struct {
	Name    string `json:"name"` // "namespace/name"
	Version string `json:"version,omitempty"`
}

// Request is one event.
type Request struct {
	Subscription string `json:"subscription"`
	// ID names the event; a delivery that is repeated has the same one.
	ID    string    `json:"id"`
	Topic string    `json:"topic"`
	Key   string    `json:"key,omitempty"`
	At    time.Time `json:"at"`
	// Attempt counts from 1.
	Attempt int             `json:"attempt"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// Response is empty: an event that is answered without an error is done.
type Response struct{}
