package extension

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/store/storetest"
	webhookv1 "github.com/callboard-dev/callboard/schemas/capability/webhook/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// vectors are examples that the senders publish in their documentation, each
// with the moment at which it was right.
var vectors = map[string]struct {
	hook   manifestv1.Webhook
	secret string
	header http.Header
	body   string
	at     int64
	proof  proof
}{
	// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
	"GitHub": {
		manifestv1.Webhook{Scheme: "github"}, "It's a Secret to Everybody",
		header("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "X-Github-Delivery", "d1", "X-Github-Event", "push"),
		"Hello, World!", 0, proof{"d1", "push"},
	},
	// https://docs.slack.dev/authentication/verifying-requests-from-slack
	"Slack": {
		manifestv1.Webhook{Scheme: "slack"}, "8f742231b10e8888abcd99yyyzzz85a5",
		header("X-Slack-Request-Timestamp", "1531420618", "X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
		"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
		1531420618, proof{"a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", ""},
	},
	// https://github.com/standard-webhooks/standard-webhooks, spec, "Signature scheme"
	"Standard": {
		manifestv1.Webhook{Scheme: "standard"}, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		header("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "Webhook-Timestamp", "1614265330", "Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
		`{"test": 2432232314}`, 1614265330, proof{"msg_p5jXN8AQM9LWM0D4loKWxJek", ""},
	},
	"StandardWhileRolled": {
		manifestv1.Webhook{Scheme: "standard"}, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		header("Svix-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "Svix-Timestamp", "1614265330", "Svix-Signature", "v1,AAAA v1a,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
		`{"test": 2432232314}`, 1614265330, proof{"msg_p5jXN8AQM9LWM0D4loKWxJek", ""},
	},
	"GitLab": {
		manifestv1.Webhook{Scheme: "gitlab"}, "s3cret", header("X-Gitlab-Token", "s3cret", "X-Gitlab-Event-Uuid", "u1", "X-Gitlab-Event", "Push Hook"), `{}`, 0, proof{"u1", "Push Hook"},
	},
	"GitLabByItsHeader": {
		manifestv1.Webhook{Scheme: "gitlab", DeliveryHeader: "X-Own"}, "s3cret", header("X-Gitlab-Token", "s3cret", "X-Gitlab-Event-Uuid", "u1", "X-Own", "o1"), `{}`, 0, proof{"o1", ""},
	},
	"Generic": {
		manifestv1.Webhook{Scheme: "hmac", Header: "X-Sig", Prefix: "sha256=", EventHeader: "X-Event"}, "It's a Secret to Everybody",
		header("X-Sig", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "X-Event", "e"), "Hello, World!", 0,
		proof{"sha256:dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f", "e"},
	},
	"GenericBase64": {
		manifestv1.Webhook{Scheme: "hmac", Header: "X-Sig", Encoding: "base64", DeliveryHeader: "X-Id"}, "It's a Secret to Everybody",
		header("X-Sig", func() string {
			raw, _ := hex.DecodeString("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
			return base64.StdEncoding.EncodeToString(raw)
		}(), "X-Id", "7"), "Hello, World!", 0, proof{"7", ""},
	},
}

func TestSignatures(t *testing.T) {
	for name, v := range vectors {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(v.at, 0)
			got, err := verify(&v.hook, v.secret, v.header, []byte(v.body), now)
			if err != nil || got != v.proof {
				t.Fatalf("%+v %v", got, err)
			}
			wrong := func(what string, secret string, h http.Header, body []byte, now time.Time) {
				t.Helper()
				if _, err := verify(&v.hook, secret, h, body, now); host.CodeOf(err) != host.CodeUnauthenticated {
					t.Errorf("%s: %v", what, err)
				}
			}
			wrong("another secret", v.secret+"x", v.header, []byte(v.body), now)
			wrong("no headers", v.secret, http.Header{}, []byte(v.body), now)
			if v.hook.Scheme == "gitlab" {
				return // its sender signs nothing
			}
			wrong("another body", v.secret, v.header, []byte(v.body+" "), now)
			for name := range v.header {
				if !strings.Contains(strings.ToLower(name), "sig") {
					continue
				}
				broken := v.header.Clone()
				broken.Set(name, broken.Get(name)[:len(broken.Get(name))-2])
				wrong("a cut signature", v.secret, broken, []byte(v.body), now)
				broken.Set(name, "")
				wrong("an empty signature", v.secret, broken, []byte(v.body), now)
				broken.Set(name, strings.Repeat("v1,x ", 1000))
				wrong("a thousand signatures", v.secret, broken, []byte(v.body), now)
			}
			if v.at == 0 {
				return // nothing of it is signed time
			}
			wrong("too old", v.secret, v.header, []byte(v.body), now.Add(tolerance+time.Second))
			wrong("too young", v.secret, v.header, []byte(v.body), now.Add(-tolerance-time.Second))
		})
	}
}

// stripeHeader signs as Stripe does.
func stripeHeader(secret, body string, at int64) http.Header {
	sum := mac([]byte(secret), fmt.Sprint(at), ".", body)
	return header("Stripe-Signature", fmt.Sprintf("t=%d,v0=x,v1=%s,v1=%x", at, strings.Repeat("0", 64), sum))
}

func TestStripe(t *testing.T) {
	const body = `{"id":"evt_1","type":"invoice.paid"}`
	hook := &manifestv1.Webhook{Scheme: "stripe"}
	now := time.Unix(1_800_000_000, 0)
	got, err := verify(hook, "whsec_test", stripeHeader("whsec_test", body, now.Unix()), []byte(body), now)
	if err != nil || got != (proof{"evt_1", "invoice.paid"}) {
		t.Errorf("%+v %v", got, err)
	}
	for name, h := range map[string]http.Header{
		"OtherSecret":      stripeHeader("other", body, now.Unix()),
		"Old":              stripeHeader("whsec_test", body, now.Add(-tolerance-time.Second).Unix()),
		"NoTime":           header("Stripe-Signature", "v1="+hex.EncodeToString(mac([]byte("whsec_test"), ".", body))),
		"OtherTime":        header("Stripe-Signature", fmt.Sprintf("t=%d,v1=%x", now.Unix(), mac([]byte("whsec_test"), fmt.Sprint(now.Unix()-1), ".", body))),
		"AnotherTimeLater": header("Stripe-Signature", fmt.Sprintf("t=%d,t=%d,v1=%x", now.Unix()-99999, now.Unix(), mac([]byte("whsec_test"), fmt.Sprint(now.Unix()-99999), ".", body))),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := verify(hook, "whsec_test", h, []byte(body), now); host.CodeOf(err) != host.CodeUnauthenticated {
				t.Error(err)
			}
		})
	}
}

func FuzzSignatures(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.header.Get("X-Hub-Signature-256")+v.header.Get("Webhook-Signature")+v.header.Get("X-Slack-Signature"), fmt.Sprint(v.at), v.body)
	}
	f.Add("t=1,v1=ab,v1=", "9223372036854775807", "{}")
	f.Fuzz(func(t *testing.T, signature, at, body string) {
		h := http.Header{}
		for _, name := range []string{"X-Hub-Signature-256", "Stripe-Signature", "Webhook-Signature", "X-Slack-Signature", "X-Gitlab-Token", "X-Sig"} {
			h.Set(name, signature)
		}
		for _, name := range []string{"Webhook-Timestamp", "X-Slack-Request-Timestamp", "Webhook-Id"} {
			h.Set(name, at)
		}
		secret := "a secret that nobody guesses, " + host.NewID("x")
		for scheme := range verifiers {
			if _, err := verify(&manifestv1.Webhook{Scheme: scheme, Header: "X-Sig"}, secret, h, []byte(body), time.Now()); err == nil {
				t.Errorf("%s takes %q", scheme, signature)
			}
		}
	})
}

// desk is a house with one webhook, as Webhooks needs it.
type desk struct {
	house
	mu      sync.Mutex
	secret  string
	answer  webhookv1.Response
	fail    error
	got     []plugin.Request
	release chan struct{}
}

func (d *desk) Secret(_ context.Context, _ host.TenantID, short, name string) (string, error) {
	if short != "worker" || name != "signing" {
		return "", host.Errorf(host.CodeInternal, "asked for %s of %s", name, short)
	}
	return d.secret, nil
}

func (d *desk) Ask(_ context.Context, c host.Caller, r plugin.Request) (plugin.Answer, error) {
	d.mu.Lock()
	d.got, d.caller = append(d.got, r), c
	d.mu.Unlock()
	if d.release != nil {
		<-d.release
	}
	if d.fail != nil {
		return plugin.Answer{}, d.fail
	}
	raw, err := json.Marshal(d.answer)
	if r.Out != nil && err == nil {
		err = json.Unmarshal(raw, r.Out)
	}
	return plugin.Answer{Body: raw}, err
}

func newDesk(t *testing.T) (*desk, *Webhooks, host.Tenant) {
	t.Helper()
	db := storetest.SQLite(t)
	tenant := storetest.Tenant(t, db)
	in := worker()
	in.Manifest.Capabilities = append(in.Manifest.Capabilities, manifestv1.Capability{Type: webhookv1.Name, Webhooks: []manifestv1.Webhook{
		{ID: "github", Scheme: "github", Secret: "signing"}, {ID: "small", Scheme: "github", Secret: "signing", MaxBody: "1KiB"},
	}})
	d := &desk{house: house{active: []plugin.Instance{in}}, secret: "s"}
	return d, NewWebhooks(d, d, kv.New(db, kv.Settings{}), nil), tenant
}

// signed is a right delivery.
func signed(id, body string) WebhookRequest {
	h := header("X-Hub-Signature-256", fmt.Sprintf("sha256=%x", mac([]byte("s"), body)), "X-Github-Event", "push", "Content-Type", "application/json",
		"User-Agent", "GitHub-Hookshot/1", "X-Api-Key", "k", "X-Forwarded-For", "10.0.0.1", "Cookie", "c", "Authorization", "Bearer x")
	if id != "" {
		h.Set("X-Github-Delivery", id)
	}
	return WebhookRequest{Plugin: "worker", ID: "github", Remote: "192.0.2.1", Header: h, Body: []byte(body)}
}

func TestWebhooks(t *testing.T) {
	d, w, tenant := newDesk(t)
	t.Run("HandedOver", func(t *testing.T) {
		out, err := w.Receive(t.Context(), tenant, signed("d1", `{"a":1}`))
		if err != nil || out.Status != 204 {
			t.Fatalf("%+v %v", out, err)
		}
		r := d.got[0]
		req := r.Body.(webhookv1.Request)
		if r.Plugin != "worker" || !bytes.Equal(r.Data, []byte(`{"a":1}`)) || req.Webhook != "github" || req.Delivery != "d1" || req.Event != "push" || d.caller.Principal().Kind != host.KindSystem {
			t.Errorf("%+v", r)
		}
		if h := req.Header; h["user-agent"] == "" || h["x-github-event"] != "push" || h["x-hub-signature-256"] != "" || h["x-api-key"] != "" || h["cookie"] != "" || h["authorization"] != "" || h["x-forwarded-for"] != "" {
			t.Errorf("the guest sees %v", h)
		}
	})
	t.Run("NotTwice", func(t *testing.T) {
		out, err := w.Receive(t.Context(), tenant, signed("d1", `{"a":1}`))
		if err != nil || out.Status != 200 || !strings.Contains(out.Body, "duplicate") || len(d.got) != 1 {
			t.Errorf("%+v %v, %d calls", out, err, len(d.got))
		}
	})
	t.Run("WithoutAnIDTheBodyCounts", func(t *testing.T) {
		for range 2 {
			if _, err := w.Receive(t.Context(), tenant, signed("", `{"b":1}`)); err != nil {
				t.Fatal(err)
			}
		}
		if len(d.got) != 2 {
			t.Errorf("%d calls", len(d.got))
		}
	})
	t.Run("AFailureMayComeAgain", func(t *testing.T) {
		d.fail = host.Errorf(host.CodePluginTimeout, "too slow")
		if _, err := w.Receive(t.Context(), tenant, signed("d2", `{}`)); host.CodeOf(err) != host.CodePluginTimeout {
			t.Error(err)
		}
		d.fail, d.answer = nil, webhookv1.Response{Status: 422, Body: `{"no":1}`}
		if out, err := w.Receive(t.Context(), tenant, signed("d2", `{}`)); err != nil || out.Status != 422 || out.ContentType != "application/json" {
			t.Errorf("%+v %v", out, err)
		}
		d.answer = webhookv1.Response{Body: `hello`, ContentType: "text/plain"}
		if out, err := w.Receive(t.Context(), tenant, signed("d2", `{}`)); err != nil || out.Status != 200 || out.Body != "hello" {
			t.Errorf("%+v %v", out, err)
		}
	})
	for name, answer := range map[string]webhookv1.Response{
		"Redirect": {Status: 302}, "ServerError": {Status: 500}, "HTML": {ContentType: "text/html", Body: "<script>"}, "NotJSON": {Body: "{"}, "Huge": {ContentType: "text/plain", Body: strings.Repeat("x", maxReply+1)},
	} {
		t.Run(name, func(t *testing.T) {
			d.answer = answer
			if _, err := w.Receive(t.Context(), tenant, signed(name, `{}`)); host.CodeOf(err) != host.CodePluginOutput {
				t.Error(err)
			}
		})
	}
	d.answer = webhookv1.Response{}
	before := len(d.got)
	for name, c := range map[string]struct {
		change func(*WebhookRequest)
		code   host.Code
	}{
		"WrongSignature": {func(r *WebhookRequest) { r.Body = []byte(`{"evil":1}`) }, host.CodeUnauthenticated},
		"UnknownWebhook": {func(r *WebhookRequest) { r.ID = "gitlab" }, host.CodeNotFound},
		"UnknownPlugin":  {func(r *WebhookRequest) { r.Plugin = "other" }, host.CodeNotFound},
		"NoSecretYet":    {func(*WebhookRequest) { d.secret = "" }, host.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			d.secret = "s"
			r := signed("d9"+name, `{}`)
			c.change(&r)
			if _, err := w.Receive(t.Context(), tenant, r); host.CodeOf(err) != c.code || len(d.got) != before {
				t.Errorf("%v, %d calls", err, len(d.got)-before)
			}
		})
	}
}

func TestOneOfTwoDeliveriesAtOnce(t *testing.T) {
	d, w, tenant := newDesk(t)
	d.release = make(chan struct{})
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := w.Receive(t.Context(), tenant, signed("d1", `{}`))
			results <- err
		}()
	}
	if err := <-results; host.CodeOf(err) != host.CodeConflict {
		t.Errorf("the second is told: %v", err)
	}
	close(d.release)
	if err := <-results; err != nil || len(d.got) != 1 {
		t.Error(err, len(d.got))
	}
}

func TestWebhookLimits(t *testing.T) {
	_, w, tenant := newDesk(t)
	now := time.Unix(1_800_000_000, 0)
	w.now = func() time.Time { return now }
	for id, want := range map[string]int64{"github": defaultWebhookBody, "small": 1 << 10} {
		if n, ok, err := w.Limit(tenant.ID, "worker", id, "a"); n != want || !ok || err != nil {
			t.Error(id, n, ok, err)
		}
	}
	if _, ok, err := w.Limit(tenant.ID, "worker", "none", "a"); ok || err != nil {
		t.Error(ok, err)
	}
	for range perSender {
		if _, _, err := w.Limit(tenant.ID, "worker", "github", "b"); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := w.Limit(tenant.ID, "worker", "github", "b")
	if host.CodeOf(err) != host.CodeRateLimited || host.AsError(err).RetryAfter <= 0 {
		t.Error(err)
	}
	if _, _, err := w.Limit(tenant.ID, "worker", "github", "c"); err != nil {
		t.Error("one sender's flood keeps out another:", err)
	}
	now = now.Add(time.Minute)
	if _, _, err := w.Limit(tenant.ID, "worker", "github", "b"); err != nil {
		t.Error("a minute later:", err)
	}
}
