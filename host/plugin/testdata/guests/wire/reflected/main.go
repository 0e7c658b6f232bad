// Command reflected does the task with encoding/json at every place where the
// bytes of a message become values: the envelope of ABI 1, the request, its
// body, the host call and all ways back. It is what the SDK of version 0.1.0
// did, without its detours.
package main

import (
	"encoding/json"

	pdk "github.com/extism/go-pdk"

	"github.com/callboard-dev/callboard/host/plugin/testdata/guests/wire/task"
	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	kvv1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
)

func main() {}

//go:wasmimport extism:host/user callboard_host
func callboardHost(offset uint64) uint64

//go:wasmexport callboard_call
func callboardCall() int32 {
	result := pluginv1.Result{}
	answer, err := handle(pdk.Input())
	if err == nil {
		result.Body, err = json.Marshal(answer)
	}
	if err != nil {
		result = pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeInternal, Message: err.Error()}}
	}
	out, err := json.Marshal(result)
	if err != nil {
		return 1
	}
	pdk.Output(out)
	return 0
}

func handle(in []byte) (routev1.Response, error) {
	var call pluginv1.Call
	if err := json.Unmarshal(in, &call); err != nil {
		return routev1.Response{}, err
	}
	if call.Capability == "callboard/warmup" {
		call.Body = warm() // so that what encoding/json learns of the types is there at the first call
	}
	var request routev1.Request
	if err := json.Unmarshal(call.Body, &request); err != nil {
		return routev1.Response{}, err
	}
	var order task.Order
	if err := json.Unmarshal(request.Body, &order); err != nil {
		return routev1.Response{}, err
	}
	var stored kvv1.GetResponse
	if err := host(kvv1.Name, kvv1.MethodGet, kvv1.GetRequest{Key: "prices"}, &stored); err != nil {
		if call.Capability != "callboard/warmup" {
			return routev1.Response{}, err
		}
		if err := json.Unmarshal([]byte(`{"found":true,"value":"eyJkaXNjb3VudHMiOnsiYSI6MX19"}`), &stored); err != nil {
			return routev1.Response{}, err
		}
	}
	var prices task.Prices
	if err := json.Unmarshal(stored.Value, &prices); err != nil {
		return routev1.Response{}, err
	}
	bill, err := task.Work(order, prices)
	if err != nil {
		return routev1.Response{}, err
	}
	body, err := json.Marshal(bill)
	return routev1.Response{Status: 200, Body: body}, err
}

// warm is a request that goes the whole way with small values.
func warm() json.RawMessage {
	return json.RawMessage(`{"operationId":"bill","params":{"a":"b"},"body":{"labels":{"a":"b"},"lines":[{"price":1.5,"tags":["a"]}]}}`)
}

func host(service, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	call, err := json.Marshal(pluginv1.HostCall{Service: service, Method: method, Body: body})
	if err != nil {
		return err
	}
	mem := pdk.AllocateBytes(call)
	defer mem.Free()
	answer := pdk.FindMemory(callboardHost(mem.Offset()))
	defer answer.Free()
	var result pluginv1.Result
	if err := json.Unmarshal(answer.ReadBytes(), &result); err != nil {
		return err
	}
	if result.Error != nil {
		return result.Error
	}
	return json.Unmarshal(result.Body, out)
}
