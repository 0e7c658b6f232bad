package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// functions assembles a module of several functions. The first is
// callboard_call, () -> i32; the others are (i32) -> i32.
func functions(bodies ...[]byte) []byte {
	vector := func(id byte, items ...[]byte) []byte {
		body := binary.AppendUvarint(nil, uint64(len(items)))
		for _, i := range items {
			body = append(body, i...)
		}
		return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
	}
	var kinds, code [][]byte
	for i, b := range bodies {
		kinds = append(kinds, []byte{byte(min(i, 1))})
		b = append([]byte{0}, b...)
		code = append(code, append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = append(out, vector(1, []byte{0x60, 0, 1, 0x7f}, []byte{0x60, 1, 0x7f, 1, 0x7f})...)
	out = append(out, vector(3, kinds...)...)
	out = append(out, vector(5, []byte{0, 1})...)
	out = append(out, vector(7, append(text("callboard_call"), kindFunction, 0))...)
	return append(out, vector(10, code...)...)
}

// treeRecursion is f(60) with f(n) = n == 0 ? 0 : f(n-1) + f(n-1): 2^60 calls
// and no loop.
func treeRecursion() []byte {
	return functions([]byte{0x41, 60, 0x10, 1, 0x0b},
		[]byte{0x20, 0, 0x45, 0x04, 0x7f, 0x41, 0, 0x05, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x6a, 0x0b, 0x0b})
}

// callChain is 60 functions of which each calls the next one twice: neither a
// loop nor a recursion.
func callChain() []byte {
	bodies := [][]byte{{0x41, 0, 0x10, 1, 0x0b}}
	for i := byte(1); i < 60; i++ {
		bodies = append(bodies, []byte{0x20, 0, 0x10, i + 1, 0x10, i + 1, 0x0b})
	}
	return functions(append(bodies, []byte{0x20, 0, 0x0b})...)
}

// loopBehindBranch is treeRecursion with a loop that is never entered.
func loopBehindBranch() []byte {
	return functions([]byte{0x41, 60, 0x10, 1, 0x0b},
		[]byte{0x41, 0, 0x04, 0x40, 0x03, 0x40, 0x0b, 0x0b, // if (0) loop end
			0x20, 0, 0x45, 0x04, 0x7f, 0x41, 0, 0x05, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x6a, 0x0b, 0x0b})
}

// bulkFlood is a function that fills all of the memory n times.
func bulkFlood(n int) []byte {
	body := []byte{0x41, 0xff, 0x07, 0x40, 0, 0x1a} // grow by 1023 pages
	for range n {
		// memory.fill(0, 1, 64 MiB - 64 KiB)
		body = append(body, 0x41, 0, 0x41, 1, 0x41, 0x80, 0x80, 0xfc, 0x1f, 0xfc, 11, 0)
	}
	return functions(append(body, 0x41, 0, 0x0b))
}

// bulkChain is callChain with functions that fill all of the memory.
func bulkChain() []byte {
	fill := []byte{0x41, 0, 0x41, 1, 0x41, 0x80, 0x80, 0xf8, 0x1f, 0xfc, 11, 0}
	bodies := [][]byte{{0x41, 0xfe, 0x07, 0x40, 0, 0x1a, 0x41, 0, 0x10, 1, 0x0b}}
	for i := byte(1); i < 40; i++ {
		bodies = append(bodies, append(bytes.Repeat(fill, 20), 0x20, 0, 0x10, i+1, 0x10, i+1, 0x0b))
	}
	return functions(append(bodies, append(bytes.Repeat(fill, 200), 0x20, 0, 0x0b))...)
}

func compiled(t *testing.T, code []byte) plugin.Module {
	t.Helper()
	r, err := New(Settings{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Compile(t.Context(), fmt.Sprintf("sha256:%x", sha256.Sum256(code)), code)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	return m
}

// TestEveryGuestCanBeStopped: whatever the code is made of, its call ends soon
// after the deadline, the garbage collector does not wait for it, and its
// module can be closed.
func TestEveryGuestCanBeStopped(t *testing.T) {
	for name, code := range map[string][]byte{
		"tree recursion without a loop":         treeRecursion(),
		"a chain of calls without recursion":    callChain(),
		"recursion past a loop that never runs": loopBehindBranch(),
		"bulk operations one after another":     bulkChain(),
		"an endless loop":                       assemble(endless, nil),
	} {
		t.Run(name, func(t *testing.T) {
			m := compiled(t, code)
			limits := plugin.Limits{Timeout: 200 * time.Millisecond, Memory: 128 << 20, Output: 1 << 20}
			_, err := m.Call(t.Context(), plugin.Work{Limits: limits})
			if host.CodeOf(err) != host.CodePluginTimeout {
				t.Errorf("err = %v (%s)", err, host.CodeOf(err))
			}
			stopped := make(chan struct{})
			go func() {
				runtime.GC()
				_ = m.Close(context.Background())
				close(stopped)
			}()
			select {
			case <-stopped:
			case <-time.After(time.Minute):
				t.Fatal("the guest still runs")
			}
		})
	}
}

func TestInterruptible(t *testing.T) {
	function := func(body ...byte) []byte { return append([]byte{0}, body...) }
	for name, c := range map[string]struct {
		body    []byte
		changed bool
	}{
		"a short leaf stays":                      {function(0x41, 0, 0x0b), false},
		"a function that calls is changed":        {function(0x10, 0, 0x0b), true},
		"one that begins with a loop stays":       {function(0x41, 0, 0x1a, 0x02, 0x40, 0x03, 0x40, 0x10, 0, 0x1a, 0x0b, 0x0b, 0x0b), false},
		"one with a call before its loop is not":  {function(0x10, 0, 0x1a, 0x03, 0x40, 0x0b, 0x0b), true},
		"a long leaf is changed":                  {function(append(bytes.Repeat([]byte{0x01}, shortLeaf), 0x0b)...), true},
		"a leaf that moves memory is changed":     {function(0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 10, 0, 0, 0x0b), true},
		"an indirect call counts":                 {function(0x41, 0, 0x11, 0, 0, 0x1a, 0x0b), true},
		"a constant that looks like a call stays": {function(0x41, 0x10, 0x1a, 0x42, 0x90, 0x80, 0x10, 0x1a, 0x44, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1a, 0x0b), false},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := interruptibleFunction(c.body)
			if err != nil || !bytes.Equal(out, c.body) != c.changed {
				t.Errorf("changed to %x, err %v", out, err)
			}
		})
	}
	t.Run("a function that would keep the compiler busy for minutes is refused", func(t *testing.T) {
		for _, code := range [][]byte{bulkFlood(maxBulk + 1), functions(bytes.Repeat([]byte{0x02, 0x40, 0x0b}, maxBranches)),
			functions(slices.Repeat([][]byte{bytes.Repeat([]byte{0x02, 0x40, 0x0b}, maxBranches/2-1)}, 12)...)} {
			if _, err := interruptible(code); err == nil {
				t.Error("it was let through")
			}
		}
		if _, err := interruptible(bulkFlood(maxBulk)); err != nil {
			t.Error(err)
		}
	})
	t.Run("an unknown instruction is refused", func(t *testing.T) {
		if _, _, err := interruptibleFunction(function(0xfb, 0, 0x0b)); err == nil {
			t.Error("it was let through")
		}
	})
	t.Run("a Go guest has few functions changed", func(t *testing.T) {
		code := runtimetest.Museum(t)
		out, err := interruptible(code)
		if err != nil {
			t.Fatal(err)
		}
		if grown := len(out) - len(code); grown > len(code)/50 {
			t.Errorf("it grew by %d of %d bytes", grown, len(code))
		}
	})
}

// FuzzInterruptible: no code makes it fail other than by an error, and what it
// accepts it accepts again.
func FuzzInterruptible(f *testing.F) {
	f.Add(treeRecursion())
	f.Add(loopBehindBranch())
	f.Add(assemble(callsItself, nil))
	f.Fuzz(func(t *testing.T, code []byte) {
		if check(code) != nil {
			return
		}
		out, err := interruptible(code)
		if err != nil {
			return
		}
		if _, err := interruptible(out); err != nil {
			t.Errorf("its own work is refused: %v", err)
		}
	})
}
