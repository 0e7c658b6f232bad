package rewrite_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

// hostile are programs that never end. Each is the body of "run" (i32) -> i32 in
// a module with 16 pages of memory, a table and a host function.
func hostile() map[string]func(a *assembly, host uint64) []byte {
	forever := func(body ...[]byte) []byte { return cat(loop(append(body, br(0))...), i32(0)) }
	plain := func(body []byte) func(*assembly, uint64) []byte {
		return func(*assembly, uint64) []byte { return body }
	}
	drop := op(0x1a)
	whole := i32(16 << 16)
	return map[string]func(a *assembly, host uint64) []byte{
		"Loop":           plain(forever()),
		"NestedLoops":    plain(forever(loop(loop(get(0), brIf(2))))),
		"LoopOfBrIf":     plain(cat(loop(i32(1), brIf(0)), i32(0))),
		"LoopOfBrTable":  plain(cat(loop(get(0), brTable(0, 0, 0)), i32(0))),
		"LoopInDeadCode": plain(cat(op(0x02, 0x40), br(0), loop(br(0)), op(0x0b), forever())),
		"LoopWithParameter": func(a *assembly, _ uint64) []byte {
			return cat(i32(1), op(0x03), sleb(int64(a.kind("i>i"))), br(0), op(0x0b))
		},
		"LoopWithResult": plain(cat(op(0x03, 0x7f), br(0), op(0x0b))),
		"LoopOfCalls": func(a *assembly, _ uint64) []byte {
			// Functions so small that their callers pay for them.
			tiny := a.function("i>i", 0, get(0))
			return forever(slices.Repeat(cat(get(0), call(tiny), drop), 1000))
		},
		"LongLoop":        plain(forever(slices.Repeat(cat(get(0), drop), 300_000))),
		"RecursionTwice":  plain(nil), // written below
		"RecursionByType": plain(nil),
		"HostCalls":       func(_ *assembly, host uint64) []byte { return forever(call(host)) },
		"Fill":            plain(forever(i32(0), i32(1), whole, op(0xfc, 11, 0))),
		"FillNothing":     plain(forever(i32(0), i32(1), i32(0), op(0xfc, 11, 0))),
		"CopyForward":     plain(forever(i32(0), i32(1), i32(16<<16-1), op(0xfc, 10, 0, 0))),
		"CopyBackward":    plain(forever(i32(1), i32(0), i32(16<<16-1), op(0xfc, 10, 0, 0))),
		"GrowNothing":     plain(forever(i32(0), op(0x40, 0), drop)),
		"GrowTooMuch":     plain(forever(i32(60000), op(0x40, 0), drop)),
		"TableFill":       plain(forever(i32(0), op(0xd0, 0x70), i32(100), op(0xfc, 17, 0))),
		"TableGrow":       plain(forever(op(0xd0, 0x70), i32(1), op(0xfc, 15, 0), drop)),
	}
}

func hostileModule(name string, body func(*assembly, uint64) []byte) []byte {
	a := &assembly{memory: []byte{1, 16, 16}, table: []byte{0x70, 0, 100}}
	host := a.foreign("env", "host", ">")
	a.kind("i>i")
	code := body(a, host)
	run := uint64(a.imported + len(a.funcs))
	switch name {
	case "RecursionTwice":
		code = cat(get(0), call(run), op(0x1a), get(0), call(run))
	case "RecursionByType":
		code = cat(get(0), i32(0), indirect(a.kind("i>i")))
	}
	a.function("i>i", 0, code)
	a.export("run", 0, run)
	a.elements = [][]byte{cat(op(0), i32(0), op(0x0b), uleb(1), uleb(run))}
	return a.bytes()
}

// TestAttackRunawayModules: each is made to ask for fuel again and again, and can
// be ended there; none is trapped by the stack's end before.
func TestAttackRunawayModules(t *testing.T) {
	b := newBench(t)
	installHost(t, b.runtime)
	for name, body := range hostile() {
		t.Run(name, func(t *testing.T) {
			code := hostileModule(name, body)
			if _, err := b.runtime.CompileModule(context.Background(), code); err != nil {
				t.Fatalf("the test's own module is not valid: %v", err)
			}
			b.slice, b.most = 100_000, 10_000_000
			if strings.HasPrefix(name, "Recursion") {
				b.most = 2_000_000 // before the engine's own end of the stack
			}
			begin := time.Now()
			_, err := b.run(t, metered(t, code), 1, nil)
			if !errors.Is(err, errStopped) {
				t.Fatalf("it ended with %v", err)
			}
			if b.yields < 2 || b.granted > b.most+2*b.slice {
				t.Errorf("it was stopped at yield %d, after %d of fuel", b.yields, b.granted)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("it ran for %v", took)
			}
		})
	}
}

// TestLongWaysLook: three million instructions without a loop, in pieces that may
// each be skipped, are not run in one go.
func TestLongWaysLook(t *testing.T) {
	a := &assembly{}
	piece := block(i32(0), brIf(0), slices.Concat(slices.Repeat([][]byte{cat(get(0), op(0x1a))}, 500)...))
	run := a.function("i>i", 0, slices.Repeat(piece, 3000), get(0))
	a.export("run", 0, run)
	b := newBench(t)
	b.slice = 100_000
	if _, err := b.run(t, metered(t, a.bytes()), 1, nil); err != nil {
		t.Fatal(err)
	}
	if b.yields < 20 {
		t.Errorf("it asked for fuel %d times", b.yields)
	}
}

func installHost(t *testing.T, r wazero.Runtime) {
	t.Helper()
	_, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(context.Context, []uint64) {}), nil, nil).Export("host").Instantiate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
}

// TestAttackStartFunction: code that runs at instantiation is metered too.
func TestAttackStartFunction(t *testing.T) {
	a := &assembly{}
	a.start = uleb(a.function(">", 0, loop(br(0))))
	b := newBench(t)
	b.slice, b.most = 1000, 100_000
	_, err := b.runtime.InstantiateWithConfig(context.Background(), metered(t, a.bytes()), wazero.NewModuleConfig())
	if !errors.Is(err, errStopped) || b.yields < 50 {
		t.Errorf("it ended with %v after %d yields", err, b.yields)
	}
}

// TestAttackFuelFromInside: a module that names the global behind its own, which
// will be the fuel, is not read at all.
func TestAttackFuelFromInside(t *testing.T) {
	for name, body := range map[string][]byte{
		"Set":         cat(op(0x42, 0), globalSet(1)),
		"SetInDead":   cat(op(0x00), op(0x42, 0), globalSet(1)),
		"Get":         cat(globalGet(1), op(0x1a)),
		"CallRefuel":  call(1),
		"CallYield":   call(2),
		"LocalOfOurs": cat(i32(0), get(0), op(0x1a, 0x1a)),
	} {
		t.Run(name, func(t *testing.T) {
			a := &assembly{globals: [][]byte{cat(op(0x7e, 1), op(0x42, 0), op(0x0b))}}
			a.function(">", 0, body)
			if _, err := rewrite.Parse(a.bytes()); err == nil {
				t.Error("it was read")
			}
		})
	}
}

// TestBulkInPieces: a large operation does what it did, its ends and overlaps
// included, and one that is out of bounds writes nothing.
func TestBulkInPieces(t *testing.T) {
	const size = 80 << 16
	b := newBench(t)
	cases := []struct {
		name          string
		to, from, n   int64
		fill, trapped bool
	}{
		{"CopyApart", 0, 40 << 16, 39 << 16, false, false},
		{"CopyForward", 1000, 3000, 70 << 16, false, false},
		{"CopyBackward", 3000, 1000, 70 << 16, false, false},
		{"CopyOntoItself", 5, 5, 60 << 16, false, false},
		{"CopyToTheEnd", 1, 0, size - 1, false, false},
		{"CopyFromBeyond", 0, 1, size, false, true},
		{"CopyToBeyond", 1, 0, size, false, true},
		{"CopyWrapsAround", 0, -1, size, false, true},
		{"FillAll", 0, 7, size, true, false},
		{"FillSome", 12345, 255, 50<<16 + 17, true, false},
		{"FillBeyond", 1, 7, size, true, true},
		{"FillHuge", 0, 7, -1, true, true},
		{"CopySmall", 10, 20, 100, false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code := bulkModule(c.to, c.from, c.n, c.fill)
			var states [2][]byte
			var errs [2]error
			for i, code := range [][]byte{code, metered(t, code)} {
				_, errs[i] = b.run(t, code, 0, func(m api.Module) {
					all, _ := m.Memory().Read(0, size)
					states[i] = slices.Clone(all)
				})
			}
			if !slices.Equal(states[0], states[1]) {
				t.Error("memory is not the same")
			}
			if (errs[0] != nil) != c.trapped || (errs[1] != nil) != c.trapped {
				t.Errorf("it ended with %v, metered with %v", errs[0], errs[1])
			}
			if c.n > 32<<16 && !c.trapped && b.yields < 20 {
				t.Errorf("it looked %d times", b.yields)
			}
		})
	}
}

// bulkModule writes a pattern into memory, then does one bulk operation.
func bulkModule(to, from, n int64, fill bool) []byte {
	a := &assembly{memory: []byte{0, 80}}
	pattern := cat(i32(80<<16-4), set(1), loop(
		get(1), get(1), i32(2654435), op(mul), op(0x36, 2, 0),
		get(1), i32(68), op(sub), op(0x22, 1), i32(0), op(0x4a), brIf(0)))
	last := op(0xfc, 10, 0, 0)
	if fill {
		last = op(0xfc, 11, 0)
	}
	run := a.function("i>i", 1, pattern, i32(to), i32(from), i32(n), last, i32(0))
	a.export("run", 0, run)
	return a.bytes()
}
