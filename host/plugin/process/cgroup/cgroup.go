// Package cgroup limits processes of plugins by control groups of version 2,
// where the service manager has given the host a part of the tree: systemd's
// Delegate= with DelegateSubgroup=. Elsewhere it does nothing; the limits of
// package shim stand alone then.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Tree is the part of the tree of control groups that belongs to the host.
type Tree struct {
	dir         string
	controllers []string
}

// wanted are the controllers that are used where they are delegated.
func wanted() []string { return []string{"memory", "pids"} }

// Limits of one group. Zero fields limit nothing.
type Limits struct {
	// Memory is in bytes; Tasks counts threads.
	Memory, Tasks int64
}

// openAt opens the tree in dir and lets its groups have the controllers.
func openAt(dir string) (*Tree, error) {
	have, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil, fmt.Errorf("reading the controllers of %s: %w", dir, err)
	}
	t := &Tree{dir: dir}
	for _, c := range strings.Fields(string(have)) {
		if slices.Contains(wanted(), c) {
			t.controllers = append(t.controllers, c)
		}
	}
	if len(t.controllers) == 0 {
		return nil, fmt.Errorf("%s has none of the controllers %s", dir, strings.Join(wanted(), ", "))
	}
	return t, t.set(dir, "cgroup.subtree_control", "+"+strings.Join(t.controllers, " +"))
}

func (t *Tree) set(dir, name, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// Group is the control group of one process.
type Group struct{ dir string }

// Make makes a group with a name that nobody else uses.
func (t *Tree) Make(name string, l Limits) (*Group, error) {
	g := &Group{dir: filepath.Join(t.dir, "plugin-"+name)}
	if err := os.Mkdir(g.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a control group: %w", err)
	}
	for _, limit := range []struct {
		controller, file, value string
		may                     bool // some kernels lack the file
	}{
		{controller: "memory", file: "memory.max", value: number(l.Memory)},
		{controller: "memory", file: "memory.swap.max", value: "0", may: true},
		{controller: "pids", file: "pids.max", value: number(l.Tasks)},
	} {
		if !slices.Contains(t.controllers, limit.controller) {
			continue
		}
		err := t.set(g.dir, limit.file, limit.value)
		if err != nil && (!limit.may || !errors.Is(err, fs.ErrNotExist)) {
			return nil, errors.Join(err, g.Remove())
		}
	}
	return g, nil
}

// number writes a limit as the kernel reads it.
func number(n int64) string {
	if n <= 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

// Open opens the group's folder, for a process to be started in it.
func (g *Group) Open() (*os.File, error) { return os.Open(g.dir) }

// OutOfMemory reports whether the kernel ended a process of the group because
// its memory was used up.
func (g *Group) OutOfMemory() bool {
	raw, err := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(raw)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strings.TrimSpace(n) != "0"
		}
	}
	return false
}

// Remove removes the group; its processes are gone.
func (g *Group) Remove() error { return os.Remove(g.dir) }
