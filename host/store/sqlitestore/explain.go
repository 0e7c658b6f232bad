package sqlitestore

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/callboard-dev/callboard/host"
)

// fault is what a result code of SQLite means for a person.
type fault struct {
	code    host.Code
	message string
	hint    string
}

// faults maps result codes, extended or primary.
var faults = map[int]fault{
	sqlite3.SQLITE_CONSTRAINT_UNIQUE:     {host.CodeConflict, "it exists already", ""},
	sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: {host.CodeConflict, "it exists already", ""},
	sqlite3.SQLITE_TOOBIG:                {host.CodeTooLarge, "the value is too large for the database", "keep less in one value"},
	sqlite3.SQLITE_BUSY:                  {host.CodeUnavailable, "the database is busy", "another process is writing; try again"},
	sqlite3.SQLITE_FULL:                  {host.CodeUnavailable, "the disk of the data directory is full", "free some space"},
	sqlite3.SQLITE_IOERR:                 {host.CodeUnavailable, "the data directory cannot be read or written", "check the disk and the system log"},
	sqlite3.SQLITE_CANTOPEN:              {host.CodeUnavailable, "a database file cannot be opened", "check that the data directory is there and can be written"},
	sqlite3.SQLITE_READONLY:              {host.CodeInternal, "the database refused a write", "a Read writes nothing; otherwise make the data directory writable"},
	sqlite3.SQLITE_READONLY_DIRECTORY:    {host.CodeUnavailable, "the data directory cannot be written", "make it writable for the user that runs callboard"},
	sqlite3.SQLITE_READONLY_DBMOVED:      {host.CodeUnavailable, "a database file was moved away", "stop callboard before files of the data directory are moved"},
	sqlite3.SQLITE_CORRUPT:               {host.CodeUnavailable, "a database file is damaged", "restore it from a backup"},
	sqlite3.SQLITE_NOTADB:                {host.CodeUnavailable, "a database file is not a database", "restore it from a backup"},
}

// Explain maps SQLite's result codes and the errors of the file system.
func (e *engine) Explain(err error) *host.Error {
	var se *sqlite.Error
	if errors.As(err, &se) {
		f, ok := faults[se.Code()]
		if !ok {
			f, ok = faults[se.Code()&0xff]
		}
		if !ok {
			return nil
		}
		known := &host.Error{Code: f.code, Message: f.message, Hint: f.hint, Err: err}
		if se.Code()&0xff == sqlite3.SQLITE_BUSY {
			known.RetryAfter = time.Second
		}
		return known
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC) {
		known := unwritable(e.settings.Dir, err)
		var he *host.Error
		if errors.As(known, &he) {
			return he
		}
	}
	return nil
}
