package breaker

import (
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// MaxStale is the oldest answer that a policy may allow.
const MaxStale = 24 * time.Hour

// defaultStale is how old an answer may be where a policy does not say.
const defaultStale = 10 * time.Minute

// Policy is what callers of a capability get while the plugin fails.
type Policy struct {
	// Kind is one of manifestv1.FailClosed, FailOpen and FailStale.
	Kind string
	// StaleFor is how old an answer may be for FailStale.
	StaleFor time.Duration
}

// Open reports whether callers get the capability's neutral answer.
func (p Policy) Open() bool { return p.Kind == manifestv1.FailOpen }

// Stale reports whether callers may get an earlier answer.
func (p Policy) Stale() bool { return p.Kind == manifestv1.FailStale }

// Choose returns the policy of a capability: what an admin decided, else what
// the manifest says, else closed.
func Choose(manifest, admin *manifestv1.Failure) Policy {
	for _, f := range []*manifestv1.Failure{admin, manifest} {
		if f == nil || f.Policy == "" {
			continue
		}
		p := Policy{Kind: f.Policy, StaleFor: defaultStale}
		if d, err := time.ParseDuration(f.StaleFor); err == nil && d > 0 {
			p.StaleFor = min(d, MaxStale)
		}
		return p
	}
	return Policy{Kind: manifestv1.FailClosed}
}

// Policies returns the policies of a manifest's capabilities, by their type;
// those that fail closed are left out. A route does not fail open: nobody could
// tell a neutral answer from a true one.
func Policies(m *manifestv1.Manifest, admin map[string]manifestv1.Failure) map[string]Policy {
	out := map[string]Policy{}
	for _, c := range m.Capabilities {
		var decided *manifestv1.Failure
		if f, ok := admin[c.Type]; ok {
			decided = &f
		}
		if p := Choose(c.Failure, decided); p.Stale() || p.Open() && c.Type != route.Name {
			out[c.Type] = p
		}
	}
	return out
}

// Check refuses a policy that does not exist.
func Check(f manifestv1.Failure) error {
	switch f.Policy {
	case "", manifestv1.FailClosed, manifestv1.FailOpen, manifestv1.FailStale:
	default:
		return host.Errorf(host.CodeInvalid, "there is no failure policy %q", f.Policy).WithHint("write closed, open or stale")
	}
	if f.StaleFor == "" {
		return nil
	}
	if d, err := time.ParseDuration(f.StaleFor); err != nil || d <= 0 || d > MaxStale {
		return host.Errorf(host.CodeInvalid, "answers cannot be %q old", f.StaleFor).WithHint("write a Go duration of at most 24h, for example 10m")
	}
	return nil
}
