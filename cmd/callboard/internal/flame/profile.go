package flame

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Profile is a tree of functions with the fuel that each used by itself.
type Profile struct{ root *node }

// node is a function as it was called by its parent.
type node struct {
	name     string
	self     int64
	children map[string]*node
}

func (n *node) child(name string) *node {
	c := n.children[name]
	if c == nil {
		if n.children == nil {
			n.children = map[string]*node{}
		}
		c = &node{name: name}
		n.children[name] = c
	}
	return c
}

// total is the fuel of the function and of what it called.
func (n *node) total() int64 {
	sum := n.self
	for _, c := range n.children {
		sum += c.total()
	}
	return sum
}

// sorted returns the children by name, so that a picture is the same each time.
func (n *node) sorted() []*node {
	out := make([]*node, 0, len(n.children))
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		out = append(out, n.children[name])
	}
	return out
}

// Total is the fuel of the whole call.
func (p *Profile) Total() int64 { return p.root.total() }

// WriteFolded writes one line for each stack with its own fuel: the functions
// from the outside in, with semicolons between them. It is the form that flame
// graph tools read.
func (p *Profile) WriteFolded(w io.Writer) error {
	var walk func(n *node, above string) error
	walk = func(n *node, above string) error {
		stack := n.name
		if above != "" {
			stack = above + ";" + n.name
		}
		if n.self > 0 {
			if _, err := fmt.Fprintf(w, "%s %d\n", stack, n.self); err != nil {
				return err
			}
		}
		for _, c := range n.sorted() {
			if err := walk(c, stack); err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range p.root.sorted() {
		if err := walk(c, ""); err != nil {
			return err
		}
	}
	return nil
}

// Share is a function and the fuel that it used by itself.
type Share struct {
	Function string `json:"function"`
	Fuel     int64  `json:"fuel"`
}

// Top returns the functions that used most by themselves, most first.
func (p *Profile) Top(n int) []Share {
	sums := map[string]int64{}
	var walk func(*node)
	walk = func(n *node) {
		sums[n.name] += n.self
		for _, c := range n.children {
			walk(c)
		}
	}
	for _, c := range p.root.children {
		walk(c)
	}
	out := make([]Share, 0, len(sums))
	for name, fuel := range sums {
		if fuel > 0 {
			out = append(out, Share{Function: name, Fuel: fuel})
		}
	}
	slices.SortFunc(out, func(a, b Share) int {
		if a.Fuel != b.Fuel {
			return int(min(max(b.Fuel-a.Fuel, -1), 1))
		}
		return strings.Compare(a.Function, b.Function)
	})
	return out[:min(n, len(out))]
}

// recorder hears of each entry and exit of a function.
type recorder struct {
	fuel  func(api.Module) int64
	on    bool
	root  *node
	stack []*node
	last  int64 // the fuel that was used when the last was heard
	names map[uint32]string
	given map[uint32]string // by the code, before it was metered
	moved uint32            // by how much metering has moved functions
}

var (
	_ experimental.FunctionListenerFactory = (*recorder)(nil)
	_ experimental.FunctionListener        = (*recorder)(nil)
)

// NewFunctionListener makes the recorder hear of every function.
func (r *recorder) NewFunctionListener(def api.FunctionDefinition) experimental.FunctionListener {
	if r.names == nil {
		r.names = map[uint32]string{}
	}
	own := def.Index() - r.moved
	name := r.given[own]
	if name == "" {
		name = fmt.Sprintf("function %d", own)
	}
	r.names[def.Index()] = strings.ReplaceAll(name, ";", ",")
	return r
}

// Before implements experimental.FunctionListener.
func (r *recorder) Before(_ context.Context, m api.Module, def api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
	if !r.on {
		return
	}
	r.charge(m)
	r.stack = append(r.stack, r.stack[len(r.stack)-1].child(r.names[def.Index()]))
}

// After implements experimental.FunctionListener.
func (r *recorder) After(_ context.Context, m api.Module, _ api.FunctionDefinition, _ []uint64) {
	r.leave(m)
}

// Abort implements experimental.FunctionListener.
func (r *recorder) Abort(_ context.Context, m api.Module, _ api.FunctionDefinition, _ error) {
	r.leave(m)
}

func (r *recorder) leave(m api.Module) {
	if !r.on || len(r.stack) == 1 {
		return
	}
	r.charge(m)
	r.stack = r.stack[:len(r.stack)-1]
}

// charge notes the fuel since the last time for the function that ran.
func (r *recorder) charge(m api.Module) {
	now := r.fuel(m)
	r.stack[len(r.stack)-1].self += now - r.last
	r.last = now
}

func (r *recorder) start(m api.Module) {
	r.root = &node{}
	r.stack = []*node{r.root}
	r.last = r.fuel(m)
	r.on = true
}

func (r *recorder) stop(m api.Module) *Profile {
	r.charge(m)
	r.on = false
	return &Profile{root: r.root}
}
