// Package config is the host service config/v1: the instance's configuration
// as its admin wrote it, checked against the manifest's schema, with the
// schema's defaults filled in and without secrets. It needs no permission.
package config

import "encoding/json"

const (
	// Name is the service's name in calls.
	Name = "config/v1"
	// MethodGet takes nothing and returns a Response.
	MethodGet = "get"
)

// Response holds the configuration object.
type Response struct {
	Config json.RawMessage `json:"config"`
	// Secrets names the manifest's secrets that have a value; never values.
	Secrets []string `json:"secrets,omitempty"`
}
