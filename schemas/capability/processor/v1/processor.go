// Package processor is the capability processor/v1: a plugin looks at entities
// while the catalog reads them. Before the format is checked it may change
// them; after that it may add relations and further entities, or say what is
// wrong. It needs the permission catalog/v1 with write.
//
// Processors run in the order of their manifests' order, then of the plugin's
// name and the processor's id, so that the same documents give the same
// catalog. One that fails leaves the entity as it was, and a problem on the
// location tells it.
package processor

import "encoding/json"

const (
	// Name is the capability's name in manifests and calls.
	Name = "processor/v1"
	// MethodProcess takes a Request and returns a Response.
	MethodProcess = "process"
)

// The phases of reading an entity.
const (
	// PhasePre is before the format is checked: Response.Entity may replace the
	// document. Kind, namespace and name must stay.
	PhasePre = "pre"
	// PhasePost is after it: relations and emitted entities are taken.
	PhasePost = "post"
)

// What one answer may hold at most.
const (
	MaxRelations = 200
	MaxEmit      = 100
	MaxProblems  = 50
)

// Request is one entity.
type Request struct {
	Processor string `json:"processor"`
	Phase     string `json:"phase"`
	// Location is where the document was read, "type:target".
	Location string `json:"location"`
	// Entity is the document in Backstage's format, without uid, etag and
	// relations.
	Entity json.RawMessage `json:"entity"`
}

// Response is what the processor makes of it. The zero value leaves the entity
// as it is.
type Response struct {
	// Entity replaces the document (PhasePre).
	Entity json.RawMessage `json:"entity,omitempty"`
	// Relations are added to those of the document (PhasePost).
	Relations []Relation `json:"relations,omitempty"`
	// Emit are further entities that come with this one (PhasePost). They are
	// checked like documents, but no processor sees them.
	Emit []json.RawMessage `json:"emit,omitempty"`
	// Problems are shown beside the location and the entity.
	Problems []Problem `json:"problems,omitempty"`
	// Refuse keeps the entity out; its last good version stays.
	Refuse bool `json:"refuse,omitempty"`
}

// Relation is one relation, in both directions.
type Relation struct {
	// Type is from the entity to Target, for example "dependsOn"; Inverse is the
	// way back, for example "dependencyOf", or empty.
	Type    string `json:"type"`
	Inverse string `json:"inverse,omitempty"`
	// Target is a reference; kind must be named.
	Target string `json:"target"`
}

// Problem is one thing that is wrong with the entity.
type Problem struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}
