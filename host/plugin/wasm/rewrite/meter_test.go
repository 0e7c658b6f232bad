package rewrite_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"pgregory.net/rapid"

	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

// bench is a runtime in which many small modules are tried.
type bench struct {
	runtime wazero.Runtime
	slice   int64
	granted int64
	most    int64
	yields  int
}

func newBench(t testing.TB) *bench {
	t.Helper()
	ctx := context.Background()
	b := &bench{runtime: wazero.NewRuntime(ctx), slice: 1000}
	t.Cleanup(func() {
		if err := b.runtime.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	_, err := b.runtime.NewHostModuleBuilder(rewrite.YieldModule).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(_ context.Context, s []uint64) {
			left := int64(s[0])
			if left >= 0 {
				panic("yield was called with fuel left")
			}
			b.yields++
			if b.most > 0 && b.granted-left > b.most {
				panic(errStopped)
			}
			b.granted += b.slice
			s[0] = uint64(left + b.slice)
		}), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).Export(rewrite.YieldName).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run instantiates code, calls its "run" and gives the module to look.
func (b *bench) run(t interface{ Fatal(...any) }, code []byte, arg uint32, look func(api.Module)) (uint64, error) {
	ctx := context.Background()
	b.granted, b.yields = 0, 0
	module, err := b.runtime.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close(ctx)
	out, err := module.ExportedFunction("run").Call(ctx, uint64(arg))
	if look != nil {
		look(module)
	}
	if err != nil {
		return 0, err
	}
	return out[0], nil
}

// fuel is what a run took.
func (b *bench) fuel(m api.Module) int64 {
	return b.granted - int64(m.ExportedGlobal(rewrite.FuelGlobal).Get())
}

// TestMeteredProgramsDoTheSame draws programs and runs them here, in the engine,
// and metered in the engine: memory, globals and results are the same, every
// instruction that ran was paid for, and not much more than that; how often the
// code looks does not change what it costs.
func TestMeteredProgramsDoTheSame(t *testing.T) {
	b := newBench(t)
	rapid.Check(t, func(t *rapid.T) {
		p := programs().Draw(t, "program")
		arg := rapid.Uint32Range(0, 5).Draw(t, "argument")
		code := p.module()
		m, err := rewrite.Parse(code)
		if err != nil {
			t.Fatal(err)
		}
		counted, err := m.Metered()
		if err != nil {
			t.Fatal(err)
		}
		want := &machine{p: p, total: 1}
		result := want.function(0, arg)
		fuels := map[int64]bool{}
		var fuel int64
		try := func(code []byte, slice int64, fueled bool) {
			b.slice = slice
			got, err := b.run(t, code, arg, func(m api.Module) {
				memory, _ := m.Memory().Read(0, 1<<16)
				if !bytes.Equal(memory, want.memory[:]) {
					t.Error("memory is not the same")
				}
				if total := uint32(m.ExportedGlobal("total").Get()); total != want.total {
					t.Errorf("the global is %d, want %d", total, want.total)
				}
				if fueled {
					fuel = b.fuel(m)
					fuels[fuel] = true
				}
			})
			if err != nil || uint32(got) != result {
				t.Errorf("got %d, %v; want %d", got, err, result)
			}
		}
		try(code, 0, false)
		try(counted, 7, true)
		try(counted, 1000, true)
		try(counted, 1<<40, true)
		if len(fuels) != 1 {
			t.Errorf("the same run took %v fuel", fuels)
		}
		if fuel < want.count {
			t.Errorf("%d instructions ran for %d of fuel", want.count, fuel)
		}
		// Each instruction may pay for a stretch that is skipped.
		if most := 40*want.count + 1000; fuel > most {
			t.Errorf("%d instructions took %d of fuel, at most %d is right", want.count, fuel, most)
		}
	})
}
