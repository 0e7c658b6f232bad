package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/api"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/catalog/source"
	"github.com/callboard-dev/callboard/host/config"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/queue"
)

// catalogService is the catalog as plugins see it: documents by reference or
// by filter, with the rights of the call's caller.
type catalogService struct{ catalog *catalog.Catalog }

// Entity returns one entity's document.
func (s catalogService) Entity(ctx context.Context, c host.Caller, ref string) (json.RawMessage, error) {
	r, err := catalog.ParseRef(ref, catalog.Ref{Namespace: "default"})
	if err != nil {
		return nil, err
	}
	doc, _, err := s.catalog.GetJSON(ctx, c, r)
	return doc, err
}

// Entities returns a page of documents; kinds narrows the filter.
func (s catalogService) Entities(ctx context.Context, c host.Caller, kinds []string, filter map[string][]string, cursor string, limit int) ([]json.RawMessage, string, error) {
	q := catalog.Query{Filter: filter, Cursor: cursor, Limit: limit}
	if len(kinds) > 0 {
		q.AnyOf = []map[string][]string{{"kind": kinds}}
	}
	page, err := s.catalog.List(ctx, c, q)
	if err != nil {
		return nil, "", err
	}
	docs := make([]json.RawMessage, 0, len(page.Items))
	for _, e := range page.Items {
		docs = append(docs, e.Doc)
	}
	return docs, page.Next, nil
}

// contract is the OpenAPI document as the pages need it.
type contract struct{ api *api.API }

// Document returns the document of the caller's tenant.
func (a contract) Document(ctx context.Context, c host.Caller) ([]byte, error) {
	doc, _, err := a.api.Document(ctx, c)
	return doc, err
}

// pluginJobs is the queue as the schedules of plugins need it.
type pluginJobs struct {
	queue *queue.Queue
	err   error
}

// Register adds a worker; what goes wrong is kept in err.
func (j *pluginJobs) Register(kind string, run func(context.Context, json.RawMessage) error) {
	j.err = errors.Join(j.err, j.queue.Register(kind, run, queue.Options{MaxAttempts: 3}))
}

// Enqueue adds a job.
func (j *pluginJobs) Enqueue(ctx context.Context, kind, key string, args json.RawMessage, at time.Time) error {
	return j.queue.Enqueue(ctx, kind, key, args, at)
}

// ownRoots are the folders for catalog files below the data directory.
func ownRoots(c config.Config) []string {
	roots := []string{filepath.Join(c.Data, "catalog")}
	if c.Demo {
		roots = append(roots, demoDir(c))
	}
	return roots
}

// outsideHint tells who registers a file elsewhere what to do. It names no
// folder of this machine.
const outsideHint = "copy it into the folder catalog of the portal's data directory (serve --data); or let the operator name it, " +
	"or a file beside it, under catalog.locations of the configuration file with type: file; " +
	"a portal that runs with --development reads below its working directory too"

// fileRoots are the folders below which file locations may be registered: our
// own, those of the configuration's file locations, and in development the
// working directory.
func fileRoots(c config.Config) []string {
	roots := ownRoots(c)
	if c.Development {
		roots = append(roots, ".")
	}
	for _, l := range c.Locations {
		if l.Type == "file" {
			roots = append(roots, folderOf(l.Target))
		}
	}
	return roots
}

// folderOf returns the folder that a path is in; of a pattern, the one above
// its first wildcard.
func folderOf(target string) string {
	if i := strings.IndexAny(target, "*?["); i >= 0 {
		target = target[:i]
		return filepath.Clean(target[:strings.LastIndexByte(target, filepath.Separator)+1])
	}
	return filepath.Dir(target)
}

// readingAllow turns backend.reading.allow into the catalog's settings.
func readingAllow(c config.Config) []source.Allow {
	var allow []source.Allow
	for _, g := range c.Reading {
		allow = append(allow, source.Allow{Host: g.Host, Paths: g.Paths})
	}
	return allow
}

// catalogRules turns catalog.rules into the catalog's settings. Without any,
// all kinds may come from anywhere: who may register a location is decided by
// roles, so a second gate that new users trip over earns nothing.
func catalogRules(c config.Config) []ingest.Rule {
	if len(c.Rules) == 0 {
		return ingest.AllKinds()
	}
	rules := make([]ingest.Rule, 0, len(c.Rules))
	for _, r := range c.Rules {
		rule := ingest.Rule{Allow: r.Allow}
		for _, l := range r.Locations {
			rule.Locations = append(rule.Locations, ingest.Matcher{Type: l.Type, Exact: l.Target})
		}
		rules = append(rules, rule)
	}
	return rules
}

// configuredTargets turns catalog.locations into the catalog's settings.
func configuredTargets(c config.Config) []catalog.Target {
	targets := make([]catalog.Target, 0, len(c.Locations))
	for _, l := range c.Locations {
		t := catalog.Target{Type: l.Type, Target: l.Target}
		if len(l.Allow) > 0 {
			t.Rules = []ingest.Rule{{Allow: l.Allow}}
		}
		targets = append(targets, t)
	}
	return targets
}

// baseURL is how people reach the portal, as far as the settings tell.
func baseURL(c config.Config) string {
	if c.BaseURL != "" {
		return c.BaseURL
	}
	name, port, err := net.SplitHostPort(c.Listen)
	if err != nil || name == "" || name == "0.0.0.0" || name == "::" {
		name = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(name, port)
}

// signInLink is where a one-time sign-in token is redeemed.
func signInLink(base, token string) string { return base + "/login/link?token=" + token }

// dropInstances removes a tenant's plugins, as the first step of its deletion.
func dropInstances(ctx context.Context, d *data, t host.Tenant) error {
	// What the tenant's releases leave on disk is swept at the next start.
	if _, err := record.DropTenant(ctx, d.db, t.ID); err != nil {
		return err
	}
	blobs, err := openBlobs(d.db, d.config)
	if err != nil {
		return err
	}
	return blobs.DropTenant(ctx, t.ID)
}
