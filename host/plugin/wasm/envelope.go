package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/schemas/codec"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	pluginv2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

// The ABIs that this host speaks, for ever: 1 is JSON, 2 is binary.
const (
	abiJSON   = pluginv1.ABI
	abiBinary = pluginv2.ABI
)

// maxHostCall is the largest request of a guest to a host service, in bytes.
const maxHostCall = 16 << 20

// appendCall writes a call in the envelope of an ABI.
func appendCall(dst []byte, abi int, c pluginv1.Call) ([]byte, error) {
	c.ABI = abi
	if abi == abiBinary {
		return pluginv2.AppendCall(dst, c), nil
	}
	out, err := codec.Append(dst, c)
	if err != nil {
		return dst, fmt.Errorf("encoding the call: %w", err)
	}
	return out, nil
}

// decodeResult reads what a guest answered, in the envelope of an ABI. The
// result may share memory with the answer.
func decodeResult(abi int, answer []byte) (r pluginv1.Result, err error) {
	if abi == abiBinary && pluginv2.Is(answer) {
		if r, err = pluginv2.ParseResult(answer); err != nil {
			return pluginv1.Result{}, host.Errorf(host.CodePluginOutput, "the answer is not a result of ABI 2: %v", err)
		}
		if !utf8.Valid(r.Body) || len(r.Body) > 0 && !json.Valid(r.Body) {
			return pluginv1.Result{}, host.Errorf(host.CodePluginOutput, "the body of the answer is not JSON")
		}
		return r, nil
	}
	if !utf8.Valid(answer) {
		return r, host.Errorf(host.CodePluginOutput, "the answer is not valid UTF-8")
	}
	if err := codec.UnmarshalStrict(answer, &r); err != nil {
		return pluginv1.Result{}, host.Errorf(host.CodePluginOutput, "the answer is not the JSON of a result")
	}
	return r, nil
}

// exchange answers a guest's calls of host services within the limits of one
// call of it.
type exchange struct {
	host    plugin.HostFunc
	limits  *plugin.Limits
	calls   int64
	bytes   int64
	scratch []byte // the encoded answer
}

// noRoom are the answers where the real one does not fit into the guest's
// memory, by ABI.
func noRoom(abi int) []byte {
	return appendResult(nil, abi, refusal(pluginv1.CodeLimit, "the answer does not fit into the plugin's memory"))
}

func refusal(code, format string, args ...any) pluginv1.Result {
	return pluginv1.Result{Error: &pluginv1.Error{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// answer serves one host call: request and answer are in the envelope that the
// guest chose. The answer is valid until the next one. A storm of calls ends the
// guest's call.
func (x *exchange) answer(ctx context.Context, request []byte) []byte {
	if x.calls++; x.limits.Storm(x.calls) != nil {
		panic(&kernel.Fault{Kind: kernel.Storm, Limit: x.limits.HostCalls, Used: x.calls})
	}
	x.bytes += int64(len(request))
	abi := abiJSON
	if pluginv2.Is(request) {
		abi = abiBinary
	}
	x.scratch = appendResult(x.scratch[:0], abi, x.serve(ctx, abi, request))
	if limit := x.limits.HostBytes; limit > 0 && x.bytes+int64(len(x.scratch)) > limit {
		x.scratch = appendResult(x.scratch[:0], abi, x.tooMuch())
	}
	x.bytes += int64(len(x.scratch))
	return x.scratch
}

func (x *exchange) tooMuch() pluginv1.Result {
	return refusal(pluginv1.CodeLimit, "one call may exchange at most %s with host services", manifest.FormatBytes(x.limits.HostBytes))
}

func (x *exchange) serve(ctx context.Context, abi int, request []byte) (result pluginv1.Result) {
	defer func() {
		if r := recover(); r != nil {
			result = refusal(pluginv1.CodeInternal, "the host service failed")
		}
	}()
	switch {
	case x.host == nil:
		return refusal(pluginv1.CodeUnsupported, "host services cannot be called here")
	case request == nil:
		return refusal(pluginv1.CodeInvalid, "the call of the host service cannot be read")
	case len(request) > maxHostCall:
		return refusal(pluginv1.CodeInvalid, "the call of the host service is larger than %s", manifest.FormatBytes(maxHostCall))
	case x.limits.HostCalls > 0 && x.calls > x.limits.HostCalls:
		return refusal(pluginv1.CodeLimit, "one call may make at most %d calls of host services", x.limits.HostCalls)
	case x.limits.HostBytes > 0 && x.bytes > x.limits.HostBytes:
		return x.tooMuch()
	}
	call, err := decodeHostCall(abi, request)
	if err != nil {
		return refusal(pluginv1.CodeInvalid, "the call of the host service is not one of ABI %d", abi)
	}
	if ctx.Err() != nil {
		return refusal(pluginv1.CodeTimeout, "the time of the call is over")
	}
	return x.host(ctx, call)
}

// decodeHostCall reads a host call into memory of its own: the guest's memory
// is gone when the call ends, a service may hold on to what it got.
func decodeHostCall(abi int, request []byte) (c pluginv1.HostCall, err error) {
	if abi == abiBinary {
		if c, err = pluginv2.ParseHostCall(bytes.Clone(request)); err == nil && len(c.Body) > 0 && !json.Valid(c.Body) {
			err = errors.New("its body is not JSON")
		}
		return c, err
	}
	err = codec.Unmarshal(request, &c)
	return c, err
}

func appendResult(dst []byte, abi int, r pluginv1.Result) []byte {
	if abi == abiBinary {
		return pluginv2.AppendResult(dst, r)
	}
	out, err := codec.Append(dst, r)
	if err != nil {
		return append(dst, `{"error":{"code":"internal","message":"the answer cannot be encoded"}}`...)
	}
	return out
}
