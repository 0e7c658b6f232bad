package extension

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	webhookv1 "github.com/callboard-dev/callboard/schemas/capability/webhook/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// tolerance is how far a signed time may be from now: what Slack, Stripe and
// Standard Webhooks recommend.
const tolerance = 5 * time.Minute

// proof is what a right signature says.
type proof struct {
	delivery, event string
}

// verifier checks one scheme. It compares in constant time, and says no more
// than whether the signature is right.
type verifier func(hook *manifestv1.Webhook, secret string, h http.Header, body []byte, now time.Time) (proof, bool)

// verifiers are the schemes by their names in manifests.
var verifiers = map[string]verifier{
	webhookv1.SchemeGitHub:   github,
	webhookv1.SchemeGitLab:   gitlab,
	webhookv1.SchemeSlack:    slack,
	webhookv1.SchemeStripe:   stripe,
	webhookv1.SchemeStandard: standard,
	webhookv1.SchemeHMAC:     generic,
}

// verify checks a delivery by the webhook's scheme.
func verify(hook *manifestv1.Webhook, secret string, h http.Header, body []byte, now time.Time) (proof, error) {
	check := verifiers[hook.Scheme]
	if check == nil {
		return proof{}, host.Errorf(host.CodePluginUnsupported, "the scheme %q of signatures is not known", clip(hook.Scheme))
	}
	p, ok := check(hook, secret, h, body, now)
	if !ok {
		return proof{}, host.Errorf(host.CodeUnauthenticated, "the signature is missing, wrong or too old").
			WithHint("check that the sender signs with the secret that is set here, and that its clock is right")
	}
	if p.delivery == "" {
		sum := sha256.Sum256(body)
		p.delivery = "sha256:" + hex.EncodeToString(sum[:])
	}
	p.delivery, p.event = clipTo(p.delivery, 200), clip(p.event)
	return p, nil
}

// mac returns the HMAC-SHA256 of the parts, one after the other.
func mac(secret []byte, parts ...string) []byte {
	m := hmac.New(sha256.New, secret)
	for _, p := range parts {
		_, _ = m.Write([]byte(p)) // a hash cannot fail
	}
	return m.Sum(nil)
}

// hexEquals compares a signature in hex with the right one.
func hexEquals(given string, want []byte) bool {
	raw, err := hex.DecodeString(given)
	return err == nil && hmac.Equal(raw, want)
}

// recent reports whether a signed time, in seconds since 1970, is near now.
func recent(text string, now time.Time) bool {
	seconds, err := strconv.ParseInt(text, 10, 64)
	return err == nil && len(text) <= 12 && now.Sub(time.Unix(seconds, 0)).Abs() <= tolerance
}

// github: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
func github(_ *manifestv1.Webhook, secret string, h http.Header, body []byte, _ time.Time) (proof, bool) {
	given, ok := strings.CutPrefix(h.Get("X-Hub-Signature-256"), "sha256=")
	return proof{h.Get("X-Github-Delivery"), h.Get("X-Github-Event")}, ok && hexEquals(given, mac([]byte(secret), string(body)))
}

// gitlab: https://docs.gitlab.com/user/project/integrations/webhooks/ sends the
// secret itself. Both are hashed, so that not even their lengths are told.
func gitlab(hook *manifestv1.Webhook, secret string, h http.Header, _ []byte, _ time.Time) (proof, bool) {
	given, want := sha256.Sum256([]byte(h.Get("X-Gitlab-Token"))), sha256.Sum256([]byte(secret))
	id := h.Get("Idempotency-Key")
	if id == "" {
		id = h.Get("X-Gitlab-Event-Uuid")
	}
	if hook.DeliveryHeader != "" {
		id = h.Get(hook.DeliveryHeader)
	}
	return proof{id, h.Get("X-Gitlab-Event")}, subtle.ConstantTimeCompare(given[:], want[:]) == 1
}

// slack: https://docs.slack.dev/authentication/verifying-requests-from-slack
func slack(_ *manifestv1.Webhook, secret string, h http.Header, body []byte, now time.Time) (proof, bool) {
	at := h.Get("X-Slack-Request-Timestamp")
	given, ok := strings.CutPrefix(h.Get("X-Slack-Signature"), "v0=")
	return proof{delivery: given}, ok && recent(at, now) && hexEquals(given, mac([]byte(secret), "v0:", at, ":", string(body)))
}

// stripe: https://docs.stripe.com/webhooks#verify-manually. The header may hold
// several signatures while a secret is rolled.
func stripe(_ *manifestv1.Webhook, secret string, h http.Header, body []byte, now time.Time) (proof, bool) {
	at, given := "", []string(nil)
	for i, part := range strings.Split(h.Get("Stripe-Signature"), ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case i >= 16:
			return proof{}, false
		case key == "t":
			at = value
		case key == "v1":
			given = append(given, value)
		}
	}
	want := mac([]byte(secret), at, ".", string(body))
	right := false
	for _, g := range given {
		right = hexEquals(g, want) || right
	}
	var e struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	if json.Unmarshal(body, &e) != nil || e.ID == "" {
		e.ID = hex.EncodeToString(want)
	}
	return proof{e.ID, e.Type}, right && recent(at, now)
}

// standard: https://www.standardwebhooks.com, symmetric signatures (v1).
func standard(_ *manifestv1.Webhook, secret string, h http.Header, body []byte, now time.Time) (proof, bool) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		if strings.HasPrefix(secret, "whsec_") {
			return proof{}, false
		}
		key = []byte(secret)
	}
	first := func(names ...string) string {
		for _, n := range names {
			if v := h.Get(n); v != "" {
				return v
			}
		}
		return ""
	}
	id, at := first("Webhook-Id", "Svix-Id"), first("Webhook-Timestamp", "Svix-Timestamp")
	want := mac(key, id, ".", at, ".", string(body))
	right := false
	for i, part := range strings.Fields(first("Webhook-Signature", "Svix-Signature")) {
		if i >= 16 {
			return proof{}, false
		}
		version, text, _ := strings.Cut(part, ",")
		raw, err := base64.StdEncoding.DecodeString(text)
		right = version == "v1" && err == nil && hmac.Equal(raw, want) || right
	}
	return proof{delivery: id}, right && id != "" && recent(at, now)
}

// generic is the scheme hmac: the manifest says which header.
func generic(hook *manifestv1.Webhook, secret string, h http.Header, body []byte, _ time.Time) (proof, bool) {
	given, ok := strings.CutPrefix(h.Get(hook.Header), hook.Prefix)
	p := proof{}
	if hook.DeliveryHeader != "" {
		p.delivery = h.Get(hook.DeliveryHeader)
	}
	if hook.EventHeader != "" {
		p.event = h.Get(hook.EventHeader)
	}
	want := mac([]byte(secret), string(body))
	if hook.Encoding == "base64" {
		raw, err := base64.StdEncoding.DecodeString(given)
		return p, ok && err == nil && hmac.Equal(raw, want)
	}
	return p, ok && hexEquals(given, want)
}
