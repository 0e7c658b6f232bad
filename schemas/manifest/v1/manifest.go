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
	// Main is the code's file, relative to the manifest; "plugin.wasm" if
	// empty. A process has one for each platform: Main, or "plugin", and
	// "-linux-amd64".
	Main string `json:"main,omitempty"`
	// Platforms are those for which a process is built: "linux/amd64" or
	// "linux/arm64". A wasm plugin has none.
	Platforms    []string     `json:"platforms,omitempty"`
	Capabilities []Capability `json:"capabilities"`
	Permissions  []Permission `json:"permissions,omitempty"`
	Config       *Config      `json:"config,omitempty"`
	Secrets      []Secret     `json:"secrets,omitempty"`
	Limits       Limits       `json:"limits,omitzero"`
}

// Capability is one thing the plugin offers. Which of the other fields apply
// depends on Type.
type Capability struct {
	// Type is route/v1, view/v1, schedule/v1, processor/v1, provider/v1,
	// event/v1, webhook/v1 or job/v1.
	Type string `json:"type"`
	// OpenAPI is the fragment of route/v1: an object with "paths" and,
	// optionally, "components.schemas" and "tags". It stays raw.
	OpenAPI   json.RawMessage `json:"openapi,omitempty"`
	Views     []View          `json:"views,omitempty"`
	Schedules []Schedule      `json:"schedules,omitempty"`
	// Each of these belongs to the capability of its name.
	Processors    []Processor    `json:"processors,omitempty"`
	Providers     []Schedule     `json:"providers,omitempty"`
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	Webhooks      []Webhook      `json:"webhooks,omitempty"`
	Jobs          []Job          `json:"jobs,omitempty"`
	// Failure says what callers get while the plugin fails; they get the error
	// if nil. An admin may decide otherwise.
	Failure *Failure `json:"failure,omitempty"`
}

// Failure policies.
const (
	// FailClosed hands on the error.
	FailClosed = "closed"
	// FailOpen gives the capability's neutral answer: a view shows nothing, a
	// processor changes nothing. A route fails closed all the same.
	FailOpen = "open"
	// FailStale gives the last good answer to the same request of the same
	// caller, marked with its age.
	FailStale = "stale"
)

// Failure is what callers of a capability get while the plugin fails.
type Failure struct {
	Policy string `json:"policy"` // closed, open or stale
	// StaleFor is how old an answer may be, a Go duration of at most 24h;
	// "10m" if empty.
	StaleFor string `json:"staleFor,omitempty"`
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

// Processor is one processor of processor/v1.
type Processor struct {
	ID string `json:"id"`
	// Phases are pre, post or both.
	Phases []string `json:"phases"`
	// When limits it to the entities it has something to say about.
	When *When `json:"when,omitempty"`
	// Order says which comes first: lower ones, then those of the plugin and id
	// that sort first.
	Order       int    `json:"order,omitempty"`
	Description string `json:"description,omitempty"`
}

// Subscription is one subscription of event/v1.
type Subscription struct {
	ID string `json:"id"`
	// Topics are names of topics, or beginnings of them before a "*".
	Topics []string `json:"topics"`
	// MaxAttempts is after how many failures an event is a dead letter; 0
	// means 10.
	MaxAttempts int    `json:"maxAttempts,omitempty"`
	Description string `json:"description,omitempty"`
}

// Webhook is one webhook of webhook/v1.
type Webhook struct {
	ID     string `json:"id"`
	Scheme string `json:"scheme"`
	// Secret is the name of the manifest's secret with which senders sign.
	Secret string `json:"secret"`
	// Header (scheme hmac) carries the signature, as Encoding (hex or base64;
	// hex if empty) behind Prefix.
	Header   string `json:"header,omitempty"`
	Prefix   string `json:"prefix,omitempty"`
	Encoding string `json:"encoding,omitempty"`
	// DeliveryHeader carries the sender's id of a delivery, EventHeader the name
	// of what happened; empty takes the scheme's.
	DeliveryHeader string `json:"deliveryHeader,omitempty"`
	EventHeader    string `json:"eventHeader,omitempty"`
	// MaxBody is the largest body, for example "256KiB"; empty means 1MiB.
	MaxBody     string `json:"maxBody,omitempty"`
	Description string `json:"description,omitempty"`
}

// Job is one kind of job of job/v1.
type Job struct {
	ID string `json:"id"`
	// MaxAttempts is after how many failures a job is a dead letter; 0 means 10.
	MaxAttempts int    `json:"maxAttempts,omitempty"`
	Description string `json:"description,omitempty"`
}

// Metric is one metric of the permission metric/v1.
type Metric struct {
	Name        string   `json:"name"`
	Kind        string   `json:"kind"` // counter, gauge or histogram
	Unit        string   `json:"unit,omitempty"`
	Description string   `json:"description,omitempty"`
	Labels      []string `json:"labels,omitempty"`
	// Buckets are the upper bounds of a histogram, rising.
	Buckets []float64 `json:"buckets,omitempty"`
}

// Permission asks for a host service, with a reason that the admin reads.
type Permission struct {
	Type   string `json:"type"` // the host service, for example kv/v1
	Reason string `json:"reason"`

	// Hosts (http/v1) are "scheme://host[:port]", or "${config.key}" for the
	// origin of a URL that the admin configures.
	Hosts []string `json:"hosts,omitempty"`
	// Private (http/v1) asks for addresses in private ranges too.
	Private bool `json:"private,omitempty"`
	// Auth (http/v1) says how the host authenticates requests to Hosts.
	Auth *Auth `json:"auth,omitempty"`

	// Quota (kv/v1, table/v1, blob/v1, cache/v1) is the most that may be stored,
	// for example "1MiB".
	Quota string `json:"quota,omitempty"`

	// Rows (table/v1) is the most rows that all Tables may hold together.
	Rows int64 `json:"rows,omitempty"`
	// Version (table/v1) counts the changes of Tables; 0 means 1. Migrations
	// say how the tables of an older version become these.
	Version    int         `json:"version,omitempty"`
	Tables     []Table     `json:"tables,omitempty"`
	Migrations []Migration `json:"migrations,omitempty"`

	// Kinds (catalog/v1, search/v1) are the kinds that may be read; all if empty.
	Kinds []string `json:"kinds,omitempty"`
	// Write (catalog/v1) asks to change entities of these kinds by processors
	// and providers.
	Write bool `json:"write,omitempty"`

	// Publish (event/v1) are the plugin's own topics, without its name;
	// Subscribe are the topics of others that may be received, or beginnings
	// before a "*".
	Publish   []string `json:"publish,omitempty"`
	Subscribe []string `json:"subscribe,omitempty"`

	// Waiting (job/v1) is how many jobs may wait and run at most.
	Waiting int `json:"waiting,omitempty"`

	// Domains (mail/v1) are the domains of recipients; "*" means any. PerHour is
	// how many recipients an hour may have.
	Domains []string `json:"domains,omitempty"`
	PerHour int      `json:"perHour,omitempty"`

	// Metrics (metric/v1) are what may be measured.
	Metrics []Metric `json:"metrics,omitempty"`
}

// Auth authenticates egress on the host's side. In the fields that say so a
// "${config.key}" reads the configuration.
type Auth struct {
	// Type is header, bearer, basic, query, oauth2, aws, google or github-app.
	Type string `json:"type"`
	// Secret is the name of one of the manifest's secrets: the value that is
	// sent (header, bearer, query), the password (basic), the client's secret
	// (oauth2), the secret access key (aws), the key file in JSON (google) or
	// the private key in PEM (github-app).
	Secret string `json:"secret"`
	// Name is the header's or the query parameter's name.
	Name string `json:"name,omitempty"`
	// Username is the user of basic; may read the configuration.
	Username string `json:"username,omitempty"`

	// ClientID, TokenURL, Scopes and Audience are those of OAuth 2.0 client
	// credentials (RFC 6749, 4.4). Scopes is google's too. ClientID and TokenURL
	// may read the configuration. The token's origin must be granted like any
	// other. Style is header (the default) or body: where the client's secret
	// stands.
	ClientID string   `json:"clientId,omitempty"`
	TokenURL string   `json:"tokenUrl,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Audience string   `json:"audience,omitempty"`
	Style    string   `json:"style,omitempty"`

	// AccessKeyID, Service and Region are those of AWS Signature Version 4; all
	// may read the configuration.
	AccessKeyID string `json:"accessKeyId,omitempty"`
	Service     string `json:"service,omitempty"`
	Region      string `json:"region,omitempty"`

	// AppID and InstallationID are those of a GitHub App, APIURL its server's
	// API (https://api.github.com if empty); all may read the configuration.
	AppID          string `json:"appId,omitempty"`
	InstallationID string `json:"installationId,omitempty"`
	APIURL         string `json:"apiUrl,omitempty"`
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
	Input   string `json:"input,omitempty"`   // the size of a request, "1MiB"
	Output  string `json:"output,omitempty"`  // the size of an answer, "4MiB"
	// Fuel is how much a call may execute, about one for each instruction. For
	// each byte of the request the host adds to it.
	Fuel int64 `json:"fuel,omitempty"`
	// HostCalls is how many calls of host services a call may make, HostBytes
	// how much they may move, for example "16MiB".
	HostCalls int64  `json:"hostCalls,omitempty"`
	HostBytes string `json:"hostBytes,omitempty"`
	// LogRate is how much the plugin may log in a second, for example "16KiB".
	LogRate string `json:"logRate,omitempty"`
	// Concurrency is how many calls run at a time for one tenant.
	Concurrency int `json:"concurrency,omitempty"`
}
