// Package cache is the host service cache/v1: values that an instance (one
// plugin in one tenant) can do without, for a time. The host may drop any of
// them at any moment; what must stay belongs into kv/v1 or table/v1. A value
// travels raw, as the data of the envelope.
package cache

const (
	// Name is the service's name in manifests and calls.
	Name = "cache/v1"

	MethodGet       = "get"       // KeyRequest -> GetResponse with data
	MethodSet       = "set"       // SetRequest with data -> nothing
	MethodDelete    = "delete"    // KeyRequest -> nothing
	MethodIncr      = "incr"      // IncrRequest -> IncrResponse
	MethodGetOrLock = "getOrLock" // LockRequest -> LockResponse with data
)

const (
	// MaxKeyBytes is the longest key.
	MaxKeyBytes = 512
	// MaxValueBytes is the largest value.
	MaxValueBytes = 1 << 20
	// MaxTTLSeconds is the longest time to live: a day. A longer one is cut.
	MaxTTLSeconds = 24 * 60 * 60
	// DefaultTTLSeconds is the time to live where a request does not say.
	DefaultTTLSeconds = 300
	// MaxLockSeconds is the longest time for which getOrLock promises that
	// nobody else gets the same lock.
	MaxLockSeconds = 60
)

// KeyRequest names a key.
type KeyRequest struct {
	Key string `json:"key"`
}

// GetResponse has Found false where there is no value, or not any more.
type GetResponse struct {
	Found bool `json:"found"`
}

// SetRequest stores the data.
type SetRequest struct {
	Key        string `json:"key"`
	TTLSeconds int    `json:"ttlSeconds,omitempty"` // DefaultTTLSeconds if 0
	// Lock, if set, is what getOrLock gave: the value is stored only if the
	// lock is still held, and the lock is given back.
	Lock string `json:"lock,omitempty"`
}

// IncrRequest adds to a number; one that is not there counts as 0.
type IncrRequest struct {
	Key string `json:"key"`
	By  int64  `json:"by"`
	// TTLSeconds is set when the number begins, and not again.
	TTLSeconds int `json:"ttlSeconds,omitempty"`
}

// IncrResponse is the number after it was added to.
type IncrResponse struct {
	Value int64 `json:"value"`
}

// LockRequest asks for a value, or for the right to make it.
type LockRequest struct {
	Key string `json:"key"`
	// LockSeconds is after how long another caller may take the lock; 10 if 0,
	// at most MaxLockSeconds.
	LockSeconds int `json:"lockSeconds,omitempty"`
	// WaitMillis is how long to wait for the value that another caller is
	// making; 0 does not wait. The call's deadline ends it too.
	WaitMillis int `json:"waitMillis,omitempty"`
}

// LockResponse has the value as its data (Found), or a Lock: then the caller
// makes the value and stores it with the lock. With neither, another caller is
// still making it.
type LockResponse struct {
	Found bool   `json:"found"`
	Lock  string `json:"lock,omitempty"`
}
