// Package grant compares what a plugin asks for with what it is given. A grant
// is a permission that is equal to one of the manifest's, or narrower; what is
// wider is refused, whoever asks. Using grants is for host/service.
package grant

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	blobv1 "github.com/callboard-dev/callboard/schemas/service/blob/v1"
	cachev1 "github.com/callboard-dev/callboard/schemas/service/cache/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
	eventv1 "github.com/callboard-dev/callboard/schemas/service/event/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
	jobv1 "github.com/callboard-dev/callboard/schemas/service/job/v1"
	kvv1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
	mailv1 "github.com/callboard-dev/callboard/schemas/service/mail/v1"
	metricv1 "github.com/callboard-dev/callboard/schemas/service/metric/v1"
	searchv1 "github.com/callboard-dev/callboard/schemas/service/search/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// Permission is what is compared.
type Permission = manifestv1.Permission

// Check returns granted with the reasons of the manifest, or says which grant
// is wider than what asked contains.
func Check(asked, granted []Permission) ([]Permission, error) {
	out := make([]Permission, 0, len(granted))
	for i, g := range granted {
		n := slices.IndexFunc(asked, func(a Permission) bool { return Within(g, a) })
		if n < 0 {
			e := host.Errorf(host.CodeInvalid, "the grant of %s is wider than what the plugin asks for", g.Type).
				WithHint("grant one of the manifest's permissions, or a narrower one")
			e.Fields = []host.FieldError{{Pointer: fmt.Sprintf("/grants/%d", i), Message: "is wider than the manifest's permission"}}
			return nil, e
		}
		g.Reason = asked[n].Reason
		out = append(out, g)
	}
	return out, nil
}

// Within reports whether inner gives nothing that outer does not give.
func Within(inner, outer Permission) bool {
	if inner.Type != outer.Type {
		return false
	}
	switch inner.Type {
	case httpv1.Name:
		return httpWithin(inner, outer)
	case kvv1.Name, blobv1.Name, cachev1.Name:
		return quotaWithin(inner.Quota, outer.Quota)
	case tablev1.Name:
		// Which tables there are gives no right: they are the plugin's own.
		return quotaWithin(inner.Quota, outer.Quota) && inner.Rows > 0 && inner.Rows <= outer.Rows
	case searchv1.Name:
		return kindsWithin(inner.Kinds, outer.Kinds)
	case catalogv1.Name:
		return kindsWithin(inner.Kinds, outer.Kinds) && (outer.Write || !inner.Write)
	case eventv1.Name:
		return topicsWithin(inner.Publish, outer.Publish) && topicsWithin(inner.Subscribe, outer.Subscribe)
	case jobv1.Name:
		return inner.Waiting > 0 && inner.Waiting <= outer.Waiting
	case mailv1.Name:
		return inner.PerHour > 0 && inner.PerHour <= outer.PerHour && domainsWithin(inner.Domains, outer.Domains)
	case metricv1.Name:
		return metricsWithin(inner.Metrics, outer.Metrics)
	}
	return false
}

// quotaWithin reports whether a size is no larger than another.
func quotaWithin(inner, outer string) bool {
	in, err := manifest.Bytes(inner)
	out, bad := manifest.Bytes(outer)
	return err == nil && bad == nil && in <= out
}

// topicsWithin reports whether each topic, or beginning of topics, is covered.
func topicsWithin(inner, outer []string) bool {
	return all(inner, func(t string) bool {
		return slices.ContainsFunc(outer, func(o string) bool { return manifest.TopicCovers(o, t) })
	})
}

// domainsWithin reports whether each domain of recipients is covered.
func domainsWithin(inner, outer []string) bool {
	return len(inner) > 0 && all(inner, func(d string) bool {
		return slices.ContainsFunc(outer, func(o string) bool { return DomainCovers(o, d) })
	})
}

// DomainCovers reports whether every domain that other stands for is one that
// pattern stands for: "*" is any, "*.example.com" each below example.com.
func DomainCovers(pattern, other string) bool {
	pattern, other = strings.ToLower(pattern), strings.ToLower(other)
	below, wild := strings.CutPrefix(pattern, "*.")
	return pattern == "*" || pattern == other || wild && strings.HasSuffix(other, "."+below)
}

// metricsWithin reports whether each metric is one of outer's as it stands.
func metricsWithin(inner, outer []manifestv1.Metric) bool {
	return len(inner) > 0 && all(inner, func(m manifestv1.Metric) bool {
		return slices.ContainsFunc(outer, func(o manifestv1.Metric) bool { return reflect.DeepEqual(m, o) })
	})
}

func all[T any](list []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !ok(v) })
}

func httpWithin(inner, outer Permission) bool {
	if inner.Private && !outer.Private || len(inner.Hosts) == 0 || !sameAuth(inner.Auth, outer.Auth) {
		return false
	}
	for _, h := range inner.Hosts {
		in, err := manifest.ParseOrigin(h)
		if err != nil {
			return false
		}
		covered := slices.ContainsFunc(outer.Hosts, func(o string) bool {
			out, err := manifest.ParseOrigin(o)
			return err == nil && out.Covers(in)
		})
		if !covered {
			return false
		}
	}
	return true
}

// sameAuth reports whether inner authenticates as outer does, or not at all.
func sameAuth(inner, outer *manifestv1.Auth) bool {
	return inner == nil || outer != nil && reflect.DeepEqual(inner, outer)
}

func kindsWithin(inner, outer []string) bool {
	if len(outer) == 0 {
		return true
	}
	if len(inner) == 0 {
		return false
	}
	for _, k := range inner {
		if !slices.ContainsFunc(outer, func(o string) bool { return strings.EqualFold(k, o) }) {
			return false
		}
	}
	return true
}

// Carry decides what of a new release's permissions needs no new consent.
// Where a permission is within one of the old release's, what was granted of
// the old one goes on, cut to the new one; otherwise it is returned in wider.
func Carry(oldAsked, granted, newAsked []Permission) (kept, wider []Permission) {
	for _, p := range newAsked {
		if !slices.ContainsFunc(oldAsked, func(a Permission) bool { return Within(p, a) }) {
			if slices.ContainsFunc(granted, func(g Permission) bool { return Within(p, g) }) {
				kept = append(kept, p)
			} else {
				wider = append(wider, p)
			}
			continue
		}
		for _, g := range granted {
			switch {
			case Within(p, g):
				kept = append(kept, p)
			case Within(g, p):
				g.Reason = p.Reason
				kept = append(kept, g)
			default:
				continue
			}
			break
		}
	}
	return kept, wider
}

// Describe names grants for the audit record.
func Describe(grants []Permission) string {
	parts := []string{}
	for _, g := range grants {
		part := g.Type
		if len(g.Hosts) > 0 {
			part += " " + strings.Join(g.Hosts, " ")
		}
		if g.Private {
			part += " private"
		}
		parts = append(parts, strings.TrimSpace(part+" "+g.Quota+strings.Join(g.Kinds, " ")))
	}
	return strings.Join(parts, "; ")
}
