// Package search is the host service search/v1: the search of the tenant's
// catalog, with the rights of the caller, narrowed by the kinds of the grant.
// It finds what the same caller would find on the search page, and counts no
// more than that.
package search

import "encoding/json"

const (
	// Name is the service's name in manifests and calls.
	Name = "search/v1"

	MethodQuery = "query" // QueryRequest -> QueryResponse
)

const (
	// MaxLimit is the longest page.
	MaxLimit = 100
	// DefaultLimit is a page whose request does not say.
	DefaultLimit = 20
	// MaxTextBytes is the longest text.
	MaxTextBytes = 500
)

// QueryRequest asks for entities.
type QueryRequest struct {
	// Text keeps entities in whose words every word of it occurs, as a prefix.
	Text string `json:"text,omitempty"`
	// Filter maps a key to values of which one must match, as in Backstage's
	// catalog; a key without values must exist.
	Filter map[string][]string `json:"filter,omitempty"`
	Limit  int                 `json:"limit,omitempty"`
	// Cursor is the Next of the page before, of the same request.
	Cursor string `json:"cursor,omitempty"`
}

// Hit is one entity that was found.
type Hit struct {
	// Ref is the entity's reference, kind:namespace/name in lower case.
	Ref         string `json:"ref"`
	Kind        string `json:"kind"`
	Type        string `json:"type,omitempty"`
	Owner       string `json:"owner,omitempty"`
	Lifecycle   string `json:"lifecycle,omitempty"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	// Entity is the whole document in Backstage's format.
	Entity json.RawMessage `json:"entity"`
}

// QueryResponse is one page.
type QueryResponse struct {
	Hits []Hit `json:"hits"`
	// Next is the cursor of the next page, or empty.
	Next string `json:"next,omitempty"`
	// Total counts all entities that match and that the caller may see.
	Total int `json:"total"`
}
