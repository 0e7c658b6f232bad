package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	_ "unsafe" // for go:linkname

	pdk "github.com/extism/go-pdk"

	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// served is the plugin that main handed to Serve. A guest has one thread and
// one plugin; this is the registration that a reactor needs (its main does not
// run by itself).
var served *Plugin

// Serve makes p the plugin of this guest. It returns at once: the host calls
// the guest when it wants something.
func Serve(p *Plugin) { served = p }

// authorMain is the plugin's own main function.
//
//go:linkname authorMain main.main
func authorMain()

// callboardHost is the host's door: the offset of a HostCall in, the offset of
// a Result out.
//
//go:wasmimport extism:host/user callboard_host
func callboardHost(offset uint64) uint64

// callboardCall is the guest's door. It always writes a Result and returns 0.
//
//go:wasmexport callboard_call
func callboardCall() int32 {
	if err := start(); err != nil {
		pdk.Output(encode(nil, err))
		return 0
	}
	pdk.Output(served.Call(context.Background(), guestHost, pdk.Input()))
	return 0
}

// start runs main on the first call.
func start() (err error) {
	if served != nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = Errorf(CodeInternal, "the plugin's main panicked: %v", v)
		}
	}()
	authorMain()
	if served == nil {
		return Errorf(CodeInternal, "the plugin's main returned without calling sdk.Serve").
			WithHint("Write: func main() { sdk.Serve(New()) }")
	}
	return nil
}

// guestHost passes a host call through the sandbox's wall.
func guestHost(_ context.Context, call plugin.HostCall) plugin.Result {
	in, err := json.Marshal(call)
	if err != nil {
		return hostFault("encoding the host call: %v", err)
	}
	mem := pdk.AllocateBytes(in)
	defer mem.Free()
	answer := pdk.FindMemory(callboardHost(mem.Offset()))
	if answer.Length() == 0 {
		return hostFault("the host gave no answer to %s %s", call.Service, call.Method)
	}
	defer answer.Free()
	var result plugin.Result
	if err := json.Unmarshal(answer.ReadBytes(), &result); err != nil {
		return hostFault("decoding the host's answer: %v", err)
	}
	return result
}

func hostFault(format string, args ...any) plugin.Result {
	return plugin.Result{Error: &plugin.Error{Code: plugin.CodeInternal, Message: fmt.Sprintf(format, args...)}}
}
