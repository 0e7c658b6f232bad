package kernel

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/tetratelabs/wazero/sys"
)

// clean reports whether a State that was reset is as New makes it, and nothing
// but zeroes are in the room that it keeps.
func clean(s *State) bool {
	zero := func(b []byte) bool { return len(bytes.Trim(b[:cap(b)], "\x00")) == 0 }
	if !zero(s.mem.bytes) || len(s.mem.blocks) != 0 || s.mem.top != first || s.mem.length != pageSize-rootSize || s.mem.free != 0 {
		return false
	}
	for _, b := range s.mem.blocks[:cap(s.mem.blocks)] {
		if b != (block{}) {
			return false
		}
	}
	for _, t := range s.streams {
		if !zero(t.kept) || len(t.kept) != 0 || t.cut || t.dying != "" {
			return false
		}
	}
	return s.input|s.inputLength|s.output|s.outputLength|s.fault == 0 && s.wanted == 0 && s.work == 0 && s.varBytes == 0 &&
		len(s.vars) == 0 && s.call == s.idle && s.ctx == context.Background() && s.deadline.IsZero() && s.began.IsZero()
}

// TestFieldsAreKnown fails when State gets a field: Reset and clean must know
// it.
func TestFieldsAreKnown(t *testing.T) {
	for typ, want := range map[reflect.Type]int{reflect.TypeFor[State](): 18, reflect.TypeFor[memory](): 5, reflect.TypeFor[stream](): 3} {
		if n := typ.NumField(); n != want {
			t.Errorf("%s has %d fields, %d are known to this test", typ, n, want)
		}
	}
}

// TestNothingStays looks for a secret in all memory that a State owns.
func TestNothingStays(t *testing.T) {
	const canary = "canary-5f1c"
	all := []step{
		do("alloc", value(int64(len(canary)))), do("input_offset"), do("input_length"),
		do("log_info", answer(1, 0)), do("alloc", value(300)), do("var_set", answer(1, 0), answer(1, 0)), do("error_set", answer(0, 0)),
	}
	_, g, err := steps(t, ModuleExtism, extism(), &Call{Input: []byte(canary), LogBytes: 100}, all...)
	if err != nil {
		t.Fatal(err)
	}
	if !holds(g.state, canary) {
		t.Fatal("the search does not find what is there")
	}
	var logged string
	g.state.call.Log = func(stream string, text []byte) { logged += stream + " " + string(text) }
	vars := g.state.vars[canary]
	g.state.Reset()
	if holds(g.state, canary) || bytes.Contains(vars, []byte("canary")) || !clean(g.state) {
		t.Error("something is left after Reset")
	}
	if logged != "log info: "+canary+"\n" {
		t.Errorf("the log got %q", logged)
	}
}

// holds searches every slice of the state to its full room.
func holds(s *State, secret string) bool {
	blocks := s.mem.blocks[:cap(s.mem.blocks)]
	room := [][]byte{s.mem.bytes[:cap(s.mem.bytes)]}
	if len(blocks) > 0 {
		room = append(room, unsafe.Slice((*byte)(unsafe.Pointer(&blocks[0])), len(blocks)*blockSize))
	}
	for _, t := range s.streams {
		room = append(room, t.kept[:cap(t.kept)])
	}
	for k, v := range s.vars {
		room = append(room, []byte(k), v[:cap(v)])
	}
	for _, r := range room {
		if bytes.Contains(r, []byte(secret)) {
			return true
		}
	}
	return false
}

// TestNoAllocations: a call of usual size allocates nothing.
func TestNoAllocations(t *testing.T) {
	var all []step
	all = append(all, do("input_offset"), do("alloc", value(1000)))
	for i := range int64(100) {
		all = append(all, do("input_load_u64", value(i*8)), do("store_u64", answer(1, i*8), value(i)))
	}
	all = append(all, do("output_set", answer(1, 0), value(1000)))
	g := open(t, program(ModuleExtism, extism(), all, nil))
	input, stack := bytes.Repeat([]byte("x"), 1000), make([]uint64, 1)
	c := &Call{Input: input, Memory: 1 << 20, Output: 1 << 20, Deadline: time.Now().Add(time.Hour)}
	ctx := context.Background()
	once := func() {
		g.noted = g.noted[:0]
		if err := g.state.Begin(ctx, c); err != nil {
			t.Fatal(err)
		}
		if err := g.run.CallWithStack(g.state, stack); err != nil {
			t.Fatal(err)
		}
		if len(g.state.Output()) != 1000 {
			t.Fatal("no output")
		}
		g.state.Reset()
	}
	once()
	if n := testing.AllocsPerRun(100, once); n > 0 {
		t.Errorf("a call allocates %v times", n)
	}
}

// TestLimits: each names itself.
func TestLimits(t *testing.T) {
	long := strings.Repeat("x", 200)
	for name, c := range map[string]struct {
		call  Call
		steps []step
		kind  Kind
	}{
		"OutputTooLarge": {Call{Output: 100}, []step{do("alloc", value(101)), do("output_set", answer(0, 0), value(101))}, Output},
		"OutputHuge":     {Call{Output: 100}, []step{do("output_set", value(1), value(-1))}, Output},
		"InputTooLarge":  {Call{Memory: 150, Input: []byte(long)}, nil, Memory},
		"HTTPRequest":    {Call{}, []step{do("http_request", value(0), value(0))}, Refused},
		"HTTPStatus":     {Call{}, []step{do("http_status_code")}, Refused},
		"HTTPHeaders":    {Call{}, []step{do("http_headers")}, Refused},
		"VariablesFull":  {Call{}, []step{do("alloc", value(maxVars)), do("alloc", value(1)), do("var_set", answer(1, 0), answer(0, 0))}, Memory},
		"DeadlineOfBulk": {Call{Deadline: time.Now().Add(-time.Second)}, []step{do("alloc", value(lookAfter))}, Deadline},
		"NegativeMemory": {Call{Memory: 1 << 20}, []step{do("alloc", value(-1)), do("http_headers")}, Refused},
	} {
		t.Run(name, func(t *testing.T) {
			_, g, err := steps(t, ModuleExtism, extism(), &c.call, c.steps...)
			var f *Fault
			if !errors.As(err, &f) || f.Kind != c.kind {
				t.Fatalf("got %v", err)
			}
			if f.Error() == "" || f.Kind == Output && f.Limit != 100 {
				t.Errorf("it says %q", f)
			}
			if strings.HasPrefix(name, "Negative") && g.noted[0] != 0 {
				t.Errorf("alloc answered %d", g.noted[0])
			}
			g.state.Reset()
			if !clean(g.state) {
				t.Error("something is left after Reset")
			}
		})
	}
}

// TestMemoryLimit: a guest is refused what is over the limit, and the state
// remembers how much it was.
func TestMemoryLimit(t *testing.T) {
	const limit = 2*pageSize + 3*pageSize // the guest's own memory, and the kernel's
	got, g, err := steps(t, ModuleExtism, extism(), &Call{Memory: limit}, do("alloc", value(100_000)), do("alloc", value(100_000)), do("alloc", value(10)))
	if err != nil || got[0] == 0 || got[1] != 0 || got[2] == 0 {
		t.Fatalf("got %v, %v", got, err)
	}
	if r := g.state.Refused(); r <= limit || r > limit+2*pageSize {
		t.Errorf("refused %d", r)
	}
	if b := g.state.Bytes(); b > 3*pageSize || b < 2*pageSize {
		t.Errorf("the kernel has %d bytes", b)
	}
}

// TestForgery: offsets that are not a guest's own lead nowhere.
func TestForgery(t *testing.T) {
	huge := int64(1) << 32 // an offset that 32 bits would cut
	got, g, err := steps(t, ModuleExtism, extism(), &Call{},
		do("alloc", value(16)), do("store_u64", answer(0, 0), value(0x1234)),
		do("load_u64", answer(0, huge)), do("load_u8", answer(0, huge)), do("length", answer(0, huge)), do("length", answer(0, 1)),
		do("load_u64", value(-4)), do("load_u64", answer(0, 9)), do("load_u8", value(0)),
		do("store_u64", answer(0, -12), value(-1)), do("store_u64", answer(0, huge), value(-1)), do("length", answer(0, 0)), // the header
		do("free", answer(0, 1)), do("length", answer(0, 0)),
		do("output_set", answer(0, 0), value(1<<20)), do("output_length"), do("output_set", value(-1), value(2)), do("output_length"),
		do("free", answer(0, 0)), do("free", answer(0, 0)), do("length", answer(0, 0)), do("input_load_u64", value(-8)), do("input_load_u8", value(1)))
	if err != nil {
		t.Fatal(err)
	}
	want := []uint64{got[0], ^uint64(0), 0, 0, 0, 0, 0, 0, 0, ^uint64(0), ^uint64(0), 16, ^uint64(0), 16, ^uint64(0), 0, ^uint64(0), 0,
		^uint64(0), ^uint64(0), 0, 0, 0}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("step %d answered %d, want %d", i, got[i], want[i])
		}
	}
	g.state.Reset()
}

func TestHostCalls(t *testing.T) {
	build := func(t *testing.T, all ...step) *guest {
		return open(t, programOf(map[string][]function{ModuleExtism: extism(), ModuleUser: user()}, all, nil))
	}
	ask := []step{do("alloc", value(8)), do("store_u64", answer(0, 0), value(0x6f6c6c6568)), do("callboard_host", answer(0, 0)), do("length", answer(2, 0)), do("load_u8", answer(2, 0))}
	t.Run("Answer", func(t *testing.T) {
		g := build(t, ask...)
		err := g.call(t, &Call{Host: func(_ context.Context, request []byte) []byte {
			return append([]byte(">"), request...)
		}})
		if err != nil || g.noted[3] != 9 || g.noted[4] != '>' {
			t.Errorf("got %v, %v", g.noted, err)
		}
	})
	t.Run("NoRoom", func(t *testing.T) {
		g := build(t, ask...)
		err := g.call(t, &Call{Memory: 3*pageSize + 100, NoRoom: []byte("full"), Host: func(context.Context, []byte) []byte { return make([]byte, pageSize) }})
		if err != nil || g.noted[3] != 4 || g.noted[4] != 'f' || g.state.Refused() == 0 {
			t.Errorf("got %v, %v", g.noted, err)
		}
	})
	t.Run("NoBlock", func(t *testing.T) {
		g := build(t, do("callboard_host", value(99)))
		var got []byte = []byte("x")
		if err := g.call(t, &Call{Host: func(_ context.Context, r []byte) []byte { got = r; return nil }}); err != nil || got != nil || g.noted[0] != 0 {
			t.Errorf("got %v %v %v", got, g.noted, err)
		}
	})
	t.Run("NoHost", func(t *testing.T) {
		var f *Fault
		if err := build(t, ask...).call(t, &Call{}); !errors.As(err, &f) || f.Kind != Refused {
			t.Errorf("got %v", err)
		}
	})
	t.Run("AfterTheDeadline", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		g := build(t, ask...)
		if err := g.state.Begin(ctx, &Call{Host: func(ctx context.Context, _ []byte) []byte { cancel(); <-ctx.Done(); return nil }}); err != nil {
			t.Fatal(err)
		}
		var f *Fault
		if err := g.run.CallWithStack(g.state, make([]uint64, 1)); !errors.As(err, &f) || f.Kind != Cancelled {
			t.Errorf("got %v", err)
		}
		if err := g.state.Stop(); !errors.As(err, &f) || f.Kind != Cancelled {
			t.Errorf("Stop says %v", err)
		}
	})
}

func TestExitLeavesTheModuleOpen(t *testing.T) {
	g := open(t, program(ModuleWASI, wasi(), []step{do("proc_exit", word(3))}, nil))
	for range 2 {
		var exit *sys.ExitError
		if err := g.call(t, &Call{}); !errors.As(err, &exit) || exit.ExitCode() != 3 {
			t.Fatalf("got %v", err)
		}
		g.state.Reset()
	}
	if g.module.IsClosed() {
		t.Error("the module is closed")
	}
}
