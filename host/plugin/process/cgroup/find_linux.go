package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNone says that no part of the tree belongs to this process.
var ErrNone = errors.New("no control groups were given to this process")

// mount is where the tree of version 2 is.
const mount = "/sys/fs/cgroup"

// delegated is the mark that systemd sets on what it gives away.
const delegated = "user.delegate"

// Find opens the host's part of the tree: the group above the host's own, where
// the service manager says that it was given away.
func Find() (*Tree, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	return find(mount, string(own), func(dir string) bool {
		value := make([]byte, 8)
		n, err := unix.Getxattr(dir, delegated, value)
		return err == nil && string(value[:n]) == "1"
	})
}

func find(mount, own string, given func(dir string) bool) (*Tree, error) {
	for line := range strings.Lines(own) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok || path == "/" {
			continue
		}
		if dir := filepath.Dir(filepath.Join(mount, filepath.Clean(path))); given(dir) {
			return openAt(dir)
		}
	}
	return nil, ErrNone
}
