// Package rediscache is the cache port's driver for Redis: one cache for
// several hosts. Only cmd/callboard and tests import it. How much all tenants
// may use together is Redis's own maxmemory; with maxmemory-policy allkeys-lru
// it drops what was used longest ago.
package rediscache

import (
	"context"
	_ "embed"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/cache/driver"
)

// Cache is the driver.
type Cache struct {
	client  *redis.Client
	set     *redis.Script
	incr    *redis.Script
	drop    *redis.Script
	discard *redis.Script
}

var _ driver.Driver = (*Cache)(nil)

// What each script shares: making room, and keeping count. A place has five
// kinds of keys under one hash tag, so that they live on one node of a cluster:
// v: values, l: locks, and for making room s (sizes by key), o (keys by when
// they were set) and u (bytes in use).
//
//go:embed set.lua
var setScript string

//go:embed incr.lua
var incrScript string

//go:embed drop.lua
var dropScript string

//go:embed delete.lua
var deleteScript string

// patience is how long one command may take: a cache that is slower than what
// it saves is none.
const patience = 500 * time.Millisecond

// New returns the driver for a Redis URL: redis:// or rediss://. It connects at
// the first use.
func New(url string) (*Cache, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		// The cause would show the URL, and with it the password.
		return nil, host.Errorf(host.CodeInvalid, "the redis-url cannot be read").WithHint("write redis://[user:password@]host:port[/number], or rediss:// for TLS")
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = patience, patience, patience
	options.MaxRetries = 1
	options.ContextTimeoutEnabled = true
	return &Cache{
		client: redis.NewClient(options), set: redis.NewScript(setScript), incr: redis.NewScript(incrScript),
		drop: redis.NewScript(dropScript), discard: redis.NewScript(deleteScript),
	}, nil
}

// Close closes the connections.
func (c *Cache) Close() error { return c.client.Close() }

// Ping tells whether Redis answers.
func (c *Cache) Ping(ctx context.Context) error { return c.client.Ping(ctx).Err() }

// base begins all keys of a place.
func base(p driver.Place) string { return "callboard:{" + string(p.Tenant) + "/" + p.Instance + "}:" }

// Get returns the value of a key.
func (c *Cache) Get(ctx context.Context, p driver.Place, key string) ([]byte, bool, error) {
	value, err := c.client.Get(ctx, base(p)+"v:"+key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	return value, err == nil, err
}

// overhead is about what a value takes beside its bytes and its key's.
const overhead = 256

// Set keeps a value.
func (c *Cache) Set(ctx context.Context, p driver.Place, i driver.Item) (bool, error) {
	b := base(p)
	kept, err := c.set.Run(ctx, c.client, []string{b + "v:" + i.Key, b + "l:" + i.Key, b + "s", b + "o", b + "u"},
		i.Key, i.Value, i.TTL.Milliseconds(), len(i.Key)+len(i.Value)+overhead, i.Quota, time.Now().UnixMicro(), i.Lock, b+"v:").Int()
	return kept == 1, err
}

// Delete removes a key.
func (c *Cache) Delete(ctx context.Context, p driver.Place, key string) error {
	b := base(p)
	return c.discard.Run(ctx, c.client, []string{b + "v:" + key, b + "s", b + "o", b + "u"}, key).Err()
}

// Incr adds to a number.
func (c *Cache) Incr(ctx context.Context, p driver.Place, i driver.Item, by int64) (int64, error) {
	b := base(p)
	text, err := c.incr.Run(ctx, c.client, []string{b + "v:" + i.Key, b + "l:" + i.Key, b + "s", b + "o", b + "u"},
		i.Key, by, i.TTL.Milliseconds(), len(i.Key)+20+overhead, i.Quota, time.Now().UnixMicro(), "", b+"v:").Text()
	if err != nil {
		switch message := err.Error(); {
		case strings.Contains(message, "not an integer"):
			return 0, host.Errorf(host.CodeConflict, "the value of %q is not a number", i.Key)
		case strings.Contains(message, "overflow"):
			return 0, host.Errorf(host.CodeInvalid, "the number in %q would be too large", i.Key)
		}
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// Lock takes the lock of a key.
func (c *Cache) Lock(ctx context.Context, p driver.Place, key, token string, ttl time.Duration) (bool, error) {
	name := base(p) + "l:" + key
	taken, err := c.client.SetNX(ctx, name, token, ttl).Result()
	if err != nil || taken {
		return taken, err
	}
	holder, err := c.client.Get(ctx, name).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil // it ended just now: the next look takes it
	}
	if err != nil || holder != token {
		return false, err
	}
	return true, c.client.PExpire(ctx, name, ttl).Err()
}

// Drop removes everything of a place. Locks end by themselves.
func (c *Cache) Drop(ctx context.Context, p driver.Place) error {
	b := base(p)
	return c.drop.Run(ctx, c.client, []string{b + "s", b + "o", b + "u"}, b+"v:").Err()
}
