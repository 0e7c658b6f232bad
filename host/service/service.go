// Package service is what plugins may ask of the host: one file for each host
// service. A service checks the instance's grant first and then calls its
// port; it never trusts what a guest sends, and never shows it a credential.
// Calling plugins, and deciding who gets which grant, do not belong here.
package service

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob"
	"github.com/callboard-dev/callboard/host/cache"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/table"
	"github.com/callboard-dev/callboard/host/work"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	blobv1 "github.com/callboard-dev/callboard/schemas/service/blob/v1"
	cachev1 "github.com/callboard-dev/callboard/schemas/service/cache/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
	configv1 "github.com/callboard-dev/callboard/schemas/service/config/v1"
	eventv1 "github.com/callboard-dev/callboard/schemas/service/event/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
	jobv1 "github.com/callboard-dev/callboard/schemas/service/job/v1"
	kvv1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
	logv1 "github.com/callboard-dev/callboard/schemas/service/log/v1"
	mailv1 "github.com/callboard-dev/callboard/schemas/service/mail/v1"
	metricv1 "github.com/callboard-dev/callboard/schemas/service/metric/v1"
	searchv1 "github.com/callboard-dev/callboard/schemas/service/search/v1"
	streamv1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
	tracev1 "github.com/callboard-dev/callboard/schemas/service/trace/v1"
)

// Settings are what the services call.
type Settings struct {
	KV *kv.Store
	// Tables, Blobs and Caches keep what instances store; nil leaves the service
	// of each out.
	Tables *table.Store
	Blobs  *blob.Store
	Caches *cache.Store
	// Catalog reads the tenant's catalog; nil leaves catalog/v1 out.
	Catalog Catalog
	// Search searches it; nil leaves search/v1 out.
	Search Searcher
	HTTP   HTTPSettings
	// Events brings what plugins publish to subscribers; nil leaves event/v1 out.
	Events Publisher
	// Work keeps the jobs of plugins; nil leaves job/v1 out.
	Work *work.Store
	// Mail is the operator's mail server; nil says to plugins that there is none.
	Mail Mailer
	Log  *slog.Logger
}

// Set returns all host services of version 1.
func Set(s Settings) plugin.ServiceSet {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	set := plugin.ServiceSet{
		httpv1.Name:   NewHTTP(s.HTTP),
		configv1.Name: Config{},
		logv1.Name:    NewLog(s.Log),
		mailv1.Name:   NewMail(s.Mail),
		metricv1.Name: NewMetrics(nil),
		tracev1.Name:  NewTraces(nil),
	}
	if s.Events != nil {
		set[eventv1.Name] = NewEvents(s.Events)
	}
	if s.Work != nil {
		set[jobv1.Name] = NewJobs(s.Work)
	}
	if s.KV != nil {
		set[kvv1.Name] = NewKV(s.KV)
	}
	if s.Catalog != nil {
		set[catalogv1.Name] = NewCatalog(s.Catalog)
	}
	s.data(set)
	return set
}

// data adds the services that keep and find data.
func (s Settings) data(set plugin.ServiceSet) {
	set[streamv1.Name] = Streams{}
	if s.Tables != nil {
		set[tablev1.Name] = NewTables(s.Tables)
	}
	if s.Blobs != nil {
		set[blobv1.Name] = NewBlobs(s.Blobs)
	}
	if s.Caches != nil {
		set[cachev1.Name] = NewCaches(s.Caches)
	}
	if s.Search != nil {
		set[searchv1.Name] = NewSearch(s.Search)
	}
}

// read decodes a guest's request.
func read[T any](body json.RawMessage) (T, error) {
	var v T
	if len(body) == 0 {
		body = json.RawMessage("{}")
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, host.Errorf(host.CodeInvalid, "the request of the host service cannot be read: %v", err)
	}
	return v, nil
}

// unknownMethod refuses a method that a service does not have.
func unknownMethod(service, method string) error {
	if len(method) > 40 {
		method = method[:40]
	}
	return &pluginv1.Error{Code: pluginv1.CodeUnsupported, Message: fmt.Sprintf("%s has no method %q", service, method)}
}

// granted returns the grants of a service, or says that there is none.
func granted(s *plugin.Session, service string) ([]plugin.Grant, error) {
	grants := s.Instance.GrantsOf(service)
	if len(grants) > 0 {
		return grants, nil
	}
	for _, p := range s.Instance.Manifest.Permissions {
		if p.Type == service {
			return nil, host.Errorf(host.CodeNotGranted, "%s was not granted to %s", service, s.Instance.Short).
				WithHint("an admin can grant it on the plugin's page")
		}
	}
	return nil, host.Errorf(host.CodeNotGranted, "the manifest of %s does not ask for %s", s.Instance.Short, service).
		WithHint("add a permission of type %s to plugin.yaml", service)
}
