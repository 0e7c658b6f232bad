package extension

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	webhookv1 "github.com/callboard-dev/callboard/schemas/capability/webhook/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

const (
	defaultWebhookBody = 1 << 20
	maxReply           = 64 << 10
	// pendingFor is for how long a delivery that is being handed over holds
	// back another of the same id: longer than any call.
	pendingFor = 2 * time.Minute
	// doneFor is for how long one that was taken does. Senders give up earlier.
	doneFor = 24 * time.Hour
	// perSender and perWebhook are how many requests a minute may come.
	perSender, perWebhook = 300, 1200
)

// WebhookRequest is what came in, before anything of it is believed.
type WebhookRequest struct {
	Plugin, ID string
	// Remote is the sender's address, for the limit of its rate.
	Remote string
	Header http.Header
	Query  url.Values
	Body   []byte
}

// Calls is what Webhooks need of plugin.House beside House.
type Calls interface {
	Ask(ctx context.Context, c host.Caller, r plugin.Request) (plugin.Answer, error)
	Secret(ctx context.Context, t host.TenantID, short, name string) (string, error)
}

var _ Calls = (*plugin.House)(nil)

// Webhooks takes what other systems send and hands it to plugins, once it has
// checked who signed it, when, and that it did not come before (webhook/v1).
type Webhooks struct {
	house House
	calls Calls
	seen  *kv.Store
	log   *slog.Logger
	now   func() time.Time
	rates rates
}

// NewWebhooks returns Webhooks that remembers deliveries in seen.
func NewWebhooks(house House, calls Calls, seen *kv.Store, log *slog.Logger) *Webhooks {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Webhooks{house: house, calls: calls, seen: seen, log: log, now: time.Now}
}

// SeenOf is the space in the key-value store for the deliveries of an instance.
func SeenOf(instance string) string { return instance + "#webhook" }

// Seen forgets deliveries with their instance: it is one of House's stores.
type Seen struct{ Store *kv.Store }

// Drop removes everything of an instance.
func (s Seen) Drop(ctx context.Context, t host.TenantID, instance string) error {
	return s.Store.Drop(ctx, t, SeenOf(instance))
}

// find returns a webhook of an active plugin, or nil.
func (w *Webhooks) find(t host.TenantID, short, id string) (*plugin.Instance, *manifestv1.Webhook) {
	active := w.house.Active(t)
	for i := range active {
		capability := active[i].Capability(webhookv1.Name)
		if active[i].Short != short || capability == nil {
			continue
		}
		for n := range capability.Webhooks {
			if capability.Webhooks[n].ID == id {
				return &active[i], &capability.Webhooks[n]
			}
		}
	}
	return nil, nil
}

// Limit returns the largest body of a webhook, in bytes; ok is false where the
// tenant has no such webhook. CodeRateLimited: the sender, or all senders
// together, come too often.
func (w *Webhooks) Limit(t host.TenantID, short, id, remote string) (limit int64, ok bool, err error) {
	in, hook := w.find(t, short, id)
	if hook == nil {
		return 0, false, nil
	}
	now := w.now()
	for _, r := range []struct {
		key  string
		most int
	}{{"from " + string(t) + " " + remote, perSender}, {"to " + in.ID + " " + id, perWebhook}} {
		if wait := w.rates.take(r.key, r.most, now); wait > 0 {
			e := host.Errorf(host.CodeRateLimited, "too many requests come to the webhook").WithHint("try again in a minute")
			e.RetryAfter = wait
			return 0, true, e
		}
	}
	limit = defaultWebhookBody
	if n, err := manifest.Bytes(hook.MaxBody); err == nil {
		limit = min(n, manifest.MaxWebhookBody)
	}
	return limit, true, nil
}

// Receive checks one delivery and hands it to the plugin. A delivery that was
// taken before is answered with 200 and not handed over again.
func (w *Webhooks) Receive(ctx context.Context, t host.Tenant, r WebhookRequest) (webhookv1.Response, error) {
	in, hook := w.find(t.ID, r.Plugin, r.ID)
	if hook == nil {
		return webhookv1.Response{}, host.Errorf(host.CodeNotFound, "there is no webhook %q of %q", clip(r.ID), clip(r.Plugin))
	}
	secret, err := w.calls.Secret(ctx, t.ID, in.Short, hook.Secret)
	if err != nil || secret == "" {
		// The sender may try again when the admin has set it.
		e := host.Errorf(host.CodeUnavailable, "the webhook is not set up yet").WithHint("an admin sets its secret in the plugin's settings")
		e.Err = err
		return webhookv1.Response{}, e
	}
	proof, err := verify(hook, secret, r.Header, r.Body, w.now())
	if err != nil {
		return webhookv1.Response{}, err
	}
	sum := sha256.Sum256([]byte(proof.delivery))
	key := r.ID + "/" + hex.EncodeToString(sum[:])
	space := SeenOf(in.ID)
	won, err := w.seen.Claim(ctx, t.ID, space, key, pendingFor)
	if err != nil {
		return webhookv1.Response{}, err
	}
	if !won {
		return w.again(ctx, t.ID, space, key)
	}
	out, err := w.hand(ctx, t, in, r, proof)
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err != nil || out.Status >= 300 {
		if gone := w.seen.Delete(settle, t.ID, space, key); gone != nil {
			err = errors.Join(err, gone)
		}
		return out, err
	}
	// What was done must be remembered; a sender that hears of a failure here
	// sends it again, and finds it held back for the time of the claim.
	return out, w.seen.Set(settle, t.ID, space, key, []byte("done"), doneFor, math.MaxInt64)
}

// again answers a delivery that came before.
func (w *Webhooks) again(ctx context.Context, t host.TenantID, space, key string) (webhookv1.Response, error) {
	value, _, err := w.seen.Get(ctx, t, space, key)
	if err != nil {
		return webhookv1.Response{}, err
	}
	if string(value) != "done" {
		e := host.Errorf(host.CodeConflict, "the delivery is being handed over just now").WithHint("send it again in a minute, if no answer came")
		e.RetryAfter = time.Minute
		return webhookv1.Response{}, e
	}
	return webhookv1.Response{Status: http.StatusOK, ContentType: "application/json", Body: `{"duplicate":true}`}, nil
}

// hand calls the plugin and checks its answer.
func (w *Webhooks) hand(ctx context.Context, t host.Tenant, in *plugin.Instance, r WebhookRequest, p proof) (webhookv1.Response, error) {
	req := webhookv1.Request{
		Webhook: r.ID, Delivery: p.delivery, Event: p.event, ContentType: clip(r.Header.Get("Content-Type")), Header: seenHeader(r.Header), Query: r.Query,
	}
	var out webhookv1.Response
	answer, err := w.calls.Ask(ctx, host.System(t, "webhook"), plugin.Request{
		Plugin: in.Short, Capability: webhookv1.Name, Method: webhookv1.MethodReceive, Body: req, Data: r.Body,
	})
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(answer.Body, &out); err != nil {
		return out, host.Errorf(host.CodePluginOutput, "plugin %s: the answer to a webhook is not what was promised", in.Short)
	}
	if out.Status == 0 {
		out.Status = http.StatusNoContent
		if out.Body != "" {
			out.Status = http.StatusOK
		}
	}
	if out.ContentType == "" {
		out.ContentType = "application/json"
	}
	switch {
	case !slices.Contains([]int{200, 201, 202, 204, 400, 404, 410, 422}, out.Status),
		out.ContentType != "application/json" && out.ContentType != "text/plain",
		len(out.Body) > maxReply,
		out.ContentType == "application/json" && out.Body != "" && !json.Valid([]byte(out.Body)):
		return webhookv1.Response{}, host.Errorf(host.CodePluginOutput, "plugin %s: the answer to a webhook has the status %d, %s and %d bytes, which is not allowed", in.Short, out.Status, clip(out.ContentType), len(out.Body)).
			WithHint("this is a defect of the plugin; tell its author")
	}
	return out, nil
}

// seenHeader returns the headers that a guest may see: those of senders, and
// no credential.
func seenHeader(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		lower := strings.ToLower(name)
		ours := strings.HasPrefix(lower, "x-") || strings.HasPrefix(lower, "webhook-") || lower == "user-agent"
		if !ours || len(out) >= 50 || len(values) == 0 || strings.HasPrefix(lower, "x-forwarded-") || strings.HasPrefix(lower, "x-real-") {
			continue
		}
		if strings.Contains(lower, "signature") || strings.Contains(lower, "token") || strings.Contains(lower, "auth") || strings.Contains(lower, "key") || strings.Contains(lower, "secret") {
			continue
		}
		out[lower] = clipTo(values[0], 1024)
	}
	return out
}

// rates counts requests by the minute.
type rates struct {
	mu    sync.Mutex
	byKey map[string]*minute
}

type minute struct {
	since time.Time
	n     int
}

// take counts one; it returns how long to wait where there are too many.
func (r *rates) take(key string, most int, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.byKey[key]
	if m == nil || now.Sub(m.since) >= time.Minute {
		if r.byKey == nil || len(r.byKey) > 20_000 {
			// More senders than can be told apart: begin anew, for a bounded map
			// is worth more than a minute's counts.
			r.byKey = map[string]*minute{}
		}
		m = &minute{since: now}
		r.byKey[key] = m
	}
	if m.n++; m.n > most {
		return m.since.Add(time.Minute).Sub(now)
	}
	return 0
}
