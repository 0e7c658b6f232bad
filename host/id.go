package host

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// TenantID is "t" and 16 lower-case base32 characters. It is safe in file
// names, schema names and role names, and tells nothing about the tenant.
type TenantID string

// NewTenantID returns a random TenantID of 80 bits.
func NewTenantID() TenantID { return TenantID(NewID("t")[:17]) }

// Valid reports whether id has the form of a TenantID.
func (id TenantID) Valid() bool {
	if len(id) != 17 || id[0] != 't' {
		return false
	}
	for i := 1; i < len(id); i++ {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// NewID returns prefix and 26 lower-case base32 characters: 130 random bits.
func NewID(prefix string) string {
	var b [17]byte
	// crypto/rand.Read never fails: it stops the program instead.
	_, _ = rand.Read(b[:])
	enc := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
	return prefix + strings.ToLower(enc[:26])
}
