// Package acts is what the conformance plugin can do: well-behaved acts, in
// which all runtimes must agree, and acts that misbehave, which must cost their
// own call alone.
package acts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/schedule"
)

// The door of the acts. It is no capability of the host: tests call it past
// the manifest.
const (
	Capability = "conformance/v1"
	Method     = "act"
)

// Request asks for one act.
type Request struct {
	Act string `json:"act"`
	// N and Text mean something else in each act.
	N    int    `json:"n,omitempty"`
	Text string `json:"text,omitempty"`
}

// New returns the plugin.
func New() *sdk.Plugin {
	options := []sdk.Option{
		schedule.Run("nothing", func(*sdk.Context, time.Time) (string, error) { return "did nothing", nil }),
	}
	for name, act := range all() {
		options = append(options, sdk.Offer{
			Capability: Capability, Method: Method, Name: name, Decode: decode,
			Handle: func(ctx *sdk.Context, request any) (any, error) { return act(ctx, request.(Request)) },
		})
	}
	return sdk.New(options...)
}

func decode(body json.RawMessage) (name string, request any, err error) {
	var r Request
	err = json.Unmarshal(body, &r)
	return r.Act, r, err
}

// act answers one request.
type act func(ctx *sdk.Context, r Request) (any, error)

// all are the acts by name.
func all() map[string]act {
	acts := map[string]act{
		"echo": func(_ *sdk.Context, r Request) (any, error) { return r.Text, nil },
		"who":  who,
		"attach": func(ctx *sdk.Context, _ Request) (any, error) {
			return sdk.Attached{Body: "as it came", Data: ctx.Data()}, nil
		},
		"fail":     fail,
		"error":    func(*sdk.Context, Request) (any, error) { return nil, errors.New("nothing more is known") },
		"panic":    func(*sdk.Context, Request) (any, error) { panic("the act is over") },
		"flood":    func(_ *sdk.Context, r Request) (any, error) { return strings.Repeat("x", r.N), nil },
		"ask":      ask,
		"data":     data,
		"storm":    storm,
		"deadline": deadline,
		"late":     late,
		"print":    func(_ *sdk.Context, r Request) (any, error) { fmt.Println(r.Text); return true, nil },
		"env":      func(*sdk.Context, Request) (any, error) { return os.Environ(), nil },
		"read":     read,

		"exit":     func(_ *sdk.Context, r Request) (any, error) { os.Exit(r.N); return nil, nil },
		"abort":    abort,
		"spin":     func(*sdk.Context, Request) (any, error) { return spin(), nil },
		"doze":     func(*sdk.Context, Request) (any, error) { time.Sleep(time.Hour); return nil, nil },
		"allocate": func(*sdk.Context, Request) (any, error) { return allocate(), nil },
	}
	for name, a := range native() {
		acts[name] = a
	}
	return acts
}

// who answers with what a guest knows of its call.
func who(ctx *sdk.Context, _ Request) (any, error) {
	return map[string]any{"tenant": ctx.Tenant(), "caller": ctx.Caller(), "trace": ctx.Traceparent()}, nil
}

// fail answers with an error that has everything.
func fail(_ *sdk.Context, r Request) (any, error) {
	e := sdk.Errorf(sdk.Code(r.Text), "it failed as asked for").WithHint("Ask for something else.")
	if r.N > 0 {
		e.WithRetryAfter(time.Duration(r.N) * time.Second)
	}
	return nil, e
}

// ask calls the host service "stage/v1" and answers with what it said.
func ask(ctx *sdk.Context, r Request) (any, error) {
	var said any
	data, err := sdk.Exchange(ctx, "stage/v1", "do", r, []byte(r.Text), &said)
	if err != nil {
		return nil, err
	}
	return sdk.Attached{Body: said, Data: data}, nil
}

// storm calls the host service N times and says how often it was answered, and
// with what it was refused first.
func storm(ctx *sdk.Context, r Request) (any, error) {
	answered, refused := 0, ""
	for range r.N {
		_, err := sdk.Exchange(ctx, "stage/v1", "do", r, nil, nil)
		switch {
		case err == nil:
			answered++
		case refused == "":
			refused = string(sdk.CodeOf(err))
		}
	}
	return map[string]any{"answered": answered, "refused": refused}, nil
}

// deadline says whether the call's end is known, and about right.
func deadline(ctx *sdk.Context, _ Request) (any, error) {
	at, known := ctx.Deadline()
	left := time.Until(at)
	return map[string]bool{"known": known, "future": left > 0, "soon": left < time.Hour}, nil
}

// late asks the host after the call's time is over.
func late(ctx *sdk.Context, _ Request) (any, error) {
	for ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return nil, sdk.Do(ctx, "stage/v1", "do", nil, nil)
}

// read says whether a file can be read; of what it holds, nothing.
func read(_ *sdk.Context, r Request) (any, error) {
	content, err := os.ReadFile(r.Text)
	return map[string]any{"read": err == nil, "bytes": len(content)}, nil
}

// abort panics where no handler can catch it.
func abort(*sdk.Context, Request) (any, error) {
	var wait sync.WaitGroup
	wait.Add(1)
	go func() { panic("nobody catches this") }()
	wait.Wait()
	return nil, nil
}

func spin() int {
	for n := 0; ; n++ {
		if n < 0 {
			return n
		}
	}
}

// allocate asks for memory until there is none.
func allocate() int {
	var hoard [][]byte
	for {
		hoard = append(hoard, bytes.Repeat([]byte{1}, 1<<20))
		if len(hoard) > 1<<20 {
			return len(hoard)
		}
	}
}
