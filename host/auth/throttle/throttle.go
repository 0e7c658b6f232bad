// Package throttle slows down guessing: after a few attempts with one key each
// further one has to wait, twice as long each time. It lives in memory and
// knows nothing of what is attempted.
package throttle

import (
	"sync"
	"time"
)

// Settings says how fast attempts are slowed down. Zero fields take defaults.
type Settings struct {
	// Free is how many attempts need not wait. Default 5.
	Free int
	// First is the wait after the last free attempt; it doubles up to Longest.
	// Defaults: 1 second, 5 minutes.
	First, Longest time.Duration
	// Forget is the time without attempts after which a key starts anew.
	// Default 1 hour.
	Forget time.Duration
	// Size is how many keys are remembered. Default 16384.
	Size int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (s Settings) withDefaults() Settings {
	if s.Free == 0 {
		s.Free = 5
	}
	if s.First == 0 {
		s.First = time.Second
	}
	if s.Longest == 0 {
		s.Longest = 5 * time.Minute
	}
	if s.Forget == 0 {
		s.Forget = time.Hour
	}
	if s.Size == 0 {
		s.Size = 16384
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	return s
}

// Throttle counts attempts by key. It is safe for concurrent use.
type Throttle struct {
	settings Settings
	mu       sync.Mutex
	keys     map[string]tally
}

type tally struct {
	attempts int
	last     time.Time
	next     time.Time
}

// New returns a Throttle that has seen no attempt.
func New(s Settings) *Throttle {
	return &Throttle{settings: s.withDefaults(), keys: map[string]tally{}}
}

// Try asks to make an attempt with a key. Zero means go on, and the attempt is
// counted as failed until Undo or Clear, so that many at the same moment do not
// slip through. Otherwise the attempt may not be made before the returned time
// has passed, and is not counted.
func (t *Throttle) Try(key string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, now := t.settings, t.settings.Now()
	k, known := t.keys[key]
	if known && now.Sub(k.last) > s.Forget {
		k = tally{}
	}
	if wait := k.next.Sub(now); wait > 0 {
		return wait
	}
	if !known && len(t.keys) >= s.Size {
		t.makeRoom(now)
	}
	k.attempts++
	k.last = now
	if over := k.attempts - s.Free; over >= 0 {
		k.next = now.Add(min(s.Longest, s.First<<min(over, 20)))
	}
	t.keys[key] = k
	return 0
}

// Undo takes back one attempt that was none, such as a successful one from an
// address that others use too.
func (t *Throttle) Undo(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, known := t.keys[key]
	if !known {
		return
	}
	k.attempts--
	k.next = time.Time{}
	if k.attempts <= 0 {
		delete(t.keys, key)
		return
	}
	t.keys[key] = k
}

// Clear forgets the attempts of a key, as after a success.
func (t *Throttle) Clear(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.keys, key)
}

// makeRoom drops a forgotten key, or else the least troublesome of a few: a
// flood of new keys does not wash out the one that is being guessed at.
func (t *Throttle) makeRoom(now time.Time) {
	const look = 16
	var least string
	seen, fewest := 0, 0
	for key, k := range t.keys {
		if now.Sub(k.last) > t.settings.Forget {
			delete(t.keys, key)
			return
		}
		if seen == 0 || k.attempts < fewest {
			least, fewest = key, k.attempts
		}
		if seen++; seen == look {
			break
		}
	}
	delete(t.keys, least)
}
