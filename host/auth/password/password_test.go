package password_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth/password"
)

// cheap keeps tests quick; it is far too weak for people.
var cheap = password.Settings{MemoryKiB: 64, Passes: 1}

func TestCompare(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := password.New(cheap)
	hash, err := h.Hash(ctx, "crème brûlée")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("hash %q is not an argon2id hash of the given cost", hash)
	}
	tests := map[string]struct {
		text, hash string
		same       bool
	}{
		"OK":              {"crème brûlée", hash, true},
		"OKDecomposed":    {"cre\u0300me bru\u0302le\u0301e", hash, true},
		"NotSame":         {"creme brulee", hash, false},
		"NotEmpty":        {"", hash, false},
		"NotWithoutHash":  {"crème brûlée", "", false},
		"NotLongerThan1K": {strings.Repeat("x", 5000), hash, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same, stale, err := h.Compare(ctx, tc.text, tc.hash)
			if err != nil || same != tc.same || stale {
				t.Fatalf("Compare = %v, %v, %v; want %v", same, stale, err, tc.same)
			}
		})
	}
	t.Run("StaleParameters", func(t *testing.T) {
		t.Parallel()
		costlier := password.New(password.Settings{MemoryKiB: 128, Passes: 1})
		if same, stale, err := costlier.Compare(ctx, "crème brûlée", hash); !same || !stale || err != nil {
			t.Fatalf("Compare = %v, %v, %v; want the same and stale", same, stale, err)
		}
	})
	t.Run("ErrBrokenHash", func(t *testing.T) {
		t.Parallel()
		if same, _, err := h.Compare(ctx, "x", "$2a$nonsense"); same || err == nil {
			t.Fatalf("a broken hash was compared: %v, %v", same, err)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	h := password.New(cheap)
	tests := map[string]struct{ text, says string }{
		"OK":           {"four words in a row", ""},
		"OKUnicode":    {"пароль из слов", ""},
		"ErrShort":     {"short", "too short"},
		"ErrLong":      {strings.Repeat("ab", 600), "longer than"},
		"ErrRepeated":  {"aaaaaaaaaaaa", "again and again"},
		"ErrOwnName":   {"Guest@Example.com", "own name"},
		"ErrNotUTF8":   {"abcdefghijk\xff", "UTF-8"},
		"ErrSpacesRun": {strings.Repeat(" ", 20), "again and again"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := h.Check(tc.text, "guest@example.com", "")
			if tc.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if host.CodeOf(err) != host.CodeInvalid || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error = %v, want one that says %q", err, tc.says)
			}
		})
	}
}

// A hash costs memory, so only few are computed at once and few wait.
func TestHashIsBounded(t *testing.T) {
	t.Parallel()
	h := password.New(password.Settings{MemoryKiB: 8 * 1024, Passes: 3, Concurrent: 1, Waiting: 1})
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[host.Code]int{}
	start := make(chan struct{})
	for range 40 {
		wg.Go(func() {
			<-start
			_, err := h.Hash(t.Context(), "four words in a row")
			if err != nil && host.AsError(err).RetryAfter < time.Second {
				t.Errorf("a refused hash does not say when to try again: %v", err)
			}
			mu.Lock()
			count[host.CodeOf(err)]++
			mu.Unlock()
		})
	}
	close(start)
	wg.Wait()
	if count[host.CodeUnavailable] == 0 || count[""] == 0 || count[""]+count[host.CodeUnavailable] != 40 {
		t.Fatalf("outcomes = %v, want some done and the others refused as unavailable", count)
	}
	if _, err := h.Hash(t.Context(), "four words in a row"); err != nil {
		t.Fatalf("after the rush: %v", err)
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	h := password.New(password.Settings{MemoryKiB: 64 * 1024, Passes: 4, Concurrent: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	begun := make(chan struct{})
	wg.Go(func() {
		close(begun)
		if _, err := h.Hash(t.Context(), "four words in a row"); err != nil {
			t.Error(err)
		}
	})
	<-begun
	// One of these finds the only place taken while the long hash is computed.
	for range 1000 {
		if _, err := h.Hash(ctx, "x"); host.CodeOf(err) == host.CodeUnavailable {
			return
		}
	}
	t.Fatal("a cancelled call never gave up waiting")
}
