// Package kv is a small store that belongs to one plugin in one tenant: the
// host service kv/v1. What it may hold is the quota of the permission in
// plugin.yaml; a write beyond it is CodeLimit.
package kv

import (
	"context"
	"iter"
	"time"

	"github.com/callboard-dev/callboard/schemas/codec"
	v1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// MaxKeyBytes is the longest key.
const MaxKeyBytes = v1.MaxKeyBytes

// Forever is the time to live of a value that stays until it is deleted.
const Forever time.Duration = 0

// Get returns the value of a key; found is false where there is none or it has
// expired.
func Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	var out v1.GetResponse
	err = sdk.Do(ctx, v1.Name, v1.MethodGet, v1.GetRequest{Key: key}, &out)
	return out.Value, out.Found, err
}

// GetJSON decodes the value of a key into v; found is false where there is
// none, and v is left alone.
func GetJSON(ctx context.Context, key string, v any) (found bool, err error) {
	value, found, err := Get(ctx, key)
	if err != nil || !found {
		return false, err
	}
	if err := codec.Unmarshal(value, v); err != nil {
		return false, sdk.Errorf(sdk.CodeInternal, "decoding the stored value of %q: %w", key, err)
	}
	return true, nil
}

// Set stores a value for the time to live, which counts in whole seconds,
// rounded up; Forever keeps it. A negative one is CodeInvalid.
func Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < 0 {
		return sdk.Errorf(sdk.CodeInvalid, "storing %q: the time to live is negative", key)
	}
	seconds := int((ttl + time.Second - 1) / time.Second)
	return sdk.Do(ctx, v1.Name, v1.MethodSet, v1.SetRequest{Key: key, Value: value, TTLSeconds: seconds}, nil)
}

// SetJSON stores v as JSON.
func SetJSON(ctx context.Context, key string, v any, ttl time.Duration) error {
	value, err := codec.Marshal(v)
	if err != nil {
		return sdk.Errorf(sdk.CodeInternal, "encoding the value of %q: %w", key, err)
	}
	return Set(ctx, key, value, ttl)
}

// Delete removes a key; one that does not exist is no error.
func Delete(ctx context.Context, key string) error {
	return sdk.Do(ctx, v1.Name, v1.MethodDelete, v1.DeleteRequest{Key: key}, nil)
}

// Keys walks the keys with a prefix, in order. An error ends the walk.
func Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		after := ""
		for {
			var out v1.ListResponse
			in := v1.ListRequest{Prefix: prefix, After: after}
			if err := sdk.Do(ctx, v1.Name, v1.MethodList, in, &out); err != nil {
				yield("", err)
				return
			}
			for _, key := range out.Keys {
				if !yield(key, nil) {
					return
				}
			}
			if out.Next == "" {
				return
			}
			after = out.Next
		}
	}
}
