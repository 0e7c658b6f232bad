package shim

import (
	"fmt"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// denied are system calls that a plugin never needs. Names that an
// architecture does not have are left out there.
func denied() []string {
	return []string{
		// Others' memory and doings.
		"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kcmp",
		"perf_event_open", "userfaultfd", "lookup_dcookie", "tkill", "get_robust_list",
		// Children, and programs that have no name that Landlock could look at.
		"fork", "vfork", "execveat", "memfd_create", "memfd_secret", "setsid", "setpgid",
		// Sockets lead nowhere: the host connects to the plugin, never the other way.
		"connect", "socketpair", "io_uring_setup", "io_uring_enter", "io_uring_register",
		// Memory that the limits do not see, and ways to other processes of the user.
		"shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semctl", "semtimedop", "mq_open", "mq_unlink",
		// The kernel's doors.
		"bpf", "keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module", "create_module", "kexec_load", "kexec_file_load",
		"reboot", "syslog", "acct", "quotactl", "quotactl_fd", "swapon", "swapoff", "nfsservctl", "iopl", "ioperm", "modify_ldt", "vm86", "vhangup",
		"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "sethostname", "setdomainname", "uselib", "ustat", "sysfs", "_sysctl",
		"personality", "fanotify_init", "fanotify_mark", "inotify_init", "inotify_init1", "inotify_add_watch", "move_pages", "migrate_pages", "mbind", "set_mempolicy",
		// Other views of the files.
		"mount", "umount", "umount2", "pivot_root", "chroot", "unshare", "setns", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig",
		"fsmount", "fspick", "name_to_handle_at", "open_by_handle_at",
		// Landlock does not look at who owns a file and what is written about it.
		"chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "utimensat", "futimesat",
		"setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "mknod", "mknodat",
		// The limits are the host's to set.
		"setrlimit", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "capset",
	}
}

// lastKnown is the newest system call that this filter was written for, by the
// numbers that all architectures share from 424 on: cachestat of Linux 6.5.
// What is newer does not exist for a plugin; programs live with that.
const lastKnown = 451

// Prctl options that harm nobody: names of memory and threads.
const (
	prSetVMA     = 0x53564d41
	prSetName    = 15
	prGetName    = 16
	prGetDumped  = 3
	prCapbsetGet = 23
)

// The form of what a filter looks at: struct seccomp_data.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// filter returns the program that answers the system calls of the process pid.
// It begins with what elastic's assembler cannot say safely: that assembler
// lets the calls of a foreign architecture through, and loses the number of a
// call once it has looked at an argument.
func filter(pid int) ([]unix.SockFilter, error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("filtering system calls: %w", err)
	}
	a := &assembler{info: info}
	a.head()
	a.only("socket", 0, unix.AF_UNIX)
	a.without("socket", 1, unix.SOCK_DGRAM) // the bit that raw sockets have, too
	a.with("clone", 0, unix.CLONE_THREAD)
	a.absent("clone3")
	a.only("kill", 0, uint32(pid)) //nolint:gosec // a pid
	a.only("tgkill", 0, uint32(pid))
	a.only("rt_sigqueueinfo", 0, uint32(pid))
	a.only("rt_tgsigqueueinfo", 0, uint32(pid))
	a.only("prctl", 0, prSetVMA, prSetName, prGetName, prGetDumped, prCapbsetGet)
	a.null("prlimit64", 2)
	var names []string
	for _, name := range denied() {
		if _, known := info.SyscallNames[name]; known {
			names = append(names, name)
		}
	}
	policy := seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{{Names: names, Action: refuse(unix.EPERM)}}}
	rest, err := policy.Assemble()
	if err != nil {
		return nil, fmt.Errorf("filtering system calls: %w", err)
	}
	raw, err := bpf.Assemble(append(a.out, rest...))
	if err != nil {
		return nil, fmt.Errorf("filtering system calls: %w", err)
	}
	if len(raw) > 4096 {
		return nil, fmt.Errorf("filtering system calls: the filter has %d steps", len(raw))
	}
	out := make([]unix.SockFilter, 0, len(raw))
	for _, i := range raw {
		out = append(out, unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	return out, nil
}

// refuse is the action that makes a system call fail.
func refuse(code unix.Errno) seccomp.Action { return seccomp.ActionErrno | seccomp.Action(code) }

// assembler writes the rules that look at arguments. Each stands alone: it
// loads what it compares, and falls through to the next.
type assembler struct {
	info *arch.Info
	out  []bpf.Instruction
}

func (a *assembler) add(i ...bpf.Instruction) { a.out = append(a.out, i...) }

func load(offset uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offset, Size: 4} }

// low is where the lower half of an argument is; both architectures are little
// endian. The kernel reads no more of an int.
func low(argument uint32) uint32 { return offArgs + 8*argument }

// head ends the process at calls of a foreign architecture, and hides calls
// that are newer than this filter, or of the 32-bit interface of amd64.
func (a *assembler) head() {
	a.add(
		load(offArch),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(a.info.ID), SkipTrue: 1},
		bpf.RetConstant{Val: uint32(seccomp.ActionKillProcess)},
		load(offNumber),
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: lastKnown, SkipFalse: 1},
		bpf.RetConstant{Val: uint32(refuse(unix.ENOSYS))},
	)
}

// rule adds body behind a look at the call's number.
func (a *assembler) rule(name string, body ...bpf.Instruction) {
	number, known := a.info.SyscallNames[name]
	if !known {
		return
	}
	a.add(load(offNumber), bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(number), SkipFalse: uint8(len(body))}) //nolint:gosec // a few steps
	a.add(body...)
}

func no() bpf.Instruction { return bpf.RetConstant{Val: uint32(refuse(unix.EPERM))} }

// only refuses the call unless the argument is one of values.
func (a *assembler) only(name string, argument uint32, values ...uint32) {
	body := []bpf.Instruction{load(low(argument))}
	for n, v := range values {
		body = append(body, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - n)}) //nolint:gosec // a few values
	}
	a.rule(name, append(body, no())...)
}

// without refuses the call where the argument has one of the bits.
func (a *assembler) without(name string, argument, bits uint32) {
	a.rule(name, load(low(argument)), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bits, SkipFalse: 1}, no())
}

// with refuses the call unless the argument has the bit.
func (a *assembler) with(name string, argument, bit uint32) {
	a.rule(name, load(low(argument)), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bit, SkipTrue: 1}, no())
}

// null refuses the call unless the argument is a null pointer.
func (a *assembler) null(name string, argument uint32) {
	a.rule(name, load(low(argument)), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, no(),
		load(low(argument)+4), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, no())
}

// absent hides the call: programs try another one then.
func (a *assembler) absent(name string) {
	a.rule(name, bpf.RetConstant{Val: uint32(refuse(unix.ENOSYS))})
}
