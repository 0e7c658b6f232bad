package descriptor

import (
	"strings"

	"github.com/callboard-dev/callboard/host"
)

// DefaultNamespace is the namespace of an entity that names none.
const DefaultNamespace = "default"

// Ref names an entity. Two refs that differ in case only name the same entity;
// Canonical gives the form that stores, caches and permissions compare.
type Ref struct {
	Kind, Namespace, Name string
}

// ParseRef reads "[kind:][namespace/]name" and fills in what is missing from
// defaults. A "/" before the first ":" makes the colon part of the name. It
// fails where a part is empty, or where the kind is missing from both.
func ParseRef(s string, defaults Ref) (Ref, error) {
	s = strings.TrimSpace(s)
	ref := defaults
	rest := s
	colon, slash := strings.IndexByte(s, ':'), strings.IndexByte(s, '/')
	if colon >= 0 && (slash < 0 || colon < slash) {
		ref.Kind, rest = s[:colon], s[colon+1:]
		slash -= colon + 1
		if ref.Kind == "" {
			return Ref{}, badRef(s, "the kind before \":\" is empty")
		}
	}
	if slash >= 0 {
		ref.Namespace, rest = rest[:slash], rest[slash+1:]
		if ref.Namespace == "" {
			return Ref{}, badRef(s, "the namespace before \"/\" is empty")
		}
	}
	ref.Name = rest
	switch {
	case ref.Name == "":
		return Ref{}, badRef(s, "the name is empty")
	case ref.Kind == "":
		return Ref{}, badRef(s, "the kind is missing and this place has no default kind")
	}
	if ref.Namespace == "" {
		ref.Namespace = DefaultNamespace
	}
	return ref, nil
}

func badRef(s, why string) *host.Error {
	return host.Errorf(host.CodeInvalid, "entity reference %q: %s", s, why).
		WithHint("write kind:namespace/name, for example component:default/petstore")
}

// Canonical returns the ref with every part in lower case and the default
// namespace filled in.
func (r Ref) Canonical() Ref {
	ns := r.Namespace
	if ns == "" {
		ns = DefaultNamespace
	}
	return Ref{Kind: strings.ToLower(r.Kind), Namespace: strings.ToLower(ns), Name: strings.ToLower(r.Name)}
}

// String returns the canonical form "kind:namespace/name", in lower case.
func (r Ref) String() string {
	c := r.Canonical()
	return c.Kind + ":" + c.Namespace + "/" + c.Name
}

// IsZero reports whether r names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }
