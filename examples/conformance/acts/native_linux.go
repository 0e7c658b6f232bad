package acts

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"github.com/callboard-dev/callboard/sdk"
)

// native are the acts that only a process could try.
func native() map[string]act {
	var counted atomic.Int64 // the "count"s that this process has seen
	return map[string]act{
		"count":    func(*sdk.Context, Request) (any, error) { return counted.Add(1), nil },
		"pid":      func(*sdk.Context, Request) (any, error) { return os.Getpid(), nil },
		"socket":   tries(func(r Request) error { return closing(syscall.Socket(r.N, syscall.SOCK_STREAM, 0)) }),
		"datagram": tries(func(Request) error { return closing(syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)) }),
		"dial":     tries(dial),
		"ptrace":   tries(func(Request) error { return syscall.PtraceAttach(os.Getppid()) }),
		"kill":     tries(func(Request) error { return syscall.Kill(os.Getppid(), 0) }),
		"child":    tries(func(r Request) error { return exec.Command(r.Text).Run() }),
		"become":   tries(func(r Request) error { return syscall.Exec(r.Text, []string{"stranger"}, nil) }),
		"dropped":  tries(dropped),
		"mount":    tries(func(Request) error { return syscall.Mount("none", os.TempDir(), "tmpfs", 0, "") }),
		"unshare":  tries(func(Request) error { return syscall.Unshare(syscall.CLONE_NEWUSER) }),
		"chmod":    tries(func(r Request) error { return os.Chmod(r.Text, 0o777) }),
		"write":    tries(func(r Request) error { return os.WriteFile(r.Text, []byte("x"), 0o600) }),
		"scratch":  tries(func(Request) error { return os.WriteFile(filepath.Join(os.TempDir(), "note"), []byte("x"), 0o600) }),
		"number":   func(_ *sdk.Context, r Request) (any, error) { return number(r.N), nil },
		"limit":    tries(func(r Request) error { return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 1, Max: 1}) }),
		"map":      func(_ *sdk.Context, r Request) (any, error) { return mapShared(r.N), nil },
		"collect":  func(*sdk.Context, Request) (any, error) { debug.FreeOSMemory(); return true, nil },
	}
}

// tries answers with the name of the error that an attempt ends with, or "".
func tries(attempt func(Request) error) act {
	return func(_ *sdk.Context, r Request) (any, error) {
		err := attempt(r)
		var code syscall.Errno
		switch {
		case err == nil:
			return "", nil
		case errors.As(err, &code):
			return code.Error(), nil
		default:
			return err.Error(), nil
		}
	}
}

func closing(fd int, err error) error {
	if err != nil {
		return err
	}
	return syscall.Close(fd)
}

func dial(r Request) error {
	c, err := net.Dial("unix", r.Text)
	if err != nil {
		return err
	}
	return c.Close()
}

// dropped writes a program into the process's own folder and executes it.
func dropped(Request) error {
	file := filepath.Join(os.TempDir(), "program")
	if err := os.WriteFile(file, []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
		return err
	}
	return syscall.Exec(file, []string{file}, nil)
}

// number makes a system call by its number, without arguments.
func number(n int) string {
	_, _, code := syscall.RawSyscall(uintptr(n), 0, 0, 0)
	if code == 0 {
		return ""
	}
	return code.Error()
}

// mapShared maps n MiB that other processes could share, which no limit of
// private memory counts.
func mapShared(n int) bool {
	b, err := syscall.Mmap(-1, 0, n<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_ANONYMOUS)
	if err != nil {
		return false
	}
	return syscall.Munmap(b) == nil
}
