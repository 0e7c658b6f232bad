package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// TestAProcessIsLeftWithNothing lets a plugin try what it must not do.
func TestAProcessIsLeftWithNothing(t *testing.T) {
	s := open(t, nil)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	const denied, forbidden = "operation not permitted", "permission denied"
	for name, tt := range map[string]struct {
		request request
		want    string
	}{
		"no network":                       {request{Act: "socket", N: syscall.AF_INET}, denied},
		"no network of version 6":          {request{Act: "socket", N: syscall.AF_INET6}, denied},
		"no packets":                       {request{Act: "socket", N: syscall.AF_PACKET}, denied},
		"no kernel sockets":                {request{Act: "socket", N: syscall.AF_NETLINK}, denied},
		"sockets of its own":               {request{Act: "socket", N: syscall.AF_UNIX}, ""},
		"no datagrams":                     {request{Act: "datagram"}, denied},
		"no debugging":                     {request{Act: "ptrace"}, denied},
		"no signals to others":             {request{Act: "kill"}, denied},
		"no children":                      {request{Act: "number", N: numbers()["clone"]}, denied},
		"no children by the newer call":    {request{Act: "number", N: 435}, "function not implemented"},
		"no commands":                      {request{Act: "child", Text: "/bin/true"}, forbidden},
		"no other program":                 {request{Act: "become", Text: "/bin/true"}, forbidden},
		"no program of its own making":     {request{Act: "dropped"}, forbidden},
		"no mounts":                        {request{Act: "mount"}, denied},
		"no namespaces":                    {request{Act: "unshare"}, denied},
		"no changes of who may read":       {request{Act: "chmod", Text: outside}, denied},
		"no writing elsewhere":             {request{Act: "write", Text: outside}, forbidden},
		"no new files elsewhere":           {request{Act: "write", Text: outside + "2"}, forbidden},
		"no writing to its program":        {request{Act: "write", Text: s.module.program.file}, forbidden},
		"a folder of its own":              {request{Act: "scratch"}, ""},
		"no limits of its own":             {request{Act: "limit"}, denied},
		"no nameless files (memfd_create)": {request{Act: "number", N: numbers()["memfd_create"]}, denied},
		"no programs of nameless files":    {request{Act: "number", N: numbers()["execveat"]}, denied},
		"no bpf":                           {request{Act: "number", N: numbers()["bpf"]}, denied},
		"no keys":                          {request{Act: "number", N: numbers()["keyctl"]}, denied},
		"no new kernel":                    {request{Act: "number", N: numbers()["kexec_load"]}, denied},
		"no io_uring":                      {request{Act: "number", N: 425}, denied},
		"no calls that are too new":        {request{Act: "number", N: 460}, "function not implemented"},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			on(t, s).act("acme", tt.request, &got)
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("no connections", func(t *testing.T) {
		var got string
		on(t, s).act("acme", request{Act: "dial", Text: outside}, &got)
		if !strings.Contains(got, denied) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("no files of the host", func(t *testing.T) {
		for _, file := range []string{"/etc/passwd", "/proc/self/environ", "/proc/self/maps", outside} {
			var got struct{ Read bool }
			if on(t, s).act("acme", request{Act: "read", Text: file}, &got); got.Read {
				t.Errorf("it read %s", file)
			}
		}
	})
	if content, err := os.ReadFile(outside); err != nil || string(content) != "secret" {
		t.Errorf("the file outside is now %q, %v", content, err)
	}
}

// on is the stage in a subtest.
func on(t testing.TB, s *stage) *stage {
	copied := *s
	copied.t = t
	return &copied
}

// numbers are system calls whose numbers differ between the architectures.
func numbers() map[string]int {
	return map[string]map[string]int{
		"amd64": {"clone": 56, "memfd_create": 319, "execveat": 322, "bpf": 321, "keyctl": 250, "kexec_load": 246},
		"arm64": {"clone": 220, "memfd_create": 279, "execveat": 281, "bpf": 280, "keyctl": 219, "kexec_load": 104},
	}[runtime.GOARCH]
}

func TestAProcessHasNoEnvironmentOfTheHost(t *testing.T) {
	t.Setenv("CALLBOARD_CANARY", "canary")
	s := open(t, nil)
	var env []string
	s.act("acme", request{Act: "env"}, &env)
	allowed := []string{
		"CALLBOARD_PLUGIN", "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_CLIENT_CERT",
		"PLUGIN_UNIX_SOCKET_DIR", "TMPDIR", "GOMEMLIMIT",
	}
	for _, line := range env {
		if name, _, _ := strings.Cut(line, "="); !slices.Contains(allowed, name) {
			t.Errorf("it sees %s", line)
		}
	}
	if len(env) != len(allowed) {
		t.Errorf("it sees %d variables, want %d: %q", len(env), len(allowed), env)
	}
}

// TestTheKernelConfirms reads what the kernel says about a process.
func TestTheKernelConfirms(t *testing.T) {
	s := open(t, nil)
	var pid int
	s.act("acme", request{Act: "pid"}, &pid)
	status := proc(t, pid, "status")
	for _, line := range []string{"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
		"CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if os.Getuid() != 0 && strings.HasPrefix(line, "CapBnd") {
			continue // only root can give up what it may give on
		}
		if !strings.Contains(status, line) {
			t.Errorf("its status lacks %q", line)
		}
	}
	limits := proc(t, pid, "limits")
	for _, name := range []string{"Max core file size         0 ", "Max open files             256 ", "Max file size              268435456 "} {
		if !strings.Contains(limits, strings.Join(strings.Fields(name), " ")) && !strings.Contains(squeezed(limits), squeezed(name)) {
			t.Errorf("its limits lack %q:\n%s", name, limits)
		}
	}
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("its group is %d, %v", group, err)
	}
	if name := strings.ReplaceAll(proc(t, pid, "cmdline"), "\x00", ""); !strings.HasPrefix(name, "callboard-plugin acme ") {
		t.Errorf("it is called %q", name)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		at, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, f.Name()))
		if err == nil && strings.HasPrefix(at, "/") && at != "/dev/null" {
			t.Errorf("it has %s open", at)
		}
	}
}

func squeezed(s string) string { return strings.Join(strings.Fields(s), " ") }

func proc(t *testing.T, pid int, name string) string {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ToValidUTF8(raw, nil))
}

func TestMemoryIsCapped(t *testing.T) {
	s := open(t, nil)
	lim := runtimetest.Limits()
	lim.Memory = 32 << 20
	t.Run("as a typed failure", func(t *testing.T) {
		err := on(t, s).fails("acme", request{Act: "allocate"}, lim)
		if host.CodeOf(err) != host.CodePluginMemory || !strings.Contains(err.Error(), "32MiB") {
			t.Errorf("got %v: %v", host.CodeOf(err), err)
		}
	})
	t.Run("that could be shared, too", func(t *testing.T) {
		var got bool
		on(t, s).act("acme", request{Act: "map", N: 1024}, &got)
		if got {
			t.Error("a gigabyte was mapped")
		}
	})
	t.Run("and what is within the limit works", func(t *testing.T) {
		var got string
		on(t, s).act("acme", request{Act: "flood", N: 500_000}, &got)
		if len(got) != 500_000 {
			t.Errorf("got %d bytes", len(got))
		}
	})
}
