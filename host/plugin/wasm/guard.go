package wasm

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// errOutput stops a guest whose output is too large before it is copied.
var errOutput = errors.New("the output is too large")

// withOutputGuard makes modules that are compiled under ctx watch
// extism:host/env's output_set, whose second parameter is the output's size.
// Functions of guests are not watched, so this costs them nothing.
func withOutputGuard(ctx context.Context) context.Context {
	return experimental.WithFunctionListenerFactory(ctx, experimental.FunctionListenerFactoryFunc(
		func(def api.FunctionDefinition) experimental.FunctionListener {
			if def.GoFunction() == nil || def.Name() != "output_set" && !exports(def, "output_set") {
				return nil
			}
			return outputGuard{}
		}))
}

func exports(def api.FunctionDefinition, name string) bool {
	for _, n := range def.ExportNames() {
		if n == name {
			return true
		}
	}
	return false
}

type outputGuard struct{}

// Before stops the guest: a panic in a host function becomes its error.
func (outputGuard) Before(ctx context.Context, _ api.Module, _ api.FunctionDefinition, params []uint64, _ experimental.StackIterator) {
	c, ok := ctx.Value(callKey{}).(*call)
	if ok && c.limits.Output > 0 && len(params) == 2 && params[1] > uint64(c.limits.Output) {
		c.output.Store(int64(min(params[1], 1<<40)))
		panic(errOutput)
	}
}

func (outputGuard) After(context.Context, api.Module, api.FunctionDefinition, []uint64) {}

func (outputGuard) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

// scroll keeps the first bytes that are written to it and drops the rest.
type scroll struct {
	limit int
	// line, if not nil, hears of every whole line that is kept.
	line func(string)

	mu   sync.Mutex
	buf  []byte
	told int // where the first line begins that line has not heard
	cut  bool
}

// Write keeps what fits and never fails.
func (t *scroll) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := max(0, t.limit-len(t.buf))
	if len(p) > room {
		t.cut = true
		t.buf = append(t.buf, p[:room]...)
	} else {
		t.buf = append(t.buf, p...)
	}
	for t.line != nil {
		n := bytes.IndexByte(t.buf[t.told:], '\n')
		if n < 0 {
			break
		}
		t.line(string(t.buf[t.told : t.told+n]))
		t.told += n + 1
	}
	return len(p), nil
}

// bytes returns what was kept.
func (t *scroll) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cut {
		return append(append([]byte(nil), t.buf...), " […]"...)
	}
	return append([]byte(nil), t.buf...)
}
