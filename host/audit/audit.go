// Package audit keeps each tenant's record of who changed what. It is a chain:
// every record is sealed together with the one before it by a key that is not
// in the database, so an edit, a removal or a reordering made by SQL is found.
//
// It records changes, not reads and not failures, and it never holds a secret:
// that is the duty of whoever writes the entry.
package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// Keys gives the key that seals a tenant's chain: always the same 32 bytes for
// a tenant and purpose. secret.Box is one.
type Keys interface {
	Derive(tenant host.TenantID, purpose string) ([]byte, error)
}

// purpose names the chain's key; it never changes.
const purpose = "audit"

// Log writes and verifies the audit records of all tenants.
type Log struct {
	db   *store.DB
	keys Keys
}

// New returns the Log of the store. All processes on one store need the same
// keys.
func New(db *store.DB, keys Keys) *Log { return &Log{db: db, keys: keys} }

// Record writes the entry to the chain of the caller's tenant. Called with the
// context of a transaction in that tenant, it is part of the transaction.
func (l *Log) Record(ctx context.Context, c host.Caller, e host.AuditEntry) error {
	if !c.Valid() {
		return host.Errorf(host.CodeInternal, "an audit record has no caller")
	}
	return l.write(ctx, c.TenantID(), newRecord(c, e, time.Now()))
}

// Stage keeps the entry in the control namespace, within the transaction of q
// that makes the change: either both are there or neither. Call Flush after
// the commit. It is for changes that do not lie in the tenant's namespace.
func (l *Log) Stage(ctx context.Context, q store.Querier, c host.Caller, e host.AuditEntry) error {
	if !c.Valid() {
		return host.Errorf(host.CodeInternal, "an audit record has no caller")
	}
	r := newRecord(c, e, time.Now())
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing an audit record: %w", err)
	}
	p := pending{ID: r.ID, TenantID: string(c.TenantID()), At: r.At, Record: string(text)}
	if _, err := q.NewInsert().Model(&p).Exec(ctx); err != nil {
		return fmt.Errorf("staging an audit record: %w", err)
	}
	return nil
}

// Flush moves the staged records of a tenant to its chain. It may run in many
// processes at once; no record is lost and none is written twice.
func (l *Log) Flush(ctx context.Context, tenant host.TenantID) error {
	staged, err := l.staged(ctx, tenant)
	if err != nil || len(staged) == 0 {
		return err
	}
	records := make([]Record, len(staged))
	ids := make([]string, len(staged))
	for i, p := range staged {
		ids[i] = p.ID
		if err := json.Unmarshal([]byte(p.Record), &records[i]); err != nil {
			return fmt.Errorf("reading the staged audit record %q: %w", p.ID, err)
		}
	}
	if err := l.write(ctx, tenant, records...); err != nil {
		return err
	}
	return l.unstage(ctx, ids)
}

// FlushAll moves the staged records of all tenants. Those of a tenant whose
// namespace is gone are dropped. Call it when the host starts: a process that
// was killed between commit and Flush leaves them behind.
func (l *Log) FlushAll(ctx context.Context) error {
	var tenants []host.TenantID
	err := l.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model((*pending)(nil)).Column("tenant_id").Distinct().Scan(ctx, &tenants)
	})
	if err != nil {
		return fmt.Errorf("looking for staged audit records: %w", err)
	}
	var faults []error
	for _, id := range tenants {
		err := l.Flush(ctx, id)
		if host.CodeOf(err) == host.CodeNotFound {
			err = l.discard(ctx, id)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// write appends the records to the tenant's chain, except those it has already.
// Writers of a namespace run one after another, so the end cannot move meanwhile.
func (l *Log) write(ctx context.Context, id host.TenantID, records ...Record) error {
	key, err := l.keys.Derive(id, purpose)
	if err != nil {
		return err
	}
	tenant, err := l.db.Tenant(id)
	if err != nil {
		return err
	}
	return tenant.Write(ctx, func(ctx context.Context, q store.Querier) error {
		end, err := readHead(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range records {
			known, err := q.NewSelect().Model((*row)(nil)).Where("id = ?", r.ID).Exists(ctx)
			if err != nil {
				return fmt.Errorf("looking for audit record %q: %w", r.ID, err)
			}
			if known {
				continue
			}
			link, err := r.row(key, end)
			if err != nil {
				return err
			}
			if _, err := q.NewInsert().Model(&link).Exec(ctx); err != nil {
				return fmt.Errorf("writing audit record %d: %w", link.Seq, err)
			}
			end = end.after(link, key)
		}
		if _, err := q.NewUpdate().Model(&end).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("moving the end of the audit chain: %w", err)
		}
		return nil
	})
}

func readHead(ctx context.Context, q store.Querier) (head, error) {
	var end head
	err := q.NewSelect().Model(&end).Where("id = 1").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return head{}, host.Errorf(host.CodeInternal, "The end of the audit chain is missing: it was deleted.").
			WithHint("Run callboard audit verify and restore the tenant from a backup.")
	}
	if err != nil {
		return head{}, fmt.Errorf("reading the end of the audit chain: %w", err)
	}
	return end, nil
}

func (l *Log) staged(ctx context.Context, tenant host.TenantID) ([]pending, error) {
	var staged []pending
	err := l.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&staged).Where("tenant_id = ?", string(tenant)).Order("at", "id").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("reading staged audit records: %w", err)
	}
	return staged, nil
}

func (l *Log) unstage(ctx context.Context, ids []string) error {
	return l.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		for _, id := range ids {
			if _, err := q.NewDelete().Model((*pending)(nil)).Where("id = ?", id).Exec(ctx); err != nil {
				return fmt.Errorf("removing a staged audit record: %w", err)
			}
		}
		return nil
	})
}

func (l *Log) discard(ctx context.Context, tenant host.TenantID) error {
	return l.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*pending)(nil)).Where("tenant_id = ?", string(tenant)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("dropping the records of a deleted tenant: %w", err)
		}
		return nil
	})
}

var _ host.Auditor = (*Log)(nil)
