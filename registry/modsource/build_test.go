package modsource_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/callboard-dev/callboard/registry/modsource"
)

// maxHello is how large the guest of a small plugin may be; one that pulls in
// net/http has 10 MB.
const maxHello = 4 << 20

// build builds a plugin's folder and returns the guest and what go said.
func build(t *testing.T, s *modsource.Source, dir string) (modsource.Built, string, error) {
	t.Helper()
	w, err := s.Open(t.Context(), dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, w)
	var out bytes.Buffer
	built, err := w.Build(t.Context(), filepath.Join(dir, "plugin.wasm"), &out)
	return built, out.String(), err
}

func closed(t *testing.T, w *modsource.Workspace) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestBuildOfAThirdPartysPlugin(t *testing.T) {
	s := repository(t)
	dir := copyFolder(t, "../../examples/hello-plugin")
	before, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	built, out, err := build(t, s, dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("is a small guest", func(t *testing.T) {
		code, err := os.ReadFile(built.File)
		if err != nil || !bytes.HasPrefix(code, []byte("\x00asm")) {
			t.Fatalf("%s is not WebAssembly: %v", built.File, err)
		}
		if built.Size != int64(len(code)) || built.Size > maxHello {
			t.Errorf("the guest has %d bytes (reported %d), want at most %d", len(code), built.Size, maxHello)
		}
	})
	t.Run("leaves go.mod alone", func(t *testing.T) {
		after, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("go.mod was changed (%v):\n%s", err, after)
		}
		if _, err := os.Stat(filepath.Join(dir, "go.sum")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a go.sum was written: %v", err)
		}
	})
	t.Run("is the same from another folder", func(t *testing.T) {
		again, out, err := build(t, s, copyFolder(t, dir))
		if err != nil || again.Digest != built.Digest {
			t.Errorf("%s, then %s (%v)\n%s", built.Digest, again.Digest, err, out)
		}
	})
}

func TestBuildKeepsTheOldGuestWhenItFails(t *testing.T) {
	dir := copyFolder(t, "../../examples/hello-plugin")
	write(t, dir, "plugin.wasm", "the old one")
	write(t, dir, "broken.go", "package main\n\nfunc broken( {\n")
	_, out, err := build(t, repository(t), dir)
	if err == nil || !strings.Contains(out, "broken.go:3") {
		t.Errorf("got %v with\n%s\nwant the file and line", err, out)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "plugin.wasm")); string(b) != "the old one" {
		t.Errorf("the old guest is now %q", b)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".callboard-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestBuildProgram(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":           "module example.com/p\n\ngo 1.26\n",
		"main.go":          "package main\n\nfunc main() {}\n",
		"added/added.go":   "package added\n\nimport \"fmt\"\n\nvar _, _ = fmt.Println(\"added\")\n",
		"broken/broken.go": "package broken\n\nfunc broken( {\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, root, name, content)
	}
	w := opened(t, open(t), root)
	var out bytes.Buffer
	file := filepath.Join(root, "out", "program")
	t.Run("adds an import", func(t *testing.T) {
		if _, err := w.BuildProgram(t.Context(), file, runtime.GOOS+"/"+runtime.GOARCH, "example.com/p/added", &out); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		if said, err := exec.Command(file).Output(); err != nil || string(said) != "added\n" {
			t.Errorf("the program says %q, %v", said, err)
		}
	})
	t.Run("is the same from another folder", func(t *testing.T) {
		one, err := w.BuildProgram(t.Context(), file, "linux/arm64", "example.com/p/added", &out)
		if err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		two, err := opened(t, open(t), copyFolder(t, root)).BuildProgram(t.Context(), filepath.Join(t.TempDir(), "x"), "linux/arm64", "example.com/p/added", &out)
		if err != nil || one.Digest != two.Digest {
			t.Errorf("%s, then %s, %v", one.Digest, two.Digest, err)
		}
	})
	t.Run("leaves the folder alone", func(t *testing.T) {
		left, err := filepath.Glob(filepath.Join(root, "*adds*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
	for name, tt := range map[string]struct{ platform, adds string }{
		"no platform": {"linux", "example.com/p/added"}, "broken code": {"linux/amd64", "example.com/p/broken"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.BuildProgram(t.Context(), file, tt.platform, tt.adds, &out); err == nil {
				t.Error("it was built")
			}
		})
	}
}

func TestTestRunsTheAuthorsTests(t *testing.T) {
	dir := copyFolder(t, "../../examples/hello-plugin")
	w, err := repository(t).Open(t.Context(), dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, w)
	var out bytes.Buffer
	if err := w.Test(t.Context(), []string{"-run", "TestTidy", "-v"}, &out); err != nil || !strings.Contains(out.String(), "--- PASS: TestTidy") {
		t.Errorf("%v\n%s", err, &out)
	}
	write(t, dir, "red_test.go", "package main\n\nimport \"testing\"\n\nfunc TestRed(t *testing.T) { t.Error(\"red\") }\n")
	if err := w.Test(t.Context(), nil, &out); err == nil || !strings.Contains(out.String(), "--- FAIL: TestRed") {
		t.Errorf("a failing test gives %v\n%s", err, &out)
	}
}

func TestOpenUsesWhatTheModuleAsksFor(t *testing.T) {
	s := repository(t)
	requires := func(version func(path string) string) string {
		return fmt.Sprintf("module example.com/p\n\ngo 1.26\n\nrequire (\n\t%s %s\n\t%s %s\n)\n", sdk, version(sdk), schemas, version(schemas))
	}
	t.Run("exactly what is served needs nothing put down", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "go.mod", requires(s.Version))
		write(t, dir, "go.sum", strings.Join(s.Sums(), "\n")+"\n")
		if note := opened(t, s, dir).Note; note != "" {
			t.Errorf("got the note %q", note)
		}
	})
	t.Run("another version is replaced, with a note", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "go.mod", requires(func(string) string { return "v0.0.9" }))
		if note := opened(t, s, dir).Note; !strings.Contains(note, "v0.0.9") || !strings.Contains(note, s.Version(sdk)) {
			t.Errorf("got the note %q", note)
		}
	})
}

func opened(t *testing.T, s *modsource.Source, dir string) *modsource.Workspace {
	t.Helper()
	w, err := s.Open(t.Context(), dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, w) })
	return w
}

func TestBuildInARepositoryThatBringsTheModules(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":       "module example.com/mono\n\ngo 1.26\n\nrequire example.com/words v0.0.0\n\nreplace example.com/words => ./words\n",
		"words/go.mod": "module example.com/words\n\ngo 1.26\n", "words/words.go": "package words\n\nconst Here = 1\n",
		"plugins/p/main.go": "package main\n\nimport _ \"example.com/words\"\n\nfunc main() {}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, root, name, content)
	}
	cache := t.TempDir()
	w, err := open(t, words("package words\n")).Open(t.Context(), filepath.Join(root, "plugins", "p"), cache)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, w)
	var out bytes.Buffer
	if _, err := w.Build(t.Context(), filepath.Join(root, "out", "p.wasm"), &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if entries, _ := os.ReadDir(cache); len(entries) != 0 {
		t.Errorf("a module source was written that nobody needs: %v", entries)
	}
}

func TestOpenRefuses(t *testing.T) {
	s := open(t, words("package words\n"))
	broken := t.TempDir()
	write(t, broken, "go.mod", "modul example.com/p\n")
	tests := map[string]struct{ dir, want string }{
		"a folder that does not exist": {filepath.Join(t.TempDir(), "nowhere"), "is not a folder"},
		"a folder in no module":        {t.TempDir(), "callboard plugin new"},
		"a broken go.mod":              {broken, "go.mod:1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := s.Open(t.Context(), tt.dir, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want one with %q", err, tt.want)
			}
		})
	}
	t.Run("when the go command is missing", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "go.mod", "module example.com/p\n")
		t.Setenv("PATH", t.TempDir())
		if _, err := s.Open(t.Context(), dir, t.TempDir()); !errors.Is(err, modsource.ErrNoGo) {
			t.Errorf("got %v", err)
		}
		if err := s.Fetch(t.Context(), t.TempDir()); !errors.Is(err, modsource.ErrNoGo) {
			t.Errorf("fetching gives %v", err)
		}
	})
}

func TestPrivateSettingsDoNotHideTheLocalSource(t *testing.T) {
	t.Setenv("GOPRIVATE", "github.com/callboard-dev/*")
	t.Setenv("GOFLAGS", "-mod=vendor")
	if _, out, err := build(t, repository(t), copyFolder(t, "../../examples/hello-plugin")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFetchServesPlainGoCommands(t *testing.T) {
	s := repository(t)
	if err := s.Fetch(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	dir := copyFolder(t, "../../examples/hello-plugin")
	mod := &modfile.File{}
	if err := mod.AddModuleStmt("example.com/acme/hello"); err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Concat(s.Modules(), s.Requires()) {
		if err := mod.AddRequire(m.Path, m.Version); err != nil {
			t.Fatal(err)
		}
	}
	if err := mod.AddGoStmt("1.26.0"); err != nil {
		t.Fatal(err)
	}
	content, err := mod.Format()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "go.mod", string(content))
	write(t, dir, "go.sum", strings.Join(s.Sums(), "\n")+"\n")
	cmd := exec.CommandContext(t.Context(), "go", "vet", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCacheDirIsTheUsers(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/somewhere")
	if dir, err := modsource.CacheDir(); err != nil || !strings.HasSuffix(dir, filepath.Join("callboard", "modules")) {
		t.Errorf("got %q, %v", dir, err)
	}
}

func TestNothingToServeIsServed(t *testing.T) {
	proxy, err := open(t).WriteProxy(t.TempDir())
	if err != nil || !strings.HasPrefix(proxy, "file://") {
		t.Errorf("got %q, %v", proxy, err)
	}
}

func TestAGuestThatCannotBePlacedIsAnError(t *testing.T) {
	dir := copyFolder(t, "../../examples/hello-plugin")
	w := opened(t, repository(t), dir)
	var out bytes.Buffer
	if _, err := w.Build(t.Context(), filepath.Join(dir, "main.go", "plugin.wasm"), &out); err == nil {
		t.Error("a guest was put below a file")
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Build(t.Context(), taken, &out); err == nil {
		t.Error("a guest replaced a folder")
	}
}

func TestAFolderWithoutAProgramIsAnError(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/p\n\ngo 1.26.0\n")
	write(t, dir, "p.go", "package p\n")
	_, out, err := build(t, repository(t), dir)
	if err == nil {
		t.Errorf("it was built: %s", out)
	}
}
