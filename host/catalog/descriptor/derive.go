package descriptor

import (
	"fmt"
	"strings"

	"github.com/callboard-dev/callboard/host/catalog/descriptor/yamltree"
)

// Edge is one directed relation between two entities.
type Edge struct {
	Source Ref
	Type   string
	Target Ref
}

// Relations returns the edges that the document declares, in both directions.
// A reference that cannot be read is a problem. All refs are canonical.
func (d *Document) Relations() ([]Edge, []Problem) {
	self, ok := d.Ref()
	k, _ := findKind(self.Kind)
	if !ok || k == nil {
		return nil, nil
	}
	self = self.Canonical()
	var edges []Edge
	v := &validation{}
	sp := d.Root.Get("spec")
	for _, f := range k.rules(sp.Get("type").Str()) {
		if f.out == "" {
			continue
		}
		n := sp.Get(f.field)
		items := []*Node{n}
		if n != nil && n.Kind == yamltree.List {
			items = n.Items
		}
		for _, item := range items {
			if item.Str() == "" {
				continue
			}
			to, err := ParseRef(item.Text, Ref{Kind: f.defaultKind, Namespace: self.Namespace})
			if err != nil {
				v.add(item.Line, "/spec/"+f.field, refHint(f.defaultKind), "spec.%s: %s", f.field, messageOf(err))
				continue
			}
			to = to.Canonical()
			edges = append(edges, Edge{self, f.out, to}, Edge{to, f.in, self})
		}
	}
	return edges, v.problems
}

func refHint(defaultKind string) string {
	if defaultKind == "" {
		return "name the kind too, for example component:default/petstore"
	}
	return "write [kind:][namespace/]name, for example " + strings.ToLower(defaultKind) + ":default/example"
}

// Pointers is where a Location entity points on.
type Pointers struct {
	Type     string // empty means that of the location it was read from
	Targets  []Target
	Optional bool
}

// Target is one target with its line.
type Target struct {
	Value string
	Line  int
}

// Pointers returns the targets of a Location entity, and false for any other
// kind.
func (d *Document) Pointers() (Pointers, bool) {
	if d.Root.Get("kind").Str() != "Location" {
		return Pointers{}, false
	}
	sp := d.Root.Get("spec")
	p := Pointers{Type: sp.Get("type").Str(), Optional: sp.Get("presence").Str() == "optional"}
	nodes := []*Node{sp.Get("target")}
	if list := sp.Get("targets"); list != nil && list.Kind == yamltree.List {
		nodes = append(nodes, list.Items...)
	}
	for _, n := range nodes {
		if n.Str() != "" {
			p.Targets = append(p.Targets, Target{n.Text, n.Line})
		}
	}
	return p, true
}

// Base returns the entity as JSON without what the catalog adds: uid, etag and
// relations. The annotations are set, over the document's own.
func (d *Document) Base(annotations map[string]string) []byte {
	root := d.Root.Without("relations")
	meta := root.Get("metadata").Without("uid", "etag")
	if ns := meta.Get("namespace"); ns == nil {
		meta = meta.With("namespace", yamltree.Text(DefaultNamespace, d.Line))
	}
	if len(annotations) > 0 {
		ann := meta.Get("annotations")
		for _, key := range sortedKeys(annotations) {
			ann = ann.With(key, yamltree.Text(annotations[key], d.Line))
		}
		meta = meta.With("annotations", ann)
	}
	return root.With("metadata", meta).AppendJSON(make([]byte, 0, 1024+root.Size()))
}

// messageOf returns the message of an error without its hint.
func messageOf(err error) string {
	s := err.Error()
	if i := strings.LastIndex(s, " ("); i > 0 {
		s = s[:i]
	}
	return s
}

// Annotation returns one annotation of the document, or "".
func (d *Document) Annotation(key string) string {
	return d.Root.Get("metadata", "annotations").Field(key).Str()
}

// String names the document for logs.
func (d *Document) String() string {
	r, _ := d.Ref()
	return fmt.Sprintf("%s (line %d)", r, d.Line)
}
