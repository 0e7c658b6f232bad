package conformance

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/examples/conformance/acts"
	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/process"
	"github.com/callboard-dev/callboard/host/plugin/process/shim"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	v2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/sdktest"
)

// The test's program is the shim, too, as callboard is.
func TestMain(m *testing.M) {
	if shim.Wanted(os.Args) {
		os.Exit(shim.Run(os.Args))
	}
	os.Exit(m.Run())
}

// TestRuntimesAgree runs the conformance plugin in every way there is.
func TestRuntimesAgree(t *testing.T) {
	modules := both(t, "examples/conformance")
	modules[runtimetest.InProcess] = inProcess{acts.New()}
	runtimetest.Agree(t, modules, runtimetest.Conformance())
}

// both opens a plugin of this repository as guest and as process.
func both(t *testing.T, folder string) map[string]plugin.Module {
	t.Helper()
	sandboxes, err := wasm.New(wasm.Settings{CacheDir: filepath.Join(t.TempDir(), "cache")})
	if err != nil {
		t.Fatal(err)
	}
	processes, err := process.New(process.Settings{
		Dir: filepath.Join(t.TempDir(), "programs"), Backoff: time.Millisecond, MaxFailures: 100, Grace: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]plugin.Module{
		manifestv1.RuntimeWASM:    compiled(t, sandboxes, runtimetest.Sandboxed(t, folder)),
		manifestv1.RuntimeProcess: compiled(t, processes, runtimetest.Program(t, folder)),
	}
}

func compiled(t *testing.T, r plugin.Runtime, code []byte) plugin.Module {
	t.Helper()
	m, err := r.Compile(t.Context(), manifest.DigestOf(code), code)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return m
}

// inProcess is a plugin in this process, as authors' tests have it.
type inProcess struct{ plugin *sdk.Plugin }

var _ plugin.Module = inProcess{}

// Call makes one call through sdktest's limits.
func (m inProcess) Call(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
	l := w.Limits
	guest := sdktest.InProcess(m.plugin, sdktest.Limits{Timeout: l.Timeout, Input: l.Input, Output: l.Output, HostCalls: l.HostCalls, HostBytes: l.HostBytes})
	var services sdk.Host
	if w.World.Host != nil {
		services = sdk.Host(w.World.Host)
	}
	r, err := v2.ParseResult(guest(ctx, services, v2.AppendCall(nil, w.Call)))
	if err != nil || r.Error == nil {
		return plugin.Outcome{Result: r}, err
	}
	// What a portal's runtime ends a call with, a test's gets as the call's error.
	for beginning, e := range map[string]*host.Error{
		"the call took longer than": {Code: host.CodePluginTimeout, Hint: "ask for less at a time, or raise limits.timeout in the manifest"},
		"the call has":              {Code: host.CodeTooLarge, Hint: "send less at a time"},
		"the answer has":            {Code: host.CodePluginOutput, Hint: "answer less at a time, for example by pages, or raise limits.output in the manifest"},
	} {
		if strings.HasPrefix(r.Error.Message, beginning) {
			e.Message = r.Error.Message
			return plugin.Outcome{}, e
		}
	}
	return plugin.Outcome{Result: r}, nil
}

// Facts implements plugin.Module.
func (inProcess) Facts() plugin.Facts {
	return plugin.Facts{Runtime: runtimetest.InProcess, Path: runtimetest.InProcess, ABI: v2.ABI}
}

// Close implements plugin.Module.
func (inProcess) Close(context.Context) error { return nil }
