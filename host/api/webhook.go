package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/telemetry"
	webhookv1 "github.com/callboard-dev/callboard/schemas/capability/webhook/v1"
)

// Webhooks takes what other systems send to plugins.
type Webhooks interface {
	// Limit returns the largest body of a webhook; ok is false where there is
	// no such webhook.
	Limit(t host.TenantID, short, id, remote string) (limit int64, ok bool, err error)
	Receive(ctx context.Context, t host.Tenant, r extension.WebhookRequest) (webhookv1.Response, error)
}

// TenantFinder finds the tenant of a request whose sender is not known.
type TenantFinder interface {
	TenantOf(ctx context.Context, hostTenant, headerTenant string) (host.Tenant, error)
}

// webhookRoute is where webhooks come in, outside of the ring that wants a
// caller: who sends is known by the signature.
const webhookRoute = "POST /api/plugins/{plugin}/webhooks/{id}"

// webhook serves what is sent to a webhook. A plugin's own operation at such a
// path, where it has no webhook of that id, is served by next.
func (a *API) webhook(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		short, id := r.PathValue("plugin"), r.PathValue("id")
		// A tenant that cannot be told is no reason to say more to a stranger
		// than the ring says.
		t, err := a.s.Tenants.TenantOf(r.Context(), hostTenant(r.Host, a.s.BaseDomain), r.Header.Get(TenantHeader))
		if err != nil {
			next.ServeHTTP(w, r)
			return
		}
		remote, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			remote = r.RemoteAddr
		}
		limit, ok, err := a.s.Webhooks.Limit(t.ID, short, id, remote)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		secure(w.Header())
		telemetry.NoteRoute(r.Context(), webhookRoute)
		if err != nil {
			Fail(w, r, err)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		if err != nil {
			Fail(w, r, unreadable(err))
			return
		}
		out, err := a.s.Webhooks.Receive(r.Context(), t, extension.WebhookRequest{
			Plugin: short, ID: id, Remote: remote, Header: r.Header, Query: r.URL.Query(), Body: body,
		})
		if err != nil {
			Fail(w, r, err)
			return
		}
		if out.Body != "" {
			w.Header().Set("Content-Type", out.ContentType+"; charset=utf-8")
		}
		w.WriteHeader(out.Status)
		_, _ = io.Copy(w, strings.NewReader(out.Body))
	}
}
