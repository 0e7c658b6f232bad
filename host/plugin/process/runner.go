package process

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	gorunner "github.com/hashicorp/go-plugin/runner"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/process/shim"
)

// ending is how a process ended.
type ending struct {
	code   int
	signal string // empty unless a signal ended it
}

// runner is go-plugin's view of one process: the shim first, then the program
// that the shim becomes.
type runner struct {
	cmd            *exec.Cmd
	name, dir      string
	launch         func(func() error) error
	stdout, stderr io.ReadCloser
	program        *os.File
	group          *os.File // the control group to begin in, or nil
	lacking        []string // what the shim said

	gone chan struct{} // closed when the process was waited for
	mu   sync.Mutex
	end  *ending
}

var _ gorunner.Runner = (*runner)(nil)

// newRunner prepares the process. Its environment is env and nothing else; it
// owns program from now on.
func newRunner(shimPath string, p shim.Policy, env []string, program *os.File, launch func(func() error) error) (*runner, error) {
	args, err := shim.Arguments(p)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(shimPath, args...)
	cmd.Env, cmd.Dir = env, p.Dir
	confine(cmd)
	r := &runner{cmd: cmd, name: p.Name, dir: p.Dir, launch: launch, program: program, gone: make(chan struct{})}
	if r.stdout, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if r.stderr, err = cmd.StderrPipe(); err != nil {
		return nil, err
	}
	return r, nil
}

// Start starts the shim and returns when it has become the program.
func (r *runner) Start(ctx context.Context) error {
	report, reporter, err := os.Pipe()
	if err != nil {
		return err
	}
	defer report.Close()
	r.cmd.ExtraFiles = []*os.File{r.program, reporter} // shim.ProgramFD, shim.ReportFD
	if r.group != nil {
		beginIn(r.cmd, r.group)
		defer r.group.Close()
	}
	err = r.launch(r.cmd.Start)
	_ = reporter.Close() // the process has its own
	_ = r.program.Close()
	if err != nil {
		return host.Errorf(host.CodeUnavailable, "the plugin's process cannot be started: %w", err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = report.SetReadDeadline(deadline) // a pipe has deadlines
	}
	said, err := shim.Read(report)
	r.lacking = said.Lacking
	if err == nil && said.Failure == "" {
		return nil
	}
	if said.Failure == "" {
		said.Failure = err.Error()
	}
	r.kill()
	_ = r.Wait(ctx) // else it stays in the list of processes
	return host.Errorf(host.CodeUnavailable, "the plugin's process cannot be started: %s", said.Failure)
}

// Wait returns when the process has ended.
func (r *runner) Wait(context.Context) error {
	err := r.cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.end == nil {
		e := endingOf(r.cmd.ProcessState)
		r.end = &e
		close(r.gone)
	}
	return err
}

// state returns how the process ended, or nil while it runs.
func (r *runner) state() *ending {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end
}

// Kill ends the process and all that belongs to it.
func (r *runner) Kill(context.Context) error {
	r.kill()
	return nil
}

func (r *runner) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.end == nil && r.cmd.Process != nil {
		killGroup(r.cmd.Process)
	}
}

// pid returns the process's number, 0 if it was never started.
func (r *runner) pid() int {
	if r.cmd.Process == nil {
		return 0
	}
	return r.cmd.Process.Pid
}

// Diagnose has nothing to add: the shim's report said it.
func (r *runner) Diagnose(context.Context) string { return "" }

// Stdout is where the handshake comes from.
func (r *runner) Stdout() io.ReadCloser { return r.stdout }

// Stderr is what the program writes past go-plugin, its last words above all.
func (r *runner) Stderr() io.ReadCloser { return r.stderr }

// Name returns what lists of processes show.
func (r *runner) Name() string { return r.name }

// ID returns the process's number.
func (r *runner) ID() string { return strconv.Itoa(r.pid()) }

// PluginToHost refuses all addresses but sockets in the process's own folder:
// the address comes from the program, and the host connects to it.
func (r *runner) PluginToHost(network, address string) (hostNetwork, hostAddress string, err error) {
	if network != "unix" || filepath.Clean(address) != address || !strings.HasPrefix(address, r.dir+string(filepath.Separator)) {
		return "", "", fmt.Errorf("the plugin listens at %s %q, outside of its folder", network, address)
	}
	if info, err := os.Lstat(address); err != nil || info.Mode().Type() != os.ModeSocket {
		return "", "", fmt.Errorf("the plugin's address %q is no socket", address)
	}
	return network, address, nil
}

// HostToPlugin changes nothing: both see the same files.
func (r *runner) HostToPlugin(network, address string) (pluginNetwork, pluginAddress string, err error) {
	return network, address, nil
}

// killWait is how long a process may take to end when it was asked to.
const killWait = 2 * time.Second
