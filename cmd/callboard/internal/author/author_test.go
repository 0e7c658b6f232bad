package author_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/cmd/callboard/internal/author"
	"github.com/callboard-dev/callboard/host"
)

// usage marks a mistake in how a command was called, as the program does.
type usage struct{ error }

// run executes one command line as the program does and returns its exit code.
func run(ctx context.Context, s author.Settings, args []string, out, errOut io.Writer) int {
	s.Usage = func(err error) error { return usage{err} }
	root := &cobra.Command{Use: "callboard", SilenceUsage: true, SilenceErrors: true}
	plugin := &cobra.Command{Use: "plugin"}
	root.AddCommand(plugin)
	for _, c := range author.Commands(s) {
		c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage{err} })
		if check := c.Args; check != nil {
			c.Args = func(c *cobra.Command, args []string) error {
				if err := check(c, args); err != nil {
					return usage{err}
				}
				return nil
			}
		}
		plugin.AddCommand(c)
	}
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var e *host.Error
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			fmt.Fprintln(errOut, f.Pointer, f.Message)
		}
	}
	var u usage
	switch {
	case err == nil:
		return 0
	case errors.As(err, &u):
		fmt.Fprintln(errOut, "Error:", err)
		return 2
	default:
		fmt.Fprintln(errOut, "Error:", err)
		return 1
	}
}

// TestScripts runs the author's commands as the scripts in testdata say. The
// command "callboard" runs in this process; "exits N" before it expects the
// exit code.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", home) // the go command's caches
			e.Setenv("REPOSITORY", root)
			e.Setenv("GOWORK", "off")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"callboard": func(ts *testscript.TestScript, neg bool, args []string) {
				want := 0
				if neg {
					want = 1
				}
				callboard(ts, cache, want, args)
			},
			"misused": func(ts *testscript.TestScript, _ bool, args []string) { callboard(ts, cache, 2, args) },
			"same": func(ts *testscript.TestScript, neg bool, args []string) {
				a, b := ts.ReadFile(args[0]), ts.ReadFile(args[1])
				if (a == b) == neg {
					ts.Fatalf("%s (%d bytes) and %s (%d bytes): the same is %t", args[0], len(a), args[1], len(b), a == b)
				}
			},
			"copyfolder": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(args[0])))
			},
		},
	})
}

// callboard runs one command line in the script's folder.
func callboard(ts *testscript.TestScript, cache string, want int, args []string) {
	s := author.Settings{CacheDir: cache, Dir: ts.MkAbs("."), Getenv: ts.Getenv}
	var out, errOut strings.Builder
	got := run(context.Background(), s, append([]string{"plugin"}, args...), &out, &errOut)
	_, err := io.WriteString(ts.Stdout(), out.String())
	ts.Check(err)
	_, err = io.WriteString(ts.Stderr(), errOut.String())
	ts.Check(err)
	if got != want {
		ts.Fatalf("callboard plugin %s ends with %d, want %d\n%s%s", strings.Join(args, " "), got, want, &out, &errOut)
	}
}

func TestARelativeFolderIsThatOfTheProcess(t *testing.T) {
	dir := hello(t)
	t.Chdir(filepath.Dir(dir))
	s := author.Settings{CacheDir: t.TempDir()}
	for _, args := range [][]string{{"package", "hello"}, {"package", "./hello", "--out", "b.tar"}, {"build", "hello", "--out", "c.wasm"}} {
		var out, errOut strings.Builder
		if code := run(t.Context(), s, append([]string{"plugin"}, args...), &out, &errOut); code != 0 {
			t.Errorf("%v ends with %d: %s", args, code, &errOut)
		}
	}
	for _, name := range []string{"hello-0.1.0.tar", "b.tar", "c.wasm", "hello/plugin.wasm"} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}
