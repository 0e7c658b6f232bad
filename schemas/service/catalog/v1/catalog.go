// Package catalog is the host service catalog/v1: reads of the tenant's
// catalog with the rights of the call's caller, narrowed by the grant.
package catalog

import "encoding/json"

const (
	// Name is the service's name in manifests and calls.
	Name = "catalog/v1"

	MethodGet  = "get"  // GetRequest -> GetResponse
	MethodList = "list" // ListRequest -> ListResponse
)

// GetRequest names an entity by reference, for example
// "component:default/petstore".
type GetRequest struct {
	Ref string `json:"ref"`
}

// GetResponse holds the entity in Backstage's format, relations included.
type GetResponse struct {
	Entity json.RawMessage `json:"entity"`
}

// ListRequest asks for entities. Filter maps a key ("kind", "spec.type",
// "metadata.annotations.prometheus.io/rule") to the values of which one must
// match; an empty list means that the key must exist.
type ListRequest struct {
	Filter map[string][]string `json:"filter,omitempty"`
	Cursor string              `json:"cursor,omitempty"`
	Limit  int                 `json:"limit,omitempty"` // at most 200, 0 means 50
}

// ListResponse is one page of entities; Next is the cursor of the next, or empty.
type ListResponse struct {
	Entities []json.RawMessage `json:"entities"`
	Next     string            `json:"next,omitempty"`
}
