package language_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/cmd/callboard/internal/language"
	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	route "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	view "github.com/callboard-dev/callboard/schemas/capability/view/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// fresh makes the folder of a new plugin.
func fresh(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := language.Files(name, language.Draft{Name: "acme/deploy-board", Short: "deploy-board", Title: "Deploy board", Camel: "deployBoard"})
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		to := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ready skips a test where a language's tools are missing, and does what npm
// install would do.
func ready(t *testing.T, name, dir string) {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	modules := filepath.Join(filepath.Dir(here), "..", "..", "..", "..", "node_modules")
	_, err := exec.LookPath("clang")
	if name == language.AssemblyScript {
		if _, err = os.Stat(filepath.Join(modules, "assemblyscript")); err == nil {
			err = os.Symlink(modules, filepath.Join(dir, "node_modules"))
		}
	}
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("the tools of %s are missing; .ci/setup and npm ci install them: %v", name, err)
	} else if err != nil {
		t.Fatal(err)
	}
}

// TestNewPluginsWork: what plugin new writes is built and runs in the runtime
// that portals use: its route, its view, and what it says when it is asked for
// something else.
func TestNewPluginsWork(t *testing.T) {
	for _, name := range language.Names() {
		t.Run(name, func(t *testing.T) {
			dir := fresh(t, name)
			ready(t, name, dir)
			if got := language.Of(dir); got != name {
				t.Fatalf("the folder is taken for %q", got)
			}
			out := filepath.Join(dir, "plugin.wasm")
			var log bytes.Buffer
			if err := language.Build(t.Context(), name, dir, out, &log); err != nil {
				t.Fatalf("%v\n%s", err, &log)
			}
			if log.Len() > 0 {
				t.Errorf("the compiler says %s", &log)
			}
			code, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			g := open(t, code)
			t.Run("Route", g.route)
			t.Run("RouteWithQuotes", g.quotes)
			t.Run("RouteRefused", g.refused)
			t.Run("View", g.view)
			t.Run("Unknown", g.unknown)
		})
	}
}

type guest struct{ module plugin.Module }

func open(t *testing.T, code []byte) guest {
	t.Helper()
	r, err := wasm.New(wasm.Settings{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(code); err != nil {
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
	})
	return guest{m}
}

// call makes a call of a plugin whose greeting is configured to be greeting.
func (g guest) call(t *testing.T, capability, method string, request any, greeting string) pluginv1.Result {
	t.Helper()
	raw, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	out, err := g.module.Call(t.Context(), plugin.Work{
		Call: pluginv1.Call{
			Capability: capability, Method: method, Tenant: "acme", Body: raw,
			Caller: pluginv1.Caller{Kind: "user", Name: "ann", Role: "viewer"},
		},
		Limits: runtimetest.Limits(),
		World: plugin.World{Host: func(_ context.Context, call pluginv1.HostCall) pluginv1.Result {
			if call.Service != "config/v1" || call.Method != "get" || greeting == "" {
				return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeNotReady, Message: "nobody \"configured\" it"}}
			}
			config, err := json.Marshal(map[string]any{"config": map[string]any{"other": []int{1, 2}, "greeting": greeting}, "secrets": []string{}})
			if err != nil {
				t.Error(err)
			}
			return pluginv1.Result{Body: config}
		}},
	})
	if err != nil {
		t.Fatalf("%v (%v)", err, host.AsError(err).Err)
	}
	return out.Result
}

func (g guest) greet(t *testing.T, who, greeting string) pluginv1.Result {
	t.Helper()
	return g.call(t, route.Name, route.MethodHandle, route.Request{OperationID: "deployBoardGreeting", Params: map[string]string{"name": who}}, greeting)
}

// says checks that a route answered with a text.
func says(t *testing.T, r pluginv1.Result, want string) {
	t.Helper()
	var response route.Response
	var body struct{ Text string }
	if r.Error != nil || json.Unmarshal(r.Body, &response) != nil || json.Unmarshal(response.Body, &body) != nil {
		t.Fatalf("it answered %s, %v", r.Body, r.Error)
	}
	if response.Status != 200 || body.Text != want {
		t.Errorf("it answered %d with %q, want %q", response.Status, body.Text, want)
	}
}

func (g guest) route(t *testing.T) { says(t, g.greet(t, "Ann", "Hello"), "Hello, Ann!") }

// quotes: what has to be escaped comes back as it was.
func (g guest) quotes(t *testing.T) {
	const name = "a\"b\\c\n\t\x01\u2028é€😀/<&>"
	says(t, g.greet(t, name, "Grüß \"Gott\""), "Grüß \"Gott\", "+name+"!")
}

func (g guest) refused(t *testing.T) {
	r := g.greet(t, "Ann", "")
	if r.Error == nil || r.Error.Code != pluginv1.CodeNotReady || r.Error.Message != "nobody \"configured\" it" {
		t.Errorf("it answered %s, %v", r.Body, r.Error)
	}
}

func (g guest) view(t *testing.T) {
	r := g.call(t, view.Name, view.MethodRender, view.Request{
		View: "overview", Slot: view.SlotEntityCard,
		Entity: json.RawMessage(` { "kind" : "Component", "metadata" : { "tags": ["a,b", "}"], "name" : "petstore" } } `),
	}, "")
	var tree view.Tree
	if r.Error != nil || json.Unmarshal(r.Body, &tree) != nil || len(tree.Nodes) != 2 {
		t.Fatalf("it answered %s, %v", r.Body, r.Error)
	}
	status, facts := tree.Nodes[0].Status, tree.Nodes[1].KeyValue
	if status == nil || status.Tone != view.ToneGood || status.Label != "It works" {
		t.Errorf("the card begins with %+v", tree.Nodes[0])
	}
	if facts == nil || len(facts.Items) != 2 || facts.Items[0].Text != "petstore" || facts.Items[1].Text != "ann" {
		t.Errorf("its facts are %+v", facts)
	}
}

func (g guest) unknown(t *testing.T) {
	for _, c := range [][2]string{{route.Name, "operationId"}, {view.Name, "view"}, {"schedule/v1", "name"}} {
		r := g.call(t, c[0], "any", map[string]string{c[1]: "nothing"}, "")
		if r.Error == nil || r.Error.Code != pluginv1.CodeUnsupported {
			t.Errorf("%s: it answered %s, %v", c[0], r.Body, r.Error)
		}
	}
}

// TestBuildTellsWhatIsWrong: a fault in the source, and a missing compiler.
func TestBuildTellsWhatIsWrong(t *testing.T) {
	for name, file := range map[string]string{language.C: "plugin.c", language.AssemblyScript: "assembly/plugin.ts"} {
		t.Run(name, func(t *testing.T) {
			dir := fresh(t, name)
			ready(t, name, dir)
			if err := os.WriteFile(filepath.Join(dir, file), []byte("this is no program\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(dir, "plugin.wasm")
			var log bytes.Buffer
			err := language.Build(t.Context(), name, dir, out, &log)
			if host.CodeOf(err) != host.CodeInvalid || !strings.Contains(log.String(), file) {
				t.Errorf("got %v, the compiler says %q", err, &log)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("there is a guest")
			}
			t.Setenv("PATH", t.TempDir())
			if err := language.Build(t.Context(), name, dir, out, &log); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("without its compiler: %v", err)
			}
		})
	}
	if err := language.Build(t.Context(), "cobol", t.TempDir(), "x", &bytes.Buffer{}); err == nil {
		t.Error("a language that is not known was built")
	}
	if got := language.Of(t.TempDir()); got != "" {
		t.Errorf("an empty folder is taken for %q", got)
	}
}
