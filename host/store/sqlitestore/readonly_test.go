package sqlitestore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/sqlitestore"
)

// openVar makes the test binary a child that opens the directory it names.
const openVar = "CALLBOARD_SQLITESTORE_OPEN"

// nobody is a user that owns nothing: root may write to read-only directories.
const nobody = 65534

var longAgo = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// openAsChild opens and migrates a store and prints code and error.
func openAsChild(dir string) int {
	ctx := context.Background()
	db, err := store.Open(ctx, sqlitestore.New(sqlitestore.Settings{Dir: dir}), store.Settings{})
	if err == nil {
		err = db.Migrate(ctx, nil)
	}
	fmt.Println(host.CodeOf(err), err)
	return 0
}

func TestReadOnlyDirectoryIsExplained(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"empty":     func(*testing.T, string) {},
		"with data": func(t *testing.T, dir string) { _ = open(t, dir).Close() },
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "callboard-readonly-*") // t.TempDir lies below a private directory
			if err != nil {
				t.Fatal(err)
			}
			prepare(t, dir)
			setModes(t, dir, 0o555, 0o444)
			t.Cleanup(func() {
				setModes(t, dir, 0o755, 0o644)
				_ = os.RemoveAll(dir) // only tidies up
			})
			out := openIn(t, dir)
			if !strings.HasPrefix(out, string(host.CodeUnavailable)) || !strings.Contains(out, dir) || !strings.Contains(out, "--data") {
				t.Errorf("the error says %q, not which directory and what to do", out)
			}
		})
	}
}

func setModes(t *testing.T, root string, dirs, files os.FileMode) {
	t.Helper()
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if info.IsDir() {
			return os.Chmod(path, dirs)
		}
		return os.Chmod(path, files)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// openIn opens dir in another process, as a user whom modes bind.
func openIn(t *testing.T, dir string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	if os.Getuid() == 0 {
		exe = copyFor(t, exe)
		cmd = exec.Command(exe)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	cmd.Dir = "/"
	cmd.Env = []string{openVar + "=" + dir}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// copyFor puts the test binary where every user may run it.
func copyFor(t *testing.T, exe string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "callboard-exe-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // only tidies up
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "test")
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}
