package flame_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/cmd/callboard/internal/flame"
	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// task is a call of the guests that runtimetest builds.
func task(method string, body any) plugin.Work {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return plugin.Work{Call: pluginv1.Call{Capability: "test/v1", Method: method, Tenant: "acme", Body: raw}, Limits: runtimetest.Limits()}
}

func items() []map[string]any {
	var out []map[string]any
	for i := range 20 {
		out = append(out, map[string]any{"name": fmt.Sprint("item ", i), "size": i, "on": i%2 == 0})
	}
	return out
}

func open(t *testing.T, code []byte) *flame.Module {
	t.Helper()
	m, err := flame.Open(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestAProfileIsWhatAServerCounts makes the same call where each function is
// watched and where a server would make it.
func TestAProfileIsWhatAServerCounts(t *testing.T) {
	code := runtimetest.Guest(t, runtimetest.C)
	m := open(t, code)
	w := task("task", items())
	watched, err := m.Call(t.Context(), w)
	if err != nil || watched.Result.Error != nil {
		t.Fatal(err, watched.Result.Error)
	}
	runtime, err := wasm.New(wasm.Settings{CacheDir: t.TempDir() + "/cache"})
	if err != nil {
		t.Fatal(err)
	}
	server, err := runtime.Compile(t.Context(), manifest.DigestOf(code), code)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	served, err := server.Call(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(watched.Result.Body, served.Result.Body) {
		t.Errorf("watched, the guest answers %s, else %s", watched.Result.Body, served.Result.Body)
	}
	if got, want := watched.Usage, served.Usage; got.Fuel != want.Fuel || got.Input != want.Input || got.Output != want.Output {
		t.Errorf("watched, the guest uses %+v, else %+v", got, want)
	}
	if got := m.Profile().Total(); got != served.Usage.Fuel {
		t.Errorf("the profile's sum is %d, the call took %d", got, served.Usage.Fuel)
	}
}

func TestAProfileIsTheSameEachTime(t *testing.T) {
	m := open(t, runtimetest.Guest(t, runtimetest.C))
	var pictures, stacks [2]bytes.Buffer
	for i := range pictures {
		if _, err := m.Call(t.Context(), task("task", items())); err != nil {
			t.Fatal(err)
		}
		if err := m.Profile().WriteSVG(&pictures[i], "a <task>"); err != nil {
			t.Fatal(err)
		}
		if err := m.Profile().WriteFolded(&stacks[i]); err != nil {
			t.Fatal(err)
		}
	}
	if pictures[0].String() != pictures[1].String() || stacks[0].String() != stacks[1].String() {
		t.Error("two profiles of one call differ")
	}
	if svg := pictures[0].String(); !strings.Contains(svg, "a &lt;task&gt;: ") || !strings.Contains(svg, "fuel (") || !strings.HasSuffix(svg, "</svg>\n") {
		t.Errorf("the picture is %.300s", svg)
	}
	sum := int64(0)
	for line := range strings.Lines(stacks[0].String()) {
		at := strings.LastIndexByte(line, ' ')
		var fuel int64
		if _, err := fmt.Sscan(line[at+1:], &fuel); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		sum += fuel
	}
	if sum != m.Profile().Total() {
		t.Errorf("the stacks have %d fuel, the profile %d", sum, m.Profile().Total())
	}
	top := m.Profile().Top(3)
	if len(top) != 3 || top[0].Fuel < top[1].Fuel || top[0].Function == "" {
		t.Errorf("the dearest are %+v", top)
	}
}

func TestHostCallsReachTheHost(t *testing.T) {
	m := open(t, runtimetest.Guest(t, runtimetest.C))
	w := task("host", pluginv1.HostCall{Service: "a/v1", Method: "m"})
	w.World.Host = func(_ context.Context, c pluginv1.HostCall) pluginv1.Result {
		return pluginv1.Result{Body: json.RawMessage(`"hello ` + c.Service + `"`)}
	}
	o, err := m.Call(t.Context(), w)
	if err != nil || !strings.Contains(string(o.Result.Body), "hello a/v1") || o.Usage.HostCalls != 1 {
		t.Errorf("got %s, %+v, %v", o.Result.Body, o.Usage, err)
	}
}

func TestWhatFailsIsSaid(t *testing.T) {
	m := open(t, runtimetest.Guest(t, runtimetest.C))
	if _, err := m.Call(t.Context(), task("trap", nil)); host.CodeOf(err) != host.CodePluginTrap {
		t.Errorf("a trap is %v", err)
	}
	w := task("spin", nil)
	w.Limits.Timeout = time.Millisecond
	if _, err := m.Call(t.Context(), w); host.CodeOf(err) != host.CodePluginTrap || !strings.Contains(err.Error(), "ended") {
		t.Errorf("an endless loop is %v", err)
	}
	for _, code := range []string{"", "\x00asm\x01\x00\x00\x00\xff", "hello"} {
		if _, err := flame.Open(t.Context(), []byte(code)); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("%q is %v", code, err)
		}
	}
}

// FuzzNames: a broken list of names breaks nothing.
func FuzzNames(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\x0c\x04name\x01\x05\x01\x00\x02ab"))
	f.Fuzz(func(_ *testing.T, code []byte) { flame.FunctionNames(code) })
}

func TestNames(t *testing.T) {
	got := flame.FunctionNames([]byte("\x00asm\x01\x00\x00\x00\x00\x0c\x04name\x01\x05\x01\x00\x02ab"))
	if len(got) != 1 || got[0] != "ab" {
		t.Errorf("got %v", got)
	}
}
