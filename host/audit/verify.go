package audit

import (
	"context"
	"crypto/hmac"
	"fmt"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// batch is how many records are read at once.
const batch = 500

// Verify walks the tenant's whole chain and returns nil if it is as it was
// written. Otherwise an Error of CodeConflict names the first record that was
// changed, removed, added or moved by something other than the portal.
func (l *Log) Verify(ctx context.Context, id host.TenantID) error {
	if err := l.Flush(ctx, id); err != nil {
		return err
	}
	key, err := l.keys.Derive(id, purpose)
	if err != nil {
		return err
	}
	tenant, err := l.db.Tenant(id)
	if err != nil {
		return err
	}
	return tenant.Read(ctx, func(ctx context.Context, q store.Querier) error {
		end, err := readHead(ctx, q)
		if err != nil {
			return err
		}
		if end.Seq == 0 {
			return broken(1, "there is no record at all, though each tenant begins with that of its creation")
		}
		if !hmac.Equal(end.Seal, end.seal(key)) {
			return broken(end.Seq, "the end of the chain was changed, or the host key is another one")
		}
		last, err := walk(ctx, q, key)
		if err != nil {
			return err
		}
		if last.Seq != end.Seq || !hmac.Equal(last.Hash, end.Hash) {
			return broken(last.Seq+1, "the records up to %d were written, those after %d are gone", end.Seq, last.Seq)
		}
		return nil
	})
}

// walk checks each link and returns where the chain of sound links ends.
func walk(ctx context.Context, q store.Querier, key []byte) (head, error) {
	var last head
	for {
		var links []row
		err := q.NewSelect().Model(&links).Where("seq > ?", last.Seq).Order("seq").Limit(batch).Scan(ctx)
		if err != nil {
			return head{}, fmt.Errorf("reading audit records: %w", err)
		}
		for _, link := range links {
			if link.Seq != last.Seq+1 {
				return head{}, broken(last.Seq+1, "it is gone; the next one is %d", link.Seq)
			}
			if !hmac.Equal(link.Prev, last.Hash) {
				return head{}, broken(link.Seq, "it does not continue the record before it")
			}
			if !hmac.Equal(link.Hash, link.seal(key)) {
				return head{}, broken(link.Seq, "it was changed after it was written")
			}
			last.Seq, last.Hash = link.Seq, link.Hash
		}
		if len(links) < batch {
			return last, nil
		}
	}
}

func broken(seq int64, format string, args ...any) error {
	args = append([]any{seq}, args...)
	return host.Errorf(host.CodeConflict, "The audit record is not as it was written, at record %d: "+format+".", args...).
		WithHint("Compare it with a backup; somebody reached the database past the portal.")
}
