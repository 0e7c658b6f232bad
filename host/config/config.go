// Package config is what an operator writes, read once at start: command-line
// flags, then environment variables (CALLBOARD_<FLAG>), then one file, then
// defaults; the first that speaks wins, setting by setting.
//
// The file is YAML. Callboard's own settings stand at its top or under
// "callboard:", named like the flags (database-url or databaseUrl). The rest
// follows the layout of Backstage's app-config.yaml, of which this room reads
// what has a meaning here: app.baseUrl, backend.baseUrl, backend.database,
// backend.reading.allow, catalog.locations and catalog.rules, with
// ${VARIABLE} and ${VARIABLE:-default} anywhere and $env and $file as in
// Backstage. Sections of other software are left alone.
//
// Config is what was written; the rooms take Settings, which the program's
// wiring makes from it.
package config

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Config is everything an operator can say.
type Config struct {
	// Data is the directory of databases, keys and caches.
	Data string
	// Listen and OpsListen are the addresses of the two listeners.
	Listen, OpsListen string
	// File is the configuration file that was read, or empty.
	File string
	// DatabaseURL names a PostgreSQL database; empty means SQLite under Data.
	DatabaseURL Secret
	// RedisURL and MeilisearchURL name optional parts.
	RedisURL, MeilisearchURL Secret
	// Demo makes the tenant "demo"; Development allows what only a developer's
	// machine should: plugins from folders of the server.
	Demo, Development bool
	// BaseDomain is the domain whose sub-domains name tenants; BaseURL is how
	// people reach the portal, without a slash at the end.
	BaseDomain, BaseURL string
	// TrustedProxies are the addresses of proxies whose X-Forwarded-For and
	// X-Forwarded-Proto are believed; nobody's if empty.
	TrustedProxies []netip.Prefix
	// WASMPath is how sandboxes of plugins are made: auto, or one of the paths of
	// host/plugin/wasm.
	WASMPath string
	// ProcessPlugins are the releases of the runtime process that tenants'
	// admins may install, "namespace/name@sha256:..."; none if empty. In
	// development a name, or "*" for all, is enough.
	ProcessPlugins []string
	// Bundled is the directory of the plugins that come with the host.
	Bundled string
	// LogFormat, LogLevel and AccessLog are telemetry's settings.
	LogFormat, LogLevel string
	AccessLog           bool
	// OTLPEndpoint receives traces; TraceRatio is the part that is recorded.
	OTLPEndpoint string
	TraceRatio   float64
	// PluginLimits are what one call of a plugin may use where nobody says,
	// PluginCeiling what it may use at most; empty fields are the host's own.
	PluginLimits, PluginCeiling manifestv1.Limits
	// PluginQuota is what a tenant may use of any plugin.
	PluginQuota PluginQuota
	// PluginCodeMemory is how many bytes loaded code of plugins may take; 0 is
	// the host's own bound.
	PluginCodeMemory int64
	// MailHost is the mail server, "host" or "host:port"; empty means none. MailTLS
	// is starttls, tls or none.
	MailHost, MailFrom, MailUsername, MailTLS string
	MailPassword                              Secret
	// DrainFor is how long answers under way may take at a stop.
	DrainFor time.Duration

	// Reading grants hosts to catalog reading.
	Reading []ReadingGrant
	// Locations are the catalog locations that the file manages; Rules say
	// which kinds may come from where.
	Locations []Location
	Rules     []Rule
	// Warnings say what was read and has no effect.
	Warnings []string
}

// PluginQuota is what a tenant may use of any plugin; 0 is no bound.
type PluginQuota struct {
	CallsPerMinute int64 `json:"callsPerMinute,omitempty"`
	FuelPerDay     int64 `json:"fuelPerDay,omitempty"`
}

// ReadingGrant allows the catalog to read from one host (with its port, where
// it is not the scheme's own), a private address too.
type ReadingGrant struct {
	Host  string   `json:"host"`
	Paths []string `json:"paths,omitempty"` // prefixes; all if empty
}

// Location is one location of catalog.locations. A file's Target is absolute:
// a relative one is taken from the directory of the configuration file.
type Location struct {
	Type   string   `json:"type"`
	Target string   `json:"target"`
	Allow  []string `json:"allow,omitempty"` // kinds; the rules' if empty
	Where  string   `json:"-"`               // file:line
}

// Rule allows kinds, everywhere or from the locations that it names.
type Rule struct {
	Allow     []string   `json:"allow"`
	Locations []Location `json:"locations,omitempty"`
}

// Secret is a setting that may hold a credential. Nothing prints it: not fmt,
// not JSON, not the log. Reveal returns it.
type Secret string

// Reveal returns the value itself, for the part that uses it.
func (s Secret) Reveal() string { return string(s) }

// String says whether the setting is set.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[set]"
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// MarshalJSON writes String.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

var (
	_ json.Marshaler = Secret("")
	_ slog.LogValuer = Secret("")
)

// kebab turns databaseUrl into database-url.
func kebab(key string) string {
	var b strings.Builder
	for i, r := range key {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return strings.ReplaceAll(b.String(), "_", "-")
}
