// Package driver is what a storage technology implements to carry the blob
// port. Only drivers, package blob and their suite (drivertest) import it.
//
// A driver keeps chunks: pieces of objects, named by the SHA-256 of what they
// hold. What an object is, who may have how much, and which chunks are still
// needed is decided in package blob.
package driver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// Digest names a chunk.
type Digest [sha256.Size]byte

// String returns the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Of returns the digest of a chunk.
func Of(chunk []byte) Digest { return sha256.Sum256(chunk) }

// Place is where chunks are kept: apart for each instance of each tenant.
type Place struct {
	Tenant   host.TenantID
	Instance string
}

var instance = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Valid reports whether the place can be part of a file's path.
func (p Place) Valid() bool { return p.Tenant.Valid() && instance.MatchString(p.Instance) }

// Driver is one place for the chunks of all tenants. Its methods may be called
// at any time from any goroutine.
type Driver interface {
	// Put keeps a chunk. It is durable when Put returns, appears whole or not
	// at all, and its age begins anew where it was there already.
	Put(ctx context.Context, p Place, d Digest, chunk []byte) error
	// Get returns a chunk. CodeNotFound: it is not there.
	Get(ctx context.Context, p Place, d Digest) ([]byte, error)
	// Old calls f with chunks of a place that were put before a time, some at a
	// time, until f fails.
	Old(ctx context.Context, p Place, before time.Time, f func([]Digest) error) error
	// Remove removes a chunk unless it was put again since before.
	Remove(ctx context.Context, p Place, d Digest, before time.Time) error
	// Drop removes all chunks of a place, and DropTenant those of all places of
	// a tenant. What is not there is removed already.
	Drop(ctx context.Context, p Place) error
	DropTenant(ctx context.Context, t host.TenantID) error
}
