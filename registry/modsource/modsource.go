// Package modsource serves Go modules from their embedded source, as a module
// proxy in the file system, and runs the go command on a plugin's folder with
// it. So a plugin builds in any folder against exactly the SDK that its
// callboard carries, before anything is published and without a network.
//
// A module's version names its content ("v0.1.0-c" and the start of a digest):
// the same binary always serves the same version, and two binaries never serve
// different content under one.
package modsource

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

// Module is the source of one module.
type Module struct {
	Path string
	// Base is the version that the content's digest is added to, "v0.1.0".
	Base  string
	Files fs.FS
}

// Served is one module as it is served.
type Served struct {
	module.Version
	goMod, archive  []byte
	modSum, zipSum  string
	foreignSums     []string
	requiresForeign []module.Version
}

// Source is a set of modules that are served together.
type Source struct {
	modules []Served
}

// New prepares the modules. One that requires another comes after it: its
// go.mod is rewritten to require the version that is served, and replacements
// of served modules are dropped.
func New(modules ...Module) (*Source, error) {
	s := &Source{}
	for _, m := range modules {
		served, err := s.prepare(m)
		if err != nil {
			return nil, fmt.Errorf("preparing the module %s: %w", m.Path, err)
		}
		s.modules = append(s.modules, served)
	}
	return s, nil
}

// Modules returns what is served, in the order of New.
func (s *Source) Modules() []module.Version {
	out := make([]module.Version, 0, len(s.modules))
	for _, m := range s.modules {
		out = append(out, m.Version)
	}
	return out
}

// Version returns the version of a module, or "" where it is not served.
func (s *Source) Version(modulePath string) string {
	for _, m := range s.modules {
		if m.Path == modulePath {
			return m.Version.Version
		}
	}
	return ""
}

// Requires returns what the served modules need from elsewhere, sorted by path.
func (s *Source) Requires() []module.Version {
	var out []module.Version
	for _, m := range s.modules {
		out = append(out, m.requiresForeign...)
	}
	module.Sort(out)
	return slices.Compact(out)
}

// Sums returns the lines of a go.sum for the served modules and for what they
// need from elsewhere, sorted.
func (s *Source) Sums() []string {
	var out []string
	for _, m := range s.modules {
		out = append(out, fmt.Sprintf("%s %s %s", m.Path, m.Version.Version, m.zipSum),
			fmt.Sprintf("%s %s/go.mod %s", m.Path, m.Version.Version, m.modSum))
		out = append(out, m.foreignSums...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// prepare rewrites go.mod, finds the version and makes the archive.
func (s *Source) prepare(m Module) (Served, error) {
	files, err := collect(m.Files)
	if err != nil {
		return Served{}, err
	}
	out := Served{Version: module.Version{Path: m.Path}}
	if err := s.rewrite(&out, files); err != nil {
		return Served{}, err
	}
	out.Version.Version = m.Base + "-c" + digest(files)
	if err := out.pack(files); err != nil {
		return Served{}, err
	}
	out.foreignSums = s.foreign(files["go.sum"])
	return out, nil
}

// collect reads the files that belong into an archive: Go source without
// tests, go.mod, go.sum, JSON and licences.
func collect(tree fs.FS) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !belongs(name) {
			return nil
		}
		files[name], err = fs.ReadFile(tree, name)
		return err
	})
	if err == nil && files["go.mod"] == nil {
		err = errors.New("it has no go.mod")
	}
	return files, err
}

func belongs(name string) bool {
	switch base := path.Base(name); {
	case name == "go.mod", name == "go.sum", base == "LICENSE":
		return true
	case strings.HasSuffix(base, "_test.go"):
		return false
	default:
		return path.Ext(base) == ".go" || path.Ext(base) == ".json"
	}
}

// rewrite points go.mod at the modules that are already served.
func (s *Source) rewrite(out *Served, files map[string][]byte) error {
	mod, err := modfile.Parse("go.mod", files["go.mod"], nil)
	if err != nil {
		return err
	}
	if mod.Module == nil || mod.Module.Mod.Path != out.Path {
		return fmt.Errorf("its go.mod names another module")
	}
	for _, r := range slices.Clone(mod.Replace) {
		if err := mod.DropReplace(r.Old.Path, r.Old.Version); err != nil {
			return err
		}
	}
	for _, r := range slices.Clone(mod.Require) {
		version := s.Version(r.Mod.Path)
		if version == "" {
			out.requiresForeign = append(out.requiresForeign, r.Mod)
			continue
		}
		if err := mod.AddRequire(r.Mod.Path, version); err != nil {
			return err
		}
	}
	mod.Cleanup()
	out.goMod, err = mod.Format()
	files["go.mod"] = out.goMod
	return err
}

// digest names the content of files.
func digest(files map[string][]byte) string {
	h := sha256.New()
	for _, name := range sortedNames(files) {
		fmt.Fprintf(h, "%d %s %d\n", len(name), name, len(files[name]))
		h.Write(files[name])
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func sortedNames(files map[string][]byte) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// pack makes the archive and both lines of its go.sum.
func (m *Served) pack(files map[string][]byte) error {
	prefix := m.Path + "@" + m.Version.Version + "/"
	var members []modzip.File
	var names []string
	for _, name := range sortedNames(files) {
		members = append(members, member{name, files[name]})
		names = append(names, prefix+name)
	}
	var archive bytes.Buffer
	if err := modzip.Create(&archive, m.Version, members); err != nil {
		return err
	}
	m.archive = archive.Bytes()
	open := func(name string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files[strings.TrimPrefix(name, prefix)])), nil
	}
	var err error
	if m.zipSum, err = dirhash.Hash1(names, open); err != nil {
		return err
	}
	m.modSum, err = dirhash.Hash1([]string{"go.mod"}, open)
	return err
}

// foreign returns the lines of a go.sum that are not about served modules.
func (s *Source) foreign(goSum []byte) []string {
	var out []string
	for line := range strings.Lines(string(goSum)) {
		line = strings.TrimSpace(line)
		if name, _, ok := strings.Cut(line, " "); ok && s.Version(name) == "" {
			out = append(out, line)
		}
	}
	return out
}
