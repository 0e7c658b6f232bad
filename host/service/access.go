package service

import (
	"context"
	"net/http"
	"net/url"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// access is how an origin may be reached.
type access struct {
	private bool
	// auth lists how requests may be authenticated: the first whose secret has
	// a value is used.
	auth []*manifestv1.Auth
}

// permit finds the grants that cover a URL.
func (e *exchange) permit(u *url.URL) (*access, error) {
	origin, err := manifest.OriginOf(u)
	if err != nil {
		return nil, host.Errorf(host.CodeInvalid, "the URL cannot be used: only http and https are allowed")
	}
	var found *access
	for _, g := range e.grants {
		if !e.covers(g, origin) {
			continue
		}
		if found == nil {
			found = &access{}
		}
		found.private = found.private || g.Private
		if g.Auth != nil {
			found.auth = append(found.auth, g.Auth)
		}
	}
	if found == nil {
		return nil, host.Errorf(host.CodeNotGranted, "%s may not call %s", e.session.Instance.Short, originKey(u)).
			WithHint("it must be one of the granted hosts; scheme and port count too")
	}
	return found, nil
}

func (e *exchange) covers(g manifestv1.Permission, origin manifest.Origin) bool {
	for _, h := range g.Hosts {
		pattern, err := manifest.ParseOrigin(h)
		if err != nil {
			continue // refused at install
		}
		for _, o := range pattern.Resolve(e.config) {
			if o.Covers(origin) {
				return true
			}
		}
	}
	return false
}

// authenticate adds the credential of the first grant whose secret is set.
func (e *exchange) authenticate(ctx context.Context, req *http.Request, body []byte, a *access) error {
	e.known = nil
	for _, auth := range a.auth {
		value, err := e.session.Secret(ctx, auth.Secret)
		if err != nil {
			// Neither the value nor what the box says may reach the guest.
			return host.Errorf(host.CodePluginNotReady, "the secret %q cannot be opened", auth.Secret).
				WithHint("an admin can set it again in the plugin's settings")
		}
		if value == "" {
			continue
		}
		apply := authenticators[auth.Type]
		if apply == nil {
			return host.Errorf(host.CodeInvalid, "the authentication %q is not supported", auth.Type)
		}
		return apply(e, ctx, req, body, auth, value)
	}
	return nil
}
