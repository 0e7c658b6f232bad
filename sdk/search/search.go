// Package search searches the tenant's catalog with the rights of the caller:
// the host service search/v1. The grant may narrow it to some kinds.
package search

import (
	"context"
	"iter"

	v1 "github.com/callboard-dev/callboard/schemas/service/search/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// Query says what to look for: words, and a filter as in Backstage's catalog.
type Query = v1.QueryRequest

// Hit is one entity that was found.
type Hit = v1.Hit

// Page is one page of hits.
type Page = v1.QueryResponse

// Find returns one page.
func Find(ctx context.Context, q Query) (Page, error) {
	var out Page
	err := sdk.Do(ctx, v1.Name, v1.MethodQuery, q, &out)
	return out, err
}

// All walks all hits, page by page. An error ends the walk.
func All(ctx context.Context, q Query) iter.Seq2[Hit, error] {
	return func(yield func(Hit, error) bool) {
		for {
			page, err := Find(ctx, q)
			if err != nil {
				yield(Hit{}, err)
				return
			}
			for _, h := range page.Hits {
				if !yield(h, nil) {
					return
				}
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				return
			}
		}
	}
}
