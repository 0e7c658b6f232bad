package host

import (
	"crypto/rand"
	"encoding/base32"
	"regexp"
	"strings"
)

// TenantID is "t" and 16 lower-case base32 characters. It is safe in file
// names, schema names and role names, and tells nothing about the tenant.
type TenantID string

var tenantID = regexp.MustCompile(`^t[a-z2-7]{16}$`)

// NewTenantID returns a random TenantID of 80 bits.
func NewTenantID() TenantID { return TenantID(NewID("t")[:17]) }

// Valid reports whether id has the form of a TenantID.
func (id TenantID) Valid() bool { return tenantID.MatchString(string(id)) }

// NewID returns prefix and 26 lower-case base32 characters: 130 random bits.
func NewID(prefix string) string {
	var b [17]byte
	// crypto/rand.Read never fails: it stops the program instead.
	_, _ = rand.Read(b[:])
	enc := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
	return prefix + strings.ToLower(enc[:26])
}
