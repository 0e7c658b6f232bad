package sdk

import (
	"context"
	"fmt"
	_ "unsafe" // for go:linkname

	pdk "github.com/extism/go-pdk"

	"github.com/callboard-dev/callboard/schemas/codec"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	binary "github.com/callboard-dev/callboard/schemas/plugin/v2"
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

// callboardABI says the highest version of the envelope that the guest speaks;
// it speaks all below it, too.
//
//go:wasmexport callboard_abi
func callboardABI() int32 { return binary.ABI }

// callboardCall is the guest's door. It always writes a Result and returns 0.
//
//go:wasmexport callboard_call
func callboardCall() int32 {
	in := input()
	if err := start(); err != nil {
		_, reply, _ := open(in) // whatever the call is, this is what is wrong
		output(reply(plugin.Result{Error: toWire(err)}))
		return 0
	}
	host := textHost
	if binary.Is(in) {
		host = binaryHost
	}
	output(served.Call(context.Background(), host, in))
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

// binaryHost passes a host call through the sandbox's wall in ABI 2.
func binaryHost(_ context.Context, call plugin.HostCall) plugin.Result {
	const head = 64 // of the message and its fields
	in := binary.AppendHostCall(make([]byte, 0, head+len(call.Body)+len(call.Data)), call)
	out := throughTheWall(in)
	if len(out) == 0 {
		return hostFault("the host gave no answer to %s %s", call.Service, call.Method)
	}
	result, err := binary.ParseResult(out)
	if err != nil {
		return hostFault("decoding the host's answer: %v", err)
	}
	return result
}

// textHost passes a host call through the sandbox's wall in ABI 1, to a host
// that knows no other.
func textHost(_ context.Context, call plugin.HostCall) plugin.Result {
	in, err := codec.Marshal(call)
	if err != nil {
		return hostFault("encoding the host call: %v", err)
	}
	out := throughTheWall(in)
	if len(out) == 0 {
		return hostFault("the host gave no answer to %s %s", call.Service, call.Method)
	}
	var result plugin.Result
	if err := codec.Unmarshal(out, &result); err != nil {
		return hostFault("decoding the host's answer: %v", err)
	}
	return result
}

// throughTheWall hands a message to the host and returns its answer.
func throughTheWall(in []byte) []byte {
	mem := lay(in)
	defer mem.Free()
	answer := pdk.FindMemory(callboardHost(mem.Offset()))
	if answer.Length() == 0 {
		return nil
	}
	defer answer.Free()
	return fetch(answer)
}

func hostFault(format string, args ...any) plugin.Result {
	return plugin.Result{Error: &plugin.Error{Code: plugin.CodeInternal, Message: fmt.Sprintf(format, args...)}}
}
