package modsource_test

import (
	"archive/zip"
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/callboard-dev/callboard/registry/modsource"
)

const (
	schemas = "github.com/callboard-dev/callboard/schemas"
	sdk     = "github.com/callboard-dev/callboard/sdk"
)

// repository is this checkout's two modules as they would be embedded.
func repository(t *testing.T) *modsource.Source {
	t.Helper()
	s, err := modsource.New(
		modsource.Module{Path: schemas, Base: "v0.1.0", Files: os.DirFS("../../schemas")},
		modsource.Module{Path: sdk, Base: "v0.1.0", Files: os.DirFS("../../sdk")},
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// words is a small module.
func words(content string) modsource.Module {
	return modsource.Module{Path: "example.com/words", Base: "v1.2.3", Files: fstest.MapFS{
		"go.mod":            {Data: []byte("module example.com/words\n\ngo 1.26\n")},
		"words.go":          {Data: []byte(content)},
		"words_test.go":     {Data: []byte("package words\n")},
		"testdata/a.json":   {Data: []byte("{}")},
		"deep/schema.json":  {Data: []byte("{}")},
		"deep/README.md":    {Data: []byte("#")},
		"deep/deep.go":      {Data: []byte("package deep\n")},
		"deep/deep_test.go": {Data: []byte("package deep\n")},
	}}
}

// speaker is a module that requires words, in its repository by a replacement.
func speaker() modsource.Module {
	return modsource.Module{Path: "example.com/speaker", Base: "v0.0.1", Files: fstest.MapFS{
		"go.mod": {Data: []byte("module example.com/speaker\n\ngo 1.26\n\nrequire (\n\texample.com/words v0.0.0\n\texample.com/far v1.0.0\n)\n\n" +
			"replace example.com/words => ../words\n")},
		"go.sum":     {Data: []byte("example.com/far v1.0.0 h1:AAAA=\nexample.com/words v0.0.0 h1:BBBB=\n")},
		"speaker.go": {Data: []byte("package speaker\n")},
	}}
}

func open(t *testing.T, modules ...modsource.Module) *modsource.Source {
	t.Helper()
	s, err := modsource.New(modules...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVersion(t *testing.T) {
	first := open(t, words("package words\n")).Version("example.com/words")
	t.Run("is valid and starts with the base", func(t *testing.T) {
		if err := module.Check("example.com/words", first); err != nil || !strings.HasPrefix(first, "v1.2.3-c") {
			t.Errorf("%q: %v", first, err)
		}
	})
	t.Run("stays with the same content", func(t *testing.T) {
		if again := open(t, words("package words\n")).Version("example.com/words"); again != first {
			t.Errorf("%q, then %q", first, again)
		}
	})
	t.Run("changes with the content", func(t *testing.T) {
		if other := open(t, words("package words // changed\n")).Version("example.com/words"); other == first {
			t.Errorf("both are %q", first)
		}
	})
	t.Run("does not change with tests", func(t *testing.T) {
		m := words("package words\n")
		m.Files.(fstest.MapFS)["more_test.go"] = &fstest.MapFile{Data: []byte("package words\n")}
		if other := open(t, m).Version("example.com/words"); other != first {
			t.Errorf("%q, with another test %q", first, other)
		}
	})
	t.Run("of a module changes with what it requires", func(t *testing.T) {
		a := open(t, words("package words\n"), speaker()).Version("example.com/speaker")
		b := open(t, words("package words // changed\n"), speaker()).Version("example.com/speaker")
		if a == b {
			t.Errorf("both are %q", a)
		}
	})
	t.Run("is empty for another module", func(t *testing.T) {
		if v := open(t, words("package words\n")).Version("example.com/else"); v != "" {
			t.Errorf("got %q", v)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	tests := map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"a tree without go.mod": {fstest.MapFS{"a.go": {Data: []byte("package a\n")}}, "no go.mod"},
		"a broken go.mod":       {fstest.MapFS{"go.mod": {Data: []byte("modul x\n")}}, "unknown directive"},
		"a go.mod of another":   {fstest.MapFS{"go.mod": {Data: []byte("module example.com/other\n")}}, "names another module"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := modsource.New(modsource.Module{Path: "example.com/a", Base: "v0.1.0", Files: tt.files})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "example.com/a") {
				t.Errorf("got %v, want one with %q", err, tt.want)
			}
		})
	}
}

// proxyFile reads a file of a proxy by its URL.
func proxyFile(t *testing.T, proxy, name string) []byte {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(u.Path, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWriteProxy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with, comma and space")
	s := open(t, words("package words\n"), speaker())
	proxy, err := s.WriteProxy(dir)
	if err != nil {
		t.Fatal(err)
	}
	version := s.Version("example.com/words")
	t.Run("URL can stand in GOPROXY", func(t *testing.T) {
		if !strings.HasPrefix(proxy, "file:///") || strings.ContainsAny(proxy, ",| ") {
			t.Errorf("got %q", proxy)
		}
	})
	t.Run("archive holds source and data, no tests", func(t *testing.T) {
		b := proxyFile(t, proxy, "example.com/words/@v/"+version+".zip")
		archive, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range archive.File {
			names = append(names, strings.TrimPrefix(f.Name, "example.com/words@"+version+"/"))
		}
		if want := []string{"deep/deep.go", "deep/schema.json", "go.mod", "words.go"}; !slices.Equal(names, want) {
			t.Errorf("got %v, want %v", names, want)
		}
	})
	t.Run("go.mod requires what is served and replaces nothing", func(t *testing.T) {
		b := proxyFile(t, proxy, "example.com/speaker/@v/"+s.Version("example.com/speaker")+".mod")
		mod, err := modfile.Parse("go.mod", b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(mod.Replace) != 0 || mod.Require[0].Mod.Version != version {
			t.Errorf("got %s", b)
		}
	})
	t.Run("a damaged file is repaired, a good one left alone", func(t *testing.T) {
		u, _ := url.Parse(proxy)
		good := filepath.Join(u.Path, "example.com", "words", "@v", version+".info")
		bad := filepath.Join(u.Path, "example.com", "words", "@v", version+".zip")
		before, err := os.Stat(good)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(bad, []byte("broken"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.WriteProxy(dir); err != nil {
			t.Fatal(err)
		}
		if b := proxyFile(t, proxy, "example.com/words/@v/"+version+".zip"); string(b) == "broken" {
			t.Error("the damaged archive is still there")
		}
		after, err := os.Stat(good)
		if err != nil || !os.SameFile(before, after) {
			t.Errorf("the good file was replaced (%v)", err)
		}
	})
	t.Run("a place that is no folder is an error", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.WriteProxy(file); err == nil || !strings.Contains(err.Error(), "local module source") {
			t.Errorf("got %v", err)
		}
	})
}

func TestSumsAndRequires(t *testing.T) {
	s := open(t, words("package words\n"), speaker())
	if got, want := s.Requires(), []module.Version{{Path: "example.com/far", Version: "v1.0.0"}}; !slices.Equal(got, want) {
		t.Errorf("requires %v, want %v", got, want)
	}
	sums := strings.Join(s.Sums(), "\n")
	for _, want := range []string{
		"example.com/far v1.0.0 h1:AAAA=", "example.com/words " + s.Version("example.com/words") + " h1:",
		"example.com/speaker " + s.Version("example.com/speaker") + "/go.mod h1:",
	} {
		if !strings.Contains(sums, want) {
			t.Errorf("sums lack %q:\n%s", want, sums)
		}
	}
	if strings.Contains(sums, "BBBB") {
		t.Errorf("sums hold a served module's old line:\n%s", sums)
	}
}

func TestTheRepositorysModulesCanBeServed(t *testing.T) {
	s := repository(t)
	if got := s.Modules(); len(got) != 2 || got[0].Path != schemas || got[1].Path != sdk {
		t.Fatalf("got %v", got)
	}
	if got := s.Requires(); !slices.Contains(got, module.Version{Path: "github.com/extism/go-pdk", Version: "v1.1.3"}) {
		t.Errorf("the SDK's requirements are %v, without the pinned PDK", got)
	}
}

// copyFolder copies the files of a folder into a fresh one.
func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "plugin")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// write puts a file into a folder.
func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
