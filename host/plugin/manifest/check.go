package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/fragment"
	"github.com/callboard-dev/callboard/host/plugin/schema"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
	"github.com/callboard-dev/callboard/schemas/capability/view/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
)

// semantics checks what a JSON Schema cannot say.
func (c *checker) semantics(m *manifestv1.Manifest) {
	c.hostRange(m.Callboard)
	c.platforms(m)
	c.capabilities(m)
	c.configSchema(m)
	c.secrets(m)
	for i := range m.Permissions {
		c.permission(m, i)
	}
	c.limits(m.Limits)
}

// hostRange checks that this host can run the plugin, and that any could.
func (c *checker) hostRange(s string) {
	at := []string{"callboard"}
	const example = `write a range of host versions, for example ">=0.1.0 <1.0.0"`
	r, err := semver.NewConstraint(s)
	if err != nil {
		c.fault(at, fmt.Sprintf("is %q, which is not a version range", s), example)
		return
	}
	if impossible(s) {
		c.fault(at, fmt.Sprintf("is %q, which no version can satisfy", s), example)
		return
	}
	v := semver.MustParse(host.Version)
	if r.Check(v) {
		return
	}
	hint := "update Callboard, or install a release of the plugin for " + host.Version
	if next := v.IncMajor(); !r.Check(&next) && slices.ContainsFunc(bounds(s), func(b *semver.Version) bool { return b.LessThan(v) }) {
		hint = "this release is for an older Callboard: install a newer release of the plugin"
	}
	c.fault(at, fmt.Sprintf("is %q, but this host is %s", s, host.Version), hint)
}

// bounds returns the versions that a range names.
func bounds(s string) []*semver.Version {
	var out []*semver.Version
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,|<>=!~^", r) }) {
		if v, err := semver.NewVersion(strings.NewReplacer("x", "0", "X", "0", "*", "0").Replace(word)); err == nil {
			out = append(out, v)
		}
	}
	return out
}

// impossible reports whether no version satisfies the range. A range is made
// of intervals whose ends are the versions it names, so it is enough to try
// each end and its neighbours.
func impossible(s string) bool {
	r, err := semver.NewConstraint(s)
	if err != nil {
		return true
	}
	candidates := []*semver.Version{semver.MustParse("0.0.0"), semver.MustParse("999999.0.0")}
	for _, b := range bounds(s) {
		patch, minor, major := b.IncPatch(), b.IncMinor(), b.IncMajor()
		candidates = append(candidates, b, &patch, &minor, &major)
		if b.Patch() > 0 {
			candidates = append(candidates, semver.New(b.Major(), b.Minor(), b.Patch()-1, "", ""))
		}
		if b.Minor() > 0 {
			candidates = append(candidates, semver.New(b.Major(), b.Minor()-1, 999999, "", ""))
		}
		if b.Major() > 0 {
			candidates = append(candidates, semver.New(b.Major()-1, 999999, 999999, "", ""))
		}
	}
	return !slices.ContainsFunc(candidates, r.Check)
}

func (c *checker) capabilities(m *manifestv1.Manifest) {
	seen := map[string]bool{}
	for i := range m.Capabilities {
		capability := &m.Capabilities[i]
		at := []string{"capabilities", strconv.Itoa(i)}
		if seen[capability.Type] {
			c.fault(append(at, "type"), fmt.Sprintf("offers %s twice", capability.Type), "merge the two entries")
		}
		seen[capability.Type] = true
		if capability.Type == route.Name {
			_, faults := fragment.Compile(capability.OpenAPI)
			for _, f := range faults {
				c.fault(append(append(slices.Clone(at), "openapi"), f.Path...), f.Message, f.Hint)
			}
		}
		c.views(capability.Views, append(slices.Clone(at), "views"))
		c.schedules(capability.Schedules, append(slices.Clone(at), "schedules"))
		c.offers(m, capability, at)
		c.failure(capability.Failure, at)
	}
}

func (c *checker) views(views []manifestv1.View, at []string) {
	seen := map[string]bool{}
	for i, v := range views {
		here := append(slices.Clone(at), strconv.Itoa(i))
		if seen[v.ID] {
			c.faultf(append(here, "id"), "is %q, which another view has", v.ID)
		}
		seen[v.ID] = true
		entity := v.Slot == view.SlotEntityTab || v.Slot == view.SlotEntityCard
		if v.When != nil && !entity {
			c.faultf(append(here, "when"), "applies to the entity slots only, not to %s", v.Slot)
		}
	}
}

func (c *checker) schedules(schedules []manifestv1.Schedule, at []string) {
	seen := map[string]bool{}
	for i, s := range schedules {
		here := append(slices.Clone(at), strconv.Itoa(i))
		if seen[s.ID] {
			c.faultf(append(here, "id"), "is %q, which another schedule has", s.ID)
		}
		seen[s.ID] = true
		if d, err := time.ParseDuration(s.Every); err != nil || d < MinEvery {
			c.fault(append(here, "every"), fmt.Sprintf("is %q", s.Every), "write a Go duration of at least 1m, for example 5m")
		}
	}
}

func (c *checker) configSchema(m *manifestv1.Manifest) {
	if m.Config == nil {
		return
	}
	if _, err := schema.Compile("config", m.Config.Schema); err != nil {
		c.fault([]string{"config", "schema"}, "is not a usable JSON Schema 2020-12: "+err.Error(), "")
		return
	}
	if m.Config.UI == nil {
		return
	}
	for i, key := range m.Config.UI.Order {
		if !c.configHas([]string{key}) {
			c.faultf([]string{"config", "ui", "order", strconv.Itoa(i)}, "names %q, which the schema does not have", key)
		}
	}
}

// configHas reports whether the configuration's schema has a property at the
// path; an element ending in [] is a list.
func (c *checker) configHas(path []string) bool {
	root, _ := c.doc.value.(map[string]any)
	config, _ := root["config"].(map[string]any)
	node, _ := config["schema"].(map[string]any)
	for _, key := range path {
		name, each := strings.CutSuffix(key, "[]")
		properties, _ := node["properties"].(map[string]any)
		if node, _ = properties[name].(map[string]any); node == nil {
			return false
		}
		if each {
			if node, _ = node["items"].(map[string]any); node == nil {
				return false
			}
		}
	}
	return true
}

func (c *checker) secrets(m *manifestv1.Manifest) {
	seen := map[string]bool{}
	for i, s := range m.Secrets {
		at := []string{"secrets", strconv.Itoa(i)}
		if seen[s.Name] {
			c.faultf(append(at, "name"), "is %q, which another secret has", s.Name)
		}
		seen[s.Name] = true
		if !secretUsed(m, s.Name) {
			c.fault(at, fmt.Sprintf("%q is used by no permission", s.Name), "name it in an http/v1 permission's auth.secret or a webhook's secret: plugins never see a secret, so nothing else can use it")
		}
	}
}

func (c *checker) permission(m *manifestv1.Manifest, i int) {
	p := &m.Permissions[i]
	at := []string{"permissions", strconv.Itoa(i)}
	if p.Type != httpv1.Name {
		twice := slices.ContainsFunc(m.Permissions[:i], func(q manifestv1.Permission) bool { return q.Type == p.Type })
		if twice {
			c.fault(append(at, "type"), fmt.Sprintf("asks for %s twice", p.Type), "merge the two entries")
		}
	}
	for n, h := range p.Hosts {
		here := append(slices.Clone(at), "hosts", strconv.Itoa(n))
		o, err := ParseOrigin(h)
		if err != nil {
			e := host.AsError(err)
			c.fault(here, e.Message, e.Hint)
		} else if o.Config != nil && !c.configHas(o.Config) {
			c.fault(here, fmt.Sprintf("refers to %s, which config.schema does not have", h), "add the property to config.schema")
		}
	}
	c.metrics(p.Metrics, append(slices.Clone(at), "metrics"))
	c.tables(p, at)
	if p.Auth != nil {
		c.auth(m, p.Auth, append(slices.Clone(at), "auth"))
	}
}

func (c *checker) limits(l manifestv1.Limits) {
	if l.Timeout != "" {
		if d, err := time.ParseDuration(l.Timeout); err != nil || d <= 0 {
			c.fault([]string{"limits", "timeout"}, fmt.Sprintf("is %q", l.Timeout), "write a Go duration, for example 10s")
		}
	}
	for _, f := range [][2]string{{"memory", l.Memory}, {"input", l.Input}, {"output", l.Output}, {"hostBytes", l.HostBytes}, {"logRate", l.LogRate}} {
		if f[1] == "" {
			continue
		}
		if _, err := Bytes(f[1]); err != nil {
			e := host.AsError(err)
			c.fault([]string{"limits", f[0]}, e.Message, e.Hint)
		}
	}
}

// failure checks what callers are to get while the plugin fails.
func (c *checker) failure(f *manifestv1.Failure, at []string) {
	if f == nil || f.StaleFor == "" {
		return
	}
	here := append(slices.Clone(at), "failure", "staleFor")
	if d, err := time.ParseDuration(f.StaleFor); err != nil || d <= 0 || d > 24*time.Hour {
		c.fault(here, fmt.Sprintf("is %q", f.StaleFor), "write a Go duration of at most 24h, for example 10m")
	} else if f.Policy != manifestv1.FailStale {
		c.fault(here, fmt.Sprintf("has no meaning with the policy %s", f.Policy), "write policy: stale, or leave it out")
	}
}
