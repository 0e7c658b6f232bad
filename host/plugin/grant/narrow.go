package grant

import (
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host/plugin/manifest"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
)

// Use is what a plugin has used of a host service.
type Use struct {
	Service string `json:"service"`
	// Target is the origin of http/v1 or the kind of catalog/v1, else empty.
	Target string    `json:"target,omitempty"`
	Count  int64     `json:"count"`
	Last   time.Time `json:"last"`
}

// Finding is one grant beside its use.
type Finding struct {
	Grant Permission `json:"grant"`
	Used  bool       `json:"used"`
	Uses  []Use      `json:"uses"`
	// Narrowed is what is left of the grant when what was not used is taken
	// away; nil where nothing is.
	Narrowed *Permission `json:"narrowed,omitempty"`
}

// UsedBy returns the host service whose grant a capability uses by being
// called, or nothing: what a processor makes of an entity goes to the catalog
// though it never calls it.
func UsedBy(capability string) string {
	switch capability {
	case "processor/v1", "provider/v1":
		return catalogv1.Name
	case "event/v1", "job/v1":
		return capability // of the same name
	}
	return ""
}

// Compare puts grants beside uses. Config is the instance's decoded
// configuration: it resolves hosts that name a key of it.
func Compare(grants []Permission, uses []Use, config any) []Finding {
	out := make([]Finding, 0, len(grants))
	for _, g := range grants {
		f := Finding{Grant: g, Uses: []Use{}}
		for _, u := range uses {
			if u.Service == g.Type && (u.Target == "" && g.Type != httpv1.Name || u.Target != "" && covers(g, u.Target, config)) {
				f.Uses = append(f.Uses, u)
			}
		}
		f.Used = len(f.Uses) > 0
		if f.Used {
			n := narrowed(g, f.Uses, config)
			f.Narrowed = &n
		}
		out = append(out, f)
	}
	return out
}

// Narrow returns the grants that are left when what was not used is taken away.
func Narrow(findings []Finding) []Permission {
	out := []Permission{}
	for _, f := range findings {
		if f.Narrowed != nil {
			out = append(out, *f.Narrowed)
		}
	}
	return out
}

// covers reports whether a use falls under a grant.
func covers(g Permission, target string, config any) bool {
	switch g.Type {
	case httpv1.Name:
		return slices.ContainsFunc(g.Hosts, func(h string) bool { return hostCovers(h, target, config) })
	case catalogv1.Name:
		return len(g.Kinds) == 0 || slices.ContainsFunc(g.Kinds, func(k string) bool { return strings.EqualFold(k, target) })
	}
	return true
}

// hostCovers reports whether a granted host is the one that was reached.
func hostCovers(granted, reached string, config any) bool {
	pattern, err := manifest.ParseOrigin(granted)
	if err != nil {
		return false
	}
	origin, err := manifest.ParseOrigin(reached)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(pattern.Resolve(config), func(o manifest.Origin) bool { return o.Covers(origin) })
}

// narrowed takes from a grant what was not used. A host that the configuration
// names stays as it is written: it changes with the configuration. A use
// without a target may have been of anything, so then nothing is taken.
func narrowed(g Permission, uses []Use, config any) Permission {
	var targets []string
	for _, u := range uses {
		if u.Target == "" {
			return g
		}
		targets = append(targets, u.Target)
	}
	switch g.Type {
	case httpv1.Name:
		hosts := []string{}
		for _, h := range g.Hosts {
			for _, d := range targets {
				if !hostCovers(h, d, config) {
					continue
				}
				if strings.Contains(h, "${") || !strings.Contains(h, "*") {
					d = h
				}
				if !slices.Contains(hosts, d) {
					hosts = append(hosts, d)
				}
			}
		}
		g.Hosts = hosts
	case catalogv1.Name:
		g.Kinds = targets
	}
	return g
}
