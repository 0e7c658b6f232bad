// Package cache keeps values that a plugin can do without, for a time: the host
// service cache/v1. The portal may drop any of them at any moment; what must
// stay belongs into kv or table.
//
//	report, err := cache.GetOrMake(ctx, "report", time.Minute, func() ([]byte, error) {
//		return fetchReport(ctx)
//	})
package cache

import (
	"context"
	"time"

	v1 "github.com/callboard-dev/callboard/schemas/service/cache/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// Get returns the value of a key; found is false where there is none.
func Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	var out v1.GetResponse
	value, err = sdk.Exchange(ctx, v1.Name, v1.MethodGet, v1.KeyRequest{Key: key}, nil, &out)
	return value, out.Found, err
}

// Set keeps a value for the time to live, or less. 0 means five minutes; it
// counts in whole seconds, rounded up.
func Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return set(ctx, key, value, ttl, "")
}

func set(ctx context.Context, key string, value []byte, ttl time.Duration, lock string) error {
	_, err := sdk.Exchange(ctx, v1.Name, v1.MethodSet, v1.SetRequest{Key: key, TTLSeconds: seconds(ttl), Lock: lock}, value, nil)
	return err
}

// seconds rounds up, so that a short time never becomes the default.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// Delete removes a key; one that does not exist is no error.
func Delete(ctx context.Context, key string) error {
	return sdk.Do(ctx, v1.Name, v1.MethodDelete, v1.KeyRequest{Key: key}, nil)
}

// Incr adds to a number and returns the sum. A number that is not there begins
// with 0 and lives for the time to live.
func Incr(ctx context.Context, key string, by int64, ttl time.Duration) (int64, error) {
	var out v1.IncrResponse
	err := sdk.Do(ctx, v1.Name, v1.MethodIncr, v1.IncrRequest{Key: key, By: by, TTLSeconds: seconds(ttl)}, &out)
	return out.Value, err
}

// patience is how long GetOrMake waits for a value that another call is making;
// after that it makes its own.
const patience = 3 * time.Second

// GetOrMake returns the value of a key. Where there is none, one of the calls
// that ask for it at the same time makes it, and the others wait for that. An
// error of make is returned and not kept.
func GetOrMake(ctx context.Context, key string, ttl time.Duration, make func() ([]byte, error)) ([]byte, error) {
	var out v1.LockResponse
	in := v1.LockRequest{Key: key, WaitMillis: int(patience.Milliseconds())}
	value, err := sdk.Exchange(ctx, v1.Name, v1.MethodGetOrLock, in, nil, &out)
	if err != nil || out.Found {
		return value, err
	}
	if value, err = make(); err != nil {
		return nil, err
	}
	// A lock that was lost meanwhile is no reason to lose the value.
	if err := set(ctx, key, value, ttl, out.Lock); err != nil && sdk.CodeOf(err) != sdk.CodeConflict {
		return nil, err
	}
	return value, nil
}
