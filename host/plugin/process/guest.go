package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	gorunner "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/process/cgroup"
	"github.com/callboard-dev/callboard/host/plugin/process/shim"
	wire "github.com/callboard-dev/callboard/schemas/plugin/process"
)

// What every process gets, whatever its manifest says.
const (
	maxFiles     = 256
	maxFileBytes = 256 << 20
	// maxTasks is for the user as a whole, maxThreads for the process.
	maxTasks   = 8192
	maxThreads = 512
	// earlySpace and earlyMemory are what a program may have while it begins:
	// the real limits come when it is known what it takes to do nothing.
	earlySpace  = 8 << 30
	earlyMemory = 256 << 20
	// sparedSpace is what it may reserve later beyond its memory: Go reserves
	// 64 MiB at a time.
	sparedSpace = 256 << 20
)

// guest is one running process.
type guest struct {
	settings Settings
	client   *goplugin.Client
	conn     *grpc.ClientConn
	runner   *runner
	dir      string
	memory   int64
	group    *cgroup.Group // nil where the host has no control groups
	outlet   *outlet
	stderr   *scroll
	gone     <-chan struct{} // closed when the process has ended
	buried   chan struct{}   // closed when the keeper has counted it out
	// stopped is set when the host ends the process: then its end is no failure.
	stopped atomic.Bool
	// unwell says why the host had to end it, as its own failure.
	unwell atomic.Pointer[string]

	// The keeper's, under its lock.
	calls  int
	used   time.Time
	doomed bool
}

// order is what a guest is made of.
type order struct {
	program *program
	name    string // what lists of processes show
	memory  int64
	root    string // the folder in which it gets its own
	launch  func(func() error) error
	tree    *cgroup.Tree // nil where the host has none
}

// begin starts a process and waits until it answers.
func begin(s Settings, o order) (g *guest, err error) {
	file, err := o.program.open()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.root, "p")
	if err != nil {
		return nil, errors.Join(host.Errorf(host.CodeUnavailable, "a folder for the plugin's process cannot be made: %w", err), file.Close())
	}
	g = &guest{settings: s, dir: dir, memory: o.memory, outlet: &outlet{}, stderr: &scroll{}, used: time.Now(), buried: make(chan struct{})}
	g.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{wire.Protocol: {}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true, SkipHostEnv: true, StartTimeout: s.StartTimeout, Logger: hclog.NewNullLogger(),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: dir},
		Stderr:           g.outlet.stream("stderr", g.stderr), SyncStdout: g.outlet.stream("stdout"), SyncStderr: g.outlet.stream("stderr"),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, private string) (gorunner.Runner, error) {
			if g.runner, err = newRunner(s.Shim, policy(o, private), environment(cmd.Env, private, o.memory), file, o.launch); err != nil {
				return nil, err
			}
			return g.runner, g.join(o)
		},
	})
	protocol, err := g.client.Client()
	if err == nil {
		g.conn = protocol.(*goplugin.GRPCClient).Conn // the only protocol that is allowed
		err = capMemory(g.runner.pid(), o.memory)
	}
	if err != nil {
		return nil, g.stillborn(file, err)
	}
	g.gone = g.runner.gone
	return g, nil
}

// restingMemory is what a control group allows for beside the limit: what a Go
// program with gRPC has in memory when it does nothing.
const restingMemory = 64 << 20

// join gives the process a control group, where the host has any.
func (g *guest) join(o order) (err error) {
	if o.tree == nil {
		return nil
	}
	if g.group, err = o.tree.Make(filepath.Base(g.dir), cgroup.Limits{Memory: o.memory + restingMemory, Tasks: maxThreads}); err != nil {
		return err
	}
	g.runner.group, err = g.group.Open()
	return err
}

// clear removes what a process leaves behind; it is gone.
func (g *guest) clear() error {
	err := os.RemoveAll(g.dir)
	if g.group != nil {
		err = errors.Join(err, g.group.Remove())
	}
	return err
}

// policy is what the shim leaves to the process.
func policy(o order, private string) shim.Policy {
	memory := uint64(o.memory) //nolint:gosec // the keeper gives at least MinMemory
	return shim.Policy{
		Name: o.name, Program: o.program.file, Dir: private, Memory: memory + earlyMemory, Space: memory + earlySpace,
		Files: maxFiles, FileBytes: maxFileBytes, Tasks: maxTasks,
	}
}

// environment is all that the program finds in its environment: what go-plugin
// says to its guests, where it may write, and how much memory it has.
func environment(handshake []string, private string, memory int64) []string {
	return append(handshake, "TMPDIR="+private, fmt.Sprintf("GOMEMLIMIT=%d", memory/10*8))
}

// stillborn explains why a process did not begin, and leaves nothing of it.
func (g *guest) stillborn(file *os.File, err error) error {
	_ = file.Close() // where the runner was not reached
	if g.runner == nil || g.runner.pid() == 0 {
		return errors.Join(err, g.clear())
	}
	g.runner.kill()
	g.client.Kill() // waits for its end
	removed := g.clear()
	if host.CodeOf(err) != host.CodeInternal {
		return errors.Join(err, removed)
	}
	said := lastWords(g.stderr.text())
	if said == "" {
		said, _, _ = strings.Cut(strings.TrimSpace(g.stderr.text()), "\n")
	}
	e := host.Errorf(host.CodeUnavailable, "the plugin's process did not begin: %s", strings.TrimSpace(firstLine(err.Error())+" "+said)).
		WithHint("the program must hand its plugin to sdk.Serve and import sdk/process, as callboard plugin build does")
	e.Err = errors.Join(err, removed)
	return e
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// ping asks the process whether it lives.
func (g *guest) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), g.settings.PingTimeout)
	defer cancel()
	_, err := grpc_health_v1.NewHealthClient(g.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
	return err
}

// end asks the process to end, makes it where it does not, and returns when
// nothing is left of it.
func (g *guest) end() {
	g.stopped.Store(true)
	hard := time.AfterFunc(killWait, g.runner.kill)
	defer hard.Stop()
	g.client.Kill()
	<-g.gone
}

// fail ends a process at once, as one that failed by itself.
func (g *guest) fail(why string) {
	g.unwell.Store(&why)
	g.runner.kill()
}
