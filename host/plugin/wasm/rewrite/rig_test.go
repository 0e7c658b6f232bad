package rewrite_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

// errStopped is how the rig's yield ends a guest.
var errStopped = errors.New("stopped by the host")

// compiled keeps what was compiled, for all rigs: a Go guest takes seconds.
var compiled = wazero.NewCompilationCache()

// rig runs one guest with as much of Extism's ABI as guests of tests use. Its
// memory is given out from front to back and taken back after each call.
type rig struct {
	runtime wazero.Runtime
	module  api.Module
	call    api.Function
	blocks  []byte
	sizes   map[uint64]uint64
	input   []byte
	output  []byte

	slice  int64 // what a yield grants
	most   int64 // after which a yield stops the guest; 0 for never
	used   int64 // what was granted
	yields int
}

func newRig(t testing.TB, code []byte) *rig {
	t.Helper()
	r := &rig{slice: 1 << 20, sizes: map[uint64]uint64{}}
	ctx := context.Background()
	r.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(compiled))
	t.Cleanup(func() {
		if err := r.runtime.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	wasi_snapshot_preview1.MustInstantiate(ctx, r.runtime)
	r.kernel(t)
	module, err := r.runtime.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	r.module, r.call = module, module.ExportedFunction("callboard_call")
	return r
}

// metered returns a guest's metered code.
func metered(t testing.TB, code []byte) []byte {
	t.Helper()
	m, err := rewrite.Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Metered()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r *rig) kernel(t testing.TB) {
	t.Helper()
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	ctx := context.Background()
	var env wazero.HostModuleBuilder
	add := func(name string, params, results []api.ValueType, f func(stack []uint64)) {
		env.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) { f(stack) }), params, results).Export(name)
	}
	open := func(name string) { env = r.runtime.NewHostModuleBuilder(name) }
	closed := func() {
		if _, err := env.Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	word := func(b []byte) (v uint64) {
		for i := range min(8, len(b)) {
			v |= uint64(b[i]) << (8 * i)
		}
		return v
	}
	one, two, none := []api.ValueType{i64}, []api.ValueType{i64, i64}, []api.ValueType{}
	open("extism:host/env")
	add("input_length", none, one, func(s []uint64) { s[0] = uint64(len(r.input)) })
	add("input_load_u8", one, []api.ValueType{i32}, func(s []uint64) { s[0] = uint64(r.input[s[0]]) })
	add("input_load_u64", one, one, func(s []uint64) { s[0] = word(r.input[s[0]:]) })
	add("length", one, one, func(s []uint64) { s[0] = r.sizes[s[0]] })
	add("length_unsafe", one, one, func(s []uint64) { s[0] = r.sizes[s[0]] })
	add("alloc", one, one, func(s []uint64) { s[0] = r.alloc(s[0]) })
	add("free", one, none, func([]uint64) {})
	add("load_u8", one, []api.ValueType{i32}, func(s []uint64) { s[0] = uint64(r.blocks[s[0]]) })
	add("load_u64", one, one, func(s []uint64) { s[0] = word(r.blocks[s[0]:]) })
	add("store_u8", []api.ValueType{i64, i32}, none, func(s []uint64) { r.blocks[s[0]] = byte(s[1]) })
	add("store_u64", two, none, func(s []uint64) {
		for i := range 8 {
			r.blocks[s[0]+uint64(i)] = byte(s[1] >> (8 * i))
		}
	})
	add("output_set", two, none, func(s []uint64) { r.output = r.blocks[s[0] : s[0]+s[1]] })
	add("error_set", one, none, func([]uint64) {})
	closed()
	open("extism:host/user")
	add("callboard_host", one, one, func(s []uint64) {
		at := r.alloc(r.sizes[s[0]])
		copy(r.blocks[at:], r.blocks[s[0]:s[0]+r.sizes[s[0]]])
		s[0] = at
	})
	closed()
	open(rewrite.YieldModule)
	add(rewrite.YieldName, one, one, func(s []uint64) { s[0] = uint64(r.yield(int64(s[0]))) })
	closed()
}

func (r *rig) alloc(size uint64) uint64 {
	at := uint64(len(r.blocks)+7) &^ 7
	r.blocks = append(r.blocks, make([]byte, int(at+size)-len(r.blocks)+8)...)
	r.sizes[at] = size
	return at
}

func (r *rig) yield(fuel int64) int64 {
	r.yields++
	if r.most > 0 && r.used-fuel > r.most {
		panic(errStopped)
	}
	r.used += r.slice
	return fuel + r.slice
}

// ask makes one call of an act and returns the body of the answer.
func (r *rig) ask(act, body string) (string, error) {
	if body == "" {
		body = "null"
	}
	r.input = fmt.Appendf(nil, `{"abi":1,"method":"%s","body":%s}`, act, body)
	r.blocks, r.output = append(r.blocks[:0], make([]byte, 16)...), nil
	clear(r.sizes)
	if _, err := r.call.Call(context.Background()); err != nil {
		return "", err
	}
	out := string(r.output)
	if !strings.HasPrefix(out, `{"body":`) {
		return "", errors.New(out)
	}
	return out[len(`{"body":`) : len(out)-1], nil
}

// left is what the guest's fuel global holds.
func (r *rig) left() int64 {
	return int64(r.module.ExportedGlobal(rewrite.FuelGlobal).Get())
}

// spent makes a call and returns the fuel that it took.
func (r *rig) spent(t testing.TB, act, body string) (answer string, fuel int64) {
	t.Helper()
	r.used = r.left()
	answer, err := r.ask(act, body)
	if err != nil {
		t.Fatalf("%s: %v", act, err)
	}
	return answer, r.used - r.left()
}

// items is a task of about 900 bytes.
func items(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"name":"component-%d","size":%d,"on":%v,"owner":"team-%d"}`, i, i*7, i%3 != 0, i%4)
	}
	return "[" + b.String()[1:] + "]"
}
