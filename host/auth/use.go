package auth

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host/auth/credential"
	"github.com/callboard-dev/callboard/host/store"
)

// purgeEvery is how often ended sessions and links are removed.
const purgeEvery = 10 * time.Minute

// uses are last uses of credentials that wait to be written down.
type uses struct {
	mu    sync.Mutex
	waits map[use]time.Time
}

type use struct {
	kind credential.Kind
	id   string
}

func newUses() uses { return uses{waits: map[use]time.Time{}} }

func (u *uses) add(kind credential.Kind, id string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	k := use{kind, id}
	u.waits[k] = latest(at, u.waits[k])
}

// last returns the use that waits, or the zero time.
func (u *uses) last(kind credential.Kind, id string) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.waits[use{kind, id}]
}

func (u *uses) all() map[use]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	copied := make(map[use]time.Time, len(u.waits))
	for k, at := range u.waits {
		copied[k] = at
	}
	return copied
}

// done drops what was written, except where it was used again meanwhile.
func (u *uses) done(written map[use]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, at := range written {
		if u.waits[k].Equal(at) {
			delete(u.waits, k)
		}
	}
}

// note remembers that a credential was used, once in Settings.NoteUse.
func (s *Service) note(p *pass, now time.Time) {
	last := p.noted.Load()
	if now.UnixNano()-last < int64(s.settings.NoteUse) || !p.noted.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	s.uses.add(p.kind, p.id, now.UTC().Truncate(time.Microsecond))
}

// Run writes last uses down and removes ended sessions and links, until ctx
// ends; then it writes what is left and returns. Without it sessions end after
// Settings.SessionIdle though they are used.
func (s *Service) Run(ctx context.Context) {
	write, purge := time.NewTicker(s.settings.WriteUse), time.NewTicker(purgeEvery)
	defer write.Stop()
	defer purge.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.FlushUses(last); err != nil {
				s.settings.Log.WarnContext(ctx, "last uses are lost", "error", err)
			}
			return
		case <-write.C:
			err = s.FlushUses(ctx)
		case <-purge.C:
			err = s.Purge(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.settings.Log.WarnContext(ctx, "keeping house in auth", "error", err)
		}
	}
}

// FlushUses writes the last uses of tokens and sessions that wait in memory.
// What cannot be written stays for the next time.
func (s *Service) FlushUses(ctx context.Context) error {
	waiting := s.uses.all()
	if len(waiting) == 0 {
		return nil
	}
	err := s.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		for k, at := range waiting {
			update := q.NewUpdate().Where("id = ?", k.id)
			if k.kind == credential.KindToken {
				update = update.Model((*tokenRow)(nil)).Set("last_used_at = ?", at).
					Where("last_used_at IS NULL OR last_used_at < ?", at)
			} else {
				update = update.Model((*sessionRow)(nil)).Set("seen_at = ?", at).Where("seen_at < ?", at)
			}
			if _, err := update.Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("writing last uses down: %w", err)
	}
	s.uses.done(waiting)
	return nil
}

// Purge removes sessions and links that have ended. They are refused before
// that; this gives their place back.
func (s *Service) Purge(ctx context.Context) error {
	now := s.now()
	err := s.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*sessionRow)(nil)).
			Where("expires_at <= ? OR seen_at <= ?", now, now.Add(-s.settings.SessionIdle-s.settings.NoteUse)).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = q.NewDelete().Model((*linkRow)(nil)).Where("expires_at <= ?", now).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("removing ended sessions: %w", err)
	}
	return nil
}
