package modsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Built is a guest or a program that was built.
type Built struct {
	File   string // where it is
	Size   int64  // bytes
	Digest string // "sha256:" and hex
}

// command returns a go command in the plugin's folder.
func (w *Workspace) command(ctx context.Context, verb string, args ...string) *exec.Cmd {
	all := append([]string{verb}, w.flags...)
	cmd := exec.CommandContext(ctx, "go", append(all, args...)...)
	cmd.Dir = w.Dir
	cmd.Env = append(os.Environ(), w.env...)
	return cmd
}

// lean leaves out what only debuggers read.
const lean = "-s -w"

// Build compiles the plugin to a WebAssembly reactor and puts it at file, in
// one step: a build that fails leaves an older file alone. The same source
// gives the same bytes, whatever the folder is called. What the go command
// says goes to output.
func (w *Workspace) Build(ctx context.Context, file string, output io.Writer) (Built, error) {
	return w.guest(ctx, file, lean, output)
}

// BuildNamed is Build with the names of the guest's functions in it, for who
// wants to watch them. The code is the same.
func (w *Workspace) BuildNamed(ctx context.Context, file string, output io.Writer) (Built, error) {
	return w.guest(ctx, file, "-w", output)
}

// guest builds for the sandbox with the flags for the linker.
func (w *Workspace) guest(ctx context.Context, file, link string, output io.Writer) (Built, error) {
	return w.build(ctx, file, output, 0o644, []string{"GOOS=wasip1", "GOARCH=wasm"}, func(string) ([]string, error) {
		return []string{"-buildmode=c-shared", "-ldflags=" + link}, nil
	})
}

// BuildProgram compiles the plugin to a program for a platform, "linux/amd64",
// as Build does. The program imports the package adds, which the source need
// not name.
func (w *Workspace) BuildProgram(ctx context.Context, file, platform, adds string, output io.Writer) (Built, error) {
	system, arch, ok := strings.Cut(platform, "/")
	if !ok {
		return Built{}, fmt.Errorf("%q is not a platform like linux/amd64", platform)
	}
	return w.build(ctx, file, output, 0o755, []string{"GOOS=" + system, "GOARCH=" + arch}, func(temp string) ([]string, error) {
		overlay, err := w.adding(temp, adds)
		return []string{"-overlay=" + overlay}, err
	})
}

// adding puts down a file that adds an import to the plugin, and the overlay
// that puts it into the plugin's folder for one build. It returns the overlay.
func (w *Workspace) adding(temp, path string) (string, error) {
	source, overlay := filepath.Join(temp, "adds.go"), filepath.Join(temp, "overlay.json")
	content, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(w.Dir, "callboard_adds.go"): source}})
	if err == nil {
		err = os.WriteFile(overlay, content, 0o600)
	}
	if err == nil {
		err = os.WriteFile(source, []byte("package main\n\nimport _ "+strconv.Quote(path)+"\n"), 0o600)
	}
	return overlay, err
}

// build runs go build into a folder of its own beside file, and puts what it
// made in place. More returns further flags; it may put files into the folder.
func (w *Workspace) build(ctx context.Context, file string, output io.Writer, mode os.FileMode, env []string, more func(temp string) ([]string, error)) (Built, error) {
	// The go command runs in the plugin's folder, so a relative name would
	// mean another place there.
	file, err := filepath.Abs(file)
	if err != nil {
		return Built{}, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return Built{}, err
	}
	temp, err := os.MkdirTemp(filepath.Dir(file), ".callboard-*")
	if err != nil {
		return Built{}, err
	}
	defer os.RemoveAll(temp)
	flags, err := more(temp)
	if err != nil {
		return Built{}, err
	}
	fresh := filepath.Join(temp, filepath.Base(file))
	cmd := w.command(ctx, "build", append([]string{"-trimpath", "-buildvcs=false", "-ldflags=" + lean, "-o", fresh}, append(flags, ".")...)...)
	cmd.Env = append(append(cmd.Env, env...), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		return Built{}, fmt.Errorf("go build: %w", err)
	}
	code, err := os.ReadFile(fresh)
	if err != nil {
		return Built{}, fmt.Errorf("the go command built no program: is %s a main package? %w", w.Dir, err)
	}
	if err := os.Chmod(fresh, mode); err != nil {
		return Built{}, err
	}
	if err := os.Rename(fresh, file); err != nil {
		return Built{}, err
	}
	sum := sha256.Sum256(code)
	return Built{File: file, Size: int64(len(code)), Digest: "sha256:" + hex.EncodeToString(sum[:])}, nil
}

// Test runs go test on the plugin's folder and those below it, with args
// before the packages. Both outputs of the go command go to out.
func (w *Workspace) Test(ctx context.Context, args []string, out io.Writer) error {
	cmd := w.command(ctx, "test", append(args, "./...")...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

// Fetch puts the served modules into the go command's cache, so that editors
// and plain go commands find them as well.
func (s *Source) Fetch(ctx context.Context, cacheDir string) error {
	dir, err := os.MkdirTemp("", "callboard-fetch-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	env, err := readEnv(ctx, dir)
	if err != nil {
		return err
	}
	proxy, err := s.WriteProxy(cacheDir)
	if err != nil {
		return err
	}
	args := []string{"mod", "download"}
	for _, m := range s.modules {
		args = append(args, m.Path+"@"+m.Version.Version)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), s.environment(env, proxy)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go mod download: %w: %s", err, out)
	}
	return nil
}
