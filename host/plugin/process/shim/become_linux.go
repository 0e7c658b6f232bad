package shim

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// become puts on all layers and executes the program. It returns where a layer
// that must be there cannot be put on.
func become(p Policy, report *os.File) error {
	// What follows belongs to this thread, which is the one that executes.
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	unix.CloseOnExec(ProgramFD)
	unix.CloseOnExec(ReportFD)
	if err := unix.CloseRange(ReportFD+1, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("closing inherited files: %w", err)
	}
	unix.Umask(0o077)
	if err := unix.Chdir(p.Dir); err != nil {
		return fmt.Errorf("entering the plugin's folder: %w", err)
	}
	// Whatever allocates comes before the memory limits: they may be below
	// what this program holds.
	e, err := prepare(p)
	if err != nil {
		return err
	}
	if err := limitMost(p); err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up new privileges: %w", err)
	}
	lacking, err := confineFiles(p)
	if err != nil {
		return err
	}
	say(report, Report{Lacking: lacking})
	step, code := e.leap()
	return fmt.Errorf("%s: %w", step, code)
}

// limitMost sets the limits that this program itself can live with.
func limitMost(p Policy) error {
	for name, limit := range map[int]uint64{
		unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: p.Files, unix.RLIMIT_FSIZE: p.FileBytes, unix.RLIMIT_NPROC: p.Tasks,
		unix.RLIMIT_MEMLOCK: 64 << 10, unix.RLIMIT_MSGQUEUE: 0, unix.RLIMIT_RTPRIO: 0,
	} {
		if err := lower(name, limit); err != nil {
			return fmt.Errorf("setting resource limit %d to %d: %w", name, limit, err)
		}
	}
	return nil
}

// lower sets a limit, or leaves a lower one that is there already.
func lower(name int, limit uint64) error {
	var is unix.Rlimit
	if err := unix.Getrlimit(name, &is); err != nil {
		return err
	}
	limit = min(limit, is.Max)
	return unix.Prlimit(0, name, &unix.Rlimit{Cur: limit, Max: limit}, nil)
}

// dropCapabilities makes sure that the program has none, root or not.
func dropCapabilities() error {
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
			break // past the last one, or a user who cannot give capabilities on
		}
		if err != nil {
			return fmt.Errorf("dropping capability %d: %w", capability, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("dropping ambient capabilities: %w", err)
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return fmt.Errorf("reading the capabilities: %w", err)
	}
	if data[0].Inheritable|data[1].Inheritable == 0 {
		return nil // a service manager may refuse even to ask
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	if err := unix.Capset(&head, &data[0]); err != nil {
		return fmt.Errorf("dropping inheritable capabilities: %w", err)
	}
	return nil
}

// execution is all that the last system calls need, so that nothing has to be
// allocated once memory is limited.
type execution struct {
	path         *byte
	argv, envv   []*byte
	filter       []unix.SockFilter
	program      unix.SockFprog
	space, store unix.Rlimit
}

// prepare lays everything down for leap.
func prepare(p Policy) (*execution, error) {
	e := &execution{space: unix.Rlimit{Cur: p.Space, Max: p.Space}, store: unix.Rlimit{Cur: p.Memory, Max: p.Memory}}
	var err error
	// By the open file, not by its name: it is the one whose checksum was
	// taken.
	if e.path, err = syscall.BytePtrFromString(fmt.Sprintf("/proc/self/fd/%d", ProgramFD)); err != nil {
		return nil, err
	}
	if e.argv, err = syscall.SlicePtrFromStrings([]string{p.Name}); err != nil {
		return nil, err
	}
	if e.envv, err = syscall.SlicePtrFromStrings(os.Environ()); err != nil {
		return nil, err
	}
	if e.filter, err = filter(os.Getpid()); err != nil {
		return nil, err
	}
	e.program = unix.SockFprog{Len: uint16(len(e.filter)), Filter: &e.filter[0]} //nolint:gosec // filter refuses more than 4096
	return e, nil
}

// leap limits memory, loads the system call filter and executes the program.
// It returns the step that failed.
func (e *execution) leap() (step string, code error) {
	raw := func(trap, a, b, c, d uintptr) syscall.Errno {
		_, _, code := syscall.RawSyscall6(trap, a, b, c, d, 0, 0)
		return code
	}
	if code := raw(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_AS, uintptr(unsafe.Pointer(&e.space)), 0); code != 0 {
		return "limiting the address space", code
	}
	if code := raw(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_DATA, uintptr(unsafe.Pointer(&e.store)), 0); code != 0 {
		return "limiting the memory", code
	}
	if code := raw(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&e.program)), 0); code != 0 {
		return "loading the system call filter (seccomp)", code
	}
	code = raw(unix.SYS_EXECVE, uintptr(unsafe.Pointer(e.path)), uintptr(unsafe.Pointer(&e.argv[0])), uintptr(unsafe.Pointer(&e.envv[0])), 0)
	runtime.KeepAlive(e)
	return "executing the program", code
}
