package extension

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	processorv1 "github.com/callboard-dev/callboard/schemas/capability/processor/v1"
	"github.com/callboard-dev/callboard/schemas/capability/view/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
)

// relationType is the name of a relation.
var relationType = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,62}$`)

// errSkipped says that the plugin fails and its policy is to go on without it:
// nobody is told, but the entity is shown to it again when it is read again.
var errSkipped = errors.New("the processor was left out")

// maxFailures is after how many failures in a row a processor is left alone
// for the rest of a location: each could take as long as a call may.
const maxFailures = 5

// Processors lets plugins look at entities while the catalog reads them
// (processor/v1).
type Processors struct {
	house   House
	tenants Tenants
}

// NewProcessors returns Processors over house.
func NewProcessors(house House, tenants Tenants) *Processors {
	return &Processors{house: house, tenants: tenants}
}

// Reading is the processors of one tenant while one location is read. It may
// be used by one goroutine at a time.
type Reading struct {
	house   House
	tenants Tenants
	id      host.TenantID
	steps   []*step
	stamp   string

	once sync.Once
	t    host.Tenant
	err  error
}

// step is one processor of one instance.
type step struct {
	in       plugin.Instance
	p        manifestv1.Processor
	kinds    []string // of the grant; empty means all
	failures int
	left     bool // it was told that the processor is left alone
}

// Reading returns the tenant's processors in their order, or nil where there
// are none.
func (p *Processors) Reading(t host.TenantID) *Reading {
	r := &Reading{house: p.house, tenants: p.tenants, id: t}
	for _, in := range p.house.Active(t) {
		capability := in.Capability(processorv1.Name)
		kinds, writes := writable(&in)
		if capability == nil || !writes {
			continue
		}
		for _, pr := range capability.Processors {
			r.steps = append(r.steps, &step{in: in, p: pr, kinds: kinds})
		}
	}
	if len(r.steps) == 0 {
		return nil
	}
	slices.SortStableFunc(r.steps, func(a, b *step) int {
		return cmp.Or(cmp.Compare(a.p.Order, b.p.Order), strings.Compare(a.in.Name, b.in.Name), strings.Compare(a.p.ID, b.p.ID))
	})
	sum := sha256.New()
	for _, s := range r.steps {
		fmt.Fprintf(sum, "%s/%s/%d/%s\n", s.in.ID, s.in.Digest, s.in.Revision, s.p.ID)
	}
	r.stamp = hex.EncodeToString(sum.Sum(nil)[:12])
	return r
}

// writable returns the kinds of entities that an instance may write (all if
// empty), and whether it may write at all.
func writable(in *plugin.Instance) (kinds []string, ok bool) {
	for _, g := range in.GrantsOf(catalogv1.Name) {
		if !g.Write {
			continue
		}
		if len(g.Kinds) == 0 {
			return nil, true
		}
		kinds, ok = append(kinds, g.Kinds...), true
	}
	return kinds, ok
}

// Stamp changes with the processors, their releases and their configurations.
func (r *Reading) Stamp() string { return r.stamp }

// Processed is what all processors together make of an entity.
type Processed struct {
	Doc       json.RawMessage // the changed document, or nil
	Relations []processorv1.Relation
	Emit      []json.RawMessage
	Problems  []processorv1.Problem
	Refuse    bool
	Failed    bool // some processor could not answer
}

// Process runs the processors that have something to say about an entity, each
// on what the one before it made. A processor that fails leaves the entity as
// it was, with a problem.
func (r *Reading) Process(ctx context.Context, phase, location string, doc json.RawMessage) Processed {
	var out Processed
	about, err := subjectOf(view.SlotEntityTab, doc)
	if err != nil {
		return out // not even a kind: the format's own check says it
	}
	for _, s := range r.steps {
		if ctx.Err() != nil || out.Refuse {
			break
		}
		if !s.concerns(phase, about) {
			continue
		}
		if s.failures >= maxFailures {
			out.Failed = true
			if !s.left {
				s.left = true
				out.Problems = append(out.Problems, processorv1.Problem{
					Message: fmt.Sprintf("the processor %s of %s failed %d times in a row; the rest of the location is left as it is", s.p.ID, s.in.Short, maxFailures),
					Hint:    "an admin finds the reason on the plugin's page; it is tried again when the location is read again",
				})
			}
			continue
		}
		answer, err := r.ask(ctx, s, processorv1.Request{Processor: s.p.ID, Phase: phase, Location: location, Entity: doc})
		if errors.Is(err, errSkipped) {
			out.Failed = true
			continue
		}
		if err != nil {
			s.failures++
			he := host.AsError(err)
			out.Failed = out.Failed || !host.Permanent(err)
			out.Problems = append(out.Problems, processorv1.Problem{Message: fmt.Sprintf("the processor %s of %s failed: %s", s.p.ID, s.in.Short, he.Message), Hint: he.Hint})
			continue
		}
		s.failures = 0
		if answer.Entity != nil {
			doc = answer.Entity
			out.Doc = doc
			if again, err := subjectOf(view.SlotEntityTab, doc); err == nil {
				about = again
			}
		}
		out.Relations = append(out.Relations, answer.Relations...)
		out.Emit = append(out.Emit, answer.Emit...)
		out.Problems = append(out.Problems, answer.Problems...)
		out.Refuse = answer.Refuse
	}
	return out
}

// concerns reports whether the processor works in the phase and may, and wants
// to, see the entity.
func (s *step) concerns(phase string, about *subject) bool {
	if !slices.Contains(s.p.Phases, phase) || !about.fits(s.p.When) {
		return false
	}
	return len(s.kinds) == 0 || slices.ContainsFunc(s.kinds, func(k string) bool { return strings.EqualFold(k, about.Kind) })
}

// ask calls one processor and checks its answer.
func (r *Reading) ask(ctx context.Context, s *step, req processorv1.Request) (processorv1.Response, error) {
	var out processorv1.Response
	r.once.Do(func() { r.t, r.err = r.tenants.ByID(ctx, r.id) })
	if r.err != nil {
		return out, r.err
	}
	answer, err := r.house.Ask(ctx, host.System(r.t, "catalog"), plugin.Request{Plugin: s.in.Short, Capability: processorv1.Name,
		Method: processorv1.MethodProcess, Body: req, Out: &out, Repeatable: true})
	if err == nil && answer.Neutral {
		err = errSkipped
	}
	if err != nil {
		return processorv1.Response{}, err
	}
	return out, s.check(req.Phase, &out)
}

// check refuses an answer that says more than its phase, its grant or the
// limits allow.
func (s *step) check(phase string, out *processorv1.Response) error {
	bad := func(format string, args ...any) error {
		return host.Errorf(host.CodePluginOutput, format, args...).WithHint("this is a defect of the plugin; tell its author")
	}
	switch {
	case len(out.Relations) > processorv1.MaxRelations || len(out.Emit) > processorv1.MaxEmit || len(out.Problems) > processorv1.MaxProblems:
		return bad("it adds more than %d relations, %d entities or %d problems to one entity", processorv1.MaxRelations, processorv1.MaxEmit, processorv1.MaxProblems)
	case phase == processorv1.PhasePre && len(out.Relations)+len(out.Emit) > 0:
		return bad("relations and entities come in the phase post, not in pre")
	case phase == processorv1.PhasePost && out.Entity != nil:
		return bad("the document changes in the phase pre, not in post")
	}
	for i, rel := range out.Relations {
		if !relationType.MatchString(rel.Type) || rel.Inverse != "" && !relationType.MatchString(rel.Inverse) {
			return bad("the relation %d has the type %q, inverse %q", i+1, clip(rel.Type), clip(rel.Inverse))
		}
	}
	for i, raw := range out.Emit {
		about, err := subjectOf(view.SlotEntityTab, raw)
		if err != nil {
			return bad("the entity %d that it adds has no kind", i+1)
		}
		if len(s.kinds) > 0 && !slices.ContainsFunc(s.kinds, func(k string) bool { return strings.EqualFold(k, about.Kind) }) {
			return host.Errorf(host.CodeNotGranted, "%s may not write entities of kind %s", s.in.Short, clip(about.Kind)).
				WithHint("an admin can widen the grant of catalog/v1")
		}
	}
	for i := range out.Problems {
		out.Problems[i] = processorv1.Problem{Message: clipTo(out.Problems[i].Message, 500), Hint: clipTo(out.Problems[i].Hint, 500)}
	}
	return nil
}
