package author

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long after a change more of them are waited for: editors
	// write a file in several steps.
	settle = 40 * time.Millisecond
	// glance is how often the folder is looked at where the system does not
	// tell of changes.
	glance = 300 * time.Millisecond
)

// eyes watch a plugin's folder.
type eyes struct {
	dir     string
	watcher *fsnotify.Watcher // nil where the system does not tell
}

// newEyes opens eyes on the folder and those below it. Where the system has no
// room for more watchers, the folder is looked at from time to time.
func newEyes(dir string) (*eyes, error) {
	e := &eyes{dir: dir}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return e, nil //nolint:nilerr // slower eyes are eyes
	}
	e.watcher = w
	if err := e.add(dir); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return e, nil
}

// Close closes the eyes.
func (e *eyes) Close() error {
	if e.watcher == nil {
		return nil
	}
	return e.watcher.Close()
}

// add watches a folder and those below it, but none that holds no source.
func (e *eyes) add(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone since it was listed
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		if name := entry.Name(); path != e.dir && (strings.HasPrefix(name, ".") || name == "node_modules") {
			return fs.SkipDir
		}
		return e.watcher.Add(path)
	})
}

// wait returns when something may have changed, or with the error of a context
// that ended. At each tick meanwhile it calls then.
func (e *eyes) wait(ctx context.Context, ticks <-chan time.Time, then func()) error {
	var events <-chan fsnotify.Event
	var failures <-chan error
	timer := time.NewTimer(glance)
	defer timer.Stop()
	if e.watcher != nil {
		events, failures = e.watcher.Events, e.watcher.Errors
		timer.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks:
			then()
		case <-timer.C:
			return nil
		case <-failures: // too many events at once: something has changed
			return nil
		case event := <-events:
			if event.Has(fsnotify.Create) {
				// A new folder; a file, or one that is gone again, is none.
				_ = e.add(event.Name)
			}
			if !event.Has(fsnotify.Chmod) {
				timer.Reset(settle)
			}
		}
	}
}

// tail prints what a plugin did on the server since it was asked last.
type tail struct {
	portal *portal
	out    io.Writer
	since  time.Time
	silent bool // the last question failed, and that was said
}

// doings are what the server tells of a plugin.
type doings struct {
	Recent []struct {
		Capability string    `json:"capability"`
		Method     string    `json:"method"`
		At         time.Time `json:"at"`
		TookMillis float64   `json:"tookMillis"`
		Fuel       int64     `json:"fuel"`
		TraceID    string    `json:"traceId"`
		Code       string    `json:"code"`
		Error      string    `json:"error"`
	} `json:"recent"`
	Logs []struct {
		At      time.Time         `json:"at"`
		Level   string            `json:"level"`
		Message string            `json:"message"`
		Fields  map[string]string `json:"fields"`
		TraceID string            `json:"traceId"`
	} `json:"logs"`
}

// print asks and prints. A server that does not answer is said once.
func (t *tail) print(ctx context.Context) {
	if t.portal.plugin == "" {
		return // nothing is installed yet
	}
	lines, newest, err := t.lines(ctx)
	if err != nil {
		if !t.silent && ctx.Err() == nil {
			fmt.Fprintln(t.out, "The server does not say what the plugin does:", err)
		}
		t.silent = true
		return
	}
	t.silent = false
	first := t.since.IsZero() && !t.portal.fresh
	if newest.After(t.since) {
		t.since = newest
	}
	if first {
		return // what was before this command is not its news
	}
	for _, line := range lines {
		fmt.Fprintln(t.out, line)
	}
}
