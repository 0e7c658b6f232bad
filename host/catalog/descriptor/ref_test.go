package descriptor

import (
	"testing"

	"pgregory.net/rapid"
)

func TestParseRef(t *testing.T) {
	defaults := Ref{Kind: "Group", Namespace: "ns"}
	for in, want := range map[string]Ref{
		"a": {"Group", "ns", "a"}, "user:a": {"user", "ns", "a"}, "b/a": {"Group", "b", "a"}, "user:b/a": {"user", "b", "a"},
		"b/a:c": {"Group", "b", "a:c"}, " a ": {"Group", "ns", "a"}, "a:b:c": {"a", "ns", "b:c"}, "k:n/a/b": {"k", "n", "a/b"},
	} {
		if got, err := ParseRef(in, defaults); err != nil || got != want {
			t.Errorf("%q = %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", ":a", "/a", "user:", "user:b/", "b/", "user:/a", ":"} {
		if got, err := ParseRef(in, defaults); err == nil {
			t.Errorf("%q = %+v", in, got)
		}
	}
	if _, err := ParseRef("a", Ref{}); err == nil {
		t.Error("a ref without a kind is accepted")
	}
	if r, err := ParseRef("User:A", Ref{}); err != nil || r.String() != "user:default/a" {
		t.Errorf("%+v, %v", r, err)
	}
	if !(Ref{}).IsZero() || (Ref{Name: "a"}).IsZero() {
		t.Error("IsZero lies")
	}
}

func TestRefRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Ref{
			Kind:      rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9]{0,10}`).Draw(t, "kind"),
			Namespace: rapid.StringMatching(`[a-z0-9]{1,5}(-[a-z0-9]{1,5})?`).Draw(t, "namespace"),
			Name:      rapid.StringMatching(`[A-Za-z0-9]([-A-Za-z0-9_.]{0,10}[A-Za-z0-9])?`).Draw(t, "name"),
		}
		got, err := ParseRef(r.String(), Ref{})
		if err != nil || got != r.Canonical() || got.String() != r.String() {
			t.Fatalf("%+v -> %q -> %+v, %v", r, r.String(), got, err)
		}
	})
}

func TestRelationsAreSymmetric(t *testing.T) {
	pairs := map[string]string{}
	for _, k := range kinds {
		for _, f := range k.fields {
			if f.out != "" {
				pairs[f.out], pairs[f.in] = f.in, f.out
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		k := kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")]
		spec := ""
		for _, f := range k.fields {
			ref := rapid.StringMatching(`([a-z]{2,5}:)([a-z]{2,5}/)?[a-zA-Z0-9]{1,5}`).Draw(t, f.field)
			if f.shape == texts {
				spec += f.field + ": ['" + ref + "']\n"
			} else if f.shape == text {
				spec += f.field + ": '" + ref + "'\n"
			}
		}
		docs, _ := Parse([]byte(doc(k.name, "", spec)), Limits{})
		edges, problems := docs[0].Relations()
		if len(problems) > 0 || len(edges)%2 != 0 {
			t.Fatalf("%d edges, %v", len(edges), problems)
		}
		have := map[Edge]bool{}
		for _, e := range edges {
			have[e] = true
		}
		for _, e := range edges {
			if !have[Edge{e.Target, pairs[e.Type], e.Source}] {
				t.Fatalf("%+v has no way back", e)
			}
		}
	})
}
