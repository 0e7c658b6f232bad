package kernel

import (
	"bytes"
	"context"
	"slices"
	"testing"

	sdk "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"pgregory.net/rapid"
)

// original runs a program on Extism's own kernel, by its Go SDK.
func original(code, input []byte) (noted []uint64, output []byte, err error) {
	ctx := context.Background()
	note := sdk.NewHostFunctionWithStack(noteName, func(_ context.Context, _ *sdk.CurrentPlugin, stack []uint64) {
		noted = append(noted, stack[0])
	}, []sdk.ValueType{sdk.ValueTypeI64}, nil)
	note.SetNamespace(noteModule)
	p, err := sdk.NewPlugin(ctx, sdk.Manifest{Wasm: []sdk.Wasm{sdk.WasmData{Data: code}}, Config: map[string]string{"color": "blue"}},
		sdk.PluginConfig{EnableWasi: true, RuntimeConfig: wazero.NewRuntimeConfigInterpreter()}, []sdk.HostFunction{note})
	if err != nil {
		return nil, nil, err
	}
	defer p.Close(ctx)
	_, output, err = p.Call("run", input)
	return noted, output, err
}

// TestSameAsExtism: whatever a guest does with blocks that it has, the answers
// are those of Extism's kernel, addresses included.
func TestSameAsExtism(t *testing.T) {
	list := without(extism(), "http_request", "http_status_code", "http_headers", "get_log_level")
	rapid.Check(t, func(t *rapid.T) {
		input := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "input")
		all, spoiled := drawSteps(t, len(input))
		code := program(ModuleExtism, list, all, nil)
		want, wantOut, err := original(code, input)
		failure := ""
		if err != nil {
			// The SDK's error is the guest's message, or that something is wrong.
			failure = err.Error()
		}
		if len(want) != len(all) {
			t.Fatalf("Extism: %v", err)
		}
		g := open(t, code)
		if err := g.call(t, &Call{Input: input, Config: map[string]string{"color": "blue"}}); err != nil {
			t.Fatalf("ours: %v", err)
		}
		for i := range want {
			if g.noted[i] != want[i] {
				t.Fatalf("step %d, %v, answered %d, Extism %d\nall: %v", i, all[i], g.noted[i], want[i], all)
			}
		}
		if got := g.state.Output(); len(got) != len(wantOut) || !spoiled && !bytes.Equal(got, wantOut) {
			t.Fatalf("the output has %d bytes, Extism's %d, or others", len(g.state.Output()), len(wantOut))
		}
		if got := string(g.state.Failure()); got != failure {
			t.Fatalf("the failure is %q, Extism's %q", got, failure)
		}
		g.state.Reset()
		if !clean(g.state) {
			t.Fatal("something is left after Reset")
		}
	})
}

func without(list []function, names ...string) []function {
	return slices.DeleteFunc(list, func(f function) bool { return slices.Contains(names, f.name) })
}

// drawSteps draws a program that uses memory only where it has some. The output
// is spoiled if its block was freed after it was set.
func drawSteps(t *rapid.T, input int) (all []step, spoiled bool) {
	output := -1
	// What is freed may hold the header of another block: its bytes are not
	// looked at any more.
	type held struct {
		step int
		size int64
	}
	freed := map[int]bool{}
	var blocks []held
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		op := rapid.SampledFrom([]string{"alloc", "alloc", "alloc", "free", "length", "length_unsafe", "load_u8", "load_u64", "store_u8", "store_u64",
			"input", "input_load_u8", "input_load_u64", "output_set", "error_set", "memory_bytes", "reset", "var_set", "var_get", "config_get", "log_info", "input_set"}).Draw(t, "op")
		if op == "alloc" || len(blocks) == 0 && op != "input" {
			n := rapid.OneOf(rapid.Int64Range(0, 40), rapid.Int64Range(100, 600), rapid.Int64Range(60_000, 200_000)).Draw(t, "size")
			blocks = append(blocks, held{step: len(all), size: n})
			all = append(all, do("alloc", value(n)))
			continue
		}
		if op == "input" {
			all = append(all, do("input_length"), do("input_offset"), do("output_length"), do("output_offset"), do("error_get"))
			continue
		}
		i := rapid.IntRange(0, len(blocks)-1).Draw(t, "block")
		b := blocks[i]
		at := answer(b.step, 0)
		usable := !freed[i] && b.size > 0
		switch op {
		case "free", "var_get", "log_info":
			freed[i] = true
			spoiled = spoiled || i == output
		case "var_set":
			clear(freed)
			spoiled = true
			for n := range blocks {
				freed[n] = true
			}
		}
		switch op {
		case "free", "length", "length_unsafe", "error_set", "var_get", "config_get", "log_info":
			all = append(all, do(op, at))
		case "var_set":
			all = append(all, do(op, at, rapid.SampledFrom([]arg{value(0), at, answer(blocks[0].step, 0)}).Draw(t, "value")))
		case "load_u8", "store_u8", "load_u64", "store_u64":
			if b.size < 8 || !usable {
				continue
			}
			s := do(op, answer(b.step, rapid.Int64Range(0, b.size-8).Draw(t, "offset")))
			if op[0] == 's' {
				a := value(rapid.Int64().Draw(t, "word"))
				a.small = op == "store_u8"
				s.args = append(s.args, a)
			}
			all = append(all, s)
		case "input_load_u8", "input_load_u64":
			// The Go SDK reads past the end of an input: a guest does not.
			all = append(all, do(op, value(rapid.Int64Range(0, int64(max(0, input-8))).Draw(t, "offset"))))
			if input < 8 {
				all = all[:len(all)-1]
			}
		case "output_set", "input_set":
			if usable && op == "output_set" {
				all = append(all, do(op, at, value(b.size)))
				output, spoiled = i, false
			}
		case "memory_bytes":
			all = append(all, do(op))
		case "reset":
			all = append(all, do(op))
			blocks, input, freed, output = nil, 0, map[int]bool{}, -1
		}
	}
	return all, spoiled
}
