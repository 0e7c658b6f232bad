package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host/auth/memo"
	"github.com/ory/ladon"
)

// Effect is what the policies say to a request.
type Effect int

// The effects, from the weakest to the strongest.
const (
	// Silent: no policy speaks of it, so it is not allowed.
	Silent Effect = iota
	Allow
	Deny
)

// Decision is an answer and the policy that gave it.
type Decision struct {
	Effect Effect
	// Policy is the id of the deciding policy; empty if Effect is Silent.
	Policy string
}

// Allowed reports whether the request may go on.
func (d Decision) Allowed() bool { return d.Effect == Allow }

// Book decides by a fixed set of policies and remembers its decisions. It is
// safe for concurrent use. To change a policy, make a new Book.
type Book struct {
	index *Index
	memo  *memo.Memo[question, Decision]
	// kinds are the subjects' first parts, before the colon.
	kinds map[string]bool
}

type question struct{ subject, action, resource string }

// remembered bounds the decisions that a Book keeps.
const remembered = 4096

// NewBook returns a Book of the policies, or the Error of the first one that is
// not allowed; see the package doc.
func NewBook(policies ...*Policy) (*Book, error) {
	copies := make([]*Policy, len(policies))
	for i, p := range policies {
		own := *p
		copies[i] = &own
	}
	index, err := NewIndex(copies...)
	if err != nil {
		return nil, err
	}
	b := &Book{index: index, memo: memo.New[question, Decision](remembered), kinds: map[string]bool{}}
	for _, p := range copies {
		for _, subject := range p.Subjects {
			kind, _, _ := strings.Cut(subject, ":")
			b.kinds[kind] = true
		}
	}
	return b, nil
}

// Speaks reports whether any policy names a subject of the kind: "role" of
// "role:viewer". It saves asking about subjects that no policy knows.
func (b *Book) Speaks(kind string) bool { return b.kinds[kind] }

// Decide says whether the subject may do the action to the resource.
func (b *Book) Decide(ctx context.Context, subject, action, resource string) (Decision, error) {
	// Most policies are for every resource: one remembered answer serves all.
	q := question{subject: subject, action: action}
	if d, known := b.memo.Get(q); known {
		return d, nil
	}
	candidates := b.index.candidates(subject, action)
	if !anyResource(candidates) {
		q.resource = "=" + resource
		if d, known := b.memo.Get(q); known {
			return d, nil
		}
	}
	d, err := b.ask(ctx, &ladon.Request{Subject: subject, Action: action, Resource: resource}, candidates)
	if err != nil {
		return Decision{}, err
	}
	b.memo.Put(b.memo.Era(), q, d)
	return d, nil
}

func (b *Book) ask(ctx context.Context, r *ladon.Request, candidates ladon.Policies) (Decision, error) {
	seen := &witness{}
	judge := ladon.Ladon{Manager: b.index, Matcher: literalMatcher{}, AuditLogger: seen, Metric: ladon.DefaultMetric}
	err := judge.DoPoliciesAllow(ctx, r, candidates)
	switch {
	case err == nil:
		return Decision{Effect: Allow, Policy: seen.last}, nil
	case errors.Is(err, ladon.ErrRequestForcefullyDenied):
		return Decision{Effect: Deny, Policy: seen.last}, nil
	case errors.Is(err, ladon.ErrRequestDenied):
		return Decision{}, nil
	}
	return Decision{}, fmt.Errorf("deciding %s for %s: %w", r.Action, r.Subject, err)
}

// anyResource reports whether none of the policies looks at the resource.
func anyResource(policies ladon.Policies) bool {
	return !slices.ContainsFunc(policies, func(p ladon.Policy) bool {
		return !slices.Contains(p.GetResources(), "*")
	})
}

// witness notes which policy decided last.
type witness struct{ last string }

// LogRejectedAccessRequest notes the denying policy, if one did.
func (w *witness) LogRejectedAccessRequest(_ context.Context, _ *ladon.Request, _, deciders ladon.Policies) {
	w.note(deciders)
}

// LogGrantedAccessRequest notes an allowing policy.
func (w *witness) LogGrantedAccessRequest(_ context.Context, _ *ladon.Request, _, deciders ladon.Policies) {
	w.note(deciders)
}

func (w *witness) note(deciders ladon.Policies) {
	if len(deciders) > 0 {
		w.last = deciders[len(deciders)-1].GetID()
	}
}

var _ ladon.AuditLogger = (*witness)(nil)
