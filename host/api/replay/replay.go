// Package replay remembers how unsafe requests were answered, by the key that
// their sender chose, so that a repetition gets the same answer and does
// nothing. It keeps what it knows in the control database, so it holds across
// restarts and on every host. It knows no HTTP but status, header and body.
package replay

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// Answer is an answer to one request.
type Answer struct {
	Status int
	// Kept is false where the answer itself was not remembered, because it
	// held a secret or was too large; then only Status counts.
	Kept   bool
	Header map[string]string
	Body   []byte
}

// Settings bound what is remembered; zeros mean the values in brackets.
type Settings struct {
	KeepFor time.Duration // for how long an answer is remembered (24 h)
	// GiveUpAfter is when a request that never ended, for example because the
	// host was killed, stops blocking its key (5 min). It is longer than any
	// answer may take.
	GiveUpAfter time.Duration
	// PerPrincipal is how many answers of one principal are remembered (1000);
	// more is refused as limit-exceeded.
	PerPrincipal int
	Now          func() time.Time
}

// Memory is the remembered answers.
type Memory struct {
	db *store.DB
	s  Settings
}

// New returns the memory in db's control namespace.
func New(db *store.DB, s Settings) *Memory {
	if s.KeepFor <= 0 {
		s.KeepFor = 24 * time.Hour
	}
	if s.GiveUpAfter <= 0 {
		s.GiveUpAfter = 5 * time.Minute
	}
	if s.PerPrincipal <= 0 {
		s.PerPrincipal = 1000
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	return &Memory{db: db, s: s}
}

// row is one line of the table.
type row struct {
	bun.BaseModel `bun:"table:replays"`

	TenantID    string          `bun:"tenant_id,pk"`
	Principal   string          `bun:"principal,pk"`
	Key         string          `bun:"key,pk"`
	Fingerprint string          `bun:"fingerprint"`
	Status      int             `bun:"status"`
	Kept        bool            `bun:"kept"`
	Header      json.RawMessage `bun:"header,nullzero"`
	Body        []byte          `bun:"body,nullzero"`
	ClaimedAt   time.Time       `bun:"claimed_at"`
	ExpiresAt   time.Time       `bun:"expires_at"`
}

// owner names whose key it is. Kind and id together: a user's and a token's id
// never meet.
func owner(c host.Caller) string { return string(c.Principal().Kind) + ":" + c.Principal().ID }

// Begin claims key for a request. It returns the answer of an earlier request
// with the same fingerprint; nil where this is the first; CodeConflict where
// the key was used for something else or its request is not done.
func (m *Memory) Begin(ctx context.Context, c host.Caller, key, fingerprint string) (*Answer, error) {
	var found *Answer
	err := m.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		now := m.s.Now().UTC()
		if _, err := q.NewDelete().Model((*row)(nil)).Where("expires_at < ?", now).Exec(ctx); err != nil {
			return err
		}
		var have row
		err := mine(q.NewSelect().Model(&have), c, key).Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			return m.claim(ctx, q, c, key, fingerprint, now)
		}
		if err != nil {
			return err
		}
		found, err = have.answer(fingerprint)
		return err
	})
	return found, err
}

// claim writes the row of a request that begins.
func (m *Memory) claim(ctx context.Context, q store.Querier, c host.Caller, key, fingerprint string, now time.Time) error {
	n, err := q.NewSelect().Model((*row)(nil)).
		Where("tenant_id = ?", string(c.TenantID())).Where("principal = ?", owner(c)).Count(ctx)
	if err != nil {
		return err
	}
	if n >= int64(m.s.PerPrincipal) {
		return host.Errorf(host.CodeLimit, "There are %d remembered requests with an Idempotency-Key, the most there may be.", n).
			WithHint("Send requests without the header, or wait: each is forgotten after %s.", m.s.KeepFor)
	}
	_, err = q.NewInsert().Model(&row{TenantID: string(c.TenantID()), Principal: owner(c), Key: key,
		Fingerprint: fingerprint, ClaimedAt: now, ExpiresAt: now.Add(m.s.GiveUpAfter)}).Exec(ctx)
	return err
}

// answer is what a repetition gets.
func (r *row) answer(fingerprint string) (*Answer, error) {
	if r.Fingerprint != fingerprint {
		return nil, host.Errorf(host.CodeConflict, "This Idempotency-Key was used for another request.").
			WithHint("Take a new key for each request; only a repetition of the same one uses it again.")
	}
	if r.Status == 0 {
		e := host.Errorf(host.CodeConflict, "The first request with this Idempotency-Key is still being carried out.").
			WithHint("Wait a moment and send it again.")
		e.RetryAfter = time.Second
		return nil, e
	}
	a := &Answer{Status: r.Status, Kept: r.Kept, Body: r.Body}
	if len(r.Header) > 0 {
		if err := json.Unmarshal(r.Header, &a.Header); err != nil {
			return nil, fmt.Errorf("reading a remembered answer: %w", err)
		}
	}
	return a, nil
}

// Finish stores the answer of the request that claimed key.
func (m *Memory) Finish(ctx context.Context, c host.Caller, key string, a Answer) error {
	header, err := json.Marshal(a.Header)
	if err != nil {
		return fmt.Errorf("remembering an answer: %w", err)
	}
	return m.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewUpdate().Model((*row)(nil)).
			Set("status = ?", a.Status).Set("kept = ?", a.Kept).Set("header = ?", string(header)).Set("body = ?", a.Body).
			Set("expires_at = ?", m.s.Now().UTC().Add(m.s.KeepFor)).
			Where("tenant_id = ?", string(c.TenantID())).Where("principal = ?", owner(c)).Where("key = ?", key).Exec(ctx)
		return err
	})
}

// Abandon gives key back, where its request may be carried out after all.
func (m *Memory) Abandon(ctx context.Context, c host.Caller, key string) error {
	return m.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*row)(nil)).
			Where("tenant_id = ?", string(c.TenantID())).Where("principal = ?", owner(c)).Where("key = ?", key).Exec(ctx)
		return err
	})
}

// mine narrows a selection to one key of the caller's.
func mine(q *bun.SelectQuery, c host.Caller, key string) *bun.SelectQuery {
	return q.Where("tenant_id = ?", string(c.TenantID())).Where("principal = ?", owner(c)).Where("key = ?", key)
}
