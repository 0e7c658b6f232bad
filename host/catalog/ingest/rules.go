package ingest

import (
	"regexp"
	"strings"

	"github.com/callboard-dev/callboard/host/catalog/descriptor"
	"github.com/callboard-dev/callboard/host/catalog/source"
)

// Rule allows kinds of entities from some locations: one entry of Backstage's
// catalog.rules.
type Rule struct {
	// Allow are kinds, in any case.
	Allow []string
	// Locations are where they may come from; none means anywhere.
	Locations []Matcher
}

// Matcher selects locations as they were registered. Empty fields match all.
type Matcher struct {
	Type string
	// Exact is the whole target.
	Exact string
	// Pattern is the target with * (within one path segment) and **.
	Pattern string
}

// BackstageRules is what Backstage allows where nothing is configured.
func BackstageRules() []Rule {
	return []Rule{{Allow: []string{"Component", "API", "Location"}}}
}

// AllKinds allows every kind from anywhere.
func AllKinds() []Rule { return []Rule{{Allow: descriptor.Kinds()}} }

// allowed reports whether an entity of the kind may come from the location.
func allowed(rules []Rule, kind string, from source.Address) bool {
	for _, r := range rules {
		if r.from(from) && r.allows(kind) {
			return true
		}
	}
	return false
}

func (r Rule) allows(kind string) bool {
	for _, k := range r.Allow {
		if strings.EqualFold(k, kind) {
			return true
		}
	}
	return false
}

func (r Rule) from(at source.Address) bool {
	for _, m := range r.Locations {
		if m.matches(at) {
			return true
		}
	}
	return len(r.Locations) == 0
}

func (m Matcher) matches(at source.Address) bool {
	return (m.Type == "" || m.Type == at.Type) &&
		(m.Exact == "" || m.Exact == at.Target) &&
		(m.Pattern == "" || globPattern(m.Pattern).MatchString(at.Target))
}

// globPattern turns a glob over targets into an anchored expression. Case does
// not count.
func globPattern(glob string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?is)^`)
	for i := 0; i < len(glob); i++ {
		switch {
		case strings.HasPrefix(glob[i:], "**/"):
			b.WriteString(`(.*/)?`)
			i += 2
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(`.*`)
			i++
		case glob[i] == '*':
			b.WriteString(`[^/]*`)
		case glob[i] == '?':
			b.WriteString(`[^/]`)
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	return regexp.MustCompile(b.String() + `$`)
}
