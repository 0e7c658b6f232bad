package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
)

// EntityPath are the path parameters that name an entity.
type EntityPath struct {
	Kind      string `path:"kind" maxLength:"63" example:"component"`
	Namespace string `path:"namespace" maxLength:"63" example:"default"`
	Name      string `path:"name" maxLength:"63" example:"petstore"`
}

func (p EntityPath) ref() catalog.Ref {
	return catalog.Ref{Kind: p.Kind, Namespace: p.Namespace, Name: p.Name}
}

type listEntitiesInput struct {
	EntityFilters
	Cursor string `query:"cursor" maxLength:"4096" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"The most items on a page."`
	Sort   string `query:"sort" maxLength:"200" doc:"A field to sort by, with \",desc\" to turn it around." example:"metadata.name"`
}

// entityPage is one page of entities. Items are passed on as the catalog keeps
// them, with their reference as id before everything else.
type entityPage struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next,omitempty"`
	Total int               `json:"total"`
}

// listEntities answers one page of entities. It does not pass through Huma's
// writer: the documents are bytes already.
func (a *API) listEntities(ctx context.Context, c host.Caller, in *listEntitiesInput) (*bodyOf[entityPage], error) {
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	q.Cursor, q.Limit, q.Sort = in.Cursor, in.Limit, in.Sort
	page, err := a.s.Entities.List(ctx, c, q)
	if err != nil {
		return nil, err
	}
	out := entityPage{Items: make([]json.RawMessage, 0, len(page.Items)), Next: page.Next, Total: page.Total}
	for i := range page.Items {
		out.Items = append(out.Items, withID(page.Items[i].Ref.String(), page.Items[i].Doc))
	}
	return &bodyOf[entityPage]{out}, nil
}

// withID puts an id before the members of a JSON object.
func withID(id string, doc json.RawMessage) json.RawMessage {
	quoted, err := json.Marshal(id)
	rest, ok := bytes.CutPrefix(doc, []byte("{"))
	if err != nil || !ok {
		return doc
	}
	out := make([]byte, 0, len(doc)+len(quoted)+8)
	out = append(out, `{"id":`...)
	out = append(out, quoted...)
	if !bytes.HasPrefix(rest, []byte("}")) {
		out = append(out, ',')
	}
	return append(out, rest...)
}

// readEntity answers one entity as it is stored. This is the most frequent
// request of a portal, so its bytes go from the catalog's cache to the client
// with nothing in between.
func (a *API) readEntity(w http.ResponseWriter, r *http.Request) {
	ref := catalog.Ref{Kind: r.PathValue("kind"), Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	doc, etag, err := a.s.Entities.GetJSON(r.Context(), caller(r), ref)
	if err != nil {
		Fail(w, r, err)
		return
	}
	writeTagged(w, r, jsonType, etag, doc)
}

type refreshEntityInput struct{ EntityPath }

// refreshEntity reads the location of an entity again.
func (a *API) refreshEntity(ctx context.Context, c host.Caller, in *refreshEntityInput) (*bodyOf[report], error) {
	out, err := a.s.Entities.Refresh(ctx, c, in.ref().String())
	if err != nil {
		return nil, err
	}
	return &bodyOf[report]{reportOf(out)}, nil
}

type facetsInput struct {
	EntityFilters
	Facet []string `query:"facet,explode" required:"true" minItems:"1" maxItems:"20" doc:"The fields to count by, for example kind or spec.type."`
}

type facetsOutput struct {
	Facets map[string][]catalog.FacetCount `json:"facets" doc:"Counts by field and value, the most frequent first."`
}

// facets counts the entities of a query by the values of fields.
func (a *API) facets(ctx context.Context, c host.Caller, in *facetsInput) (*bodyOf[facetsOutput], error) {
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	counts, err := a.s.Entities.Facets(ctx, c, q, in.Facet)
	if err != nil {
		return nil, err
	}
	return &bodyOf[facetsOutput]{facetsOutput{counts}}, nil
}

// bodyOf is an answer with a JSON body and nothing else.
type bodyOf[T any] struct{ Body T }

// list is the body of every list that is not paged.
type list[T any] struct {
	Items []T `json:"items"`
}

// listOf maps things to the items of a list; none is an empty list.
func listOf[F, T any](from []F, item func(F) T) *bodyOf[list[T]] {
	out := list[T]{Items: make([]T, 0, len(from))}
	for _, f := range from {
		out.Items = append(out.Items, item(f))
	}
	return &bodyOf[list[T]]{out}
}
