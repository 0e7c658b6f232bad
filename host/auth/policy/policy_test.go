package policy_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth/policy"
	"github.com/ory/ladon"
	"pgregory.net/rapid"
)

func allow(id string, subjects, actions, resources []string) *policy.Policy {
	return &policy.Policy{ID: id, Subjects: subjects, Actions: actions, Resources: resources, Effect: ladon.AllowAccess}
}

func deny(id string, subjects, actions, resources []string) *policy.Policy {
	p := allow(id, subjects, actions, resources)
	p.Effect = ladon.DenyAccess
	return p
}

func one(s string) []string { return []string{s} }

func TestDecide(t *testing.T) {
	t.Parallel()
	book, err := policy.NewBook(
		allow("read-all", []string{"role:a", "role:b"}, one("catalog.entity.read"), one("*")),
		allow("catalog", one("role:c"), one("catalog.*"), one("*")),
		allow("own", one("role:d"), one("catalog.entity.write"), []string{"entity:component:default/mine", "entity:api:*"}),
		allow("all", one("role:e"), one("*"), one("*")),
		deny("secret", one("role:e"), one("catalog.entity.read"), one("entity:component:secret/*")),
	)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, subject, action, resource string
		effect                          policy.Effect
		by                              string
	}{
		{"Allow", "role:a", "catalog.entity.read", "entity:x", policy.Allow, "read-all"},
		{"AllowSecondSubject", "role:b", "catalog.entity.read", "", policy.Allow, "read-all"},
		{"SilentOtherAction", "role:a", "catalog.entity.write", "entity:x", policy.Silent, ""},
		{"SilentUnknownSubject", "role:z", "catalog.entity.read", "entity:x", policy.Silent, ""},
		{"SilentLongerAction", "role:a", "catalog.entity.read.all", "*", policy.Silent, ""},
		{"AllowUnderName", "role:c", "catalog.entity.read", "*", policy.Allow, "catalog"},
		{"AllowUnderNameShort", "role:c", "catalog.x", "*", policy.Allow, "catalog"},
		{"SilentNameItself", "role:c", "catalog", "*", policy.Silent, ""},
		{"SilentLookAlikeName", "role:c", "catalogue.read", "*", policy.Silent, ""},
		{"AllowResource", "role:d", "catalog.entity.write", "entity:component:default/mine", policy.Allow, "own"},
		{"AllowResourcePrefix", "role:d", "catalog.entity.write", "entity:api:default/x", policy.Allow, "own"},
		{"SilentOtherResource", "role:d", "catalog.entity.write", "entity:component:default/mine2", policy.Silent, ""},
		{"SilentEmptyResource", "role:d", "catalog.entity.write", "", policy.Silent, ""},
		{"DenyWins", "role:e", "catalog.entity.read", "entity:component:secret/x", policy.Deny, "secret"},
		{"AllowBesideDeny", "role:e", "catalog.entity.read", "entity:component:open/x", policy.Allow, "all"},
		{"AllowAnything", "role:e", "what.ever", "", policy.Allow, "all"},
	}
	// Twice: the second time from memory, in which answers must not mix.
	for _, round := range []string{"Fresh", "Remembered"} {
		t.Run(round, func(t *testing.T) {
			for _, tc := range tests {
				d, err := book.Decide(t.Context(), tc.subject, tc.action, tc.resource)
				if err != nil || d.Effect != tc.effect || d.Policy != tc.by || d.Allowed() != (tc.effect == policy.Allow) {
					t.Errorf("%s: Decide = %+v, %v; want %v by %q", tc.name, d, err, tc.effect, tc.by)
				}
			}
		})
	}
	if !book.Speaks("role") || book.Speaks("user") {
		t.Error("Speaks is not what the policies name")
	}
}

func TestNewBookRefuses(t *testing.T) {
	t.Parallel()
	good := func() *policy.Policy { return allow("p", one("role:a"), one("catalog.*"), one("*")) }
	tests := map[string]struct {
		change func(*policy.Policy)
		says   string
	}{
		"ErrNoID":            {func(p *policy.Policy) { p.ID = "" }, "no id"},
		"ErrEffect":          {func(p *policy.Policy) { p.Effect = "maybe" }, "effect"},
		"ErrCondition":       {func(p *policy.Policy) { p.Conditions = ladon.Conditions{"x": &ladon.StringMatchCondition{}} }, "conditions"},
		"ErrNoSubject":       {func(p *policy.Policy) { p.Subjects = nil }, "no subject"},
		"ErrNoAction":        {func(p *policy.Policy) { p.Actions = nil }, "no action"},
		"ErrNoResource":      {func(p *policy.Policy) { p.Resources = nil }, "no resource"},
		"ErrSubjectRegexp":   {func(p *policy.Policy) { p.Subjects = one("role:<.*>") }, "not a literal"},
		"ErrSubjectWildcard": {func(p *policy.Policy) { p.Subjects = one("role:*") }, "not a literal"},
		"ErrActionRegexp":    {func(p *policy.Policy) { p.Actions = one("<(a+)+$>") }, "not a literal"},
		"ErrActionPart":      {func(p *policy.Policy) { p.Actions = one("cat*") }, "not a literal"},
		"ErrActionMiddle":    {func(p *policy.Policy) { p.Actions = one("catalog.*.read") }, "not a literal"},
		"ErrResourceMiddle":  {func(p *policy.Policy) { p.Resources = one("a*b") }, "not a literal"},
		"ErrResourceRegexp":  {func(p *policy.Policy) { p.Resources = one("<.*>") }, "not a literal"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := good()
			tc.change(p)
			if _, err := policy.NewBook(p); host.CodeOf(err) != host.CodeInvalid || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error = %v, want one that says %q", err, tc.says)
			}
		})
	}
	t.Run("ErrSameID", func(t *testing.T) {
		t.Parallel()
		if _, err := policy.NewBook(good(), good()); host.CodeOf(err) != host.CodeConflict {
			t.Fatalf("error = %v", err)
		}
	})
	t.Run("OKLaterChangesDoNotReachIt", func(t *testing.T) {
		t.Parallel()
		p := good()
		book, err := policy.NewBook(p)
		if err != nil {
			t.Fatal(err)
		}
		p.Effect = ladon.DenyAccess
		if d, err := book.Decide(t.Context(), "role:a", "catalog.x", ""); err != nil || !d.Allowed() {
			t.Fatalf("Decide = %+v, %v", d, err)
		}
	})
}

func TestIndex(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	x, err := policy.NewIndex(
		allow("b", []string{"s", "t"}, []string{"x.a", "x.b"}, one("*")),
		allow("a", one("s"), one("x.*"), one("r:*")),
	)
	if err != nil {
		t.Fatal(err)
	}
	ids := func(ps ladon.Policies, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range ps {
			out = append(out, p.GetID())
		}
		slices.Sort(out)
		return out
	}
	want := func(what string, got []string, ids ...string) {
		t.Helper()
		if !slices.Equal(got, ids) {
			t.Errorf("%s = %v, want %v", what, got, ids)
		}
	}
	want("subject s", ids(x.FindPoliciesForSubject(ctx, "s")), "a", "b")
	want("subject t", ids(x.FindPoliciesForSubject(ctx, "t")), "b")
	want("resource", ids(x.FindPoliciesForResource(ctx, "q")), "b")
	want("candidates", ids(x.FindRequestCandidates(ctx, &ladon.Request{Subject: "s", Action: "x.b"})), "a", "b")
	want("page", ids(x.GetAll(ctx, 1, 1)), "b")
	want("page past the end", ids(x.GetAll(ctx, 5, 9)))
	if err := x.Update(ctx, allow("b", one("t"), one("y.c"), one("*"))); err != nil {
		t.Fatal(err)
	}
	want("old action", ids(x.FindRequestCandidates(ctx, &ladon.Request{Subject: "t", Action: "x.a"})))
	want("new action", ids(x.FindRequestCandidates(ctx, &ladon.Request{Subject: "t", Action: "y.c"})), "b")
	if err := x.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	want("subject s after deletion", ids(x.FindPoliciesForSubject(ctx, "s")))
	if err := x.Delete(ctx, "a"); err != nil {
		t.Errorf("deleting twice: %v", err)
	}
	if p, err := x.Get(ctx, "b"); err != nil || p.GetID() != "b" {
		t.Errorf("Get = %v, %v", p, err)
	}
	if _, err := x.Get(ctx, "a"); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("Get of a deleted policy: %v", err)
	}
	if err := x.Update(ctx, allow("a", one("s"), one("x"), one("*"))); host.CodeOf(err) != host.CodeNotFound {
		t.Errorf("Update of a deleted policy: %v", err)
	}
	if err := x.Update(ctx, allow("b", one("<.*>"), one("x"), one("*"))); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("Update with a regular expression: %v", err)
	}
}

// The index and the memory change nothing of what ladon says when it scans
// every policy.
func TestDecideAgreesWithLadon(t *testing.T) {
	t.Parallel()
	subjects := []string{"role:a", "role:b", "user:1"}
	actions := []string{"x.a", "x.b", "x.y.a", "z"}
	patterns := append([]string{"*", "x.*", "x.y.*"}, actions...)
	resources := []string{"r:1", "r:2", "q"}
	bounds := append([]string{"*", "r:*"}, resources...)
	rapid.Check(t, func(t *rapid.T) {
		some := func(from []string, label string) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, 2, rapid.ID[string]).Draw(t, label)
		}
		n := rapid.IntRange(0, 6).Draw(t, "policies")
		var all []*policy.Policy
		var scan ladon.Policies
		for i := range n {
			p := allow(fmt.Sprint("p", i), some(subjects, "subjects"), some(patterns, "actions"), some(bounds, "resources"))
			if rapid.Bool().Draw(t, "denies") {
				p.Effect = ladon.DenyAccess
			}
			all, scan = append(all, p), append(scan, p)
		}
		book, err := policy.NewBook(all...)
		if err != nil {
			t.Fatal(err)
		}
		plain := ladon.Ladon{Matcher: prefixMatcher{}, AuditLogger: &ladon.AuditLoggerNoOp{}, Metric: ladon.DefaultMetric}
		for range 10 {
			r := &ladon.Request{Subject: rapid.SampledFrom(subjects).Draw(t, "subject"),
				Action: rapid.SampledFrom(actions).Draw(t, "action"), Resource: rapid.SampledFrom(resources).Draw(t, "resource")}
			d, err := book.Decide(context.Background(), r.Subject, r.Action, r.Resource)
			if err != nil {
				t.Fatal(err)
			}
			if want := plain.DoPoliciesAllow(context.Background(), r, scan) == nil; d.Allowed() != want {
				t.Fatalf("%+v: %+v, ladon says %v", r, d, want)
			}
		}
	})
}

// prefixMatcher is an own reading of the rule for wildcards.
type prefixMatcher struct{}

func (prefixMatcher) Matches(_ ladon.Policy, names []string, needle string) (bool, error) {
	return slices.ContainsFunc(names, func(n string) bool {
		if strings.HasSuffix(n, "*") {
			return strings.HasPrefix(needle, strings.TrimSuffix(n, "*"))
		}
		return n == needle
	}), nil
}

func FuzzValidActionPattern(f *testing.F) {
	for _, s := range []string{"*", "catalog.*", "catalog.entity.read", "", ".", "a..b", "*.a", "<.*>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !policy.ValidActionPattern(s) {
			return
		}
		if strings.ContainsAny(s, "<> \t\n") || strings.Count(s, "*") > 1 {
			t.Fatalf("%q is accepted", s)
		}
		if _, err := policy.NewBook(allow("p", one("s"), one(s), one("*"))); err != nil {
			t.Fatalf("a valid pattern is refused in a policy: %v", err)
		}
		if !policy.Covers(s, s) {
			t.Fatalf("%q does not cover itself", s)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	var many []*policy.Policy
	for i := range 10_000 {
		many = append(many, allow(fmt.Sprint("p", i), one(fmt.Sprint("role:r", i%1000)), one("catalog.entity.read"), one(fmt.Sprint("entity:", i))))
	}
	book, err := policy.NewBook(many...)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Cold10000Policies", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			// A resource that was never asked for.
			if _, err := book.Decide(b.Context(), "role:r7", "catalog.entity.read", fmt.Sprint("entity:x", i)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := book.Decide(b.Context(), "role:r7", "catalog.entity.read", "entity:7"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
