// Package kv is the host service kv/v1: a small key-value store that belongs
// to one instance (one plugin in one tenant), with a quota.
package kv

const (
	// Name is the service's name in manifests and calls.
	Name = "kv/v1"

	MethodGet    = "get"    // GetRequest -> GetResponse
	MethodSet    = "set"    // SetRequest -> nothing
	MethodDelete = "delete" // DeleteRequest -> nothing
	MethodList   = "list"   // ListRequest -> ListResponse
)

// MaxKeyBytes is the longest key.
const MaxKeyBytes = 512

// GetRequest names the key to read.
type GetRequest struct {
	Key string `json:"key"`
}

// GetResponse has Found false where the key does not exist or has expired.
type GetResponse struct {
	Found bool   `json:"found"`
	Value []byte `json:"value,omitempty"`
}

// SetRequest stores Value; TTLSeconds 0 keeps it until it is deleted.
type SetRequest struct {
	Key        string `json:"key"`
	Value      []byte `json:"value"`
	TTLSeconds int    `json:"ttlSeconds,omitempty"`
}

// DeleteRequest names the key to remove.
type DeleteRequest struct {
	Key string `json:"key"`
}

// ListRequest asks for keys with a prefix, in order, after After.
type ListRequest struct {
	Prefix string `json:"prefix,omitempty"`
	After  string `json:"after,omitempty"`
	Limit  int    `json:"limit,omitempty"` // at most 1000, 0 means 100
}

// ListResponse is one page of keys.
type ListResponse struct {
	Keys []string `json:"keys"`
	// Next is what to pass as After for the next page, or empty.
	Next string `json:"next,omitempty"`
}
