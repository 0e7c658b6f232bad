// Package vault keeps folders of files that must not be changed by anybody
// else, such as machine code: who could write there could run code in the host.
// The vault's folder belongs to the host's user alone (0700), and each box in
// it is sealed: an HMAC-SHA256 over the box's name, what it says of itself and
// the SHA-256 of every file. A box that was changed, cut, filled up with other
// files or renamed is none any more; its owner makes it anew.
package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// sealFile holds a box's seal: the MAC and what it is of, as JSON.
	sealFile = "seal"
	// purpose begins what the MAC is of.
	purpose = "callboard vault 1\n"
	// maxSeal bounds the seal, in bytes, and maxFiles the files of a box.
	maxSeal  = 4 << 20
	maxFiles = 1000
	// partial begins the name of a box that is being filled; after staleAfter
	// nobody does any more.
	partial    = ".partial-"
	staleAfter = time.Hour
)

// Vault is a folder of boxes.
type Vault struct {
	dir string
	key []byte
}

// ErrNone means that there is no box of that name.
var ErrNone = errors.New("there is no such box")

// BrokenError means that a box is not what was sealed.
type BrokenError struct{ Why string }

// Error implements error.
func (e *BrokenError) Error() string { return "the box is not what was sealed: " + e.Why }

// Open makes the folder ready and removes what killed processes left half
// filled. The key is the caller's; whoever has another one finds broken boxes.
func Open(dir string, key []byte) (*Vault, error) {
	if len(key) < 16 {
		return nil, errors.New("the key has less than 16 bytes")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := ownedAlone(dir); err != nil {
		return nil, err
	}
	v := &Vault{dir: dir, key: slices.Clone(key)}
	v.sweep()
	return v, nil
}

// sweep removes what killed processes left half filled.
func (v *Vault) sweep() {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return // the first use finds out by itself
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), partial) && time.Since(info.ModTime()) > staleAfter {
			_ = os.RemoveAll(filepath.Join(v.dir, e.Name())) // tried again at the next start
		}
	}
}

// Has reports whether there is a box of that name. It may be broken.
func (v *Vault) Has(name string) bool {
	_, err := os.Stat(filepath.Join(v.dir, name, sealFile))
	return err == nil
}

// Remove removes all boxes for which the function says so.
func (v *Vault) Remove(which func(name string) bool) error {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && which(e.Name()) {
			errs = append(errs, os.RemoveAll(filepath.Join(v.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// seal is what is known of a box.
type seal struct {
	Name  string `json:"name"`
	Note  []byte `json:"note"` // the owner's
	Files []file `json:"files"`
}

type file struct {
	Name string `json:"name"` // with slashes
	Size int64  `json:"size"`
	Sum  string `json:"sum"` // SHA-256, hexadecimal
}

func (v *Vault) mac(body []byte) []byte {
	h := hmac.New(sha256.New, v.key)
	_, _ = h.Write([]byte(purpose)) // a hash takes everything
	_, _ = h.Write(body)
	return h.Sum(nil)
}

// Draft is a box that is being filled. Dir is where files go; it is empty where
// the disk cannot be written.
type Draft struct {
	Dir   string
	vault *Vault
}

// Draft begins a box.
func (v *Vault) Draft() (*Draft, error) {
	dir, err := os.MkdirTemp(v.dir, partial)
	if err != nil {
		return nil, err
	}
	return &Draft{Dir: dir, vault: v}, nil
}

// Discard removes what was not kept.
func (d *Draft) Discard() error { return os.RemoveAll(d.Dir) }

// Keep seals the draft as the box of that name, in place of one that was there.
// The note is the owner's own.
func (d *Draft) Keep(name string, note []byte) error {
	s := seal{Name: name, Note: note}
	names, err := list(d.Dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		f := file{Name: n}
		if f.Size, f.Sum, err = sum(filepath.Join(d.Dir, filepath.FromSlash(n)), nil); err != nil {
			return err
		}
		s.Files = append(s.Files, f)
	}
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.Dir, sealFile), append(d.vault.mac(body), body...), 0o600); err != nil {
		return err
	}
	to := filepath.Join(d.vault.dir, name)
	if err = os.Rename(d.Dir, to); err == nil {
		return nil
	}
	// A box of that name is there: it goes out of the way first, as a folder
	// that is not empty cannot be replaced.
	old, tempErr := os.MkdirTemp(d.vault.dir, partial)
	if tempErr != nil {
		return errors.Join(err, tempErr)
	}
	moved := os.Rename(to, filepath.Join(old, "old"))
	return errors.Join(os.Rename(d.Dir, to), moved, os.RemoveAll(old))
}

// Box is a box whose seal was right when it was read.
type Box struct {
	// Dir is where its files are.
	Dir string
	// Note is what its owner said of it.
	Note []byte
	// Size is the sum of its files, in bytes.
	Size  int64
	files map[string][]byte
	sizes map[string]int64
}

// Unchanged returns an error if files came, went or changed their size since
// the box was read: for those who hand it to somebody who may write there.
func (b *Box) Unchanged() error {
	have, err := list(b.Dir)
	if err != nil {
		return &BrokenError{err.Error()}
	}
	if len(have) != len(b.sizes) {
		return &BrokenError{"it has other files than when it was read"}
	}
	for _, name := range have {
		info, err := os.Lstat(filepath.Join(b.Dir, filepath.FromSlash(name)))
		if err != nil {
			return &BrokenError{err.Error()}
		}
		if size, ok := b.sizes[name]; !ok || size != info.Size() {
			return &BrokenError{fmt.Sprintf("the file %s was changed after it was read", name)}
		}
	}
	return nil
}

// File returns a file that Read was told to keep, nil if there is none.
func (b *Box) File(name string) []byte { return b.files[name] }

// Read verifies a box and everything in it. It returns the contents of the
// files that are named in keep; the others are where Box.Dir says.
func (v *Vault) Read(name string, keep ...string) (*Box, error) {
	dir := filepath.Join(v.dir, name)
	s, err := v.readSeal(dir, name)
	if err != nil {
		return nil, err
	}
	have, err := list(dir)
	if err != nil {
		return nil, &BrokenError{err.Error()}
	}
	want := make([]string, len(s.Files))
	for i, f := range s.Files {
		want[i] = f.Name
	}
	if !slices.Equal(have, want) {
		return nil, &BrokenError{"it has other files"}
	}
	b := &Box{Dir: dir, Note: s.Note, files: map[string][]byte{}, sizes: map[string]int64{}}
	contents, errs := make([][]byte, len(s.Files)), make([]error, len(s.Files))
	var wg sync.WaitGroup
	for i, f := range s.Files {
		b.Size += f.Size
		b.sizes[f.Name] = f.Size
		wg.Go(func() { contents[i], errs[i] = f.verify(dir, slices.Contains(keep, f.Name)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i, f := range s.Files {
		if contents[i] != nil {
			b.files[f.Name] = contents[i]
		}
	}
	return b, nil
}

func (v *Vault) readSeal(dir, name string) (seal, error) {
	var s seal
	raw, err := readBounded(filepath.Join(dir, sealFile), maxSeal)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, ErrNone
	case err != nil:
		return s, &BrokenError{err.Error()}
	case len(raw) < sha256.Size || !hmac.Equal(raw[:sha256.Size], v.mac(raw[sha256.Size:])):
		return s, &BrokenError{"its seal is wrong"}
	}
	if err := json.Unmarshal(raw[sha256.Size:], &s); err != nil {
		return s, &BrokenError{err.Error()}
	}
	if s.Name != name {
		return s, &BrokenError{fmt.Sprintf("it is the box %q", s.Name)}
	}
	return s, nil
}

// verify compares a file with what was sealed.
func (f file) verify(dir string, keep bool) (content []byte, err error) {
	if keep {
		content = make([]byte, 0, f.Size+1)
	}
	var into *[]byte
	if keep {
		into = &content
	}
	size, s, err := sum(filepath.Join(dir, filepath.FromSlash(f.Name)), into)
	if err != nil {
		return nil, &BrokenError{err.Error()}
	}
	if size != f.Size || s != f.Sum {
		return nil, &BrokenError{fmt.Sprintf("the file %s was changed", f.Name)}
	}
	return content, nil
}

// sum returns the size and the SHA-256 of a file, and its content if asked.
func sum(path string, content *[]byte) (size int64, hexSum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	if content != nil {
		if *content, err = readAll(f, *content); err != nil {
			return 0, "", err
		}
		_, _ = h.Write(*content) // a hash takes everything
		return int64(len(*content)), encode(h), nil
	}
	size, err = io.CopyBuffer(onlyWriter{h}, f, make([]byte, 256<<10))
	return size, encode(h), err
}

func encode(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// onlyWriter hides what would make io.Copy choose another buffer.
type onlyWriter struct{ io.Writer }

// readAll fills the buffer, which has room for one byte more than is expected.
func readAll(f *os.File, into []byte) ([]byte, error) {
	n, err := io.ReadFull(f, into[:cap(into)])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return into[:n], nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = errors.New("the seal is too large")
	}
	return raw, err
}

// list returns the files of a box but its seal, sorted.
func list(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is not a file", d.Name())
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if rel != sealFile {
			out = append(out, filepath.ToSlash(rel))
		}
		if len(out) > maxFiles {
			return errors.New("it has very many files")
		}
		return nil
	})
	slices.Sort(out)
	return out, err
}
