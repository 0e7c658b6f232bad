// Package driver is what a technology implements to carry the cache port. Only
// drivers, package cache and their suite (drivertest) import it.
package driver

import (
	"context"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// Place is whose values they are: apart for each instance of each tenant.
type Place struct {
	Tenant   host.TenantID
	Instance string
}

// Item is a value to be kept.
type Item struct {
	Key   string
	Value []byte
	// TTL is for how long, at most.
	TTL time.Duration
	// Quota is how many bytes the values of the place may have together; those
	// that were set, or used, longest ago make room.
	Quota int64
	// Lock, if set, is the token of a lock of this key: the value is kept only
	// if it is held, and it is given back.
	Lock string
}

// Driver holds values of all places for a time. It may drop any of them at any
// moment, but what it gives back is what was last set. Its methods may be
// called at any time from any goroutine. An error that is not a *host.Error
// means that the cache cannot be reached.
type Driver interface {
	// Get returns the value of a key.
	Get(ctx context.Context, p Place, key string) (value []byte, found bool, err error)
	// Set keeps a value. kept is false where Item.Lock is not held.
	Set(ctx context.Context, p Place, i Item) (kept bool, err error)
	// Delete removes a key; one that is not there is removed already.
	Delete(ctx context.Context, p Place, key string) error
	// Incr adds by to the number in the item's key and returns the sum; where
	// there is none it begins with 0, and lives for the item's TTL. CodeConflict:
	// the value is not a number; CodeInvalid: the sum is too large.
	Incr(ctx context.Context, p Place, i Item, by int64) (int64, error)
	// Lock takes the lock of a key, under a token, for at most ttl. It waits
	// for nobody.
	Lock(ctx context.Context, p Place, key, token string, ttl time.Duration) (taken bool, err error)
	// Drop removes everything of a place.
	Drop(ctx context.Context, p Place) error
}
