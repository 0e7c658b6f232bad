package portable

import (
	"context"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// The host's functions are Extism's and wazero's own here, so what they lack is
// done around them: listeners watch every host function and the guest's door.
// The guest's other functions are not watched, so that this costs them nothing.

// watched makes modules that are compiled under ctx watch themselves.
func watched(ctx context.Context) context.Context {
	return experimental.WithFunctionListenerFactory(ctx, experimental.FunctionListenerFactoryFunc(
		func(def api.FunctionDefinition) experimental.FunctionListener {
			switch {
			case def.GoFunction() == nil && exports(def, pluginv1.ExportCall):
				return watch{atDoor}
			case def.GoFunction() == nil:
				return nil
			case named(def, "output_set"):
				return watch{atOutput}
			case named(def, "proc_exit"):
				return watch{atExit}
			case named(def, rewrite.YieldName):
				return watch{atYield}
			}
			return watch{atHost}
		}))
}

func named(def api.FunctionDefinition, name string) bool {
	return def.Name() == name || exports(def, name)
}

func exports(def api.FunctionDefinition, name string) bool {
	for _, n := range def.ExportNames() {
		if n == name {
			return true
		}
	}
	return false
}

// watch is a listener that does one thing before a function is called. A panic
// there ends the call, as one in a host function does.
type watch struct {
	before func(c *call, guest api.Module, params []uint64)
}

// Before implements experimental.FunctionListener.
func (w watch) Before(ctx context.Context, guest api.Module, _ api.FunctionDefinition, params []uint64, _ experimental.StackIterator) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		w.before(c, guest, params)
	}
}

// After implements experimental.FunctionListener.
func (watch) After(context.Context, api.Module, api.FunctionDefinition, []uint64) {}

// Abort implements experimental.FunctionListener.
func (watch) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

// atHost ends a storm of host calls at the deadline: what they do costs the
// guest no fuel.
func atHost(c *call, _ api.Module, _ []uint64) { c.look() }

// atOutput refuses an output before it is copied.
func atOutput(c *call, _ api.Module, params []uint64) {
	c.look()
	if limit := c.job.Output; limit > 0 && len(params) == 2 && params[1] > uint64(limit) {
		panic(&kernel.Fault{Kind: kernel.Output, Limit: limit, Used: int64(min(params[1], 1<<40))})
	}
}

// atExit notes that a guest ends itself: Extism takes an exit with 0 for a
// success.
func atExit(c *call, _ api.Module, _ []uint64) { c.exited = true }

// atYield finds the guest's fuel.
func atYield(c *call, guest api.Module, _ []uint64) { c.meter.guest = guest }

// atDoor begins to count when the guest is called: that it was initialised
// before is this path's affair, not the call's.
func atDoor(c *call, guest api.Module, _ []uint64) {
	c.meter.guest = guest
	c.meter.open(c.job.Fuel)
}

// slice is how much fuel a guest gets between two looks at its deadline.
const slice = 100_000

// meter counts the fuel of one call.
type meter struct {
	guest   api.Module // once known
	granted int64
	limit   int64
	total   int64 // what was used, as far as it is known
}

func (m *meter) global() (api.MutableGlobal, bool) {
	if m.guest == nil {
		return nil, false
	}
	g, ok := m.guest.ExportedGlobal(rewrite.FuelGlobal).(api.MutableGlobal)
	return g, ok
}

// open begins to count anew.
func (m *meter) open(limit int64) {
	if g, ok := m.global(); ok {
		g.Set(0)
	}
	m.granted, m.limit, m.total = 0, limit, 0
}

// more is called when the fuel is below zero; it returns the new fuel.
func (m *meter) more(left int64, look func()) int64 {
	m.total = m.granted - left
	if m.limit > 0 && m.total > m.limit {
		panic(m.over())
	}
	look()
	m.granted = m.total + slice
	if m.limit > 0 {
		m.granted = min(m.granted, m.limit)
	}
	return m.granted - m.total
}

func (m *meter) over() error {
	return &kernel.Fault{Kind: kernel.Fuel, Limit: m.limit, Used: m.total}
}

// finish reads what was used in the end. The last word of a guest that was
// ended while it asked for more is that question.
func (m *meter) finish() {
	if g, ok := m.global(); ok {
		m.total = max(m.total, m.granted-int64(g.Get()))
	}
	m.guest = nil
}
