package fragment

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// branch is one level of the tree of path templates. A literal segment wins
// over a variable.
type branch struct {
	literals map[string]*branch
	variable *branch
	ops      map[string]*Operation
}

func newBranch() *branch {
	return &branch{literals: map[string]*branch{}, ops: map[string]*Operation{}}
}

// add puts an operation into the tree; false if its place is taken.
func (b *branch) add(op *Operation) bool {
	for _, segment := range segments(op.Path) {
		if strings.HasPrefix(segment, "{") {
			if b.variable == nil {
				b.variable = newBranch()
			}
			b = b.variable
			continue
		}
		if b.literals[segment] == nil {
			b.literals[segment] = newBranch()
		}
		b = b.literals[segment]
	}
	if b.ops[op.Method] != nil {
		return false
	}
	b.ops[op.Method] = op
	return true
}

func (b *branch) find(path []string) *branch {
	if len(path) == 0 {
		if len(b.ops) == 0 {
			return nil
		}
		return b
	}
	if next := b.literals[path[0]]; next != nil {
		if found := next.find(path[1:]); found != nil {
			return found
		}
	}
	if b.variable != nil && path[0] != "" {
		return b.variable.find(path[1:])
	}
	return nil
}

func segments(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// Match finds the operation for a method and an escaped path below
// /api/plugins/<short>, and the path's variables. Where the path exists with
// other methods only, allowed names them.
func (f *Fragment) Match(method, escapedPath string) (op *Operation, params map[string]string, allowed []string) {
	parts := segments(escapedPath)
	for i, p := range parts {
		plain, err := url.PathUnescape(p)
		if err != nil {
			return nil, nil, nil
		}
		parts[i] = plain
	}
	found := f.root.find(parts)
	if found == nil {
		return nil, nil, nil
	}
	op = found.ops[method]
	if op == nil && method == http.MethodHead {
		op = found.ops[http.MethodGet]
	}
	if op == nil {
		for m := range found.ops {
			allowed = append(allowed, m)
		}
		slices.Sort(allowed)
		return nil, nil, allowed
	}
	params = map[string]string{}
	for i, segment := range segments(op.Path) {
		if m := variable.FindStringSubmatch(segment); m != nil {
			params[m[1]] = parts[i]
		}
	}
	return op, params, nil
}

// Operation returns the operation of that id, or nil.
func (f *Fragment) Operation(id string) *Operation {
	for _, op := range f.Operations {
		if op.ID == id {
			return op
		}
	}
	return nil
}
