package service

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
)

// Catalog is what catalog/v1 needs of the catalog. Both methods read with the
// rights of c.
type Catalog interface {
	// Entity returns an entity in Backstage's format. One that does not exist,
	// or that c may not see, is CodeNotFound.
	Entity(ctx context.Context, c host.Caller, ref string) (json.RawMessage, error)
	// Entities returns a page of entities. Filter maps a key to values of
	// which one must match; no values mean that the key must exist. Kinds, if
	// not empty, limits the kinds, whatever the filter says. Next is the cursor
	// of the next page, or empty.
	Entities(ctx context.Context, c host.Caller, kinds []string, filter map[string][]string, cursor string, limit int) (list []json.RawMessage, next string, err error)
}

const (
	defaultEntities = 50
	maxEntities     = 200
)

// CatalogService is catalog/v1: reads with the caller's rights, narrowed by the
// kinds of the grant.
type CatalogService struct{ catalog Catalog }

var _ plugin.Service = (*CatalogService)(nil)

// NewCatalog returns the service over the catalog.
func NewCatalog(c Catalog) *CatalogService { return &CatalogService{catalog: c} }

// Serve answers one call.
func (k *CatalogService) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	grants, err := granted(s, catalogv1.Name)
	if err != nil {
		return nil, err
	}
	kinds := kindsOf(grants)
	switch call.Method {
	case catalogv1.MethodGet:
		return k.get(ctx, s, kinds, call.Body)
	case catalogv1.MethodList:
		return k.list(ctx, s, kinds, call.Body)
	}
	return nil, unknownMethod(catalogv1.Name, call.Method)
}

// kindsOf joins the kinds of the grants; empty means all.
func kindsOf(grants []plugin.Grant) []string {
	var out []string
	for _, g := range grants {
		if len(g.Kinds) == 0 {
			return nil
		}
		for _, kind := range g.Kinds {
			out = append(out, strings.ToLower(kind))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (k *CatalogService) get(ctx context.Context, s *plugin.Session, kinds []string, body json.RawMessage) (any, error) {
	in, err := read[catalogv1.GetRequest](body)
	if err != nil {
		return nil, err
	}
	if in.Ref == "" {
		return nil, host.Errorf(host.CodeInvalid, "the reference of the entity is missing").WithHint("write kind:namespace/name")
	}
	entity, err := k.catalog.Entity(ctx, s.Caller, in.Ref)
	if err != nil {
		return nil, err
	}
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(entity, &head); err != nil {
		return nil, err
	}
	if len(kinds) > 0 && !slices.Contains(kinds, strings.ToLower(head.Kind)) {
		return nil, host.Errorf(host.CodeNotGranted, "%s may not read entities of kind %s", s.Instance.Short, head.Kind).
			WithHint("an admin can widen the grant on the plugin's page")
	}
	s.Reached(catalogv1.Name, head.Kind)
	return catalogv1.GetResponse{Entity: entity}, nil
}

func (k *CatalogService) list(ctx context.Context, s *plugin.Session, kinds []string, body json.RawMessage) (any, error) {
	in, err := read[catalogv1.ListRequest](body)
	if err != nil {
		return nil, err
	}
	if in.Limit == 0 {
		in.Limit = defaultEntities
	}
	if in.Limit < 0 || in.Limit > maxEntities {
		return nil, host.Errorf(host.CodeInvalid, "limit must be between 1 and %d", maxEntities)
	}
	list, next, err := k.catalog.Entities(ctx, s.Caller, kinds, in.Filter, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []json.RawMessage{}
		s.Reached(catalogv1.Name, "") // it looked, whatever for
	}
	for kind := range kindsIn(list) {
		s.Reached(catalogv1.Name, kind)
	}
	return catalogv1.ListResponse{Entities: list, Next: next}, nil
}

// kindsIn returns the kinds of documents. It reads each no further than to its
// kind, which stands near the beginning.
func kindsIn(docs []json.RawMessage) map[string]bool {
	out := map[string]bool{}
	for _, doc := range docs {
		dec := json.NewDecoder(bytes.NewReader(doc))
		if _, err := dec.Token(); err != nil {
			continue
		}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				break
			}
			var value json.RawMessage
			if err := dec.Decode(&value); err != nil {
				break
			}
			var kind string
			if key == "kind" && json.Unmarshal(value, &kind) == nil {
				out[kind] = true
				break
			}
		}
	}
	return out
}
