package folderblob_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob/driver"
	"github.com/callboard-dev/callboard/host/blob/drivertest"
	"github.com/callboard-dev/callboard/host/blob/folderblob"
)

func open(t *testing.T, dir string, now func() time.Time) *folderblob.Folder {
	t.Helper()
	f, err := folderblob.New(folderblob.Settings{Dir: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFolder(t *testing.T) {
	drivertest.Run(t, func(t *testing.T, now func() time.Time) driver.Driver {
		return open(t, filepath.Join(t.TempDir(), "blobs"), now)
	})
}

func TestDraftsOfTheDeadAreSwept(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, nil)
	p := driver.Place{Tenant: host.NewTenantID(), Instance: "i1"}
	d := driver.Of([]byte("a"))
	if err := f.Put(t.Context(), p, d, []byte("a")); err != nil {
		t.Fatal(err)
	}
	draft := filepath.Join(dir, string(p.Tenant), "i1", d.String()[:2], ".draft-1")
	if err := os.WriteFile(draft, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	var found []driver.Digest
	err := f.Old(t.Context(), p, time.Now().Add(time.Hour), func(list []driver.Digest) error { found = append(found, list...); return nil })
	if err != nil || len(found) != 1 {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := os.Stat(draft); !os.IsNotExist(err) {
		t.Errorf("the draft is still there: %v", err)
	}
}

func TestAFolderThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := folderblob.New(folderblob.Settings{Dir: filepath.Join(file, "blobs")}); host.CodeOf(err) != host.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}
