package catalog

import (
	"encoding/json"
	"time"

	"github.com/callboard-dev/callboard/host/catalog/descriptor"
)

// Ref names an entity; its String is the canonical lower-case form.
type Ref = descriptor.Ref

// ParseRef reads "[kind:][namespace/]name", filling in what is missing from
// defaults. Its error has code invalid-request.
func ParseRef(s string, defaults Ref) (Ref, error) { return descriptor.ParseRef(s, defaults) }

// Entity is one thing in a tenant's catalog, as its last good document says.
type Entity struct {
	// Ref is spelled as in the document; Ref.String() is canonical.
	Ref Ref
	// UID stays for as long as the entity exists in this catalog.
	UID string
	// Doc is Backstage's JSON of the entity, with metadata.uid, metadata.etag
	// and relations. It is shared: do not write into it.
	Doc json.RawMessage
	// ETag changes with Doc. It has no quotes.
	ETag string
	// Orphan is true when no location provides the entity any more.
	Orphan    bool
	UpdatedAt time.Time

	Kind, Type, Owner, Lifecycle, Title, Description string
	Tags                                             []string
	Annotations                                      map[string]string
	Relations                                        []Relation
	// Errors are the problems of the entity's newest document, if that could
	// not replace the one shown.
	Errors []Problem
}

// Relation is one directed edge from the entity that carries it.
type Relation struct {
	Type   string `json:"type"`
	Target Ref    `json:"-"`
}

// Problem is one thing that is wrong with a location or a document, with its
// place and what to do about it.
type Problem struct {
	LocationID string    `json:"locationId,omitempty"`
	Ref        string    `json:"ref,omitempty"`
	Where      string    `json:"where,omitempty"` // file:line
	Message    string    `json:"message"`
	Hint       string    `json:"hint,omitempty"`
	At         time.Time `json:"at"`
}

// Query selects entities of a tenant.
type Query struct {
	// Filter is one set of Backstage's filter: all keys must match, each with
	// any of its values; a key without values must exist.
	Filter map[string][]string
	// AnyOf are filter sets of which one must match; empty means no condition.
	AnyOf []map[string][]string
	// Text keeps entities in whose words every word of it occurs, as a prefix.
	Text string
	// Cursor is a Page.Next of the same query, or empty.
	Cursor string
	// Limit is the size of a page: 20 where it is 0, at most 1000.
	Limit int
	// Sort is a field path, or updatedAt, with optional ",desc", for example
	// "metadata.name" (the default) or "spec.type,desc".
	Sort string
}

// Page is one page of a list, in a stable order.
type Page struct {
	Items []Entity
	// Next is the cursor of the page after this one, or empty.
	Next string
	// Total counts all entities of the query.
	Total int
}

// FacetCount is how many entities of a query have a value.
type FacetCount struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// The states of a location.
const (
	StatusPending = "pending" // not read yet
	StatusOK      = "ok"
	StatusError   = "error"
)

// Location is a place from which entities are read again and again.
type Location struct {
	ID, Type, Target string
	Status           string
	// Error is why the last refresh failed, or what its first problem was.
	Error *Problem
	// Entities counts the entities that the location provides.
	Entities            int
	RefreshedAt, NextAt time.Time
	// Managed locations come from the configuration file and cannot be removed
	// by people.
	Managed bool
}

// Report says what reading a location did, or would do.
type Report struct {
	Location                           Location
	Added, Changed, Unchanged, Removed []string // canonical refs, sorted
	// Entities are those that are added, changed or unchanged, by ref, as the
	// location alone describes them. Only Register fills it in.
	Entities []Entity
	Problems []Problem
}
