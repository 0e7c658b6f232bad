package kernel

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// tester is what tests and properties have in common.
type tester interface {
	Helper()
	Fatal(...any)
	Cleanup(func())
}

// guest is a module that calls functions of one host module and notes what
// they answer, in an engine of its own.
type guest struct {
	state  *State
	module api.Module
	run    api.Function
	noted  []uint64
}

const (
	noteModule = "test:note"
	noteName   = "note"
)

// step is one call: its arguments are constants, or the answer of an earlier
// step plus a constant.
type step struct {
	name string
	args []arg
}

type arg struct {
	of    int // the step, or -1
	plus  int64
	small bool // 32 bits
}

func value(v int64) arg             { return arg{of: -1, plus: v} }
func word(v int64) arg              { return arg{of: -1, plus: v, small: true} }
func answer(of int, v int64) arg    { return arg{of: of, plus: v} }
func do(name string, a ...arg) step { return step{name, a} }

// program builds a module that exports run: the steps, each answer noted. Its
// memory begins with data.
func program(module string, list []function, steps []step, data []byte) []byte {
	return programOf(map[string][]function{module: list}, steps, data)
}

// programOf is program for functions of several modules.
func programOf(modules map[string][]function, steps []step, data []byte) []byte {
	b := &runtimetest.Assembly{}
	note := b.Import(noteModule, noteName, []byte{i64}, nil)
	indexes, results := map[string]uint32{}, map[string][]byte{}
	for module, list := range modules {
		for _, f := range list {
			indexes[f.name] = b.Import(module, f.name, f.params, f.results)
			results[f.name] = f.results
		}
	}
	var body [][]byte
	var locals []byte
	for n, s := range steps {
		locals = append(locals, i64)
		for _, a := range s.args {
			switch {
			case a.of >= 0:
				body = append(body, runtimetest.Get(uint32(a.of)), runtimetest.Int64(a.plus), runtimetest.Op(0x7c))
				if a.small {
					body = append(body, runtimetest.Op(0xa7))
				}
			case a.small:
				body = append(body, runtimetest.Int32(int32(a.plus)))
			default:
				body = append(body, runtimetest.Int64(a.plus))
			}
		}
		body = append(body, runtimetest.Call(indexes[s.name]))
		switch r := results[s.name]; {
		case len(r) == 0:
			body = append(body, runtimetest.Int64(-1))
		case r[0] == i32:
			body = append(body, runtimetest.Op(0xad))
		}
		body = append(body, runtimetest.Set(uint32(n)), runtimetest.Get(uint32(n)), runtimetest.Call(note))
	}
	body = append(body, runtimetest.Int32(0))
	b.Export("run", b.Function(nil, []byte{i32}, locals, body...))
	b.Memory(2, 4)
	b.ExportOf("memory", 2, 0)
	if len(data) > 0 {
		b.Data(0, data)
	}
	return b.Bytes()
}

// open instantiates a module with the kernel beside it.
func open(t tester, code []byte) *guest {
	t.Helper()
	g := &guest{state: New()}
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = r.Close(ctx) })
	if err := Instantiate(ctx, r); err != nil {
		t.Fatal(err)
	}
	_, err := r.NewHostModuleBuilder(noteModule).NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
		g.noted = append(g.noted, stack[0])
	}), []api.ValueType{i64}, nil).Export(noteName).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if g.module, err = r.Instantiate(ctx, code); err != nil {
		t.Fatal(err)
	}
	g.run = g.module.ExportedFunction("run")
	return g
}

// call makes one call; the state is reset by the test.
func (g *guest) call(t tester, c *Call) error {
	t.Helper()
	g.noted = g.noted[:0]
	if err := g.state.Begin(context.Background(), c); err != nil {
		return err
	}
	return g.run.CallWithStack(g.state, make([]uint64, 1))
}

// steps runs the steps and returns what each answered.
func steps(t tester, module string, list []function, c *Call, all ...step) ([]uint64, *guest, error) {
	t.Helper()
	g := open(t, program(module, list, all, nil))
	err := g.call(t, c)
	return g.noted, g, err
}
