// Package catalog reads the tenant's catalog: the host service catalog/v1. A
// read has the rights of the call's caller, narrowed by the grant.
package catalog

import (
	"context"
	"encoding/json"
	"iter"
	"strings"

	"github.com/callboard-dev/callboard/schemas/codec"
	v1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
	"github.com/callboard-dev/callboard/sdk"
)

//go:generate go run ../../cmd/codecgen .

// Entity is an entity in Backstage's format: the parts that plugins read most.
//
//callboard:codec
type Entity struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   Metadata        `json:"metadata"`
	Spec       json.RawMessage `json:"spec,omitempty"`
	Relations  []Relation      `json:"relations,omitempty"`
	// Raw is the whole document.
	Raw json.RawMessage `json:"-"`
}

// Metadata is who an entity is.
type Metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	UID         string            `json:"uid,omitempty"`
	ETag        string            `json:"etag,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Tags        []string          `json:"tags,omitempty"`
	Links       []Link            `json:"links,omitempty"`
}

// Link is a link of an entity.
type Link struct {
	URL   string `json:"url"`
	Title string `json:"title,omitempty"`
	Icon  string `json:"icon,omitempty"`
	Type  string `json:"type,omitempty"`
}

// Relation is one relation of an entity; TargetRef is a full reference.
type Relation struct {
	Type      string `json:"type"`
	TargetRef string `json:"targetRef"`
}

// Decode reads an entity document.
func Decode(doc json.RawMessage) (Entity, error) {
	var e Entity
	if err := codec.Unmarshal(doc, &e); err != nil {
		return Entity{}, sdk.Errorf(sdk.CodeInternal, "decoding an entity: %w", err)
	}
	e.Raw = doc
	return e, nil
}

// Ref returns the entity's reference, "kind:namespace/name" in lower case.
func (e Entity) Ref() string {
	return strings.ToLower(e.Kind + ":" + e.Namespace() + "/" + e.Metadata.Name)
}

// Namespace returns the entity's namespace; "default" where none is written.
func (e Entity) Namespace() string {
	if e.Metadata.Namespace == "" {
		return "default"
	}
	return e.Metadata.Namespace
}

// Title returns the entity's title, or its name.
func (e Entity) Title() string {
	if e.Metadata.Title != "" {
		return e.Metadata.Title
	}
	return e.Metadata.Name
}

// Annotation returns the value of an annotation, without white space around
// it, or "".
func (e Entity) Annotation(name string) string {
	return strings.TrimSpace(e.Metadata.Annotations[name])
}

// DecodeSpec decodes the spec into v.
func (e Entity) DecodeSpec(v any) error {
	if len(e.Spec) == 0 {
		return nil
	}
	if err := codec.Unmarshal(e.Spec, v); err != nil {
		return sdk.Errorf(sdk.CodeInvalid, "decoding the spec of %s: %w", e.Ref(), err)
	}
	return nil
}

// Targets returns the references to which the relations of a type lead.
func (e Entity) Targets(relation string) []string {
	var out []string
	for _, r := range e.Relations {
		if r.Type == relation {
			out = append(out, r.TargetRef)
		}
	}
	return out
}

// Get returns the entity of a reference such as "component:default/petstore".
// CodeNotFound means that it does not exist or may not be seen.
func Get(ctx context.Context, ref string) (Entity, error) {
	var out v1.GetResponse
	if err := sdk.Do(ctx, v1.Name, v1.MethodGet, v1.GetRequest{Ref: ref}, &out); err != nil {
		return Entity{}, err
	}
	return Decode(out.Entity)
}

// Query selects entities. Filter maps a key ("kind", "spec.type",
// "metadata.annotations.example.com/id") to the values of which one must
// match; an empty list means that the key must exist.
type Query struct {
	Filter map[string][]string
	Cursor string // where the page before said to go on; "" for the first
	Limit  int    // at most 200; 0 means 50
}

// Page is one page of entities; Next is "" on the last.
type Page struct {
	Entities []Entity
	Next     string
}

// List returns one page of entities.
func List(ctx context.Context, q Query) (Page, error) {
	var out v1.ListResponse
	in := v1.ListRequest{Filter: q.Filter, Cursor: q.Cursor, Limit: q.Limit}
	if err := sdk.Do(ctx, v1.Name, v1.MethodList, in, &out); err != nil {
		return Page{}, err
	}
	page := Page{Next: out.Next, Entities: make([]Entity, 0, len(out.Entities))}
	for _, doc := range out.Entities {
		e, err := Decode(doc)
		if err != nil {
			return Page{}, err
		}
		page.Entities = append(page.Entities, e)
	}
	return page, nil
}

// All walks all pages of a query. An error ends the walk.
func All(ctx context.Context, q Query) iter.Seq2[Entity, error] {
	return func(yield func(Entity, error) bool) {
		for {
			page, err := List(ctx, q)
			if err != nil {
				yield(Entity{}, err)
				return
			}
			for _, e := range page.Entities {
				if !yield(e, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Cursor = page.Next
		}
	}
}
