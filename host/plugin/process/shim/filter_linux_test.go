package shim

import (
	"encoding/binary"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// pid is the process of these filters.
const pid = 4711

// machine is the filter in a virtual machine that runs it as the kernel would.
func machine(t testing.TB) *bpf.VM {
	t.Helper()
	steps, err := filter(pid)
	if err != nil {
		t.Fatal(err)
	}
	program := make([]bpf.Instruction, 0, len(steps))
	for _, s := range steps {
		program = append(program, bpf.RawInstruction{Op: s.Code, Jt: s.Jt, Jf: s.Jf, K: s.K}.Disassemble())
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// data is struct seccomp_data, in the order of bytes that the machine reads.
func data(architecture, number uint32, args ...uint64) []byte {
	out := make([]byte, offArgs+8*6)
	binary.BigEndian.PutUint32(out[offNumber:], number)
	binary.BigEndian.PutUint32(out[offArch:], architecture)
	for i, a := range args {
		binary.BigEndian.PutUint32(out[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(out[offArgs+8*i+4:], uint32(a>>32))
	}
	return out
}

func TestFilter(t *testing.T) {
	info, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	vm := machine(t)
	const high = 1 << 32 // bits of an int that the kernel does not read
	for name, tt := range map[string]struct {
		call string
		args []uint64
		want seccomp.Action
	}{
		"reads":                           {"read", nil, seccomp.ActionAllow},
		"writes":                          {"write", []uint64{1}, seccomp.ActionAllow},
		"executes once, as the shim does": {"execve", nil, seccomp.ActionAllow},
		"no execveat":                     {"execveat", nil, refuse(unix.EPERM)},
		"a unix socket":                   {"socket", []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}, seccomp.ActionAllow},
		"no internet":                     {"socket", []uint64{unix.AF_INET, unix.SOCK_STREAM}, refuse(unix.EPERM)},
		"no internet in disguise":         {"socket", []uint64{unix.AF_INET | high, unix.SOCK_STREAM}, refuse(unix.EPERM)},
		"no datagrams":                    {"socket", []uint64{unix.AF_UNIX, unix.SOCK_DGRAM | unix.SOCK_CLOEXEC}, refuse(unix.EPERM)},
		"no raw sockets":                  {"socket", []uint64{unix.AF_UNIX, unix.SOCK_RAW}, refuse(unix.EPERM)},
		"a thread":                        {"clone", []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, seccomp.ActionAllow},
		"no child":                        {"clone", []uint64{uint64(unix.SIGCHLD)}, refuse(unix.EPERM)},
		"no child by vfork's flags":       {"clone", []uint64{unix.CLONE_VM | unix.CLONE_VFORK}, refuse(unix.EPERM)},
		"no clone3":                       {"clone3", nil, refuse(unix.ENOSYS)},
		"a signal to itself":              {"tgkill", []uint64{pid, 5}, seccomp.ActionAllow},
		"no signal to another":            {"tgkill", []uint64{pid + 1, 5}, refuse(unix.EPERM)},
		"no signal to all":                {"kill", []uint64{1<<64 - 1}, refuse(unix.EPERM)},
		"no signal to its group":          {"kill", []uint64{0}, refuse(unix.EPERM)},
		"its limits read":                 {"prlimit64", []uint64{0, unix.RLIMIT_AS, 0, 0x7fff0000}, seccomp.ActionAllow},
		"its limits not set":              {"prlimit64", []uint64{0, unix.RLIMIT_AS, 0x7fff0000, 0}, refuse(unix.EPERM)},
		"its limits not set from afar":    {"prlimit64", []uint64{0, unix.RLIMIT_AS, 0x7fff << 32, 0}, refuse(unix.EPERM)},
		"a name for its thread":           {"prctl", []uint64{unix.PR_SET_NAME}, seccomp.ActionAllow},
		"a name for its memory":           {"prctl", []uint64{unix.PR_SET_VMA}, seccomp.ActionAllow},
		"not to outlive its host":         {"prctl", []uint64{unix.PR_SET_PDEATHSIG}, refuse(unix.EPERM)},
		"not to outlive it in disguise":   {"prctl", []uint64{unix.PR_SET_PDEATHSIG | high}, refuse(unix.EPERM)},
		"no ptrace":                       {"ptrace", nil, refuse(unix.EPERM)},
		"no bpf":                          {"bpf", nil, refuse(unix.EPERM)},
		"no chmod":                        {"fchmodat", nil, refuse(unix.EPERM)},
	} {
		t.Run(name, func(t *testing.T) {
			number, known := info.SyscallNames[tt.call]
			if !known {
				t.Fatalf("%s is not known", tt.call)
			}
			got, err := vm.Run(data(uint32(info.ID), uint32(number), tt.args...))
			if err != nil || seccomp.Action(got) != tt.want {
				t.Errorf("%s%v gives %#x, %v; want %#x", tt.call, tt.args, got, err, uint32(tt.want))
			}
		})
	}
	t.Run("ends a process that speaks for another machine", func(t *testing.T) {
		got, err := vm.Run(data(uint32(info.ID)^1, 0))
		if err != nil || seccomp.Action(uint32(got)) != seccomp.ActionKillProcess {
			t.Errorf("got %#x, %v", got, err)
		}
	})
	t.Run("does not know what is newer than it", func(t *testing.T) {
		for _, number := range []uint32{lastKnown + 1, 1000, 1<<30 | 59, 1<<32 - 1} {
			if got, err := vm.Run(data(uint32(info.ID), number)); err != nil || seccomp.Action(got) != refuse(unix.ENOSYS) {
				t.Errorf("%d: got %#x, %v", number, got, err)
			}
		}
	})
}

// TestEveryArgumentRuleStandsAlone: a rule that looked at an argument must not
// be mistaken for the number of a call by the next.
func TestEveryArgumentRuleStandsAlone(t *testing.T) {
	info, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	vm := machine(t)
	ptrace, socket := info.SyscallNames["ptrace"], info.SyscallNames["socket"]
	for _, arg := range []int{ptrace, socket, info.SyscallNames["clone3"]} {
		got, err := vm.Run(data(uint32(info.ID), uint32(info.SyscallNames["clone"]), unix.CLONE_THREAD|uint64(arg)))
		if err != nil || seccomp.Action(got) != seccomp.ActionAllow {
			t.Errorf("a thread with flags like call %d gives %#x, %v", arg, got, err)
		}
	}
}

func TestDeniedCallsAreKnown(t *testing.T) {
	for _, name := range []string{"amd64", "arm64"} {
		info, err := arch.GetInfo(name)
		if err != nil {
			t.Fatal(err)
		}
		known := 0
		for _, call := range denied() {
			if _, ok := info.SyscallNames[call]; ok {
				known++
			}
		}
		if known < 90 {
			t.Errorf("of %d denied calls %s knows %d", len(denied()), name, known)
		}
	}
}

// threads runs f on a thread of its own, which ends with it.
func thread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		f()
	}()
	<-done
}

func TestDropCapabilitiesLeavesNone(t *testing.T) {
	thread(func() {
		if err := dropCapabilities(); err != nil {
			t.Error(err)
		}
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var sets [2]unix.CapUserData
		if err := unix.Capget(&head, &sets[0]); err != nil || sets[0].Inheritable|sets[1].Inheritable != 0 {
			t.Errorf("inheritable are %x, %v", sets, err)
		}
		if os.Getuid() != 0 {
			return
		}
		for capability := uintptr(0); capability <= unix.CAP_LAST_CAP; capability++ {
			got, _, code := unix.Syscall(unix.SYS_PRCTL, unix.PR_CAPBSET_READ, capability, 0)
			if code == 0 && got != 0 {
				t.Errorf("capability %d is left", capability)
			}
		}
	})
}

func TestLackingNamesWhatAKernelDoesNotDo(t *testing.T) {
	for version, want := range map[int]int{-1: 1, 0: 1, 1: 2, 2: 2, 3: 1, 5: 1, 6: 0, 9: 0} {
		if got := lackingOf(version); len(got) != want {
			t.Errorf("version %d lacks %q, want %d", version, got, want)
		}
	}
	if here, lacking := landlockHere(); len(Lacking()) != len(lacking) || !here && len(lacking) == 0 {
		t.Errorf("it is here: %v, and lacks %q", here, lacking)
	}
}

func TestLowerNeverRaises(t *testing.T) {
	var before, after unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	if err := lower(unix.RLIMIT_CORE, ^uint64(0)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &after); err != nil || after.Max > before.Max {
		t.Errorf("the limit went from %d to %d, %v", before.Max, after.Max, err)
	}
	if err := lower(-1, 1); err == nil {
		t.Error("a limit that is none was set")
	}
}

// TestBecomeSaysWhatItCannotDo stops before anything is taken away for good.
func TestBecomeSaysWhatItCannotDo(t *testing.T) {
	t.Chdir(t.TempDir()) // and back again
	mask := unix.Umask(0o077)
	defer unix.Umask(mask)
	percent := debug.SetGCPercent(100)
	defer debug.SetGCPercent(percent)
	for want, p := range map[string]Policy{
		"entering the plugin's folder": {Dir: "/nowhere"},
		"invalid argument":             {Dir: ".", Name: "a\x00b"},
	} {
		thread(func() {
			if err := become(p, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

func TestConfineFilesNeedsTheFiles(t *testing.T) {
	if here, _ := landlockHere(); !here {
		t.Log("this system has no Landlock: nothing is confined")
		return
	}
	if _, err := confineFiles(Policy{Program: "/nowhere/program", Dir: t.TempDir()}); err == nil {
		t.Error("a program that is not there was allowed")
	}
	if content, err := os.ReadFile("/proc/self/status"); err != nil || len(content) == 0 {
		t.Errorf("the test itself was confined: %v", err)
	}
}

func TestPrepareRefusesWhatCannotBePassedOn(t *testing.T) {
	if _, err := prepare(Policy{Name: "a\x00b"}); err == nil {
		t.Error("a name with a zero was taken")
	}
	e, err := prepare(Policy{Name: "a", Memory: 5, Space: 6})
	if err != nil || e.store.Max != 5 || e.space.Cur != 6 || int(e.program.Len) != len(e.filter) {
		t.Errorf("got %+v, %v", e, err)
	}
}
