package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// option is one setting with a flag, an environment variable and a key.
type option struct {
	name  string // the flag's name; the others follow from it
	usage string
	def   string
	bool  bool
	// also is another environment variable that is read after our own.
	also string
	// set checks a value and stores it.
	set func(*Config, string) error
}

// env is the option's environment variable.
func (o option) env() string {
	return "CALLBOARD_" + strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))
}

// options is the table of all settings, in the order of the help.
func options() []option {
	return []option{
		{name: "data", def: ".callboard", usage: "directory of databases, keys and caches", set: text(func(c *Config) *string { return &c.Data })},
		{name: "listen", def: "127.0.0.1:8080", usage: "address of the main listener", set: address(func(c *Config) *string { return &c.Listen })},
		{name: "ops-listen", def: "127.0.0.1:8081", usage: "address of the ops listener (health, metrics, profiles); not for the public", set: address(func(c *Config) *string { return &c.OpsListen })},
		{name: "database-url", usage: "postgres://... ; empty keeps SQLite databases under --data", set: secretURL(func(c *Config) *Secret { return &c.DatabaseURL }, "postgres", "postgresql")},
		{name: "redis-url", usage: "redis://... for the cache of plugins, where several hosts share it", set: secretURL(func(c *Config) *Secret { return &c.RedisURL }, "redis", "rediss")},
		{name: "meilisearch-url", usage: "http(s)://... of a Meilisearch server for search", set: secretURL(func(c *Config) *Secret { return &c.MeilisearchURL }, "http", "https")},
		{name: "demo", bool: true, def: "false", usage: "make the tenant demo with example services and simulated upstreams", set: flag(func(c *Config) *bool { return &c.Demo })},
		{name: "development", bool: true, def: "false", usage: "allow what only a developer's machine should: plugins from folders of the server", set: flag(func(c *Config) *bool { return &c.Development })},
		{name: "base-domain", usage: "domain whose sub-domains name tenants, for example portal.example.com", set: domain},
		{name: "base-url", usage: "URL under which people reach the portal", set: baseURL},
		{name: "trusted-proxies", usage: "addresses or ranges (10.0.0.0/8) of proxies in front, with commas between; only their X-Forwarded-For and X-Forwarded-Proto are believed", set: proxies},
		{name: "bundled", usage: "directory of the plugins that come with the host", set: text(func(c *Config) *string { return &c.Bundled })},
		{name: "wasm-path", def: "auto", usage: "how plugin sandboxes are made clean: auto, page-scan, pagemap, madvise or fresh", set: oneOf(func(c *Config) *string { return &c.WASMPath }, "auto", "page-scan", "pagemap", "madvise", "fresh")},
		{name: "process-plugins", usage: "releases that run as processes of their own and may be installed by tenants' admins: namespace/name@sha256:... with commas between; in development a name, or *, is enough", set: processPlugins},
		{name: "plugins-limits", usage: "what a call of a plugin may use where nobody says, as name=value with commas: timeout, memory, input, output, fuel, hostCalls, hostBytes, logRate, concurrency", set: pairs(func(c *Config) *manifestv1.Limits { return &c.PluginLimits })},
		{name: "plugins-ceiling", usage: "what a call of a plugin may use at most, whatever its manifest and admins ask for; as plugins-limits", set: pairs(func(c *Config) *manifestv1.Limits { return &c.PluginCeiling })},
		{name: "plugins-quota", usage: "what a tenant may use of any plugin: callsPerMinute=N,fuelPerDay=N", set: pairs(func(c *Config) *PluginQuota { return &c.PluginQuota })},
		{name: "plugins-code-memory", usage: "how much memory the code of plugins may take before idle code is unloaded, for example 512MiB (1GiB)", set: bytesOf(func(c *Config) *int64 { return &c.PluginCodeMemory })},
		{name: "log-format", def: "pretty", usage: "pretty or json", set: oneOf(func(c *Config) *string { return &c.LogFormat }, "pretty", "json")},
		{name: "log-level", def: "info", usage: "debug, info, warn or error", set: oneOf(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error")},
		{name: "access-log", bool: true, def: "false", usage: "write a log line for every request", set: flag(func(c *Config) *bool { return &c.AccessLog })},
		{name: "otlp-endpoint", also: "OTEL_EXPORTER_OTLP_ENDPOINT", usage: "URL of an OpenTelemetry collector (OTLP over gRPC) that receives traces", set: text(func(c *Config) *string { return &c.OTLPEndpoint })},
		{name: "trace-ratio", def: "1", usage: "part of the traces that is recorded, 0 to 1", set: ratio},
		{name: "mail-host", usage: "mail server (SMTP) for the messages of plugins, host or host:port; the file may say mail: {host: ...}", set: text(func(c *Config) *string { return &c.MailHost })},
		{name: "mail-from", usage: "address that messages come from", set: text(func(c *Config) *string { return &c.MailFrom })},
		{name: "mail-username", usage: "name by which to sign in to the mail server", set: text(func(c *Config) *string { return &c.MailUsername })},
		{name: "mail-password", usage: "password for it; better said in the environment or the file", set: func(c *Config, v string) error { c.MailPassword = Secret(v); return nil }},
		{name: "mail-tls", def: "starttls", usage: "how the connection to the mail server is encrypted: starttls, tls or none", set: oneOf(func(c *Config) *string { return &c.MailTLS }, "starttls", "tls", "none")},
		{name: "drain-for", def: "25s", usage: "how long answers under way may take when the host stops", set: duration(func(c *Config) *time.Duration { return &c.DrainFor })},
	}
}

func text(at func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error { *at(c) = v; return nil }
}

func flag(at func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		*at(c) = b
		return nil
	}
}

func oneOf(at func(*Config) *string, words ...string) func(*Config, string) error {
	return func(c *Config, v string) error {
		for _, w := range words {
			if strings.EqualFold(v, w) {
				*at(c) = w
				return nil
			}
		}
		return fmt.Errorf("%q is none of %s", v, strings.Join(words, ", "))
	}
}

func address(at func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error {
		_, port, err := net.SplitHostPort(v)
		if err != nil {
			return fmt.Errorf("%q is not host:port, for example 127.0.0.1:8080", v)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return fmt.Errorf("%q is not a port from 0 to 65535", port)
		}
		*at(c) = v
		return nil
	}
}

// secretURL checks a URL without ever quoting it: it may hold a password.
func secretURL(at func(*Config) *Secret, schemes ...string) func(*Config, string) error {
	return func(c *Config, v string) error {
		if v == "" {
			*at(c) = ""
			return nil
		}
		u, err := url.Parse(v)
		if err != nil {
			return fmt.Errorf("the value is not a URL (not shown: it may hold a password)")
		}
		for _, s := range schemes {
			if u.Scheme == s {
				*at(c) = Secret(v)
				return nil
			}
		}
		return fmt.Errorf("the URL must begin with %s://", strings.Join(schemes, ":// or "))
	}
}

func duration(at func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is not a time like 25s or 2m", v)
		}
		*at(c) = d
		return nil
	}
}

func ratio(c *Config, v string) error {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || f < 0 || f > 1 {
		return fmt.Errorf("%q is not a number from 0 to 1", v)
	}
	c.TraceRatio = f
	return nil
}

func baseURL(c *Config, v string) error {
	if v != "" {
		u, err := url.Parse(v)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("%q is not an http or https URL", v)
		}
	}
	c.BaseURL = strings.TrimRight(v, "/")
	return nil
}

func domain(c *Config, v string) error {
	v = strings.ToLower(strings.Trim(v, "."))
	if strings.ContainsAny(v, "/: @") {
		return fmt.Errorf("%q is not a domain name; leave out scheme and port", v)
	}
	c.BaseDomain = v
	return nil
}

// proxies reads addresses and ranges with commas or spaces between them.
// pluginName is "namespace/name", with the digest of one release, or the star
// for all.
var pluginName = regexp.MustCompile(`^(\*|[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*(@sha256:[0-9a-f]{64})?)$`)

func processPlugins(c *Config, v string) error {
	for _, name := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !pluginName.MatchString(name) {
			return fmt.Errorf("%q is not a release, which is namespace/name@sha256 with its digest", name)
		}
		c.ProcessPlugins = append(c.ProcessPlugins, name)
	}
	return nil
}

func proxies(c *Config, v string) error {
	c.TrustedProxies = nil
	for _, text := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' }) {
		prefix, err := netip.ParsePrefix(text)
		if addr, single := netip.ParseAddr(text); single == nil {
			if addr.Zone() != "" {
				return fmt.Errorf("%q must stand without its zone", text)
			}
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return fmt.Errorf("%q is neither an address nor a range like 10.0.0.0/8", text)
		}
		if prefix.Addr().Is4In6() {
			return fmt.Errorf("%q is an IPv4 address within IPv6; write it as IPv4", text)
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix.Masked())
	}
	return nil
}
