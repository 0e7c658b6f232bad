package table

import (
	"context"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// mark stands between an instance and the id of a snapshot in the name of its
// space; afterMark sorts behind all of an instance's snapshots.
const (
	mark      = "@"
	afterMark = "A"
)

// Snapshot copies the tables of an instance as they are, and returns the copy's
// id. The copy counts for no quota and stays until Forget or Drop.
func (s *Store) Snapshot(ctx context.Context, t host.TenantID, instance string) (id string, err error) {
	id = host.NewID("snap")
	err = s.change(ctx, t, func(ctx context.Context, q store.Querier) error {
		return copySpace(ctx, q, instance, instance+mark+id)
	})
	return id, err
}

// Restore makes the tables of an instance what they were when the snapshot was
// taken: their form, their rows, their indexes. The snapshot stays. An id that
// is not one of the instance's is CodeNotFound.
func (s *Store) Restore(ctx context.Context, t host.TenantID, instance, id string) error {
	return s.change(ctx, t, func(ctx context.Context, q store.Querier) error {
		there, err := exists(ctx, q, instance+mark+id)
		if err != nil {
			return err
		}
		if !there || strings.Contains(id, mark) {
			return host.Errorf(host.CodeNotFound, "there is no snapshot %q of these tables", clipID(id))
		}
		if err := removeSpace(ctx, q, instance); err != nil {
			return err
		}
		return copySpace(ctx, q, instance+mark+id, instance)
	})
}

// Forget removes a snapshot. One that is not there is removed already.
func (s *Store) Forget(ctx context.Context, t host.TenantID, instance, id string) error {
	return s.change(ctx, t, func(ctx context.Context, q store.Querier) error {
		return removeSpace(ctx, q, instance+mark+id)
	})
}

// Drop removes the tables of an instance with all their snapshots.
func (s *Store) Drop(ctx context.Context, t host.TenantID, instance string) error {
	s.mu.Lock()
	delete(s.forms, place{t, instance})
	s.mu.Unlock()
	return s.change(ctx, t, func(ctx context.Context, q store.Querier) error {
		if err := removeSpace(ctx, q, instance); err != nil {
			return err
		}
		for _, model := range []any{(*rowRecord)(nil), (*keyRecord)(nil)} {
			_, err := q.NewDelete().Model(model).Where("space >= ?", instance+mark).Where("space < ?", instance+afterMark).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Usage returns what the tables of an instance hold, without snapshots.
func (s *Store) Usage(ctx context.Context, t host.TenantID, instance string) (u Usage, err error) {
	db, err := s.db.Tenant(t)
	if err != nil {
		return u, err
	}
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		u, err = readUsage(ctx, q, instance)
		return err
	})
	return u, err
}

func (s *Store) change(ctx context.Context, t host.TenantID, w store.Work) error {
	db, err := s.db.Tenant(t)
	if err != nil {
		return err
	}
	return db.Write(ctx, w)
}

// metaTaken marks a snapshot, so that one of tables that were not there yet can
// be told from one that does not exist.
const metaTaken = "taken"

// copySpace copies everything of a space into one that holds nothing.
func copySpace(ctx context.Context, q store.Querier, from, to string) error {
	for table, columns := range map[string]string{"plugin_rows": "tbl, id, doc", "plugin_keys": "idx, key, id"} {
		names := strings.Split(columns, ", ")
		source := q.NewSelect().TableExpr(table).ColumnExpr("CAST(? AS text) AS space", to).ColumnExpr(columns).Where("space = ?", from)
		if table == "plugin_rows" {
			source = source.Where("NOT (tbl = ? AND id = ?)", metaTable, []byte(metaTaken))
		}
		_, err := q.NewInsert().Table(table).Column(append([]string{"space"}, names...)...).TableExpr("(?) AS source", source).Exec(ctx)
		if err != nil {
			return err
		}
	}
	if !strings.Contains(to, mark) {
		return nil
	}
	return writeMeta(ctx, q, to, metaTaken, from)
}

func exists(ctx context.Context, q store.Querier, space string) (bool, error) {
	doc, err := readMeta(ctx, q, space, metaTaken)
	return doc != nil, err
}

func removeSpace(ctx context.Context, q store.Querier, space string) error {
	for _, model := range []any{(*rowRecord)(nil), (*keyRecord)(nil)} {
		if _, err := q.NewDelete().Model(model).Where("space = ?", space).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

func clipID(id string) string {
	if len(id) > 64 {
		id = id[:64]
	}
	return id
}
