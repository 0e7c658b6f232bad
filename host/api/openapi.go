package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/callboard-dev/callboard/host"
)

// documents keeps one OpenAPI document for each tenant, until its installations
// change.
type documents struct {
	core       *document
	operations Operations

	mu   sync.Mutex
	kept map[host.TenantID]*written
}

// maxDocuments bounds how many tenants' documents are kept; one that was
// dropped is composed again when it is asked for.
const maxDocuments = 256

// written is a composed document.
type written struct {
	revision   int64
	title      string
	json, yaml []byte
	etag       string
}

func newDocuments(core *document, ops Operations) *documents {
	return &documents{core: core, operations: ops, kept: map[host.TenantID]*written{}}
}

// of returns the document of a tenant as it is now.
func (d *documents) of(t host.Tenant) (*written, error) {
	parts := d.operations.Parts(t.ID)
	d.mu.Lock()
	w := d.kept[t.ID]
	d.mu.Unlock()
	if w != nil && w.revision == parts.Revision && w.title == t.Name {
		return w, nil
	}
	raw, err := d.core.with(t, parts)
	if err != nil {
		return nil, err
	}
	text, err := yaml.JSONToYAML(raw)
	if err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document as YAML: %w", err)
	}
	sum := sha256.Sum256(raw)
	w = &written{revision: parts.Revision, title: t.Name, json: raw, yaml: text, etag: hex.EncodeToString(sum[:12])}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.kept) >= maxDocuments {
		clear(d.kept)
	}
	d.kept[t.ID] = w
	return w, nil
}

// openapiJSON serves the caller's tenant's document.
func (a *API) openapiJSON(w http.ResponseWriter, r *http.Request) {
	doc, err := a.docs.of(caller(r).Tenant())
	if err != nil {
		Fail(w, r, err)
		return
	}
	writeTagged(w, r, "application/openapi+json", doc.etag, doc.json)
}

// openapiYAML serves the same document as YAML.
func (a *API) openapiYAML(w http.ResponseWriter, r *http.Request) {
	doc, err := a.docs.of(caller(r).Tenant())
	if err != nil {
		Fail(w, r, err)
		return
	}
	writeTagged(w, r, "application/openapi+yaml", doc.etag+"-yaml", doc.yaml)
}

// Document returns the OpenAPI document of the caller's tenant as JSON, with
// its entity tag, for rooms that show or read it. It must not be changed.
func (a *API) Document(_ context.Context, c host.Caller) (doc []byte, etag string, err error) {
	w, err := a.docs.of(c.Tenant())
	if err != nil {
		return nil, "", err
	}
	return w.json, w.etag, nil
}
