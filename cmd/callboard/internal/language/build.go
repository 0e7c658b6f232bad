package language

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/callboard-dev/callboard/host"
)

// entry is where an AssemblyScript plugin begins.
const entry = "assembly/plugin.ts"

// Build compiles the plugin in dir and writes the guest to the file out. What
// the compilers say goes to log.
func Build(ctx context.Context, name, dir, out string, log io.Writer) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	// What is half written must not lie where a guest is looked for.
	temp, err := os.MkdirTemp("", "callboard-build-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	guest := filepath.Join(temp, "plugin.wasm")
	switch name {
	case C:
		err = buildC(ctx, dir, temp, guest, log)
	case AssemblyScript:
		err = buildAssemblyScript(ctx, dir, guest, log)
	default:
		err = host.Errorf(host.CodeInvalid, "plugins in %q cannot be built here", name)
	}
	if err != nil {
		return err
	}
	code, err := os.ReadFile(guest)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, code, 0o644)
}

// buildC compiles all C files of the folder.
func buildC(ctx context.Context, dir, temp, guest string, log io.Writer) error {
	clang, err := exec.LookPath("clang")
	if err != nil {
		return missing("clang", "on Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.c"))
	if err != nil {
		return err
	}
	// Compiling and linking are two steps: a clang that does both runs whatever
	// wasm-opt it finds, and the same source would not give the same bytes.
	link := []string{"--target=wasm32-wasi", "-mexec-model=reactor", "-Wl,--strip-all", "-o", guest}
	for i, file := range files {
		object := filepath.Join(temp, fmt.Sprintf("%d.o", i))
		if err := run(ctx, dir, log, clang, "--target=wasm32-wasi", "-O2", "-mbulk-memory", "-Wall", "-Wno-unused-function",
			"-c", "-o", object, filepath.Base(file)); err != nil {
			return err
		}
		link = append(link, object)
	}
	return run(ctx, dir, log, clang, link...)
}

// buildAssemblyScript compiles with the compiler that npm installed for the
// plugin, in its folder or one above.
func buildAssemblyScript(ctx context.Context, dir, guest string, log io.Writer) error {
	node, err := exec.LookPath("node")
	if err != nil {
		return missing("node", "install Node.js 20 or newer")
	}
	for at := dir; ; at = filepath.Dir(at) {
		compiler := filepath.Join(at, "node_modules", "assemblyscript", "bin", "asc.js")
		if _, err := os.Stat(compiler); err == nil {
			return run(ctx, dir, log, node, compiler, entry, "-O", "--exportStart", "_initialize",
				"--use", "abort=assembly/callboard/aborted", "-o", guest)
		}
		if at == filepath.Dir(at) {
			return missing("the compiler of AssemblyScript", "run npm install in "+dir)
		}
	}
}

func missing(what, hint string) error {
	return host.Errorf(host.CodeNotFound, "%s is missing, which builds this plugin", what).WithHint("%s", hint)
}

func run(ctx context.Context, dir string, log io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return host.Errorf(host.CodeInvalid, "the plugin does not compile").WithHint("The compiler says where, above.")
	}
	return err
}
