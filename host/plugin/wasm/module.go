package wasm

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

const (
	// backstop ends a guest whatever the limits of its call were.
	backstop = 5 * time.Minute
	// grace is how long a caller waits beyond the deadline for a guest that
	// is being stopped. One that takes longer ends at its next pause
	// (interrupt.go), while the caller has its answer.
	grace = 100 * time.Millisecond
	// lastBreath is how long a guest may say why it dies. A Go guest walks
	// through all of its frames then, which may be millions.
	lastBreath = time.Second
)

// How Go's runtime begins to say that a guest dies.
const (
	stackExceeded = "runtime: goroutine stack exceeds"
	fatalError    = "fatal error: "
)

// module is compiled code.
type module struct {
	compiled *extism.CompiledPlugin
	cache    wazero.CompilationCache
	running  sync.WaitGroup
	closing  sync.Once
}

// Close frees the code after the calls that still run.
func (m *module) Close(ctx context.Context) error {
	var err error
	m.closing.Do(func() {
		m.running.Wait()
		err = errors.Join(m.compiled.Close(ctx), m.cache.Close(ctx))
	})
	return err
}

// call is the state of one call, which the guest's doings are noted in.
type call struct {
	limits plugin.Limits
	host   plugin.HostFunc
	memory budget
	output atomic.Int64 // the size of an output that was too large
	stdout scroll
	stderr scroll
}

type outcome struct {
	out []byte
	err error
}

// Facts says that every call gets a fresh instance.
func (m *module) Facts() plugin.Facts {
	return plugin.Facts{Runtime: manifestv1.RuntimeWASM, Path: "fresh", ABI: pluginv1.ABI}
}

// Call runs the guest in a sandbox of its own.
func (m *module) Call(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
	w.Call.ABI = pluginv1.ABI
	in, err := json.Marshal(w.Call)
	if err != nil {
		return plugin.Outcome{}, fmt.Errorf("encoding the call: %w", err)
	}
	o := plugin.Outcome{Usage: plugin.Usage{Input: int64(len(in))}}
	begin := time.Now()
	out, err := m.invoke(ctx, in, w.Limits, w.World.Host)
	o.Usage.Wall, o.Usage.Output = time.Since(begin), int64(len(out))
	if err != nil {
		return o, err
	}
	o.Result, err = decode(out)
	return o, err
}

// decode reads a guest's Result.
func decode(answer []byte) (r pluginv1.Result, err error) {
	if !utf8.Valid(answer) {
		return r, host.Errorf(host.CodePluginOutput, "the answer is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(answer))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil || dec.More() {
		return pluginv1.Result{}, host.Errorf(host.CodePluginOutput, "the answer is not the JSON of a result")
	}
	return r, nil
}

// invoke runs the guest's door.
func (m *module) invoke(ctx context.Context, in []byte, lim plugin.Limits, fn plugin.HostFunc) ([]byte, error) {
	if lim.Input > 0 && int64(len(in)) > lim.Input {
		return nil, host.Errorf(host.CodeTooLarge, "the call has %d bytes; the plugin takes at most %d", len(in), lim.Input)
	}
	if lim.Timeout <= 0 || lim.Timeout > backstop {
		lim.Timeout = backstop
	}
	ctx, cancel := context.WithTimeout(ctx, lim.Timeout)
	c := &call{limits: lim, host: fn, memory: budget{limit: lim.Memory}}
	c.stdout.limit, c.stderr.limit = lim.LogBytes, lim.LogBytes
	c.stderr.line = func(line string) {
		if c.dies(line) {
			time.AfterFunc(lastBreath, cancel)
		}
	}
	done := make(chan outcome, 1)
	m.running.Add(1)
	go func() {
		defer m.running.Done()
		defer cancel()
		begin := time.Now()
		out, err := c.run(ctx, m.compiled, in)
		if err != nil {
			err = c.explain(ctx, err, time.Since(begin))
		}
		done <- outcome{out, err}
	}()
	select {
	case o := <-done:
		c.flush()
		return o.out, o.err
	case <-ctx.Done():
	}
	wait := time.NewTimer(grace)
	defer wait.Stop()
	select {
	case o := <-done:
		c.flush()
		return o.out, o.err
	case <-wait.C:
		return nil, c.overdue(lim.Timeout)
	}
}

// run instantiates, calls and frees.
func (c *call) run(ctx context.Context, compiled *extism.CompiledPlugin, in []byte) (out []byte, err error) {
	defer func() {
		// An initial memory above the limit, and defects of the runtime.
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("running the guest: %v", p)
		}
	}()
	ctx = context.WithValue(ctx, callKey{}, c)
	instance, err := compiled.Instance(experimental.WithMemoryAllocator(ctx, &c.memory), extism.PluginInstanceConfig{ModuleConfig: c.module(ctx)})
	if err != nil {
		c.memory.free()
		return nil, err
	}
	defer func() {
		// Close stops at its first error; the memory must go in any case.
		err = errors.Join(err, instance.CloseWithContext(context.WithoutCancel(ctx)))
		c.memory.free()
	}()
	code, out, err := instance.CallWithContext(ctx, pluginv1.ExportCall, in)
	switch {
	case err != nil:
		return nil, err
	case code != 0:
		return nil, fmt.Errorf("%s returned %d", pluginv1.ExportCall, code)
	case c.limits.Output > 0 && int64(len(out)) > c.limits.Output:
		c.output.Store(int64(len(out)))
		return nil, errOutput
	}
	return out, nil
}

// module gives the guest a real clock and real randomness, nothing else.
func (c *call) module(ctx context.Context) wazero.ModuleConfig {
	return wazero.NewModuleConfig().
		WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime().
		WithNanosleep(func(ns int64) {
			t := time.NewTimer(time.Duration(ns))
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
			}
		}).
		WithStdout(&c.stdout).WithStderr(&c.stderr)
}

// flush hands what the guest wrote to the log.
func (c *call) flush() {
	if c.limits.Log == nil {
		return
	}
	if text := c.stdout.bytes(); len(text) > 0 {
		c.limits.Log("stdout", text)
	}
	if text := c.stderr.bytes(); len(text) > 0 {
		c.limits.Log("stderr", text)
	}
}

// explain turns a failure into one that names what was exceeded.
func (c *call) explain(ctx context.Context, err error, took time.Duration) error {
	out := func() *host.Error {
		if n := c.output.Load(); n > 0 {
			return host.Errorf(host.CodePluginOutput, "the answer has %s, the limit is %s", manifest.FormatBytes(n), manifest.FormatBytes(c.limits.Output)).
				WithHint("answer less at a time, for example by pages, or raise limits.output in the manifest")
		}
		if ctx.Err() != nil {
			return c.overdue(took)
		}
		if c.memory.refused() > 0 {
			return c.outOfMemory()
		}
		return c.trapped(err, took)
	}()
	out.Err = err
	return out
}

// dies reports whether a line of a guest's standard error says that it cannot
// go on.
func (c *call) dies(line string) bool {
	return strings.HasPrefix(line, stackExceeded) || strings.HasPrefix(line, fatalError) && c.memory.refused() > 0
}

// overdue tells why a call was ended from outside: it was dying of something,
// or its time was over.
func (c *call) overdue(took time.Duration) *host.Error {
	words := lastWords(c.stderr.bytes())
	switch {
	case !c.dies(words):
	case c.memory.refused() > 0:
		return c.outOfMemory()
	default:
		return crashed("it overflowed its stack: "+words, took)
	}
	return host.Errorf(host.CodePluginTimeout, "the call took longer than %s", c.limits.Timeout).
		WithHint("ask for less at a time, or raise limits.timeout in the manifest")
}

func (c *call) outOfMemory() *host.Error {
	return host.Errorf(host.CodePluginMemory, "the call needed more than %s of memory (it asked for %s)", manifest.FormatBytes(c.limits.Memory), manifest.FormatBytes(c.memory.refused())).
		WithHint("work on less at a time, or raise limits.memory in the manifest")
}

// trapped tells a trap with what the guest wrote last.
func (c *call) trapped(err error, took time.Duration) *host.Error {
	text := strings.TrimSpace(err.Error())
	var exit *sys.ExitError
	switch {
	case strings.Contains(text, "stack overflow"):
		text = "it overflowed its stack"
	case errors.As(err, &exit):
		text = fmt.Sprintf("it ended itself with exit code %d", exit.ExitCode())
	default:
		if i := strings.Index(text, "wasm stack trace:"); i > 0 {
			text = strings.TrimSpace(text[:i])
		}
		text = strings.TrimPrefix(text, "wasm error: ")
	}
	if said := lastWords(c.stderr.bytes()); said != "" {
		text += ": " + said
	}
	return crashed(text, took)
}

func crashed(text string, took time.Duration) *host.Error {
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "…"
	}
	return host.Errorf(host.CodePluginTrap, "the plugin crashed after %s: %s", took.Round(time.Millisecond), text).
		WithHint("this is a defect of the plugin; its output is in the host's log")
}

// lastWords finds the line with which a Go guest says why it ends.
func lastWords(stderr []byte) string {
	text := strings.ToValidUTF8(string(stderr), "")
	for _, line := range strings.Split(text, "\n") {
		for _, begin := range []string{"panic: ", fatalError, stackExceeded} {
			if strings.HasPrefix(line, begin) {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}

type callKey struct{}

// hostFunction is the one function through which guests reach host services.
func hostFunction() extism.HostFunction {
	f := extism.NewHostFunctionWithStack(pluginv1.HostFunction, func(ctx context.Context, p *extism.CurrentPlugin, stack []uint64) {
		stack[0] = answer(ctx, p, stack[0])
	}, []extism.ValueType{extism.ValueTypePTR}, []extism.ValueType{extism.ValueTypePTR})
	f.SetNamespace(pluginv1.HostNamespace)
	return f
}

// maxHostCall is the largest request of a guest to a host service.
const maxHostCall = 16 << 20

// answer serves one host call; it returns the offset of the result, 0 where
// the guest has no memory left to hold it.
func answer(ctx context.Context, p *extism.CurrentPlugin, offset uint64) uint64 {
	result := serve(ctx, p, offset)
	raw, err := json.Marshal(result)
	if err != nil {
		raw = []byte(`{"error":{"code":"internal","message":"the answer cannot be encoded"}}`)
	}
	at, err := p.WriteBytes(raw)
	if err == nil && at != 0 {
		return at
	}
	raw = []byte(`{"error":{"code":"limit","message":"the answer does not fit into the plugin's memory","hint":"ask for less, or raise limits.memory in the manifest"}}`)
	if at, err = p.WriteBytes(raw); err != nil {
		return 0
	}
	return at
}

func serve(ctx context.Context, p *extism.CurrentPlugin, offset uint64) (result pluginv1.Result) {
	refuse := func(code, message string) pluginv1.Result {
		return pluginv1.Result{Error: &pluginv1.Error{Code: code, Message: message}}
	}
	defer func() {
		if r := recover(); r != nil {
			result = refuse(pluginv1.CodeInternal, "the host service failed")
		}
	}()
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok || c.host == nil {
		return refuse(pluginv1.CodeUnsupported, "host services cannot be called here")
	}
	if n, err := p.LengthWithContext(ctx, offset); err != nil || n > maxHostCall {
		return refuse(pluginv1.CodeInvalid, "the call of the host service is too large")
	}
	raw, err := p.ReadBytes(offset)
	if err != nil {
		return refuse(pluginv1.CodeInvalid, "the call of the host service cannot be read")
	}
	var hc pluginv1.HostCall
	if err := json.Unmarshal(raw, &hc); err != nil {
		return refuse(pluginv1.CodeInvalid, "the call of the host service is not the JSON of one")
	}
	if ctx.Err() != nil {
		return refuse(pluginv1.CodeTimeout, "the time of the call is over")
	}
	return c.host(ctx, hc)
}
