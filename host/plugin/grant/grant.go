// Package grant compares what a plugin asks for with what it is given. A grant
// is a permission that is equal to one of the manifest's, or narrower; what is
// wider is refused, whoever asks. Using grants is for host/service.
package grant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
	kvv1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
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
	case kvv1.Name:
		in, err := manifest.Bytes(inner.Quota)
		out, bad := manifest.Bytes(outer.Quota)
		return err == nil && bad == nil && in <= out
	case catalogv1.Name:
		return kindsWithin(inner.Kinds, outer.Kinds)
	}
	return false
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
	return inner == nil || outer != nil && *inner == *outer
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
