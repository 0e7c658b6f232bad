// Package credential makes and reads the secrets that the portal hands out: API
// tokens, browser sessions and one-time links. It stores nothing: a credential
// leaves as text once, and only its Hash is kept.
//
// The text is stable, so that secret scanners can know it:
//
//	cb_abcdefghijkl_mnopqrstuvwxyz234567abcdefghijklmnopqrs
//	|  |            |                               |
//	|  id, public   160 random bits                 checksum of all before it
//	kind
package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/callboard-dev/callboard/host"
)

// Kind is the prefix that tells credentials apart. One kind is never accepted
// in the place of another.
type Kind string

// The kinds of credentials.
const (
	KindToken   Kind = "cb"
	KindSession Kind = "cbs"
	KindLink    Kind = "cbl"
)

const (
	alphabet  = "abcdefghijklmnopqrstuvwxyz234567"
	idLen     = 12 // 60 bits
	secretLen = 32 // 160 bits
	checkLen  = 7  // 32 bits, rounded up
)

// Hash is what the store keeps of a credential. The credential has 160 random
// bits, so a plain SHA-256 cannot be turned back by guessing.
type Hash [sha256.Size]byte

// Sum returns the Hash of a credential's text, whatever its form.
func Sum(text string) Hash {
	// A credential fits on the stack; every request comes by here.
	var short [96]byte
	if len(text) > len(short) {
		return sha256.Sum256([]byte(text))
	}
	return sha256.Sum256(short[:copy(short[:], text)])
}

// Credential is a freshly made secret.
type Credential struct {
	// ID names the credential in lists and logs; it is no secret.
	ID string
	// Text is the secret itself. It is shown once and never stored.
	Text string
}

// New makes a credential from the system's random source.
func New(kind Kind) Credential {
	id, secret := letters(idLen), letters(secretLen)
	text := string(kind) + "_" + id + "_" + secret
	return Credential{ID: id, Text: text + checksum(text)}
}

// Hash returns what to store of the credential.
func (c Credential) Hash() Hash { return Sum(c.Text) }

// Parse returns the public id within a credential's text, or an Error of
// CodeUnauthenticated that says in which way the text is no credential of this
// kind. The error never repeats the text.
func Parse(kind Kind, text string) (id string, err error) {
	rest, ok := strings.CutPrefix(text, string(kind)+"_")
	if !ok {
		return "", malformed("it does not begin with %q", string(kind)+"_")
	}
	if len(rest) != idLen+1+secretLen+checkLen {
		return "", malformed("its length is not right; perhaps a part was not copied")
	}
	if rest[idLen] != '_' || !plain(rest[:idLen]) || !plain(rest[idLen+1:]) {
		return "", malformed("it has characters that none has")
	}
	cut := len(text) - checkLen
	if checksum(text[:cut]) != text[cut:] {
		return "", malformed("its checksum is not right; perhaps a character was mistyped")
	}
	return rest[:idLen], nil
}

// Mask returns a text for logs and lists in place of a credential: its kind and
// id where it has them, and nothing of the secret.
func Mask(text string) string {
	for _, k := range []Kind{KindToken, KindSession, KindLink} {
		if id, err := Parse(k, text); err == nil {
			return string(k) + "_" + id + "_…"
		}
	}
	if text == "" {
		return ""
	}
	return "…"
}

func malformed(format string, args ...any) error {
	return host.Errorf(host.CodeUnauthenticated, "This is not a credential of the portal: "+format+".", args...).
		WithHint("Copy it again, or make a new one.")
}

// letters returns n random characters of the alphabet, 5 bits each.
func letters(n int) string {
	b := make([]byte, n)
	// crypto/rand.Read never fails: it stops the program instead.
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]&31]
	}
	return string(b)
}

func checksum(s string) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(s)))
	return base32.NewEncoding(alphabet).WithPadding(base32.NoPadding).EncodeToString(sum[:])
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
