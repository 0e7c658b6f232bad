// Package webhook is the capability webhook/v1: other systems tell a plugin what
// happened, by POST /api/plugins/<plugin>/webhooks/<id>. The host checks the
// signature, the time and that a delivery did not come before; a guest sees
// nothing else. The secret stays with the host.
package webhook

const (
	// Name is the capability's name in manifests and calls.
	Name = "webhook/v1"
	// MethodReceive takes a Request, with the body as the call's data, and
	// returns a Response.
	MethodReceive = "receive"
)

// Schemes by which senders sign.
const (
	SchemeGitHub   = "github"   // X-Hub-Signature-256: sha256=<hex of HMAC-SHA256(body)>
	SchemeGitLab   = "gitlab"   // X-Gitlab-Token: <secret>
	SchemeSlack    = "slack"    // X-Slack-Signature: v0=<hex of HMAC-SHA256("v0:" timestamp ":" body)>
	SchemeStripe   = "stripe"   // Stripe-Signature: t=<timestamp>,v1=<hex of HMAC-SHA256(timestamp "." body)>
	SchemeStandard = "standard" // Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature
	SchemeHMAC     = "hmac"     // a header of the manifest: HMAC-SHA256(body)
)

// Request is one delivery whose signature is right.
type Request struct {
	Webhook string `json:"webhook"`
	// Delivery is the sender's id of it, or one that the host made of the body.
	Delivery string `json:"delivery"`
	// Event is the sender's name of what happened, where it has a header for it.
	Event string `json:"event,omitempty"`
	// ContentType is the body's media type.
	ContentType string `json:"contentType,omitempty"`
	// Header holds the headers of the sender that are not credentials, by
	// lower-case name: those that begin with x- and webhook-, and user-agent.
	Header map[string]string   `json:"header,omitempty"`
	Query  map[string][]string `json:"query,omitempty"`
	// Body is the body; it comes as the call's data.
	Body []byte `json:"-"`
}

// Response is what the sender gets. Status 0 means 204, or 200 where there is
// a body; allowed are 200, 201, 202, 204, 400, 404, 410 and 422. After one
// below 300 the same delivery is not handed over again.
type Response struct {
	Status int `json:"status,omitempty"`
	// ContentType is application/json (where it is empty) or text/plain.
	ContentType string `json:"contentType,omitempty"`
	Body        string `json:"body,omitempty"` // at most 64 KiB
}
