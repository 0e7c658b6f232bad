package service

import (
	"context"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	searchv1 "github.com/callboard-dev/callboard/schemas/service/search/v1"
)

// Searcher is what search/v1 needs of the catalog: the search of the pages,
// with the rights of c. Kinds, if not empty, limits the kinds, whatever the
// request says.
type Searcher interface {
	Search(ctx context.Context, c host.Caller, kinds []string, in searchv1.QueryRequest) (searchv1.QueryResponse, error)
}

// Search is search/v1: what the caller would find, narrowed by the kinds of the
// grant.
type Search struct{ catalog Searcher }

var _ plugin.Service = (*Search)(nil)

// NewSearch returns the service over the catalog.
func NewSearch(c Searcher) *Search { return &Search{catalog: c} }

// Serve answers one call.
func (k *Search) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	grants, err := granted(s, searchv1.Name)
	if err != nil {
		return nil, err
	}
	if call.Method != searchv1.MethodQuery {
		return nil, unknownMethod(searchv1.Name, call.Method)
	}
	in, err := read[searchv1.QueryRequest](call.Body)
	if err != nil {
		return nil, err
	}
	if in.Limit == 0 {
		in.Limit = searchv1.DefaultLimit
	}
	switch {
	case in.Limit < 0 || in.Limit > searchv1.MaxLimit:
		return nil, host.Errorf(host.CodeInvalid, "limit must be between 1 and %d", searchv1.MaxLimit)
	case len(in.Text) > searchv1.MaxTextBytes:
		return nil, host.Errorf(host.CodeInvalid, "the text has %d bytes, at most %d are allowed", len(in.Text), searchv1.MaxTextBytes)
	}
	out, err := k.catalog.Search(ctx, s.Caller, kindsOf(grants), in)
	if err != nil {
		return nil, err
	}
	if out.Hits == nil {
		out.Hits = []searchv1.Hit{}
	}
	return out, nil
}
