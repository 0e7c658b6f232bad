package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/callboard-dev/callboard/host"
)

const (
	// KeyFile is the name of the key file in the data directory.
	KeyFile = "host.key"
	// keySize is the length of a host key in bytes.
	keySize = 32
	// keyMark begins each line of a key file that holds a key.
	keyMark = "callboard-key-1:"
)

// hostKey is one key of the host; id tells which one sealed a secret.
type hostKey struct {
	id  [4]byte
	key []byte
}

func newHostKey(key []byte) (hostKey, error) {
	if len(key) != keySize {
		return hostKey{}, host.Errorf(host.CodeInvalid, "A host key has %d bytes, not %d.", keySize, len(key)).
			WithHint("Make one with: openssl rand -base64 32")
	}
	sum := sha256.Sum256(append([]byte("callboard key id\x00"), key...))
	return hostKey{id: [4]byte(sum[:4]), key: key}, nil
}

// readOrCreate returns the keys of the file, and makes the file with a new key
// if there is none. Two processes that start at once get the same key.
func readOrCreate(path string) ([]hostKey, error) {
	keys, err := readKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if err := create(path); err != nil {
		return nil, host.Errorf(host.CodeUnavailable, "making the host key file %s: %w", path, err).
			WithHint("The portal needs a data directory that it can write; check its owner and free space.")
	}
	return readKeys(path)
}

// readKeys returns the keys of a file, the newest last.
func readKeys(path string) ([]hostKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, host.Errorf(host.CodeUnavailable, "reading the host key file %s: %w", path, err).
			WithHint("The portal needs a data directory that it can read.")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, host.Errorf(host.CodeInvalid, "The host key file %s can be read by others (mode %04o).", path, info.Mode().Perm()).
			WithHint("Run: chmod 600 %s. If somebody may have read it, replace the secrets of your plugins.", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, host.Errorf(host.CodeUnavailable, "reading the host key file %s: %w", path, err).
			WithHint("It must belong to the user that runs the portal.")
	}
	return parseKeys(path, string(text))
}

func parseKeys(path, text string) ([]hostKey, error) {
	var keys []hostKey
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		rest, ok := strings.CutPrefix(line, keyMark)
		raw, err := base64.StdEncoding.DecodeString(rest)
		if !ok || err != nil {
			return nil, damaged(path, n)
		}
		key, err := newHostKey(raw)
		if err != nil {
			return nil, damaged(path, n)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, damaged(path, n)
	}
	return keys, nil
}

// damaged never repeats the line: it may be most of a key.
func damaged(path string, line int) error {
	return host.Errorf(host.CodeInvalid, "The host key file has no key where one should be.").
		At(fmt.Sprintf("%s:%d", path, line)).
		WithHint("Restore the file from your backup; without it the secrets of plugins cannot be opened.")
}

// create writes a new key file beside its place and links it there, so that the
// file is whole from its first moment and never replaces another.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	key := make([]byte, keySize)
	// crypto/rand.Read never fails: it stops the program instead.
	_, _ = rand.Read(key)
	fresh, err := os.CreateTemp(filepath.Dir(path), KeyFile+".*")
	if err != nil {
		return err
	}
	defer os.Remove(fresh.Name())
	text := "# The key of this portal. Keep a copy apart from the database; never share it.\n" +
		keyMark + base64.StdEncoding.EncodeToString(key) + "\n"
	_, err = fresh.WriteString(text)
	if err := errors.Join(err, fresh.Chmod(0o600), fresh.Sync(), fresh.Close()); err != nil {
		return err
	}
	if err := os.Link(fresh.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// String names the key without giving it away.
func (k hostKey) String() string { return "host key " + hex.EncodeToString(k.id[:]) }
