package manifest

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Where tokens come from when the manifest does not say.
const (
	GoogleTokenURL = "https://oauth2.googleapis.com/token"
	GitHubAPI      = "https://api.github.com"
)

// auth checks how a permission authenticates.
func (c *checker) auth(m *manifestv1.Manifest, a *manifestv1.Auth, at []string) {
	c.secretExists(m, a.Secret, append(slices.Clone(at), "secret"))
	for _, f := range []struct{ field, value string }{
		{"username", a.Username}, {"clientId", a.ClientID}, {"tokenUrl", a.TokenURL}, {"accessKeyId", a.AccessKeyID}, {"service", a.Service},
		{"region", a.Region}, {"appId", a.AppID}, {"installationId", a.InstallationID}, {"apiUrl", a.APIURL},
	} {
		if !strings.Contains(f.value, "${") {
			continue
		}
		if o, err := ParseOrigin(f.value); err != nil || !c.configHas(o.Config) {
			c.fault(append(slices.Clone(at), f.field), fmt.Sprintf("refers to %q, which config.schema does not have", f.value), "write ${config.key}")
		}
	}
	switch a.Type {
	case "oauth2":
		c.tokenOrigin(m, a.TokenURL, append(slices.Clone(at), "tokenUrl"))
	case "google":
		c.tokenOrigin(m, GoogleTokenURL, append(slices.Clone(at), "type"))
	case "github-app":
		api := a.APIURL
		if api == "" {
			api = GitHubAPI
		}
		c.tokenOrigin(m, api, append(slices.Clone(at), "apiUrl"))
	}
}

// tokenOrigin checks that tokens come from an origin that the plugin asks for:
// a token endpoint is egress like any other.
func (c *checker) tokenOrigin(m *manifestv1.Manifest, address string, at []string) {
	var origin Origin
	if strings.HasPrefix(address, "$") {
		o, err := ParseOrigin(address)
		if err != nil {
			return // told as a reference
		}
		origin = o
	} else {
		u, err := url.Parse(address)
		if err == nil {
			origin, err = OriginOf(u)
		}
		if err != nil || u.User != nil || u.Fragment != "" {
			c.fault(at, fmt.Sprintf("is %q, which is not a URL for tokens", address), "write https://host/path, or ${config.key}")
			return
		}
	}
	for _, p := range m.Permissions {
		for _, h := range p.Hosts {
			if o, err := ParseOrigin(h); err == nil && o.Covers(origin) {
				return
			}
		}
	}
	c.fault(at, fmt.Sprintf("fetches tokens from %s, which no permission asks for", address), "add its origin to the hosts of an http/v1 permission")
}

// metrics checks the metrics of a permission.
func (c *checker) metrics(metrics []manifestv1.Metric, at []string) {
	for i, m := range metrics {
		here := append(slices.Clone(at), strconv.Itoa(i))
		if slices.ContainsFunc(metrics[:i], func(o manifestv1.Metric) bool { return o.Name == m.Name }) {
			c.faultf(append(slices.Clone(here), "name"), "is %q, which another metric has", m.Name)
		}
		for n := 1; n < len(m.Buckets); n++ {
			if m.Buckets[n] <= m.Buckets[n-1] {
				c.fault(append(slices.Clone(here), "buckets", strconv.Itoa(n)), "is not above the one before", "write the bounds from the smallest to the largest")
				break
			}
		}
		for n, label := range m.Labels {
			if label == "tenant" || label == "plugin" || label == "le" {
				c.fault(append(slices.Clone(here), "labels", strconv.Itoa(n)), fmt.Sprintf("is %q, which the host sets", label), "take another name")
			}
		}
	}
}
