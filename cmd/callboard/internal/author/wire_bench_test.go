package author_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	"github.com/callboard-dev/callboard/schemas/codec"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	kvv1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
)

// order is about 1 KB of JSON.
const order = `{"id":"ord-2026-000417","customer":"Ann Müller <ann@example.com>","note":"Please ring twice \u2014 the bell is \"broken\".","labels":{"Channel":"web","Region":"eu-north-1","Campaign":"spring"},"lines":[` +
	`{"sku":"TCK-0001","title":"Stalls, row 4, seats 11-12","quantity":2,"price":64.5,"tags":["stalls","evening"]},` +
	`{"sku":"TCK-0002","title":"Balcony, row 1, seat 7","quantity":1,"price":38.25,"tags":["balcony","matinee","student"]},` +
	`{"sku":"PRG-0100","title":"Programme of the season 2026/27","quantity":3,"price":12,"tags":["print"],"gift":true},` +
	`{"sku":"DRK-0200","title":"Interval drinks for two","quantity":1,"price":18.9,"tags":["bar","evening"]},` +
	`{"sku":"CLK-0300","title":"Cloakroom","quantity":4,"price":1.5,"tags":["service"]},` +
	`{"sku":"DON-0400","title":"Donation to the house: \"a new curtain\"","quantity":1,"price":25,"tags":["donation"]},` +
	`{"sku":"VCH-0500","title":"Voucher for a friend","quantity":1,"price":50,"tags":["voucher","print"],"gift":true}]}`

const prices = `{"currency":"EUR","discounts":{"student":40,"matinee":15,"evening":0,"print":5,"bar":10,"balcony":5}}`

// wireGuest builds one of the two guests of testdata/guests/wire.
func wireGuest(tb testing.TB, name string) []byte {
	tb.Helper()
	dir, err := filepath.Abs("../../../../host/plugin/testdata/guests/wire")
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), name+".wasm")
	cmd := exec.CommandContext(tb.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, "./"+name)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building %s: %v\n%s", name, err, out)
	}
	code, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return code
}

// wireModule compiles a guest.
func wireModule(tb testing.TB, name string) plugin.Module {
	tb.Helper()
	ctx := context.Background()
	engine, err := wasm.New(wasm.Settings{CacheDir: filepath.Join(tb.TempDir(), "cache")})
	if err != nil {
		tb.Fatal(err)
	}
	code := wireGuest(tb, name)
	m, err := engine.Compile(ctx, manifest.DigestOf(code), code)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := m.Close(ctx); err != nil {
			tb.Error(err)
		}
		if err := engine.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	return m
}

// wireWork is the call that both answer: about 1 KB in, one look into the
// store, about 1 KB out.
func wireWork(tb testing.TB) plugin.Work {
	tb.Helper()
	stored, err := codec.Marshal(kvv1.GetResponse{Found: true, Value: []byte(prices)})
	if err != nil {
		tb.Fatal(err)
	}
	body, err := codec.Marshal(routev1.Request{OperationID: "bill", Method: "POST", Path: "/orders/{id}/bill",
		Params: map[string]string{"id": "ord-2026-000417"}, Body: json.RawMessage(order)})
	if err != nil {
		tb.Fatal(err)
	}
	return plugin.Work{
		Call: pluginv1.Call{Capability: routev1.Name, Method: routev1.MethodHandle, Tenant: "acme",
			Caller:      pluginv1.Caller{Kind: "user", Name: "Ann", Role: "member", Ref: "user:default/ann"},
			Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", DeadlineMillis: 10_000, Body: body},
		Limits: plugin.Limits{Timeout: 10 * time.Second, Memory: 64 << 20, Output: 1 << 20, Input: 1 << 20, HostCalls: 100, HostBytes: 1 << 20, Fuel: 1 << 40},
		World: plugin.World{Host: func(_ context.Context, c pluginv1.HostCall) pluginv1.Result {
			if c.Service != kvv1.Name {
				return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeUnsupported, Message: c.Service}}
			}
			return pluginv1.Result{Body: stored}
		}},
	}
}

// bill calls a guest and returns the body of the response.
func bill(tb testing.TB, m plugin.Module, w plugin.Work) (string, plugin.Usage) {
	tb.Helper()
	out, err := m.Call(context.Background(), w)
	if err != nil {
		tb.Fatal(err)
	}
	if out.Result.Error != nil {
		tb.Fatal(out.Result.Error)
	}
	var response routev1.Response
	if err := json.Unmarshal(out.Result.Body, &response); err != nil || response.Status != 200 {
		tb.Fatalf("got %s (%v)", out.Result.Body, err)
	}
	return string(response.Body), out.Usage
}

// TestBothWireGuestsAnswerTheSame keeps the comparison fair.
func TestBothWireGuestsAnswerTheSame(t *testing.T) {
	w := wireWork(t)
	generated, fuel := bill(t, wireModule(t, "generated"), w)
	reflected, fuelReflected := bill(t, wireModule(t, "reflected"), w)
	if generated != reflected || len(generated) < 900 {
		t.Errorf("generated answers\n%s\nreflected\n%s", generated, reflected)
	}
	if 4*fuel.Fuel > fuelReflected.Fuel {
		t.Errorf("the generated guest takes %d fuel, the reflected one %d: more than a quarter", fuel.Fuel, fuelReflected.Fuel)
	}
}

// perRound is how often each guest is called in a round.
const perRound = 100

// BenchmarkFigureWire compares the SDK's wire path with encoding/json in the
// guest. In each round both are called many times, one after the other, and the
// median counts of the time that calls take of their thread; the figure is the
// median of all rounds.
func BenchmarkFigureWire(b *testing.B) {
	generated, reflected, w := wireModule(b, "generated"), wireModule(b, "reflected"), wireWork(b)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	round := func(m plugin.Module) float64 {
		times := make([]time.Duration, 0, perRound)
		for range perRound {
			began := threadTime(b)
			if _, err := m.Call(context.Background(), w); err != nil {
				b.Fatal(err)
			}
			times = append(times, threadTime(b)-began)
		}
		slices.Sort(times)
		return float64(times[perRound/2].Nanoseconds()) / 1e3
	}
	var ours, theirs, ratios []float64
	for b.Loop() {
		a, z := round(generated), round(reflected)
		ours, theirs, ratios = append(ours, a), append(theirs, z), append(ratios, a/z)
	}
	middle := func(values []float64) float64 {
		slices.Sort(values)
		return values[len(values)/2]
	}
	_, fuel := bill(b, generated, w)
	_, fuelReflected := bill(b, reflected, w)
	b.ReportMetric(middle(ratios), "figure:runtime/sdk_vs_encoding_json")
	b.ReportMetric(float64(fuel.Fuel)/float64(fuelReflected.Fuel), "fuel-ratio")
	b.ReportMetric(middle(ours), "generated-us")
	b.ReportMetric(middle(theirs), "reflected-us")
}
