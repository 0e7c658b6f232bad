package extension

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/work"
	eventv1 "github.com/callboard-dev/callboard/schemas/capability/event/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// maxBacklog is how many events of an instance wait at most; what comes beyond
// is dropped, and told in the log.
const maxBacklog = 10_000

// Event is one event, before it is brought to anybody.
type Event struct {
	// Topic is the whole name: of the core, or "namespace/name/topic".
	Topic   string
	Key     string
	Payload json.RawMessage
}

// Events brings events to the subscriptions of plugins (event/v1). Publish may
// run within a write of the tenant: what is not committed is brought to nobody.
type Events struct {
	house   House
	tenants Tenants
	store   *work.Store
	log     *slog.Logger
	now     func() time.Time
}

// NewEvents returns Events that keeps deliveries in store.
func NewEvents(house House, tenants Tenants, store *work.Store, log *slog.Logger) *Events {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Events{house: house, tenants: tenants, store: store, log: log, now: time.Now}
}

// envelope is what of an event is kept with each delivery.
type envelope struct {
	ID      string          `json:"id"`
	At      time.Time       `json:"at"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// Wanted reports whether any subscription of the tenant gets the topic. It is
// cheap: who would publish a thousand events asks first.
func (e *Events) Wanted(t host.TenantID, topic string) bool {
	active := e.house.Active(t)
	for i := range active {
		for _, s := range subscriptions(&active[i]) {
			if subscribes(&active[i], s, topic) {
				return true
			}
		}
	}
	return false
}

// Publish keeps one delivery for each subscription of each event and returns
// the events' ids.
func (e *Events) Publish(ctx context.Context, t host.TenantID, events []Event) ([]string, error) {
	active := e.house.Active(t)
	ids := make([]string, len(events))
	var items []work.Item
	for n, ev := range events {
		ids[n] = host.NewID("event")
		raw, err := json.Marshal(envelope{ID: ids[n], At: e.now().UTC().Truncate(time.Microsecond), Payload: ev.Payload})
		if err != nil {
			return nil, fmt.Errorf("encoding an event: %w", err)
		}
		for i := range active {
			for _, s := range subscriptions(&active[i]) {
				if !subscribes(&active[i], s, ev.Topic) {
					continue
				}
				items = append(items, work.Item{
					Queue: work.Queue{Instance: active[i].ID, Lane: LaneEvent, Name: s.ID}, Topic: ev.Topic, Order: ev.Key, Payload: raw, MaxAttempts: attempts(s.MaxAttempts),
				})
			}
		}
	}
	if len(items) == 0 {
		return ids, nil
	}
	added, err := e.store.Add(ctx, t, items, maxBacklog)
	if err != nil {
		return nil, fmt.Errorf("publishing events: %w", err)
	}
	dropped := 0
	for _, a := range added {
		if a.Dropped {
			dropped++
		}
	}
	if dropped > 0 {
		e.log.WarnContext(ctx, "events were dropped: their subscriptions do not keep up", "tenant", t, "dropped", dropped)
	}
	return ids, nil
}

func attempts(n int) int {
	if n <= 0 {
		return DefaultAttempts
	}
	return n
}

func subscriptions(in *plugin.Instance) []manifestv1.Subscription {
	if c := in.Capability(eventv1.Name); c != nil {
		return c.Subscriptions
	}
	return nil
}

// subscribes reports whether a subscription names a topic that the instance
// was granted.
func subscribes(in *plugin.Instance, s manifestv1.Subscription, topic string) bool {
	covers := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return manifest.TopicCovers(p, topic) })
	}
	return covers(s.Topics) && slices.ContainsFunc(in.GrantsOf(eventv1.Name), func(g plugin.Grant) bool { return covers(g.Subscribe) })
}

// Do brings one event to one subscription.
func (e *Events) Do(ctx context.Context, id host.TenantID, item work.Item) work.Verdict {
	t, in, err := whose(ctx, e.house, e.tenants, id, item)
	if err != nil {
		return work.Verdict{Err: err}
	}
	subs := subscriptions(in)
	n := slices.IndexFunc(subs, func(s manifestv1.Subscription) bool { return s.ID == item.Name })
	if n < 0 || !subscribes(in, subs[n], item.Topic) {
		return work.Verdict{Forget: true} // the plugin does not want it, or may not have it, any more
	}
	var kept envelope
	if err := json.Unmarshal(item.Payload, &kept); err != nil {
		return work.Verdict{Err: host.Errorf(host.CodeInvalid, "reading an event: %w", err)}
	}
	req := eventv1.Request{Subscription: item.Name, ID: kept.ID, Topic: item.Topic, Key: item.Order, At: kept.At, Attempt: item.Attempts, Payload: kept.Payload}
	var out eventv1.Response
	if err := e.house.Call(ctx, host.System(t, "event"), in.Short, eventv1.Name, eventv1.MethodDeliver, req, &out); err != nil {
		return work.Verdict{Err: patient(err)}
	}
	return work.Verdict{Forget: true}
}
