package service

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	eventv1 "github.com/callboard-dev/callboard/schemas/service/event/v1"
)

// Event is one event of a plugin, with the whole name of its topic.
type Event struct {
	Topic   string
	Key     string
	Payload json.RawMessage
}

// Publisher is what event/v1 needs of those who bring events to subscribers.
type Publisher interface {
	// Publish keeps the events durably and returns their ids.
	Publish(ctx context.Context, t host.TenantID, events []Event) ([]string, error)
}

// Events is event/v1: plugins publish to topics of their own.
type Events struct{ publisher Publisher }

var _ plugin.Service = (*Events)(nil)

// NewEvents returns the service over who brings events.
func NewEvents(p Publisher) *Events { return &Events{publisher: p} }

// eventsPerCall is how many events one call of a plugin may publish.
const eventsPerCall = 1000

// Serve answers one call.
func (e *Events) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	if call.Method != eventv1.MethodPublish {
		return nil, unknownMethod(eventv1.Name, call.Method)
	}
	grants, err := granted(s, eventv1.Name)
	if err != nil {
		return nil, err
	}
	in, err := read[eventv1.PublishRequest](call.Body)
	if err != nil {
		return nil, err
	}
	if len(in.Events) == 0 || len(in.Events) > eventv1.MaxEvents {
		return nil, host.Errorf(host.CodeInvalid, "publish 1 to %d events at a time, not %d", eventv1.MaxEvents, len(in.Events))
	}
	if s.Spend("event.published", int64(len(in.Events))) > eventsPerCall {
		return nil, host.Errorf(host.CodeLimit, "one call may publish at most %d events", eventsPerCall)
	}
	events := make([]Event, len(in.Events))
	for i, ev := range in.Events {
		if !slices.ContainsFunc(grants, func(g plugin.Grant) bool { return slices.Contains(g.Publish, ev.Topic) }) {
			return nil, host.Errorf(host.CodeNotGranted, "%s may not publish to %q", s.Instance.Short, clip(ev.Topic, 64)).
				WithHint("name the topic in publish of the permission event/v1, without the plugin's name")
		}
		if len(ev.Key) > eventv1.MaxKey || len(ev.Payload) > eventv1.MaxPayload {
			return nil, host.Errorf(host.CodeTooLarge, "an event has a key of at most %d and a payload of at most %d bytes", eventv1.MaxKey, eventv1.MaxPayload).
				WithHint("publish a reference, and let subscribers ask for the rest")
		}
		events[i] = Event{Topic: s.Instance.Name + "/" + ev.Topic, Key: text(ev.Key), Payload: ev.Payload}
	}
	ids, err := e.publisher.Publish(ctx, s.Instance.Tenant, events)
	if err != nil {
		return nil, err
	}
	return eventv1.PublishResponse{IDs: ids}, nil
}
