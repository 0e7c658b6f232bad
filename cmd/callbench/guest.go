package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// benchPlugin measures a call of a guest with nothing around it: no HTTP, no
// tenant, and host services that answer at once.
func benchPlugin(ctx context.Context, o options, p *portal, emit func(figure)) error {
	if err := p.packageHello(ctx, filepath.Join(p.dir, "bare.callboard.tar")); err != nil {
		return err
	}
	code, err := os.ReadFile(filepath.Join(p.dir, "hello-plugin", "plugin.wasm"))
	if err != nil {
		return err
	}
	runtime, err := wasm.New(wasm.Settings{CacheDir: filepath.Join(p.dir, "bare-cache")})
	if err != nil {
		return err
	}
	defer runtime.Close(ctx)
	began := time.Now()
	module, err := runtime.Compile(ctx, fmt.Sprintf("sha256:%x", sha256.Sum256(code)), code)
	if err != nil {
		return err
	}
	defer module.Close(ctx)
	emit(figure{Name: "plugin/compile", Value: millis(time.Since(began)), Unit: "ms"})

	times, err := callGuest(ctx, module, o.duration)
	if err != nil {
		return err
	}
	slices.Sort(times)
	emit(figure{Name: "plugin/bare_call", Value: millis(times[len(times)/2]), Unit: "ms"})
	emit(figure{Name: "plugin/bare_call/p99", Value: millis(times[len(times)*99/100]), Unit: "ms"})
	return nil
}

func callGuest(ctx context.Context, module plugin.Module, d time.Duration) ([]time.Duration, error) {
	request, err := json.Marshal(route.Request{OperationID: "getGreeting", Method: "GET", Path: "/greetings/{name}",
		Params: map[string]string{"name": "bench"}})
	if err != nil {
		return nil, err
	}
	nothing := func(context.Context, pluginv1.HostCall) pluginv1.Result { return pluginv1.Result{Body: []byte("{}")} }
	work := plugin.Work{
		Call: pluginv1.Call{Capability: route.Name, Method: route.MethodHandle,
			Tenant: "bench", Caller: pluginv1.Caller{Kind: "user", Name: "bench", Role: "admin"}, Body: request},
		Limits: plugin.Limits{Timeout: 10 * time.Second, Memory: 64 << 20, Output: 1 << 20, Input: 1 << 20, HostCalls: 100},
		World:  plugin.World{Host: nothing},
	}
	var times []time.Duration
	for deadline := time.Now().Add(d); time.Now().Before(deadline); {
		began := time.Now()
		out, err := module.Call(ctx, work)
		if err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
		if out.Result.Error != nil {
			return nil, fmt.Errorf("the guest answered %w", out.Result.Error)
		}
	}
	return times, nil
}
