package descriptor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host/catalog/descriptor/yamltree"
)

// Finding is a problem of one document of a file.
type Finding struct {
	Problem
	// Ref is the canonical ref of the document, where it has one.
	Ref string
}

// Check parses a file and validates every document of it. Placeholders are
// taken for the strings or values that they will become.
func Check(src []byte, l Limits) []Finding {
	docs, problems := Parse(src, l)
	var out []Finding
	for _, p := range problems {
		out = append(out, Finding{Problem: p})
	}
	for _, d := range docs {
		ref := ""
		if r, ok := d.Ref(); ok {
			ref = r.String()
		}
		_, _ = d.Substitute(func(_ string, _ string, line int) (*Node, error) { return yamltree.Text("…", line), nil })
		for _, p := range d.Validate() {
			out = append(out, Finding{Problem: p, Ref: ref})
		}
	}
	return out
}

// Ref returns the entity that the document names, as it is spelled there. It
// is false where kind or name is missing or malformed.
func (d *Document) Ref() (Ref, bool) {
	meta := d.Root.Get("metadata")
	r := Ref{Kind: d.Root.Get("kind").Str(), Namespace: meta.Get("namespace").Str(), Name: meta.Get("name").Str()}
	if r.Namespace == "" {
		r.Namespace = DefaultNamespace
	}
	return r, validKind(r.Kind) && validName(r.Name) && validNamespace(strings.ToLower(r.Namespace))
}

// validation collects the problems of one document.
type validation struct {
	problems []Problem
	// parent is the line to name where a key is missing.
	parent int
}

func (v *validation) add(line int, path, hint, format string, args ...any) {
	v.problems = append(v.problems, Problem{Line: line, Path: path, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// Validate checks the document against every rule of the format and returns
// all problems, in the order of the rules. Substitute comes first.
func (d *Document) Validate() []Problem {
	v := &validation{parent: d.Root.Line}
	if d.Root.Kind != yamltree.Map {
		v.add(d.Root.Line, "", "start the document with apiVersion, kind and metadata", "the document is %s, not a map", d.Root.Kind)
		return v.problems
	}
	for _, f := range d.Root.Fields {
		if !slices.Contains(rootFields, f.Key) {
			v.add(f.Line, "/"+pointer(f.Key), "move it below metadata or spec", "unknown field %q at the root of the document", f.Key)
		}
	}
	v.format(d.Root, "", "apiVersion", true, validVersion, "an optional DNS name and a slash, then 1-63 letters and digits, like backstage.io/v1alpha1")
	v.format(d.Root, "", "kind", true, validKind, "1-63 letters and digits, starting with a letter, like Component")
	v.metadata(d.Root.Get("metadata"))
	v.spec(d.Root)
	if len(v.problems) == 0 {
		_, v.problems = d.Relations()
	}
	return v.problems
}

var rootFields = []string{"apiVersion", "kind", "metadata", "spec", "relations", "status"}

// str checks that parent has a string that is not empty at key.
func (v *validation) str(parent *Node, base, key string, required bool) (*Node, bool) {
	n, path := parent.Get(key), base+"/"+pointer(key)
	name := strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", ".")
	switch {
	case n == nil && !required:
		return nil, false
	case n == nil:
		v.add(parent.Line, path, "add "+key+" below this line", "%s is missing", name)
	case n.Kind == yamltree.Null:
		v.add(n.Line, path, "give it a value or remove the key", "%s is empty", name)
	case n.Kind != yamltree.String:
		v.add(n.Line, path, "put the value in quotes", "%s must be a string, not %s", name, n.Kind)
	case n.Text == "":
		v.add(n.Line, path, "give it a value or remove the key", "%s is empty", name)
	default:
		return n, true
	}
	return nil, false
}

// format checks a string against a format that is told in words.
func (v *validation) format(parent *Node, base, key string, required bool, ok func(string) bool, words string) {
	if n, is := v.str(parent, base, key, required); is && !ok(n.Text) {
		path := base + "/" + key
		v.add(n.Line, path, "write "+words, "%s is %s, which is not allowed", strings.ReplaceAll(path[1:], "/", "."), quote(n.Text))
	}
}

func (v *validation) spec(root *Node) {
	name, version := root.Get("kind").Str(), root.Get("apiVersion").Str()
	if name == "" || !validVersion(version) {
		return
	}
	k, near := findKind(name)
	line := root.Get("kind").Line
	switch {
	case near != nil:
		v.add(line, "/kind", "write "+near.name, "kind %s is not known; kinds are spelled exactly", quote(name))
		return
	case k == nil:
		v.add(line, "/kind", "use one of "+strings.Join(Kinds(), ", "), "no rule recognises kind %s", quote(name))
		return
	case !slices.Contains(k.versions, version):
		v.add(root.Get("apiVersion").Line, "/apiVersion", "write "+k.versions[0], "apiVersion %s does not belong to kind %s", quote(version), name)
		return
	}
	sp := root.Get("spec")
	switch {
	case sp == nil && k.optionalSpec:
	case sp == nil:
		v.add(root.Line, "/spec", "add a spec with "+strings.Join(k.required(), ", "), "spec is missing")
	case sp.Kind != yamltree.Map:
		v.add(sp.Line, "/spec", "write its fields below it, indented", "spec must be a map, not %s", sp.Kind)
	default:
		for _, f := range k.rules(sp.Get("type").Str()) {
			shapes[f.shape](v, sp, f.field, f.required)
		}
	}
}

func (k *kind) required() []string {
	var out []string
	for _, f := range k.fields {
		if f.required {
			out = append(out, f.field)
		}
	}
	return out
}

// quote shortens a value for a message.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:77] + "…"
	}
	return fmt.Sprintf("%q", strings.ToValidUTF8(s, "�"))
}

// pointer escapes one step of a JSON Pointer.
func pointer(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}
