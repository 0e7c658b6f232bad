package wasm

import (
	"context"
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// hostile is a guest that no toolchain would make, and what becomes of its call.
type hostile struct {
	name string
	code []byte
	// want is the failure of a call, says a part of its message.
	want host.Code
	says string
	set  func(*plugin.Limits)
}

var (
	word = []byte{runtimetest.I32}
	long = []byte{runtimetest.I64}
	two  = []byte{runtimetest.I64, runtimetest.I64}
	none = []byte(nil)
	drop = []byte{0x1a}
	zero = runtimetest.Int32(0)
)

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// storm calls a host function for ever. Its arguments are made anew each time.
func storm(module, name string, params, results []byte, args ...[]byte) []byte {
	b := &runtimetest.Assembly{}
	f := b.Import(module, name, params, results)
	b.Memory(16, 0)
	body := append(args, runtimetest.Call(f))
	if len(results) > 0 {
		body = append(body, drop)
	}
	b.Export(pluginv1.ExportCall, b.Function(nil, word, nil, runtimetest.Loop(body...), zero))
	return b.Bytes()
}

// calling builds a guest whose door calls the last of some functions (i32) ->
// i32; each body may call the one before it, or itself.
func calling(argument int32, bodies ...func(self uint32) []byte) []byte {
	b := &runtimetest.Assembly{}
	b.Memory(1, 0)
	last := uint32(0)
	for _, body := range bodies {
		last = b.Function(word, word, nil, body(last))
		last++ // of the next one
	}
	b.Export(pluginv1.ExportCall, b.Function(nil, word, nil, runtimetest.Int32(argument), runtimetest.Call(last-1)))
	return b.Bytes()
}

// treeRecursion is f(60) with f(n) = n == 0 ? 0 : f(n-1) + f(n-1): 2^60 calls
// and no loop.
func treeRecursion() []byte {
	return calling(60, func(self uint32) []byte {
		less := join(runtimetest.Get(0), runtimetest.Int32(1), runtimetest.Op(0x6b), runtimetest.Call(self))
		return join(runtimetest.Get(0), runtimetest.Op(0x45, 0x04, 0x7f), zero, runtimetest.Op(0x05), less, less, runtimetest.Op(0x6a, 0x0b))
	})
}

// callChain is 60 functions of which each calls the one before twice: neither a
// loop nor a recursion.
func callChain() []byte {
	bodies := []func(uint32) []byte{func(uint32) []byte { return runtimetest.Get(0) }}
	for range 59 {
		bodies = append(bodies, func(next uint32) []byte {
			return join(runtimetest.Get(0), runtimetest.Call(next-1), runtimetest.Call(next-1))
		})
	}
	return calling(1, bodies...)
}

// fills is n operations that each fill a MiB.
func fills(n int) []byte {
	return slices.Repeat(join(zero, runtimetest.Int32(1), runtimetest.Int32(1<<20), runtimetest.Op(0xfc, 11, 0)), n)
}

func bulkStorm() []byte {
	b := &runtimetest.Assembly{}
	b.Memory(16, 0)
	b.Export(pluginv1.ExportCall, b.Function(nil, word, nil, runtimetest.Loop(fills(20)), zero))
	return b.Bytes()
}

// door is a guest of one function.
func door(body ...[]byte) []byte { return guestOf(join(body...), nil) }

// tabled is a guest with a table, whose door has a body.
func tabled(least, most uint32, body ...[]byte) []byte {
	return guestOf(join(body...), func(b *runtimetest.Assembly) { b.Table(least, most) })
}

// failing sets Extism's error and returns 5.
func failing() []byte {
	b := &runtimetest.Assembly{}
	alloc := b.Import("extism:host/env", "alloc", long, long)
	store := b.Import("extism:host/env", "store_u8", []byte{runtimetest.I64, runtimetest.I32}, nil)
	set := b.Import("extism:host/env", "error_set", long, nil)
	b.Memory(1, 0)
	at := runtimetest.Get(0)
	b.Export(pluginv1.ExportCall, b.Function(nil, word, long, runtimetest.Int64(2), runtimetest.Call(alloc), runtimetest.Set(0),
		at, runtimetest.Int32('n'), runtimetest.Call(store), at, runtimetest.Int64(1), runtimetest.Op(0x7c), runtimetest.Int32('o'), runtimetest.Call(store),
		at, runtimetest.Call(set), runtimetest.Int32(5)))
	return b.Bytes()
}

// hoard allocates in the kernel for ever, and looks its blocks up.
func hoard() []byte {
	b := &runtimetest.Assembly{}
	alloc := b.Import("extism:host/env", "alloc", long, long)
	length := b.Import("extism:host/env", "length", long, long)
	b.Memory(1, 0)
	b.Export(pluginv1.ExportCall, b.Function(nil, word, nil, runtimetest.Loop(runtimetest.Int64(1), runtimetest.Call(alloc), runtimetest.Call(length), drop), zero))
	return b.Bytes()
}

func exit(code int32) []byte {
	b := &runtimetest.Assembly{}
	f := b.Import("wasi_snapshot_preview1", "proc_exit", word, nil)
	b.Memory(1, 0)
	b.Export(pluginv1.ExportCall, b.Function(nil, word, nil, runtimetest.Int32(code), runtimetest.Call(f), zero))
	return b.Bytes()
}

func shortly(l *plugin.Limits) { l.Timeout = 150 * time.Millisecond }

// corpus are guests that attack the host or the other callers.
func corpus() []hostile {
	const wasi, extism = "wasi_snapshot_preview1", "extism:host/env"
	timeout, trap := host.CodePluginTimeout, host.CodePluginTrap
	grow := join(runtimetest.Int32(16), runtimetest.Op(0x40, 0), runtimetest.Int32(-1), runtimetest.Op(0x46, 0x04, 0x40, 0x00, 0x0b))
	return []hostile{
		{"Loop", door(runtimetest.Loop(), zero), timeout, "150ms", shortly},
		{"LoopOutOfFuel", door(runtimetest.Loop(), zero), host.CodePluginFuel, "2000000 units", func(l *plugin.Limits) { l.Fuel = 2_000_000 }},
		{"TreeRecursion", treeRecursion(), timeout, "150ms", shortly},
		{"CallChain", callChain(), timeout, "150ms", shortly},
		{"BulkStorm", bulkStorm(), timeout, "150ms", shortly},
		{"BulkOutOfFuel", bulkStorm(), host.CodePluginFuel, "", func(l *plugin.Limits) { l.Fuel = 10_000_000 }},
		{"Allocation", door(runtimetest.Loop(grow), zero), host.CodePluginMemory, "64MiB", nil},
		{"EndlessRecursion", calling(0, func(self uint32) []byte { return join(runtimetest.Get(0), runtimetest.Call(self)) }), trap, "overflowed its stack", nil},
		{"HostStorm", storm("extism:host/user", "callboard_host", long, long, runtimetest.Int64(0)), host.CodeLimit, "only 100 times", nil},
		{"AllocStorm", storm(extism, "alloc", long, long, runtimetest.Int64(1)), timeout, "150ms", func(l *plugin.Limits) { shortly(l); l.Memory = 4 << 20 }},
		{"LoadStorm", storm(extism, "load_u64", long, long, runtimetest.Int64(80)), timeout, "150ms", shortly},
		{"LogStorm", storm(extism, "log_info", long, none, runtimetest.Int64(80)), timeout, "150ms", shortly},
		{"VarStorm", storm(extism, "var_set", two, none, runtimetest.Int64(80), runtimetest.Int64(0)), timeout, "150ms", shortly},
		{"ResetStorm", storm(extism, "reset", none, none), timeout, "150ms", shortly},
		{"ClockStorm", storm(wasi, "clock_time_get", []byte{runtimetest.I32, runtimetest.I64, runtimetest.I32}, word, zero, runtimetest.Int64(0), zero), timeout, "150ms", shortly},
		{"RandomStorm", storm(wasi, "random_get", []byte{runtimetest.I32, runtimetest.I32}, word, zero, runtimetest.Int32(1<<20)), timeout, "150ms", shortly},
		{"WriteStorm", storm(wasi, "fd_write", slices.Repeat(word, 4), word, runtimetest.Int32(2), zero, runtimetest.Int32(100_000), runtimetest.Int32(1<<19)), timeout, "150ms", shortly},
		{"PollStorm", storm(wasi, "poll_oneoff", slices.Repeat(word, 4), word, zero, runtimetest.Int32(1<<19), runtimetest.Int32(10_000), zero), timeout, "150ms", shortly},
		{"YieldStorm", storm(wasi, "sched_yield", none, word), timeout, "150ms", shortly},
		{"Hoard", hoard(), timeout, "150ms", func(l *plugin.Limits) { shortly(l); l.Memory = 32 << 20 }},
		{"Unreachable", door(runtimetest.Op(0x00)), trap, "unreachable", nil},
		{"DivisionByZero", door(runtimetest.Int32(1), zero, runtimetest.Op(0x6d)), trap, "divide by zero", nil},
		{"BeyondItsMemory", door(runtimetest.Int32(65535), runtimetest.Op(0x28, 0, 0)), trap, "out of bounds", nil},
		{"FarBeyondItsMemory", door(runtimetest.Int32(-1), runtimetest.Op(0x28, 0, 0xff, 0xff, 0xff, 0xff, 0x0f)), trap, "out of bounds", nil},
		{"NullFunction", tabled(1, 0, zero, runtimetest.Op(0x11, 0, 0)), trap, "invalid table access", nil},
		{"BeyondItsTable", tabled(1, 0, runtimetest.Int32(77), runtimetest.Op(0x11, 0, 0)), trap, "table", nil},
		{"NaNToInteger", door(runtimetest.Op(0x44, 1, 0, 0, 0, 0, 0, 0xf8, 0x7f), runtimetest.Op(0xaa)), trap, "invalid conversion", nil},
		{"ExitZero", exit(0), trap, "exit code 0", nil},
		{"ExitOne", exit(1), trap, "exit code 1", nil},
		{"Code", door(runtimetest.Int32(9)), trap, "returned 9", nil},
		{"CodeWithMessage", failing(), trap, "returned 5: no", nil},
		{"Nothing", door(zero), host.CodePluginOutput, "", nil},
		{"HugeOutput", storm(extism, "output_set", two, none, runtimetest.Int64(1), runtimetest.Int64(1<<40)), host.CodePluginOutput, "1MiB", nil},
		{"SecretOutput", join(storm(extism, "output_set", two, none, runtimetest.Int64(-8), runtimetest.Int64(64))), timeout, "", shortly},
	}
}

// TestHostileGuests: whatever the code is made of, its call ends as it should
// and soon, on every path, the module serves the next call, and the host's
// garbage collector does not wait.
func TestHostileGuests(t *testing.T) {
	for _, path := range paths() {
		// A guest that runs for ever does so while it is warmed up, too.
		r, err := New(Settings{CacheDir: t.TempDir(), Key: key, Path: path, StartFuel: 25_000_000})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range corpus() {
			t.Run(path+"/"+h.name, func(t *testing.T) {
				m := compile(t, r, h.code)
				for range 2 {
					w := work("x")
					w.World.Host = func(context.Context, pluginv1.HostCall) pluginv1.Result {
						return pluginv1.Result{Body: json.RawMessage(`1`)}
					}
					if h.set != nil {
						h.set(&w.Limits)
					}
					begin := time.Now()
					o, err := m.Call(t.Context(), w)
					if host.CodeOf(err) != h.want || !strings.Contains(err.Error(), h.says) {
						t.Fatalf("got %s, %v (%v)", host.CodeOf(err), err, host.AsError(err).Err)
					}
					if o.Usage.HostCalls > w.Limits.HostCalls {
						t.Errorf("%d host calls are counted, %d were allowed", o.Usage.HostCalls, w.Limits.HostCalls)
					}
					if took := time.Since(begin); took > 5*time.Second {
						t.Errorf("it took %s", took)
					}
					if h.want == host.CodePluginFuel && (o.Usage.Fuel <= w.Limits.Fuel || o.Usage.Fuel > w.Limits.Fuel*2) {
						t.Errorf("it used %d of %d", o.Usage.Fuel, w.Limits.Fuel)
					}
				}
			})
		}
	}
}

// TestHostileStarts: guests that misbehave while they are initialised.
func TestHostileStarts(t *testing.T) {
	start := func(body ...[]byte) []byte {
		b := &runtimetest.Assembly{}
		b.Memory(1, 0)
		b.Export("_initialize", b.Function(nil, nil, nil, body...))
		b.Export(pluginv1.ExportCall, b.Function(nil, word, nil, zero))
		return b.Bytes()
	}
	for _, path := range paths() {
		for name, code := range map[string][]byte{
			"Loop":  start(runtimetest.Loop()),
			"Trap":  start(runtimetest.Op(0x00)),
			"Table": tabled(100_000_000, 0, zero),
			"Memory": guestOf(zero, func(b *runtimetest.Assembly) {
				b.Data(70_000, []byte("beyond the memory"))
			}),
		} {
			t.Run(path+"/"+name, func(t *testing.T) {
				r, err := New(Settings{CacheDir: t.TempDir(), Key: key, Path: path, StartFuel: 50_000_000})
				if err != nil {
					t.Fatal(err)
				}
				m, err := r.Compile(t.Context(), digestOf(code), code)
				if err == nil {
					// The portable path initialises guests at each call.
					w := work("x")
					w.Limits.Timeout = 20 * time.Second
					_, err = m.Call(t.Context(), w)
					if e := m.Close(t.Context()); e != nil {
						t.Error(e)
					}
				}
				if code := host.CodeOf(err); err == nil || code == host.CodePluginOutput || path != PathFresh && code != host.CodeInvalid {
					t.Errorf("got %s, %v", code, err)
				}
			})
		}
	}
}

// TestStackOverflowIsBounded: a recursion costs the host a bounded amount of
// memory, which it gets back.
func TestStackOverflowIsBounded(t *testing.T) {
	code := calling(0, func(self uint32) []byte { return join(runtimetest.Get(0), runtimetest.Call(self)) })
	for _, path := range paths() {
		t.Run(path, func(t *testing.T) {
			m := compile(t, open(t, path), code)
			heap := func() (total, live uint64) {
				var s runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&s)
				return s.TotalAlloc, s.HeapAlloc
			}
			if _, err := m.Call(t.Context(), work("x")); host.CodeOf(err) != host.CodePluginTrap {
				t.Fatalf("got %v", err)
			}
			total, live := heap()
			for range 5 {
				if _, err := m.Call(t.Context(), work("x")); host.CodeOf(err) != host.CodePluginTrap {
					t.Fatalf("got %v", err)
				}
			}
			newTotal, newLive := heap()
			if newLive > live+4<<20 {
				t.Errorf("%d KiB are kept after 5 overflows", (newLive-live)>>10)
			}
			if each := (newTotal - total) / 5; each > 256<<20 {
				t.Errorf("an overflow takes %d MiB", each>>20)
			} else {
				t.Logf("an overflow takes %d MiB", each>>20)
			}
		})
	}
}

// TestReentrancy: a host service may call the same plugin again; that call has
// a sandbox of its own.
func TestReentrancy(t *testing.T) {
	for _, path := range paths() {
		t.Run(path, func(t *testing.T) {
			m := museum(t, path)
			depth := 0
			var call func() (plugin.Outcome, error)
			call = func() (plugin.Outcome, error) {
				w := work("host")
				w.Call.Body = json.RawMessage(`{"service":"a/v1","method":"m"}`)
				w.World.Host = func(context.Context, pluginv1.HostCall) pluginv1.Result {
					if depth++; depth < 4 {
						if o, err := call(); err != nil || o.Result.Error != nil {
							t.Errorf("at depth %d: %v, %v", depth, err, o.Result.Error)
						}
					}
					o, err := m.Call(t.Context(), work("count"))
					if err != nil || string(o.Result.Body) != "1" {
						t.Errorf("a call inside of a call counts %s, %v", o.Result.Body, err)
					}
					return pluginv1.Result{Body: json.RawMessage(`"in"`)}
				}
				return m.Call(t.Context(), w)
			}
			if o, err := call(); err != nil || string(o.Result.Body) != `{"body":"in"}` || depth != 4 {
				t.Errorf("got %s, %v at depth %d", o.Result.Body, err, depth)
			}
		})
	}
}
