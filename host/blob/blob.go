// Package blob is the port of the larger objects that plugins' instances keep:
// named bytes of any size up to a quota, one space for each instance of each
// tenant. What is known of an object stands in the tenant's database and
// changes with a transaction; its bytes are chunks in a driver, named by what
// they hold, so an object appears whole or not at all. Grants and callers are
// checked in host/service; packages of plugins do not belong here.
package blob

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob/driver"
	"github.com/callboard-dev/callboard/host/store"
	blobv1 "github.com/callboard-dev/callboard/schemas/service/blob/v1"
)

const (
	// chunkBytes is the size of all chunks of an object but its last.
	chunkBytes = 1 << 20
	// objectBytes is what each object counts for beside its bytes.
	objectBytes = 512
	// MaxObjectBytes is the largest object.
	MaxObjectBytes = 8 << 30
	// grace is for how long chunks that no object names are kept: longer than
	// any call may take to name them.
	grace = time.Hour
	// defaultType is the content type of objects that do not say.
	defaultType = "application/octet-stream"
	// Absent is the ifMatch of an object that must not be there.
	Absent = "none"
)

// Settings of a Store. The zero value is right for production.
type Settings struct {
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Place is where objects are kept.
type Place = driver.Place

// Store is the port over the tenants' namespaces and a driver.
type Store struct {
	db     *store.DB
	driver driver.Driver
	now    func() time.Time

	mu    sync.Mutex
	swept map[Place]time.Time // when garbage was last looked for
}

// New returns a Store.
func New(db *store.DB, d driver.Driver, s Settings) *Store {
	if s.Now == nil {
		s.Now = time.Now
	}
	return &Store{db: db, driver: d, now: s.Now, swept: map[Place]time.Time{}}
}

// Object is what is known of an object.
type Object struct {
	Key         string
	Size        int64
	ETag        string
	ContentType string
	Modified    time.Time
}

// row is a head (part -1) or a chunk of an object.
type row struct {
	bun.BaseModel `bun:"table:blobs,alias:b"`

	Instance string    `bun:"instance,pk"`
	Key      string    `bun:"key,pk"`
	Part     int64     `bun:"part,pk"`
	Digest   []byte    `bun:"digest"`
	Size     int64     `bun:"size"`
	ETag     string    `bun:"etag"`
	Type     string    `bun:"type"`
	Modified time.Time `bun:"modified"`
}

const head = -1

func (r *row) object() Object {
	return Object{Key: r.Key, Size: r.Size, ETag: r.ETag, ContentType: r.Type, Modified: r.Modified.UTC()}
}

// Stat returns what is known of an object; nil where there is none.
func (s *Store) Stat(ctx context.Context, p Place, key string) (o *Object, err error) {
	if err := check(p, key); err != nil {
		return nil, err
	}
	err = s.read(ctx, p, func(ctx context.Context, q store.Querier) error {
		o, err = stat(ctx, q, p, key)
		return err
	})
	return o, err
}

func stat(ctx context.Context, q store.Querier, p Place, key string) (*Object, error) {
	var r row
	err := q.NewSelect().Model(&r).Where("instance = ?", p.Instance).Where("key = ?", key).Where("part = ?", head).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := r.object()
	return &o, nil
}

// List returns at most limit objects with a prefix, in the byte order of their
// keys, after the key after. Next is what to pass as after for the next page,
// or empty.
func (s *Store) List(ctx context.Context, p Place, prefix, after string, limit int) (list []Object, next string, err error) {
	var rows []row
	err = s.read(ctx, p, func(ctx context.Context, q store.Querier) error {
		// part = -1 stands in the text, so that the index of heads is found.
		sel := q.NewSelect().Model(&rows).Where("instance = ?", p.Instance).Where("part = -1").Order("key").Limit(int64(limit) + 1)
		if prefix != "" {
			sel = sel.Where("key >= ?", prefix).Where("SUBSTR(key, 1, LENGTH(?)) = ?", prefix, prefix)
		}
		if after != "" {
			sel = sel.Where("key > ?", after)
		}
		return sel.Scan(ctx)
	})
	for i := range rows {
		if i == limit {
			next = list[limit-1].Key
			break
		}
		list = append(list, rows[i].object())
	}
	return list, next, err
}

// Delete removes an object; one that is not there is removed already.
func (s *Store) Delete(ctx context.Context, p Place, key string) error {
	if err := check(p, key); err != nil {
		return err
	}
	err := s.write(ctx, p, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*row)(nil)).Where("instance = ?", p.Instance).Where("key = ?", key).Exec(ctx)
		return err
	})
	if err == nil {
		s.sweep(ctx, p)
	}
	return err
}

// Used returns how many bytes of its quota an instance uses.
func (s *Store) Used(ctx context.Context, p Place) (n int64, err error) {
	err = s.read(ctx, p, func(ctx context.Context, q store.Querier) error {
		n, err = used(ctx, q, p)
		return err
	})
	return n, err
}

func used(ctx context.Context, q store.Querier, p Place) (int64, error) {
	var sum sql.NullInt64
	err := q.NewSelect().Model((*row)(nil)).ColumnExpr("CAST(SUM(size + LENGTH(key) + ?) AS BIGINT)", objectBytes).
		Where("instance = ?", p.Instance).Where("part = -1").Scan(ctx, &sum)
	return sum.Int64, err
}

// Drop removes everything that an instance keeps.
func (s *Store) Drop(ctx context.Context, t host.TenantID, instance string) error {
	p := Place{Tenant: t, Instance: instance}
	err := s.write(ctx, p, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*row)(nil)).Where("instance = ?", instance).Exec(ctx)
		return err
	})
	if err != nil && host.CodeOf(err) != host.CodeNotFound {
		return err
	}
	s.mu.Lock()
	delete(s.swept, p)
	s.mu.Unlock()
	return s.driver.Drop(ctx, p)
}

// DropTenant removes the chunks of a tenant that is being deleted; what is
// known of the objects goes with the tenant's namespace.
func (s *Store) DropTenant(ctx context.Context, t host.TenantID) error {
	return s.driver.DropTenant(ctx, t)
}

// sweep removes chunks that no object names any more, at most once in a while.
// What fails is left for the next time: nothing is wrong but some bytes.
func (s *Store) sweep(ctx context.Context, p Place) {
	now := s.now()
	s.mu.Lock()
	due := now.Sub(s.swept[p]) >= grace
	if due {
		s.swept[p] = now
	}
	s.mu.Unlock()
	if due {
		_ = s.Sweep(ctx, p)
	}
}

// Sweep removes the chunks of an instance that no object names and that are
// older than any call that could still name them.
func (s *Store) Sweep(ctx context.Context, p Place) error {
	before := s.now().Add(-grace)
	return s.driver.Old(ctx, p, before, func(list []driver.Digest) error {
		names := make([][]byte, len(list))
		for i := range list {
			names[i] = list[i][:]
		}
		var needed [][]byte
		err := s.read(ctx, p, func(ctx context.Context, q store.Querier) error {
			return q.NewSelect().Model((*row)(nil)).Distinct().Column("digest").Where("instance = ?", p.Instance).
				Where("digest IN (?)", bun.List(names)).Scan(ctx, &needed)
		})
		if err != nil {
			return err
		}
		keep := map[string]bool{}
		for _, d := range needed {
			keep[string(d)] = true
		}
		for _, d := range list {
			if keep[string(d[:])] {
				continue
			}
			if err := s.driver.Remove(ctx, p, d, before); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) read(ctx context.Context, p Place, w store.Work) error {
	db, err := s.db.Tenant(p.Tenant)
	if err != nil {
		return err
	}
	return db.Read(ctx, w)
}

func (s *Store) write(ctx context.Context, p Place, w store.Work) error {
	db, err := s.db.Tenant(p.Tenant)
	if err != nil {
		return err
	}
	return db.Write(ctx, w)
}

// check refuses places and keys that cannot be used.
func check(p Place, key string) error {
	switch {
	case !p.Valid():
		return host.Errorf(host.CodeInvalid, "%q of tenant %q is no place for blobs", p.Instance, p.Tenant)
	case key == "" || len(key) > blobv1.MaxKeyBytes:
		return host.Errorf(host.CodeInvalid, "the key has %d bytes; it must have 1 to %d", len(key), blobv1.MaxKeyBytes)
	case !utf8.ValidString(key) || strings.ContainsFunc(key, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return host.Errorf(host.CodeInvalid, "the key contains a control character, or is not UTF-8")
	}
	return nil
}

// etag names content: the digests of its chunks, its size and its type.
func etag(contentType string, size int64, digests []driver.Digest) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d\n%s\n", size, contentType)
	for _, d := range digests {
		sum.Write(d[:])
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
