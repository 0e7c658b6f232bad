// Package language knows the languages beside Go in which plugins are written:
// how a new plugin looks in one, and how one is built. A guest of any language
// that speaks the envelope runs; these are the ones that plugin new and plugin
// build know.
package language

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// Names of the languages.
const (
	// C is C, compiled by clang against wasi-libc.
	C = "c"
	// AssemblyScript is AssemblyScript, compiled by the compiler that the
	// plugin's own package.json asks for.
	AssemblyScript = "assemblyscript"
)

// CompilerVersion is the version of AssemblyScript's compiler that a new plugin
// asks for.
const CompilerVersion = "0.28.20"

//go:embed templates
var templates embed.FS

// Names returns the names of all languages.
func Names() []string { return []string{AssemblyScript, C} }

// Of returns the language of the plugin in dir, by the file that such a plugin
// has, or "" for Go and what is not known.
func Of(dir string) string {
	for name, file := range map[string]string{C: "plugin.c", AssemblyScript: entry} {
		if info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(file))); err == nil && info.Mode().IsRegular() {
			return name
		}
	}
	return ""
}

// Draft is what the files of a new plugin tell about it.
type Draft struct {
	Name, Short  string // "acme/deploy-board", "deploy-board"
	Title, Camel string // "Deploy board", "deployBoard"
}

// Files returns the files of a new plugin in a language, by their paths, without
// its manifest.
func Files(name string, d Draft) (map[string][]byte, error) {
	top := "templates/" + name
	out := map[string][]byte{}
	err := fs.WalkDir(templates, top, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(templates, file)
		if err != nil {
			return err
		}
		to := strings.TrimPrefix(file, top+"/")
		if base, ok := strings.CutSuffix(to, ".tmpl"); ok {
			to = strings.Replace(base, "gitignore", ".gitignore", 1)
			if text, err = fill(to, string(text), d); err != nil {
				return err
			}
		}
		out[to] = text
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("making a plugin in %s: %w", name, err)
	}
	return out, nil
}

func fill(name, text string, d Draft) ([]byte, error) {
	t, err := template.New(name).Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		Draft
		AssemblyScript string
	}{d, CompilerVersion})
	return b.Bytes(), err
}
