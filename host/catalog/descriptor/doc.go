// Package descriptor knows Backstage's descriptor format: it parses YAML with
// line numbers, checks every rule of the format, and derives references and
// relations. It is pure: it opens no file and no connection, and holds nothing
// between calls. Whoever needs to fetch or store belongs next door.
package descriptor

import "github.com/callboard-dev/callboard/host/catalog/descriptor/yamltree"

// Words of the tree that documents are made of.
type (
	// Node is one value of a document with its line.
	Node = yamltree.Node
	// Problem is one thing that is wrong in a file.
	Problem = yamltree.Problem
	// Limits bound what one file may cost.
	Limits = yamltree.Limits
)

// Document is one document of a file.
type Document struct {
	Root *Node
	Line int // where it starts
}

// Parse reads all documents of a file without validating them. A document that
// cannot be read becomes a problem with its line and does not stop the others.
func Parse(src []byte, l Limits) ([]*Document, []Problem) {
	roots, problems := yamltree.Parse(src, l)
	docs := make([]*Document, len(roots))
	for i, r := range roots {
		docs[i] = &Document{Root: r, Line: r.Line}
	}
	return docs, problems
}
