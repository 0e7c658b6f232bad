package catalog

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// Get returns one entity with its problems. An unknown one is CodeNotFound.
func (k *Catalog) Get(ctx context.Context, c host.Caller, ref Ref) (Entity, error) {
	key := ref.String()
	if err := k.authz.Authorize(ctx, c, host.ActionCatalogRead, "entity:"+key); err != nil {
		return Entity{}, err
	}
	t := k.cache.tenant(c.TenantID())
	if err := k.cache.fresh(ctx, t, func(ctx context.Context) error { return k.look(ctx, c.TenantID(), t) }); err != nil {
		return Entity{}, err
	}
	e, ok, generation := k.cache.get(t, key)
	if ok {
		return e, nil
	}
	e, err := k.load(ctx, c, "ref", key)
	if err != nil {
		return Entity{}, err
	}
	k.cache.put(t, key, e, generation)
	return e, nil
}

// GetJSON returns Backstage's JSON of one entity as it is stored, and its ETag
// without quotes. Do not write into the bytes.
func (k *Catalog) GetJSON(ctx context.Context, c host.Caller, ref Ref) (doc []byte, etag string, err error) {
	e, err := k.Get(ctx, c, ref)
	return e.Doc, e.ETag, err
}

// GetByUID returns the entity with a metadata.uid.
func (k *Catalog) GetByUID(ctx context.Context, c host.Caller, uid string) (Entity, error) {
	if strings.ContainsRune(uid, 0) {
		return Entity{}, notFound("uid", uid)
	}
	e, err := k.load(ctx, c, "uid", uid)
	if err != nil {
		return Entity{}, err
	}
	return e, k.authz.Authorize(ctx, c, host.ActionCatalogRead, "entity:"+e.Ref.String())
}

func notFound(column, value string) *host.Error {
	return host.Errorf(host.CodeNotFound, "the catalog has no entity with %s %q", column, value).
		WithHint("check its spelling, or register the location that describes it")
}

func (k *Catalog) load(ctx context.Context, c host.Caller, column, value string) (Entity, error) {
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return Entity{}, err
	}
	var out Entity
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		var row entityRow
		err := q.NewSelect().Model(&row).Where("? = ?", bunIdent(column), value).Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound(column, value)
		}
		if err != nil {
			return err
		}
		out = row.entity()
		var rows []errorRow
		if err := q.NewSelect().Model(&rows).Where("ref = ?", row.Ref).Order("id").Scan(ctx); err != nil {
			return err
		}
		for _, r := range rows {
			out.Errors = append(out.Errors, r.problem())
		}
		return nil
	})
	return out, err
}

// Revision names the state of a tenant's catalog: it changes with everything
// that Get, List and Facets can see, at the latest Settings.Recheck after
// another process wrote. It is "" while the database cannot be asked.
func (k *Catalog) Revision(tenant host.TenantID) string {
	t := k.cache.tenant(tenant)
	err := k.cache.fresh(context.Background(), t, func(ctx context.Context) error { return k.look(ctx, tenant, t) })
	if err != nil {
		return ""
	}
	return strconv.FormatInt(t.revision.Load(), 10)
}

// manyChanges is from how many changed entities on a look drops them all.
const manyChanges = 5000

// look reads the tenant's revision and drops from memory what changed since
// the last look. The caller holds t.checking.
func (k *Catalog) look(ctx context.Context, id host.TenantID, t *tenantCache) error {
	db, err := k.db.Tenant(id)
	if err != nil {
		return err
	}
	started, known := k.cache.now().UnixNano(), t.revision.Load()
	var state stateRow
	var refs []string
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		if err := q.NewSelect().Model(&state).Where("id = 1").Scan(ctx); err != nil {
			return err
		}
		if known < 0 || state.Revision == known || state.Rebuilt > known {
			return nil
		}
		return q.NewSelect().Model((*entityRow)(nil)).Column("ref").Where("revision > ?", known).Limit(manyChanges).Scan(ctx, &refs)
	})
	if err != nil {
		return err
	}
	if state.Revision != known {
		k.cache.invalidate(t, refs, state.Rebuilt > known || len(refs) == manyChanges || state.Revision < known)
		t.revision.Store(state.Revision)
	}
	t.checked.Store(started)
	return nil
}

// wrote makes the next reads of this process see a write at once.
func (k *Catalog) wrote(ctx context.Context, id host.TenantID) {
	t := k.cache.tenant(id)
	t.checking.Lock()
	defer t.checking.Unlock()
	if err := k.look(context.WithoutCancel(ctx), id, t); err != nil {
		k.settings.Log.WarnContext(ctx, "looking at the catalog's revision", "tenant", id, "error", err)
		k.cache.invalidate(t, nil, true)
		t.checked.Store(0)
	}
}
