package flame

import (
	"bytes"
	"encoding/json"

	"github.com/callboard-dev/callboard/host"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	pluginv2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

// writeCall writes a call in the ABI of the guest.
func writeCall(abi int, c pluginv1.Call) ([]byte, error) {
	c.ABI = abi
	if abi == pluginv2.ABI {
		return pluginv2.AppendCall(nil, c), nil
	}
	return json.Marshal(c)
}

// readResult reads an answer of either ABI.
func readResult(out []byte) (r pluginv1.Result, err error) {
	if pluginv2.Is(out) {
		r, err = pluginv2.ParseResult(out)
	} else {
		err = json.Unmarshal(out, &r)
	}
	if err != nil {
		return pluginv1.Result{}, host.Errorf(host.CodePluginOutput, "the guest did not answer with a result: %w", err)
	}
	return r, nil
}

// readHostCall reads a host call of either ABI and says of which it is.
func readHostCall(in []byte) (c pluginv1.HostCall, binary bool, err error) {
	in = bytes.Clone(in) // the kernel keeps its memory
	if pluginv2.Is(in) {
		c, err = pluginv2.ParseHostCall(in)
		return c, true, err
	}
	return c, false, json.Unmarshal(in, &c)
}

// writeResult writes the answer to a host call.
func writeResult(binary bool, r pluginv1.Result) []byte {
	if binary {
		return pluginv2.AppendResult(nil, r)
	}
	out, err := json.Marshal(r)
	if err != nil {
		return []byte(`{"error":{"code":"internal","message":"the answer is no JSON"}}`)
	}
	return out
}
