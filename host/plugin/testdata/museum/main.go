// The museum is a guest for tests: the method of the call chooses how it
// behaves, or misbehaves. It speaks the envelope by hand, without the SDK.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"time"

	pdk "github.com/extism/go-pdk"
)

type call struct {
	ABI            int             `json:"abi"`
	Capability     string          `json:"capability"`
	Method         string          `json:"method"`
	Tenant         string          `json:"tenant"`
	Caller         json.RawMessage `json:"caller"`
	Traceparent    string          `json:"traceparent"`
	DeadlineMillis int64           `json:"deadlineMillis"`
	Body           json.RawMessage `json:"body"`
}

//go:wasmimport extism:host/user callboard_host
func host(offset uint64) uint64

// counter must be 1 in every call: a second one would see the first's world.
var counter int

// hoard keeps what allocate allocates.
var hoard [][]byte

//go:wasmexport callboard_call
func callboardCall() int32 {
	var c call
	if err := json.Unmarshal(pdk.Input(), &c); err != nil {
		return fail("invalid", err.Error())
	}
	act, ok := acts[c.Method]
	if !ok {
		return fail("unsupported", "no act "+c.Method)
	}
	return act(c)
}

// acts are what the museum shows.
var acts = map[string]func(call) int32{
	"echo":     func(c call) int32 { return body(c.Body) },
	"call":     func(c call) int32 { return value(c) },
	"count":    func(call) int32 { counter++; return value(counter) },
	"loop":     func(call) int32 { return loop() },
	"recurse":  func(call) int32 { return value(recurse(1)) },
	"dive":     func(call) int32 { return value(dive(1)) },
	"say":      func(c call) int32 { return say(c) },
	"fork":     func(call) int32 { return value(fork(60)) },
	"allocate": allocate,
	"sleep":    func(call) int32 { time.Sleep(time.Hour); return value("awake") },
	"panic":    func(call) int32 { panic("the museum is on fire") },
	"exit":     func(call) int32 { os.Exit(3); return 0 },
	"code":     func(call) int32 { output([]byte(`{"body":1}`)); return 7 },
	"silent":   func(call) int32 { return 0 },
	"junk":     func(call) int32 { return output([]byte("this is no JSON")) },
	"latin":    func(call) int32 { return output([]byte("{\"body\":\"\xff\xfe\"}")) },
	"neither":  func(call) int32 { return output([]byte(`{}`)) },
	"stranger": func(call) int32 { return output([]byte(`{"body":1,"shell":"/bin/sh"}`)) },
	"two":      func(call) int32 { return output([]byte(`{"body":1}{"body":2}`)) },
	"flood":    flood,
	"fail":     failing,
	"host":     hostCall,
	"hostjunk": func(call) int32 { return body(json.RawMessage(exchange([]byte("{")))) },
	"storm":    storm,
	"random":   random,
	"clock":    func(call) int32 { return value(time.Now().UTC()) },
	"nap":      nap,
	"log": func(call) int32 {
		fmt.Println("hello from the guest")
		fmt.Fprintln(os.Stderr, strings.Repeat("x", 1<<20))
		return value(1)
	},
	"env":       func(call) int32 { return value(append(os.Environ(), os.Args...)) },
	"file":      func(call) int32 { b, err := os.ReadFile("/etc/passwd"); return value(fmt.Sprint(len(b), err)) },
	"dir":       func(call) int32 { _, err := os.ReadDir("/"); return value(fmt.Sprint(err)) },
	"goroutine": goroutines,
}

func loop() int32 {
	for {
		counter++
	}
}

//go:noinline
func recurse(n int) int {
	var pad [64]int
	pad[n%64] = n
	return recurse(n+1) + pad[(n+1)%64]
}

// dive recurses with the smallest of frames.
//
//go:noinline
func dive(n int) int { return dive(n+1) + 1 }

// say writes the body to standard error and goes on for ever.
func say(c call) int32 {
	var text string
	if err := json.Unmarshal(c.Body, &text); err != nil {
		return fail("invalid", err.Error())
	}
	fmt.Fprintln(os.Stderr, text)
	return loop()
}

// fork recurses without a loop, so that nothing in it can be interrupted.
//
//go:noinline
func fork(n int) int {
	if n < 2 {
		return 1
	}
	return fork(n-1) + fork(n-2)
}

func allocate(call) int32 {
	for {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = byte(i)
		}
		hoard = append(hoard, b)
	}
}

func flood(c call) int32 {
	var n int
	_ = json.Unmarshal(c.Body, &n)
	return output(append(append([]byte(`{"body":"`), bytes.Repeat([]byte("x"), n)...), `"}`...))
}

func failing(c call) int32 {
	out, _ := json.Marshal(map[string]json.RawMessage{"error": c.Body})
	return output(out)
}

// hostCall passes its body to the host and answers with what came back.
func hostCall(c call) int32 { return body(exchange(c.Body)) }

func storm(c call) int32 {
	var last []byte
	for range 100_000 {
		last = exchange(c.Body)
		if strings.Contains(string(last), `"limit"`) {
			break
		}
	}
	return body(last)
}

func random(call) int32 {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return value([]string{base64.StdEncoding.EncodeToString(b), fmt.Sprint(mathrand.Uint64())})
}

func nap(call) int32 {
	begin := time.Now()
	time.Sleep(20 * time.Millisecond)
	return value(time.Since(begin).Milliseconds())
}

func goroutines(call) int32 {
	sum := make(chan int)
	for i := range 30 {
		go func() { sum <- i }()
	}
	n := 0
	for range 30 {
		n += <-sum
	}
	return value(n)
}

func exchange(request []byte) []byte {
	in := pdk.AllocateBytes(request)
	at := host(in.Offset())
	if at == 0 {
		return []byte(`"no answer"`)
	}
	memory := pdk.FindMemory(at)
	return memory.ReadBytes()
}

func value(v any) int32 {
	raw, err := json.Marshal(v)
	if err != nil {
		return fail("internal", err.Error())
	}
	return body(raw)
}

func body(raw json.RawMessage) int32 {
	out, err := json.Marshal(map[string]json.RawMessage{"body": raw})
	if err != nil {
		return fail("internal", err.Error())
	}
	return output(out)
}

func fail(code, message string) int32 {
	out, _ := json.Marshal(map[string]any{"error": map[string]string{"code": code, "message": message}})
	return output(out)
}

func output(b []byte) int32 {
	pdk.Output(b)
	return 0
}

func main() {}
