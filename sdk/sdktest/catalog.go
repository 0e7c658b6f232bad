package sdktest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
	"github.com/callboard-dev/callboard/sdk/catalog"
)

// entity is one entity of the catalog: its document and what it decodes to.
type entity struct {
	ref, kind string
	doc       json.RawMessage
	tree      map[string]any
}

func newEntity(doc any) (entity, error) {
	var raw json.RawMessage
	switch d := doc.(type) {
	case []byte:
		raw = d
	case json.RawMessage:
		raw = d
	case string:
		raw = json.RawMessage(d)
	default:
		encoded, err := json.Marshal(doc)
		if err != nil {
			return entity{}, fmt.Errorf("encoding an entity: %w", err)
		}
		raw = encoded
	}
	e, err := catalog.Decode(raw)
	if err != nil {
		return entity{}, err
	}
	if e.Kind == "" || e.Metadata.Name == "" {
		return entity{}, fmt.Errorf("an entity needs kind and metadata.name: %s", raw)
	}
	out := entity{ref: e.Ref(), kind: strings.ToLower(e.Kind), doc: raw}
	return out, json.Unmarshal(raw, &out.tree)
}

// entityDoc returns the document of a reference, or nil.
func (h *Host) entityDoc(ref string) json.RawMessage {
	for _, e := range h.entities {
		if e.ref == strings.ToLower(ref) {
			return e.doc
		}
	}
	return nil
}

// mayRead says whether the grant reaches a kind.
func (h *Host) mayRead(kind string) bool {
	kinds := h.permission(catalogv1.Name).Kinds
	return len(kinds) == 0 || slices.ContainsFunc(kinds, func(k string) bool { return strings.EqualFold(k, kind) })
}

func (h *Host) catalogGet(_ context.Context, in catalogv1.GetRequest) (any, *plugin.Error) {
	kind, rest, ok := strings.Cut(in.Ref, ":")
	if !ok || !strings.Contains(rest, "/") {
		return nil, fault(plugin.CodeInvalid, "%q is not a reference like component:default/petstore", in.Ref)
	}
	if !h.mayRead(kind) {
		return nil, fault(plugin.CodeNotGranted, "reading entities of kind %q is not granted", kind)
	}
	doc := h.entityDoc(in.Ref)
	if doc == nil {
		return nil, fault(plugin.CodeNotFound, "there is no entity %s", in.Ref)
	}
	return catalogv1.GetResponse{Entity: doc}, nil
}

func (h *Host) catalogList(_ context.Context, in catalogv1.ListRequest) (any, *plugin.Error) {
	limit := in.Limit
	if limit == 0 {
		limit = 50
	}
	if limit < 0 || limit > 200 {
		return nil, fault(plugin.CodeInvalid, "the limit is 1 to 200")
	}
	start := 0
	if in.Cursor != "" {
		var err error
		if start, err = strconv.Atoi(in.Cursor); err != nil || start < 0 {
			return nil, fault(plugin.CodeInvalid, "the cursor %q is not one of this host", in.Cursor)
		}
	}
	out := catalogv1.ListResponse{Entities: []json.RawMessage{}}
	found := 0
	for _, e := range h.entities {
		if !h.mayRead(e.kind) || !e.matches(in.Filter) {
			continue
		}
		found++
		switch {
		case found <= start:
		case len(out.Entities) == limit:
			out.Next = strconv.Itoa(start + limit)
			return out, nil
		default:
			out.Entities = append(out.Entities, e.doc)
		}
	}
	return out, nil
}

// matches says whether each key of the filter has one of its values.
func (e entity) matches(filter map[string][]string) bool {
	for key, wanted := range filter {
		values := lookup(e.tree, key)
		if len(values) == 0 {
			return false
		}
		if len(wanted) > 0 && !slices.ContainsFunc(wanted, func(w string) bool {
			return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, w) })
		}) {
			return false
		}
	}
	return true
}

// lookup returns the values under a dotted key, whose parts may hold dots
// themselves ("metadata.annotations.prometheus.io/rule").
func lookup(v any, key string) []string {
	if list, ok := v.([]any); ok {
		var out []string
		for _, item := range list {
			out = append(out, lookup(item, key)...)
		}
		return out
	}
	if key == "" {
		if _, isObject := v.(map[string]any); isObject || v == nil {
			return nil
		}
		return []string{fmt.Sprint(v)}
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	for name, value := range object {
		if strings.EqualFold(name, key) {
			return lookup(value, "")
		}
		if len(key) > len(name) && key[len(name)] == '.' && strings.EqualFold(name, key[:len(name)]) {
			if found := lookup(value, key[len(name)+1:]); found != nil {
				return found
			}
		}
	}
	return nil
}
