// Package yamltree reads YAML and JSON of strangers into a small tree of values
// that know their lines. It bounds what a text may cost before it is paid: size,
// number of values, depth, expansion of aliases. It knows no format; package
// descriptor does.
package yamltree

import (
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// NodeKind says what a Node is.
type NodeKind uint8

// The kinds of nodes.
const (
	Null NodeKind = iota
	Bool
	Number
	String
	List
	Map
)

// kindNames are the words that messages use.
var kindNames = [...]string{"null", "a boolean", "a number", "a string", "a list", "a map"}

// String returns the kind in words, with its article.
func (k NodeKind) String() string { return kindNames[k] }

// Node is one value of a document with the line it stands on. Nodes that came
// from a YAML alias are shared: treat all of them as immutable.
type Node struct {
	Kind NodeKind
	// Text is the value of a String, or the JSON spelling of a Number or Bool.
	Text   string
	Items  []*Node // of a List
	Fields []Field // of a Map, in the document's order
	Line   int     // from 1

	// nodes and bytes are the size after expansion of aliases.
	nodes, bytes int
}

// Field is one key of a Map.
type Field struct {
	Key   string
	Line  int
	Value *Node
}

// Get returns the value at the path of keys, or nil where a key is missing.
func (n *Node) Get(path ...string) *Node {
	for _, key := range path {
		if n = n.Field(key); n == nil {
			return nil
		}
	}
	return n
}

// Field returns the value of one key of a Map, or nil.
func (n *Node) Field(key string) *Node {
	if n == nil || n.Kind != Map {
		return nil
	}
	for _, f := range n.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return nil
}

// Str returns the text of a String, and "" for anything else.
func (n *Node) Str() string {
	if n == nil || n.Kind != String {
		return ""
	}
	return n.Text
}

// With returns a copy of a Map in which key has the value v; n may be nil.
func (n *Node) With(key string, v *Node) *Node {
	out := &Node{Kind: Map}
	if n != nil && n.Kind == Map {
		out.Line = n.Line
		out.Fields = append(make([]Field, 0, len(n.Fields)+1), n.Fields...)
	}
	for i := range out.Fields {
		if out.Fields[i].Key == key {
			out.Fields[i].Value = v
			return out
		}
	}
	out.Fields = append(out.Fields, Field{Key: key, Line: v.Line, Value: v})
	return out
}

// Size returns about how many bytes the node has as JSON.
func (n *Node) Size() int { return n.bytes + 8*n.nodes }

// Clone returns a copy of n whose own items and fields may be changed.
func (n *Node) Clone() *Node {
	c := *n
	c.Items, c.Fields = slices.Clone(n.Items), slices.Clone(n.Fields)
	return &c
}

// Without returns a copy of a Map that lacks the keys.
func (n *Node) Without(keys ...string) *Node {
	out := &Node{Kind: Map, Line: n.Line}
next:
	for _, f := range n.Fields {
		for _, k := range keys {
			if f.Key == k {
				continue next
			}
		}
		out.Fields = append(out.Fields, f)
	}
	return out
}

// Text returns a String node.
func Text(s string, line int) *Node {
	return &Node{Kind: String, Text: s, Line: line, nodes: 1, bytes: len(s)}
}

// AppendJSON appends the node as JSON to dst, keeping the order of keys.
func (n *Node) AppendJSON(dst []byte) []byte {
	switch n.Kind {
	case Null:
		return append(dst, "null"...)
	case Bool, Number:
		return append(dst, n.Text...)
	case String:
		return appendString(dst, n.Text)
	case List:
		dst = append(dst, '[')
		for i, item := range n.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.AppendJSON(dst)
		}
		return append(dst, ']')
	default:
		dst = append(dst, '{')
		for i, f := range n.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, f.Key)
			dst = append(dst, ':')
			dst = f.Value.AppendJSON(dst)
		}
		return append(dst, '}')
	}
}

// appendString appends s as a JSON string; bytes that are no UTF-8 become
// U+FFFD.
func appendString(dst []byte, s string) []byte {
	plain := utf8.ValidString(s)
	for i := 0; plain && i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c == 0x7f {
			plain = false
		}
	}
	if plain {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	enc, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return strconv.AppendQuote(dst, s)
	}
	return append(dst, enc...)
}
