package sdktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/callboard-dev/callboard/sdk"
)

// Option sets up a Host.
type Option func(*Host) error

// Manifest reads plugin.yaml from another path than the test's own folder.
func Manifest(path string) Option {
	return func(h *Host) error { h.file = path; return nil }
}

// Config sets the instance's configuration: any value that encodes to a JSON
// object. Defaults of the manifest's schema fill what it leaves out.
func Config(v any) Option {
	return func(h *Host) error {
		doc, err := json.Marshal(v)
		h.config = doc
		return err
	}
}

// Secret gives a value to a secret of the manifest. The host uses it as the
// manifest's auth says; the plugin never sees it.
func Secret(name, value string) Option {
	return func(h *Host) error { h.secrets[name] = value; return nil }
}

// Upstream answers requests to an origin, "scheme://host[:port]", by a handler.
// The origin must still be in the plugin's grant.
func Upstream(origin string, handler http.Handler) Option {
	return func(h *Host) error {
		normal, err := normalOrigin(origin)
		h.origins[normal] = handler
		return err
	}
}

// Network lets requests to granted origins without an Upstream go out through
// the client, for tests against a real upstream. The client must not follow
// redirects: the host does.
func Network(client *http.Client) Option {
	return func(h *Host) error {
		copied := *client
		copied.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		h.network = &copied
		return nil
	}
}

// Entities puts entities into the catalog: each a JSON document ([]byte,
// string or json.RawMessage) or a value that encodes to one.
func Entities(docs ...any) Option {
	return func(h *Host) error {
		for _, doc := range docs {
			e, err := newEntity(doc)
			if err != nil {
				return err
			}
			h.entities = append(h.entities, e)
		}
		return nil
	}
}

// Caller sets who calls; without it an admin does.
func Caller(c sdk.Caller) Option {
	return func(h *Host) error { h.caller = c; return nil }
}

// Tenant sets the tenant's slug; without it "test".
func Tenant(slug string) Option {
	return func(h *Host) error { h.tenant = slug; return nil }
}

// Without refuses a permission of the manifest, such as "http/v1", as an admin
// may.
func Without(service string) Option {
	return func(h *Host) error {
		if !needsPermission[service] {
			return fmt.Errorf("%s needs no permission, so it cannot be refused", service)
		}
		h.refused[service] = true
		return nil
	}
}

// Deadline gives each call a time limit; without it there is none.
func Deadline(d time.Duration) Option {
	return func(h *Host) error { h.deadline = d; return nil }
}
