package wasm

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/wasm/sandbox"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// backstop ends a guest whose limits name no time.
const backstop = 5 * time.Minute

// runner runs jobs in sandboxes of their own: sandbox.Code and portable.Code.
type runner interface {
	Do(ctx context.Context, job *sandbox.Job) ([]byte, sandbox.Used, error)
	Close(ctx context.Context) error
}

// module is compiled code and the envelope in which it is spoken to.
type module struct {
	code    runner
	free    func(ctx context.Context) error // the engine
	facts   plugin.Facts
	noRoom  []byte
	calls   sync.Pool // of *call
	closing sync.Once
	closed  error
}

var _ plugin.Module = (*module)(nil)

// call is what a call needs, kept for the next one.
type call struct {
	job      sandbox.Job
	exchange exchange
	limits   plugin.Limits
	input    []byte
	last     string // what the guest said when it died
}

func newModule(code runner, free func(context.Context) error, facts plugin.Facts) *module {
	facts.Runtime, facts.Metered = manifestv1.RuntimeWASM, true
	m := &module{code: code, free: free, facts: facts, noRoom: noRoom(facts.ABI)}
	m.calls.New = func() any {
		c := &call{}
		c.exchange.limits = &c.limits
		c.job.Export, c.job.NoRoom = pluginv1.ExportCall, m.noRoom
		c.job.Host, c.job.Log = c.answer, c.log
		return c
	}
	return m
}

// Facts implements plugin.Module.
func (m *module) Facts() plugin.Facts { return m.facts }

// Close frees the code after the calls that still run.
func (m *module) Close(ctx context.Context) error {
	m.closing.Do(func() {
		m.closed = errors.Join(m.code.Close(ctx), m.free(ctx))
	})
	return m.closed
}

// Call implements plugin.Module.
func (m *module) Call(ctx context.Context, w plugin.Work) (o plugin.Outcome, err error) {
	c := m.calls.Get().(*call)
	defer m.done(c)
	c.limits = w.Limits
	if c.input, err = appendCall(c.input[:0], m.facts.ABI, w.Call); err != nil {
		return o, err
	}
	o.Usage.Input = int64(len(c.input))
	if err := fits(c.input, &c.limits); err != nil {
		return o, err
	}
	begin := time.Now()
	c.prepare(begin, &w)
	out, used, err := m.code.Do(ctx, &c.job)
	o.Usage.Wall = time.Since(begin)
	o.Usage.Fuel, o.Usage.Memory, o.Usage.Output = used.Fuel, used.Memory, int64(len(out))
	o.Usage.HostCalls, o.Usage.HostBytes = c.limits.Made(c.exchange.calls), c.exchange.bytes
	if err != nil {
		return o, explain(err, &c.limits, o.Usage.Wall, c.last)
	}
	o.Result, err = decodeResult(m.facts.ABI, out)
	return o, err
}

// fits checks the size of a call.
func fits(in []byte, lim *plugin.Limits) error {
	if lim.Input > 0 && int64(len(in)) > lim.Input {
		return host.Errorf(host.CodeTooLarge, "the call has %d bytes; the plugin takes at most %d", len(in), lim.Input).
			WithHint("send less at a time")
	}
	return nil
}

// prepare fills the job in.
func (c *call) prepare(begin time.Time, w *plugin.Work) {
	if c.limits.Timeout <= 0 || c.limits.Timeout > backstop {
		c.limits.Timeout = backstop
	}
	j, l := &c.job, &c.limits
	j.Input, j.Memory, j.Output, j.Fuel, j.LogBytes = c.input, l.Memory, l.Output, l.Fuel, l.LogBytes
	j.Deadline = begin.Add(l.Timeout)
	j.Walltime, j.Nanotime, j.Sleep, j.Random = w.World.Walltime, w.World.Nanotime, w.World.Sleep, w.World.Random
	c.exchange.host = w.World.Host
}

// answer gives host services a context that ends with the call.
func (c *call) answer(ctx context.Context, request []byte) []byte {
	ctx, cancel := context.WithDeadline(ctx, c.job.Deadline)
	defer cancel()
	return c.exchange.answer(ctx, request)
}

// log passes on what the guest wrote, and keeps its last words.
func (c *call) log(stream string, text []byte) {
	if stream == "stderr" {
		c.last = lastWords(text)
	}
	if c.limits.Log != nil {
		c.limits.Log(stream, text)
	}
}

// keepInput is how large a buffer is kept for the next call, in bytes.
const keepInput = 1 << 20

// done wipes what a call left and keeps the rest.
func (m *module) done(c *call) {
	clear(c.input)
	clear(c.exchange.scratch)
	if cap(c.input)+cap(c.exchange.scratch) > keepInput {
		return
	}
	c.limits, c.last = plugin.Limits{}, ""
	x := &c.exchange
	x.host, x.calls, x.bytes = nil, 0, 0
	j := &c.job
	j.Input, j.Walltime, j.Nanotime, j.Sleep, j.Random = nil, nil, nil, nil, nil
	m.calls.Put(c)
}
