// A guest for tests: see ../README.md.
package main

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"unsafe"

	pdk "github.com/extism/go-pdk"
)

const grown = 10 << 20

//go:wasmimport extism:host/user callboard_host
func callboardHost(offset uint64) uint64

var (
	counter int
	hidden  [256]byte
	kept    []byte
	always  = true
)

//go:wasmexport callboard_call
func callboardCall() int32 {
	whole := pdk.Input()
	act, ok := acts[string(field(whole, "method"))]
	if !ok {
		pdk.Output([]byte(`{"error":{"code":"unsupported","message":"no such act"}}`))
		return 0
	}
	body := act(field(whole, "body"))
	out := make([]byte, 0, len(body)+9)
	out = append(out, `{"body":`...)
	out = append(out, body...)
	pdk.Output(append(out, '}'))
	return 0
}

// acts by method, with its quotes.
var acts = map[string]func(body []byte) []byte{
	`"echo"`:       func(body []byte) []byte { return body },
	`"task"`:       task,
	`"order"`:      order,
	`"count"`:      func([]byte) []byte { counter++; return number(counter) },
	`"host"`:       host,
	`"grow"`:       grow,
	`"canary"`:     canary,
	`"search"`:     search,
	`"work"`:       work,
	`"spin"`:       spin,
	`"recurse"`:    func([]byte) []byte { return number(deep(1)) },
	`"fork"`:       fork,
	`"mutual"`:     func([]byte) []byte { return number(ping(1)) },
	`"bulk"`:       bulk,
	`"trap"`:       func([]byte) []byte { panic("trapped") },
	`"goroutines"`: func([]byte) []byte { return number(goroutines()) },
	`"collect"`:    collect,
}

func number(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) }

// end returns where the JSON value at the begin of b ends.
func end(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth < 0 {
				return i
			} else if depth == 0 {
				return i + 1
			}
		case c == ',' && depth == 0:
			return i
		}
	}
	return len(b)
}

// field returns the value of a key of an object, or nil.
func field(b []byte, key string) []byte {
	b = b[1:]
	for len(b) > 0 && b[0] == '"' {
		n := end(b)
		name := b[1 : n-1]
		b = b[n+1:]
		n = end(b)
		if string(name) == key {
			return b[:n]
		}
		b = b[n+1:]
	}
	return nil
}

func task(body []byte) []byte {
	items := make([]byte, 0, len(body))
	count, sum := 0, 0
	for b := body[1:]; len(b) > 0 && b[0] == '{'; {
		n := end(b)
		item := b[:n]
		if string(field(item, "on")) == "true" {
			if count++; count > 1 {
				items = append(items, ',')
			}
			items = append(items, item...)
			sum += integer(field(item, "size"))
		}
		b = b[n+1:]
	}
	out := append([]byte(`{"count":`), number(count)...)
	out = append(append(out, `,"sum":`...), number(sum)...)
	out = append(append(out, `,"items":[`...), items...)
	return append(out, "]}"...)
}

func integer(b []byte) (n int) {
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func host(body []byte) []byte {
	request := pdk.AllocateBytes(body)
	defer request.Free()
	answer := pdk.FindMemory(callboardHost(request.Offset()))
	return answer.ReadBytes()
}

func order(body []byte) []byte {
	call := append([]byte(`{"service":"test/v1","method":"note","body":`), task(body)...)
	return host(append(call, '}'))
}

func grow([]byte) []byte {
	kept = make([]byte, grown)
	for i := 0; i < len(kept); i += 4096 {
		kept[i] = 1
	}
	return number(len(kept))
}

// canary hides a secret wherever a guest can keep one.
func canary(secret []byte) []byte {
	var stack [256]byte
	kept = bytes.Clone(secret)
	copy(hidden[:], secret)
	copy(stack[:], secret)
	if stack[0] == 0 {
		return number(0)
	}
	return number(1)
}

// search looks for a secret that came reversed, so that the call itself is no find.
func search(body []byte) []byte {
	reversed := body[1 : len(body)-1]
	found := 0
	for p, top := uintptr(8), top(); p < top; p++ {
		k := 0
		for k < len(reversed) && *(*byte)(unsafe.Pointer(p + uintptr(k))) == reversed[len(reversed)-1-k] {
			k++
		}
		if k == len(reversed) && k > 0 {
			found++
		}
	}
	return number(found)
}

// top is the end of a large piece of the heap: a new one lies above all others.
func top() uintptr {
	kept = make([]byte, 1<<20)
	return uintptr(unsafe.Pointer(&kept[0])) + uintptr(len(kept))
}

func work(body []byte) []byte {
	x := uint32(1)
	for range integer(body) {
		x = x*1664525 + 1013904223
	}
	return number(int(x))
}

func spin([]byte) []byte {
	for always {
	}
	return nil
}

//go:noinline
func deep(n int) int {
	if !always {
		return n
	}
	return deep(n+1)/3 + n
}

func fork(body []byte) []byte {
	if string(body) == "null" {
		return number(doubled(60))
	}
	return number(doubled(integer(body)))
}

//go:noinline
func doubled(n int) int {
	if n <= 0 {
		return 1
	}
	return doubled(n-1)/3 + doubled(n-1)
}

var partners [2]func(int) int

//go:noinline
func ping(n int) int {
	partners = [2]func(int) int{ping, pong}
	return partners[1](n+1)/3 + n
}

//go:noinline
func pong(n int) int { return partners[0](n+1)/5 + n }

func bulk([]byte) []byte {
	a, b := make([]byte, 4<<20), make([]byte, 4<<20)
	for always {
		clear(a)
		copy(b, a)
	}
	return nil
}

func goroutines() int {
	var wg sync.WaitGroup
	sums := make(chan int, 30)
	for i := range 30 {
		wg.Go(func() { sums <- i })
	}
	wg.Wait()
	close(sums)
	sum := 0
	for n := range sums {
		sum += n
	}
	return sum
}

// collect makes garbage and takes it away.
func collect([]byte) []byte {
	for range 64 {
		kept = make([]byte, 128<<10)
		kept[1] = 1
	}
	runtime.GC()
	return number(int(kept[1]))
}

func main() {}
