package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// confine gives the process a group of its own, and an end when the host ends.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// beginIn lets the process begin in a control group: there is no moment
// outside of it.
func beginIn(cmd *exec.Cmd, group *os.File) {
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
}

// killGroup ends a process that has not been waited for, and its group.
func killGroup(p *os.Process) {
	_ = unix.Kill(-p.Pid, unix.SIGKILL) // it may have ended just now
	_ = p.Kill()
}

func endingOf(s *os.ProcessState) ending {
	if s == nil {
		return ending{code: -1}
	}
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return ending{code: -1, signal: unix.SignalName(w.Signal())}
	}
	return ending{code: s.ExitCode()}
}

// newLauncher returns what starts processes: always on one thread, which lives
// until stop. The kernel ends a process when the thread that started it ends
// (Pdeathsig), and Go ends threads when it likes.
func newLauncher() (launch func(func() error) error, stop func()) {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range jobs {
			f()
		}
	}()
	launch = func(start func() error) error {
		failed := make(chan error, 1)
		jobs <- func() { failed <- start() }
		return <-failed
	}
	return launch, func() { close(jobs) }
}

// What the folders of hosts' processes are called, and the file in each that
// its host keeps locked as long as it lives.
const (
	rootName = "callboard-plugins-"
	lockName = "host"
)

// staleAfter is how old a folder is at least whose host must have locked it.
const staleAfter = time.Minute

// makeRoot makes the folder of this host's processes, and removes those of
// hosts that were killed.
func makeRoot() (root string, lock *os.File, err error) {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), rootName+"*"))
	if err != nil {
		return "", nil, err
	}
	for _, dir := range found {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		if lock, err := lockRoot(dir); err == nil {
			_ = os.RemoveAll(dir) // tried again by the next host
			_ = lock.Close()
		}
	}
	if root, err = os.MkdirTemp("", rootName); err != nil {
		return "", nil, err
	}
	lock, err = lockRoot(root)
	return root, lock, err
}

// lockRoot locks a folder of processes until the file is closed.
func lockRoot(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// footprint is the memory of a process, in bytes.
type footprint struct {
	mapped, resident, private int64
}

// memoryOf reads what a process has mapped, what of it is in memory, and what
// it can write to alone.
func memoryOf(pid int) (footprint, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return footprint{}, err
	}
	var pages [6]int64 // size resident shared text lib data
	words := bytes.Fields(raw)
	for i := range pages {
		if i >= len(words) {
			return footprint{}, fmt.Errorf("reading the memory of process %d: %q", pid, raw)
		}
		if pages[i], err = strconv.ParseInt(string(words[i]), 10, 64); err != nil {
			return footprint{}, err
		}
	}
	page := int64(os.Getpagesize())
	return footprint{mapped: pages[0] * page, resident: pages[1] * page, private: pages[5] * page}, nil
}

// capMemory lets a process have memory bytes beyond what it has now, when it
// has begun and does nothing. A Go program maps more than a gigabyte, and 32
// MiB that it could write to, which it never uses; what counts is what comes on
// top. Space is capped, too, or memory that could be shared would be free.
func capMemory(pid int, memory int64) error {
	now, err := memoryOf(pid)
	if err != nil {
		return err
	}
	for what, limit := range map[int]int64{unix.RLIMIT_DATA: now.private + memory, unix.RLIMIT_AS: now.mapped + memory + sparedSpace} {
		l := uint64(limit) //nolint:gosec // a sum of sizes
		if err := unix.Prlimit(pid, what, &unix.Rlimit{Cur: l, Max: l}, nil); err != nil {
			return fmt.Errorf("limiting the memory of process %d: %w", pid, err)
		}
	}
	return nil
}
