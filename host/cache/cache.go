// Package cache is the port of values that plugins' instances can do without:
// in memory, bounded, for a time. A cache that cannot be reached is an empty
// one, so its failure slows plugins down and stops none. Grants and callers are
// checked in host/service; what must not be lost belongs to kv or table.
package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/cache/driver"
	cachev1 "github.com/callboard-dev/callboard/schemas/service/cache/v1"
)

// Place is whose values they are.
type Place = driver.Place

// Settings of a Store. The zero value is right for production.
type Settings struct {
	Log *slog.Logger
	// Rest is how long a driver that failed is left alone (1 s).
	Rest time.Duration
}

// Store is the port over a driver.
type Store struct {
	driver driver.Driver
	log    *slog.Logger
	rest   time.Duration
	// down is until when the driver is left alone, in nanoseconds since 1970.
	down atomic.Int64
}

// New returns a Store over a driver.
func New(d driver.Driver, s Settings) *Store {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Rest <= 0 {
		s.Rest = time.Second
	}
	return &Store{driver: d, log: s.Log, rest: s.Rest}
}

// errDown says that the driver cannot be reached.
var errDown = errors.New("the cache cannot be reached")

// try runs f unless the driver rests, and lets it rest where it fails.
func (s *Store) try(ctx context.Context, f func() error) error {
	if time.Now().UnixNano() < s.down.Load() {
		return errDown
	}
	err := f()
	var known *host.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.down.Store(time.Now().Add(s.rest).UnixNano())
	s.log.Warn("the cache cannot be reached; plugins go on without it", "error", err)
	return errDown
}

// Get returns the value of a key; found is false where there is none, or no
// cache.
func (s *Store) Get(ctx context.Context, p Place, key string) (value []byte, found bool, err error) {
	if err := checkKey(key); err != nil {
		return nil, false, err
	}
	err = s.try(ctx, func() error {
		value, found, err = s.driver.Get(ctx, p, key)
		return err
	})
	if errors.Is(err, errDown) {
		return nil, false, nil
	}
	return value, found, err
}

// Set keeps a value for ttl (DefaultTTLSeconds if 0, at most MaxTTLSeconds) or
// less, and quota bytes of all values of the place. Where lock is not empty the
// value is kept only by who holds it.
func (s *Store) Set(ctx context.Context, p Place, key string, value []byte, ttl time.Duration, quota int64, lock string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > cachev1.MaxValueBytes {
		return host.Errorf(host.CodeTooLarge, "the value has %d bytes, at most %d are allowed", len(value), cachev1.MaxValueBytes)
	}
	ttl, err := bounded(ttl)
	if err != nil {
		return err
	}
	kept := false
	err = s.try(ctx, func() error {
		kept, err = s.driver.Set(ctx, p, driver.Item{Key: key, Value: value, TTL: ttl, Quota: quota, Lock: lock})
		return err
	})
	switch {
	case errors.Is(err, errDown):
		return nil
	case err != nil:
		return err
	case !kept:
		return host.Errorf(host.CodeConflict, "the lock of %q is not held any more", key).WithHint("ask for it with a longer lockSeconds; the value can be used all the same")
	}
	return nil
}

func bounded(ttl time.Duration) (time.Duration, error) {
	switch {
	case ttl < 0:
		return 0, host.Errorf(host.CodeInvalid, "the time to live is negative")
	case ttl == 0:
		return cachev1.DefaultTTLSeconds * time.Second, nil
	}
	return min(ttl, cachev1.MaxTTLSeconds*time.Second), nil
}

// Delete removes a key. Where the cache cannot be reached it is CodeUnavailable:
// the value might come back.
func (s *Store) Delete(ctx context.Context, p Place, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return unavailable(s.try(ctx, func() error { return s.driver.Delete(ctx, p, key) }))
}

// Incr adds to a number and returns the sum. Where the cache cannot be reached
// it is CodeUnavailable: nobody knows the number.
func (s *Store) Incr(ctx context.Context, p Place, key string, by int64, ttl time.Duration, quota int64) (n int64, err error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	if ttl, err = bounded(ttl); err != nil {
		return 0, err
	}
	err = s.try(ctx, func() error {
		n, err = s.driver.Incr(ctx, p, driver.Item{Key: key, TTL: ttl, Quota: quota}, by)
		return err
	})
	return n, unavailable(err)
}

func unavailable(err error) error {
	if !errors.Is(err, errDown) {
		return err
	}
	e := host.Errorf(host.CodeUnavailable, "the cache cannot be reached").WithHint("try again in a moment")
	e.RetryAfter = time.Second
	return e
}

// Polls of GetOrLock: how long it sleeps between two looks.
const (
	firstNap = 2 * time.Millisecond
	lastNap  = 50 * time.Millisecond
)

// Answer of GetOrLock: a value, a lock, or neither.
type Answer struct {
	Value []byte
	Found bool
	Lock  string
}

// GetOrLock returns the value of a key, or a lock with which the caller makes
// the value. While somebody else has the lock it waits for the value; after
// wait it returns neither. Without a cache everybody gets a lock.
func (s *Store) GetOrLock(ctx context.Context, p Place, key string, lock, wait time.Duration) (Answer, error) {
	if lock <= 0 {
		lock = 10 * time.Second
	}
	lock = min(lock, cachev1.MaxLockSeconds*time.Second)
	token := host.NewID("l")
	until := time.Now().Add(wait)
	for nap := firstNap; ; nap = min(2*nap, lastNap) {
		value, found, err := s.Get(ctx, p, key)
		if err != nil || found {
			return Answer{Value: value, Found: found}, err
		}
		taken := false
		err = s.try(ctx, func() error {
			taken, err = s.driver.Lock(ctx, p, key, token, lock)
			return err
		})
		switch {
		case taken, errors.Is(err, errDown):
			return s.again(ctx, p, key, token)
		case err != nil:
			return Answer{}, err
		}
		left := time.Until(until)
		if left <= 0 {
			return Answer{}, nil
		}
		select {
		case <-time.After(min(nap, left)):
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
	}
}

// again looks once more after the lock was taken: the one who had it before may
// have stored the value between the look and the lock.
func (s *Store) again(ctx context.Context, p Place, key, token string) (Answer, error) {
	value, found, err := s.Get(ctx, p, key)
	if err != nil || !found {
		return Answer{Lock: token}, err
	}
	// Storing what is there gives the lock back.
	_ = s.try(ctx, func() error {
		_, err := s.driver.Lock(ctx, p, key, token, time.Millisecond)
		return err
	})
	return Answer{Value: value, Found: true}, nil
}

// Drop removes everything that an instance keeps. A cache that cannot be
// reached is no obstacle: what it holds dies of age.
func (s *Store) Drop(ctx context.Context, t host.TenantID, instance string) error {
	err := s.try(ctx, func() error { return s.driver.Drop(ctx, Place{Tenant: t, Instance: instance}) })
	if errors.Is(err, errDown) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("dropping cached values: %w", err)
	}
	return nil
}

func checkKey(key string) error {
	if key == "" || len(key) > cachev1.MaxKeyBytes {
		return host.Errorf(host.CodeInvalid, "the key has %d bytes; it must have 1 to %d", len(key), cachev1.MaxKeyBytes)
	}
	return nil
}
