package audit

import (
	"context"
	"fmt"
	"strconv"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// longestPage bounds how many records a page has; defaultPage is what it has
// where nothing is said.
const (
	longestPage = 500
	defaultPage = 50
)

// Page is a part of the records, the newest first.
type Page struct {
	Items []Record
	// Next is the cursor of the following page; empty on the last one.
	Next string
}

// Reader shows the records to those who may see them.
type Reader struct {
	log   *Log
	authz host.Authorizer
}

// NewReader returns a Reader that asks authz for host.ActionAuditRead.
func NewReader(log *Log, authz host.Authorizer) *Reader { return &Reader{log: log, authz: authz} }

// List returns the records of the caller's tenant from the newest on, at most
// limit of them (50 if 0, never above 500). Cursor is empty or a page's Next.
func (r *Reader) List(ctx context.Context, c host.Caller, cursor string, limit int) (Page, error) {
	if err := r.authz.Authorize(ctx, c, host.ActionAuditRead, "*"); err != nil {
		return Page{}, err
	}
	before, err := parseCursor(cursor)
	if err != nil {
		return Page{}, err
	}
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, longestPage)
	links, err := r.log.list(ctx, c.TenantID(), before, limit+1)
	if err != nil {
		return Page{}, err
	}
	page := Page{Items: make([]Record, 0, min(len(links), limit))}
	for i, link := range links {
		if i == limit {
			page.Next = strconv.FormatInt(links[i-1].Seq, 10)
			break
		}
		record, err := link.record()
		if err != nil {
			return Page{}, err
		}
		page.Items = append(page.Items, record)
	}
	return page, nil
}

// list returns at most n rows before the given one, the newest first.
func (l *Log) list(ctx context.Context, id host.TenantID, before int64, n int) ([]row, error) {
	tenant, err := l.db.Tenant(id)
	if err != nil {
		return nil, err
	}
	var links []row
	err = tenant.Read(ctx, func(ctx context.Context, q store.Querier) error {
		query := q.NewSelect().Model(&links).Order("seq DESC").Limit(int64(n))
		if before > 0 {
			query = query.Where("seq < ?", before)
		}
		return query.Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("reading audit records: %w", err)
	}
	return links, nil
}

func parseCursor(cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || n < 1 {
		return 0, host.Errorf(host.CodeInvalid, "The cursor %q is not one of this list.", cursor).
			WithHint("Leave it out to begin with the newest record.")
	}
	return n, nil
}
