// Package filter has Backstage's filter semantics: it takes an entity apart
// into the terms that filters and facets look at, reads filter parameters, and
// tells whether terms match. It is pure; package catalog applies the same rules
// in SQL.
package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
)

// Set is one filter set: all keys must match, each with any of its values; a
// key without values must exist.
type Set = map[string][]string

// Limits of what a caller may ask for in one query.
const (
	maxSets  = 100
	maxTerms = 1000
	// maxLen is the longest key and value that terms keep; longer values are
	// kept as existing only.
	maxLen = 200
)

// Term is one thing that a filter can ask for. Key and Value are in lower case.
type Term struct {
	Key, Value string
	// Original is the value as written.
	Original string
}

// special paths are not terms of themselves.
var special = []string{"attachments", "relations", "status", "metadata.namespace", "metadata.uid", "metadata.etag"}

// Flatten returns the terms of an entity's JSON, sorted and without doubles.
func Flatten(doc []byte) ([]Term, error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var root map[string]any
	if err := dec.Decode(&root); err != nil {
		return nil, fmt.Errorf("taking an entity apart: %w", err)
	}
	f := &flattener{seen: map[[2]string]bool{}}
	f.visit("", root)
	meta, _ := root["metadata"].(map[string]any)
	ns, _ := meta["namespace"].(string)
	if ns == "" {
		ns = "default"
	}
	f.add("metadata.namespace", ns)
	f.add("metadata.uid", meta["uid"])
	relations, _ := root["relations"].([]any)
	for _, r := range relations {
		m, _ := r.(map[string]any)
		if typ, ok := m["type"].(string); ok {
			f.add("relations."+typ, m["targetRef"])
		}
	}
	slices.SortFunc(f.terms, func(a, b Term) int {
		return strings.Compare(a.Key+"\x00"+a.Value, b.Key+"\x00"+b.Value)
	})
	return f.terms, nil
}

type flattener struct {
	terms []Term
	seen  map[[2]string]bool
}

func (f *flattener) visit(path string, v any) {
	if slices.Contains(special, path) {
		return
	}
	switch t := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(t)) {
			if path == "" {
				f.visit(key, t[key])
			} else {
				f.visit(path+"."+key, t[key])
			}
		}
	case []any:
		for _, item := range t {
			f.visit(path, item)
			if s, ok := item.(string); ok {
				f.add(path+"."+s, true)
			}
		}
	default:
		f.add(path, v)
	}
}

func (f *flattener) add(key string, v any) {
	if v == nil {
		v = ""
	}
	original := fmt.Sprint(v)
	if len(original) > maxLen {
		original = ""
	}
	key, value := strings.ToLower(key), strings.ToLower(original)
	id := [2]string{key, value}
	if len(key) > maxLen || f.seen[id] || strings.ContainsRune(key+value, 0) {
		return
	}
	f.seen[id] = true
	f.terms = append(f.terms, Term{Key: key, Value: value, Original: original})
}

// Parse reads Backstage's filter parameters: each is a set of comma separated
// "key=value" or "key"; several of them are alternatives. Its error has code
// invalid-request.
func Parse(params []string) ([]Set, error) {
	var out []Set
	for _, p := range params {
		set := Set{}
		for part := range strings.SplitSeq(p, ",") {
			part = strings.TrimSpace(part)
			if part == "" {
				continue
			}
			key, value, has := strings.Cut(part, "=")
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			if key == "" {
				return nil, host.Errorf(host.CodeInvalid, "the filter %q has a value without a key", p).
					WithHint("write key=value, for example kind=component,spec.type=service")
			}
			if has {
				set[key] = append(set[key], value)
			} else if _, ok := set[key]; !ok {
				set[key] = nil
			}
		}
		if len(set) > 0 {
			out = append(out, set)
		}
	}
	return out, nil
}

// Normal returns the sets in lower case with sorted values, or an error of code
// invalid-request where they ask for too much.
func Normal(sets []Set) ([]Set, error) {
	terms := 0
	out := make([]Set, 0, len(sets))
	for _, set := range sets {
		n := make(Set, len(set))
		for key, values := range set {
			key = strings.ToLower(strings.TrimSpace(key))
			lower := make([]string, len(values))
			for i, v := range values {
				lower[i] = strings.ToLower(v)
				if strings.ContainsRune(v, 0) {
					return nil, host.Errorf(host.CodeInvalid, "a filter value holds a NUL character").WithHint("remove it")
				}
			}
			if strings.ContainsRune(key, 0) || key == "" {
				return nil, host.Errorf(host.CodeInvalid, "a filter key is empty or holds a NUL character").WithHint("write key=value")
			}
			slices.Sort(lower)
			n[key] = append(n[key], slices.Compact(lower)...)
			terms += 1 + len(values)
		}
		out = append(out, n)
	}
	if len(sets) > maxSets || terms > maxTerms {
		return nil, host.Errorf(host.CodeInvalid, "the filter has %d sets with %d terms, more than %d and %d", len(sets), terms, maxSets, maxTerms).
			WithHint("ask in several requests")
	}
	return out, nil
}

// Match reports whether terms satisfy any of the sets, which are as Normal
// returns them. No sets match everything.
func Match(terms []Term, sets []Set) bool {
	for _, set := range sets {
		if matchSet(terms, set) {
			return true
		}
	}
	return len(sets) == 0
}

func matchSet(terms []Term, set Set) bool {
	for key, values := range set {
		if !slices.ContainsFunc(terms, func(t Term) bool {
			return t.Key == key && (len(values) == 0 || slices.Contains(values, t.Value))
		}) {
			return false
		}
	}
	return true
}
