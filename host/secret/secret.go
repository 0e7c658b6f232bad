// Package secret seals what must not be read from a database or a backup alone:
// the credentials that operators give to plugins. It keeps nothing itself; what
// is sealed is stored by its owner.
//
// A host key lies in a file of its own (mode 0600) or is given by the operator.
// From it a key for each tenant is derived, and every sealed value is bound to
// its tenant and name: moved to another place, it does not open.
package secret

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path/filepath"

	"github.com/callboard-dev/callboard/host"
	"golang.org/x/crypto/chacha20poly1305"
)

// version is the first byte of a sealed value: XChaCha20-Poly1305 under a key
// derived by HKDF-SHA-256.
const version = 1

// header is version and key id, before the nonce.
const header = 1 + 4

// Box seals and opens. It is safe for concurrent use.
type Box struct {
	// keys are in the order of their age; the last one seals.
	keys []hostKey
}

// Open returns a Box with the key file of the data directory, which it makes on
// the first start. It refuses a file that others can read.
func Open(dataDir string) (*Box, error) {
	keys, err := readOrCreate(filepath.Join(dataDir, KeyFile))
	if err != nil {
		return nil, err
	}
	return &Box{keys: keys}, nil
}

// New returns a Box with keys of 32 bytes that the operator keeps, the oldest
// first. The last one seals; all of them open.
func New(keys ...[]byte) (*Box, error) {
	if len(keys) == 0 {
		return nil, host.Errorf(host.CodeInvalid, "no host key is given")
	}
	box := &Box{}
	for _, raw := range keys {
		key, err := newHostKey(append([]byte(nil), raw...))
		if err != nil {
			return nil, err
		}
		box.keys = append(box.keys, key)
	}
	return box, nil
}

// Seal encrypts a tenant's secret. The result opens only for the same tenant
// and name, and differs each time.
func (b *Box) Seal(tenant host.TenantID, name string, plaintext []byte) ([]byte, error) {
	key := b.keys[len(b.keys)-1]
	aead, err := key.cipher(tenant)
	if err != nil {
		return nil, err
	}
	out := make([]byte, header+aead.NonceSize(), header+aead.NonceSize()+len(plaintext)+aead.Overhead())
	out[0] = version
	copy(out[1:], key.id[:])
	// crypto/rand.Read never fails: it stops the program instead.
	_, _ = rand.Read(out[header:])
	return aead.Seal(out, out[header:], plaintext, bind(out[:header], tenant, name)), nil
}

// Open decrypts what Seal returned for this tenant and name. An Error of
// CodeInternal says whether the key is another one or the value is not what was
// sealed here; it tells nothing of the value.
func (b *Box) Open(tenant host.TenantID, name string, sealed []byte) ([]byte, error) {
	if len(sealed) < header+chacha20poly1305.NonceSizeX || sealed[0] != version {
		return nil, host.Errorf(host.CodeInternal, "The stored secret %q is not in a form that this version knows.", name).
			WithHint("Enter the secret again.")
	}
	for _, key := range b.keys {
		if key.id != [4]byte(sealed[1:header]) {
			continue
		}
		aead, err := key.cipher(tenant)
		if err != nil {
			return nil, err
		}
		nonce := sealed[header : header+aead.NonceSize()]
		plaintext, err := aead.Open(nil, nonce, sealed[header+aead.NonceSize():], bind(sealed[:header], tenant, name))
		if err != nil {
			return nil, host.Errorf(host.CodeInternal, "The stored secret %q was changed or belongs to another place.", name).
				WithHint("Enter the secret again.")
		}
		return plaintext, nil
	}
	return nil, host.Errorf(host.CodeInternal, "The stored secret %q was sealed with a host key that is not here.", name).
		WithHint("Restore the file %s that belongs to this database, or enter the secret again.", KeyFile)
}

// Derive returns a key of 32 bytes for one purpose of one tenant, always the
// same. It comes from the oldest host key, so that adding a key changes nothing.
func (b *Box) Derive(tenant host.TenantID, purpose string) ([]byte, error) {
	return b.keys[0].derive(tenant, "derive\x00"+purpose)
}

// DeriveHost returns a key of 32 bytes for one purpose of the host itself,
// always the same. It comes from the oldest host key, as Derive's.
func (b *Box) DeriveHost(purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, b.keys[0].key, nil, "callboard host\x00"+purpose, keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving a key: %w", err)
	}
	return key, nil
}

func (k hostKey) cipher(tenant host.TenantID) (cipher.AEAD, error) {
	key, err := k.derive(tenant, "seal")
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}
	return aead, nil
}

func (k hostKey) derive(tenant host.TenantID, purpose string) ([]byte, error) {
	if !tenant.Valid() {
		return nil, host.Errorf(host.CodeInternal, "a key was asked for no tenant")
	}
	key, err := hkdf.Key(sha256.New, k.key, nil, "callboard\x00"+string(tenant)+"\x00"+purpose, keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving a key: %w", err)
	}
	return key, nil
}

// bind returns the additional data: each part with its length before it, so
// that no two places look the same.
func bind(head []byte, tenant host.TenantID, name string) []byte {
	out := append([]byte(nil), head...)
	for _, part := range []string{string(tenant), name} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}
