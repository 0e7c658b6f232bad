package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"runtime"
	"strings"

	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	log "github.com/callboard-dev/callboard/schemas/service/log/v1"
)

// Call answers one call of the envelope and never panics: a panic of a handler
// becomes an error that says where it happened. It is the door that all
// runtimes share; an author has no need of it.
func (p *Plugin) Call(ctx context.Context, host Host, in []byte) []byte {
	var call plugin.Call
	if err := json.Unmarshal(in, &call); err != nil {
		return encode(nil, Errorf(CodeInvalid, "decoding the call: %w", err))
	}
	if call.ABI != plugin.ABI {
		return encode(nil, Errorf(CodeUnsupported, "the host speaks ABI %d, this plugin speaks %d", call.ABI, plugin.ABI).
			WithHint("Rebuild the plugin with the SDK of this host's version."))
	}
	c := newContext(ctx, call, host)
	answer, err := p.answer(c, call)
	return encode(answer, err)
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

// encode writes the Result.
func encode(answer any, err error) []byte {
	result := plugin.Result{}
	if err == nil {
		var body []byte
		if body, err = json.Marshal(answer); err == nil {
			result.Body = body
		} else {
			err = Errorf(CodeInternal, "encoding the answer: %w", err)
		}
	}
	if err != nil {
		result.Error = toWire(err)
	}
	out, err := json.Marshal(result)
	if err != nil { // cannot be: a Result holds checked JSON and strings
		return []byte(`{"error":{"code":"internal","message":"encoding the result failed"}}`)
	}
	return out
}
