package main

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob"
	"github.com/callboard-dev/callboard/host/blob/folderblob"
	"github.com/callboard-dev/callboard/host/cache"
	cachedriver "github.com/callboard-dev/callboard/host/cache/driver"
	"github.com/callboard-dev/callboard/host/cache/memorycache"
	"github.com/callboard-dev/callboard/host/cache/rediscache"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/config"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/service"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/table"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	searchv1 "github.com/callboard-dev/callboard/schemas/service/search/v1"
)

// shelves are where plugins keep what is more than a key and a value.
type shelves struct {
	tables *table.Store
	blobs  *blob.Store
	caches *cache.Store
}

// openShelves opens them: tables in the database, objects in a folder of the
// data directory, the cache in memory or, for several hosts, in Redis.
func openShelves(db *store.DB, c config.Config, log *slog.Logger) (*shelves, error) {
	blobs, err := openBlobs(db, c)
	if err != nil {
		return nil, err
	}
	var driver cachedriver.Driver = memorycache.New(memorycache.Settings{})
	if c.RedisURL != "" {
		if driver, err = rediscache.New(c.RedisURL.Reveal()); err != nil {
			return nil, err
		}
	}
	return &shelves{tables: table.New(db), blobs: blobs, caches: cache.New(driver, cache.Settings{Log: log})}, nil
}

func openBlobs(db *store.DB, c config.Config) (*blob.Store, error) {
	folder, err := folderblob.New(folderblob.Settings{Dir: filepath.Join(c.Data, "blobs")})
	if err != nil {
		return nil, err
	}
	return blob.New(db, folder, blob.Settings{}), nil
}

// droppers are the stores that lose what an instance kept when it goes.
func (s *shelves) droppers() []plugin.Dropper {
	return []plugin.Dropper{s.tables, s.blobs, s.caches}
}

// snapshots are the tables as upgrades need them.
type snapshots struct{ *table.Store }

// Migrate brings an instance's tables to the form that a release declares; a
// release without tables changes none.
func (s snapshots) Migrate(ctx context.Context, t host.TenantID, instance string, m *manifestv1.Manifest) error {
	d := service.Declared(m)
	if len(d.Tables) == 0 {
		return nil
	}
	return s.Store.Migrate(ctx, t, instance, d)
}

// Search searches the catalog as the search page does, for search/v1.
func (s catalogService) Search(ctx context.Context, c host.Caller, kinds []string, in searchv1.QueryRequest) (out searchv1.QueryResponse, err error) {
	q := catalog.Query{Text: in.Text, Filter: in.Filter, Cursor: in.Cursor, Limit: in.Limit}
	if len(kinds) > 0 {
		q.AnyOf = []map[string][]string{{"kind": kinds}}
	}
	page, err := s.catalog.List(ctx, c, q)
	if err != nil {
		return out, err
	}
	out = searchv1.QueryResponse{Hits: make([]searchv1.Hit, 0, len(page.Items)), Next: page.Next, Total: page.Total}
	for _, e := range page.Items {
		title := e.Title
		if title == "" {
			title = e.Ref.Name
		}
		out.Hits = append(out.Hits, searchv1.Hit{
			Ref: e.Ref.String(), Kind: e.Kind, Type: e.Type, Owner: e.Owner, Lifecycle: e.Lifecycle,
			Title: title, Description: e.Description, Entity: e.Doc,
		})
	}
	return out, nil
}
