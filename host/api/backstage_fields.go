package api

import (
	"encoding/json"
	"io"
	"strings"
)

// project keeps the fields of documents that a client asked for, by Backstage's
// dotted paths; without paths the documents pass as they are.
func project(docs []json.RawMessage, paths []string) []json.RawMessage {
	if len(paths) == 0 {
		return docs
	}
	out := make([]json.RawMessage, 0, len(docs))
	for _, doc := range docs {
		var whole map[string]any
		if err := json.Unmarshal(doc, &whole); err != nil {
			out = append(out, doc)
			continue
		}
		kept := map[string]any{}
		for _, p := range paths {
			copyPath(whole, kept, p)
		}
		raw, err := json.Marshal(kept)
		if err != nil {
			raw = doc
		}
		out = append(out, raw)
	}
	return out
}

// copyPath copies what stands at a dotted path. A key may hold dots itself
// (annotations do), so the longest key that fits is tried too.
func copyPath(from, to map[string]any, path string) {
	if v, ok := from[path]; ok {
		to[path] = v
		return
	}
	for i := 0; i < len(path); i++ {
		if path[i] != '.' {
			continue
		}
		key, rest := path[:i], path[i+1:]
		child, ok := from[key].(map[string]any)
		if !ok {
			continue
		}
		below, ok := to[key].(map[string]any)
		if !ok {
			below = map[string]any{}
		}
		copyPath(child, below, rest)
		if len(below) > 0 {
			to[key] = below
		}
		return
	}
}

// decodeLoose reads a JSON body, ignoring members that Backstage may add.
func decodeLoose(r io.Reader, into any) error {
	if err := json.NewDecoder(r).Decode(into); err != nil {
		return fieldError("/body", "The body is not the JSON that is expected: %s.", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
