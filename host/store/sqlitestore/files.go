package sqlitestore

import (
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"

	"github.com/callboard-dev/callboard/host"
)

// prepareDir makes the data directory, for its owner only, and tries to write.
func prepareDir(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "tenants"), 0o700); err != nil {
		return err
	}
	sweep(dir, filepath.Join(dir, "tenants"))
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// draftTime is longer than anybody needs to make an empty database.
const draftTime = time.Hour

// sweep removes what processes that died while they made a file have left. What
// cannot be removed does no harm, so errors are of no interest.
func sweep(dirs ...string) {
	for _, dir := range dirs {
		left, _ := filepath.Glob(filepath.Join(dir, ".draft-*")) // the pattern is well-formed
		for _, path := range left {
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > draftTime {
				_ = os.RemoveAll(path)
			}
		}
	}
}

// createFile makes an empty database in WAL mode at path, unless there is one.
// It appears whole or not at all, whoever else is making it or dies meanwhile.
func createFile(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	draft, err := os.MkdirTemp(filepath.Dir(path), ".draft-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(draft) }()
	file := filepath.Join(draft, "empty.db")
	if err := writeEmpty(file); err != nil {
		return err
	}
	if err := os.Link(file, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// writeEmpty makes an empty database, durable and readable by its owner only.
func writeEmpty(file string) (err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c, err := sqlite.NewConnector("file:" + (&url.URL{Path: file}).EscapedPath() + "?_journal_mode=WAL")
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	_, err = db.Exec("PRAGMA user_version = 1") // writes the first page
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir makes names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// unwritable explains why the data directory cannot be used.
func unwritable(dir string, err error) error {
	return host.Errorf(host.CodeUnavailable, "the data directory %s cannot be written: %w", dir, err).
		WithHint("make it writable for user id %d, free some space, or choose another with --data", os.Getuid())
}
