package recording

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// Box seals what is stored with the tenant's key.
type Box interface {
	Seal(t host.TenantID, name string, plain []byte) ([]byte, error)
	Open(t host.TenantID, name string, sealed []byte) ([]byte, error)
}

// Rule says which calls of one instance are recorded, and for how long.
type Rule struct {
	// Sample is the share of calls, from 0 (none) to 1 (all). The first call
	// after a start is one of them unless it is 0.
	Sample float64 `json:"sample"`
	// Keep is for how long, Most how many of the newest are kept.
	Keep time.Duration `json:"keep"`
	Most int           `json:"most"`
}

// Bounds of a rule.
const (
	MaxKeep = 90 * 24 * time.Hour
	MaxMost = 1000
)

// DefaultRule is what holds where nobody said otherwise: one call in a hundred,
// the newest fifty, for a week.
func DefaultRule() Rule { return Rule{Sample: 0.01, Keep: 7 * 24 * time.Hour, Most: 50} }

func (r Rule) check() error {
	switch {
	case r.Sample < 0 || r.Sample > 1:
		return host.Errorf(host.CodeInvalid, "the share of recorded calls must be between 0 and 1")
	case r.Keep < time.Minute || r.Keep > MaxKeep:
		return host.Errorf(host.CodeInvalid, "recordings are kept for at least a minute and at most %d days", int(MaxKeep.Hours()/24))
	case r.Most < 1 || r.Most > MaxMost:
		return host.Errorf(host.CodeInvalid, "between 1 and %d recordings are kept", MaxMost)
	}
	return nil
}

// Entry is one recording in a list.
type Entry struct {
	ID         string    `json:"id"`
	Version    string    `json:"version"`
	Digest     string    `json:"digest"`
	Capability string    `json:"capability"`
	Method     string    `json:"method"`
	At         time.Time `json:"at"`
	Bytes      int64     `json:"bytes"`
	Fuel       int64     `json:"fuel"`
	// Failed is set where the call failed by the plugin's fault.
	Failed   bool `json:"failed"`
	Redacted int  `json:"redacted"`
}

type row struct {
	bun.BaseModel `bun:"table:recordings,alias:r"`

	ID         string    `bun:"id,pk"`
	Instance   string    `bun:"instance"`
	Version    string    `bun:"version"`
	Digest     string    `bun:"digest"`
	Capability string    `bun:"capability"`
	Method     string    `bun:"method"`
	At         time.Time `bun:"at"`
	Size       int64     `bun:"size"`
	Fuel       int64     `bun:"fuel"`
	Failed     bool      `bun:"failed"`
	Redacted   int64     `bun:"redacted"`
	Body       []byte    `bun:"body"`
}

type ruleRow struct {
	bun.BaseModel `bun:"table:recording_rules,alias:rr"`

	Instance    string `bun:"instance,pk"`
	PerMillion  int64  `bun:"per_million"`
	KeepSeconds int64  `bun:"keep_seconds"`
	Most        int64  `bun:"most"`
}

// Store keeps recordings in the tenants' namespaces, sealed.
type Store struct {
	db  *store.DB
	box Box
}

// NewStore returns the store over the tenants' namespaces.
func NewStore(db *store.DB, box Box) *Store { return &Store{db: db, box: box} }

func sealName(instance, id string) string { return "recording/" + instance + "/" + id }

// Save keeps a recording and drops what the rule does not keep.
func (s *Store) Save(ctx context.Context, t host.TenantID, instance string, r *Recording, rule Rule) (string, error) {
	kept := *r
	kept.ID, kept.Code = host.NewID("rec"), nil
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	err := kept.Write(z)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return "", fmt.Errorf("packing the recording: %w", err)
	}
	sealed, err := s.box.Seal(t, sealName(instance, kept.ID), b.Bytes())
	if err != nil {
		return "", fmt.Errorf("sealing the recording: %w", err)
	}
	ns, err := s.db.Tenant(t)
	if err != nil {
		return "", err
	}
	return kept.ID, ns.Write(ctx, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewInsert().Model(&row{
			ID: kept.ID, Instance: instance, Version: r.Version, Digest: r.Digest, Capability: r.Call.Capability, Method: r.Call.Method,
			At: r.At, Size: int64(len(sealed)), Fuel: r.Usage.Fuel, Failed: r.Failure != nil, Redacted: int64(r.Redacted), Body: sealed,
		}).Exec(ctx)
		if err != nil {
			return err
		}
		return prune(ctx, q, instance, rule)
	})
}

// prune drops what is too old or too many.
func prune(ctx context.Context, q store.Querier, instance string, rule Rule) error {
	_, err := q.NewDelete().Model((*row)(nil)).Where("instance = ?", instance).
		Where("at < ? OR id NOT IN (?)", time.Now().UTC().Add(-rule.Keep),
			q.NewSelect().Model((*row)(nil)).Column("id").Where("instance = ?", instance).OrderExpr("at DESC, id DESC").Limit(int64(rule.Most))).Exec(ctx)
	return err
}

// List returns the newest recordings of an instance; digest, if not empty,
// those of that release.
func (s *Store) List(ctx context.Context, t host.TenantID, instance, digest string, limit int) ([]Entry, error) {
	if limit <= 0 || limit > MaxMost {
		limit = 100
	}
	var rows []row
	err := s.read(ctx, t, func(ctx context.Context, q store.Querier) error {
		sel := q.NewSelect().Model(&rows).ExcludeColumn("body").Where("instance = ?", instance).OrderExpr("at DESC, id DESC").Limit(int64(limit))
		if digest != "" {
			sel = sel.Where("digest = ?", digest)
		}
		return sel.Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	out := make([]Entry, 0, len(rows))
	for _, r := range rows {
		out = append(out, Entry{ID: r.ID, Version: r.Version, Digest: r.Digest, Capability: r.Capability, Method: r.Method,
			At: r.At.UTC(), Bytes: r.Size, Fuel: r.Fuel, Failed: r.Failed, Redacted: int(r.Redacted)})
	}
	return out, nil
}

// Get returns one recording of an instance.
func (s *Store) Get(ctx context.Context, t host.TenantID, instance, id string) (*Recording, error) {
	var r row
	err := s.read(ctx, t, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&r).Where("id = ?", id).Where("instance = ?", instance).Scan(ctx)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, unknown(id)
	}
	if err != nil {
		return nil, err
	}
	packed, err := s.box.Open(t, sealName(instance, id), r.Body)
	if err != nil {
		return nil, host.Errorf(host.CodeConflict, "the recording %s cannot be opened: it was sealed with another key", id).WithHint("delete it")
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking the recording: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(z, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("unpacking the recording: %w", err)
	}
	return Read(bytes.NewReader(raw))
}

func unknown(id string) error {
	return host.Errorf(host.CodeNotFound, "there is no recording %.80q", id).WithHint("it may have been dropped; callboard plugin recordings lists them")
}

// Delete removes one recording, or all of an instance if id is empty.
func (s *Store) Delete(ctx context.Context, t host.TenantID, instance, id string) error {
	return s.write(ctx, t, func(ctx context.Context, q store.Querier) error {
		del := q.NewDelete().Model((*row)(nil)).Where("instance = ?", instance)
		if id != "" {
			del = del.Where("id = ?", id)
		}
		res, err := del.Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err == nil && n == 0 && id != "" {
			return unknown(id)
		}
		return nil
	})
}

// Drop removes everything of an instance that is uninstalled.
func (s *Store) Drop(ctx context.Context, t host.TenantID, instance string) error {
	return s.write(ctx, t, func(ctx context.Context, q store.Querier) error {
		if _, err := q.NewDelete().Model((*row)(nil)).Where("instance = ?", instance).Exec(ctx); err != nil {
			return err
		}
		_, err := q.NewDelete().Model((*ruleRow)(nil)).Where("instance = ?", instance).Exec(ctx)
		return err
	})
}

// Rule returns the rule of an instance.
func (s *Store) Rule(ctx context.Context, t host.TenantID, instance string) (rule Rule, own bool, err error) {
	var r ruleRow
	err = s.read(ctx, t, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&r).Where("instance = ?", instance).Scan(ctx)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return DefaultRule(), false, nil
	}
	return Rule{Sample: float64(r.PerMillion) / 1e6, Keep: time.Duration(r.KeepSeconds) * time.Second, Most: int(r.Most)}, true, err
}

// SetRule replaces the rule of an instance and applies it.
func (s *Store) SetRule(ctx context.Context, t host.TenantID, instance string, rule Rule) error {
	if err := rule.check(); err != nil {
		return err
	}
	return s.write(ctx, t, func(ctx context.Context, q store.Querier) error {
		r := &ruleRow{Instance: instance, PerMillion: int64(rule.Sample * 1e6), KeepSeconds: int64(rule.Keep.Seconds()), Most: int64(rule.Most)}
		_, err := q.NewInsert().Model(r).On("CONFLICT (instance) DO UPDATE").
			Set("per_million = EXCLUDED.per_million").Set("keep_seconds = EXCLUDED.keep_seconds").Set("most = EXCLUDED.most").Exec(ctx)
		if err != nil {
			return err
		}
		return prune(ctx, q, instance, rule)
	})
}

func (s *Store) read(ctx context.Context, t host.TenantID, work store.Work) error {
	ns, err := s.db.Tenant(t)
	if err != nil {
		return err
	}
	return ns.Read(ctx, work)
}

func (s *Store) write(ctx context.Context, t host.TenantID, work store.Work) error {
	ns, err := s.db.Tenant(t)
	if err != nil {
		return err
	}
	return ns.Write(ctx, work)
}
