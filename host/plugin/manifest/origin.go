package manifest

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/callboard-dev/callboard/host"
)

// Origin is one entry of an http/v1 permission's hosts: a pattern of origins,
// or a place in the configuration that holds URLs.
type Origin struct {
	Scheme string // http or https
	// Host is a lower-case name or address. With Below it stands for every
	// name below it, not for itself.
	Host  string
	Below bool
	Port  string
	// Config is the path of "${config.path}"; Scheme, Host and Port are then
	// empty until Resolve.
	Config []string
}

var (
	configRef = regexp.MustCompile(`^\$\{config\.([A-Za-z0-9_-]+(?:\[\])?(?:\.[A-Za-z0-9_-]+(?:\[\])?)*)\}$`)
	hostName  = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// ParseOrigin reads an entry of hosts: "https://api.example.com",
// "https://*.example.com", "http://10.0.0.1:9090", "${config.url}",
// "${config.servers[].url}".
func ParseOrigin(s string) (Origin, error) {
	if strings.HasPrefix(s, "$") {
		m := configRef.FindStringSubmatch(s)
		if m == nil {
			return Origin{}, host.Errorf(host.CodeInvalid, "%q is not a reference to the configuration", s).
				WithHint("write ${config.key}, or ${config.list[].key} for each element of a list")
		}
		return Origin{Config: strings.Split(m[1], ".")}, nil
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return Origin{}, badOrigin(s, "it must begin with https:// or http://")
	}
	if strings.ContainsAny(rest, "/?#@ \\") {
		return Origin{}, badOrigin(s, "only scheme, host and port are allowed, no path, query or user")
	}
	o := Origin{Scheme: scheme}
	if after, ok := strings.CutPrefix(rest, "*."); ok {
		o.Below, rest = true, after
	}
	if strings.Contains(rest, "*") {
		return Origin{}, badOrigin(s, "a * may only stand for the first label, as in https://*.example.com")
	}
	return o.withAuthority(s, rest)
}

func (o Origin) withAuthority(s, authority string) (Origin, error) {
	name, port := authority, ""
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return Origin{}, badOrigin(s, "the ] of the IPv6 address is missing")
		}
		name, port = authority[1:end], authority[end+1:]
		if port != "" && port[0] != ':' {
			return Origin{}, badOrigin(s, "after the ] only a port may follow")
		}
		port = strings.TrimPrefix(port, ":")
	} else if i := strings.IndexByte(authority, ':'); i >= 0 {
		name, port = authority[:i], authority[i+1:]
		if port == "" {
			return Origin{}, badOrigin(s, "the port is missing")
		}
	}
	o.Host, o.Port = strings.ToLower(strings.TrimSuffix(name, ".")), port
	if port == "" {
		o.Port = map[string]string{"http": "80", "https": "443"}[o.Scheme]
	}
	if n, err := strconv.Atoi(o.Port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != o.Port {
		return Origin{}, badOrigin(s, "the port must be a number from 1 to 65535")
	}
	if addr, err := netip.ParseAddr(o.Host); err == nil {
		if o.Below || addr.Zone() != "" {
			return Origin{}, badOrigin(s, "an address cannot have a wildcard or a zone")
		}
		o.Host = addr.String()
	} else if len(o.Host) > 253 || !hostName.MatchString(o.Host) {
		return Origin{}, badOrigin(s, "the host is not a DNS name or an IP address")
	} else if o.Below && !strings.Contains(o.Host, ".") {
		return Origin{}, badOrigin(s, "a wildcard for a whole top-level domain is too wide")
	}
	return o, nil
}

func badOrigin(s, why string) error {
	return host.Errorf(host.CodeInvalid, "%q is not an origin: %s", s, why).
		WithHint("write scheme://host[:port], for example https://api.example.com")
}

// OriginOf returns the origin of a URL.
func OriginOf(u *url.URL) (Origin, error) {
	if u.Host == "" {
		return Origin{}, badOrigin(u.Redacted(), "it has no host")
	}
	o := Origin{Scheme: u.Scheme}
	if u.Scheme != "http" && u.Scheme != "https" {
		return Origin{}, badOrigin(u.Redacted(), "it must begin with https:// or http://")
	}
	return o.withAuthority(u.Redacted(), u.Host)
}

// Resolve returns the origins that o stands for under a decoded configuration.
// An origin that does not refer to the configuration stands for itself; a
// value that is missing or not a URL stands for nothing.
func (o Origin) Resolve(config any) []Origin {
	if o.Config == nil {
		return []Origin{o}
	}
	var out []Origin
	for _, text := range lookup(config, o.Config) {
		if u, err := url.Parse(text); err == nil {
			if origin, err := OriginOf(u); err == nil {
				out = append(out, origin)
			}
		}
	}
	return out
}

// Lookup returns the strings at a "${config...}" reference under a decoded
// configuration. What is not a reference is returned as it is.
func Lookup(reference string, config any) []string {
	m := configRef.FindStringSubmatch(reference)
	if m == nil {
		return []string{reference}
	}
	return lookup(config, strings.Split(m[1], "."))
}

func lookup(v any, path []string) []string {
	if len(path) == 0 {
		if s, ok := v.(string); ok && s != "" {
			return []string{s}
		}
		return nil
	}
	key, each := strings.CutSuffix(path[0], "[]")
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	if !each {
		return lookup(object[key], path[1:])
	}
	list, _ := object[key].([]any)
	var out []string
	for _, e := range list {
		out = append(out, lookup(e, path[1:])...)
	}
	return out
}

// Covers reports whether every origin that other stands for is one that o
// stands for.
func (o Origin) Covers(other Origin) bool {
	if o.Config != nil || other.Config != nil {
		return strings.Join(o.Config, ".") == strings.Join(other.Config, ".")
	}
	if o.Scheme != other.Scheme || o.Port != other.Port {
		return false
	}
	if !o.Below {
		return !other.Below && o.Host == other.Host
	}
	return strings.HasSuffix(other.Host, "."+o.Host) || other.Below && other.Host == o.Host
}

// String writes the origin as ParseOrigin reads it.
func (o Origin) String() string {
	if o.Config != nil {
		return "${config." + strings.Join(o.Config, ".") + "}"
	}
	name := o.Host
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if o.Below {
		name = "*." + name
	}
	return o.Scheme + "://" + name + ":" + o.Port
}
