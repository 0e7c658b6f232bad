// Package folderblob is the blob port's driver for a folder on disk: the
// embedded default, for one process. Only cmd/callboard and tests import it.
//
// A chunk is the file <dir>/<tenant>/<instance>/<aa>/<digest>, where aa begins
// the digest. Its time of modification is when it was last put.
package folderblob

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob/driver"
)

// Folder is the driver.
type Folder struct {
	dir string
	now func() time.Time
	// busy lets puts in together and removals alone, so that a chunk that is
	// put again is not removed for its old age.
	busy sync.RWMutex
}

var _ driver.Driver = (*Folder)(nil)

// Settings of a Folder.
type Settings struct {
	// Dir is made where it does not exist. Required.
	Dir string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// New returns the driver for a folder.
func New(s Settings) (*Folder, error) {
	if s.Now == nil {
		s.Now = time.Now
	}
	dir, err := filepath.Abs(s.Dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, host.Errorf(host.CodeUnavailable, "the folder %s for blobs cannot be made: %w", s.Dir, err).
			WithHint("make it writable for user id %d", os.Getuid())
	}
	return &Folder{dir: dir, now: s.Now}, nil
}

func (f *Folder) place(p driver.Place) (string, error) {
	if !p.Valid() {
		return "", host.Errorf(host.CodeInvalid, "%q of tenant %q is no place for blobs", p.Instance, p.Tenant)
	}
	return filepath.Join(f.dir, string(p.Tenant), p.Instance), nil
}

func (f *Folder) path(p driver.Place, d driver.Digest) (string, error) {
	dir, err := f.place(p)
	name := d.String()
	return filepath.Join(dir, name[:2], name), err
}

// Put keeps a chunk.
func (f *Folder) Put(_ context.Context, p driver.Place, d driver.Digest, chunk []byte) error {
	path, err := f.path(p, d)
	if err != nil {
		return err
	}
	f.busy.RLock()
	defer f.busy.RUnlock()
	now := f.now()
	if info, err := os.Stat(path); err == nil && info.Size() == int64(len(chunk)) {
		return full(os.Chtimes(path, now, now))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return full(err)
	}
	return full(writeFile(path, chunk, now))
}

// writeFile writes a file that appears whole, and stays.
func writeFile(path string, b []byte, at time.Time) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".draft-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
		}
	}()
	if _, err = tmp.Write(b); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = os.Chtimes(tmp.Name(), at, at); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return errors.Join(tmp.Close(), syncDir(filepath.Dir(path)))
}

// syncDir makes names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// full explains a disk that takes no more.
func full(err error) error {
	if err == nil {
		return nil
	}
	return host.Errorf(host.CodeUnavailable, "the folder for blobs cannot be written: %w", err).
		WithHint("the operator can free some space on the data directory's disk")
}

// Get returns a chunk.
func (f *Folder) Get(_ context.Context, p driver.Place, d driver.Digest) ([]byte, error) {
	path, err := f.path(p, d)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, host.Errorf(host.CodeNotFound, "there is no chunk %s", d)
	}
	return b, err
}

// batch is how many digests Old hands over at a time.
const batch = 200

// Old calls f with chunks that were put before a time. Drafts that were left
// behind then are removed on the way.
func (f *Folder) Old(ctx context.Context, p driver.Place, before time.Time, found func([]driver.Digest) error) error {
	dir, err := f.place(p)
	if err != nil {
		return err
	}
	var list []driver.Digest
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil || entry.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		info, err := entry.Info()
		if err != nil || !info.ModTime().Before(before) {
			return nil
		}
		var d driver.Digest
		if n, err := hex.Decode(d[:], []byte(clip(entry.Name()))); err != nil || n != len(d) {
			_ = os.Remove(path) // a draft of a process that died
			return nil
		}
		if list = append(list, d); len(list) == batch {
			err, list = found(list), nil
		}
		return err
	})
	if err == nil && len(list) > 0 {
		err = found(list)
	}
	return err
}

// clip bounds a file's name to that of a digest; a longer one is none.
func clip(name string) string {
	if len(name) > 2*len(driver.Digest{}) {
		return ""
	}
	return name
}

// Remove removes a chunk unless it was put again.
func (f *Folder) Remove(_ context.Context, p driver.Place, d driver.Digest, before time.Time) error {
	path, err := f.path(p, d)
	if err != nil {
		return err
	}
	f.busy.Lock()
	defer f.busy.Unlock()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(before) {
		return nil
	}
	return os.Remove(path)
}

// Drop removes all chunks of a place.
func (f *Folder) Drop(_ context.Context, p driver.Place) error {
	dir, err := f.place(p)
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// DropTenant removes all chunks of a tenant.
func (f *Folder) DropTenant(_ context.Context, t host.TenantID) error {
	if !t.Valid() {
		return host.Errorf(host.CodeInvalid, "%q is not a tenant id", t)
	}
	return os.RemoveAll(filepath.Join(f.dir, string(t)))
}
