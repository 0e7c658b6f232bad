// Package kv is the port of the key-value store that plugins' instances have:
// small values, one space for each instance of each tenant, a quota, and a
// time to live. It knows nothing of plugins, grants or callers; host/service
// checks those and then comes here. Whole subsystems' data do not belong here.
package kv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// Limits of the port.
const (
	MaxKeyBytes   = 512
	MaxValueBytes = 1 << 20
	MaxList       = 1000
)

// Settings of a Store. The zero value is right for production.
type Settings struct {
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Store is the port over the tenants' namespaces.
type Store struct {
	db  *store.DB
	now func() time.Time
}

// New returns a Store over db.
func New(db *store.DB, s Settings) *Store {
	if s.Now == nil {
		s.Now = time.Now
	}
	return &Store{db: db, now: s.Now}
}

type row struct {
	bun.BaseModel `bun:"table:kv,alias:k"`

	Instance  string     `bun:"instance,pk"`
	Key       string     `bun:"key,pk"`
	Value     []byte     `bun:"value"`
	Size      int64      `bun:"size"`
	ExpiresAt *time.Time `bun:"expires_at"`
}

// Get returns the value of a key; found is false where there is none or it has
// expired.
func (s *Store) Get(ctx context.Context, t host.TenantID, instance, key string) (value []byte, found bool, err error) {
	if err := checkKey(key); err != nil {
		return nil, false, err
	}
	var r row
	err = s.read(ctx, t, func(ctx context.Context, q store.Querier) error {
		err := s.live(q.NewSelect().Model(&r), instance).Where("key = ?", key).Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		found = err == nil
		return err
	})
	return r.Value, found, err
}

// Set stores a value. A ttl of 0 keeps it until it is deleted. Beyond quota
// bytes (keys and values of the instance) it is CodeLimit, and nothing changes.
func (s *Store) Set(ctx context.Context, t host.TenantID, instance, key string, value []byte, ttl time.Duration, quota int64) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > MaxValueBytes {
		return host.Errorf(host.CodeTooLarge, "the value has %d bytes, at most %d are allowed", len(value), MaxValueBytes)
	}
	if ttl < 0 {
		return host.Errorf(host.CodeInvalid, "the time to live is negative")
	}
	if value == nil {
		value = []byte{}
	}
	r := row{Instance: instance, Key: key, Value: value, Size: int64(len(key) + len(value))}
	now := s.now().UTC()
	if ttl > 0 {
		at := now.Add(ttl)
		r.ExpiresAt = &at
	}
	return s.write(ctx, t, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*row)(nil)).Where("instance = ?", instance).
			Where("key = ? OR expires_at <= ?", key, now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("making room: %w", err)
		}
		var used sql.NullInt64
		err = q.NewSelect().Model((*row)(nil)).ColumnExpr("CAST(SUM(size) AS BIGINT)").Where("instance = ?", instance).Scan(ctx, &used)
		if err != nil {
			return fmt.Errorf("measuring what is stored: %w", err)
		}
		if used.Int64+r.Size > quota {
			return host.Errorf(host.CodeLimit, "the store is full: %d of %d bytes are used and %d more are needed", used.Int64, quota, r.Size).
				WithHint("delete keys, give them a time to live, or ask for a larger quota in the manifest")
		}
		_, err = q.NewInsert().Model(&r).Exec(ctx)
		return err
	})
}

// Claim sets a key for the time ttl where it is not set, and says whether it
// did: of several that claim a key at once one alone gets it. A claim ends
// with Set or Delete, or by itself. It has no quota.
func (s *Store) Claim(ctx context.Context, t host.TenantID, instance, key string, ttl time.Duration) (won bool, err error) {
	if err := checkKey(key); err != nil {
		return false, err
	}
	now := s.now().UTC()
	until := now.Add(ttl)
	r := row{Instance: instance, Key: key, Value: []byte{}, Size: int64(len(key)), ExpiresAt: &until}
	err = s.write(ctx, t, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*row)(nil)).Where("instance = ?", instance).Where("expires_at <= ?", now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("making room: %w", err)
		}
		res, err := q.NewInsert().Model(&r).On("CONFLICT (instance, key) DO NOTHING").Returning("NULL").Exec(ctx)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		won = n > 0
		return err
	})
	return won, err
}

// Delete removes a key; one that is not there is removed already.
func (s *Store) Delete(ctx context.Context, t host.TenantID, instance, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return s.write(ctx, t, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*row)(nil)).Where("instance = ?", instance).Where("key = ?", key).Exec(ctx)
		return err
	})
}

// List returns at most limit keys with a prefix, in byte order, after the key
// after. Next is what to pass as after for the next page, or empty.
func (s *Store) List(ctx context.Context, t host.TenantID, instance, prefix, after string, limit int) (keys []string, next string, err error) {
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	var rows []row
	err = s.read(ctx, t, func(ctx context.Context, q store.Querier) error {
		// The order must be that of bytes, whatever the database's language is.
		order, compare := "key", "key > ?"
		if q.Dialect() == store.Postgres {
			order, compare = `key COLLATE "C"`, `key COLLATE "C" > ?`
		}
		sel := s.live(q.NewSelect().Model(&rows), instance).Column("key").OrderExpr(order).Limit(int64(limit) + 1)
		if prefix != "" {
			sel = sel.Where("SUBSTR(key, 1, LENGTH(?)) = ?", prefix, prefix)
		}
		if after != "" {
			sel = sel.Where(compare, after)
		}
		return sel.Scan(ctx)
	})
	for i, r := range rows {
		if i == limit {
			next = keys[limit-1]
			break
		}
		keys = append(keys, r.Key)
	}
	return keys, next, err
}

// Used returns how many bytes an instance stores.
func (s *Store) Used(ctx context.Context, t host.TenantID, instance string) (int64, error) {
	var used sql.NullInt64
	err := s.read(ctx, t, func(ctx context.Context, q store.Querier) error {
		return s.live(q.NewSelect().Model((*row)(nil)), instance).ColumnExpr("CAST(SUM(size) AS BIGINT)").Scan(ctx, &used)
	})
	return used.Int64, err
}

// Drop removes everything that an instance stores.
func (s *Store) Drop(ctx context.Context, t host.TenantID, instance string) error {
	return s.write(ctx, t, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*row)(nil)).Where("instance = ?", instance).Exec(ctx)
		return err
	})
}

// live limits a query to what the instance has and what has not expired.
func (s *Store) live(q *bun.SelectQuery, instance string) *bun.SelectQuery {
	return q.Where("instance = ?", instance).Where("expires_at IS NULL OR expires_at > ?", s.now().UTC())
}

func (s *Store) read(ctx context.Context, t host.TenantID, w store.Work) error {
	db, err := s.db.Tenant(t)
	if err != nil {
		return err
	}
	return db.Read(ctx, w)
}

func (s *Store) write(ctx context.Context, t host.TenantID, w store.Work) error {
	db, err := s.db.Tenant(t)
	if err != nil {
		return err
	}
	return db.Write(ctx, w)
}

func checkKey(key string) error {
	if key == "" || len(key) > MaxKeyBytes {
		return host.Errorf(host.CodeInvalid, "the key has %d bytes; it must have 1 to %d", len(key), MaxKeyBytes)
	}
	for i := range len(key) {
		if key[i] < 0x20 || key[i] == 0x7f {
			return host.Errorf(host.CodeInvalid, "the key contains a control character")
		}
	}
	return nil
}
