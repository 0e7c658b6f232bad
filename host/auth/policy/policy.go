// Package policy decides by ladon policies whether a subject may do an action
// to a resource. It knows neither tenants nor principals: its caller turns them
// into subjects such as "role:viewer".
//
// Names in policies are literals. The only wildcards are "*" for everything, an
// action that ends in ".*" and a resource that ends in "*"; regular expressions
// are refused, because a decision must not depend on how costly somebody's
// pattern is.
package policy

import (
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/ory/ladon"
)

// Policy is ladon's own form, so that policies can be written, stored and
// exchanged as ladon's JSON.
type Policy = ladon.DefaultPolicy

// check returns an Error of CodeInvalid if the policy says something that is
// not decided literally.
func check(p ladon.Policy) error {
	bad := func(format string, args ...any) error {
		return host.Errorf(host.CodeInvalid, "policy %q: "+format, append([]any{p.GetID()}, args...)...)
	}
	if p.GetID() == "" {
		return host.Errorf(host.CodeInvalid, "a policy has no id").WithHint("Give it one; decisions are explained by it.")
	}
	if e := p.GetEffect(); e != ladon.AllowAccess && e != ladon.DenyAccess {
		return bad("effect %q is neither %q nor %q", e, ladon.AllowAccess, ladon.DenyAccess)
	}
	if len(p.GetConditions()) > 0 {
		return bad("conditions are not known here")
	}
	lists := []struct {
		name   string
		values []string
		valid  func(string) bool
	}{
		{"subject", p.GetSubjects(), literal},
		{"action", p.GetActions(), ValidActionPattern},
		{"resource", p.GetResources(), func(s string) bool { return literal(strings.TrimSuffix(s, "*")) || s == "*" }},
	}
	for _, l := range lists {
		if len(l.values) == 0 {
			return bad("it names no %s", l.name)
		}
		for _, v := range l.values {
			if !l.valid(v) {
				return bad("%s %q is not a literal name", l.name, v)
			}
		}
	}
	return nil
}

func literal(s string) bool { return s != "" && !strings.ContainsAny(s, "<>*") }

// ValidActionPattern reports whether s is an action such as
// "catalog.entity.read", all actions under a name such as "catalog.*", or "*".
func ValidActionPattern(s string) bool {
	if s == "*" {
		return true
	}
	s = strings.TrimSuffix(s, ".*")
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// Covers reports whether the action pattern takes in the action, or all of what
// another pattern takes in.
func Covers(pattern, action string) bool {
	if pattern == "*" || pattern == action {
		return true
	}
	stem, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasPrefix(action, stem)
}

// literalMatcher is ladon's matcher without regular expressions.
type literalMatcher struct{}

// Matches reports whether one of the names is the needle or a prefix of it that
// ends in "*".
func (literalMatcher) Matches(_ ladon.Policy, names []string, needle string) (bool, error) {
	for _, name := range names {
		if Covers(name, needle) {
			return true, nil
		}
	}
	return false, nil
}
