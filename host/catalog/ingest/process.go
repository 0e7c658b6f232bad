package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/descriptor"
	"github.com/callboard-dev/callboard/host/catalog/descriptor/yamltree"
	"github.com/callboard-dev/callboard/host/catalog/source"
)

// The phases in which a Processor sees an entity.
const (
	PhasePre  = "pre"  // before its format is checked: the document may change
	PhasePost = "post" // after it: relations and further entities may come
)

// Processor looks at each entity while it is read. It must give the same answer
// for the same question for as long as Stamp is the same.
type Processor interface {
	// Stamp changes whenever an answer may be another: known documents are read
	// again then.
	Stamp() string
	// Process answers for one entity. Its own failures are problems of the
	// answer; with Failed the location is read again next time, whatever its
	// documents say.
	Process(ctx context.Context, e Subject) Processed
}

// Subject is the entity that a Processor sees.
type Subject struct {
	Phase    string
	Location string // where its document was read
	Ref      descriptor.Ref
	Doc      []byte // Backstage's JSON
}

// Processed is a Processor's answer.
type Processed struct {
	Doc       []byte // replaces the document where it is not nil (PhasePre)
	Relations []Relation
	Emit      [][]byte // further entities, in JSON
	Problems  []Problem
	Refuse    bool // the entity is not taken
	Failed    bool
}

// Relation is a relation that a Processor adds, in both directions.
type Relation struct {
	Type, Inverse string
	Target        descriptor.Ref
}

// fromJSON reads a document that a program wrote; its place is line.
func fromJSON(raw []byte, line int, l descriptor.Limits) (*descriptor.Document, error) {
	root, problem := yamltree.ParseJSON(raw, l)
	if problem != nil {
		return nil, host.Errorf(host.CodeInvalid, "%s", problem.Message).WithHint("it must be one JSON object")
	}
	return &descriptor.Document{Root: root, Line: line}, nil
}

// take notes the problems of an answer. What is refused has at least one, for
// that is what keeps its last good version.
func (c *collector) take(p Processed, ref, where string) {
	if p.Refuse && len(p.Problems) == 0 {
		p.Problems = []Problem{{Message: "a processor refuses " + ref}}
	}
	for _, x := range p.Problems {
		c.problem(ref, where, x.Hint, "%s", x.Message)
	}
	c.again = c.again || p.Failed
}

// preprocess lets processors change a document before it is checked. It is
// false where the entity is not taken.
func (c *collector) preprocess(at source.Address, d *descriptor.Document, r descriptor.Ref) (*descriptor.Document, bool) {
	ref, where := r.String(), Where(at.Target, d.Line)
	p := c.settings.Processor.Process(c.ctx, Subject{Phase: PhasePre, Location: at.String(), Ref: r, Doc: d.Base(nil)})
	c.take(p, ref, where)
	if p.Refuse || p.Doc == nil {
		return d, !p.Refuse
	}
	changed, err := fromJSON(p.Doc, d.Line, c.settings.Limits.File)
	if err == nil {
		if now, ok := changed.Ref(); !ok || now.String() != ref {
			err = host.Errorf(host.CodeInvalid, "it names another entity").WithHint("kind, namespace and name must stay")
		}
	}
	if err != nil {
		c.problem(ref, where, host.AsError(err).Hint, "what a processor made of %s cannot be used: %s", ref, host.AsError(err).Message)
		return d, true
	}
	return changed, true
}

// postprocess lets processors add to an entity and takes it in, unless they
// refuse it.
func (c *collector) postprocess(at source.Address, d *descriptor.Document, item Item) {
	ref := item.Ref.String()
	p := c.settings.Processor.Process(c.ctx, Subject{Phase: PhasePost, Location: at.String(), Ref: item.Ref, Doc: d.Base(nil)})
	c.take(p, ref, item.Where)
	if p.Refuse {
		return
	}
	self := item.Ref.Canonical()
	var added []string
	for _, r := range p.Relations {
		target := r.Target.Canonical()
		item.Edges = append(item.Edges, descriptor.Edge{Source: self, Type: r.Type, Target: target})
		if r.Inverse != "" {
			item.Edges = append(item.Edges, descriptor.Edge{Source: target, Type: r.Inverse, Target: self})
		}
		added = append(added, r.Type+"\x00"+r.Inverse+"\x00"+target.String())
	}
	if len(added) > 0 {
		// The hash must change with them, or they would not be written.
		slices.Sort(added)
		sum := sha256.Sum256([]byte(item.Hash + "\x00" + strings.Join(added, "\x01")))
		item.Hash = hex.EncodeToString(sum[:16])
	}
	c.result.Items = append(c.result.Items, item)
	for i, raw := range p.Emit {
		c.emit(at, &item, i, raw)
	}
}

// emit takes an entity that a program gave, beside the one it came with.
func (c *collector) emit(at source.Address, parent *Item, i int, raw []byte) {
	d, err := fromJSON(raw, 0, c.settings.Limits.File)
	if err != nil {
		c.problem(parent.Ref.String(), parent.Where, host.AsError(err).Hint, "the entity %d that a processor adds cannot be read: %s", i+1, host.AsError(err).Message)
		return
	}
	c.given(at, d, parent.Where, fmt.Sprintf("the entity %d that a processor adds to %s", i+1, parent.Ref))
}

// given checks an entity that a program gave and takes it in. Placeholders are
// not filled in, and Location entities are not followed: a program's word opens
// no file.
func (c *collector) given(at source.Address, d *descriptor.Document, where, what string) {
	r, named := d.Ref()
	ref := ""
	if named {
		ref = r.String()
	}
	problems := d.Validate()
	for _, p := range problems {
		c.problem(ref, where, p.Hint, "%s: %s", what, p.Message)
	}
	if len(problems) > 0 || !named || !c.admit(at, d, r) {
		return
	}
	item := c.item(at, d, r)
	item.Where = where
	c.result.Items = append(c.result.Items, item)
}

// Take checks entities that a program provides, like Collect those of a
// location. Processors see them, Location entities are not followed.
func Take(ctx context.Context, root source.Address, docs [][]byte, s Settings) Result {
	s.Limits = s.Limits.Filled()
	c := &collector{ctx: ctx, root: root, settings: s, seen: map[string]*visit{}, result: Result{Known: map[string]string{}, Read: map[string]bool{}}}
	for i, raw := range docs {
		if ctx.Err() != nil {
			c.late()
			break
		}
		where := Where(root.Target, i+1)
		d, err := fromJSON(raw, i+1, s.Limits.File)
		if err != nil {
			c.result.Partial = true
			c.problem("", where, host.AsError(err).Hint, "the entity cannot be read: %s", host.AsError(err).Message)
			continue
		}
		if !c.document(nil, root, d) {
			c.result.Partial = true
		}
	}
	c.dedupe()
	return c.result
}
