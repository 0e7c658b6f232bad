// Package provider is the capability provider/v1: a plugin gives the catalog
// entities that no document describes, at the interval of its manifest. They
// belong to a location of their own, "plugin:<plugin>/<provider>", and go when
// the plugin goes. It needs the permission catalog/v1 with write.
package provider

import "encoding/json"

const (
	// Name is the capability's name in manifests and calls.
	Name = "provider/v1"
	// MethodRead takes a Request and returns a Response.
	MethodRead = "read"
)

// What one run may give at most.
const (
	MaxPage  = 2_000  // entities of one answer
	MaxPages = 500    // answers of one run
	MaxTotal = 50_000 // entities of one run
)

// Request asks for one page of a run.
type Request struct {
	Provider string `json:"provider"`
	// State is the Response.State of the last run that was taken over, or empty.
	State string `json:"state,omitempty"`
	// Page is the Next of the page before, empty for the first one.
	Page string `json:"page,omitempty"`
}

// Response is one page.
type Response struct {
	// Delta says that Entities and Removed are changes since State. Without it
	// the pages together are all entities of the provider, and those that are
	// missing from them are gone. All pages of a run say the same.
	Delta    bool              `json:"delta,omitempty"`
	Entities []json.RawMessage `json:"entities,omitempty"`
	// Removed are references of entities that are gone (Delta only).
	Removed []string `json:"removed,omitempty"`
	// Next is the page that follows, or empty on the last one. Nothing is
	// written before the last page.
	Next string `json:"next,omitempty"`
	// State is what the next run gets, from the last page; at most 4 KiB.
	State string `json:"state,omitempty"`
	// Message is shown to the operator beside the run.
	Message string `json:"message,omitempty"`
}
