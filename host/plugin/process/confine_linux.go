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
