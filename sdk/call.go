package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"runtime"
	"strings"

	"github.com/callboard-dev/callboard/schemas/codec"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	binary "github.com/callboard-dev/callboard/schemas/plugin/v2"
	log "github.com/callboard-dev/callboard/schemas/service/log/v1"
)

// Call answers one call of the envelope, of either ABI, in the call's own. It
// never panics: a panic of a handler becomes an error that says where it
// happened. It is the door that all runtimes share; an author has no need of it.
//
// A host that keeps the memory of a guest as it is before its first call makes
// calls of the capability "callboard/warmup" before it does: what is done once
// and kept, such as what encoding/json learns of a type, is then in that memory.
func (p *Plugin) Call(ctx context.Context, host Host, in []byte) []byte {
	call, reply, err := open(in)
	if err != nil {
		return reply(plugin.Result{Error: toWire(err)})
	}
	c := newContext(ctx, call, host)
	if call.Capability == warmup {
		p.warmUp(c)
	}
	answer, err := p.answer(c, call)
	return reply(resultOf(answer, err))
}

// warmup is the capability of a call that asks for nothing.
const warmup = "callboard/warmup"

// warmUp goes the ways of a call with made-up values. Nothing of it is kept but
// what the ways themselves keep.
func (p *Plugin) warmUp(ctx *Context) {
	defer func() { _ = recover() }() // a value that nobody meant to encode is no reason to fail
	if p.warmed.Add(1) == 1 {        // more often it would only make garbage
		deep()
		roomy()
	}
	_, _ = Exchange(ctx, warmup, "host", plugin.HostCall{Service: warmup}, nil, &plugin.Result{})
	_, _ = codec.Marshal(log.Line{Level: "debug", Fields: map[string]string{"a": "b"}})
	_ = resultOf(nil, Errorf(CodeUnsupported, "%s", warmup))
	for _, warm := range p.warm {
		warm()
	}
}

// deep makes the goroutine's stack as large as most calls need it, so that it
// need not grow step by step in each.
//
//go:noinline
func deep() {
	var room [24 << 10]byte
	for i := range room {
		room[i] = byte(i)
	}
	runtime.KeepAlive(&room)
}

// roomy makes the allocator keep room for values of each usual size, so that the
// first of a size need not ask for it in each call.
//
//go:noinline
func roomy() {
	const step, small, most = 16, 1 << 10, 4 << 10
	for n := step; n <= most; n += max(step, n/small*8*step) {
		runtime.KeepAlive(make([]byte, n))
		runtime.KeepAlive(make([]*byte, n/8))
	}
}

// open reads a call and says how its result is written.
func open(in []byte) (plugin.Call, func(plugin.Result) []byte, error) {
	if binary.Is(in) {
		call, err := binary.ParseCall(in)
		if err != nil {
			err = Errorf(CodeInvalid, "decoding the call: %w", err)
		}
		return call, writeBinary, err
	}
	var call plugin.Call
	if err := codec.Unmarshal(in, &call); err != nil {
		return call, writeText, Errorf(CodeInvalid, "decoding the call: %w", err)
	}
	if call.ABI != plugin.ABI {
		return call, writeText, Errorf(CodeUnsupported, "the host speaks ABI %d, this plugin speaks %d and %d", call.ABI, plugin.ABI, binary.ABI).
			WithHint("Rebuild the plugin with the SDK of this host's version.")
	}
	return call, writeText, nil
}

// answer finds the offer and runs it.
func (p *Plugin) answer(ctx *Context, call plugin.Call) (any, error) {
	if err := p.Err(); err != nil {
		return nil, err
	}
	room := p.doors[door{call.Capability, call.Method}]
	if room == nil {
		return nil, Errorf(CodeUnsupported, "this plugin does not offer %s %s", call.Capability, call.Method).
			WithHint("Remove the capability from plugin.yaml, or offer it in the call of sdk.New.")
	}
	name, request, err := room.decode(call.Body)
	if err != nil {
		return nil, Errorf(CodeInvalid, "decoding a %s request: %w", call.Capability, err)
	}
	handle := room.byName[name]
	if handle == nil {
		return nil, Errorf(CodeUnsupported, "plugin.yaml names %q for %s, but the plugin's code does not offer it", name, call.Capability).
			WithHint("Offer %q in the call of sdk.New, or remove it from plugin.yaml.", name)
	}
	return guarded(ctx, handle, name, request)
}

// guarded runs the handler and turns its panic into an error; the stack goes
// to the log.
func guarded(ctx *Context, handle Handler, name string, request any) (answer any, err error) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		where, stack := panicPlace()
		answer, err = nil, Errorf(CodeInternal, "%s panicked at %s: %v", name, where, value).
			WithHint("This is a defect of the plugin; its log has the stack.")
		line := log.Line{Level: "error", Message: fmt.Sprintf("panic in %s: %v", name, value), Fields: map[string]string{"stack": stack}}
		_ = Do(ctx, log.Name, log.MethodWrite, line, nil) // best effort: the answer says it too
	}()
	return handle(ctx, request)
}

// panicPlace returns "file.go:line" of the innermost frame that is not the
// runtime's, and the frames from there outwards. It is called by the deferred
// function of guarded.
func panicPlace() (where, stack string) {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var lines []string
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "sdk.guarded") {
			break
		}
		if !strings.HasPrefix(f.Function, "runtime.") || len(lines) > 0 {
			lines = append(lines, fmt.Sprintf("%s %s:%d", f.Function, f.File, f.Line))
			if where == "" {
				where = fmt.Sprintf("%s:%d", path.Base(f.File), f.Line)
			}
		}
		if !more {
			break
		}
	}
	if where == "" {
		where = "an unknown place"
	}
	return where, strings.Join(lines, "\n")
}

// Attached is an answer with raw bytes beside its body.
type Attached struct {
	Body any
	Data []byte
}

// Encoded is an answer that is the JSON of its capability's schema already. It
// is for packages that offer something; handlers answer with values.
type Encoded json.RawMessage

// resultOf is what a handler's answer is on the wire.
func resultOf(answer any, err error) plugin.Result {
	if err != nil {
		return plugin.Result{Error: toWire(err)}
	}
	var out plugin.Result
	if attached, ok := answer.(Attached); ok {
		answer, out.Data = attached.Body, attached.Data
	}
	if ready, ok := answer.(Encoded); ok {
		out.Body = json.RawMessage(ready)
		return out
	}
	if out.Body, err = codec.Marshal(answer); err != nil {
		return plugin.Result{Error: toWire(Errorf(CodeInternal, "encoding the answer: %w", err))}
	}
	return out
}

// writeText writes a result of ABI 1.
func writeText(r plugin.Result) []byte {
	out, err := codec.Marshal(r)
	if err != nil { // cannot be: a Result holds checked JSON and strings
		return []byte(`{"error":{"code":"internal","message":"encoding the result failed"}}`)
	}
	return out
}

// writeBinary writes a result of ABI 2.
func writeBinary(r plugin.Result) []byte {
	const head = 64 // of the message and its fields
	return binary.AppendResult(make([]byte, 0, head+len(r.Body)+len(r.Data)), r)
}
