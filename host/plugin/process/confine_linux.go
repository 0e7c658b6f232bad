package process

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// confine gives the process a group of its own, and an end when the host ends.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
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

// memoryOf returns how much of a process is mapped and how much is in memory,
// in bytes.
func memoryOf(pid int) (mapped, resident int64, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, 0, err
	}
	words := bytes.Fields(raw)
	if len(words) < 2 {
		return 0, 0, fmt.Errorf("reading %q", raw)
	}
	page := int64(os.Getpagesize())
	m, err := strconv.ParseInt(string(words[0]), 10, 64)
	if err != nil {
		return 0, 0, err
	}
	r, err := strconv.ParseInt(string(words[1]), 10, 64)
	return m * page, r * page, err
}

// capSpace lets a process map room bytes beyond what it has mapped now. A Go
// program maps more than a gigabyte that it never uses; what counts is what
// comes on top of it.
func capSpace(pid int, room int64) error {
	mapped, _, err := memoryOf(pid)
	if err != nil {
		return err
	}
	limit := uint64(mapped + room) //nolint:gosec // both are positive
	return unix.Prlimit(pid, unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit}, nil)
}
