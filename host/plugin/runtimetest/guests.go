package runtimetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// Languages of the guests that Guest builds. C and AssemblyScript show that the
// envelope is no affair of Go's.
const (
	C              = "c"
	AssemblyScript = "assemblyscript"
	Go             = "go"
)

// Languages are all of them, the quickest to build first.
func Languages() []string { return []string{C, AssemblyScript, Go} }

// workshop keeps built guests.
type workshop struct {
	mu    sync.Mutex
	built map[string]*guest
}

type guest struct {
	once sync.Once
	code []byte
	err  error
}

// guests are built once in a test binary.
var guests = workshop{built: map[string]*guest{}}

// Guest returns the code of the guest host/plugin/testdata/guests in a language,
// building it with that language's own tools. A test is skipped where they are
// missing; with CI set it fails.
func Guest(t testing.TB, language string) []byte {
	t.Helper()
	needTools(t, language)
	return guests.get(t, language, func(dir string) *exec.Cmd { return build(language, dir) })
}

// Build returns the code of one file or folder outside of the guests, built the
// way that Guest builds them. For Go, source is a folder with a go.mod.
func Build(t testing.TB, language, source string) []byte {
	t.Helper()
	needTools(t, language)
	return guests.get(t, language+" "+source, func(dir string) *exec.Cmd { return command(language, source, dir) })
}

// needTools skips a test where a language's tools are missing.
func needTools(t testing.TB, language string) {
	t.Helper()
	var err error
	switch language {
	case C:
		_, err = exec.LookPath("clang")
	case AssemblyScript:
		_, err = os.Stat(compiler())
	case Go:
		_, err = exec.LookPath("go")
	default:
		t.Fatalf("there is no guest in %q", language)
	}
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("the tools of %s are missing; .ci/setup and npm ci install them: %v", language, err)
	}
}

// compiler is AssemblyScript's.
func compiler() string {
	return filepath.Join(root(), "node_modules", "assemblyscript", "bin", "asc.js")
}

func (w *workshop) get(t testing.TB, key string, make func(dir string) *exec.Cmd) []byte {
	t.Helper()
	w.mu.Lock()
	g, ok := w.built[key]
	if !ok {
		g = &guest{}
		w.built[key] = g
	}
	w.mu.Unlock()
	g.once.Do(func() {
		dir, err := os.MkdirTemp("", "guest")
		if err != nil {
			g.err = err
			return
		}
		defer os.RemoveAll(dir)
		if out, err := make(dir).CombinedOutput(); err != nil {
			g.err = fmt.Errorf("%w\n%s", err, out)
			return
		}
		g.code, g.err = os.ReadFile(filepath.Join(dir, wasmFile))
	})
	if g.err != nil {
		t.Fatalf("building the guest %s: %v", key, g.err)
	}
	return g.code
}

// wasmFile is what every build writes into its folder.
const wasmFile = "guest.wasm"

// root is the top of the project's tree.
func root() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "..")
}

func build(language, dir string) *exec.Cmd {
	source := filepath.Join(root(), "host", "plugin", "testdata", "guests", language)
	switch language {
	case C:
		source = filepath.Join(source, "guest.c")
	case AssemblyScript:
		source = filepath.Join(source, "guest.ts")
	}
	return command(language, source, dir)
}

// command is how a guest is built from a C file, an AssemblyScript file or a
// folder with a Go module.
func command(language, source, dir string) *exec.Cmd {
	out := filepath.Join(dir, wasmFile)
	var cmd *exec.Cmd
	switch language {
	case C:
		// Compiling and linking are two steps: a clang that does both asks
		// whatever wasm-opt is around to optimise.
		cmd = exec.Command("sh", "-eu", "-c", `
			clang --target=wasm32-wasi -O2 -mbulk-memory -fno-optimize-sibling-calls -Wall -Wextra -Werror -c -o "$1.o" "$0"
			clang --target=wasm32-wasi -mexec-model=reactor -Wl,--strip-all -o "$1" "$1.o"`, source, out)
	case AssemblyScript:
		cmd = exec.Command("node", compiler(), filepath.Base(source), "-O", "--exportStart", "_initialize",
			"--use", "abort=guest/aborted", "-o", out)
		cmd.Dir = filepath.Dir(source)
	case Go:
		cmd = exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, ".")
		cmd.Dir = source
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")
	}
	return cmd
}
