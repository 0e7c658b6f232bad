package modsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Built is a guest that was built.
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

// Build compiles the plugin to a WebAssembly reactor and puts it at file, in
// one step: a build that fails leaves an older file alone. The same source
// gives the same bytes, whatever the folder is called. What the go command
// says goes to output.
func (w *Workspace) Build(ctx context.Context, file string, output io.Writer) (Built, error) {
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
	fresh := filepath.Join(temp, filepath.Base(file))
	cmd := w.command(ctx, "build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-s -w", "-o", fresh, ".")
	cmd.Env = append(cmd.Env, "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		return Built{}, fmt.Errorf("go build: %w", err)
	}
	code, err := os.ReadFile(fresh)
	if err != nil {
		return Built{}, fmt.Errorf("the go command built no program: is %s a main package? %w", w.Dir, err)
	}
	if err := os.Chmod(fresh, 0o644); err != nil {
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
