// Package ingest reads one location to its end: it follows Location entities,
// fills in placeholders, applies the rules of which kinds may come from where,
// and returns the entities with everything that is wrong. It reads through a
// source.Session and stores nothing.
package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/callboard-dev/callboard/host/catalog/descriptor"
	"github.com/callboard-dev/callboard/host/catalog/source"
)

// Annotations that the catalog sets.
const (
	AnnotationManagedBy = "backstage.io/managed-by-location"
	AnnotationOrigin    = "backstage.io/managed-by-origin-location"
	AnnotationOrphan    = "backstage.io/orphan"
	AnnotationViewURL   = "backstage.io/view-url"
)

// Limits bound what one location may cost. Zero fields mean their defaults.
type Limits struct {
	Documents int // files and placeholders, 5,000
	Entities  int // 50,000
	Depth     int // Location entities on the way to a file, 10
	Bytes     int // of all files and placeholders, 256 MiB
	File      descriptor.Limits
}

// Filled returns l with defaults where it says nothing.
func (l Limits) Filled() Limits {
	l.Documents = orDefault(l.Documents, 5_000)
	l.Entities = orDefault(l.Entities, 50_000)
	l.Depth = orDefault(l.Depth, 10)
	l.Bytes = orDefault(l.Bytes, 256<<20)
	l.File = l.File.Filled()
	return l
}

func orDefault(n, fallback int) int {
	if n <= 0 {
		return fallback
	}
	return n
}

// Item is one entity that a location provides.
type Item struct {
	Ref descriptor.Ref
	// Base is the entity's JSON without uid, etag and relations.
	Base []byte
	// Hash changes with anything that the item says.
	Hash   string
	Edges  []descriptor.Edge
	Source string // address of its document, "type:target"
	Where  string // file:line
}

// Problem is one thing that is wrong.
type Problem struct {
	Ref     string // canonical, or empty where no entity is known
	Where   string
	Message string
	Hint    string
}

// Result is what reading a location gave.
type Result struct {
	// Unchanged is true where every document is as it was known; everything
	// else is empty then.
	Unchanged bool
	// RootErr is why the location itself could not be read.
	RootErr  error
	Items    []Item
	Problems []Problem
	// Known is what to pass as known next time. It is empty where a part could
	// not be fetched, so that the next time reads everything.
	Known map[string]string
	// Read are the addresses whose every document was understood; an entity of
	// theirs that is missing from Items is gone.
	Read map[string]bool
	// Partial is true where some address was not read or not understood: an
	// entity of an address that is not in Read may still be there.
	Partial bool
}

// stampKey is the key of Known that stands for rules and program.
const stampKey = "#"

// formatVersion goes up when the same document would give another item.
const formatVersion = "1"

// Settings say how a location is read.
type Settings struct {
	Rules  []Rule
	Limits Limits
	// Processor sees each entity; nil means that nobody does.
	Processor Processor
}

func (s Settings) stamp() string {
	known := fmt.Appendf(nil, "%s %+v", formatVersion, s.Rules)
	if s.Processor != nil {
		known = append(known, s.Processor.Stamp()...)
	}
	sum := sha256.Sum256(known)
	return hex.EncodeToString(sum[:8])
}

// Collect reads the location at root. known is Result.Known of the last time,
// or nil. Where ctx ends first, the result is what was read until then, with a
// problem that tells the cause of ctx.
func Collect(ctx context.Context, session source.Session, root source.Address, known map[string]string, s Settings) Result {
	s.Limits = s.Limits.Filled()
	if unchanged(ctx, session, known, s) {
		return Result{Unchanged: true}
	}
	c := &collector{ctx: ctx, session: session, root: root, settings: s, seen: map[string]*visit{},
		result: Result{Known: map[string]string{stampKey: s.stamp()}, Read: map[string]bool{}}}
	if ctx.Err() == nil {
		c.visit(&visit{at: root})
	}
	for len(c.queue) > 0 && ctx.Err() == nil {
		next := c.queue[0]
		c.queue = c.queue[1:]
		c.visit(next)
	}
	if ctx.Err() != nil {
		c.late()
	}
	c.dedupe()
	if c.again {
		c.result.Known = nil
	}
	return c.result
}

// unchanged asks each known address whether it is as it was.
func unchanged(ctx context.Context, session source.Session, known map[string]string, s Settings) bool {
	if len(known) < 2 || known[stampKey] != s.stamp() {
		return false
	}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		if key == stampKey {
			continue
		}
		at, ok := parseAddress(key)
		if !ok || known[key] == "" {
			return false
		}
		content, err := session.Read(ctx, at, known[key])
		if err != nil || (!content.NotModified && content.ETag != known[key]) {
			return false
		}
	}
	return true
}

// Where joins a file and a line to "file:line".
func Where(file string, line int) string {
	if line <= 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// dedupe keeps the first of several documents that name one entity; the others
// are problems, unless they say the same.
func (c *collector) dedupe() {
	first := map[string]int{}
	kept := c.result.Items[:0]
	for _, item := range c.result.Items {
		ref := item.Ref.String()
		i, dup := first[ref]
		if !dup {
			first[ref] = len(kept)
			kept = append(kept, item)
			continue
		}
		if kept[i].Hash != item.Hash {
			c.result.Problems = append(c.result.Problems, Problem{Ref: ref, Where: item.Where,
				Message: fmt.Sprintf("%s is described twice, first at %s", ref, kept[i].Where),
				Hint:    "rename or remove one of the two; the first is shown"})
		}
	}
	c.result.Items = kept
}
