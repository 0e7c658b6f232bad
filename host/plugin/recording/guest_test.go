package recording_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/recording"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// compiled returns a guest's module in a runtime of its own.
func compiled(t *testing.T, code []byte) plugin.Module {
	t.Helper()
	r, err := wasm.New(wasm.Settings{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Compile(t.Context(), manifest.DigestOf(code), code)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// taped makes one real call and returns its recording, read from its file.
func taped(t *testing.T, m plugin.Module, act string, body any) *recording.Recording {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	w := plugin.Work{
		Call:   pluginv1.Call{Capability: "test/v1", Method: act, Tenant: "acme", Body: raw},
		Limits: runtimetest.Limits(),
		World: plugin.World{Host: func(_ context.Context, call pluginv1.HostCall) pluginv1.Result {
			return pluginv1.Result{Body: json.RawMessage(`{"for":"` + call.Service + `","token":"hunter2-hunter2"}`)}
		}},
	}
	w.Limits.Fuel = 1 << 40
	tape := recording.Record(&w)
	o, err := m.Call(t.Context(), w)
	r := tape.Finish(o, err)
	if r == nil {
		t.Fatal("the call was not kept")
	}
	r.Plugin = "acme/museum"
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	again, err := recording.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// TestGuests: what real guests did is done again, bit for bit and with the same
// fuel, on this module and on one that was compiled anew.
func TestGuests(t *testing.T) {
	code := runtimetest.Museum(t)
	first, second := compiled(t, code), compiled(t, code)
	for _, act := range []string{"echo", "random", "clock", "nap", "goroutine", "host", "panic", "exit", "allocate"} {
		t.Run(act, func(t *testing.T) {
			r := taped(t, first, act, map[string]string{"service": "a/v1", "method": "m"})
			for _, m := range []plugin.Module{first, second} {
				if err := recording.Verify(t.Context(), m, r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Run("NappingTakesNoTime", func(t *testing.T) {
		r := taped(t, first, "nap", nil)
		begin := time.Now()
		for range 20 {
			if err := recording.Verify(t.Context(), second, r); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took > 20*20*time.Millisecond && len(r.Nanotime) > 0 {
			t.Logf("20 replays of a nap of 20 ms took %s", took)
		}
	})
	t.Run("AnAlteredAnswerChangesTheResult", func(t *testing.T) {
		r := taped(t, first, "host", pluginv1.HostCall{Service: "a/v1", Method: "m"})
		r.Host[0].Answer.Body = json.RawMessage(`{"for":"b/v1"}`)
		if err := recording.Verify(t.Context(), first, r); host.CodeOf(err) != host.CodeConflict || !strings.Contains(err.Error(), "b/v1") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("ARedactedCallFitsTogetherAgain", func(t *testing.T) {
		r := taped(t, first, "host", map[string]string{"service": "a/v1", "password": "swordfish"})
		if n := r.Redact([]string{"hunter2-hunter2"}); n < 2 {
			t.Fatalf("%d places were replaced", n)
		}
		if err := recording.Remake(t.Context(), first, r); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		if text := b.String(); strings.Contains(text, "swordfish") || strings.Contains(text, "hunter2") {
			t.Errorf("the recording still holds a secret:\n%s", text)
		}
		if err := recording.Verify(t.Context(), second, r); err != nil {
			t.Error(err)
		}
	})
}
