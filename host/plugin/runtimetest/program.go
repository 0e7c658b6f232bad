package runtimetest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin/manifest"
)

// Sandboxed returns the code of a plugin of this repository, for the sandbox.
// Folder is its main package, from the top of the tree, with slashes.
func Sandboxed(t testing.TB, folder string) []byte {
	t.Helper()
	return guests.get(t, "wasm "+folder, func(dir string) *exec.Cmd {
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-s -w", "-o", filepath.Join(dir, wasmFile), ".")
		cmd.Dir = filepath.Join(root(), filepath.FromSlash(folder))
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
		return cmd
	})
}

// Program returns the code of the same plugin as a process of this platform:
// the source is the same, the build adds one import.
func Program(t testing.TB, folder string) []byte {
	t.Helper()
	code := guests.get(t, "process "+folder, func(dir string) *exec.Cmd {
		source := filepath.Join(root(), filepath.FromSlash(folder))
		added := filepath.Join(dir, "process.go")
		overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(source, "callboard_process.go"): added}})
		if err == nil {
			err = os.WriteFile(added, []byte("package main\n\nimport _ \"github.com/callboard-dev/callboard/sdk/process\"\n"), 0o600)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"),
			"-o", filepath.Join(dir, wasmFile), ".")
		cmd.Dir = source
		cmd.Env = append(os.Environ(), "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "CGO_ENABLED=0", "GOFLAGS=")
		return cmd
	})
	return joined(t, code)
}

// Rogue returns the code of a plugin that breaks the protocol of processes,
// host/plugin/testdata/rogue. Mode is how it begins; empty begins as it should.
func Rogue(t testing.TB, mode string) []byte {
	t.Helper()
	return joined(t, guests.get(t, "rogue "+mode, func(dir string) *exec.Cmd {
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -X main.mode="+mode, "-o", filepath.Join(dir, wasmFile),
			"./host/plugin/testdata/rogue")
		cmd.Dir = root()
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		return cmd
	}))
}

func joined(t testing.TB, code []byte) []byte {
	t.Helper()
	out, err := manifest.Join(map[string][]byte{runtime.GOOS + "/" + runtime.GOARCH: code})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
