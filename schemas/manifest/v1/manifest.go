// Package manifest is plugin.yaml, version 1: who a plugin is, what it offers
// and what it asks for. manifest.schema.json beside this file is the published
// JSON Schema; editors complete from it and the host refuses what it refuses.
package manifest

import (
	_ "embed"
	"encoding/json"
)

// FileName is the manifest's name at the plugin's root.
const FileName = "plugin.yaml"

// Schema is the JSON Schema 2020-12 of a manifest.
//
//go:embed manifest.schema.json
var Schema []byte

// Runtimes.
const (
	RuntimeWASM    = "wasm"
	RuntimeProcess = "process"
)

// Manifest is the decoded plugin.yaml.
type Manifest struct {
	// Name is "namespace/name". The part after the slash is the plugin's
	// short name in paths.
	Name        string `json:"name"`
	Version     string `json:"version"` // SemVer 2.0
	Title       string `json:"title"`
	Description string `json:"description"`
	License     string `json:"license,omitempty"` // SPDX expression
	Homepage    string `json:"homepage,omitempty"`
	// Callboard is the range of host versions, for example ">=0.1.0 <1.0.0".
	Callboard string `json:"callboard"`
	Runtime   string `json:"runtime"`
	// Main is the code's file, relative to the manifest; "plugin.wasm" if empty.
	Main         string       `json:"main,omitempty"`
	Capabilities []Capability `json:"capabilities"`
	Permissions  []Permission `json:"permissions,omitempty"`
	Config       *Config      `json:"config,omitempty"`
	Secrets      []Secret     `json:"secrets,omitempty"`
	Limits       Limits       `json:"limits,omitzero"`
}

// Capability is one thing the plugin offers. Which of the other fields apply
// depends on Type.
type Capability struct {
	Type string `json:"type"` // route/v1, view/v1 or schedule/v1
	// OpenAPI is the fragment of route/v1: an object with "paths" and,
	// optionally, "components.schemas" and "tags". It stays raw.
	OpenAPI   json.RawMessage `json:"openapi,omitempty"`
	Views     []View          `json:"views,omitempty"`
	Schedules []Schedule      `json:"schedules,omitempty"`
}

// View is one view of view/v1.
type View struct {
	ID    string `json:"id"`
	Slot  string `json:"slot"`
	Title string `json:"title"`
	// When limits an entity view to the entities it has something to say about.
	When *When `json:"when,omitempty"`
}

// When matches an entity: one of Kinds (any if empty) and one of Annotations
// (any if empty).
type When struct {
	Kinds       []string `json:"kinds,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
}

// Schedule is one schedule of schedule/v1.
type Schedule struct {
	ID          string `json:"id"`
	Every       string `json:"every"` // a Go duration, at least 1m
	Description string `json:"description,omitempty"`
}

// Permission asks for a host service, with a reason that the admin reads.
type Permission struct {
	Type   string `json:"type"` // http/v1, kv/v1 or catalog/v1
	Reason string `json:"reason"`

	// Hosts (http/v1) are "scheme://host[:port]", or "${config.key}" for the
	// origin of a URL that the admin configures.
	Hosts []string `json:"hosts,omitempty"`
	// Private (http/v1) asks for addresses in private ranges too.
	Private bool `json:"private,omitempty"`
	// Auth (http/v1) says how the host authenticates requests to Hosts.
	Auth *Auth `json:"auth,omitempty"`

	// Quota (kv/v1) is the most that may be stored, for example "1MiB".
	Quota string `json:"quota,omitempty"`

	// Kinds (catalog/v1) are the kinds that may be read; all if empty.
	Kinds []string `json:"kinds,omitempty"`
}

// Auth authenticates egress on the host's side.
type Auth struct {
	Type   string `json:"type"`   // header, bearer, basic or query
	Secret string `json:"secret"` // the name of one of the manifest's secrets
	// Name is the header's or the query parameter's name.
	Name string `json:"name,omitempty"`
	// Username is the user of basic; a "${config.key}" reads the configuration.
	Username string `json:"username,omitempty"`
}

// Config describes the instance's configuration.
type Config struct {
	// Schema is a JSON Schema 2020-12 of type object.
	Schema json.RawMessage `json:"schema"`
	// UI orders and explains the fields of the form.
	UI *ConfigUI `json:"ui,omitempty"`
}

// ConfigUI orders the fields of the configuration form.
type ConfigUI struct {
	Order []string `json:"order,omitempty"`
}

// Secret is a credential that the host keeps and uses; the plugin never sees it.
type Secret struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Reason   string `json:"reason"`
	Required bool   `json:"required,omitempty"`
}

// Limits are what one call may use at most; empty takes the host's default,
// and the host's ceiling is never exceeded.
type Limits struct {
	Timeout string `json:"timeout,omitempty"` // a Go duration
	Memory  string `json:"memory,omitempty"`  // for example "64MiB"
	Output  string `json:"output,omitempty"`  // for example "4MiB"
}
