package sqlitestore

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/callboard-dev/callboard/host"
)

func TestExplainOfTheFileSystem(t *testing.T) {
	drv := New(Settings{Dir: "/data"})
	for name, cause := range map[string]error{
		"no permission": fs.ErrPermission, "read-only file system": syscall.EROFS, "full disk": syscall.ENOSPC,
	} {
		t.Run(name, func(t *testing.T) {
			e := drv.Explain(fmt.Errorf("writing: %w", cause))
			if e == nil || e.Code != host.CodeUnavailable || !strings.Contains(e.Message, "/data") || e.Hint == "" {
				t.Errorf("got %v, want what is wrong with /data", e)
			}
		})
	}
	if e := drv.Explain(errors.New("something else")); e != nil {
		t.Errorf("an unknown error became %v", e)
	}
}

func TestFaultsSayWhatToDo(t *testing.T) {
	for code, f := range faults {
		if f.message == "" || f.hint == "" && f.code != host.CodeConflict {
			t.Errorf("result code %d has no message or hint: %+v", code, f)
		}
	}
}
