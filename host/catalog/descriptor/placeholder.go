package descriptor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/descriptor/yamltree"
)

// Resolve returns what a placeholder stands for. how is "text", "json" or
// "yaml", target is as written, line is where it stands.
type Resolve func(how, target string, line int) (*Node, error)

// Substitute replaces every {$text: …}, {$json: …} and {$yaml: …} of the
// document by what resolve returns for it. A failing one becomes a problem and
// stays as it is. It returns how many there were.
func (d *Document) Substitute(resolve Resolve) (int, []Problem) {
	s := &substitution{resolve: resolve, done: map[*Node]*Node{}}
	d.Root = s.walk(d.Root, "")
	return s.count, s.problems
}

type substitution struct {
	resolve  Resolve
	count    int
	problems []Problem
	done     map[*Node]*Node // by node: aliases share them
}

func (s *substitution) walk(n *Node, path string) *Node {
	if n.Kind != yamltree.Map && n.Kind != yamltree.List {
		return n
	}
	if out, ok := s.done[n]; ok {
		return out
	}
	out := n
	if how, target, ok := placeholder(n); ok {
		out = s.replace(n, how, target, path)
	} else {
		out = s.children(n, path)
	}
	s.done[n] = out
	return out
}

// children returns n with its children walked: n itself where none changed.
func (s *substitution) children(n *Node, path string) *Node {
	out := n
	for i, item := range n.Items {
		if v := s.walk(item, fmt.Sprintf("%s/%d", path, i)); v != item {
			if out == n {
				out = n.Clone()
			}
			out.Items[i] = v
		}
	}
	for i, f := range n.Fields {
		if v := s.walk(f.Value, path+"/"+pointer(f.Key)); v != f.Value {
			if out == n {
				out = n.Clone()
			}
			out.Fields[i].Value = v
		}
	}
	return out
}

func (s *substitution) replace(n *Node, how string, target *Node, path string) *Node {
	s.count++
	if target.Kind != yamltree.String || target.Text == "" {
		s.problems = append(s.problems, Problem{Line: n.Line, Path: path, Hint: "write a path or URL after it",
			Message: fmt.Sprintf("$%s must name a file or URL, not %s", how, target.Kind)})
		return n
	}
	v, err := s.resolve(how, target.Text, n.Line)
	if err == nil {
		return v
	}
	p := Problem{Line: n.Line, Path: path, Message: fmt.Sprintf("$%s %s: %s", how, target.Text, messageOf(err))}
	var he *host.Error
	if errors.As(err, &he) {
		p.Message, p.Hint = fmt.Sprintf("$%s %s: %s", how, target.Text, he.Message), he.Hint
	}
	s.problems = append(s.problems, p)
	return n
}

// placeholder recognises a map whose only key is one of the three.
func placeholder(n *Node) (how string, target *Node, ok bool) {
	if n.Kind != yamltree.Map || len(n.Fields) != 1 {
		return "", nil, false
	}
	how, ok = strings.CutPrefix(n.Fields[0].Key, "$")
	return how, n.Fields[0].Value, ok && (how == "text" || how == "json" || how == "yaml")
}

// Read turns what a placeholder points to into a node: how says whether it is
// text, JSON or YAML. Every line of it is the line of the placeholder.
func Read(how string, body []byte, line int, l Limits) (*Node, error) {
	l = l.Filled()
	switch how {
	case "text":
		return yamltree.Text(strings.ToValidUTF8(string(body), "�"), line), nil
	case "json":
		n, p := yamltree.ParseJSON(body, l)
		if p != nil {
			return nil, host.Errorf(host.CodeInvalid, "line %d: %s", p.Line, p.Message).WithHint("check the file that it points to")
		}
		return moved(n, line, map[*Node]*Node{}), nil
	}
	docs, problems := Parse(body, l)
	switch {
	case len(problems) > 0:
		return nil, host.Errorf(host.CodeInvalid, "line %d: %s", problems[0].Line, problems[0].Message).WithHint("check the file that it points to")
	case len(docs) != 1:
		return nil, host.Errorf(host.CodeInvalid, "the file has %d documents where one is expected", len(docs)).WithHint("point to a file with a single document")
	}
	return moved(docs[0].Root, line, map[*Node]*Node{}), nil
}

// moved returns a copy of the tree on one line.
func moved(n *Node, line int, done map[*Node]*Node) *Node {
	if c, ok := done[n]; ok {
		return c
	}
	c := n.Clone()
	c.Line = line
	done[n] = c
	for i := range c.Items {
		c.Items[i] = moved(c.Items[i], line, done)
	}
	for i := range c.Fields {
		c.Fields[i].Line, c.Fields[i].Value = line, moved(c.Fields[i].Value, line, done)
	}
	return c
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
