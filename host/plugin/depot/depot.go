// Package depot keeps the files of releases on disk, one folder for each
// digest. A folder is there completely or not at all, whenever the process was
// killed; its content is checked by whoever reads it. What is in the files is
// not its business.
package depot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
)

const (
	// partial begins the names of folders that are still being written; the
	// writer's process id follows.
	partial = ".partial-"
	// staleAfter is when a folder of a live process is given up all the same:
	// process ids come back.
	staleAfter = 10 * time.Minute
)

var hexDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Depot is a folder of releases. It may be used by any number of goroutines
// and processes.
type Depot struct{ dir string }

// Open opens the depot in dir, makes it if it does not exist, and removes what
// a killed process left half done.
func Open(dir string) (*Depot, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unwritable(dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, unwritable(dir, err)
	}
	for _, e := range entries {
		if abandoned(e) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return nil, unwritable(dir, err)
			}
		}
	}
	return &Depot{dir: dir}, nil
}

// abandoned reports whether e is a folder whose writer was killed.
func abandoned(e fs.DirEntry) bool {
	rest, ok := strings.CutPrefix(e.Name(), partial)
	if !ok {
		return false
	}
	id, _, _ := strings.Cut(rest, "-")
	if pid, err := strconv.Atoi(id); err != nil || !alive(pid) {
		return true
	}
	info, err := e.Info()
	return err == nil && time.Since(info.ModTime()) > staleAfter
}

// Put keeps files under digest. It returns when they would survive a power
// cut. A digest that is there already stays as it is.
func (d *Depot) Put(digest string, files map[string][]byte) error {
	final, err := d.folder(digest)
	if err != nil {
		return err
	}
	if _, err := os.Stat(final); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(d.dir, partial+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return unwritable(d.dir, err)
	}
	defer os.RemoveAll(tmp)
	for name, body := range files {
		if err := write(filepath.Join(tmp, name), body); err != nil {
			return unwritable(d.dir, err)
		}
	}
	if err := syncDir(tmp); err != nil {
		return unwritable(d.dir, err)
	}
	if err := os.Rename(tmp, final); err != nil {
		if _, there := os.Stat(final); there == nil {
			return nil // another goroutine or process was faster
		}
		return unwritable(d.dir, err)
	}
	return syncDir(d.dir)
}

// Read returns a file of a release. The error is fs.ErrNotExist where the
// release or the file is not there.
func (d *Depot) Read(digest, name string) ([]byte, error) {
	folder, err := d.folder(digest)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(folder, filepath.Base(name)))
}

// Remove removes a release; one that is not there is removed already.
func (d *Depot) Remove(digest string) error {
	folder, err := d.folder(digest)
	if err != nil {
		return err
	}
	// The rename makes the removal atomic for readers of the folder's name.
	gone, err := os.MkdirTemp(d.dir, partial+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return unwritable(d.dir, err)
	}
	defer os.RemoveAll(gone)
	if err := os.Rename(folder, filepath.Join(gone, "gone")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unwritable(d.dir, err)
	}
	return nil
}

// Digests lists the releases that are there.
func (d *Depot) Digests() ([]string, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if digest := "sha256:" + e.Name(); e.IsDir() && hexDigest.MatchString(digest) {
			out = append(out, digest)
		}
	}
	return out, nil
}

func (d *Depot) folder(digest string) (string, error) {
	if !hexDigest.MatchString(digest) {
		return "", host.Errorf(host.CodeInvalid, "%q is not a sha256 digest", digest)
	}
	return filepath.Join(d.dir, strings.TrimPrefix(digest, "sha256:")), nil
}

func write(name string, body []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(body); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func unwritable(dir string, err error) error {
	e := host.Errorf(host.CodeUnavailable, "the folder of releases cannot be written: %v", reason(err)).
		WithHint("check that %s exists, belongs to the user that runs callboard and that its disk is not full or read-only", dir)
	e.Err = err
	return e
}

func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", filepath.Base(p.Path), p.Err)
	}
	return err
}
