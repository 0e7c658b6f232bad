// Package password turns passwords into argon2id hashes and compares them. It
// knows no users: which hash belongs to whom is its caller's business.
package password

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"github.com/callboard-dev/callboard/host"
	"golang.org/x/text/unicode/norm"
)

// longest bounds what is hashed; a passphrase has its place in it.
const longest = 1024

// Settings says how costly a hash is. Zero fields take the defaults.
type Settings struct {
	// MemoryKiB, Passes and Lanes are argon2id's parameters. Default: 19 MiB,
	// 2 passes, 1 lane.
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
	// MinLength is the fewest characters of a new password. Default 10.
	MinLength int
	// Concurrent is how many hashes are computed at once, which bounds memory and
	// CPU. Default: the number of CPUs.
	Concurrent int
	// Waiting is how many more may wait for their turn. Default 64.
	Waiting int
}

func (s Settings) withDefaults() Settings {
	if s.MemoryKiB == 0 {
		s.MemoryKiB = 19 * 1024
	}
	if s.Passes == 0 {
		s.Passes = 2
	}
	if s.Lanes == 0 {
		s.Lanes = 1
	}
	if s.MinLength == 0 {
		s.MinLength = 10
	}
	if s.Concurrent == 0 {
		s.Concurrent = runtime.GOMAXPROCS(0)
	}
	if s.Waiting == 0 {
		s.Waiting = 64
	}
	return s
}

// Hasher hashes and compares passwords, few at a time.
type Hasher struct {
	settings Settings
	params   argon2id.Params
	turns    chan struct{}
	inside   atomic.Int64
	// decoy makes, once, a hash that no password has; comparing with it costs
	// what comparing with a real one costs.
	decoy func() (string, error)
}

// New returns a Hasher.
func New(s Settings) *Hasher {
	s = s.withDefaults()
	h := &Hasher{
		settings: s,
		params:   argon2id.Params{Memory: s.MemoryKiB, Iterations: s.Passes, Parallelism: s.Lanes, SaltLength: 16, KeyLength: 32},
		turns:    make(chan struct{}, s.Concurrent),
	}
	h.decoy = sync.OnceValues(func() (string, error) { return argon2id.CreateHash(host.NewID(""), &h.params) })
	return h
}

// Check returns an Error of CodeInvalid if the text may not be a new password.
// Names are what belongs to the user and may not be the password itself.
func (h *Hasher) Check(text string, names ...string) error {
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text):
		return host.Errorf(host.CodeInvalid, "The password is not valid UTF-8 text.")
	case n < h.settings.MinLength:
		return host.Errorf(host.CodeInvalid, "The password is too short.").
			WithHint("Take at least %d characters; a few words in a row are easy to keep in mind.", h.settings.MinLength)
	case len(text) > longest:
		return host.Errorf(host.CodeInvalid, "The password is longer than %d bytes.", longest)
	case strings.Count(text, firstRune(text)) == n:
		return host.Errorf(host.CodeInvalid, "The password is one character again and again.").
			WithHint("Take a few words in a row.")
	}
	for _, name := range names {
		if name != "" && strings.EqualFold(text, name) {
			return host.Errorf(host.CodeInvalid, "The password is the user's own name or address.").
				WithHint("Take a few words in a row.")
		}
	}
	return nil
}

func firstRune(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return s[:size]
}

// Hash returns the encoded argon2id hash of the text. It waits for its turn and
// returns an Error of CodeUnavailable if too many wait already.
func (h *Hasher) Hash(ctx context.Context, text string) (string, error) {
	done, err := h.turn(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	encoded, err := argon2id.CreateHash(canonical(text), &h.params)
	if err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	return encoded, nil
}

// Compare reports whether the text is the password of the encoded hash, and
// whether the hash should be made anew because today's parameters differ. With
// an empty hash it does the same work and reports false. It waits like Hash.
func (h *Hasher) Compare(ctx context.Context, text, encoded string) (same, stale bool, err error) {
	// Made on the first call whatever it compares, or its cost would tell.
	decoy, err := h.decoy()
	if err != nil {
		return false, false, fmt.Errorf("making a password hash: %w", err)
	}
	known := encoded != ""
	if !known {
		encoded = decoy
	}
	if len(text) > longest {
		text, known = text[:longest], false
	}
	done, err := h.turn(ctx)
	if err != nil {
		return false, false, err
	}
	defer done()
	same, params, err := argon2id.CheckHash(canonical(text), encoded)
	if err != nil {
		return false, false, fmt.Errorf("reading a stored password hash: %w", err)
	}
	if !same || !known {
		return false, false, nil
	}
	return true, *params != h.params, nil
}

// turn waits until one of the few places is free; done gives it back.
func (h *Hasher) turn(ctx context.Context) (done func(), err error) {
	if h.inside.Add(1) > int64(h.settings.Concurrent+h.settings.Waiting) {
		h.inside.Add(-1)
		busy := host.Errorf(host.CodeUnavailable, "Too many people sign in at this moment.").WithHint("Try again in a few seconds.")
		busy.RetryAfter = 3 * time.Second
		return nil, busy
	}
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns; h.inside.Add(-1) }, nil
	case <-ctx.Done():
		h.inside.Add(-1)
		return nil, host.Errorf(host.CodeUnavailable, "waiting to check a password: %w", context.Cause(ctx))
	}
}

// canonical makes one text of the ways in which keyboards write it.
func canonical(text string) string { return norm.NFC.String(text) }
