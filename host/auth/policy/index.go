package policy

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/callboard-dev/callboard/host"
	"github.com/ory/ladon"
)

// Index keeps policies where a decision finds the few that can matter: by
// subject, then by action. It implements ladon's store of policies and is safe
// for concurrent use.
type Index struct {
	mu       sync.RWMutex
	byID     map[string]ladon.Policy
	subjects map[string]map[string]ladon.Policies
}

// NewIndex returns an Index of the policies, or an Error of CodeInvalid that
// names the first one that is not allowed here or has another's id.
func NewIndex(policies ...*Policy) (*Index, error) {
	x := &Index{byID: map[string]ladon.Policy{}, subjects: map[string]map[string]ladon.Policies{}}
	for _, p := range policies {
		if err := x.Create(context.Background(), p); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// Create adds a policy.
func (x *Index) Create(_ context.Context, p ladon.Policy) error {
	if err := check(p); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, known := x.byID[p.GetID()]; known {
		return host.Errorf(host.CodeConflict, "there are two policies with the id %q", p.GetID())
	}
	x.add(p)
	return nil
}

// Update puts a policy in the place of the one with its id.
func (x *Index) Update(_ context.Context, p ladon.Policy) error {
	if err := check(p); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	old, known := x.byID[p.GetID()]
	if !known {
		return unknown(p.GetID())
	}
	x.remove(old)
	x.add(p)
	return nil
}

// Get returns the policy of an id, or an Error of CodeNotFound.
func (x *Index) Get(_ context.Context, id string) (ladon.Policy, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	p, known := x.byID[id]
	if !known {
		return nil, unknown(id)
	}
	return p, nil
}

// Delete removes the policy of an id; it is no error if there is none.
func (x *Index) Delete(_ context.Context, id string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if p, known := x.byID[id]; known {
		x.remove(p)
	}
	return nil
}

// GetAll returns at most limit policies in the order of their ids, from offset.
func (x *Index) GetAll(_ context.Context, limit, offset int64) (ladon.Policies, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	all := make(ladon.Policies, 0, len(x.byID))
	for _, p := range x.byID {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b ladon.Policy) int { return strings.Compare(a.GetID(), b.GetID()) })
	from := min(max(offset, 0), int64(len(all)))
	to := min(from+max(limit, 0), int64(len(all)))
	return all[from:to], nil
}

// FindRequestCandidates returns the policies whose subject and action fit; the
// resource is left to ladon.
func (x *Index) FindRequestCandidates(_ context.Context, r *ladon.Request) (ladon.Policies, error) {
	return x.candidates(r.Subject, r.Action), nil
}

// FindPoliciesForSubject returns the policies that name the subject.
func (x *Index) FindPoliciesForSubject(_ context.Context, subject string) (ladon.Policies, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found ladon.Policies
	seen := map[string]bool{}
	for _, bucket := range x.subjects[subject] {
		for _, p := range bucket {
			if !seen[p.GetID()] {
				seen[p.GetID()] = true
				found = append(found, p)
			}
		}
	}
	return found, nil
}

// FindPoliciesForResource returns the policies that fit the resource. It scans;
// no decision asks for it.
func (x *Index) FindPoliciesForResource(_ context.Context, resource string) (ladon.Policies, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found ladon.Policies
	for _, p := range x.byID {
		if fits, _ := (literalMatcher{}).Matches(p, p.GetResources(), resource); fits {
			found = append(found, p)
		}
	}
	return found, nil
}

// candidates gathers the buckets of the action itself, of each name above it
// ("catalog.entity.*", "catalog.*") and of "*".
func (x *Index) candidates(subject, action string) ladon.Policies {
	x.mu.RLock()
	defer x.mu.RUnlock()
	buckets := x.subjects[subject]
	if len(buckets) == 0 {
		return nil
	}
	var found ladon.Policies
	found = append(found, buckets[action]...)
	for i := strings.LastIndexByte(action, '.'); i > 0; i = strings.LastIndexByte(action[:i], '.') {
		found = append(found, buckets[action[:i]+".*"]...)
	}
	return append(found, buckets["*"]...)
}

func (x *Index) add(p ladon.Policy) {
	x.byID[p.GetID()] = p
	for _, subject := range p.GetSubjects() {
		if x.subjects[subject] == nil {
			x.subjects[subject] = map[string]ladon.Policies{}
		}
		for _, action := range p.GetActions() {
			x.subjects[subject][action] = append(x.subjects[subject][action], p)
		}
	}
}

func (x *Index) remove(p ladon.Policy) {
	delete(x.byID, p.GetID())
	for _, subject := range p.GetSubjects() {
		buckets := x.subjects[subject]
		for _, action := range p.GetActions() {
			buckets[action] = slices.DeleteFunc(buckets[action], func(q ladon.Policy) bool { return q.GetID() == p.GetID() })
			if len(buckets[action]) == 0 {
				delete(buckets, action)
			}
		}
		if len(buckets) == 0 {
			delete(x.subjects, subject)
		}
	}
}

func unknown(id string) error {
	return host.Errorf(host.CodeNotFound, "there is no policy %q", id)
}

var _ ladon.Manager = (*Index)(nil)
